"""Two pairs of one coin are two routes into one holding: limits, exits and flattens count by what is held."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from core.config.settings import GuardianSettings
from core.domain import commands as c
from core.domain import events as e
from core.domain import market as m
from core.domain import watch as w
from core.domain.approval import Approved, TradingState
from core.domain.identifiers import Asset, ClientOrderId, InstrumentId, holding_of
from core.domain.instrument import Instrument
from core.domain.order import OrderStatus, OrderType, Side, StopLoss, TakeProfit
from core.engine import Engine
from core.execution.flatten import routes
from core.guardian.guardian import Guardian
from core.guardian.limits.concentration import _weights
from core.guardian.proposal import Proposal
from core.ports import Abilities
from core.state.markets import Market
from core.state.state import State
from tests.core.guardian.test_guardian import WIDE
from tests.core.kit import (
    ALL,
    BTC_PERP,
    BTC_SPOT,
    BTC_USDC,
    PRICES,
    SPOT,
    T0,
    D,
    S,
    accept,
    denied,
    fill,
    held,
    of,
    opened,
    order,
    quote,
    record_of,
    sent,
    submit,
)

PAIRS = (BTC_SPOT, BTC_USDC)
WHOLE = {SPOT: Abilities(order_types=frozenset(OrderType), amend=True)}


@pytest.fixture(autouse=True)
def _prices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PRICES, BTC_USDC.id, 60_000.0)


def venue(bought: str = "", **changes: Any) -> Engine:
    """Return an engine with two pairs of one coin, ``bought`` coins held."""
    engine = opened(instruments=PAIRS, settings=changes.pop("settings", WIDE), cash="100000", **changes)
    if bought:
        engine.process(fill(BTC_SPOT, Side.BUY, bought, "60000", "f0"))
    return engine


def exits(effects: Any) -> list[Any]:
    return [one.command.order for one in of(effects, Approved) if isinstance(one.command, c.SubmitOrder)]


@pytest.mark.parametrize("instrument", [*ALL, BTC_USDC])
def test_an_id_names_what_is_held(instrument: Instrument) -> None:
    assert holding_of(instrument.id) == instrument.holding == holding_of(instrument.holding)


# --- the gate -------------------------------------------------------------------------------------------------------


def test_two_reduce_only_orders_never_sell_the_same_coins() -> None:
    engine = venue("0.05")
    sent(engine, order(BTC_SPOT, Side.SELL, "0.03", "61000", reduce_only=True))
    assert denied(engine, order(BTC_USDC, Side.SELL, "0.03", "61000", reduce_only=True)).bound == "0.02"
    sent(engine, order(BTC_USDC, Side.SELL, "0.02", "61000", reduce_only=True))


def test_a_plain_sale_over_another_pair_finds_what_exits_leave() -> None:
    engine = venue("0.05")
    engine.process(c.SetTradingState(TradingState.REDUCING, "test", "", "somebody", "test", T0))
    sent(engine, order(BTC_SPOT, Side.SELL, "0.03", "61000"))
    assert denied(engine, order(BTC_USDC, Side.SELL, "0.03", "61000")).limit == "trading_state"
    sent(engine, order(BTC_USDC, Side.SELL, "0.02", "61000"))


@pytest.mark.parametrize(
    "setting", ["max_position_frac", "max_leverage", "max_sector_frac", "max_gross_frac", "max_net_frac"]
)
def test_entries_over_both_pairs_add_up(setting: str) -> None:
    engine = venue(settings=msgspec.structs.replace(WIDE, **{setting: 0.06}))
    sent(engine, order(BTC_SPOT, Side.BUY, "0.06", "59000"))
    denied(engine, order(BTC_USDC, Side.BUY, "0.05", "59000"))
    sent(engine, order(BTC_USDC, Side.BUY, "0.03", "59000"))


def test_they_are_one_bet() -> None:
    engine = venue("0.05")
    sent(engine, order(BTC_SPOT, Side.BUY, "0.02", "60000"))
    market = engine.state.markets[BTC_USDC.id]
    before, after = _weights(Proposal(engine.state, order(BTC_USDC, Side.BUY, "0.01", "60000"), market, T0))
    assert before == {BTC_SPOT.base: pytest.approx(4200)}
    assert after == {BTC_SPOT.base: pytest.approx(4800)}


def test_what_is_being_closed_is_not_bought_over_another_pair() -> None:
    engine = venue("0.05")
    engine.process(c.Flatten(BTC_SPOT.id, "test", T0))
    assert denied(engine, order(BTC_USDC, Side.BUY, "0.01", "59000")).limit == "closing"


# --- flattening -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", PAIRS)
def test_a_flatten_of_both_sends_one_exit_of_the_coins(first: Instrument) -> None:
    engine = venue("0.05")
    second = BTC_USDC if first is BTC_SPOT else BTC_SPOT
    out = exits(engine.process(c.Flatten(first.id, "test", T0)))
    assert [(one.instrument, one.quantity) for one in out] == [(first.id, D("0.05"))]
    assert not exits(engine.process(c.Flatten(second.id, "test", T0)))
    assert not exits(engine.process(m.Timer(T0 + 2 * S)))
    assert engine.state.exits.flattening.keys() == {BTC_SPOT.id, BTC_USDC.id}  # neither was given up
    engine.process(fill(first, Side.SELL, "0.05", "60000", "out", out[0].client_order_id, T0 + 2 * S))
    engine.process(m.Timer(T0 + 3 * S))
    assert (held(engine, BTC_SPOT), engine.state.exits.flattening) == (D(0), {})


def test_a_flatten_of_all_with_an_order_on_the_other_pair_sends_one_exit() -> None:
    engine = venue("0.05")
    resting = sent(engine, order(BTC_USDC, Side.BUY, "0.01", "50000"))
    accept(engine, resting)
    out = exits(engine.process(c.Flatten(None, "test", T0)))
    assert [one.quantity for one in out] == [D("0.05")]
    assert record_of(engine, resting).status is OrderStatus.PENDING_CANCEL


def test_a_flatten_takes_away_what_holds_the_coins_on_another_pair() -> None:
    engine = venue("0.05")
    resting = sent(engine, order(BTC_USDC, Side.SELL, "0.05", "61000", reduce_only=True))
    accept(engine, resting)
    assert not exits(engine.process(c.Flatten(BTC_SPOT.id, "test", T0)))
    assert record_of(engine, resting).status is OrderStatus.PENDING_CANCEL
    effects = [*engine.process(e.OrderCancelled(resting, "asked", T0, T0)), *engine.process(m.Timer(T0 + S))]
    assert [one.quantity for one in exits(effects)] == [D("0.05")]


def bracketed(engine: Engine) -> tuple[ClientOrderId, ClientOrderId]:
    """Buy 0.05 over the second pair with a stop; return (entry, stop)."""
    wanted = order(BTC_USDC, Side.BUY, "0.05", "60000", stop_loss=StopLoss(D(59_000)))
    entry = sent(engine, wanted)
    accept(engine, entry)
    effects = engine.process(fill(BTC_USDC, Side.BUY, "0.05", "60000", "f1", entry))
    (stop,) = exits(effects)
    accept(engine, stop.client_order_id)
    return entry, stop.client_order_id


def test_a_flatten_ends_the_brackets_of_every_pair() -> None:
    engine = venue(abilities=WHOLE)
    entry, stop = bracketed(engine)
    engine.process(c.Flatten(BTC_SPOT.id, "test", T0))
    assert engine.state.brackets.find(entry) is None
    effects = [*engine.process(e.OrderCancelled(stop, "asked", T0, T0)), *engine.process(m.Timer(T0 + S))]
    assert [(one.type, one.quantity) for one in exits(effects)] == [(OrderType.MARKET, D("0.05"))]


def test_a_stop_of_another_pair_does_not_come_back_while_a_part_is_closed() -> None:
    engine = venue(abilities=WHOLE)
    _, stop = bracketed(engine)
    engine._exits.bring(BTC_SPOT.id, D("0.02"), "guardian test")
    assert record_of(engine, stop).status is OrderStatus.PENDING_AMEND
    engine.process(e.OrderAmended(stop, D("0.02"), None, None, T0, T0))
    assert record_of(engine, stop).order.quantity == D("0.02")
    engine.process(quote(BTC_SPOT, 59_999.9, 60_000.1, T0 + S))
    effects = list(engine.process(m.Timer(T0 + S)))
    (out,) = exits(effects)
    assert (out.instrument, out.quantity) == (BTC_SPOT.id, D("0.03"))
    engine._exits.bring(BTC_USDC.id, D("0.02"), "guardian test")  # what is on its way over one pair does for both
    assert len([one for one in engine.state.blotter.open.values() if one.order.type is not OrderType.STOP]) == 1
    assert engine.state.exits.flattening.keys() == {BTC_SPOT.id, BTC_USDC.id}


def test_a_flatten_ends_only_when_no_pair_can_buy_the_coin_again() -> None:
    engine = venue()
    resting = sent(engine, order(BTC_USDC, Side.BUY, "0.01", "50000"))
    accept(engine, resting)
    engine.process(c.Flatten(BTC_SPOT.id, "test", T0))
    assert BTC_SPOT.id in engine.state.exits.flattening
    engine.process(e.OrderCancelled(resting, "asked", T0, T0))
    engine.process(m.Timer(T0 + S))
    assert engine.state.exits.flattening == {}


def test_where_nothing_caps_an_exit_a_sale_over_another_pair_counts() -> None:
    engine = venue("0.05", abilities={SPOT: Abilities(reduce_only=False)})
    resting = sent(engine, order(BTC_USDC, Side.SELL, "0.02", "61000"))
    accept(engine, resting)
    assert [one.quantity for one in exits(engine.process(c.Flatten(BTC_SPOT.id, "test", T0)))] == [D("0.03")]


def refused(engine: Engine, origin: str, seconds: int) -> list[tuple[InstrumentId, OrderType, Decimal]]:
    """Flatten the first pair for so many seconds, the venue rejecting each exit; return where they went and as what."""
    went, now = [], T0
    out = exits(engine.process(c.Flatten(BTC_SPOT.id, origin, T0)))
    for second in range(1, seconds + 1):
        while out:
            one = out.pop(0)
            went.append((one.instrument, one.type, one.quantity))
            out += exits(engine.process(e.OrderRejected(one.client_order_id, "trading is halted", now, now)))
        now = T0 + second * S
        for instrument in PAIRS:
            engine.process(quote(instrument, 59_999.9, 60_000.1, now))
        out = exits(engine.process(m.Timer(now)))
    return went


@pytest.mark.parametrize(("origin", "first"), [("test", OrderType.MARKET), ("guardian test", OrderType.LIMIT)])
def test_a_market_that_takes_no_exit_gives_way_to_the_coins_other_pair(origin: str, first: OrderType) -> None:
    engine = venue("0.05")
    own, other = (BTC_SPOT.id, OrderType.MARKET, D("0.05")), (BTC_USDC.id, OrderType.MARKET, D("0.05"))
    went = refused(engine, origin, 6)
    assert went[:6] == [(BTC_SPOT.id, first, D("0.05")), own, other, own, other, own]
    (out,) = engine.state.blotter.open.values()
    assert out.order.reduce_only
    market = out.order.instrument
    filled = BTC_USDC if market == BTC_USDC.id else BTC_SPOT
    engine.process(fill(filled, Side.SELL, "0.05", "60000", "out", out.order.client_order_id, T0 + 6 * S))
    assert held(engine, BTC_SPOT) == 0
    assert not exits(engine.process(m.Timer(T0 + 7 * S)))


def test_a_route_that_closes_something_is_kept() -> None:
    engine = venue("0.05")
    engine.process(m.InstrumentDefined(msgspec.structs.replace(BTC_SPOT, max_size=D("0.01")), T0))
    went, out = [], exits(engine.process(c.Flatten(BTC_SPOT.id, "test", T0)))
    for second in range(1, 6):
        (one,) = out
        went.append((one.instrument, one.quantity))
        now = T0 + second * S
        engine.process(quote(BTC_SPOT, 59_999.9, 60_000.1, now))
        sold = fill(BTC_SPOT, Side.SELL, "0.01", "60000", f"x{second}", one.client_order_id, now)
        out = [*exits(engine.process(sold)), *exits(engine.process(m.Timer(now)))]
    assert went == [(BTC_SPOT.id, D("0.01"))] * 5
    assert held(engine, BTC_SPOT) == 0


def test_a_pair_that_could_not_sell_it_is_no_route() -> None:
    engine = venue("0.05")
    engine.process(m.InstrumentDefined(msgspec.structs.replace(BTC_USDC, min_size=D("0.06")), T0))
    assert [instrument for instrument, _, _ in refused(engine, "guardian test", 5)] == [BTC_SPOT.id] * 6


def test_a_pair_without_a_price_is_no_route() -> None:
    engine = opened(instruments=(BTC_SPOT,), settings=WIDE, cash="100000")
    engine.process(fill(BTC_SPOT, Side.BUY, "0.05", "60000", "f0"))
    engine.process(m.InstrumentDefined(BTC_USDC, T0))
    assert routes(engine.state, engine.state.markets[BTC_SPOT.id]) == [engine.state.markets[BTC_SPOT.id]]
    engine.process(quote(BTC_USDC, 59_999.9, 60_000.1, T0))
    assert [one.instrument.id for one in routes(engine.state, engine.state.markets[BTC_SPOT.id])] == [
        BTC_SPOT.id,
        BTC_USDC.id,
    ]


# --- what marks them ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pairs", [PAIRS, PAIRS[::-1]])
def test_a_holding_is_judged_by_the_pair_that_has_a_price(pairs: tuple[Instrument, ...]) -> None:
    state = State()
    engine = Engine(Guardian(GuardianSettings()), state, strict=True)
    engine.process(e.EngineStarted(1, "test", "paper", T0))
    for instrument in pairs:
        engine.process(m.InstrumentDefined(instrument, T0))
    engine.process(m.VenueStatus(SPOT, True, "", T0))
    engine.process(e.BalanceSet(SPOT, Asset("USDT"), D(50_000), "opening", T0))
    engine.process(e.VenueReconciled(SPOT, T0, T0))
    engine.process(quote(BTC_SPOT, 59_999.99, 60_000.01))
    engine.process(fill(BTC_SPOT, Side.BUY, "0.08", "60000", "f0"))
    engine.process(m.Timer(T0))
    assert state.ledger.exposure()[0] == pytest.approx(4800)
    now, acted = T0, list[Any]()
    while not acted and now < T0 + 40 * S:
        now += S
        bid = 60_000.0 - 500.0 * (now - T0) / S
        acted = of(engine.process(quote(BTC_SPOT, bid, bid + 0.02, now)), w.GuardianActed)
    assert [one.rule for one in acted] == ["max_position_loss"]


def elsewhere() -> tuple[State, Market, Market]:
    """Return a state whose coin is valued at one venue and held at another, over two pairs, the first one at par."""
    kraken = [replace(one, id=InstrumentId(one.id.replace("BINANCE-SPOT", "KRAKEN"))) for one in (BTC_USDC, BTC_SPOT)]
    state = State()
    for instrument in (BTC_SPOT, *kraken):
        state.apply(m.InstrumentDefined(instrument, T0))
    state.apply(e.BalanceSet(kraken[0].venue, Asset("BTC"), D(1), "opening", T0))
    state.apply(quote(BTC_SPOT, 59_999.99, 60_000.01))
    return state, state.markets[kraken[0].id], state.markets[kraken[1].id]


def test_of_two_pairs_the_one_with_a_price_marks_what_is_held() -> None:
    state, at_par, own = elsewhere()
    mark_of, held = state.ledger.mark_of, own.holding
    assert mark_of(held) is own, "none has one: that of the reporting currency"
    state.apply(quote(at_par.instrument, 59_999.0, 60_001.0))
    state.ledger.renew(T0)
    assert mark_of(held) is at_par
    state.apply(quote(own.instrument, 59_999.0, 60_001.0, T0 + S))
    assert mark_of(held) is at_par, "the same until the timer"
    state.ledger.renew(T0 + S)
    assert mark_of(held) is own, "at once: it was never silent"


def test_of_two_pairs_the_one_that_lives_marks_what_is_held() -> None:
    state, at_par, own = elsewhere()
    seen = []
    for second in range(80):
        now = T0 + second * S
        for market in (at_par, own):
            if market is at_par or not 0 < second < 40:
                price = 60_000.0 - 100.0 * second
                state.apply(quote(market.instrument, price - 1.0, price + 1.0, now))
        state.ledger.renew(now)
        seen.append(state.ledger.mark_of(own.holding))
    assert seen == [own] * 16 + [at_par] * 53 + [own] * 11, "no short silence, and no short life, changes it"
    state.ledger.renew(T0 + 120 * S)
    assert state.ledger.mark_of(own.holding) is own, "where none lives it stays"


def test_a_fill_over_the_other_pair_is_seen_as_what_is_held() -> None:
    engine = venue("0.05")
    engine.process(fill(BTC_USDC, Side.BUY, "0.05", "60000", "f1"))
    (held_,) = engine.guardian.watch.held.values()
    assert (held_.instrument, held_.quantity) == (BTC_SPOT.id, D("0.10"))


def test_a_late_fill_of_another_pair_is_closed_again() -> None:
    engine = venue("0.05")
    late = sent(engine, order(BTC_USDC, Side.BUY, "0.02", "59900"))
    accept(engine, late)
    (out,) = exits(engine.process(c.Flatten(BTC_SPOT.id, "test", T0)))
    engine.process(e.OrderCancelled(late, "asked", T0, T0))
    engine.process(fill(BTC_SPOT, Side.SELL, "0.05", "60000", "out", out.client_order_id))
    engine.process(m.Timer(T0 + S))
    assert not engine.state.exits.flattening
    (again,) = exits(engine.process(fill(BTC_USDC, Side.BUY, "0.02", "59900", "late", late, T0 + S)))
    assert (again.instrument, again.side, again.quantity) == (BTC_USDC.id, Side.SELL, D("0.02"))


def test_contracts_of_one_coin_stay_apart() -> None:
    engine = opened(instruments=(BTC_SPOT, BTC_PERP), settings=WIDE)
    engine.process(fill(BTC_SPOT, Side.BUY, "0.05", "60000", "f0"))
    engine.process(fill(BTC_PERP, Side.BUY, "0.05", "60000", "f1"))
    entry = sent(engine, order(BTC_PERP, Side.BUY, "0.01", "60000", stop_loss=StopLoss(D(59_000))))
    accept(engine, entry)
    engine.process(fill(BTC_PERP, Side.BUY, "0.01", "60000", "f2", entry))
    engine.process(c.Flatten(BTC_SPOT.id, "test", T0))
    assert engine.state.brackets.find(entry) is not None
    sent(engine, order(BTC_PERP, Side.SELL, "0.05", "61000", reduce_only=True))
    assert of(submit(engine, order(BTC_PERP, Side.BUY, "0.01", "59000")), Approved)


def test_a_flatten_that_gives_up_ends_for_the_pair_that_it_was_asked_for() -> None:
    engine = venue("0.05")
    leaving = exits(engine.process(c.Flatten(BTC_SPOT.id, "me", T0)))
    ended, now = list[e.FlattenEnded](), T0
    for second in range(1, 41):
        while leaving:
            effects = engine.process(e.OrderRejected(leaving.pop().client_order_id, "trading is halted", now, now))
            leaving += exits(effects)
            ended += of(effects, e.FlattenEnded)
        now = T0 + second * S
        for pair in PAIRS:
            engine.process(quote(pair, 59_999.9, 60_000.1, now))
        effects = engine.process(m.Timer(now))
        leaving += exits(effects)
        ended += of(effects, e.FlattenEnded)
    assert [(one.instrument, one.flat) for one in ended] == [(BTC_SPOT.id, False)]
    assert not engine.state.exits.flattening


def test_a_fill_over_the_other_pair_sees_the_coins_once() -> None:
    engine = venue("0.5")
    engine.process(m.Timer(T0))
    watch = engine.guardian.watch
    before = watch.revalue(engine.state).closing
    engine.process(fill(BTC_USDC, Side.BUY, "0.001", "60000", "f1"))
    assert list(watch.held) == [BTC_SPOT.id]
    assert watch.held[BTC_SPOT.id].quantity == D("0.501")
    assert watch.revalue(engine.state).closing == pytest.approx(before * 0.501 / 0.5)


@pytest.mark.parametrize("second", PAIRS)
def test_brackets_of_two_pairs_hold_no_more_than_the_coins_the_oldest_first(second: Instrument) -> None:
    engine = venue()
    for number, (pair, stop) in enumerate(((BTC_SPOT, 59_000), (second, 58_000))):
        entry = sent(engine, order(pair, Side.BUY, "0.5", stop_loss=StopLoss(D(stop))))
        engine.process(fill(pair, Side.BUY, "0.5", "60000", f"f{number}", entry))
    engine.process(fill(BTC_SPOT, Side.SELL, "0.4", "60000", "hand"))
    left = [(one.instrument, one.left) for one in engine.state.brackets.all()]
    assert left == [(BTC_SPOT.id, D("0.1")), (second.id, D("0.5"))]
    engine.process(e.PositionSet(BTC_SPOT.holding, D("0.3"), D(60_000), "adopted", T0))
    assert [(one.instrument, one.left) for one in engine.state.brackets.all()] == [(second.id, D("0.3"))]


@pytest.mark.parametrize("pair", PAIRS)
def test_a_stop_that_is_placed_goes_to_the_bracket_of_take_profits_on_whichever_pair(pair: Instrument) -> None:
    settings = msgspec.structs.replace(WIDE, protective_stop="place", max_position_loss_frac=0.02)
    engine = venue(settings=settings, abilities=WHOLE)
    entry = sent(engine, order(pair, Side.BUY, "0.5", take_profit=(TakeProfit(D(63_000), D(1)),)))
    engine.process(fill(pair, Side.BUY, "0.5", "60000", "f1", entry))
    for second in (1, 2, 3):
        for one in PAIRS:
            engine.process(quote(one, 59_999.0, 60_001.0, T0 + second * S))
        engine.process(m.Timer(T0 + second * S))
    (bracket,) = engine.state.brackets.all()
    assert (bracket.entry, bracket.instrument, bracket.left, bracket.stop is None) == (entry, pair.id, D("0.5"), False)


@pytest.mark.parametrize("mode", ["brackets", "place"])
def test_a_stop_on_a_pair_that_has_fallen_silent_is_seen_through_the_one_that_marks(mode: str) -> None:
    settings = msgspec.structs.replace(WIDE, forced_stop_frac=0.001, max_position_loss_frac=0.05, protective_stop=mode)
    able = {SPOT: Abilities(order_types=frozenset({OrderType.MARKET, OrderType.LIMIT}), native_stops=False)}
    engine = venue(settings=settings, abilities=able)
    entry = sent(engine, order(BTC_SPOT, Side.BUY, "0.5", stop_loss=StopLoss(D(59_000))))
    engine.process(fill(BTC_SPOT, Side.BUY, "0.5", "60000", "f1", entry))
    leaving, begun = [], []
    for second in range(1, 60):
        price = 60_000.0 - 50.0 * max(second - 30, 0)
        effects = list(engine.process(quote(BTC_USDC, price - 1.0, price + 1.0, T0 + second * S)))
        effects += engine.process(m.Timer(T0 + second * S))
        leaving += exits(effects)
        begun += of(effects, w.BracketBegun)
    assert [one.quantity for one in leaving][:1] == [D("0.5")], "it leaves by the price of the pair that lives"
    assert not begun, "the stop that is there protects"


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("ends", [True, False])
def test_a_stop_that_is_moved_away_or_cancelled_forces_nothing_whatever_pair_it_is_on(
    pair: Instrument, ends: bool
) -> None:
    engine = venue(settings=msgspec.structs.replace(WIDE, forced_stop_frac=0.001), abilities=WHOLE)
    engine.process(fill(BTC_SPOT, Side.BUY, "0.5", "60000", "f1"))
    stop = sent(engine, order(pair, Side.SELL, "0.5", type=OrderType.STOP, trigger=D(59_000), reduce_only=True))
    accept(engine, stop)
    engine.process(m.Timer(T0 + S))
    if ends:
        engine.process(c.CancelOrder(stop, "me", T0 + S))
        engine.process(e.OrderCancelled(stop, "asked", T0 + S, T0 + S))
    else:
        engine.process(c.AmendOrder(stop, None, None, D(55_000), "me"))
        engine.process(e.OrderAmended(stop, None, None, D(55_000), T0 + S, T0 + S))
    seen: list[Any] = []
    for ms in (100, 200, 300):
        for one in PAIRS:
            seen += engine.process(quote(one, 59_040.0, 59_041.0, T0 + S + ms * 1_000_000))
    assert not of(seen, w.GuardianActed)
    assert not exits(seen)


def test_a_bracket_goes_with_coins_that_leave_over_another_pair() -> None:
    engine = venue()
    entry = sent(engine, order(BTC_SPOT, Side.BUY, "0.5", stop_loss=StopLoss(D(59_000))))
    engine.process(fill(BTC_SPOT, Side.BUY, "0.5", "60000", "f1", entry))
    engine.process(fill(BTC_USDC, Side.SELL, "0.3", "60000", "f2"))
    assert [one.left for one in engine.state.brackets.all()] == [D("0.2")]
    engine.process(fill(BTC_USDC, Side.SELL, "0.2", "60000", "f3"))
    assert not engine.state.brackets.all()
