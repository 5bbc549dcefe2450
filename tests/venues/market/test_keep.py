"""Files of the market: whole records survive whatever happens to the last one."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import HomeLocked, VenueError
from venues.market import keep
from venues.market.keep import FolderLock, LatestFile, RecordFile


def stored(path: Path) -> list[bytes]:
    file = RecordFile(path)
    file.close()
    return file.records


@given(st.lists(st.binary(max_size=200), max_size=8), st.data())
def test_any_cut_leaves_the_whole_records_before_it(bodies: list[bytes], data: st.DataObject) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        file = RecordFile(path)
        ends = [file.size]
        for body in bodies:
            file.append([body], sync=False)
            ends.append(file.size)
        file.close()
        assert stored(path) == bodies
        cut = data.draw(st.integers(0, ends[-1]))
        os.truncate(path, cut)
        whole = sum(end <= cut for end in ends[1:])
        assert stored(path) == bodies[:whole]
        after = RecordFile(path)
        after.append([b"next"], sync=True)
        after.close()
        assert stored(path) == [*bodies[:whole], b"next"]


def test_a_flipped_bit_ends_the_file_there(tmp_path: Path) -> None:
    file = RecordFile(tmp_path / "file")
    file.append([b"one", b"two", b"three"], sync=True)
    file.close()
    data = bytearray((tmp_path / "file").read_bytes())
    data[-6] ^= 1
    (tmp_path / "file").write_bytes(data)
    assert stored(tmp_path / "file") == [b"one", b"two"]


def test_another_file_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"my diary, not a market file")
    with pytest.raises(VenueError, match="not a market file"):
        RecordFile(tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == b"my diary, not a market file"


def test_a_failed_write_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = LatestFile(tmp_path / "file")
    file.put({"a": b"1"}, sync=True)
    write = os.write

    def half(fd: int, data: bytes) -> int:
        write(fd, bytes(data)[: len(data) // 2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", half)
    with pytest.raises(OSError, match="No space"):
        file.put({"a": b"2" * 1000}, sync=True)
    monkeypatch.undo()
    assert file.values == {"a": b"1"}
    file.put({"b": b"3"}, sync=True)
    file.close()
    assert LatestFile(tmp_path / "file").values == {"a": b"1", "b": b"3"}


def test_the_latest_values_stand_and_the_file_stays_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keep, "COMPACT_BYTES", 10_000)
    file = LatestFile(tmp_path / "file")
    for n in range(2_000):
        file.put({"x": str(n).encode() * 20, "y": b"%d" % n}, sync=False)
        assert (tmp_path / "file").stat().st_size < 11_000
    file.close()
    again = LatestFile(tmp_path / "file")
    assert again.values == {"x": b"1999" * 20, "y": b"1999"}
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o600


def test_a_folder_has_one_owner(tmp_path: Path) -> None:
    lock = FolderLock(tmp_path / "market")
    with pytest.raises(HomeLocked, match="another market process"):
        FolderLock(tmp_path / "market")
    lock.release()
    FolderLock(tmp_path / "market").release()
