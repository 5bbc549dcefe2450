"""Our side of the simulator's benchmark: the seeded bars as markets, 200 sets of rsi_ema, and the ways to run them."""

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from bench import common
from core.domain.identifiers import VenueId
from core.domain.instrument import MarginBracket
from core.strategy.figures import LONG_ENTRY, LONG_EXIT, SHORT_ENTRY, SHORT_EXIT
from core.strategy.library import MODELS, checked, signals
from core.strategy.signals import Bars, Indicators
from research.simulator.features import Batch, batches
from research.simulator.shared import Basket, simulate_shared
from research.simulator.simulator import Account, Market, Sets, Tariff, simulate
from venues.contracts_table import contracts

SYMBOLS = ("BTC", "ETH", "XRP", "LTC")
MODEL = MODELS["rsi_ema"]
STEP_NS = 900_000_000_000
Runs = NDArray[np.void]
Terms = tuple[bool, float]
"""With funding, tiers and leverage or without, and the fee fraction."""


class History:
    """Bars of bench/peers/data.py, in ``BENCH_DATA``; its money, fee, slippage and grid are that file's."""

    cash, notional, slippage = 100_000.0, 10_000.0, 0.0002
    margin: Terms = (True, 0.0004)
    bare: Terms = (False, 0.0004)
    free: Terms = (False, 0.0)

    def __init__(self) -> None:
        folder = Path(os.environ["BENCH_DATA"])
        self._raw: dict[str, dict[str, NDArray[Any]]] = {}
        for symbol in SYMBOLS:
            with np.load(folder / f"bars_{symbol}.npz") as file:
                self._raw[symbol] = {name: file[name] for name in file.files}
        self._tiers = {contract.raw_symbol: contract.brackets for contract in contracts(VenueId("BINANCE-FUTURES"))}

    def market(self, symbol: str, terms: Terms, count: int | None = None) -> Market:
        """Return the first bars of a symbol as a market."""
        margin, fee = terms
        raw = {name: column[:count] for name, column in self._raw[symbol].items()}
        tiers: tuple[MarginBracket, ...] = self._tiers[f"{symbol}USDT"]
        return Market(
            raw["ts"] * 1_000_000,
            (raw["open"], raw["high"], raw["low"], raw["close"]),
            funding_rate=raw["funding"] if margin else None,
            tariff=Tariff(fees=((0, fee),), tiers=((0, tiers),) if margin else ()),
        )

    def bars(self, symbol: str) -> Bars:
        """Return a symbol's bars as strategies see them."""
        raw = self._raw[symbol]
        return Bars.of(raw["ts"] * 1_000_000, [raw[key] for key in ("open", "high", "low", "close", "volume")], STEP_NS)

    def account(self, terms: Terms, *, isolated: bool = True) -> Account:
        """Return the account."""
        cash = self.cash if isolated else 10.0 * self.cash  # so that no order of four symbols lacks it
        return Account(cash=cash, slippage=self.slippage, margin=terms[0], isolated=isolated)

    def batches(self, symbol: str, count: int, terms: Terms) -> "list[Batch]":
        """Return the first sets of the grid as batches, indicators worked out."""
        leverage = 5.0 if terms[0] else 1.0
        x = Indicators(self.bars(symbol))
        return list(batches(MODEL, x, grid()[:count], notional=self.notional, leverage=leverage))

    def run(self, symbol: str, count: int, terms: Terms) -> Runs:
        """Back-test the first sets over one symbol, from prices to figures."""
        market, account = self.market(symbol, terms), self.account(terms)
        made = [
            (batch.numbers, simulate(market, account, batch.sets)[0]) for batch in self.batches(symbol, count, terms)
        ]
        return _in_order(made, count)

    def shared(self, count: int, terms: Terms) -> tuple[Runs, float]:
        """Back-test sets with one wallet over all symbols; return CPU seconds without signals too."""
        each = [self.batches(symbol, count, terms) for symbol in SYMBOLS]
        basket, account = self._basket(terms), self.account(terms, isolated=False)
        began = common.perf()
        made = [
            (batch[0].numbers, simulate_shared(basket, account, [one.sets for one in batch])[0])
            for batch in zip(*each, strict=True)
        ]
        seconds = common.perf() - began
        return _in_order(made, count), seconds

    def _basket(self, terms: Terms) -> Basket:
        return Basket([self.market(symbol, terms) for symbol in SYMBOLS])

    def one(self, terms: Terms) -> Callable[[], Runs]:
        """Return what back-tests the first set over the first symbol."""
        market, account = self.market(SYMBOLS[0], terms), self.account(terms)
        sets = self.batches(SYMBOLS[0], 1, terms)[0].sets
        return lambda: simulate(market, account, sets)[0]

    def reader(self) -> Callable[[], int]:
        """Return what reads every number of the first symbol's market once."""
        words = self.market(SYMBOLS[0], self.margin).bars.reshape(-1).view(np.int64)

        read: Callable[[Any], int] = njit(_sum)
        return lambda: read(words)

    def write_signals(self, path: Path) -> None:
        """Write the first set's signals of the first symbol by the bar that decides, for peers without TA-Lib."""
        said = signals(MODEL, Indicators(self.bars(SYMBOLS[0])), checked(MODEL, grid()[0]))
        bits = {"le": LONG_ENTRY, "lx": LONG_EXIT, "se": SHORT_ENTRY, "sx": SHORT_EXIT}
        np.savez(path, **{name: said & bit != 0 for name, bit in bits.items()})

    def given(self, path: Path, count: int, terms: Terms, account: Account) -> Callable[[], Runs]:
        """Return what back-tests written signals over the first bars."""
        with np.load(path) as file:
            bits = {"le": LONG_ENTRY, "lx": LONG_EXIT, "se": SHORT_ENTRY, "sx": SHORT_EXIT}
            said = sum(file[name][: count - 1].astype(np.uint8) * np.uint8(bit) for name, bit in bits.items())
        when = np.flatnonzero(said)
        market = self.market(SYMBOLS[0], terms, count)
        sets = Sets(bars=when + 1, signals=np.asarray(said)[None, when], notional=self.notional)
        return lambda: simulate(market, account, sets)[0]


@cache
def grid() -> list[dict[str, float]]:
    """Return the sets of bench/peers/data.py as the strategy's parameters."""
    axes = [
        (p, f, s, k) for p in (7, 9, 14, 21, 28) for f in (8, 12, 20, 30) for s in (50, 100) for k in range(10, 31, 5)
    ]
    return [
        {"rsi_window": p, "fast": f, "slow": s, "overbought": 50.0 + k, "oversold": 50.0 - k} for p, f, s, k in axes
    ]


def _sum(values: Any) -> int:
    total = 0
    for i in range(values.size):
        total += values[i]
    return total


def _in_order(made: "list[tuple[NDArray[np.int64], Runs]]", count: int) -> Runs:
    found = np.zeros(count, made[0][1].dtype)
    for numbers, runs in made:
        found[numbers] = runs
    return found
