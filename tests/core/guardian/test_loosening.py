"""A change of the settings: what is looser is told as such, kept, and taken back."""

from decimal import Decimal

import msgspec
import pytest

from core.alerts.words import ALWAYS
from core.config.settings import GuardianSettings
from core.domain import events as e
from core.domain.events import GuardianSettingsChanged, SettingChange
from core.guardian.loosening import changes, loosens, written
from core.session.views import status
from core.state.state import State
from tests.core.kit import T0

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


def test_the_alert_names_who_and_what_and_is_silent_about_what_is_tighter() -> None:
    describe = ALWAYS[e.GuardianSettingsChanged]
    found = describe(State(), event("max_gross_frac", "2.0", "4.0", True))
    assert found is not None
    assert found.text == "limits LOOSENED by ann: max_gross_frac 2.0 → 4.0"
    assert describe(State(), event("max_gross_frac", "4.0", "2.0", False)) is None
