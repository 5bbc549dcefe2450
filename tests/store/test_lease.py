"""The sentinel's file: whole or as before, and never taken for free when it cannot be read."""

from pathlib import Path

import pytest

from core.errors import StoreError
from store.lease import Lease, next_run, read_lease, write_lease


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
