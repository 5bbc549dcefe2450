"""What an order would lead to, as a ticket shows it before anything is sent."""

from decimal import Decimal

import msgspec
import pytest

from core.config.settings import GuardianSettings
from core.domain import commands as c
from core.domain import events as e
from core.domain.identifiers import Asset, ClientOrderId
from core.domain.instrument import MarginBracket
from core.domain.message import Message
from core.domain.order import Order, OrderType, Side, StopLoss
from core.engine import Engine
from core.session.preview import preview
from core.session.protocol import LimitChange, PreviewView
from tests.core.kit import BTC_PERP, BTC_SPOT, ETH_PERP, PERP, T0, D, accept, denied, fill, opened, order, quote, sent
from venues.matching.matching import Matching
from venues.matching.settings import MatchingSettings

TIERS = (
    MarginBracket(D(0), D(50_000), D("0.004"), D(0), 125),
    MarginBracket(D(50_000), D("Infinity"), D("0.01"), D(300), 50),
)
TIERED = msgspec.structs.replace(BTC_PERP, brackets=TIERS)
OTHER = msgspec.structs.replace(ETH_PERP, brackets=TIERS)
WIDE = GuardianSettings(max_order_notional_frac=10, max_position_frac=10, max_sector_frac=10, max_gross_frac=10)


def shown(engine: Engine, wanted: Order) -> PreviewView:
    return preview(engine.state, engine.guardian, wanted, engine.state.now)


def limits(view: PreviewView) -> dict[str, LimitChange]:
    return {limit.name: limit for limit in view.limits}


def test_an_order_that_passes_is_shown_with_cost_and_every_limit() -> None:
    view = shown(opened(), order(BTC_PERP, Side.BUY, "0.1", "59990"))
    assert (view.refusals, view.notional, view.fee, view.maker) == ((), D(5999), D("1.1998"), True)
    assert (view.position_after, view.equity) == (D("0.1"), D(100_000))
    found = limits(view)
    assert (found["max_position"].before, found["max_position"].after) == ("0.0%", "6.0%")
    assert (found["max_position"].bound, found["max_position"].ok) == ("15.0%", True)
    assert (found["net"].after, found["max_open_orders"].after) == ("+6.0%", "1")
    assert found["max_order_notional"].after == "6 000"  # at the mark, which is dearer


def test_a_taker_pays_the_taker_fee() -> None:
    view = shown(opened(), order(BTC_PERP, Side.BUY, "0.1"))
    assert (view.maker, view.fee) == (False, D("3.000005"))


@pytest.mark.parametrize(
    "wanted",
    [
        order(BTC_PERP, Side.BUY, "0.2"),
        order(BTC_PERP, Side.BUY, "0.5"),
        order(BTC_SPOT, Side.BUY, "0.4", "59000"),
        order(BTC_PERP, Side.SELL, "0.9"),
    ],
)
def test_what_is_marked_as_broken_is_what_the_gate_refuses(wanted: Order) -> None:
    """The limits of the picture are the guardian's own: the same words, the same verdict."""
    engine = opened()
    view = shown(engine, wanted)
    refusal = denied(engine, wanted)
    assert view.refusals[0] == refusal.reason
    assert refusal.limit in {limit.name for limit in view.limits if not limit.ok}


def test_a_short_is_measured_by_the_lower_bound_of_net() -> None:
    net = limits(shown(opened(), order(BTC_PERP, Side.SELL, "0.1")))["net"]
    assert (net.after, net.bound, net.ok) == ("-6.0%", "-30.0%", True)


def test_an_exit_is_judged_by_what_judges_exits_alone() -> None:
    engine = opened()
    engine.process(fill(BTC_PERP, Side.BUY, "0.1", "60000", "in"))
    view = shown(engine, order(BTC_PERP, Side.SELL, "0.1", reduce_only=True))
    assert (view.refusals, view.limits, view.position_after, view.liquidation) == ((), (), D(0), None)


def test_what_cannot_be_valued_is_refused_and_shows_nothing() -> None:
    for quantity in ("NaN", "Infinity", "0", "-1", "1e400"):
        view = shown(opened(), order(BTC_PERP, Side.BUY, quantity))
        assert (view.notional, view.limits) == (None, ())
        assert "quantity" in view.refusals[0]


def test_the_risk_is_what_the_stop_would_lose() -> None:
    view = shown(opened(), order(BTC_PERP, Side.BUY, "0.1", "60000", stop_loss=StopLoss(D(59_500))))
    assert view.risk == D(50)
    assert view.risk_frac == pytest.approx(0.0005)


@pytest.mark.parametrize("stop", ["NaN", "0", "-1", "Infinity", "59000.05"])
def test_a_senseless_stop_breaks_nothing(stop: str) -> None:
    view = shown(opened(), order(BTC_PERP, Side.BUY, "0.1", "60000", stop_loss=StopLoss(D(stop))))
    assert view.refusals


def traded(engine: Engine, orders: list[Order]) -> Decimal | None:
    """Have a venue of our own rules trade these orders and the engine hear of it; return its liquidation price."""
    told: list[Message] = []
    venue = Matching(PERP, (TIERED, OTHER), {Asset("USDT"): D(3_000)}, MatchingSettings(), told.append)
    for instrument, price in ((TIERED, 60_000.0), (OTHER, 3_000.0)):
        tick = float(instrument.tick_size)
        venue.on_data(quote(instrument, price - tick, price + tick, T0, bid_size=100.0, ask_size=100.0))
    for number, wanted in enumerate(orders):
        one = msgspec.structs.replace(wanted, client_order_id=ClientOrderId(f"x{number}"))
        venue.submit(c.SubmitOrder(one, "test", T0), T0)
    for message in told:
        if isinstance(message, e.OrderFilled):
            engine.process(message)
    found = venue.snapshot(0)
    engine.process(e.BalanceSet(PERP, Asset("USDT"), found.balances[0].total, "reconciled", T0))
    return next((one.liquidation_price for one in found.positions if one.instrument == TIERED.id), None)


@pytest.mark.parametrize(
    ("before", "last"),
    [
        ([], order(TIERED, Side.BUY, "0.5")),
        ([order(TIERED, Side.BUY, "0.2")], order(TIERED, Side.BUY, "0.3")),
        ([order(TIERED, Side.SELL, "0.6")], order(TIERED, Side.BUY, "0.2")),
        ([order(OTHER, Side.SELL, "3")], order(TIERED, Side.BUY, "0.4")),
        ([order(TIERED, Side.BUY, "0.2")], order(TIERED, Side.SELL, "0.5")),
    ],
)
def test_liquidation_is_where_the_practice_venue_says(before: list[Order], last: Order) -> None:
    """The preview of the last order against the venue's own report behind it."""
    ours = opened(settings=WIDE, instruments=(TIERED, OTHER), cash="3000", strict=False)
    traded(ours, before)
    expected = shown(ours, last).liquidation
    reported = traded(ours, [*before, last])
    assert expected is not None
    assert reported is not None
    assert abs(expected - reported) <= TIERED.tick_size


def test_what_is_owned_is_never_liquidated() -> None:
    assert shown(opened(), order(BTC_SPOT, Side.BUY, "0.01", "60000")).liquidation is None


def test_open_orders_count_in_before_and_after() -> None:
    engine = opened()
    accept(engine, sent(engine, order(BTC_PERP, Side.BUY, "0.1", "59000")))
    found = limits(shown(engine, order(BTC_PERP, Side.BUY, "0.1", "59000", type=OrderType.LIMIT)))
    assert (found["max_position"].before, found["max_position"].after) == ("6.0%", "12.0%")
    assert (found["max_open_orders"].before, found["max_open_orders"].after) == ("1", "2")
