"""The rule of one wallet that several contracts share: crossed margin, every position behind every other.

The same as ``research.simulator.shared_walk``, which tests compare trade by trade. The wallet is the sum of what the
shadows of the contracts have, each of which began with its part of the capital and books what its own trades make.
"""

from collections.abc import Iterator, Sequence

from core.domain.market import Bar
from core.strategy.figures import CLOSE, wanted
from core.strategy.rule import LIQUIDATION, SIGNAL, Contract, RuleTrade, Shadow, Terms, size_of

DUST = 1e-9
"""Free margin below this fraction of equity is what rounding left: no entry is made of it."""
Bars = Sequence[Bar | None]
"""A bar of each contract at one time; one without stands at its last close, and nothing of it is filled."""


class SharedRule:
    """Walk one wallet's contracts through the bars of all, one time after the other."""

    def __init__(self, terms: Terms, contracts: Sequence[Contract]) -> None:
        self._terms, self._contracts = terms, contracts

    def on_bars(self, shadows: Sequence[Shadow], bars: Bars) -> list[list[RuleTrade]]:
        """Act at the opens, then leave inside the bars where it must be; return the trades that ended, by contract.

        In one bar: what closes by signal, what opens; liquidation, judged with every position at its own worst at once;
        stops and targets; liquidation again with what is left.
        """
        ended: list[list[RuleTrade]] = [[] for _ in shadows]
        if any(shadow.liquidated for shadow in shadows):
            return ended
        self._act(shadows, bars, ended)
        if not self._liquidate(shadows, bars, ended) and self._leave(shadows, bars, ended):
            self._liquidate(shadows, bars, ended)
        for shadow, bar in zip(shadows, bars, strict=True):
            if bar is not None:
                shadow.last = bar.close
                if shadow.quantity:
                    shadow.follow(bar)
        return ended

    def _act(self, shadows: Sequence[Shadow], bars: Bars, ended: list[list[RuleTrade]]) -> None:
        opens: list[tuple[int, int]] = []
        for place, (shadow, bar) in enumerate(zip(shadows, bars, strict=True)):
            if bar is None:
                continue
            signal, shadow.pending = shadow.pending, 0
            side = wanted(shadow.quantity, signal) if signal else 0
            if side and shadow.quantity:
                ended[place].append(shadow.close(bar, bar.open, SIGNAL, self._terms, self._contracts[place]))
            if side and side != CLOSE:
                opens.append((place, side))
        for place, side in opens:
            bar = bars[place]
            assert bar is not None
            equity, free = means(self._terms, self._standing(shadows, bars))
            size = size_of(self._terms, self._contracts[place], equity, bar.open, side, free)
            shadows[place].open(bar, side, size, self._terms, self._contracts[place])

    def _standing(self, shadows: Sequence[Shadow], bars: Bars) -> "Iterator[tuple[float, float, float, float]]":
        """Yield of each contract its wallet, the base units held, their entry and what they are worth at the open."""
        for shadow, bar, contract in zip(shadows, bars, self._contracts, strict=True):
            price = bar.open if bar is not None else shadow.last
            yield shadow.wallet, shadow.quantity * contract.units, shadow.entry, price

    def _leave(self, shadows: Sequence[Shadow], bars: Bars, ended: list[list[RuleTrade]]) -> bool:
        """End what met its stop or target; tell whether anything did."""
        left = False
        for place, (shadow, bar) in enumerate(zip(shadows, bars, strict=True)):
            if bar is not None and shadow.quantity:
                trade = shadow.at_levels(bar, self._terms, self._contracts[place])
                if trade is not None:
                    ended[place].append(trade)
                    left = True
        return left

    def _liquidate(self, shadows: Sequence[Shadow], bars: Bars, ended: list[list[RuleTrade]]) -> bool:
        """Lose the whole wallet where the worst prices leave no more than maintenance: all goes, at its worst price.

        What is left then is lost by the share of each position's value.
        """
        left, kept, worth = sum(shadow.wallet for shadow in shadows), 0.0, 0.0
        worst: dict[int, float] = {}
        for place, (shadow, bar) in enumerate(zip(shadows, bars, strict=True)):
            if shadow.quantity:
                units = shadow.quantity * self._contracts[place].units
                price = shadow.last if bar is None else bar.low if units > 0.0 else bar.high
                worst[place] = price
                left += units * (price - shadow.entry)
                kept += self._contracts[place].maintenance(abs(units) * price)
                worth += abs(units) * price
        if not worst or left > kept:
            return False
        start = max(bar.start for bar in bars if bar is not None)
        for place, price in worst.items():
            shadow = shadows[place]
            units = shadow.quantity * self._contracts[place].units
            at = price * (1.0 - (1.0 if units > 0.0 else -1.0) * left / worth)
            ended[place].append(shadow.end(start, at, 0.0, units * (at - shadow.entry) - shadow.paid, LIQUIDATION))
        for shadow in shadows:
            shadow.wallet, shadow.liquidated = 0.0, True
        return True


def means(terms: Terms, standing: "Iterator[tuple[float, float, float, float]]") -> tuple[float, float]:
    """Return a shared wallet's equity, and what the margin of what is held leaves of it for an entry.

    ``standing`` has of each contract its part of the wallet, the base units held, their entry price and the price now.
    """
    equity = used = 0.0
    for wallet, units, entry, price in standing:
        equity += wallet + units * (price - entry)
        used += abs(units) * price / terms.leverage
    free = equity - used
    return equity, free if free >= DUST * equity else 0.0
