"""The drill: the true way, in a house of its own; the trader's home stays as it was."""

import json
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
    assert last_drill(home) == result
    assert all(services.running(home, role) is None for role in Role)
    assert not home.journal.exists(), "the trader's own books are not touched"
    assert not home.lease.exists()


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
