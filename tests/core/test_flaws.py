"""Numbers that cannot be money or a contract: refused in words, and nothing of them in a record."""

import msgspec
import pytest

from core.config.settings import AlertSettings
from core.domain import events as e
from core.domain import market as m
from core.domain.alerts import AlertRaised
from core.domain.identifiers import Asset, ClientOrderId, FillId, VenueOrderId
from core.domain.message import Event
from core.domain.order import OrderStatus, OrderType, Side
from core.domain.reports import BalanceReport, OrderReport, PositionReport, VenueSnapshot
from core.reconcile.reconcile import explained
from core.state.flaws import without_flaws
from tests.core.kit import BTC_PERP, ETH_PERP, PERP, SPOT, T0, D, S, denied, fill, held, of, opened, order, sent

SENSELESS = ["NaN", "sNaN", "Infinity", "-Infinity", "1e18", "-1e400"]
USDT = Asset("USDT")
FUNDING = e.FundingPaid(BTC_PERP.id, USDT, D(1), D("0.0001"), D(60000), FillId("p1"), T0, T0)
FORCED = e.PositionLiquidated(BTC_PERP.id, D(1), D(60000), D(5), USDT, T0, T0, FillId("L1"))
WALLET = e.BalanceSet(PERP, USDT, D(50_001), "reconciled", T0)
POSITION = e.PositionSet(BTC_PERP.id, D(1), D(60000), "adopted", T0)


@pytest.mark.parametrize("value", SENSELESS)
@pytest.mark.parametrize(
    ("event", "field"),
    [
        (FUNDING, "amount"),
        *((FORCED, name) for name in ("fee", "quantity", "price")),
        (WALLET, "total"),
        *((POSITION, name) for name in ("quantity", "entry_price")),
        *((fill(BTC_PERP, Side.BUY, "1", "60000", "f1"), name) for name in ("quantity", "price", "fee")),
    ],
    ids=lambda one: type(one).__name__ if isinstance(one, Event) else one,
)
def test_senseless_money_reaches_no_record(event: Event, field: str, value: str) -> None:
    engine = opened(alerts=AlertSettings())
    before = engine.state.image()
    effects = engine.process(msgspec.structs.replace(event, **{field: D(value)}))
    (told,) = of(effects, e.IllegalEventSeen)
    assert not of(effects, type(event))
    assert f"{type(event).__name__}: {field.replace('_', ' ')} must be a number" in told.what
    assert "not applied" in told.what
    (alert,) = of(engine.process(m.Timer(T0 + 1)), AlertRaised)
    assert alert.text == f"a venue tells what does not fit: {told.what}"
    after = engine.state.image()
    assert (after.balances, after.positions, after.fills) == (before.balances, before.positions, before.fills)
    assert engine.state.equity == pytest.approx(100_000)
    engine.process(m.Timer(T0 + S))
    assert engine.state.peak == D("100000")


@pytest.mark.parametrize("event", [FUNDING, FORCED, WALLET, POSITION], ids=lambda one: type(one).__name__)
def test_money_that_can_be_is_taken(event: Event) -> None:
    assert of(opened().process(event), type(event))


@pytest.mark.parametrize("equity", ["nan", "inf", "-inf"])
def test_nothing_is_entered_while_the_equity_is_no_number(equity: str) -> None:
    engine = opened()
    engine.process(fill(BTC_PERP, Side.BUY, "0.01", "60000", "f1"))
    peak = engine.state.peak
    engine.state.ledger.equity = float(equity)
    refusal = denied(engine, order(BTC_PERP, Side.BUY, "0.01", "59000"))
    assert "equity" in refusal.reason or refusal.bound == "0"
    assert sent(engine, order(BTC_PERP, Side.SELL, "0.01", "61000", reduce_only=True)), "an exit passes"
    engine._mark(T0)
    assert engine.state.peak == peak


# --- snapshots --------------------------------------------------------------------------------------------------------


def reports(value: str) -> VenueSnapshot:
    """Return a snapshot of which each part has one of sense and one without."""
    number = D(value)
    resting = order(BTC_PERP, Side.BUY, "1", "59000", client_order_id=ClientOrderId("x1"))
    stop = order(BTC_PERP, Side.BUY, "1", type=OrderType.STOP, trigger=D(61000))
    orders = (
        resting,
        msgspec.structs.replace(resting, client_order_id=ClientOrderId("x2"), price=number),
        msgspec.structs.replace(stop, trigger=number),
    )
    good = fill(BTC_PERP, Side.BUY, "1", "60000", "g1", "x9")
    return VenueSnapshot(
        PERP,
        T0 + S,
        tuple(
            OrderReport(one.client_order_id, VenueOrderId("v"), one, OrderStatus.ACCEPTED, D(0), None, T0)
            for one in orders
        ),
        (good, good.replace(quantity=number, fill_id=FillId("g2"))),
        (
            PositionReport(BTC_PERP.id, D(1), D(60000), None, D(0), T0),
            PositionReport(ETH_PERP.id, number, D(1), None, D(0), T0),
        ),
        (BalanceReport(USDT, D(7), D(7)), BalanceReport(Asset("BNB"), number, number)),
        (FUNDING, FORCED.replace(fee=number)),
    )


@pytest.mark.parametrize("value", SENSELESS)
def test_a_snapshot_is_taken_without_what_cannot_be(value: str) -> None:
    seen = reports(value)
    sane, wrong = without_flaws(seen)
    assert sane == VenueSnapshot(
        PERP, T0 + S, seen.open_orders[:1], seen.fills[:1], seen.positions[:1], seen.balances[:1], (FUNDING,)
    )
    assert wrong.startswith("it tells what cannot be, left out here: order x2: ")
    assert wrong.endswith("and 5 more")
    assert without_flaws(sane) == (sane, "")
    _, wrong = without_flaws(msgspec.structs.replace(sane, balances=seen.balances))
    what = f"wallet of BNB: total must be a number within 10^18 of 0 (got {D(value)})"
    assert wrong == f"it tells what cannot be, left out here: {what}"


def test_a_senseless_fill_of_others_makes_no_difference() -> None:
    engine = opened()
    odd = fill(BTC_PERP, Side.BUY, "NaN", "60000", "g2", "x9", T0 + S)
    events = list(explained(engine.state, VenueSnapshot(PERP, T0 + S, (), (odd,), (), ()), {}, T0 + S, T0 + S))
    assert [type(one) for one in events] == [e.OrderFilled]
    assert of(engine.process(events[0]), e.IllegalEventSeen)


# --- contracts --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("field", ["tick_size", "size_step", "min_size", "contract_size", "max_size"])
@pytest.mark.parametrize("value", ["0", "-1", "NaN", "Infinity"])
def test_an_instrument_that_no_size_fits_is_refused_and_the_others_go_on(field: str, value: str) -> None:
    if (field, value) == ("max_size", "Infinity"):
        return  # as none
    engine = opened(instruments=(BTC_PERP,), alerts=AlertSettings())
    broken = msgspec.structs.replace(ETH_PERP, **{field: D(value)})
    effects = engine.process(m.InstrumentDefined(broken, T0))
    (told,) = of(effects, e.IllegalEventSeen)
    assert f"InstrumentDefined: {ETH_PERP.id}: {field} must be a number greater than 0" in told.what
    assert of(engine.process(m.Timer(T0 + 1)), AlertRaised)
    assert not of(effects, m.InstrumentDefined)
    assert ETH_PERP.id not in engine.state.markets
    assert sent(engine, order(BTC_PERP, Side.BUY, "0.01", "59000"))


@pytest.mark.parametrize("field", ["min_notional", "maker_fee", "taker_fee", "liquidation_fee"])
def test_one_that_is_redefined_badly_keeps_its_old_form(field: str) -> None:
    engine = opened()
    engine.process(fill(ETH_PERP, Side.BUY, "0.1", "3000", "f2"))
    broken = msgspec.structs.replace(ETH_PERP, **{field: D("NaN")})
    assert of(engine.process(m.InstrumentDefined(broken, T0 + S)), e.IllegalEventSeen)
    assert engine.state.markets[ETH_PERP.id].instrument == ETH_PERP
    assert held(engine, ETH_PERP) == D("0.1")
    assert engine.state.venue(SPOT).reconciled
