"""A disk that is full, and one that fails: the reserve, the answers, the order."""

import ctypes
import os
import shutil
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from core.errors import DiskFull, StoreError
from store.journal.journal import SqliteJournal, reserve_path
from store.journal.reserve import Reserve, free_bytes
from store.journal.writer import JournalHealth, Limits
from tests.contracts.journal import Answers, settle, write
from tests.store.journal.images import NAME, everything

MB = 1 << 20
MNT_DETACH = 2
ROOT = Path(__file__).parents[3]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Return a disk of 8 MB that is really full when it is full."""
    folder = tmp_path / "disk"
    folder.mkdir()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"tmpfs", bytes(folder), b"tmpfs", 0, b"size=8m") != 0:
        pytest.skip("needs the right to mount a small disk (root); test_no_room_in_the_file is its twin")
    yield folder
    # Detached: a test that failed may have left its journal open.
    assert libc.umount2(bytes(folder), MNT_DETACH) == 0


def fill(disk: Path, leave: int = 0) -> Path:
    """Take all free space of a disk but ``leave`` bytes."""
    filler = disk / "filler"
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, free_bytes(disk) - leave)
    return filler


def until(journal: SqliteJournal, reached: Callable[[JournalHealth], bool]) -> JournalHealth:
    """Wait for a state of the journal."""
    deadline = time.monotonic() + 60
    while not reached(journal.health):
        assert time.monotonic() < deadline, journal.health
        time.sleep(0.01)
    return journal.health


class TestFullDisk:
    def test_the_reserve_is_given_up_for_the_next_record(self, disk: Path) -> None:
        journal = SqliteJournal(disk / NAME, reserve_bytes=MB)
        assert journal.health.reserve_intact
        write(journal, b"before")
        fill(disk)
        write(journal, *[b"x" * 1000] * 100)
        health = journal.health
        assert not health.reserve_intact
        assert not health.failing
        assert "no space left" in health.last_error
        assert not reserve_path(journal.path).exists()
        journal.close()

    def test_without_a_reserve_left_it_is_said_and_order_is_kept(self, disk: Path) -> None:
        journal = SqliteJournal(disk / NAME, reserve_bytes=MB, limits=Limits(retry_seconds=0.05))
        filler = fill(disk)
        answers, payloads = Answers(), [b"%06d" % number * 1000 for number in range(400)]
        for number, payload in enumerate(payloads):
            journal.append([payload], answers.done(number))
            settle(journal)
        errors = [error for _, error in answers.heard if error is not None]
        assert 0 < len(errors) < 400
        assert all(isinstance(error, DiskFull) for error in errors)
        assert [error is None for _, error in answers.heard] == sorted(
            (error is None for _, error in answers.heard), reverse=True
        )
        health = journal.health
        assert health.failing
        assert health.complaint.startswith("no space left for")
        filler.unlink()
        assert until(journal, lambda health: health.lag == 0).durable == 400
        assert until(journal, lambda health: health.reserve_intact).complaint == ""
        journal.close()
        assert everything(disk / NAME) == payloads

    def test_a_low_disk_is_said_in_figures(self, disk: Path) -> None:
        journal = SqliteJournal(disk / NAME, reserve_bytes=4 * MB)
        fill(disk, leave=MB + 1000)
        health = until(journal, lambda health: health.free_bytes < 2 * MB)
        assert health.complaint == "1 MB free, reserve is 4 MB: entries denied, exits allowed"
        journal.close()

    def test_a_full_disk_with_a_reserve_can_still_be_opened(self, disk: Path) -> None:
        journal = SqliteJournal(disk / NAME, reserve_bytes=MB)
        write(journal, b"before")
        journal.close()
        fill(disk)
        again = SqliteJournal(disk / NAME, reserve_bytes=MB)
        assert not again.health.reserve_intact
        again.start_run()
        assert write(again, b"after") == 2
        again.close()

    def test_a_full_disk_without_a_reserve_cannot(self, disk: Path) -> None:
        journal = SqliteJournal(disk / NAME, reserve_bytes=0)
        journal.close()
        fill(disk)
        with pytest.raises(StoreError):
            SqliteJournal(disk / NAME, reserve_bytes=0)

    def test_no_journal_is_begun_on_a_full_disk(self, disk: Path) -> None:
        fill(disk)
        with pytest.raises(StoreError):
            SqliteJournal(disk / NAME, reserve_bytes=0)


class TestTakenAway:
    @pytest.mark.parametrize("what", ["folder", "file", "replaced"])
    def test_a_journal_whose_file_is_gone_is_no_full_disk(self, tmp_path: Path, what: str) -> None:
        folder = tmp_path / "journal"
        folder.mkdir()
        journal = SqliteJournal(folder / NAME, reserve_bytes=MB)
        write(journal, b"before")
        assert journal.complaint == ""
        if what == "folder":
            shutil.rmtree(folder)
        else:
            journal.path.unlink()
        if what == "replaced":
            journal.path.write_bytes(b"another")
        health = until(journal, lambda health: bool(health.gone))
        assert health.complaint == (
            f"the journal {journal.path} was taken away, restart the engine: entries denied, exits allowed"
        )
        journal.close()


class TestReserve:
    def test_it_takes_its_space_and_is_found_again(self, tmp_path: Path) -> None:
        reserve = Reserve(tmp_path / "r", MB)
        assert not reserve.intact
        assert reserve.build()
        assert reserve.build()
        assert (tmp_path / "r").stat().st_blocks * 512 >= MB
        assert Reserve(tmp_path / "r", MB).intact
        assert reserve.release()
        assert not reserve.release()
        assert not (tmp_path / "r").exists()

    @pytest.mark.parametrize("size", [0, 2 * MB])
    def test_one_of_another_size_is_replaced(self, tmp_path: Path, size: int) -> None:
        Reserve(tmp_path / "r", MB).build()
        assert not Reserve(tmp_path / "r", size).intact
        assert not (tmp_path / "r").exists()

    def test_a_hole_in_a_file_is_no_reserve(self, tmp_path: Path) -> None:
        with (tmp_path / "r").open("wb") as file:
            file.truncate(MB)
        assert not Reserve(tmp_path / "r", MB).intact

    def test_building_it_never_fills_the_disk(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("store.journal.reserve.free_bytes", lambda folder: 2 * MB - 1)
        assert not Reserve(tmp_path / "r", MB).build()

    def test_a_disk_that_fills_meanwhile_leaves_nothing(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "r").symlink_to("/dev/full")
        reserve = Reserve(tmp_path / "absent" / "r", MB)
        monkeypatch.setattr("store.journal.reserve.free_bytes", lambda folder: 4 * MB)
        assert not reserve.build()

    def test_a_disk_that_does_not_answer_has_nothing_free(self, tmp_path: Path) -> None:
        assert free_bytes(tmp_path / "absent") == 0

    def test_one_that_cannot_be_removed_helps_nobody(self, tmp_path: Path) -> None:
        (tmp_path / "r").mkdir()
        reserve = Reserve(tmp_path / "r", MB)
        reserve.intact = True
        assert not reserve.release()


@pytest.mark.parametrize("rows", [1, 40])
def test_no_room_in_the_file_gives_up_the_reserve_and_says_disk_full(tmp_path: Path, rows: int) -> None:
    """SQLite's own bound on the file raises the very error of a full disk, also without root."""
    journal = SqliteJournal(tmp_path / NAME, reserve_bytes=MB)
    write(journal, b"before")
    db = journal._file._db
    pages = db.execute("PRAGMA page_count").fetchone()[0]
    db.execute(f"PRAGMA max_page_count = {pages}")
    answers = Answers()
    journal.append([b"x" * 10_000] * rows, answers.done())
    assert isinstance(settle(journal), DiskFull)
    assert isinstance(answers.heard[0][1], DiskFull)
    assert not journal.health.reserve_intact
    db.execute("PRAGMA max_page_count = 1000000")
    assert write(journal, b"after") == rows + 2
    assert [len(record.payload) for record in journal.read()] == [6, *[10_000] * rows, 5]
    until(journal, lambda health: health.reserve_intact)
    journal.close()


def test_a_failing_disk_is_heard_and_the_line_goes_on_when_it_recovers(tmp_path: Path) -> None:
    """Past the process's bound on file size every write is a real I/O error of the kernel."""
    script = """
        import resource, sys
        from pathlib import Path
        from store.journal.journal import SqliteJournal
        from tests.contracts.journal import Answers, settle, write
        journal = SqliteJournal(Path(sys.argv[1]), reserve_bytes=0)
        write(journal, b"first")
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (65536, hard))
        answers = Answers()
        for number in range(40):
            journal.append([b"%d" % number * 2000], answers.done(number))
            settle(journal)
        failed = [name for name, error in answers.heard if error is not None]
        assert failed and failed == list(range(failed[0], 40)), failed
        assert {type(error).__name__ for _, error in answers.heard if error} == {"StoreError"}
        assert "I/O error" in journal.health.complaint, journal.health
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        write(journal, b"last")
        assert len(list(journal.read())) == 42
        journal.close()
        print("went on behind", failed[0])
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), str(tmp_path / NAME)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.stdout.startswith("went on behind"), done.stderr
    assert [payload[:1] for payload in everything(tmp_path / NAME)][:2] == [b"f", b"0"]
