"""What is typed becomes an order, or a sentence that says what is wrong."""

from decimal import Decimal

import msgspec
import pytest

from core.domain.commands import AmendOrder
from core.domain.identifiers import ClientOrderId, InstrumentId, VenueId, symbol_of
from core.domain.instrument import Instrument
from core.domain.order import (
    Order,
    OrderRecord,
    OrderStatus,
    OrderType,
    Side,
    StopLoss,
    TakeProfit,
    TimeInForce,
)
from desk.output import UsageFault
from desk.ticket import Ticket, build, positions, sentence, unchanged, warn_of_bare
from tests.core.kit import BTC_PERP, BTC_SPOT, D, fill, opened

PLAIN = Ticket(side="buy", instrument="BTC-USDT.P", quantity="0.01")


def ticket(**changes: object) -> Ticket:
    return msgspec.structs.replace(PLAIN, **changes)


RESTS = OrderRecord(
    Order(InstrumentId("X"), Side.SELL, Decimal(60), OrderType.STOP_LIMIT, Decimal(98), Decimal(99)),
    OrderStatus.ACCEPTED,
    VenueId("V"),
    1,
    1,
    reason="would trigger at once",
)


@pytest.mark.parametrize(
    ("changes", "stands", "words"),
    [
        ({"trigger": Decimal(110)}, {}, "V refused the change: would trigger at once; its stop stays 99"),
        (
            {"quantity": Decimal(70), "price": Decimal(97), "trigger": Decimal("99.0")},
            {"reason": ""},
            "V refused the change: no reason given; its quantity stays 60, its limit stays 98",
        ),
        (
            {"quantity": Decimal(70)},
            {"reason": "", "order": msgspec.structs.replace(RESTS.order, parent=ClientOrderId("e"))},
            "the change did not last: the bracket of e says what this order is; its quantity stays 60",
        ),
        ({"price": Decimal(98)}, {}, ""),
        ({"price": Decimal(97)}, {"status": OrderStatus.PENDING_AMEND}, ""),
        ({"price": Decimal(97)}, {"status": OrderStatus.UNKNOWN}, ""),
        (
            {"trigger": Decimal(110)},
            {"status": OrderStatus.APPROVED, "reason": "no"},
            "V refused the change: no; its stop",
        ),
        (
            {"price": Decimal(97)},
            {"status": OrderStatus.FILLED, "reason": "", "filled": Decimal(60)},
            "the change came too late:  FILLED: SELL 60 X limit 98 stop 99, filled 60",
        ),
    ],
)
def test_a_change_that_an_order_did_not_take_is_said(
    changes: dict[str, Decimal], stands: dict[str, object], words: str
) -> None:
    said = unchanged(
        msgspec.structs.replace(AmendOrder(ClientOrderId("o")), **changes), msgspec.structs.replace(RESTS, **stands)
    )
    assert said.startswith(words) if words else said == ""


@pytest.mark.parametrize(
    ("prices", "kind"),
    [
        ({}, OrderType.MARKET),
        ({"limit": "1"}, OrderType.LIMIT),
        ({"stop": "1"}, OrderType.STOP),
        ({"stop": "1", "limit": "1"}, OrderType.STOP_LIMIT),
        ({"trail": "1"}, OrderType.TRAILING_STOP),
        ({"take_profit": ("1",), "reduce_only": True}, OrderType.TAKE_PROFIT),
        ({"take_profit": ("1",)}, OrderType.MARKET),
        ({"limit": "1", "stop_loss": "1", "trail": "1"}, OrderType.LIMIT),
        ({"stop": "2", "stop_loss": "1"}, OrderType.STOP),
    ],
)
def test_the_prices_make_the_type(prices: dict[str, object], kind: OrderType) -> None:
    assert build(ticket(**prices)).type is kind


def test_every_value_reaches_the_order() -> None:
    order = build(ticket(side="SELL", limit="2.50", stop="2", tif="ioc", reduce_only=True, post_only=True))
    assert (order.side, order.quantity, order.price, order.trigger) == (
        Side.SELL,
        Decimal("0.01"),
        Decimal("2.50"),
        Decimal(2),
    )
    assert order.time_in_force is TimeInForce.IOC
    assert order.reduce_only
    assert order.post_only


def test_take_profits_and_a_stop_are_attached() -> None:
    order = build(ticket(limit="2", take_profit=("3:0.25", "4:0.5"), stop_loss="1.5", trail="0.1"))
    assert order.take_profit == (TakeProfit(Decimal(3), Decimal("0.25")), TakeProfit(Decimal(4), Decimal("0.5")))
    assert (order.stop_loss, order.trail) == (StopLoss(Decimal("1.5"), Decimal("0.1")), None)


def test_parts_without_a_fraction_are_equal_and_make_a_whole() -> None:
    parts = build(ticket(take_profit=("3", "4", "5"))).take_profit
    assert [part.fraction for part in parts] == [Decimal("0.3333"), Decimal("0.3333"), Decimal("0.3334")]


def test_a_reduce_only_take_profit_is_an_order_of_its_own() -> None:
    order = build(ticket(take_profit=("3",), reduce_only=True))
    assert (order.type, order.trigger, order.take_profit) == (OrderType.TAKE_PROFIT, Decimal(3), ())


def test_each_order_is_an_instruction_of_its_own_unless_it_is_named() -> None:
    assert build(PLAIN).operation_id != build(PLAIN).operation_id
    assert build(ticket(operation_id="mine")).operation_id == "mine"


@pytest.mark.parametrize("text", ["NaN", "0", "-1", "inf", "abc", "", "1e", "0x1"])
def test_a_quantity_that_is_no_positive_number_is_refused(text: str) -> None:
    with pytest.raises(UsageFault) as error:
        build(ticket(quantity=text))
    assert str(error.value) == f'quantity must be a number greater than 0 (got "{text}")'


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"side": "hold"}, 'side must be buy or sell (got "hold")'),
        ({"limit": "-1"}, '--limit must be a number greater than 0 (got "-1")'),
        ({"stop": "1", "trail": "1"}, "--stop, --trail and --take-profit are different orders: name one"),
        ({"take_profit": ("1:2", "3")}, "--take-profit: name the fraction of every part, or of none"),
        ({"take_profit": ("x",)}, '--take-profit must be a number greater than 0 (got "x")'),
        ({"take_profit": ("1:",)}, '--take-profit fraction must be a number greater than 0 (got "")'),
        ({"take_profit": ("1", "2"), "reduce_only": True}, "a reduce-only order takes one --take-profit"),
        ({"stop_loss": "1", "reduce_only": True}, "--stop-loss protects what an entry opens"),
        ({"limit": "1", "trail": "1"}, "--limit goes with --stop, not with --trail or --take-profit"),
        ({"tif": "NOW"}, '--tif must be one of GTC, IOC, FOK, GTD, DAY (got "NOW")'),
        ({"tif": "GTD"}, "--tif GTD and --expires go together"),
        ({"expires": "5m"}, "--tif GTD and --expires go together"),
        ({"operation_id": "x" * 65}, "--operation-id may be 64 characters long"),
    ],
)
def test_what_does_not_go_together_is_refused(changes: dict[str, object], said: str) -> None:
    with pytest.raises(UsageFault) as error:
        build(ticket(**changes))
    assert str(error.value).startswith(said)


@pytest.mark.parametrize("pair", [BTC_PERP, BTC_SPOT], ids=["contract", "coins"])
@pytest.mark.parametrize("kind", [OrderType.STOP, OrderType.LIMIT])
def test_a_stop_that_is_cancelled_is_told_to_leave_its_position_bare(
    pair: Instrument, kind: OrderType, capsys: pytest.CaptureFixture[str]
) -> None:
    engine = opened(instruments=(pair,))
    order = Order(pair.id, Side.SELL, D(1), kind, D(70_000), D(50_000), reduce_only=True)
    record = OrderRecord(order, OrderStatus.ACCEPTED, VenueId("V"), 1, 1)
    warn_of_bare([record, record], positions(engine.state))
    assert capsys.readouterr().err == "", "nothing is held"
    engine.process(fill(pair, Side.BUY, "1", "60000", "f"))
    warn_of_bare([record, record], positions(engine.state))
    name = symbol_of(pair.id)
    told = f"the position in {name} loses this stop, it is not placed again\n" if kind is OrderType.STOP else ""
    assert capsys.readouterr().err == told


def test_a_changed_order_says_where_it_stands() -> None:
    assert sentence(RESTS) == " ACCEPTED: SELL 60 X limit 98 stop 99, filled 0 (would trigger at once)"
