"""What every Venue does, wherever its orders go.

A subclass gives the fixture ``stage``: a started venue, what it has emitted, and a hand on the market. Everything is
waited for, so that venues with a network behind them run the same tests.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, TypeVar

import pytest

from core.domain import events as e
from core.domain.approval import Approved
from core.domain.commands import AmendOrder, CancelOrder, SubmitOrder
from core.domain.identifiers import ClientOrderId
from core.domain.instrument import Instrument
from core.domain.market import Feed, Interval, Quote, VenueStatus
from core.domain.message import Event, Message
from core.domain.order import CLOSED, Order, OrderStatus, OrderType, Side, TimeInForce
from core.domain.reports import OrderReport, VenueSnapshot
from core.errors import VenueError
from core.ports import Venue

PATIENCE_S = 60.0
M = TypeVar("M", bound=Message)


@dataclass
class Stage:
    """A started venue with one derivative to trade, flat and without orders.

    ``move`` sets the market to a bid and an ask (both well filled). Prices handed to it are multiples of ``step``.
    """

    venue: Venue
    instrument: Instrument
    heard: list[Message]
    middle: Decimal = Decimal(60000)
    step: Decimal = Decimal(10)
    size: Decimal = Decimal("0.01")
    names: list[str] = field(default_factory=list)

    async def move(self, bid: Decimal, ask: Decimal) -> None:
        """Move the market."""
        raise NotImplementedError

    async def open_market(self) -> None:
        """Put the market around ``middle``."""
        await self.move(self.middle, self.middle + self.step)

    async def submit(self, side: Side, **fields: Any) -> ClientOrderId:
        """Send an order of ``size``."""
        self.names.append(f"td0r1n{len(self.names) + 1}")
        id_ = ClientOrderId(fields.pop("name", self.names[-1]))
        order = Order(
            self.instrument.id,
            side,
            fields.pop("quantity", self.size),
            client_order_id=id_,
            venue=self.venue.id,
            **fields,
        )
        await self.venue.submit(Approved(SubmitOrder(order)))
        return id_

    async def limit(self, side: Side, price: Decimal, **fields: Any) -> ClientOrderId:
        """Send a limit order."""
        return await self.submit(side, type=OrderType.LIMIT, price=price, **fields)

    async def cancel(self, id_: ClientOrderId) -> None:
        """Cancel an order."""
        await self.venue.cancel(Approved(CancelOrder(id_)))

    def of(self, kind: type[M], id_: ClientOrderId | None = None) -> list[M]:
        """Return what was heard of one kind, about one order where given."""
        found = [message for message in self.heard if isinstance(message, kind)]
        return [message for message in found if id_ is None or getattr(message, "client_order_id", None) == id_]

    async def until(self, holds: Callable[[], object], what: str) -> None:
        """Wait until something holds."""
        async with asyncio.timeout(PATIENCE_S):
            while not holds():  # noqa: ASYNC110 (a venue has no hook for "anything happened")
                await asyncio.sleep(0.001)
        assert holds(), what

    async def hear(self, kind: type[M], id_: ClientOrderId | None = None, count: int = 1) -> M:
        """Wait for a message and return it."""
        await self.until(lambda: len(self.of(kind, id_)) >= count, f"{kind.__name__} {id_}")
        return self.of(kind, id_)[count - 1]

    async def filled(self, id_: ClientOrderId, quantity: Decimal | None = None) -> list[e.OrderFilled]:
        """Wait until an order is filled and return its fills."""
        wanted = self.size if quantity is None else quantity
        await self.until(lambda: self.sum_of(id_) >= wanted, f"fills of {id_}")
        return self.of(e.OrderFilled, id_)

    def sum_of(self, id_: ClientOrderId) -> Decimal:
        """Return what was reported filled of an order."""
        return sum((fill.quantity for fill in self.of(e.OrderFilled, id_)), Decimal(0))

    async def report(self, id_: ClientOrderId) -> OrderReport:
        """Ask for one order, which the venue must know."""
        report = await self.venue.order(id_)
        assert report is not None
        return report

    async def snapshot(self, since: int = 0) -> VenueSnapshot:
        """Ask for everything."""
        return await self.venue.snapshot(since)


class VenueContract:
    """Run by every venue; a subclass gives the fixture ``stage``."""

    @pytest.fixture
    async def stage(self) -> Stage:
        """Return a started venue."""
        raise NotImplementedError

    # --- the link -----------------------------------------------------------------------------------------------------

    async def test_it_says_that_it_is_connected(self, stage: Stage) -> None:
        status = await stage.hear(VenueStatus)
        assert status.connected
        assert status.venue == stage.venue.id

    async def test_it_lists_what_can_be_traded(self, stage: Stage) -> None:
        listed = {instrument.id: instrument for instrument in await stage.venue.instruments()}
        assert listed[stage.instrument.id] == stage.instrument

    async def test_a_feed_is_subscribed_once_however_often_it_is_asked_for(self, stage: Stage) -> None:
        for _ in range(2):
            await stage.venue.subscribe(stage.instrument.id, Feed.QUOTE)
        await stage.open_market()
        quote = await stage.hear(Quote)
        assert quote.instrument == stage.instrument.id
        assert 0 < quote.bid < quote.ask
        await stage.venue.unsubscribe(stage.instrument.id, Feed.QUOTE)

    async def test_history_is_closed_bars_within_the_asked_time(self, stage: Stage) -> None:
        end = (await stage.snapshot()).ts_exchange or 10**18
        start = end - 100 * Interval.M1.ns
        for bar in await stage.venue.history(stage.instrument.id, Interval.M1, start, end):
            assert bar.closed
            assert start <= bar.start < end

    async def test_a_stopped_venue_refuses_and_sends_nothing(self, stage: Stage) -> None:
        await stage.open_market()
        await stage.venue.stop()
        before = len(stage.heard)
        with pytest.raises(VenueError):
            await stage.submit(Side.BUY)
        assert not [message for message in stage.heard[before:] if isinstance(message, Event)]

    # --- orders -------------------------------------------------------------------------------------------------------

    async def test_a_market_order_is_accepted_and_filled(self, stage: Stage) -> None:
        await stage.open_market()
        order = await stage.submit(Side.BUY)
        fills = await stage.filled(order)
        assert stage.sum_of(order) == stage.size
        accepted = await stage.hear(e.OrderAccepted, order)
        assert {fill.venue_order_id for fill in fills} == {accepted.venue_order_id}
        assert {fill.instrument for fill in fills} == {stage.instrument.id}
        assert all(fill.side is Side.BUY and fill.price > 0 for fill in fills)

    async def test_a_resting_order_is_listed_until_it_is_cancelled(self, stage: Stage) -> None:
        await stage.open_market()
        order = await stage.limit(Side.BUY, stage.middle - 10 * stage.step)
        await stage.hear(e.OrderAccepted, order)
        listed = (await stage.snapshot()).open_orders
        assert [report.client_order_id for report in listed] == [order]
        assert listed[0].order.price == stage.middle - 10 * stage.step
        await stage.cancel(order)
        await stage.hear(e.OrderCancelled, order)
        assert (await stage.snapshot()).open_orders == ()
        assert (await stage.report(order)).status is OrderStatus.CANCELLED

    async def test_the_same_client_order_id_gives_one_order(self, stage: Stage) -> None:
        await stage.open_market()
        order = await stage.submit(Side.BUY)
        await stage.filled(order)
        again = await stage.submit(Side.BUY, name=order)
        other = await stage.submit(Side.BUY)
        await stage.filled(other)
        assert again == order
        fills = {fill.fill_id for fill in (await stage.snapshot()).fills}
        assert len(fills) == len({fill.fill_id for fill in stage.of(e.OrderFilled)})
        assert (await stage.report(order)).filled == stage.size

    async def test_a_no_is_an_event(self, stage: Stage) -> None:
        await stage.open_market()
        order = await stage.limit(Side.BUY, stage.middle + stage.instrument.tick_size / 2)
        refused = await stage.hear(e.OrderRejected, order)
        assert refused.reason
        assert stage.of(e.OrderAccepted, order) == []
        assert (await stage.snapshot()).open_orders == ()

    async def test_an_order_is_known_in_every_state_and_a_stranger_is_not(self, stage: Stage) -> None:
        await stage.open_market()
        resting = await stage.limit(Side.BUY, stage.middle - 10 * stage.step)
        filled = await stage.submit(Side.BUY)
        await stage.hear(e.OrderAccepted, resting)
        await stage.filled(filled)
        assert (await stage.report(resting)).status is OrderStatus.ACCEPTED
        done = await stage.report(filled)
        assert (done.status, done.filled) == (OrderStatus.FILLED, stage.size)
        assert done.average_price is not None
        assert await stage.venue.order(ClientOrderId("td0r1n999999")) is None

    async def test_a_cancel_of_nothing_is_refused(self, stage: Stage) -> None:
        await stage.cancel(ClientOrderId("td0r1n999999"))
        assert (await stage.hear(e.CancelRejected)).reason

    async def test_an_amended_order_stands_with_its_new_values(self, stage: Stage) -> None:
        if not stage.venue.abilities.amend:
            pytest.skip("this venue cannot amend")
        await stage.open_market()
        order = await stage.limit(Side.BUY, stage.middle - 10 * stage.step)
        await stage.hear(e.OrderAccepted, order)
        price = stage.middle - 9 * stage.step
        await stage.venue.amend(Approved(AmendOrder(order, 2 * stage.size, price)))
        amended = await stage.hear(e.OrderAmended, order)
        assert (amended.quantity, amended.price) == (2 * stage.size, price)
        report = await stage.report(order)
        assert (report.order.quantity, report.order.price) == (2 * stage.size, price)
        await stage.venue.amend(Approved(AmendOrder(ClientOrderId("td0r1n999999"), stage.size)))
        assert (await stage.hear(e.AmendRejected)).client_order_id == "td0r1n999999"

    async def test_an_immediate_order_does_not_rest(self, stage: Stage) -> None:
        if TimeInForce.IOC not in stage.venue.abilities.time_in_force:
            pytest.skip("this venue has no IOC")
        await stage.open_market()
        order = await stage.limit(Side.BUY, stage.middle - stage.step, time_in_force=TimeInForce.IOC)
        await stage.until(lambda: stage.of(e.OrderExpired, order) or stage.of(e.OrderCancelled, order), "an end")
        assert (await stage.report(order)).status in CLOSED
        assert stage.sum_of(order) == 0

    async def test_post_only_never_takes(self, stage: Stage) -> None:
        if not stage.venue.abilities.post_only:
            pytest.skip("this venue has no post-only")
        await stage.open_market()
        order = await stage.limit(Side.BUY, stage.middle + stage.step, post_only=True)
        await stage.until(lambda: stage.of(e.OrderRejected, order) or stage.of(e.OrderCancelled, order), "a no")
        assert stage.sum_of(order) == 0

    async def test_reduce_only_never_flips(self, stage: Stage) -> None:
        if not stage.venue.abilities.reduce_only:
            pytest.skip("this venue has no reduce-only")
        await stage.open_market()
        await stage.filled(await stage.submit(Side.BUY))
        order = await stage.submit(Side.SELL, quantity=3 * stage.size, reduce_only=True)
        await stage.until(
            lambda: stage.sum_of(order) == stage.size or stage.of(e.OrderRejected, order), "reduced or refused"
        )
        held = {report.instrument: report.quantity for report in (await stage.snapshot()).positions}
        assert held[stage.instrument.id] >= 0

    async def test_a_native_stop_waits_for_its_price(self, stage: Stage) -> None:
        if not stage.venue.abilities.native_stops:
            pytest.skip("this venue leaves stops to the engine")
        await stage.open_market()
        trigger = stage.middle + 10 * stage.step
        order = await stage.submit(Side.BUY, type=OrderType.STOP, trigger=trigger)
        await stage.hear(e.OrderAccepted, order)
        assert stage.sum_of(order) == 0
        await stage.move(trigger + stage.step, trigger + 2 * stage.step)
        await stage.hear(e.OrderTriggered, order)
        await stage.filled(order)

    async def test_a_resting_order_fills_when_the_market_comes_to_it(self, stage: Stage) -> None:
        await stage.open_market()
        price = stage.middle - 10 * stage.step
        order = await stage.limit(Side.BUY, price)
        await stage.hear(e.OrderAccepted, order)
        await stage.move(price - 3 * stage.step, price - 2 * stage.step)
        fills = await stage.filled(order)
        assert all(fill.price <= price for fill in fills)

    # --- the whole ----------------------------------------------------------------------------------------------------

    async def test_a_snapshot_agrees_with_what_was_heard(self, stage: Stage) -> None:
        await stage.open_market()
        order = await stage.submit(Side.BUY)
        await stage.filled(order)
        snapshot = await stage.snapshot()
        assert snapshot.venue == stage.venue.id
        heard = {fill.fill_id: (fill.quantity, fill.price) for fill in stage.of(e.OrderFilled)}
        assert {fill.fill_id: (fill.quantity, fill.price) for fill in snapshot.fills} == heard
        held = {report.instrument: report.quantity for report in snapshot.positions}
        assert held[stage.instrument.id] == stage.size
        wallet = {report.asset: report for report in snapshot.balances}[stage.instrument.settle]
        assert 0 < wallet.free < wallet.total

    async def test_a_position_that_was_closed_is_reported_flat(self, stage: Stage) -> None:
        await stage.open_market()
        await stage.filled(await stage.submit(Side.BUY))
        await stage.filled(await stage.submit(Side.SELL))
        held = {report.instrument: report.quantity for report in (await stage.snapshot()).positions}
        assert held[stage.instrument.id] == 0

    async def test_a_snapshot_gives_fills_since_a_time(self, stage: Stage) -> None:
        await stage.open_market()
        first = (await stage.filled(await stage.submit(Side.BUY)))[-1]
        await asyncio.sleep(0.002)
        second = (await stage.filled(await stage.submit(Side.BUY)))[-1]
        assert second.ts_exchange > first.ts_exchange
        fills = (await stage.snapshot(first.ts_exchange + 1)).fills
        assert {fill.client_order_id for fill in fills} == {second.client_order_id}

    async def test_answers_are_stamped_in_order(self, stage: Stage) -> None:
        await stage.open_market()
        for side in (Side.BUY, Side.SELL):
            await stage.filled(await stage.submit(side))
        stamps = [getattr(event, "ts", 0) for event in stage.of(Event)]
        assert stamps == sorted(stamps)
        for fill in stage.of(e.OrderFilled):
            assert fill.ts_exchange <= fill.ts
