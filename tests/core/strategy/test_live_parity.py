"""A chosen set replayed through the whole engine on the same bars gives the trades of its study."""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from core.domain.configs import StrategyNoted
from core.domain.studies import Config
from core.strategy.library import MODELS
from core.strategy.rule import split
from core.strategy.signals import Bars, Indicators
from research.simulator.features import batches
from research.simulator.records import BY_END, BY_LIQUIDATION, BY_SIGNAL, BY_STOP, BY_TARGET
from research.simulator.simulator import Account, Market, Tariff, simulate
from tests.core.strategy.markets import MINUTES_15, recorded, walk
from tests.core.strategy.street import PERP, THIN, Street, config

WARM = 200
WHY = {BY_SIGNAL: "signal", BY_STOP: "stop_loss", BY_TARGET: "take_profit", BY_LIQUIDATION: "liquidation"}


def study(chosen: Config, bars: Bars, first: int) -> "np.ndarray[Any, Any]":
    """Return the trades that the simulator makes of a config on the bars from ``first``."""
    values, terms = split(chosen)
    names = ("leverage", "fraction", "max_size", "stop", "target", "trail")
    sizes = {name: getattr(terms, name) for name in names}
    (batch,) = batches(MODELS[chosen.strategy], Indicators(bars), [values], **sizes)
    there = batch.sets.bars >= first + 1  # the first signal is that of the first bar's close
    sets = msgspec.structs.replace(
        batch.sets, bars=batch.sets.bars[there] - first, signals=batch.sets.signals[:, there]
    )
    prices = tuple(one[first:] for one in (bars.open, bars.high, bars.low, bars.close))
    tariff = Tariff(fees=((0, float(PERP.taker_fee)),), tiers=((0, PERP.brackets),))
    market = Market(bars.ts[first:], prices, tariff=tariff)  # type: ignore[arg-type]
    account = Account(
        cash=chosen.capital,
        slippage=terms.slippage,
        size_step=float(PERP.size_step),
        min_notional=float(PERP.min_notional),
        isolated=terms.isolated,
    )
    return simulate(market, account, sets, trades=True)[1]


def compared(chosen: Config, bars: Bars, *, first: int = WARM, spread: float = THIN) -> Street:
    """Play a config and compare every trade that is over with the study's: bar, side, size, prices, fees, profit."""
    street = Street(chosen, spread=spread)
    street.open(bars, first)
    trades, seen = [], 0
    for bar in range(first, bars.size):
        street.play(bars, bar, bar + 1)
        fresh = street.account.closed - seen
        trades += street.trades[-fresh:] if fresh else []
        seen += fresh
    theirs = [one for one in study(chosen, bars, first) if one["reason"] != BY_END]
    why = {"stop_passed": "stop_loss"}
    told = [
        (one.side, (one.opened - int(bars.ts[first])) // bars.interval_ns, why.get(one.reason, one.reason))
        for one in trades
    ]
    assert told == [(one["side"], one["opened"], WHY[int(one["reason"])]) for one in theirs]
    for ours, other in zip(trades, theirs, strict=True):
        assert (ours.closed - int(bars.ts[first])) // bars.interval_ns == other["closed"]
        assert float(ours.quantity) == pytest.approx(other["quantity"], abs=1.01 * float(PERP.size_step))
        assert float(ours.entry) == pytest.approx(other["entry"], rel=1e-9)
        assert float(ours.profit) == pytest.approx(other["profit"], abs=0.02, rel=2e-4)
        if ours.reason != "liquidation":  # what it lost is the same; the study has no price of its own for it
            assert float(ours.exit) == pytest.approx(other["exit"], abs=0.51 * float(PERP.tick_size))
            assert float(ours.fees) == pytest.approx(other["fees"], rel=2e-4)
    return street


CASES: dict[str, dict[str, Any]] = {
    "signals": {},
    "bounded": {"leverage": 3.0, "max_position_size": 8_000.0},
    "stop": {"parameters": {"stop": 0.006}},
    "stop and target": {"parameters": {"stop": 0.006, "target": 0.008}, "leverage": 2.0},
    "trail": {"parameters": {"trail": 0.01}, "leverage": 2.0},
    "stop, target, trail": {"parameters": {"stop": 0.03, "target": 0.02, "trail": 0.008}},
    "all of the wallet": {"parameters": {"fraction": 1.0}, "leverage": 10.0},
}


def case(name: str) -> Config:
    base, changes = config(), dict(CASES[name])
    parameters = {**base.parameters, **changes.pop("parameters", {})}
    return config(parameters=parameters, **changes)


LIQUIDATED = "all of the wallet"
LATER = {"stop, target, trail": 330}
"""Where a case begins behind the crash: a bar that meets two stops ends at the worse in a study, the nearer here."""


@pytest.mark.parametrize("name", CASES)
def test_a_replayed_config_trades_as_its_study(name: str) -> None:
    first = LATER.get(name, WARM)
    street = compared(case(name), walk(620 if name in LATER else 420, 3), first=first)
    account = street.account
    assert account.closed >= 2 if name == LIQUIDATED else account.closed >= 10
    assert bool(account.liquidated) == (name == LIQUIDATED)
    notes = [one.text for one in street.events if isinstance(one, StrategyNoted)]
    assert notes == (["the venue closed it by force: promote a config to begin anew"] if name == LIQUIDATED else [])
    seen = street.engine.state.configs.compared[account.instrument]
    assert (seen.matched, seen.missed, seen.extra) == (account.closed, 0, 0)
    assert abs(seen.entry_bps) < 1e-3
    assert abs(seen.profit_bps) < 0.5
    wallets = street.engine.state.ledger.balances[PERP.venue]
    assert account.quantity or account.wallet == wallets[PERP.settle]


def wide(size: int, seed: int) -> Bars:
    """Return bars whose ranges are several times their moves, and that open away from the close before."""
    rng = np.random.default_rng(seed)
    close = 30_000 * np.exp(np.cumsum(rng.normal(0, 0.006, size)))
    opened = np.r_[30_000, close[:-1]] * np.exp(rng.normal(0, 0.002, size))
    high = np.maximum(opened, close) * np.exp(np.abs(rng.normal(0, 0.008, size)))
    low = np.minimum(opened, close) * np.exp(-np.abs(rng.normal(0, 0.008, size)))
    ts = 1_700_000_100_000_000_000 + np.arange(size, dtype=np.int64) * MINUTES_15
    rows = [np.round(one, 2) for one in (opened, high, low, close, np.full(size, 9.0))]
    return Bars.of(ts, rows, MINUTES_15)


@pytest.mark.parametrize("levels", [{"trail": 0.012}, {"stop": 0.01, "target": 0.012}, {"trail": 0.02, "target": 0.03}])
def test_wide_bars_and_gaps_trade_as_their_study(levels: dict[str, float]) -> None:
    street = compared(config(parameters={**config().parameters, **levels}), wide(370, 11))
    assert street.account.closed > 20


def test_slippage_of_the_study_is_the_spread_of_the_market() -> None:
    base = config(leverage=2.0)
    chosen = config(parameters={**base.parameters, "stop": 0.01, "slippage": 0.0002}, leverage=2.0)
    compared(chosen, walk(330, 5), spread=0.0002)


OTHERS: dict[str, dict[str, Any]] = {
    "donchian": {"channel": 12, "exit_channel": 6, "atr_window": 5, "atr_multiple": 0.0},
    "bollinger": {"window": 12},
}


@pytest.mark.parametrize("strategy", OTHERS)
def test_other_strategies_trade_as_their_studies(strategy: str) -> None:
    parameters = {**OTHERS[strategy], "stop": 0.02, "fraction": 0.8}
    compared(config(strategy=strategy, parameters=parameters), walk(350, 7))


def test_recorded_bars_trade_as_their_study(recorded_data: Path) -> None:
    bars = recorded(recorded_data, "BTCUSDT-perp-15m", MINUTES_15, 420)
    base = config(leverage=3.0)
    compared(config(parameters={**base.parameters, "stop": 0.008, "target": 0.012}, leverage=3.0), bars)
