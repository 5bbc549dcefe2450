"""The record of each day's risk: a forecast, and what the day brought; over checkpoints and recovery."""

from decimal import Decimal

import numpy as np
import pytest

from core.domain import events as e
from core.domain.market import Interval
from core.domain.message import Event, Message
from core.domain.order import Side
from core.domain.risk import RiskForecast
from core.engine import Engine
from core.forecasting import LATEST_NS, RiskDesk
from core.state.forecasts import KEPT_DAYS, RiskDay
from core.state.state import State
from tests.core.kit import BTC_PERP, T0, S, fill, opened
from tests.core.risk.test_returns import feed

DAY = 86_400 * S
START = T0 // DAY * DAY


def day(number: int, equity: str) -> e.DayStarted:
    return e.DayStarted(Decimal(equity), START + number * DAY)


def forecast(number: int, var_95: str = "100", var_99: str = "200") -> RiskForecast:
    begun = START + number * DAY
    return RiskForecast(begun, Decimal(var_95), Decimal(var_99), "filtered (EWMA)", begun + S)


def told(*events: Event) -> State:
    state = State()
    for event in events:
        state.apply(event)
    return state


def test_a_day_is_closed_by_the_next_ones_start() -> None:
    state = told(day(0, "1000"), forecast(0), day(1, "900"), forecast(1))
    assert list(state.forecasts.days) == [
        RiskDay(START, 100.0, 200.0, -100.0),
        RiskDay(START + DAY, 100.0, 200.0, None),
    ]


def test_capital_that_came_is_no_profit() -> None:
    state = told(day(0, "1000"), forecast(0), day(0, "1500"), day(1, "1490"))
    assert state.forecasts.days[-1].profit == -10.0


def test_days_in_which_the_engine_slept_belong_to_no_forecast() -> None:
    state = told(day(0, "1000"), forecast(0), day(1, "1010"), day(3, "900"), forecast(3), day(4, "905"))
    assert [one.profit for one in state.forecasts.days] == [10.0, 5.0]


def test_a_day_has_one_forecast() -> None:
    state = told(day(0, "1000"), forecast(0), forecast(0, "1", "2"))
    assert [one.var_95 for one in state.forecasts.days] == [100.0]


def test_the_record_is_bounded_and_survives_a_checkpoint() -> None:
    state = State()
    for number in range(KEPT_DAYS + 5):
        state.apply(day(number, "1000"))
        state.apply(forecast(number))
    restored = State.from_image(state.image())
    assert len(restored.forecasts.days) == KEPT_DAYS
    restored.apply(day(KEPT_DAYS + 5, "990"))
    assert restored.forecasts.days[-1].profit == -10.0
    assert state.image(client=True).forecasts == ()


# --- who forecasts ----------------------------------------------------------------------------------------------------


def held(hours: int = 300) -> Engine:
    """Return an engine with a long position and hours of history, a second into its day."""
    engine = opened()
    walk = np.random.Generator(np.random.PCG64(1)).normal(0, 0.005, hours)
    feed(engine.state, BTC_PERP, (60_000 * np.exp(np.cumsum(walk))).tolist(), Interval.H1)
    engine.process(fill(BTC_PERP, Side.BUY, "0.1", "60000", "f"))
    return engine


async def made(engine: Engine, after: int = S) -> list[Message]:
    told: list[Message] = []
    desk = RiskDesk(engine, told.append)
    now = engine.state.day_started + after
    if desk.is_due(now):
        await desk.forecast(now)
        assert not desk.is_due(now + S), "not again at once"
    return told


async def test_what_is_held_is_forecast_at_the_days_start() -> None:
    engine = held()
    (event,) = await made(engine)
    assert isinstance(event, RiskForecast)
    assert event.day == engine.state.day_started
    sigma = 0.1 * 60_000 * 0.005 * 24**0.5
    assert 1.0 * sigma < float(event.var_95) < 3.5 * sigma
    assert event.var_95 < event.var_99
    engine.process(event)
    assert not RiskDesk(engine).is_due(engine.state.day_started + 2 * 60 * S)


@pytest.mark.parametrize("after", [LATEST_NS + 1])
async def test_a_day_that_is_half_over_is_not_forecast(after: int) -> None:
    assert await made(held(), after) == []


async def test_too_short_a_history_forecasts_nothing_and_nothing_held_is_nothing_at_risk() -> None:
    assert await made(held(hours=50)) == []
    (event,) = await made(opened())
    assert isinstance(event, RiskForecast)
    assert event.var_99 == 0
