"""When the account's day begins: another hour in the settings or a clock that steps forgets nothing, holds nothing."""

from decimal import Decimal

import pytest

from core.domain import commands as c
from core.domain import events as e
from core.domain import market as m
from core.domain.approval import TradingState
from core.domain.message import Nanoseconds
from core.domain.order import Side
from core.engine import Engine
from core.guardian.watch.account import day_base
from core.state.account import day_return
from tests.core.kit import BTC_PERP, T0, S, fill, of, opened, quote

HOUR: Nanoseconds = 3600 * S
DAY: Nanoseconds = 24 * HOUR
MIDNIGHT: Nanoseconds = T0 - T0 % DAY
"""T0 is 22:13 UTC."""


def lost(engine: Engine, amount: int = 4000) -> Engine:
    """Lose an amount of 100 000 by one trade that is over."""
    engine.process(fill(BTC_PERP, Side.BUY, "1", "60000", "in"))
    engine.process(fill(BTC_PERP, Side.SELL, "1", str(60_000 - amount), "out"))
    return engine


def moved(engine: Engine, hour: int, now: Nanoseconds) -> Engine:
    """Start again with another hour in the settings."""
    again = Engine(engine.guardian, strict=True, day_start=hour * HOUR)
    again.restore(engine.state.image())
    again.process(quote(BTC_PERP, 59_999.9, 60_000.1, now))
    return again


def days(engine: Engine, now: Nanoseconds) -> list[Nanoseconds]:
    """Return the days that a timer has begun."""
    return [event.ts for event in of(engine.process(m.Timer(now)), e.DayStarted)]


@pytest.mark.parametrize(("before", "after"), [(22, 0), (0, 22), (9, 13), (13, 9), (0, 23)])
def test_another_hour_in_the_settings_forgets_no_loss_and_holds_no_day(before: int, after: int) -> None:
    engine = lost(opened(day_start=before * HOUR))
    begun = engine.state.day_started
    again = moved(engine, after, T0 + S)
    for hour in range(3):
        again.process(m.Timer(min(T0 + S + hour * HOUR, begun + DAY - 1)))
        assert day_return(again.state, again.state.equity) == pytest.approx(-0.04)
    first = begun + DAY + (after - before) % 24 * HOUR
    assert days(again, first - 1) == []
    assert day_return(again.state, again.state.equity) == pytest.approx(-0.04)
    assert days(again, first) == [first]
    assert (first % DAY, day_return(again.state, again.state.equity)) == (after * HOUR, 0.0)
    assert days(again, first + DAY - 1) == []
    assert days(again, first + DAY) == [first + DAY]


def test_a_clock_that_steps_back_over_midnight_and_forth_again_forgets_no_loss() -> None:
    engine = opened()
    assert days(engine, MIDNIGHT + DAY) == [MIDNIGHT + DAY]
    lost(engine)
    for now in (MIDNIGHT + DAY + HOUR, MIDNIGHT + DAY - 1, MIDNIGHT + DAY + HOUR + S):
        assert days(engine, now) == []
        assert day_return(engine.state, engine.state.equity) == pytest.approx(-0.04)
    assert days(engine, MIDNIGHT + 2 * DAY) == [MIDNIGHT + 2 * DAY]


def test_a_day_that_a_clock_has_begun_too_early_goes_back_with_it() -> None:
    engine = lost(opened())
    engine.process(m.Timer(T0 + S))
    assert days(engine, T0 + 30 * DAY) == [MIDNIGHT + 30 * DAY]
    engine.process(fill(BTC_PERP, Side.BUY, "1", "60000", "in2"))
    engine.process(fill(BTC_PERP, Side.SELL, "1", "59000", "out2"))
    assert days(engine, T0 + 2 * S) == [MIDNIGHT]
    assert day_return(engine.state, engine.state.equity) == pytest.approx(-1000 / 96_000)
    assert engine.state.day_profit == pytest.approx(-1000)
    assert days(engine, T0 + 3 * S) == []
    assert days(engine, MIDNIGHT + DAY) == [MIDNIGHT + DAY]


@pytest.mark.parametrize("early", [False, True], ids=["of the right day", "of the day too early"])
def test_what_was_accepted_counts_in_the_day_that_it_was_accepted_in(early: bool) -> None:
    engine = lost(opened(), 9000)
    if early:
        engine.process(m.Timer(T0 + 30 * DAY))
        engine.process(fill(BTC_PERP, Side.BUY, "1", "60000", "in2"))
        engine.process(fill(BTC_PERP, Side.SELL, "1", "51000", "out2"))
    engine.process(m.Timer(engine.state.now))
    engine.process(c.SetTradingState(TradingState.ACTIVE, word="RESUME", who="me", ts=engine.state.now))
    if not early:
        engine.process(m.Timer(T0 + 30 * DAY))
    engine.process(m.Timer(T0 + 2 * S))
    assert day_base(engine.state) == pytest.approx(engine.state.equity)
    assert (engine.state.watched.accepted == Decimal(9000)) is early
