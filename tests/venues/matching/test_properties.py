"""What holds of the matching for any tape and any orders: random scripts of quotes, prints, books, orders, time."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.domain import events as e
from core.domain.events import OrderFilled
from core.domain.identifiers import ClientOrderId
from core.domain.message import Event
from core.domain.order import CLOSED, Order, OrderStatus, OrderType, Side, TimeInForce, check_transition
from core.domain.position import Position
from tests.venues.matching.pit import BTC, FUTURES, PAIR, PERP, SECOND, SPOT, T0, USDT, Pit
from venues.matching.settings import LatencySettings, MarginMode, MatchingSettings

SLOW = LatencySettings(request_ns=2_000_000, answer_ns=1_000_000, jitter_ns=1_000_000)
CASES = {
    "futures": (FUTURES, PERP, MatchingSettings()),
    "slow": (FUTURES, PERP, MatchingSettings(latency=SLOW)),
    "isolated": (FUTURES, PERP, MatchingSettings(margin=MarginMode.ISOLATED)),
    "spot": (SPOT, PAIR, MatchingSettings()),
}
ticks = st.integers(-60, 60)
sizes = st.integers(1, 4000)

data_steps = st.one_of(
    st.tuples(st.just("quote"), ticks, st.integers(1, 5), sizes),
    st.tuples(st.just("print"), ticks, sizes, st.booleans()),
    st.tuples(st.just("book"), ticks, st.lists(sizes, min_size=1, max_size=5), st.integers(1, 4)),
    st.tuples(st.just("delta"), ticks, sizes | st.just(0), st.booleans()),
    st.tuples(st.just("mark"), st.integers(-400, 400), st.integers(-5, 5), st.just(0)),
    st.tuples(st.just("wait"), st.sampled_from([1, SECOND, 3600 * SECOND, 9 * 3600 * SECOND]), st.just(0), st.just(0)),
)
order_steps = st.tuples(
    st.just("order"),
    st.tuples(st.sampled_from([Side.BUY, Side.SELL]), st.sampled_from(OrderType), st.sampled_from(TimeInForce)),
    st.tuples(sizes, ticks, ticks),
    st.tuples(st.booleans(), st.booleans()),
)
change_steps = st.one_of(
    st.tuples(st.just("cancel"), st.integers(1, 30), st.just(0), st.just(0)),
    st.tuples(st.just("amend"), st.integers(1, 30), sizes, ticks),
    st.tuples(st.just("again"), st.integers(1, 30), st.just(0), st.just(0)),
)
scripts = st.lists(st.one_of(data_steps, order_steps, order_steps, change_steps), min_size=1, max_size=40)


class Player:
    """Carry out a script on a pit; one tick is 0.1, one size unit 0.001."""

    def __init__(self, case: str) -> None:
        venue, instrument, with_settings = CASES[case]
        self.pit = Pit(venue, balances={USDT: "200000", BTC: "2"}, settings=with_settings)
        self.instrument = instrument
        self.pit.quote(60000.0, 60000.1, 1.0)

    def run(self, script: list[Any]) -> "Player":
        for step in script:
            getattr(self, step[0])(*step[1:])
        return self

    def quote(self, tick: int, spread: int, size: int) -> None:
        self.pit.quote(_price(tick), _price(tick + spread), size / 1000)

    def print(self, tick: int, size: int, buyer: bool) -> None:
        self.pit.print(_price(tick), size / 1000, buyer)

    def book(self, tick: int, levels: list[int], spread: int) -> None:
        bids = tuple((_price(tick - n), size / 1000) for n, size in enumerate(levels))
        asks = tuple((_price(tick + spread + n), size / 1000) for n, size in enumerate(levels))
        self.pit.book(bids, asks)

    def delta(self, tick: int, size: int, bid: bool) -> None:
        level = ((_price(tick), size / 1000),)
        self.pit.delta(bids=level if bid else (), asks=() if bid else level)

    def mark(self, tick: int, rate: int, _: int) -> None:
        self.pit.mark(60000.0 + 10 * tick, rate / 10000)

    def wait(self, nanoseconds: int, _: int, __: int) -> None:
        self.pit.wait(nanoseconds)

    def order(self, kind: tuple[Side, OrderType, TimeInForce], numbers: tuple[int, int, int], flags: Any) -> None:
        side, order_type, tif = kind
        size, tick, trigger = numbers
        priced = order_type in (OrderType.LIMIT, OrderType.STOP_LIMIT)
        triggered = order_type in (OrderType.STOP, OrderType.STOP_LIMIT, OrderType.TAKE_PROFIT)
        self.pit.send(
            side,
            str(Decimal(size) / 1000),
            _text(tick) if priced else None,
            type=order_type,
            time_in_force=tif,
            expires=self.pit.now + 3600 * SECOND,
            trigger=Decimal(_text(trigger)) if triggered else None,
            trail=Decimal("2.5") if order_type is OrderType.TRAILING_STOP else None,
            reduce_only=flags[0],
            post_only=flags[1] and priced and tif not in (TimeInForce.IOC, TimeInForce.FOK),
            instrument=self.instrument,
        )

    def cancel(self, number: int, _: int, __: int) -> None:
        self.pit.cancel(ClientOrderId(f"o{number}"))

    def amend(self, number: int, size: int, tick: int) -> None:
        self.pit.amend(ClientOrderId(f"o{number}"), quantity=str(Decimal(size) / 1000), price=_text(tick))

    def again(self, number: int, _: int, __: int) -> None:
        self.pit.buy(1, name=f"o{number}", instrument=self.instrument)

    def finish(self) -> "Player":
        """Let every answer arrive."""
        self.pit.wait(SECOND)
        return self

    @property
    def all_fills(self) -> list[OrderFilled]:
        """Return each fill once, in order (a repeated order id repeats its fills)."""
        return list({fill.fill_id: fill for fill in reversed(self.pit.of(OrderFilled))}.values())[::-1]


def _price(tick: int) -> float:
    return float(_text(tick))


def _text(tick: int) -> str:
    return str(Decimal(600000 + tick) / 10)


@pytest.mark.parametrize("case", ["futures", "slow", "isolated"])
@given(script=scripts)
def test_the_position_is_the_sum_of_the_fills(case: str, script: list[Any]) -> None:
    player = Player(case).run(script).finish()
    position = Position.of(player.pit.instruments[0])
    for fill in sorted(player.all_fills, key=lambda fill: (fill.ts_exchange, int(fill.fill_id.lstrip("L")))):
        position.apply_fill(fill.side, fill.quantity, fill.price, fill.ts)
    report = player.pit.position()
    assert (report.quantity if report else 0) == position.quantity
    if report is not None:
        assert report.entry_price == position.entry_price


@pytest.mark.parametrize("case", ["futures", "slow", "isolated"])
@given(script=scripts)
def test_cash_is_conserved(case: str, script: list[Any]) -> None:
    player = Player(case).run(script).finish()
    position = Position.of(player.pit.instruments[0])
    cash = Decimal(200000)
    for fill in sorted(player.all_fills, key=lambda fill: (fill.ts_exchange, int(fill.fill_id.lstrip("L")))):
        cash += position.apply_fill(fill.side, fill.quantity, fill.price, fill.ts) - fill.fee
    cash += sum((event.amount for event in player.pit.of(e.FundingPaid)), Decimal(0))
    cash -= sum((event.fee for event in player.pit.of(e.PositionLiquidated)), Decimal(0))
    assert abs(player.pit.wallet().total - cash) < Decimal("1e-12")
    assert cash >= 0


@given(script=scripts)
def test_spot_wallets_are_the_sum_of_the_fills_and_never_negative(script: list[Any]) -> None:
    player = Player("spot").run(script).finish()
    wallets = {USDT: Decimal(200000), BTC: Decimal(2)}
    for fill in player.all_fills:
        sign = fill.side.sign
        wallets[BTC] += sign * fill.quantity
        wallets[USDT] -= sign * fill.quantity * fill.price
        wallets[fill.fee_asset] -= fill.fee
    for asset, total in wallets.items():
        report = player.pit.wallet(asset)
        assert report.total == total
        assert 0 <= report.free <= report.total


@pytest.mark.parametrize("case", list(CASES))
@given(script=scripts)
def test_what_is_set_aside_is_what_open_orders_need(case: str, script: list[Any]) -> None:
    player = Player(case).run(script).finish()
    for report in player.pit.matching.snapshot(0).open_orders:
        player.pit.cancel(report.client_order_id)
    player.finish()
    assert player.pit.matching.snapshot(0).open_orders == ()
    wallet, position = player.pit.wallet(), player.pit.position()
    if case == "spot":
        assert wallet.free == wallet.total
    elif position is None or not position.quantity:
        assert abs(wallet.free - wallet.total) < Decimal("1e-12")


@pytest.mark.parametrize("case", ["futures", "slow", "isolated"])
@given(script=scripts)
def test_reduce_only_never_increases_or_flips(case: str, script: list[Any]) -> None:
    player = Player(case).run(script).finish()
    reducing = {order.client_order_id for order in _orders(player) if order is not None and order.reduce_only}
    held = Decimal(0)
    for fill in sorted(player.all_fills, key=lambda fill: (fill.ts_exchange, int(fill.fill_id.lstrip("L")))):
        after = held + fill.side.sign * fill.quantity
        if fill.client_order_id in reducing:
            assert abs(after) < abs(held)
            assert after * held >= 0
        held = after


def _orders(player: Player) -> list[Order | None]:
    reports = [player.pit.matching.order(ClientOrderId(f"o{number}")) for number in range(1, 60)]
    return [report.order if report is not None else None for report in reports]


@pytest.mark.parametrize("case", list(CASES))
@given(script=scripts)
def test_no_order_fills_beyond_its_quantity_or_worse_than_its_price(case: str, script: list[Any]) -> None:
    player = Player(case).run(script).finish()
    filled: dict[str, Decimal] = {}
    for fill in player.all_fills:
        filled[fill.client_order_id] = filled.get(fill.client_order_id, Decimal(0)) + fill.quantity
    for order in _orders(player):
        if order is not None:
            report = player.pit.matching.order(order.client_order_id)
            assert report is not None
            assert report.filled == filled.get(order.client_order_id, 0)
            assert report.filled <= max(order.quantity, report.filled if report.status in CLOSED else order.quantity)
    amended = {event.client_order_id for event in player.pit.of(e.OrderAmended)}
    limits = {order.client_order_id: order for order in _orders(player) if order is not None and order.price}
    for fill in player.all_fills:
        limit = limits.get(fill.client_order_id)
        if limit is not None and limit.price is not None and fill.client_order_id not in amended:
            assert (limit.price - fill.price) * fill.side.sign >= 0


@pytest.mark.parametrize("case", list(CASES))
@given(script=scripts)
def test_every_life_is_legal(case: str, script: list[Any]) -> None:
    script = [step for step in script if step[0] != "again"]
    player = Player(case).run(script).finish()
    quantity: dict[str, Decimal] = {}
    filled: dict[str, Decimal] = {}
    status: dict[str, OrderStatus] = {}
    for order in _orders(player):
        if order is not None:
            quantity[order.client_order_id] = order.quantity
    for event in player.pit.events:
        id_ = getattr(event, "client_order_id", "")
        after = _STATUS.get(type(event))
        if not id_ or after is None:
            continue
        if isinstance(event, OrderFilled):
            filled[id_] = filled.get(id_, Decimal(0)) + event.quantity
            after = OrderStatus.FILLED if filled[id_] >= quantity[id_] else OrderStatus.PARTIALLY_FILLED
        check_transition(ClientOrderId(id_), status.get(id_, OrderStatus.SUBMITTED), after)
        status[id_] = after
    for id_, last in status.items():
        report = player.pit.matching.order(ClientOrderId(id_))
        assert report is not None
        assert (report.status in CLOSED) == (last in CLOSED)


_STATUS: dict[type[Event], OrderStatus] = {
    e.OrderAccepted: OrderStatus.ACCEPTED,
    e.OrderRejected: OrderStatus.REJECTED,
    e.OrderTriggered: OrderStatus.TRIGGERED,
    e.OrderFilled: OrderStatus.FILLED,
    e.OrderCancelled: OrderStatus.CANCELLED,
    e.OrderExpired: OrderStatus.EXPIRED,
}


@pytest.mark.parametrize("case", list(CASES))
@given(script=scripts)
def test_the_same_inputs_give_the_same_outputs(case: str, script: list[Any]) -> None:
    first, second = Player(case).run(script).finish(), Player(case).run(script).finish()
    assert first.pit.events == second.pit.events
    assert first.pit.matching.image() == second.pit.matching.image()


@pytest.mark.parametrize("case", list(CASES))
@given(script=scripts, cut=st.integers(0, 40))
def test_a_restored_image_has_the_same_future(case: str, script: list[Any], cut: int) -> None:
    whole, resumed = Player(case).run(script[:cut]), Player(case)
    resumed.pit.matching.restore(whole.pit.matching.image())
    resumed.pit.now, resumed.pit._orders = whole.pit.now, whole.pit._orders
    before = len(whole.pit.events)
    resumed.pit.events.clear()
    whole.run(script[cut:]).finish()
    resumed.run(script[cut:]).finish()
    assert resumed.pit.events == whole.pit.events[before:]
    assert resumed.pit.matching.image() == whole.pit.matching.image()


@settings(max_examples=25)
@given(script=scripts)
def test_time_never_runs_backwards(script: list[Any]) -> None:
    player = Player("slow").run(script).finish()
    stamps = [getattr(event, "ts", T0) for event in player.pit.events]
    assert stamps == sorted(stamps)
    assert all(getattr(event, "ts_exchange", 0) <= getattr(event, "ts", 0) for event in player.pit.events)
