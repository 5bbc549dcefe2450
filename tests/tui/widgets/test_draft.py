"""What is typed into a ticket becomes an order, or a sentence that says what is wrong."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.instrument import Instrument
from core.domain.order import Order, OrderType, Side, StopLoss, TakeProfit, TimeInForce
from tests.tui.engine import BTC, FUTURES
from tui.widgets.draft import (
    TEXTS,
    TIFS,
    TYPES,
    UNITS,
    Context,
    Draft,
    Unit,
    expiry_of,
    in_unit,
    order_of,
    propose_trigger,
    quantity_of,
)
from venues.contracts_table import contracts

NOW = 1_763_735_527_000_000_000  # 2025-11-21 14:32:07 UTC
HOUR = 3_600_000_000_000
HERE = Context(93_499.9, 93_500.0, 100_000.0, 1.0, 1.0, "USDT", NOW)
D = Decimal


def btc() -> Instrument:
    return next(item for item in contracts(FUTURES) if item.id == BTC)


def draft(**changes: Any) -> Draft:
    return msgspec.structs.replace(Draft(Side.BUY, OrderType.LIMIT, "0.100", "93000.0"), **changes)


def made(**changes: Any) -> Order:
    return order_of(draft(**changes), btc(), "op", HERE)


def test_every_type_has_the_fields_that_it_needs() -> None:
    wanted = {
        OrderType.LIMIT: {"price"},
        OrderType.MARKET: set(),
        OrderType.STOP: {"trigger"},
        OrderType.STOP_LIMIT: {"price", "trigger"},
        OrderType.TRAILING_STOP: {"trail"},
        OrderType.TAKE_PROFIT: {"trigger"},
    }
    assert set(wanted) == set(TYPES) == set(OrderType)
    for kind, fields in wanted.items():
        assert {"price", "trigger", "trail"} & set(draft(type=kind).fields) == fields, kind
        order = made(type=kind, trigger="93100.0", trail="50")
        found = {name for name in ("price", "trigger", "trail") if getattr(order, name) is not None}
        assert (order.type, found) == (kind, fields)


def test_a_bracket_reaches_the_order() -> None:
    order = made(stop="92000.0", stop_trail="500", targets="94000:1/2 95000:25%")
    assert order.stop_loss == StopLoss(D("92000.0"), D(500))
    assert order.take_profit == (TakeProfit(D(94000), D("0.5")), TakeProfit(D(95000), D("0.25")))


def test_targets_without_parts_are_equal_and_make_a_whole() -> None:
    assert [one.fraction for one in made(targets="94000 95000 96000").take_profit] == [
        D("0.3333"),
        D("0.3333"),
        D("0.3334"),
    ]


def test_a_reduce_only_order_has_no_bracket() -> None:
    order = made(stop="92000.0", targets="94000", flags="reduce-only")
    assert (order.stop_loss, order.take_profit, order.reduce_only) == (None, (), True)


def test_both_flags_go_together() -> None:
    order = made(flags="post-only reduce-only")
    assert (order.post_only, order.reduce_only) == (True, True)


@pytest.mark.parametrize(
    ("unit", "typed", "quantity"),
    [
        (Unit.AMOUNT, "0.100", "0.100"),
        (Unit.NOTIONAL, "9300", "0.100"),
        (Unit.NOTIONAL, "9392", "0.100"),  # rounded down to the step
        (Unit.EQUITY, "9.3", "0.100"),
        (Unit.RISK, "0.1", "0.100"),  # 100 of 100 000, by 1 000 a coin from 93 000 to the stop
    ],
)
def test_a_quantity_may_be_counted_in_four_ways(unit: Unit, typed: str, quantity: str) -> None:
    assert made(unit=unit, quantity=typed, stop="92000.0").quantity == D(quantity)


@pytest.mark.parametrize("unit", UNITS)
def test_a_unit_leads_back_to_the_same_quantity(unit: Unit) -> None:
    for quantity in ("0.001", "0.037", "1.234"):
        here = draft(unit=unit, stop="92000.0")
        here.quantity = in_unit(D(quantity), here, btc(), HERE)
        assert quantity_of(here, btc(), HERE) == D(quantity)


def test_a_market_order_counts_at_the_price_that_it_would_take() -> None:
    assert made(type=OrderType.MARKET, unit=Unit.NOTIONAL, quantity="9350").quantity == D("0.1")
    sold = order_of(draft(side=Side.SELL, type=OrderType.MARKET, unit=Unit.NOTIONAL, quantity="9350"), btc(), "", HERE)
    assert sold.quantity == D("0.1")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"unit": Unit.RISK}, "quantity by risk needs a stop"),
        ({"unit": Unit.RISK, "stop": "93000.0"}, "no distance to the stop"),
        ({"unit": Unit.EQUITY, "quantity": "0.0001"}, "is less than the smallest step 0.001"),
        ({"unit": Unit.EQUITY, "price": ""}, "needs a price; none is known"),
        ({"unit": Unit.NOTIONAL, "quantity": "x"}, "quantity \\(notional\\) must be a number"),
        ({"stop": "92000.05"}, "stop 92000.05 is not a multiple of 0.1"),
        ({"stop": "92000.0", "stop_trail": "."}, "trail must be a number"),
        ({"targets": "94000:1/2 95000"}, "name the part of every one, or of none"),
        ({"targets": "94000:2"}, "a target's part is 0.5, 1/2 or 50%"),
        ({"targets": "94000:1/0"}, "a target's part is 0.5, 1/2 or 50%"),
        ({"targets": "::"}, "a target's part"),
        ({"type": OrderType.TRAILING_STOP}, "trail must be a number"),
        ({"tif": TimeInForce.GTD}, "expires is 90s, 15m, 2h, 1d or a time 18:30 UTC \\(got nothing\\)"),
        ({"tif": TimeInForce.GTD, "expires": "25:00"}, "expires is 90s"),
    ],
)
def test_what_is_wrong_is_named(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        made(**changes)


@pytest.mark.parametrize(
    ("text", "ends"),
    [("90s", NOW + 90_000_000_000), ("2h", NOW + 2 * HOUR), ("1d", NOW + 24 * HOUR)],
)
def test_an_expiry_counts_from_now(text: str, ends: int) -> None:
    assert expiry_of(text, NOW) == ends


def test_an_expiry_is_the_next_time_of_that_name() -> None:
    assert expiry_of("18:30", NOW) - NOW == (3 * 3600 + 57 * 60 + 53) * 1_000_000_000
    assert expiry_of("14:32", NOW) - NOW == (24 * 3600 - 7) * 1_000_000_000


@given(
    kind=st.sampled_from(TYPES),
    tif=st.sampled_from(TIFS),
    unit=st.sampled_from(UNITS),
    typed=st.fixed_dictionaries({name: st.text(sorted(taken), max_size=16) for name, taken in TEXTS.items()}),
)
def test_whatever_is_typed_makes_an_order_or_a_sentence(
    kind: OrderType, tif: TimeInForce, unit: Unit, typed: dict[str, str]
) -> None:
    try:
        order = made(type=kind, tif=tif, unit=unit, **typed)
    except ValueError:
        return
    assert order.quantity.is_finite()
    assert order.quantity > 0


@pytest.mark.parametrize(
    ("side", "kind", "trigger"),
    [
        (Side.BUY, OrderType.STOP, "94440.0"),
        (Side.BUY, OrderType.STOP_LIMIT, "94440.0"),
        (Side.SELL, OrderType.STOP, "92560.0"),
        (Side.BUY, OrderType.TAKE_PROFIT, "92560.0"),
        (Side.SELL, OrderType.TAKE_PROFIT, "94430.0"),
    ],
)
@pytest.mark.parametrize("met", [False, True])
def test_a_trigger_is_proposed_where_the_order_waits(side: Side, kind: OrderType, trigger: str, met: bool) -> None:
    market = "93500.0" if side is Side.BUY else "93499.9"
    order = draft(side=side, type=kind, trigger=market if met else "")
    propose_trigger(order, btc(), HERE)
    assert order.trigger == trigger


def test_a_trigger_that_waits_already_stays_and_none_is_proposed_without_a_market_or_a_need() -> None:
    for side, kind, typed in (
        (Side.BUY, OrderType.STOP, "93500.1"),
        (Side.SELL, OrderType.STOP, "93499.8"),
        (Side.BUY, OrderType.TAKE_PROFIT, "93499.9"),
        (Side.SELL, OrderType.TAKE_PROFIT, "93500.0"),
    ):
        order = draft(side=side, type=kind, trigger=typed)
        propose_trigger(order, btc(), HERE)
        assert order.trigger == typed
    for order, context in ((draft(type=OrderType.STOP), Context()), (draft(type=OrderType.LIMIT), HERE)):
        propose_trigger(order, btc(), context)
        assert order.trigger == ""
