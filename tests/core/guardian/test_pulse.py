"""The page of heartbeats: what one side writes the other reads, in a process of its own too."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from core.domain.approval import TradingState
from core.errors import StoreError
from core.guardian.pulse import EnginePhase, Phase, Pulse, boottime, owner_of


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "pulse"


def test_a_beat_is_read_by_the_other_side(path: Path) -> None:
    engine, sentinel = Pulse(path), Pulse(path)
    assert sentinel.engine().phase is EnginePhase.NONE
    engine.begin()
    assert sentinel.engine().phase is EnginePhase.STARTING
    before = boottime()
    engine.beat(5, 1234, TradingState.HALTED, before, reconciled=True)
    beat = sentinel.engine()
    assert (beat.phase, beat.pid, beat.run, beat.sequence) == (EnginePhase.RUNNING, os.getpid(), 5, 1234)
    assert (beat.state, beat.reconciled, beat.looked) == (TradingState.HALTED, True, before)
    assert before <= beat.stamp <= boottime()
    engine.end()
    assert sentinel.engine().phase is EnginePhase.ENDED


def test_a_start_takes_back_what_the_last_engine_said_of_its_venues(path: Path) -> None:
    page = Pulse(path)
    page.beat(1, 1, TradingState.ACTIVE, 1, reconciled=True)
    page.begin()
    assert not page.engine().reconciled


def test_the_lease_bars_from_the_moment_it_is_taken(path: Path) -> None:
    engine, sentinel = Pulse(path), Pulse(path)
    seen = [engine.barred]
    sentinel.take()
    since = sentinel.sentinel().lease
    sentinel.take()
    seen.append(engine.barred)
    assert sentinel.sentinel().lease == since > 0
    sentinel.release()
    assert [*seen, engine.barred] == [False, True, False]


def test_words_of_any_length_and_kind_fit(path: Path) -> None:
    page = Pulse(path)
    for words in ("short", "ä" * 1000, "then short again", ""):
        page.watching(Phase.FLATTENING, words)
        assert page.sentinel().did.rstrip("�") == words[:239]
    assert page.sentinel().phase is Phase.FLATTENING


def test_a_page_of_another_layout_begins_anew(path: Path) -> None:
    path.write_bytes(b"\xff" * 4096)
    path.chmod(0o600)
    assert Pulse(path).engine().phase is EnginePhase.NONE
    assert not Pulse(path).barred


def test_what_others_can_write_is_refused(path: Path) -> None:
    path.write_bytes(b"")
    path.chmod(0o666)
    with pytest.raises(StoreError, match="must be a file of yours with mode 0600"):
        Pulse(path)
    link = path.with_name("link")
    link.symlink_to(path)
    with pytest.raises(StoreError, match="cannot be used"):
        Pulse(link)


def test_the_page_outlives_who_wrote_it_and_a_stopped_process_sees_the_lease_when_it_goes_on(path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from core.guardian.pulse import Pulse\n"
        "page = Pulse(Path(sys.argv[1])); page.begin(); print('begun', flush=True)\n"
        "sys.stdin.readline(); print(page.barred, flush=True)"
    )
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", code, str(path)], stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGSTOP)
        page = Pulse(path)
        assert page.engine().pid == process.pid
        page.take()
        process.send_signal(signal.SIGCONT)
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline() == "True\n"
    assert page.engine().phase is EnginePhase.STARTING


def test_a_page_names_its_home(path: Path, tmp_path: Path) -> None:
    Pulse(path, tmp_path)
    assert owner_of(path) == tmp_path
    assert owner_of(tmp_path / "none") is None


def test_a_page_that_one_side_has_closed_stays_for_the_other(path: Path) -> None:
    engine, sentinel = Pulse(path), Pulse(path)
    engine.begin(7)
    engine.close()
    assert sentinel.engine().run == 7
    with pytest.raises(ValueError, match="released"):
        engine.begin()


def test_a_page_that_was_taken_away_is_there_again_for_both_sides_and_for_who_starts_next(path: Path) -> None:
    engine, sentinel = Pulse(path), Pulse(path)
    engine.begin()
    sentinel.take()
    assert not engine.renew()
    path.unlink()
    assert engine.renew()
    assert sentinel.renew()
    assert not engine.renew()
    assert Pulse(path).engine().phase is EnginePhase.STARTING
    assert Pulse(path).barred
    engine.beat(7, 1, TradingState.ACTIVE, 1, reconciled=True)
    assert sentinel.engine().run == 7
    sentinel.release()
    assert not engine.barred
    assert list(path.parent.iterdir()) == [path]


def test_a_page_in_whose_place_is_another_is_left_for_that_one(path: Path) -> None:
    engine = Pulse(path)
    path.unlink()
    Pulse(path).take()
    assert engine.renew()
    assert engine.barred


def test_a_page_that_cannot_be_made_again_is_kept_until_it_can(path: Path) -> None:
    engine, other = Pulse(path), path.with_name("other")
    path.rename(other)
    path.mkdir()
    assert not engine.renew()
    engine.begin()
    assert Pulse(other).engine().phase is EnginePhase.STARTING
    path.rmdir()
    assert engine.renew()
    assert Pulse(path).engine().phase is EnginePhase.STARTING
