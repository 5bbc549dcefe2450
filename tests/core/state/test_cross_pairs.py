"""Pairs quoted in foreign money (ETH-BTC): they move coins, and no price of them is an entry, a mark or a value."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from core.domain import commands as c
from core.domain import events as e
from core.domain import market as m
from core.domain import watch as w
from core.domain.approval import Approved
from core.domain.differences import DifferenceFound, DifferenceKind
from core.domain.identifiers import Asset, ClientOrderId, InstrumentId
from core.domain.instrument import Instrument
from core.domain.message import Event
from core.domain.order import OrderType, Side, StopLoss
from core.domain.position import Position
from core.domain.reports import BalanceReport, VenueSnapshot
from core.engine import Engine
from core.execution.flatten import routes
from core.guardian.guardian import Guardian
from core.reconcile.reconcile import reconcile
from core.state.state import IMAGE_DECODER, State
from tests.core.guardian.test_guardian import WIDE
from tests.core.kit import (
    BTC_COINM,
    BTC_SPOT,
    ETH_BTC,
    ETH_SPOT,
    PRICES,
    SPOT,
    T0,
    D,
    S,
    accept,
    denied,
    fill,
    of,
    opened,
    order,
    quote,
    sent,
)

BTC, ETH = Asset("BTC"), Asset("ETH")
ETH_USDC = msgspec.structs.replace(ETH_SPOT, id=InstrumentId("BINANCE-SPOT:SPOT_PAIR:ETH-USDC"), quote=Asset("USDC"))
TRX_SPOT = msgspec.structs.replace(ETH_SPOT, id=InstrumentId("BINANCE-SPOT:SPOT_PAIR:TRX-USDT"), base=Asset("TRX"))
ETH_TRX = msgspec.structs.replace(
    ETH_SPOT, id=InstrumentId("BINANCE-SPOT:SPOT_PAIR:ETH-TRX"), quote=Asset("TRX"), settle=Asset("TRX")
)
"""Quoted in money worth less than ours."""
BNB_SPOT = msgspec.structs.replace(ETH_SPOT, id=InstrumentId("BINANCE-SPOT:SPOT_PAIR:BNB-USDT"), base=Asset("BNB"))
HERE = {ETH_SPOT.id: 3_000.0, ETH_USDC.id: 3_000.0, ETH_BTC.id: 0.05, ETH_TRX.id: 10_000.0, TRX_SPOT.id: 0.3}


@pytest.fixture(autouse=True)
def _prices(monkeypatch: pytest.MonkeyPatch) -> None:
    for id_, price in HERE.items():
        monkeypatch.setitem(PRICES, id_, price)


def account(*instruments: Any, **changes: Any) -> Engine:
    """Return an engine with 50 000 USDT and one bitcoin, the crossing pair defined first where none is named."""
    engine = opened(instruments=instruments or (ETH_BTC, BTC_SPOT, ETH_SPOT), **changes)
    engine.process(e.BalanceSet(SPOT, BTC, D(1), "deposit", T0))
    engine.process(m.Timer(T0))
    return engine


def eth(engine: Engine) -> Position:
    return engine.state.ledger.positions[ETH_SPOT.holding]


def stands(position: Position) -> tuple[Decimal, Decimal, Decimal, Asset]:
    return position.quantity, position.entry_price, position.realised, position.settle


def test_what_is_bought_over_it_is_entered_at_its_mark_and_its_loss_is_one() -> None:
    engine = account()
    effects = engine.process(fill(ETH_BTC, Side.BUY, "2", "0.05", "f1", ts=T0 + S))
    assert not of(effects, w.GuardianActed)
    assert stands(eth(engine)) == (D(2), D(0), D(0), "USDT")
    assert engine.state.ledger.balances[SPOT] == {"USDT": D(50_000), "BTC": D("0.90"), "ETH": D(2)}
    assert not of(engine.process(m.Timer(T0 + S)), w.GuardianActed)
    assert (eth(engine).entry_price, engine.state.ledger.open_profit()) == (D("3000.0"), 0.0)
    assert (engine.state.equity, engine.state.ledger.exposure()) == (110_000.0, (60_000.0, 60_000.0)), "with 0.9 BTC"
    acted = list[Any]()
    for step in range(1, 20):
        now, price = T0 + (1 + step) * S, 3_000.0 - 60.0 * step
        acted += of(engine.process(quote(ETH_SPOT, price - 0.01, price + 0.01, now)), w.GuardianActed)
    assert engine.state.ledger.open_profit() == pytest.approx(2 * (1_860.0 - 3_000.0))
    assert [one.rule for one in acted] == ["max_position_loss"]


def test_it_moves_quantity_and_wallets_and_leaves_the_entry() -> None:
    engine = account()
    state = engine.state
    state.apply(fill(ETH_SPOT, Side.BUY, "3", "2900", "f1"))
    state.apply(fill(ETH_BTC, Side.SELL, "1.999", "0.06", "f2").replace(fee=D("0.001"), fee_asset=ETH))
    assert stands(eth(engine)) == (D("1.001"), D(2_900), D(0), "USDT"), "its fee follows by an event behind the fill"
    assert eth(engine).other_fees == {"ETH": D("0.001")}
    state.apply(fill(ETH_SPOT, Side.SELL, "0.501", "3000", "f3"))
    assert stands(eth(engine)) == (D("0.500"), D(2_900), D("50.100"), "USDT")
    state.apply(fill(ETH_BTC, Side.SELL, "1.5", "0.05", "f4"))
    assert (*stands(eth(engine)), eth(engine).opened) == (D(0), D(0), D("50.100"), "USDT", 0), "never short of coins"
    state.apply(fill(ETH_BTC, Side.SELL, "1", "0.05", "f5"))
    assert eth(engine).quantity == 0
    eth(engine).quantity = D(-1)  # booked so by an older record
    state.apply(fill(ETH_BTC, Side.SELL, "1", "0.05", "f6"))
    assert eth(engine).quantity == D(-1)


def test_coins_that_join_others_are_entered_at_their_mark_behind_the_fill() -> None:
    """At the entry of before their loss, or their profit, would be made up, and the guardian would sell all of them."""
    engine = account()
    state = engine.state
    engine.process(fill(ETH_SPOT, Side.BUY, "0.1", "9000", "f0"))
    engine.process(fill(ETH_BTC, Side.BUY, "0.9", "0.05", "f2").replace(fee=D("0.1"), fee_asset=ETH))
    assert stands(eth(engine)) == (D("0.9"), (D(900) + D("0.8") * 3_000) / D("0.9"), D(0), "USDT")
    btc = state.ledger.positions[BTC_SPOT.holding]
    engine.process(fill(BTC_SPOT, Side.BUY, "0.01", "90000", "f1"))
    before = btc.quantity
    engine.process(fill(ETH_BTC, Side.SELL, "0.5", "0.05", "f3"))
    assert btc.quantity == before + D("0.025") == state.ledger.balances[SPOT][BTC]
    assert not of(engine.process(m.Timer(T0 + S)), w.GuardianActed)


def test_its_fee_in_coins_is_no_short_position() -> None:
    engine = account()
    engine.state.apply(fill(ETH_BTC, Side.SELL, "1", "0.05", "f0").replace(fee=D("0.1"), fee_asset=ETH))
    assert eth(engine).quantity == 0


def test_a_replay_books_the_same_without_a_price() -> None:
    engine, events = account(), list[Event]()
    for number, (instrument, price) in enumerate(((ETH_BTC, "0.05"), (ETH_SPOT, "3100"), (ETH_BTC, "0.06"))):
        booked = fill(instrument, Side.BUY, "1", price, f"f{number}", ts=T0 + number * S)
        events += [one for one in engine.process(booked) if isinstance(one, Event)]
        events += [one for one in engine.process(m.Timer(T0 + number * S)) if isinstance(one, Event)]
    again = State()
    for instrument in (ETH_BTC, BTC_SPOT, ETH_SPOT):
        again.apply(m.InstrumentDefined(instrument, T0))
    for event in events:
        again.apply(event)
    assert again.ledger.positions[ETH_SPOT.holding] == eth(engine)
    assert eth(engine).entry_price == (D(3_000) + 3_100 + 3_000) / 3


def test_an_image_that_kept_coins_in_foreign_money_is_read_in_ours() -> None:
    engine = account(ETH_BTC, BTC_SPOT, ETH_SPOT, BTC_COINM)
    for instrument in (ETH_BTC, BTC_COINM):
        engine.process(fill(instrument, Side.BUY, "2", "3000", f"f{instrument.id}"))
    eth(engine).settle, eth(engine).entry_price = BTC, D("0.05")
    again = State.from_image(IMAGE_DECODER.decode(msgspec.msgpack.encode(engine.state.image())))
    assert stands(again.ledger.positions[ETH_SPOT.holding]) == (D(2), D(0), D(0), "USDT")
    assert again.ledger.positions[BTC_COINM.id] == engine.state.ledger.positions[BTC_COINM.id]


@pytest.mark.parametrize("priced", [True, False], ids=["prices first", "wallets first"])
def test_an_account_that_opens_with_coins_is_entered_at_their_own_price(priced: bool) -> None:
    engine = Engine(Guardian(WIDE), State(), strict=True)
    engine.process(e.EngineStarted(1, "test", "paper", T0))
    for instrument in (ETH_BTC, BTC_SPOT, ETH_SPOT):
        engine.process(m.InstrumentDefined(instrument, T0))
    engine.process(m.VenueStatus(SPOT, True, "", T0))
    for first in (priced, not priced):
        if first:
            for instrument in (ETH_BTC, ETH_SPOT):
                price, tick = HERE[instrument.id], float(instrument.tick_size)
                engine.process(quote(instrument, price - tick, price + tick))
        else:
            wallets = (BalanceReport(ETH, D(5), D(5)), BalanceReport(Asset("USDT"), D(50_000), D(50_000)))
            for event in reconcile(engine.state, VenueSnapshot(SPOT, T0, (), (), (), wallets), {}, T0, T0):
                engine.process(event)
    assert not of(engine.process(m.Timer(T0)), w.GuardianActed)
    assert stands(eth(engine)) == (D(5), D("3000.0"), D(0), "USDT")
    assert (engine.state.equity, engine.state.ledger.open_profit()) == (65_000.0, 0.0)


def test_the_gate_denies_an_entry_and_lets_an_exit_pass() -> None:
    engine = account(settings=WIDE)
    refusal = denied(engine, order(ETH_BTC, Side.BUY, "1", "0.05"))
    assert (refusal.limit, refusal.value, refusal.bound) == ("valued", "BTC", "USDT")
    assert refusal.reason == (
        "BINANCE-SPOT:SPOT_PAIR:ETH-BTC is quoted in BTC: what it buys has no entry price in USDT, entries denied; "
        "buy ETH over a pair quoted in USDT or at par with it"
    )
    engine.process(fill(ETH_SPOT, Side.BUY, "2", "3000", "f1"))
    sent(engine, order(ETH_BTC, Side.SELL, "1", "0.05", reduce_only=True))
    sent(engine, order(ETH_BTC, Side.SELL, "1", "0.0501"))


def test_coins_of_which_a_sale_over_it_was_told_before_their_purchase_are_not_held_twice() -> None:
    engine = account()
    engine.process(fill(ETH_BTC, Side.SELL, "1", "0.05", "f1", ts=T0 + S))
    engine.process(fill(ETH_SPOT, Side.BUY, "2", "3000", "f2", ts=T0 + S))
    assert (eth(engine).quantity, engine.state.ledger.balances[SPOT][ETH]) == (D(1), D(1))
    effects = engine.process(c.Flatten(ETH_SPOT.id, "test", T0 + S))
    left = [one.command.order for one in of(effects, Approved) if isinstance(one.command, c.SubmitOrder)]
    assert [one.quantity for one in left] == [D(1)]


@pytest.mark.parametrize("pair", [ETH_SPOT, ETH_BTC], ids=["own", "crossing"])
def test_coins_that_their_debt_takes_are_not_sold_whichever_pair_they_come_over(pair: Instrument) -> None:
    """Three were sold of which no purchase has been told: what comes pays for a part of them."""
    engine, price = account(), "0.05" if pair is ETH_BTC else "3000"
    engine.process(fill(ETH_BTC, Side.SELL, "3", "0.05", "f1", ts=T0 + S))
    engine.process(fill(pair, Side.BUY, "2", price, "f2", ts=T0 + S))
    assert (eth(engine).quantity, engine.state.ledger.balances[SPOT][ETH]) == (D(2), D(-1))
    effects = engine.process(c.Flatten(ETH_SPOT.id, "test", T0 + S))
    assert not of(effects, Approved)
    assert "-1 in the wallet: not every fill is known yet" in of(effects, e.CommandRefused)[0].reason
    for exit_, limit in ((True, "reduce_only"), (False, "owned")):
        assert denied(engine, order(ETH_SPOT, Side.SELL, "1", "3000", reduce_only=exit_)).limit == limit
    engine.process(fill(pair, Side.BUY, "3", price, "f3", ts=T0 + S))
    assert (eth(engine).quantity, engine.state.ledger.balances[SPOT][ETH]) == (D(2), D(2))
    effects = engine.process(c.Flatten(ETH_SPOT.id, "test", T0 + 2 * S))
    left = [one.command.order for one in of(effects, Approved) if isinstance(one.command, c.SubmitOrder)]
    assert [(one.side, one.quantity) for one in left] == [(Side.SELL, D(2))]


@pytest.mark.parametrize("sold", [ETH_SPOT, ETH_BTC], ids=["own", "crossing"])
def test_an_entry_that_fills_while_coins_are_owed_keeps_its_stop(sold: Instrument) -> None:
    engine, price = account(settings=WIDE), "0.05" if sold is ETH_BTC else "3000"
    stop = StopLoss(D(2_800))
    entry = sent(engine, order(ETH_SPOT, Side.BUY, "2", "3000", stop_loss=stop))
    accept(engine, entry)
    engine.process(fill(sold, Side.SELL, "3", price, "phone 2", ts=T0 + S))
    engine.process(fill(ETH_SPOT, Side.BUY, "2", "3000", "ours", entry, ts=T0 + 2 * S))
    assert [one.left for one in engine.state.brackets.all()] == [D(2)]
    engine.process(fill(sold, Side.BUY, "3", price, "phone 1", ts=T0 + 3 * S))
    engine.process(m.Timer(T0 + 5 * S))
    assert (eth(engine).quantity, [one.left for one in engine.state.brackets.all()]) == (D(2), [D(2)])
    stops = [one.order for one in engine.state.blotter.open.values() if one.order.parent == entry]
    assert [(one.side, one.quantity, one.trigger) for one in stops] == [(Side.SELL, D(2), stop.price)]


def test_coins_that_came_and_were_sold_before_a_word_on_them_hold_up_no_exit() -> None:
    """The deposit waits for a word, its sale is booked: our wallet owes what the venue has."""
    engine = account()
    what = DifferenceKind.BALANCE, SPOT, InstrumentId(""), ETH, ClientOrderId("")
    engine.process(DifferenceFound(0, *what, D(0), D(3), D(0), "no booking explains +3 ETH", T0))
    engine.process(fill(ETH_BTC, Side.SELL, "3", "0.05", "phone", ts=T0 + S))
    engine.process(fill(ETH_SPOT, Side.BUY, "2", "3000", "ours", ts=T0 + 2 * S))
    effects = engine.process(c.Flatten(ETH_SPOT.id, "test", T0 + 3 * S))
    left = [one.command.order for one in of(effects, Approved) if isinstance(one.command, c.SubmitOrder)]
    assert [(one.side, one.quantity) for one in left] == [(Side.SELL, D(2))], "the venue has two"


def test_coins_of_which_only_the_sale_is_told_are_not_bought_back() -> None:
    engine = account()
    engine.process(fill(ETH_SPOT, Side.SELL, "3", "3000", "phone 2", ts=T0 + S))
    effects = list(engine.process(c.Flatten(None, "kill switch", T0 + 2 * S)))
    for second in range(3, 40):
        effects += engine.process(m.Timer(T0 + second * S))
    assert not of(effects, Approved)
    engine.process(fill(ETH_SPOT, Side.BUY, "3", "2990", "phone 1", ts=T0 + 40 * S))
    assert (eth(engine).quantity, engine.state.ledger.balances[SPOT][ETH]) == (D(0), D(0))


def test_a_flatten_of_all_with_an_order_on_it_closes_the_coins_over_their_own_pair() -> None:
    engine = account()
    engine.process(fill(ETH_SPOT, Side.BUY, "2", "3000", "f1", ts=T0 + S))
    resting = sent(engine, order(ETH_BTC, Side.SELL, "1", "0.06", reduce_only=True))
    accept(engine, resting)
    effects = list(engine.process(c.Flatten(None, "test", T0 + S)))
    assert engine.state.exits.flattening.keys() == {ETH_SPOT.id}
    effects += engine.process(e.OrderCancelled(resting, "asked", T0 + S, T0 + S))
    effects += engine.process(m.Timer(T0 + 2 * S))
    left = [one.command.order for one in of(effects, Approved) if isinstance(one.command, c.SubmitOrder)]
    assert [(one.instrument, one.quantity) for one in left] == [(ETH_SPOT.id, D(1)), (ETH_SPOT.id, D(1))]


@pytest.mark.parametrize("bracket", [True, False])
def test_a_stop_on_it_stands_in_other_money_and_is_not_measured_in_ours(bracket: bool) -> None:
    """One at 9 000 TRX is 10 % away from 10 000 TRX: it is not met because a coin is worth 3 000 dollars."""
    engine = account(ETH_TRX, TRX_SPOT, BTC_SPOT, ETH_SPOT, settings=WIDE)
    if bracket:
        engine.guardian.limits = ()  # an entry over it is denied: this one is of a time when its money was ours
        engine.process(e.BalanceSet(SPOT, Asset("TRX"), D(100_000), "deposit", T0))
        entry = sent(engine, order(ETH_TRX, Side.BUY, "2", "10000", stop_loss=StopLoss(D(9_000))))
        engine.process(fill(ETH_TRX, Side.BUY, "2", "10000", "f1", entry, ts=T0 + S))
        assert [one.left for one in engine.state.brackets.all()] == [D(2)]
    else:
        engine.process(fill(ETH_SPOT, Side.BUY, "2", "3000", "f1", ts=T0 + S))
        stop = order(ETH_TRX, Side.SELL, "2", type=OrderType.STOP, trigger=D(9_000), reduce_only=True)
        accept(engine, sent(engine, stop))
    acted: list[Any] = []
    for second in (2, 3, 4):
        acted += of(engine.process(quote(ETH_SPOT, 2_999.99, 3_000.01, T0 + second * S)), w.GuardianActed)
        acted += of(engine.process(m.Timer(T0 + second * S)), w.GuardianActed)
    assert {one.act for one in acted} <= {"deny"}, "the venue has not confirmed the bracket's"
    assert not engine.state.exits.flattening


def test_an_exit_goes_over_it_last_for_it_brings_another_coin() -> None:
    engine = account(ETH_BTC, BTC_SPOT, ETH_SPOT, ETH_USDC)
    engine.process(fill(ETH_SPOT, Side.BUY, "2", "3000", "f1", ts=T0 + S))
    for first, *others in ((ETH_SPOT, ETH_USDC), (ETH_USDC, ETH_SPOT)):
        ways = routes(engine.state, engine.state.markets[first.id])
        assert [one.instrument for one in ways] == [first, *others, ETH_BTC]


def test_a_coin_that_it_alone_trades_has_no_entry_and_can_be_sold() -> None:
    engine = account(ETH_BTC, BTC_SPOT, settings=WIDE)
    engine.process(fill(ETH_BTC, Side.BUY, "2", "0.05", "f1", ts=T0 + S))
    engine.process(m.Timer(T0 + S))
    assert stands(eth(engine)) == (D(2), D(0), D(0), "USDT")
    assert engine.state.ledger.unvalued == {ETH}
    assert engine.state.ledger.open_profit() == 0.0
    assert ETH_BTC.id in engine._exits.at_risk()
    effects = engine.process(c.Flatten(None, "test", T0 + S))
    assert D(2) in [one.command.order.quantity for one in of(effects, Approved)]
    engine.process(m.InstrumentDefined(ETH_SPOT, T0 + 2 * S))
    engine.process(quote(ETH_SPOT, 2_999.0, 3_001.0, T0 + 2 * S))
    engine.process(m.Timer(T0 + 2 * S))
    assert (eth(engine).entry_price, engine.state.ledger.unvalued) == (D("3000.0"), set())


def test_coins_that_pay_for_others_or_a_fee_are_held_no_more() -> None:
    engine = account()
    state, bnb = engine.state, Asset("BNB")
    state.apply(m.InstrumentDefined(BNB_SPOT, T0))
    state.apply(fill(BNB_SPOT, Side.BUY, "1", "600", "f0"))
    state.apply(fill(BTC_SPOT, Side.BUY, "0.5", "60000", "f1").replace(fee=D("0.4"), fee_asset=bnb))
    state.apply(fill(ETH_BTC, Side.BUY, "2", "0.05", "f2").replace(fee=D("0.6"), fee_asset=bnb))
    held = state.ledger.positions
    assert (held[BTC_SPOT.holding].quantity, held[BTC_SPOT.holding].entry_price) == (D("0.40"), D(60_000))
    assert (held[BNB_SPOT.holding].quantity, held[BNB_SPOT.holding].entry_price) == (D(0), D(0))
    state.apply(fill(ETH_BTC, Side.SELL, "1", "0.05", "f3"))
    assert held[BTC_SPOT.holding].quantity == D("0.40"), "what came waits for the next look"
    state.apply(fill(ETH_BTC, Side.BUY, "9", "0.05", "f5"))
    assert held[BTC_SPOT.holding].quantity == D(0), "never short of coins"
    state.apply(fill(BTC_SPOT, Side.BUY, "0.1", "60000", "f4").replace(fee=D("0.1"), fee_asset=bnb))
    assert not held[BNB_SPOT.holding].quantity, "a debt is no position"
