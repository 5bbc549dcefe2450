"""A tiny strategy for studies: two moving averages cross on a walk made from a seed, through the real simulator."""

import os
import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from core.domain.identifiers import InstrumentId
from core.domain.message import Nanoseconds
from research.simulator.simulator import LONG_ENTRY, SHORT_ENTRY, Account, Market, Sets, simulate
from research.study.evaluator import Parameters
from research.study.study import StudyFile
from research.study.walkforward import Span
from research.validation.history import Played

HOUR_NS = 3_600_000_000_000
FIRST_NS = 1_600_000_200_000_000_000 // (24 * HOUR_NS) * 24 * HOUR_NS
BTC = InstrumentId("BINANCE-FUTURES:PERPETUAL:BTC-USDT@LIN")
LEAK: list[NDArray[np.float64]] = []


class Crossing:
    """Long while the fast average is above the slow one, else short."""

    def __init__(self, file: StudyFile) -> None:
        self.cash, self.slippage = file.account.cash, file.account.slippage
        self.instruments = (BTC,)
        rng = np.random.default_rng(file.study.seed)
        drift = np.repeat(rng.choice([-0.0015, 0.0015], 40), 100)
        self.close = 100.0 * np.exp(np.cumsum(drift + rng.normal(0.0, 0.006, drift.size)))
        self.ts = FIRST_NS + np.arange(drift.size, dtype=np.int64) * HOUR_NS
        self.span = Span(int(self.ts[0]), int(self.ts[-1]) + HOUR_NS)
        self.pause = float(os.environ.get("CROSSING_PAUSE_S", "0"))
        self.leak_mb = int(os.environ.get("CROSSING_LEAK_MB", "0"))

    def evaluate(self, parameters: Sequence[Parameters], span: Span, *, slippage: float = 1.0) -> NDArray[np.void]:
        """Return a record a set; the pause and the leak are for tests of studies."""
        time.sleep(self.pause)
        if self.leak_mb:
            LEAK.append(np.ones(self.leak_mb * 131_072))
        return np.stack([self._one(one, span, slippage)[0] for one in parameters])

    def profits(self, parameters: Parameters, span: Span) -> NDArray[np.float64]:
        """Return what each trade brought."""
        profits: NDArray[np.float64] = self._one(parameters, span, 1.0)[1]["profit"]
        return profits

    def play(self, parameters: Parameters, span: Span) -> list[Played]:
        """Return the one instrument's back-test."""
        return [Played(BTC, self._market(span), self._one(parameters, span, 1.0)[1])]

    def liquidation(self, runs: NDArray[np.void], span: Span) -> tuple[Nanoseconds, InstrumentId]:
        """Return when it was liquidated."""
        bar = int(runs["liquidated"][0])
        return (int(self._market(span).ts[bar]), BTC) if bar >= 0 else (0, InstrumentId(""))

    def _part(self, span: Span) -> slice:
        return slice(*np.searchsorted(self.ts, [span.start, span.stop]))

    def _market(self, span: Span) -> Market:
        price = self.close[self._part(span)]
        return Market(self.ts[self._part(span)], (price, price, price, price))

    def _one(self, one: Parameters, span: Span, slippage: float) -> tuple[NDArray[np.void], NDArray[np.void]]:
        part = self._part(span)
        price = self.close[part]
        above = _average(self.close, int(one["fast"]))[part] > _average(self.close, int(one["slow"]))[part]
        turns = np.flatnonzero(np.diff(above)) + 1  # seen at a close, filled at the next open
        turns = turns[turns + 1 < price.size]
        signals = np.where(above[turns], LONG_ENTRY, SHORT_ENTRY).astype(np.uint8)[None, :]
        market = self._market(span)
        account = Account(cash=self.cash, slippage=self.slippage * slippage)
        sets = Sets(bars=turns + 1, signals=signals, fraction=0.9, leverage=float(one.get("leverage", 1.0)))
        return simulate(market, account, sets, trades=True)


def _average(values: NDArray[np.float64], length: int) -> NDArray[np.float64]:
    sums = np.cumsum(np.concatenate([np.zeros(length), values]))
    averages: NDArray[np.float64] = (sums[length:] - sums[:-length]) / length
    return averages


def evaluator(file: StudyFile) -> Crossing:
    """Make it."""
    return Crossing(file)
