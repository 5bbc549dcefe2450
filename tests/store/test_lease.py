"""The sentinel's file: whole or as before, and never taken for free when it cannot be read."""

from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from core.errors import StoreError
from store.lease import Lease, LeaseFile, held_on_disk, next_run, read_lease, write_lease


def test_what_was_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "sentinel.json"
    assert read_lease(path) == Lease()
    lease = Lease(4, True, True, True, "the engine is dead", 17)
    write_lease(path, lease)
    assert read_lease(path) == lease
    assert [item.name for item in tmp_path.iterdir()] == ["sentinel.json"]


def test_a_file_that_cannot_be_read_is_not_a_free_lease(tmp_path: Path) -> None:
    path = tmp_path / "sentinel.json"
    path.write_text('{"run": 4, "held": tr')
    with pytest.raises(StoreError, match="cannot be read"):
        read_lease(path)


def test_a_write_that_fails_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "there" / "sentinel.json"
    with pytest.raises(StoreError, match="cannot be written"):
        write_lease(path, Lease())


def test_a_run_number_is_given_once_though_its_file_be_lost() -> None:
    first = next_run(Lease(), 1_700_000_000_500_000_000)
    assert first == 1_700_000_000
    second = next_run(Lease(first, armed=True), 1_700_000_001_000_000_000)
    assert second == first + 1
    assert next_run(Lease(), 1_700_000_002_000_000_000) > second
    assert next_run(Lease(4), 1_700_000_002_000_000_000) == 5


def at_once(job: Callable[[], None]) -> None:
    job()


def test_a_damaged_file_counts_as_held_and_keeps_nobody_from_watching(tmp_path: Path) -> None:
    path = tmp_path / "sentinel.json"
    path.write_text('{"run": 4, "hel')
    assert held_on_disk(path)
    file = LeaseFile(path, submit=at_once)
    lease = file.begin(1_700_000_000_000_000_000)
    assert (lease.run, lease.armed, lease.held, lease.closing) == (1_700_000_000, True, True, False)
    assert "sentinel.json.damaged" in file.doubt
    assert (tmp_path / "sentinel.json.damaged").read_text() == '{"run": 4, "hel'
    assert read_lease(path) == lease
    assert held_on_disk(path)
    file.close()


def test_a_file_that_is_there_or_not_leaves_no_doubt(tmp_path: Path) -> None:
    path = tmp_path / "sentinel.json"
    assert not held_on_disk(path)
    first = LeaseFile(path, submit=at_once)
    assert not first.begin(1_700_000_000_000_000_000).held
    assert not first.doubt
    second = LeaseFile(path, submit=at_once)
    assert second.begin(1_700_000_000_000_000_000).run == 1_700_000_001


def test_what_the_disk_did_not_take_is_written_when_it_does(tmp_path: Path) -> None:
    path, full = tmp_path / "sentinel.json", True

    def write(at: Path, lease: Lease) -> None:
        if full:
            raise StoreError("no space left")
        write_lease(at, lease)

    file = LeaseFile(path, write, at_once)
    begun = file.begin(1_700_000_000_000_000_000)
    file.keep(replace(begun, held=True))
    file.keep(replace(begun, held=True))
    assert not path.exists()
    full = False
    file.keep(replace(begun, held=True))
    assert read_lease(path) == replace(begun, held=True)
    path.unlink()
    file.keep(replace(begun, held=True))
    assert not path.exists(), "what is there is not written again"


def test_the_thread_writes_in_order(tmp_path: Path) -> None:
    file = LeaseFile(tmp_path / "sentinel.json")
    begun = file.begin(1_700_000_000_000_000_000)
    for since in range(20):
        file.keep(replace(begun, since_ns=since))
    file.close()
    assert read_lease(tmp_path / "sentinel.json").since_ns == 19
