"""What a client is answered: about the state, the journal's fills and the bars that only the venue has."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest

from core.clock import ManualClock
from core.domain import events as e
from core.domain import market as m
from core.domain.order import Side
from core.engine import Engine
from core.errors import TradedeckError, VenueError
from core.session import protocol as p
from core.session import views, wire
from core.session.answers import Answers, fills_of
from core.session.frames import HISTORY_BARS, AskHistory
from core.state.contact import VenueView
from core.state.state import State
from store.memory import MemoryJournal
from tests.core.kit import BTC_COINM, BTC_PERP, ETH_PERP, PERP, SPOT, T0, D, S, accept, fill, opened, order, sent

MINUTE = 60 * S


def bar(start: int, close: float = 1.0) -> m.Bar:
    """Return a closed minute."""
    return m.Bar(BTC_PERP.id, m.Interval.M1, start, 1.0, 2.0, 0.5, close, 3.0, 4, True, 0, start + MINUTE)


class Link:
    """Backfill what a venue would."""

    def __init__(self, engine: Engine, bars: Sequence[m.Bar]) -> None:
        self.asked: list[p.AskBars] = []
        self._engine, self._bars = engine, bars

    async def backfill(self, question: p.AskBars) -> None:
        self.asked.append(question)
        for one in self._bars:
            self._engine.process(one)


def desk(engine: Engine, bars: Sequence[m.Bar] = ()) -> tuple[Answers, Link]:
    link = Link(engine, bars)
    links: Any = {PERP: link}
    return Answers(engine, MemoryJournal(), links, ManualClock(T0 + S), lambda: (2, 5, (3, 1, 2))), link


async def test_the_status_tells_the_whole_account() -> None:
    engine = opened()
    engine.process(fill(BTC_PERP, Side.BUY, "0.1", "59000", "f1"))
    entry = sent(engine, order(BTC_PERP, Side.BUY, "0.01", "59000"))
    engine.process(m.StoreStatus("disk full", T0))
    engine.state.apply(e.FlattenStarted(ETH_PERP.id, "me", T0))
    engine.state.apply(e.ExitUnjournalled(entry, "disk full", T0))
    status: Any = await desk(engine)[0].answer(p.AskStatus())
    assert (status.journal, status.clients, status.loop_late_ns, status.complete) == ("disk full", 2, 5, True)
    assert status.exit_times == (3, 1, 2)
    assert (status.equity, status.unrealised_pnl, status.realised_pnl) == (D(100_100), D(100), D(0))
    assert (status.gross, status.net) == (D(6_000), D(6_000))
    assert [(one.instrument, one.quantity, one.mark_price) for one in status.positions] == [
        (BTC_PERP.id, D("0.1"), D(60_000))
    ]
    assert [record.order.client_order_id for record in status.orders] == [entry]
    assert status.venues == {PERP: "ready", SPOT: "ready"}
    assert {feed.instrument: feed.age_ms for feed in status.feeds}[BTC_PERP.id] == 1000
    assert (status.flattening, status.unjournalled) == ((ETH_PERP.id,), (entry,))


async def test_a_healthy_journal_is_ok() -> None:
    status: Any = await desk(opened())[0].answer(p.AskStatus())
    assert (status.journal, status.flattening, status.unjournalled) == ("ok", (), ())


@pytest.mark.parametrize(
    ("connected", "reconciled", "trouble", "words"),
    [
        (False, True, "", "down: cut"),
        (False, True, "late", "down: cut"),
        (True, False, "", "connected, not reconciled yet"),
        (True, True, "late", "not comparable: late"),
        (True, True, "", "ready"),
    ],
)
def test_a_venue_in_words(connected: bool, reconciled: bool, trouble: str, words: str) -> None:
    view = VenueView(connected=connected, reconciled=reconciled, reason="cut", trouble=trouble)
    assert views.venue_words(view) == words


@pytest.mark.parametrize(
    ("value", "text"), [(0.1 + 0.2, "0.3"), (D("1.50"), "1.5"), (D(1000), "1000"), (-0.0, "-0"), (1e-9, "0")]
)
def test_money_has_eight_decimals_and_no_needless_zero(value: float | Decimal, text: str) -> None:
    assert str(views.money(value)) == text


async def test_orders_come_newest_first_and_closed_ones_when_asked() -> None:
    engine = opened()
    first = sent(engine, order(BTC_PERP, Side.BUY, "0.01", "59000"), T0)
    accept(engine, first)
    second = sent(engine, order(ETH_PERP, Side.BUY, "0.1", "2900"), T0 + S)
    engine.process(e.OrderCancelled(first, "", T0 + S, T0 + S))
    answers = desk(engine)[0]
    found: Any = await answers.answer(p.AskOrders())
    every: Any = await answers.answer(p.AskOrders(open_only=False))
    one: Any = await answers.answer(p.AskOrders(open_only=False, limit=1))
    ids = [[record.order.client_order_id for record in records] for records in (found, every, one)]
    assert ids == [[second], [second, first], [second]]


async def test_limits_stand_with_the_largest_position() -> None:
    engine = opened()
    engine.process(fill(ETH_PERP, Side.BUY, "1", "3000", "f1"))
    engine.process(fill(BTC_PERP, Side.BUY, "0.1", "60000", "f2"))
    answers = desk(engine)[0]
    found: Any = await answers.answer(p.AskLimits())
    used = {limit.name: limit.value for limit in found}
    assert used["max_position"] == "6.0%"
    assert {"forced_stop", "max_position_loss", "max_daily_loss", "max_age", "protective_stop"} <= used.keys()
    (loss,) = [limit for limit in found if limit.name == "max_position_loss"]
    assert (loss.value, loss.bound, loss.act) == ("0.0%", "2.0%", "exit")
    assert loss.setting == "default of [guardian] max_position_loss_frac"
    steps = [(limit.bound, limit.act) for limit in found if limit.name.startswith("drawdown_")]
    assert steps == [("5.0%", "hold 0.5"), ("8.0%", "hold 0.25"), ("10.0%", "halt")]
    assert [one.instrument for one in views.positions(engine.state)] == [BTC_PERP.id, ETH_PERP.id]
    assert views.limits(State(), engine.guardian, T0) == ()


async def test_a_preview_and_the_venues_are_answered() -> None:
    engine = opened()
    answers = desk(engine)[0]
    preview: Any = await answers.answer(p.AskPreview(order(BTC_PERP, Side.BUY, "0.01")))
    assert (preview.notional, preview.refusals) == (D("600.001"), ())
    found: Any = await answers.answer(p.AskVenues())
    assert {venue.venue for venue in found} == {PERP, SPOT}


def test_a_position_that_nothing_marks_is_left_out() -> None:
    engine = opened()
    engine.process(fill(BTC_PERP, Side.BUY, "0.1", "60000", "f1"))
    del engine.state.markets[BTC_PERP.id]
    assert views.positions(engine.state) == ()
    assert BTC_COINM.id not in engine.state.markets


async def test_bars_that_are_missing_are_asked_of_the_venue_once() -> None:
    engine = opened()
    start = T0 - T0 % MINUTE
    answers, link = desk(engine, [bar(start), bar(start + MINUTE, 1.5), bar(start + 9 * MINUTE)])
    question = p.AskBars(BTC_PERP.id, m.Interval.M1, start, start + 9 * MINUTE)
    found: Any = await answers.answer(question)
    assert [(one.start, one.close) for one in found] == [(start, 1.0), (start + MINUTE, 1.5)]
    assert await answers.answer(question) == found
    assert link.asked == [question]


async def test_bars_without_a_link_are_those_that_are_kept() -> None:
    engine = opened()
    answers = Answers(engine, MemoryJournal(), {}, ManualClock(T0), lambda: (0, 0, (0, 0, 0)))
    assert await answers.answer(p.AskBars(BTC_PERP.id, m.Interval.M1, T0, T0 + S)) == ()
    with pytest.raises(TradedeckError, match="is not known here"):
        await answers.answer(p.AskBars(BTC_COINM.id, m.Interval.M1, T0, T0 + S))


class Told(Link):
    """A link whose venue tells a history, or why not."""

    def __init__(self, engine: Engine, bars: Sequence[m.Bar], error: str = "") -> None:
        super().__init__(engine, bars)
        self.venue, self._error = self, error

    async def history(self, *_: object) -> Sequence[m.Bar]:
        if self._error:
            raise VenueError(self._error)
        return self._bars


async def test_a_history_is_the_venues_own_word_and_is_not_kept() -> None:
    engine = opened()
    engine.process(bar(T0, 1.0))
    links: Any = {PERP: Told(engine, [bar(T0, 2.0)])}
    answers = Answers(engine, MemoryJournal(), links, ManualClock(T0), lambda: (0, 0, (0, 0, 0)))
    question = AskHistory(BTC_PERP.id, m.Interval.M1, T0, T0 + HISTORY_BARS * MINUTE)
    assert await answers.answer(question) == (bar(T0, 2.0),)
    assert engine.state.markets[BTC_PERP.id].bars[m.Interval.M1] == {T0: bar(T0, 1.0)}
    links[PERP] = Told(engine, (), "no history here")
    with pytest.raises(VenueError, match="no history here"):
        await answers.answer(question)
    with pytest.raises(TradedeckError, match="at most 1500 bars"):
        await answers.answer(AskHistory(BTC_PERP.id, m.Interval.M1, T0, T0 + HISTORY_BARS * MINUTE + 1))
    with pytest.raises(TradedeckError, match="is not known here"):
        await answers.answer(AskHistory(BTC_COINM.id, m.Interval.M1, T0, T0 + S))
    del links[PERP]
    with pytest.raises(TradedeckError, match="has no session here"):
        await answers.answer(question)


async def test_what_nobody_can_answer_is_said() -> None:
    with pytest.raises(TradedeckError, match="no answer to Question"):
        await desk(opened())[0].answer(p.Question())


def test_the_growing_bars_of_a_market() -> None:
    engine = opened()
    answers = desk(engine)[0]
    assert answers.growing(BTC_PERP.id) == []
    engine.process(m.Trade(BTC_PERP.id, 60_000.0, 0.5, True, 1, T0, T0))
    growing = answers.growing(BTC_PERP.id)
    assert [one.interval for one in growing] == list(m.Interval)
    assert {(one.close, one.volume, one.closed) for one in growing} == {(60_000.0, 0.5, False)}


async def test_fills_come_from_the_journal_newest_ones_oldest_first() -> None:
    journal = MemoryJournal()
    fills = [fill(BTC_PERP, Side.BUY, "0.1", "60000", f"f{number}", "a", T0 + number * S) for number in range(4)]
    records = [wire.encode(event) for event in (*fills, e.OrderCancelled(fills[0].client_order_id, "", T0, T0))]
    journal.append(records, lambda error: None)
    assert [view.fill_id for view in fills_of(journal, T0 + S, 2)] == ["f2", "f3"]
    answers = Answers(opened(), journal, {}, ManualClock(T0), lambda: (0, 0, (0, 0, 0)))
    found: Any = await answers.answer(p.AskFills(T0 + 3 * S))
    one = found[0]
    assert (len(found), one.fill_id, one.side, one.quantity, one.price) == (1, "f3", "BUY", D("0.1"), D(60_000))
