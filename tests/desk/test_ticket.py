"""What is typed becomes an order, or a sentence that says what is wrong."""

from decimal import Decimal

import msgspec
import pytest

from core.domain.order import OrderType, Side, TimeInForce
from desk.output import UsageFault
from desk.ticket import Ticket, build

PLAIN = Ticket(side="buy", instrument="BTC-USDT.P", quantity="0.01")


def ticket(**changes: object) -> Ticket:
    return msgspec.structs.replace(PLAIN, **changes)


@pytest.mark.parametrize(
    ("prices", "kind"),
    [
        ({}, OrderType.MARKET),
        ({"limit": "1"}, OrderType.LIMIT),
        ({"stop": "1"}, OrderType.STOP),
        ({"stop": "1", "limit": "1"}, OrderType.STOP_LIMIT),
        ({"trail": "1"}, OrderType.TRAILING_STOP),
        ({"take_profit": "1"}, OrderType.TAKE_PROFIT),
    ],
)
def test_the_prices_make_the_type(prices: dict[str, str], kind: OrderType) -> None:
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
        ({"limit": "1", "trail": "1"}, "--limit goes with --stop, not with --trail or --take-profit"),
        ({"tif": "NOW"}, '--tif must be one of GTC, IOC, FOK, GTD, DAY (got "NOW")'),
        ({"tif": "GTD"}, "--tif GTD and --expires go together"),
        ({"expires": "5m"}, "--tif GTD and --expires go together"),
        ({"operation_id": "x" * 65}, "--operation-id may be 64 characters long"),
    ],
)
def test_what_does_not_go_together_is_refused(changes: dict[str, str], said: str) -> None:
    with pytest.raises(UsageFault) as error:
        build(ticket(**changes))
    assert str(error.value) == said
