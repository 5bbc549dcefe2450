"""The drill: the true way, in a house of its own; the trader's home stays as it was."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from desk import drilling
from desk.output import Refused
from desk.paths import Home, Role
from desk.roles import services
from desk.roles.sitter import DrillResult, last_drill


def test_a_drill_measures_both_ways_and_is_remembered(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    result = drilling.drill(home)
    assert 0 < result.exit_s <= result.flat_s
    assert result.sentinel_flat_s > 3.0, "the grace is in it"
    drilling.keep(home, result)
    assert last_drill(home) == result
    assert all(services.running(home, role) is None for role in Role)
    assert not home.journal.exists(), "the trader's own books are not touched"
    assert not home.lease.exists()


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGHUP])
def test_whoever_is_told_to_end_takes_the_scratch_house_along(tmp_path: Path, ending: signal.Signals) -> None:
    handlers = [signal.getsignal(one) for one in drilling.ENDINGS]
    made: list[Home] = []

    def ended() -> None:
        with drilling._scratch(Home(tmp_path)) as scratch:
            made.append(scratch)
            services.start(scratch, Role.MARKET)
            os.kill(os.getpid(), ending)
            time.sleep(60)

    with pytest.raises(SystemExit) as left:
        ended()
    assert left.value.code == 128 + ending
    assert services.running(made[0], Role.MARKET) is None
    assert not made[0].root.exists()
    assert [signal.getsignal(one) for one in drilling.ENDINGS] == handlers


def test_a_drill_that_is_ended_leaves_nothing_behind(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "desk", "drill", "--home", str(tmp_path / "home")]
    (tmp_path / "scratch").mkdir()
    process = subprocess.Popen(
        words, env={**os.environ, "TMPDIR": str(tmp_path / "scratch")}, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    assert "a scratch house runs" in process.stderr.readline()
    (scratch,) = (tmp_path / "scratch").iterdir()
    pids = [found.pid for role in drilling.ROLES if (found := services.running(Home(scratch), role))]
    assert len(pids) == len(drilling.ROLES)
    process.terminate()
    assert process.wait(120) == 128 + signal.SIGTERM
    process.stderr.close()
    assert not scratch.exists()
    assert not any(b"desk" in _line(pid) for pid in pids)


def _line(pid: int) -> bytes:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def test_the_words_say_date_and_times() -> None:
    words = DrillResult("2026-11-20", 0.02, 0.94, 3.61).words
    assert words == "drill 2026-11-20: breach → flat 0.9 s, dead → flat 3.6 s"


def test_a_result_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    home = Home(tmp_path).create()
    assert last_drill(home) is None
    home.drill.write_text(json.dumps({"date": 3}))
    assert last_drill(home) is None


def test_a_live_engine_is_not_drilled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = Home(tmp_path).create()
    monkeypatch.setattr(drilling, "talk", lambda *_: _Live)
    with services.holding(home, Role.ENGINE), pytest.raises(Refused, match="trades live: a drill is for paper"):
        drilling.drill(home)


class _Live:
    """What an engine in a live mode answers."""

    mode = "live"
