"""One wallet over several contracts against vectorbt's shared cash, trade by trade, at leverage 1 without margin."""

from typing import Any

import numpy as np
import pytest

from research.simulator.shared import Basket, simulate_shared
from research.simulator.simulator import Account, Market, Sets, Tariff
from tests.research.simulator.test_simulator import stamps

SYMBOLS, SETS, BARS = 3, 2, 400
CASH, NOTIONAL, FEE, SLIPPAGE = 1e6, 10_000.0, 0.0004, 0.0002


def test_shared_cash_is_vectorbts_trade_by_trade() -> None:
    vbt: Any = pytest.importorskip("vectorbt", reason="vectorbt comes with the extra research")
    import pandas as pd

    rng = np.random.default_rng(5)
    close = 100.0 * np.exp(np.cumsum(rng.normal(0, 0.01, (BARS, SYMBOLS)), axis=0))
    opened = np.vstack([np.full((1, SYMBOLS), 100.0), close[:-1]]) * np.exp(rng.normal(0, 0.002, (BARS, SYMBOLS)))
    signals = rng.choice([0, 1, 2, 4, 8, 9, 6], (BARS, SETS, SYMBOLS), p=[0.7, *[0.05] * 6]).astype(np.uint8)

    def wide(values: Any) -> Any:  # a column a set and symbol, the symbols of a set side by side
        return np.broadcast_to(values[:, None, :], (BARS, SETS, SYMBOLS)).reshape(BARS, -1)

    flags = [((signals & bit) != 0).reshape(BARS, -1) for bit in (1, 2, 4, 8)]
    portfolio = vbt.Portfolio.from_signals(
        pd.DataFrame(wide(close)), entries=flags[0], exits=flags[1], short_entries=flags[2], short_exits=flags[3],
        price=wide(opened), size=NOTIONAL, size_type="value", fees=FEE, slippage=SLIPPAGE, init_cash=CASH,
        upon_opposite_entry="reverse", freq="1h", group_by=np.repeat(np.arange(SETS), SYMBOLS), cash_sharing=True,
    )  # fmt: skip
    theirs = portfolio.trades.values

    tariff = Tariff(fees=((0, FEE),))
    high, low = np.maximum(opened, close), np.minimum(opened, close)
    markets = [
        Market(stamps(BARS), (opened[:, s], high[:, s], low[:, s], close[:, s]), tariff=tariff) for s in range(SYMBOLS)
    ]
    sets = [Sets(bars=np.arange(BARS), signals=signals[:, :, s].T, notional=NOTIONAL) for s in range(SYMBOLS)]
    account = Account(cash=CASH, slippage=SLIPPAGE, margin=False, isolated=False)
    runs, log = simulate_shared(Basket(markets), account, sets, trades=True)

    assert runs["equity"] == pytest.approx(np.asarray(portfolio.final_value()), rel=1e-9)
    assert runs["drawdown"] == pytest.approx(-np.asarray(portfolio.max_drawdown()), rel=1e-6)
    assert list(runs["orders"]) == list(portfolio.orders.count())
    ours = np.sort(log, order=["set", "symbol", "opened"])
    theirs = np.sort(theirs, order=["col", "entry_idx"])
    assert ours.size == theirs.size > 100
    assert np.array_equal(ours["set"] * SYMBOLS + ours["symbol"], theirs["col"])
    assert np.array_equal(np.where(ours["side"] > 0, 0, 1), theirs["direction"])
    for name, other in (("opened", "entry_idx"), ("closed", "exit_idx"), ("quantity", "size"), ("entry", "entry_price"),
                        ("exit", "exit_price"), ("profit", "pnl")):  # fmt: skip
        assert ours[name] == pytest.approx(theirs[other], rel=1e-9, abs=1e-9), name
