"""A spot config through the whole engine: the trades of its study, and never a coin that is not its own."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from core.domain import commands as c
from core.domain import configs as d
from core.domain import events as e
from core.domain import market as m
from core.domain.identifiers import Asset, InstrumentId
from core.domain.order import Order, OrderType, Side
from core.domain.studies import AdoptConfig, Config, ConfigStatus
from core.strategy.library import MODELS
from core.strategy.past import PastBars
from core.strategy.rule import split
from core.strategy.signals import Bars, Indicators
from research.simulator.features import batches
from research.simulator.records import BY_END, BY_SIGNAL, BY_STOP, BY_TARGET
from research.simulator.simulator import Account, Market, Tariff, simulate
from research.study.outright import LONG_ONLY
from tests.core.guardian.watch.kit import ABLE, QUIET
from tests.core.kit import of, opened
from tests.core.strategy.markets import recorded, walk
from tests.core.strategy.street import PAIR, Street, bars_of, config, reborn
from tests.core.strategy.test_desk import reason

FIRST, FEE = 200, float(PAIR.taker_fee)
WHY = {BY_SIGNAL: "signal", BY_STOP: "stop_loss", BY_TARGET: "take_profit"}
BTC, USDT = Asset("BTC"), Asset("USDT")


def spot(**parameters: float) -> Config:
    return config(instruments=(PAIR.id,), parameters={**config().parameters, **parameters})


def study(chosen: Config, bars: Bars, first: int) -> "np.ndarray[Any, Any]":
    """Return the trades that the simulator makes of a spot config on the bars from ``first``."""
    values, terms = split(chosen)
    sizes = {name: getattr(terms, name) for name in ("fraction", "stop", "target", "trail")}
    (batch,) = batches(MODELS[chosen.strategy], Indicators(bars), [values], **sizes)
    there = batch.sets.bars >= first + 1
    signals = LONG_ONLY[batch.sets.signals[:, there]]
    sets = msgspec.structs.replace(batch.sets, bars=batch.sets.bars[there] - first, signals=signals)
    prices = tuple(one[first:] for one in (bars.open, bars.high, bars.low, bars.close))
    market = Market(bars.ts[first:], prices, tariff=Tariff(fees=((0, FEE),)))  # type: ignore[arg-type]
    step, least = float(PAIR.size_step), float(PAIR.min_notional)
    account = Account(cash=chosen.capital, slippage=terms.slippage, size_step=step, min_notional=least)
    return simulate(market, account, sets, trades=True)[1]


CASES: dict[str, dict[str, float]] = {
    "signals": {},
    "stop and target": {"stop": 0.006, "target": 0.008},
    "trail": {"trail": 0.01},
    "all of the wallet": {"fraction": 1.0},
}


def compared(chosen: Config, bars: Bars, *, fee_in_quote: bool) -> None:
    """Play a config and compare every trade that is over with the study's.

    To the step where the fee is money; where it is coins it grows with the profit, and a part of a lot is lost.
    """
    street = Street(chosen, fee_in_quote=fee_in_quote)
    street.open(bars, FIRST)
    trades, seen = [], 0
    for bar in range(FIRST, bars.size):
        street.play(bars, bar, bar + 1)
        fresh = street.account.closed - seen
        trades += street.trades[-fresh:] if fresh else []
        seen += fresh
    theirs = [one for one in study(chosen, bars, FIRST) if one["reason"] != BY_END]
    assert len(theirs) >= 8
    told = [(one.side, (one.opened - int(bars.ts[FIRST])) // bars.interval_ns, one.reason) for one in trades]
    assert told == [(1, one["opened"], WHY[int(one["reason"])]) for one in theirs]
    lot = float(PAIR.size_step) * float(bars.high.max())
    for ours, other in zip(trades, theirs, strict=True):
        assert (ours.closed - int(bars.ts[FIRST])) // bars.interval_ns == other["closed"]
        assert float(ours.entry) == pytest.approx(other["entry"], rel=1e-9)
        assert float(ours.exit) == pytest.approx(other["exit"], abs=0.51 * float(PAIR.tick_size))
        held = other["quantity"] * (1.0 if fee_in_quote else 1.0 - FEE)
        close = 2e-4 if fee_in_quote else 1e-3
        assert float(ours.quantity) == pytest.approx(held, abs=2.5 * float(PAIR.size_step), rel=close)
        loose = 0.02 if fee_in_quote else 2.0 * lot
        assert float(ours.profit) == pytest.approx(other["profit"], abs=loose, rel=2e-3)
    account, balances = street.account, street.engine.state.ledger.balances[PAIR.venue]
    compared = street.engine.state.configs.compared[PAIR.id]
    assert (compared.matched, compared.missed, compared.extra) == (account.closed, 0, 0)
    assert not [one for one in street.events if isinstance(one, e.OrderDenied | e.OrderRejected | d.StrategyNoted)]
    if not account.quantity:
        assert account.wallet == balances[USDT], "the account is the money that is there, to the last digit"


@pytest.mark.parametrize("fee_in_quote", [True, False])
@pytest.mark.parametrize("name", CASES)
def test_a_replayed_spot_config_trades_as_its_study(name: str, fee_in_quote: bool) -> None:
    compared(spot(**CASES[name]), walk(420, 3), fee_in_quote=fee_in_quote)


def test_recorded_spot_bars_trade_as_their_study(recorded_data: Path) -> None:
    hour = m.Interval.H1.ns
    chosen = msgspec.structs.replace(spot(stop=0.008, target=0.012), interval="1h")
    compared(chosen, recorded(recorded_data, "BTCUSDT-spot-1h", hour, 420), fee_in_quote=False)


def entered(street: Street, bars: Bars, start: int = FIRST) -> int:
    """Play until the strategy holds coins; return the bar behind."""
    for bar in range(start, bars.size):
        street.play(bars, bar, bar + 1)
        if street.account.quantity:
            return bar + 1
    raise AssertionError("nothing was entered")


def wallet(street: Street) -> Decimal:
    return street.engine.state.ledger.balances[PAIR.venue].get(BTC, Decimal(0))


def beside(street: Street, coins: str) -> Decimal:
    """Have a trader buy coins by hand; return what arrived."""
    street.driver.command(c.SubmitOrder(Order(PAIR.id, Side.BUY, Decimal(coins)), "hand", street.ts))
    return wallet(street)


@pytest.mark.parametrize("levels", [{}, {"stop": 0.006, "target": 0.008}])
def test_the_coins_of_a_trader_are_never_sold(levels: dict[str, float]) -> None:
    """The fee's coins did not arrive: who sold what was bought would sell a trader's."""
    street, bars = Street(spot(**levels)), walk(420, 3)
    street.open(bars, FIRST)
    own = beside(street, "0.1")
    least = own
    for bar in range(FIRST, bars.size):
        street.play(bars, bar, bar + 1)
        least = min(least, wallet(street) - street.account.quantity)
    assert street.account.closed >= 8
    assert least == own
    rests = wallet(street) - street.account.quantity - own
    assert 0 < rests <= street.account.closed * PAIR.size_step, "parts of lots stay in the wallet"


def test_what_a_trader_sells_of_it_is_gone_and_more_is_not_sold() -> None:
    street, bars = Street(spot()), walk(420, 3)
    street.open(bars, FIRST)
    at = entered(street, bars)
    sold = PAIR.floor_size(street.account.quantity / 2)
    left = street.account.quantity - sold
    street.driver.command(c.SubmitOrder(Order(PAIR.id, Side.SELL, sold), "hand", street.ts))
    assert street.account.quantity == left == wallet(street)
    street.play(bars, at, at + 60)
    assert not of(street.events, e.OrderRejected)
    assert street.account.closed > 2


def test_coins_that_others_orders_hold_are_waited_for() -> None:
    street, bars = Street(spot()), walk(420, 3)
    street.open(bars, FIRST)
    at = entered(street, bars)
    everything, far = PAIR.floor_size(wallet(street)), Decimal(900_000)
    order = Order(PAIR.id, Side.SELL, everything, OrderType.LIMIT, far)
    street.driver.command(c.SubmitOrder(order, "hand", street.ts))
    (resting,) = street.engine.state.blotter.open
    hand = street.engine._desk._lives["ema"].hands[PAIR.id]
    hand.mind.goal = 0
    street.play(bars, at, at + 1)
    assert "not sold yet" in " ".join(one.text for one in of(street.events, d.StrategyNoted))
    assert not of(street.events, e.OrderRejected)
    assert street.account.quantity
    hand.mind.goal = 0
    street.driver.command(c.CancelOrder(resting, "hand", street.ts))
    street.play(bars, at + 1, at + 2)
    assert street.account.closed >= 1


def test_no_more_is_bought_than_the_free_money_pays() -> None:
    street, bars = Street(spot(fraction=1.0)), walk(420, 3)
    street.open(bars, FIRST)
    low = PAIR.quantise_price(Decimal(repr(float(bars.open[FIRST]))) * Decimal("0.97"))
    order = Order(PAIR.id, Side.BUY, PAIR.floor_size(6_000 / low), OrderType.LIMIT, low)  # of 10 000
    street.driver.command(c.SubmitOrder(order, "hand", street.ts))
    entered(street, bars)
    assert not of(street.events, e.OrderRejected)
    cost = street.account.quantity * street.account.entry_price
    assert Decimal(3_980) < cost < Decimal(4_001)


@pytest.mark.parametrize("coins", ["0", "0.1"])
def test_an_ended_strategy_sells_its_coins_and_no_others(coins: str) -> None:
    street, bars = Street(spot(stop=0.2)), walk(420, 3)
    street.open(bars, FIRST)
    own = beside(street, coins) if coins != "0" else Decimal(0)
    at = entered(street, bars)
    end = msgspec.structs.replace(street.config, status=ConfigStatus.HISTORY)
    street.driver.command(AdoptConfig(end, "test", street.ts))
    street.play(bars, at, at + 2)
    assert not street.engine.state.configs.running
    assert street.account.quantity == 0
    assert own <= wallet(street) < own + 2 * PAIR.size_step
    assert not street.engine.state.blotter.open
    assert not street.engine.state.brackets.all()


def test_what_cannot_be_sold_is_given_up_and_the_next_trade_begins() -> None:
    """Somebody sells all but a part of a lot: the account is flat, and enters at the next signal."""
    street, bars = Street(spot()), walk(420, 3)
    street.open(bars, FIRST)
    at = entered(street, bars)
    street.driver.command(c.SubmitOrder(Order(PAIR.id, Side.SELL, PAIR.floor_size(wallet(street))), "hand", street.ts))
    assert 0 < wallet(street) < PAIR.size_step
    assert street.account.quantity == 0
    (left,) = of(street.events, d.DustLeft)
    assert left.quantity < PAIR.size_step
    assert street.trades[0].reason == "dust"
    street.play(bars, at, at + 60)
    assert street.account.closed > 2


@pytest.mark.parametrize("checkpoint", [False, True])
def test_a_killed_engine_goes_on_with_coins_account_and_stop(checkpoint: bool) -> None:
    """Killed with coins, a trader's beside them: what it does from there is what one does that was never killed."""
    chosen, bars = spot(stop=0.03, trail=0.03), walk(330, 3)
    whole, street = Street(chosen), Street(chosen)
    for one in (whole, street):
        one.open(bars, FIRST)
        beside(one, "0.1")
    at = entered(whole, bars)
    assert entered(street, bars) == at
    reborn(street, at, checkpoint=checkpoint)
    street.ts = int(bars.ts[at])
    street.driver.finish(street.ts)
    street.give(PastBars(PAIR.id, m.Interval.M15, bars_of(bars, 0, at, PAIR.id), street.ts))
    for one in (whole, street):
        one.play(bars, at, 330)
    assert street.account.closed == whole.account.closed > 3
    assert [(one.opened, one.quantity, one.profit) for one in street.trades] == [
        (one.opened, one.quantity, one.profit) for one in whole.trades
    ]
    assert wallet(street) == wallet(whole)
    seen = street.engine.state.configs.compared[PAIR.id]
    assert (seen.matched, seen.missed, seen.extra) == (street.account.closed, 0, 0)


def test_a_wallets_coins_are_one_strategys_in_one_pair() -> None:
    twin = msgspec.structs.replace(PAIR, id=InstrumentId("BINANCE-SPOT:SPOT_PAIR:BTC-USDC"), quote=Asset("USDC"))
    engine = opened(settings=QUIET, instruments=(PAIR,), abilities={PAIR.venue: ABLE})
    engine.process(m.InstrumentDefined(twin, engine.state.now))
    assert "both hold BTC" in reason(engine, config(instruments=(PAIR.id, twin.id)))
    engine.process(AdoptConfig(spot(), "test", engine.state.now))
    assert engine.state.configs.running
    said = reason(engine, config(strategy_id="other", instruments=(twin.id,)))
    assert said == f"{twin.id} and ema's {PAIR.id} both hold BTC: a coin is one strategy's, in one pair"
