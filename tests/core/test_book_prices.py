"""Prices that come by the book alone: guardian, brackets, waiting orders and strategies hear of them as of quotes."""

from collections.abc import Iterable

from core.domain import commands as c
from core.domain import events as e
from core.domain import market as m
from core.domain.identifiers import StrategyId
from core.domain.message import Command, Message
from core.domain.order import OrderType, Side, StopLoss
from core.engine import Engine
from core.outbox import Effect, Resync
from core.ports import Abilities
from core.state.state import State
from tests.core.guardian.watch.kit import acted, long, watched
from tests.core.kit import BTC_PERP, PERP, T0, D, S, fill, of, opened, order, quote, sent, submit

HOUR = 3_600_000_000_000
PLAIN = {PERP: Abilities(amend=True)}


def booked(engine: Engine) -> Engine:
    """Give BTC-USDT-PERP a whole book at 59 999 and 60 001."""
    engine.process(m.BookSnapshot(BTC_PERP.id, ((59_999.0, 1.0),), ((60_001.0, 1.0),), 100, True, T0, T0))
    return engine


def moved(engine: Engine, number: int, bid: float, before: float = 59_999.0) -> list[Effect]:
    """Move the best bid from where it was, and the best ask with it; return what came of it."""
    bids, asks = ((before, 0.0), (bid, 1.0)), ((before + 2.0, 0.0), (bid + 2.0, 1.0))
    return list(engine.process(m.BookDelta(BTC_PERP.id, bids, asks, number, number, m.NO_ID, T0, T0)))


def test_the_guardian_judges_a_position_by_it() -> None:
    engine = booked(long(watched(max_position_loss_frac=0.02)))
    assert not acted(moved(engine, 101, 58_100.0))
    assert acted(moved(engine, 102, 57_900.0, 58_100.0)) == [("max_position_loss", "exit")]


def test_a_trailing_stop_follows_it() -> None:
    engine = booked(opened(abilities=PLAIN))
    entry = sent(engine, order(BTC_PERP, Side.BUY, "0.1", "60000", stop_loss=StopLoss(D(59_500), D(500))))
    engine.process(fill(BTC_PERP, Side.BUY, "0.1", "60000", "entry", entry))
    assert [one.trigger for one in of(moved(engine, 101, 60_200.0), e.StopTrailed)] == [D(59_700)]


def test_an_order_that_waits_here_is_released_by_it() -> None:
    engine = booked(opened(abilities=PLAIN))
    submit(engine, order(BTC_PERP, Side.SELL, "0.01", type=OrderType.STOP, trigger=D(59_900)))
    assert not of(moved(engine, 101, 59_900.1), e.OrderTriggered)
    assert of(moved(engine, 102, 59_900.0, 59_900.1), e.OrderTriggered)


def test_a_strategy_is_asked_about_it() -> None:
    class Asked:
        id = StrategyId("asked")

        def on_message(self, message: Message, state: State) -> Iterable[Command]:
            if isinstance(message, m.BookDelta) and state.markets[BTC_PERP.id].bid == 59_950.0:
                yield c.SubmitOrder(order(BTC_PERP, Side.BUY, "0.01"), "asked", T0)

    engine = booked(opened(strategies=(Asked(),)))
    assert not of(moved(engine, 101, 59_960.0), e.OrderSubmitted)
    assert of(moved(engine, 102, 59_950.0, 59_960.0), e.OrderSubmitted)


def test_a_bar_of_another_interval_is_shown_and_makes_no_hour() -> None:
    engine = opened()
    for interval, bars in ((m.Interval.H1, 0), (m.Interval.M1, 1)):
        bar = m.Bar(BTC_PERP.id, interval, T0 - T0 % HOUR, 1.0, 1.0, 1.0, 1.0, 1.0, 1, True, 0, T0)
        assert of(list(engine.process(bar)), m.Bar) == [bar]
        assert len(engine.bars) == bars


def test_what_the_engine_has_no_use_for_changes_nothing_but_the_time() -> None:
    class Odd(Message, frozen=True):
        ts: int

    engine = opened()
    before = engine.state.image()
    assert not engine.process(Odd(T0 + 5))
    assert engine.state.now == T0 + 5
    engine.state.now = before.now
    assert engine.state.image() == before


def test_an_order_that_waited_here_in_the_last_run_is_released_in_this_one() -> None:
    engine = opened(abilities=PLAIN)
    known = {"client_order_id": "t0r0n1", "venue": PERP}
    wanted = order(BTC_PERP, Side.SELL, "0.01", type=OrderType.STOP, trigger=D(59_900), **known)
    assert not engine.recover(e.OrderApproved(wanted, PERP, T0))
    assert of(list(engine.process(quote(BTC_PERP, 59_900.0, 59_900.1))), e.OrderTriggered)


def _touched(engine: Engine, number: int, bids: m.Levels, ts: int) -> list[Effect]:
    """Change levels, and let the timer look."""
    told = m.BookDelta(BTC_PERP.id, bids, (), number, number, m.NO_ID, ts, ts)
    return [*engine.process(told), *engine.process(m.Timer(ts))]


def test_prints_mark_only_until_the_book_tells_its_touch_again() -> None:
    engine = booked(opened())
    market = engine.state.markets[BTC_PERP.id]
    for number in (1, 2):
        engine.process(m.Trade(BTC_PERP.id, 54_000.0, 1.0, True, number, T0 + 3 * S, T0 + 3 * S))
    assert (market.mark, market.closes_at(1)) == (54_000.0, 54_000.0)
    for number in (1, 2):
        _touched(engine, 100 + number, ((50_000.0, float(number)),), T0 + 4 * S + number)
    assert (market.mark, market.closes_at(1)) == (60_000.0, 59_999.0)


def test_the_middle_marks_where_the_venues_mark_has_stopped_beside_a_touch_that_stands() -> None:
    engine = booked(opened())
    market = engine.state.markets[BTC_PERP.id]
    engine.process(m.MarkPrice(BTC_PERP.id, 60_500.0, 60_500.0, 0.0, 0, T0 + 1, T0 + 1))
    assert market.mark == 60_500.0
    _touched(engine, 101, ((50_000.0, 1.0),), T0 + 6 * S)
    assert market.mark == 60_000.0


def test_a_book_that_crosses_itself_is_no_price_and_is_asked_for_again() -> None:
    engine = booked(opened())
    market, resyncs = engine.state.markets[BTC_PERP.id], []
    for number in range(1, 8):
        now = T0 + number * S
        resyncs += of(_touched(engine, 100 + number, ((60_500.0 + number, 1.0),), now), Resync)
        engine.process(m.Trade(BTC_PERP.id, 63_000.0, 1.0, True, number, now, now))
    assert (market.health, market.mark, market.closes_at(-1)) == (m.Health.CROSSED, 63_000.0, 63_000.0)
    assert resyncs == [Resync(BTC_PERP.id)]
    whole = m.BookSnapshot(BTC_PERP.id, ((62_999.0, 1.0),), ((63_001.0, 1.0),), 200, True, T0 + 9 * S, T0 + 9 * S)
    engine.process(whole)
    engine.process(m.Timer(T0 + 9 * S))
    assert (market.health, market.closes_at(-1)) == (m.Health.LIVE, 63_001.0)


def test_a_crossed_book_is_asked_for_again_at_its_pace_whatever_comes() -> None:
    engine, resyncs = booked(opened()), []
    for number in range(1, 200):
        now = T0 + number * S // 10
        crossed = m.BookSnapshot(BTC_PERP.id, ((60_500.0, 1.0),), ((60_001.0, 1.0),), 100 + number, True, now, now)
        engine.process(crossed)
        engine.process(quote(BTC_PERP, 59_999.0, 60_001.0, now))
        resyncs += of(list(engine.process(m.Timer(now))), Resync)
    assert len(resyncs) == 3, "each five seconds, beside quotes that go on and answers that are crossed too"
