"""The account over time: a point a minute and one an hour, bounded, and what of it outlives what."""

from decimal import Decimal

import msgspec

from core.domain import events as e
from core.domain import market as m
from core.engine import Engine
from core.state.curve import HOUR_NS, HOURS, MINUTE_NS, MINUTES, Curve
from core.state.state import State, StateImage
from tests.core.kit import T0, opened

DAY = T0 // HOUR_NS * HOUR_NS


def test_a_minute_keeps_its_last_equity_and_its_deepest_drawdown() -> None:
    curve = Curve()
    for second, equity in ((1, 100.0), (20, 90.0), (59, 99.0), (60, 98.0)):
        curve.marked(m.AccountMarked(equity, 0.0, 0.0, 0.0, DAY + second * 1_000_000_000), 100.0)
    assert [(point.equity, round(point.drawdown, 6)) for point in curve.minutes] == [(99.0, 0.1), (98.0, 0.02)]
    assert round(curve.worst, 6) == 0.1


def test_both_series_are_bounded() -> None:
    curve = Curve()
    for minute in range(MINUTES + 50):
        curve.marked(m.AccountMarked(float(minute), 0.0, 0.0, 0.0, DAY + minute * MINUTE_NS), 0.0)
    for hour in range(HOURS + 7):
        curve.noted(e.EquityNoted(Decimal(hour), 0.0, DAY + hour * HOUR_NS))
    assert (len(curve.minutes), curve.minutes[0].equity) == (MINUTES, 50.0)
    assert (len(curve.hours), curve.hours[0].equity) == (HOURS, 7.0)
    assert curve.points(hours=True)[-1].equity == float(HOURS + 6), "what is older than the last hour adds nothing"


def timed(engine: Engine, start: int, seconds: range) -> list[e.EquityNoted]:
    noted = []
    for second in seconds:
        effects = engine.process(m.Timer(start + second * 1_000_000_000))
        noted += [effect for effect in effects if isinstance(effect, e.EquityNoted)]
    return noted


def test_the_engine_notes_every_hour_once_and_not_the_first_moment() -> None:
    engine = opened()
    start = (engine.state.now // HOUR_NS + 1) * HOUR_NS
    noted = timed(engine, start, range(1, 3 * 3_600 + 60, 30))
    assert len(noted) in {3, 4}, "the hour in which the account was first marked may end before"
    assert [event.ts // HOUR_NS for event in noted] == sorted({event.ts // HOUR_NS for event in noted})
    assert noted[-1].equity == Decimal(repr(round(engine.state.equity, 8)))
    assert [event.ts for event in noted] == [point.ts for point in engine.state.curve.hours]
    assert len({point.ts // MINUTE_NS for point in engine.state.curve.minutes}) == len(engine.state.curve.minutes) > 180


def test_hours_come_back_from_the_journal_and_minutes_from_a_checkpoint() -> None:
    engine = opened()
    start = (engine.state.now // HOUR_NS + 1) * HOUR_NS
    noted = timed(engine, start, range(1, 2 * 3_600 + 60, 60))
    recovered = State()
    for event in noted:
        recovered.apply(event)
    assert tuple(recovered.curve.hours) == tuple(engine.state.curve.hours) != ()
    assert not recovered.curve.minutes, "after a kill the minutes are a hole, not a guess"
    image = msgspec.msgpack.decode(msgspec.msgpack.encode(engine.state.image()), type=StateImage)
    restarted = State.from_image(image)
    assert restarted.curve.image() == engine.state.curve.image()
    assert len(restarted.curve.minutes) > 100
    last = restarted.curve.minutes[-1].ts
    assert not restarted.curve.hour_is_over(last)
    assert restarted.curve.hour_is_over(last + HOUR_NS), "an hour that ended while nothing ran is noted at the start"
    assert not engine.state.image(client=True).curve.minutes, "a terminal asks for what it draws"


def test_an_account_with_a_price_missing_has_no_point() -> None:
    state = State()
    assert state.curve.points(hours=False) == ()
    assert not state.curve.hour_is_over(DAY)
    state.apply(m.AccountMarked(90.0, 0.0, 0.0, 0.0, DAY))
    state.apply(e.PeakRaised(Decimal(100), DAY))
    state.apply(m.AccountMarked(90.0, 0.0, 0.0, 0.0, DAY + MINUTE_NS))
    assert [round(point.drawdown, 6) for point in state.curve.minutes] == [0.0, 0.1]
