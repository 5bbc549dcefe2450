"""What an order may cost: valued at the dearest of its price, its trigger and the mark, linear and inverse alike."""

from decimal import Decimal
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.config.settings import GuardianSettings
from core.domain import commands as c
from core.domain import events as e
from core.domain.approval import TradingState
from core.domain.identifiers import Asset
from core.domain.instrument import Instrument
from core.domain.order import Order, OrderType, Side
from core.engine import Engine
from core.guardian.guardian import Guardian
from core.guardian.limits.concentration import _weights
from core.guardian.proposal import Proposal, marketable
from core.session.preview import preview
from tests.core.guardian.test_guardian import WIDE, with_position
from tests.core.kit import (
    BTC_COINM,
    BTC_PERP,
    BTC_SPOT,
    COINM,
    ETH_PERP,
    PERP,
    PRICES,
    T0,
    D,
    accept,
    denied,
    fill,
    of,
    opened,
    order,
    quote,
    sent,
    submit,
)

CONTRACTS = (BTC_PERP, BTC_COINM)
EQUITY = 100_000.0


def venue(settings: GuardianSettings | None = None) -> Engine:
    """Return an engine with a linear and an inverse contract; marks 60 000, equity 100 000."""
    return opened(instruments=CONTRACTS, settings=settings)


def stop_limit(instrument: Instrument, side: Side, quantity: str, trigger: str, limit: str, **changes: object) -> Order:
    """Return a stop-limit order."""
    return order(instrument, side, quantity, limit, type=OrderType.STOP_LIMIT, trigger=D(trigger), **changes)


# --- one order ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "limit"),
    [
        (stop_limit(BTC_COINM, Side.BUY, "2000", "60100", "6000000"), "price_collar"),
        (stop_limit(BTC_COINM, Side.BUY, "2000", "60100", "60200"), "max_order_notional"),
        (order(BTC_COINM, Side.SELL, "120", "90000"), "max_order_notional"),
        (order(BTC_COINM, Side.BUY, "60", "30000"), "max_order_notional"),
        (stop_limit(BTC_PERP, Side.SELL, "1", "59900", "6000"), "price_collar"),
        (stop_limit(BTC_PERP, Side.SELL, "0.168", "59900", "59000"), "max_order_notional"),
        (stop_limit(BTC_PERP, Side.BUY, "0.12", "90000", "60000"), "max_order_notional"),
        (order(BTC_PERP, Side.BUY, "0.2", "30000"), "max_order_notional"),
    ],
)
def test_no_price_makes_an_order_look_small(wanted: Order, limit: str) -> None:
    assert denied(venue(), wanted).limit == limit


def test_the_sentence_says_at_which_price_where_it_is_not_the_orders_own() -> None:
    reason = denied(venue(), order(BTC_PERP, Side.BUY, "0.2", "30000")).reason
    assert reason.startswith("refused: notional 12 000 at 60 000 > max_order_notional 10 000")
    reason = denied(venue(), order(BTC_PERP, Side.BUY, "0.2", "60000")).reason
    assert reason.startswith("refused: notional 12 000 > max_order_notional 10 000")


@pytest.mark.parametrize(
    ("side", "trigger", "limit", "passes"),
    [
        (Side.BUY, "90000", "94500", True),
        (Side.BUY, "90000", "94500.1", False),
        (Side.BUY, "90000", "50000", True),
        (Side.SELL, "40000", "38000", True),
        (Side.SELL, "40000", "37999.9", False),
        (Side.SELL, "40000", "59000", True),
    ],
)
def test_a_stop_limit_is_collared_where_it_would_trade(side: Side, trigger: str, limit: str, passes: bool) -> None:
    effects = submit(venue(WIDE), stop_limit(BTC_PERP, side, "0.01", trigger, limit))
    assert bool(of(effects, e.OrderSubmitted)) is passes
    assert [one.limit for one in of(effects, e.OrderDenied)] == ([] if passes else ["price_collar"])


@pytest.mark.parametrize("wanted", [{"reduce_only": True}, {}])
def test_no_price_holds_up_an_exit(wanted: dict[str, bool]) -> None:
    engine = venue()
    engine.process(e.BalanceSet(COINM, Asset("BTC"), D(10), "opening", T0))
    engine.process(fill(BTC_PERP, Side.BUY, "1", "60000", "f1"))
    engine.process(fill(BTC_COINM, Side.BUY, "600", "60000", "f2"))
    sent(engine, stop_limit(BTC_PERP, Side.SELL, "1", "59900", "6000", **wanted))
    sent(engine, stop_limit(BTC_COINM, Side.SELL, "600", "59900", "6000", **wanted))


def test_a_market_without_a_mark_is_valued_at_the_orders_own_prices() -> None:
    engine = venue()
    for instrument, dearest in ((BTC_PERP, 60_200.0), (BTC_COINM, 60_100.0)):
        market = engine.state.markets[instrument.id]
        market.mark = 0.0
        wanted = stop_limit(instrument, Side.BUY, "1", "60100", "60200")
        assert Proposal(engine.state, wanted, market, T0).dearest == dearest
        market.bid = market.ask = market.last = 0.0
        assert Proposal(engine.state, order(instrument, Side.BUY, "1"), market, T0).notional == 0.0


# --- what rests -----------------------------------------------------------------------------------------------------


def test_what_rests_counts_at_its_own_dearest_price() -> None:
    engine = venue(msgspec.structs.replace(WIDE, max_position_frac=0.12))
    sent(engine, order(BTC_PERP, Side.BUY, "0.1", type=OrderType.STOP, trigger=D(90000)))
    denied(engine, order(BTC_PERP, Side.BUY, "0.051", "60000"))
    sent(engine, order(BTC_PERP, Side.BUY, "0.049", "60000"))


@pytest.mark.parametrize("setting", ["max_gross_frac", "max_net_frac", "max_sector_frac"])
def test_what_rests_of_another_counts_at_its_own_dearest_price(setting: str) -> None:
    engine = opened(instruments=(BTC_SPOT, BTC_PERP), settings=msgspec.structs.replace(WIDE, **{setting: 0.12}))
    sent(engine, order(BTC_SPOT, Side.BUY, "0.1", type=OrderType.STOP, trigger=D(90000)))
    denied(engine, order(BTC_PERP, Side.BUY, "0.051", "60000"))
    sent(engine, order(BTC_PERP, Side.BUY, "0.049", "60000"))


def test_a_change_on_its_way_counts_with_what_it_may_become() -> None:
    engine = venue(msgspec.structs.replace(WIDE, max_position_frac=0.12))
    resting = sent(engine, order(BTC_PERP, Side.BUY, "0.1", "50000"))
    accept(engine, resting)
    engine.process(c.AmendOrder(resting, D("0.16"), None, None, "test", T0))
    denied(engine, order(BTC_PERP, Side.BUY, "0.05", "60000"))
    engine.process(e.AmendRejected(resting, "no", T0, T0))
    sent(engine, order(BTC_PERP, Side.BUY, "0.05", "60000"))


def test_two_exits_of_which_one_grows_turn_nothing_while_reducing() -> None:
    engine = venue()
    engine.process(fill(BTC_PERP, Side.BUY, "0.08", "60000", "f1"))
    engine.process(c.SetTradingState(TradingState.REDUCING, "test", "", "somebody", "test", T0))
    first = sent(engine, order(BTC_PERP, Side.SELL, "0.04", "61000"))
    accept(engine, first)
    engine.process(c.AmendOrder(first, D("0.08"), None, None, "test", T0))
    assert denied(engine, order(BTC_PERP, Side.SELL, "0.04", "61500")).limit == "trading_state"


@pytest.mark.parametrize("asked", ["0.05", "0.2"])
def test_bets_are_counted_with_what_a_change_may_become(asked: str) -> None:
    engine = opened(instruments=(BTC_PERP, ETH_PERP), settings=WIDE)
    market = engine.state.markets[ETH_PERP.id]
    resting = sent(engine, order(BTC_PERP, Side.BUY, "0.1", "50000"))
    accept(engine, resting)
    engine.process(c.AmendOrder(resting, D(asked), None, None, "test", T0))
    before, _ = _weights(Proposal(engine.state, order(ETH_PERP, Side.BUY, "1"), market, T0))
    assert before[BTC_PERP.base] == pytest.approx(60_000 * max(0.1, float(asked)))


def test_what_is_shown_is_what_is_judged() -> None:
    engine = venue()
    wanted = stop_limit(BTC_PERP, Side.BUY, "0.12", "90000", "60000")
    view = preview(engine.state, engine.guardian, wanted, T0)
    assert view.notional == D(7200)  # what it costs where it fills at its limit
    shown = {one.name: one for one in view.limits}
    assert (shown["max_order_notional"].after, shown["max_order_notional"].ok) == ("10 800", False)
    assert shown["max_position"].after == "10.8%"
    assert not view.maker  # it waits for its trigger, and no limit of its own rests meanwhile
    assert not marketable(wanted, engine.state.markets[BTC_PERP.id])


# --- any sequence ---------------------------------------------------------------------------------------------------

STEPS = st.tuples(
    st.sampled_from(CONTRACTS),
    st.sampled_from((Side.BUY, Side.SELL)),
    st.sampled_from((OrderType.MARKET, OrderType.LIMIT, OrderType.STOP, OrderType.STOP_LIMIT)),
    st.integers(1, 300),
    st.integers(100, 90_000_000).map(lambda tenths: Decimal(tenths) / 10),
    st.integers(100, 90_000_000).map(lambda tenths: Decimal(tenths) / 10),
) | st.tuples(
    st.sampled_from(CONTRACTS),
    st.sampled_from((Side.BUY, Side.SELL)),
    st.sampled_from((OrderType.LIMIT, OrderType.STOP, OrderType.STOP_LIMIT)),
    st.integers(1, 300),
    st.integers(50_000, 72_000).map(Decimal),
    st.integers(50_000, 72_000).map(Decimal),
)
BOUNDED = msgspec.structs.replace(WIDE, max_position_frac=0.3, max_gross_frac=0.45)


def made(instrument: Instrument, side: Side, kind: OrderType, size: int, price: Decimal, trigger: Decimal) -> Order:
    """Return an order of about ``size`` hundred dollars at the mark."""
    quantity = str(size) if instrument.inverse else str(Decimal(size) * instrument.size_step)
    limit = str(price) if kind in (OrderType.LIMIT, OrderType.STOP_LIMIT) else None
    waits = trigger if kind in (OrderType.STOP, OrderType.STOP_LIMIT) else None
    return order(instrument, side, quantity, limit, type=kind, trigger=waits)


def worth(instrument: Instrument, wanted: Order, at: float) -> float:
    """Return the value of an order filled at a price, told apart from the guardian's own sums."""
    size = float(wanted.quantity * instrument.contract_size)
    return size / at * PRICES[instrument.id] if instrument.inverse else size * at


@given(st.lists(STEPS, min_size=1, max_size=8), st.lists(st.floats(0.0, 1.0), min_size=8, max_size=8))
def test_no_sequence_that_passes_can_lead_beyond_a_bound(
    steps: list[tuple[Instrument, Side, OrderType, int, Decimal, Decimal]], places: list[float]
) -> None:
    engine = venue(BOUNDED)
    passed: list[tuple[Instrument, Order]] = []
    for step in steps:
        wanted = made(*step)
        if of(submit(engine, wanted), e.OrderSubmitted):
            passed.append((step[0], wanted))
    gross = 0.0
    for instrument in CONTRACTS:
        sides = {Side.BUY: 0.0, Side.SELL: 0.0}
        for place, (its, wanted) in zip(places, passed, strict=False):
            if its is instrument:
                prices = sorted(float(one) for one in (wanted.price, wanted.trigger) if one is not None)
                prices = sorted([*prices, PRICES[instrument.id]])
                corners = [low + (high - low) * place for low, high in pairwise(prices)]
                sides[wanted.side] += max(worth(instrument, wanted, at) for at in (*prices, *corners))
        most = max(sides.values())
        gross += most
        assert most <= BOUNDED.max_position_frac * EQUITY * (1 + 1e-9) + 0.1
    assert gross <= BOUNDED.max_gross_frac * EQUITY * (1 + 1e-9) + 0.1


def test_quotes_move_the_bounds() -> None:
    engine = opened(settings=msgspec.structs.replace(WIDE, max_position_frac=0.06))
    for _ in range(2):  # half the price is believed of two quotes alone
        engine.process(quote(BTC_PERP, 30_000.0, 30_000.1))
    sent(engine, order(BTC_PERP, Side.BUY, "0.19", "29000"))


def test_the_use_of_each_limit_is_shown() -> None:
    engine = with_position()
    market = engine.state.markets[BTC_PERP.id]
    views = {
        view.name: view for view in engine.guardian.views(engine.state, market, order(BTC_PERP, Side.BUY, "0.1"), T0)
    }
    assert set(views) >= {"max_position", "max_gross", "net", "max_open_orders", "max_orders_per_second"}
    assert views["max_position"].used == pytest.approx(0.12 / 100, rel=0.01)
    assert views["max_position"].setting == "default of [guardian] max_position_frac"
    engine.process(e.BalanceSet(PERP, Asset("USDT"), D(-(10**9)), "reconciled", T0))
    assert "max_position" not in {
        v.name for v in Guardian().views(engine.state, market, order(BTC_PERP, Side.BUY, "1"), T0)
    }
