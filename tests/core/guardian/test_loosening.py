"""A change of the settings: what is looser is told as such, kept, and taken back."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from core.alerts.words import ALWAYS
from core.config.looser import loosens
from core.config.settings import GuardianSettings
from core.domain import events as e
from core.domain.commands import LoosenLimits
from core.domain.events import GuardianSettingsChanged, SettingChange
from core.domain.watch import LooserLimitsHeldBack
from core.engine import Engine
from core.guardian.loosening import changes, in_force, written
from core.recording import settings_before
from core.session.views import status
from core.session.wire import encode
from core.state.state import State
from store.journal.journal import SqliteJournal
from tests.contracts.journal import settle, write
from tests.core.kit import T0, of, opened

BEFORE = written(GuardianSettings())


def changed(**settings: object) -> dict[str, bool]:
    found = changes(BEFORE, msgspec.structs.replace(GuardianSettings(), **settings), T0)
    return {one.key: one.loosens for one in found.changes} if found is not None else {}


@pytest.mark.parametrize(
    ("settings", "looser"),
    [
        ({"max_position_frac": 0.3}, True),
        ({"max_position_frac": 0.1}, False),
        ({"min_net_frac": -0.5}, True),
        ({"min_net_frac": 0.0}, False),
        ({"max_net_frac": 2.0}, True),
        ({"duplicate_window_ms": 0}, True),
        ({"duplicate_window_ms": 500}, False),
        ({"stale_after_ms": 5000}, True),
        ({"max_clock_offset_ms": 500}, False),
        ({"min_effective_bets": 1.0}, True),
        ({"min_effective_bets": 3.0}, False),
        ({"min_effective_bets": 0.0}, True),
        ({"effective_bets_above_gross_frac": 1.5}, True),
        ({"volatility_target_frac": 0.2}, False),
        ({"volatility_source": "CBOE:INDEX:VIX-USD"}, True),
        ({"stale_policy": "exit"}, False),
        ({"protective_stop": "off"}, True),
        ({"protective_stop": "place"}, False),
        ({"max_age_s": {"scalp": 600.0}}, True),
        ({"max_age_s": {"scalp": 60.0, "*": 900.0}}, False),
        ({"drawdown_steps": ((0.05, 0.5), (0.10, 0.0))}, True),
        ({"drawdown_steps": ((0.04, 0.5), (0.08, 0.25), (0.10, 0.0))}, False),
        ({"min_liquidation_distance_frac": 0.05}, True),
        ({"max_daily_loss_frac": 0.08}, True),
        ({"max_order_quantity": {"X": Decimal(5)}}, False),
    ],
)
def test_looser_or_tighter(settings: dict[str, object], looser: bool) -> None:
    assert changed(**settings) == {next(iter(settings)): looser}


@pytest.mark.parametrize(
    ("old", "new", "looser"),
    [('{"X":"5"}', '{"X":"6"}', True), ('{"X":"5"}', '{"X":"4","Y":"1"}', False), ('{"X":"5"}', "{}", True)],
)
def test_bounds_by_instrument(old: str, new: str, looser: bool) -> None:
    assert loosens("max_order_quantity", old, new) is looser


@pytest.mark.parametrize(("old", "new", "looser"), [("0.2", "0.0", True), ("0.2", "0.4", True), ("0.2", "0.1", False)])
def test_no_volatility_target_is_the_loosest(old: str, new: str, looser: bool) -> None:
    assert loosens("volatility_target_frac", old, new) is looser


def test_a_limit_that_is_gone_is_looser() -> None:
    found = changes({**BEFORE, "max_daily_risk": "0.05"}, GuardianSettings(), T0)
    assert found is not None
    assert found.changes == (SettingChange("max_daily_risk", "0.05", "", True),)


def test_the_first_run_loosens_nothing_and_the_same_again_is_no_change() -> None:
    first = changes({}, GuardianSettings(), T0)
    assert first is not None
    assert not any(one.loosens for one in first.changes)
    assert first.who
    assert changes(BEFORE, GuardianSettings(), T0) is None


def event(key: str, old: str, new: str, looser: bool) -> GuardianSettingsChanged:
    return GuardianSettingsChanged((SettingChange(key, old, new, looser),), "ann", "config.toml", T0)


def test_a_loosening_stays_until_it_is_taken_back_and_over_a_checkpoint() -> None:
    state = State()
    state.apply(event("max_gross_frac", "", "2.0", False))
    state.apply(event("max_gross_frac", "2.0", "4.0", True))
    state.apply(event("max_net_frac", "1.0", "0.5", False))
    state = State.from_image(state.image())
    assert state.limits.settings == {"max_gross_frac": "4.0", "max_net_frac": "0.5"}
    assert status(state, T0, "ok", 0).loosened == ("max_gross_frac 2.0 → 4.0",)
    state.apply(event("max_gross_frac", "4.0", "2.0", False))
    assert status(state, T0, "ok", 0).loosened == ()


def test_a_loosening_in_steps_is_told_from_where_it_began() -> None:
    limits = State().limits
    told = []
    for old, new in [("2.0", "4.0"), ("4.0", "6.0"), ("6.0", "3.0"), ("3.0", "1.5"), ("1.5", "1.8")]:
        limits.changed(event("max_gross_frac", old, new, loosens("max_gross_frac", old, new)))
        told.append(limits.words())
    assert told == [
        ("max_gross_frac 2.0 → 4.0",),
        ("max_gross_frac 2.0 → 6.0",),
        ("max_gross_frac 2.0 → 3.0",),
        (),
        ("max_gross_frac 1.5 → 1.8",),
    ]


def test_a_limit_that_is_gone_and_comes_back_is_held_against_what_it_was() -> None:
    limits = State().limits
    limits.changed(event("max_gross_frac", "2.0", "", True))
    limits.changed(event("max_net_frac", "1.0", "", True))
    assert limits.words() == ("max_gross_frac 2.0 → gone", "max_net_frac 1.0 → gone")
    limits.changed(event("max_gross_frac", "", "4.0", False))
    limits.changed(event("max_net_frac", "", "1.0", False))
    assert limits.words() == ("max_gross_frac 2.0 → 4.0",)


def test_the_alert_names_who_and_what_and_is_silent_about_what_is_tighter() -> None:
    describe = ALWAYS[e.GuardianSettingsChanged]
    found = describe(State(), event("max_gross_frac", "2.0", "4.0", True))
    assert found is not None
    assert found.text == "limits LOOSENED by ann: max_gross_frac 2.0 → 4.0 (config.toml)"
    assert describe(State(), event("max_gross_frac", "4.0", "2.0", False)) is None


# --- the word ---------------------------------------------------------------------------------------------------------


def test_what_is_looser_waits_and_what_is_tighter_does_not() -> None:
    asked = GuardianSettings(max_gross_frac=4.0, max_leverage=10.0, stale_policy="exit", drawdown_steps=())
    chosen, waits = in_force(BEFORE, asked)
    default = GuardianSettings()
    assert chosen == msgspec.structs.replace(
        asked, max_gross_frac=default.max_gross_frac, drawdown_steps=default.drawdown_steps
    )
    assert [(one.key, one.new, one.loosens) for one in waits] == [
        ("max_gross_frac", "4.0", True),
        ("drawdown_steps", "[]", True),
    ]


def test_a_first_start_and_an_unchanged_one_hold_nothing_back() -> None:
    asked = GuardianSettings(max_gross_frac=4.0)
    assert in_force({}, asked) == (asked, ())
    assert in_force(written(asked), asked) == (asked, ())


def test_what_this_program_cannot_keep_is_taken_from_the_file() -> None:
    asked = GuardianSettings(max_gross_frac=4.0)
    assert in_force({**BEFORE, "max_gross_frac": "-1.0"}, asked) == (asked, ())
    chosen, waits = in_force({**BEFORE, "max_gross_frac": "-1.0"}, msgspec.structs.replace(asked, max_net_frac=3.0))
    assert (chosen, [one.key for one in waits]) == (asked, ["max_net_frac"])


def test_the_sentinels_own_settings_are_in_force_with_its_start_and_told() -> None:
    asked = GuardianSettings(engine_silent_after_ms=20_000, sentinel_grace_ms=60_000)
    assert in_force(BEFORE, asked) == (asked, ())
    told = changes(BEFORE, asked, T0)
    assert told is not None
    assert {one.key for one in told.changes if one.loosens} == {"engine_silent_after_ms", "sentinel_grace_ms"}


def loosen(engine: Engine, word: str = "LOOSEN", **settings: str) -> list[Any]:
    return list(engine.process(LoosenLimits(settings, word, "ann", "test", T0)))


def held_back(*keys: str) -> Engine:
    """Return an engine that was started with looser settings."""
    engine = opened()
    engine.process(
        GuardianSettingsChanged(tuple(SettingChange(k, "", v, False) for k, v in BEFORE.items()), "", "", T0)
    )
    engine.process(LooserLimitsHeldBack(tuple(SettingChange(key, BEFORE[key], "4.0", True) for key in keys), T0))
    return engine


def test_the_word_puts_it_in_force_with_the_next_start() -> None:
    engine = held_back("max_gross_frac", "max_net_frac")
    assert status(engine.state, T0, "ok", 0).held_back == ("max_gross_frac 2.0 → 4.0", "max_net_frac 1.0 → 4.0")
    effects = loosen(engine, max_gross_frac="4.0")
    (changed,) = of(effects, GuardianSettingsChanged)
    assert (changed.who, [(one.key, one.new, one.loosens) for one in changed.changes]) == (
        "ann",
        [("max_gross_frac", "4.0", True)],
    )
    (rest,) = of(effects, LooserLimitsHeldBack)
    assert [one.key for one in rest.changes] == ["max_net_frac"]
    view = status(State.from_image(engine.state.image()), T0, "ok", 0)
    assert view.loosened == ("max_gross_frac 2.0 → 4.0 (from the next start)",), "this engine judges by 2.0"
    assert view.held_back == ("max_net_frac 1.0 → 4.0",)
    assert in_force(engine.state.limits.settings, GuardianSettings(max_gross_frac=4.0))[1] == ()
    engine.process(e.EngineStarted(2, "test", "paper", T0))
    assert status(engine.state, T0, "ok", 0).loosened == ("max_gross_frac 2.0 → 4.0",)


def test_the_word_may_be_said_before_the_restart() -> None:
    engine = held_back()
    effects = loosen(engine, max_gross_frac="4.0")
    assert len(of(effects, GuardianSettingsChanged)) == 1
    assert not of(effects, LooserLimitsHeldBack)


@pytest.mark.parametrize(
    ("word", "settings", "says"),
    [
        ("loosen", {"max_gross_frac": "4.0"}, "takes the typed word LOOSEN"),
        ("", {"max_gross_frac": "4.0"}, "takes the typed word LOOSEN"),
        ("LOOSEN", {"max_gross_frac": "1.0"}, "they loosen nothing"),
        ("LOOSEN", {}, "they loosen nothing"),
        ("LOOSEN", {"max_gross_frac": "-4"}, "no settings of the guardian's"),
        ("LOOSEN", {"max_gross_frac": "much"}, "no settings of the guardian's"),
        ("LOOSEN", {"max_grossness": "4"}, "no settings of the guardian's"),
    ],
)
def test_without_the_word_or_a_looser_limit_nothing_changes(word: str, settings: dict[str, str], says: str) -> None:
    engine = held_back("max_gross_frac")
    (refused,) = of(loosen(engine, word, **settings), e.CommandRefused)
    assert says in refused.reason
    assert engine.state.limits.settings == BEFORE
    assert engine.state.limits.held_back_words() == ("max_gross_frac 2.0 → 4.0",)


def test_the_alert_of_what_is_held_back_stands_until_nothing_is() -> None:
    describe = ALWAYS[LooserLimitsHeldBack]
    found = describe(State(), LooserLimitsHeldBack((SettingChange("max_gross_frac", "2.0", "4.0", True),), T0))
    assert found is not None
    assert "loosens max_gross_frac 2.0 → 4.0: NOT in force" in found.text
    assert (found.lasts, found.over) == (True, False)
    over = describe(State(), LooserLimitsHeldBack((), T0))
    assert over is not None
    assert over.over


def test_settings_before_are_those_of_checkpoint_and_tail(tmp_path: Path) -> None:
    journal, looser = (
        SqliteJournal(tmp_path / "journal.sqlite", reserve_bytes=0),
        ("max_gross_frac", "2.0", "4.0", True),
    )
    assert settings_before(journal) == {}
    write(journal, encode(event(*looser)), encode(e.DayStarted(Decimal(1), T0)))
    assert settings_before(journal) == {"max_gross_frac": "4.0"}
    journal.checkpoint(2, encode(held_back().state.image()))
    settle(journal)
    assert settings_before(journal) == BEFORE
    write(journal, encode(event(*looser)))
    assert settings_before(journal) == {**BEFORE, "max_gross_frac": "4.0"}
    journal.close()
