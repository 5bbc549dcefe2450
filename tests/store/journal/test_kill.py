"""kill -9 of a writing process at random moments: what was acknowledged is there, whole and in order."""

import random
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from store.journal.journal import SqliteJournal
from store.journal.tools import check
from tests.store.journal.images import NAME

ROOT = Path(__file__).parents[3]

# Every record says its own number; appends of 1 to 5 records, a checkpoint now and then; acknowledged ends are printed.
WRITER = """
    import os, sys, threading
    from pathlib import Path
    from store.journal.journal import SqliteJournal
    journal = SqliteJournal(Path(sys.argv[1]), reserve_bytes=1 << 16)
    os.write(1, b"run %d\\n" % journal.start_run())
    window, last = threading.Semaphore(64), journal.health.durable
    def done(end):
        def tell(error):
            window.release()
            if error is None:
                os.write(1, b"%d\\n" % end)
        return tell
    for turn in range(10_000_000):
        window.acquire()
        size = turn % 5 + 1
        payloads = [b"record %d " % number * 20 for number in range(last + 1, last + size + 1)]
        last += size
        assert journal.append(payloads, done(last)) == last
        if turn % 50 == 49:
            journal.checkpoint(last, b"ledger after %d" % last)
            journal.prune(last - 2_000)
"""


def write_and_kill(path: Path, seconds: float) -> tuple[int, int]:
    """Run a writer, kill it, and return its run number and the last record it saw acknowledged."""
    writer = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(WRITER), str(path)], cwd=ROOT, stdout=subprocess.PIPE
    )
    assert writer.stdout is not None
    run = int(writer.stdout.readline().split()[1])
    time.sleep(seconds)
    writer.send_signal(signal.SIGKILL)
    said = writer.stdout.read().split(b"\n")
    writer.stdout.close()
    assert writer.wait() == -signal.SIGKILL
    # The last line may be cut; the ones before it are whole.
    acknowledged = [int(line) for line in said[:-1]]
    assert acknowledged == sorted(acknowledged)
    return run, acknowledged[-1] if acknowledged else 0


def kill_again_and_again(path: Path, times: int, chance: random.Random) -> None:
    """Kill writers one after the other on the same journal and look at it after each."""
    runs: list[int] = []
    acknowledged = 0
    kills = 0
    while kills < times or (acknowledged <= times and kills < 5 * times):  # a slow disk needs more lives
        kills += 1
        run, seen = write_and_kill(path, chance.uniform(0, 0.06))
        runs.append(run)
        acknowledged = max(acknowledged, seen)
        report = check(path)
        assert report.damage is None
        assert report.last_sequence >= acknowledged
        journal = SqliteJournal(path, reserve_bytes=0)
        expected = report.pruned
        for expected, record in enumerate(journal.read(), report.pruned + 1):
            assert record.sequence == expected
            assert record.payload == b"record %d " % expected * 20
        assert expected >= acknowledged
        if (checkpoint := journal.last_checkpoint()) is not None:
            assert checkpoint.image == b"ledger after %d" % checkpoint.sequence
            assert report.pruned <= checkpoint.sequence <= expected
        runs.append(journal.start_run())
        journal.close()
    assert runs == sorted(set(runs)), "a run number came twice"
    assert acknowledged > times


def test_ten_kills(tmp_path: Path) -> None:
    kill_again_and_again(tmp_path / NAME, 10, random.Random(7))


@pytest.mark.long
def test_two_hundred_kills(tmp_path: Path) -> None:
    kill_again_and_again(tmp_path / NAME, 200, random.Random(11))
