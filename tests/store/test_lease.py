"""The sentinel's file: whole or as before, and never taken for free when it cannot be read."""

from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from core.errors import StoreError
from core.guardian.pulse import Pulse
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
    first = next_run(0, 1_700_000_000_500_000_000)
    assert first == 1_700_000_000_500
    second = next_run(first, 1_700_000_000_500_000_000)
    assert second == first + 1
    assert next_run(second, 1_600_000_000_000_000_000) == second + 1, "a clock that was put back"
    assert next_run(0, 1_700_000_000_502_000_000) > second, "lost: the clock has gone on"
    assert next_run(4, 1_700_000_002_000_000_000) > second, "numbers of homes that counted from 1"


def at_once(job: Callable[[], None]) -> None:
    job()


def test_a_damaged_file_counts_as_held_and_keeps_nobody_from_watching(tmp_path: Path) -> None:
    path = tmp_path / "sentinel.json"
    path.write_text('{"run": 4, "hel')
    assert held_on_disk(path)
    file = LeaseFile(path, submit=at_once)
    lease = file.begin(1_700_000_000_000_000_000)
    assert (lease.run, lease.armed, lease.held, lease.closing) == (1_700_000_000_000, True, True, False)
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
    assert second.begin(1_700_000_000_000_000_000).run == 1_700_000_000_001


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


def test_two_sentinels_of_one_moment_on_a_full_disk_have_two_run_numbers(tmp_path: Path) -> None:
    """Neither is written: the page in memory remembers the first, whatever the clock says."""
    path, page, now = tmp_path / "sentinel.json", Pulse(tmp_path / "page"), 1_700_000_000_000_000_000
    write_lease(path, Lease(1_700_000_000_041, armed=True))

    def full(at: Path, lease: Lease) -> None:
        raise StoreError("no space left")

    runs = []
    for moment in (now, now, now - 10**9, now):
        begun = LeaseFile(path, full, at_once).begin(moment, page.last_run)
        page.number(begun.run)
        runs.append(begun.run)
        assert begun.armed
    runs.append(LeaseFile(path, submit=at_once).begin(now, Pulse(tmp_path / "page").last_run).run)
    assert runs == [1_700_000_000_042, 1_700_000_000_043, 1_700_000_000_044, 1_700_000_000_045, 1_700_000_000_046]
    assert read_lease(path).run == runs[-1]


def test_a_number_that_neither_disk_nor_page_kept_is_below_the_clock(tmp_path: Path) -> None:
    """The power is cut while the disk is full, and it has room again: it holds the number of before."""
    path, now = tmp_path / "sentinel.json", 1_700_000_000_000_000_000
    first = LeaseFile(path, submit=at_once).begin(now).run

    def full(at: Path, lease: Lease) -> None:
        raise StoreError("no space left")

    unwritten = LeaseFile(path, full, at_once).begin(now + 1_000_000, first).run
    assert read_lease(path).run == first
    assert LeaseFile(path, submit=at_once).begin(now + 2_000_000).run > unwritten > first


def test_a_number_that_the_disk_did_not_take_is_written_when_it_does(tmp_path: Path) -> None:
    path, full = tmp_path / "sentinel.json", True

    def write(at: Path, lease: Lease) -> None:
        if full:
            raise StoreError("no space left")
        write_lease(at, lease)

    file = LeaseFile(path, write, at_once)
    begun = file.begin(1_700_000_000_000_000_000)
    full = False
    file.keep(begun)
    assert read_lease(path) == begun, "nothing else has changed, and it is written all the same"
