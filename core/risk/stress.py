"""What a bad day would do to the book: prices, spreads and liquidations, of scenarios that are named."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal

import msgspec
import numpy as np

from core import margin
from core.config.settings import GuardianSettings, ScenarioSettings
from core.domain.identifiers import DERIVATIVES, Asset
from core.domain.instrument import ZERO
from core.risk.book import Account, Margined, RiskBook
from core.risk.history import Sample
from core.risk.var import normal_quantile

ALL = "all"
DOWN = (0.10, 0.20, 0.30)
SPREADS = 5.0
CORRELATION = 0.9
WORST = 5
"""Underlyings whose own worst day is shown, those with the largest exposure first."""
_NEVER = Decimal("1e-9")


class Scenario(msgspec.Struct, frozen=True):
    """Moves as fractions by underlying, else by kind (``PERPETUAL``), else ``all``, and how wide spreads become.

    Stable currencies move only where they are named.
    """

    name: str
    moves: Mapping[str, float] = {}
    spreads: float = 0.0
    """Closing everything costs half the spread times this; 0 costs nothing."""
    correlation: float | None = None
    """Instead of moves: the loss that only one day in a hundred exceeds, all underlyings this far correlated."""

    def move(self, base: Asset, kind: str) -> float:
        """Return how far an underlying moves; never below nothing."""
        found = self.moves.get(base, self.moves.get(kind, 0.0 if kind == "STABLE" else self.moves.get(ALL, 0.0)))
        return max(found, -1.0)


class Outcome(msgspec.Struct, frozen=True):
    """What a scenario leads to: profit (reporting currency), accounts that are liquidated, limits that are broken."""

    profit: float
    liquidated: tuple[str, ...]
    breaches: tuple[str, ...]


def standard(book: RiskBook, sample: Sample, own: Mapping[str, ScenarioSettings]) -> list[Scenario]:
    """Return the scenarios of the program, of the history at hand and of the settings, in this order."""
    found = [Scenario(f"all down {down:.0%}", {ALL: -down}) for down in DOWN]
    found += [
        Scenario(f"spreads x{SPREADS:g}, all closed", spreads=SPREADS),
        Scenario(f"correlations {CORRELATION:g}, 1 day 99%", correlation=CORRELATION),
    ]
    found += worst_days(book, sample)
    for name, one in own.items():
        found.append(Scenario(name, one.moves, one.spreads, one.correlation or None))
    return found


def worst_days(book: RiskBook, sample: Sample) -> list[Scenario]:
    """Return the worst day of the book and of each underlying, as the history at hand has it: what moved together."""
    if not len(sample.returns) or len(sample.returns) < sample.steps_a_day:
        return []
    span = round(sample.steps_a_day)
    growth = np.vstack([np.ones(len(sample.bases)), np.cumprod(1.0 + sample.returns, axis=0)])
    days = growth[span:] / growth[:-span] - 1.0
    values = np.array([exposure_of(book, base) for base in sample.bases])
    found: list[Scenario] = []
    taken: list[int] = []
    ranked = np.argsort(-np.abs(values))[:WORST]
    each = [(f"{sample.bases[place]}'s", days[:, place] * np.sign(values[place])) for place in ranked]
    for name, losses in [("book's", days @ values), *each]:
        place = int(np.argmin(losses))
        if losses[place] >= 0.0 or any(np.allclose(days[place], days[other], atol=1e-9) for other in taken):
            continue
        taken.append(place)
        end = datetime.fromtimestamp(int(sample.ends[place + span - 1]) / 1e9, UTC)
        moves: dict[str, float] = {base: float(move) for base, move in zip(sample.bases, days[place], strict=True)}
        found.append(Scenario(f"{name} worst day, to {end:%d %b %H:%M}", moves))
    return found


def exposure_of(book: RiskBook, base: Asset) -> float:
    """Return what the book makes when an underlying doubles."""
    return sum(one.value for one in book.exposures if one.base == base)


def apply(book: RiskBook, scenario: Scenario, sample: Sample, limits: GuardianSettings) -> Outcome:
    """Return what a scenario does to a book.

    An account whose balance would not cover its maintenance margin counts as lost whole: that is the venue's right.
    """
    if scenario.correlation is not None and not scenario.moves:
        return Outcome(-correlated_loss(book, sample, scenario.correlation), (), ())
    gone = {account for account, held in book.margined.items() if liquidates(book, account, held, scenario)}
    profit = 0.0
    for one in book.exposures:
        if one.account not in gone:
            profit += one.value * scenario.move(one.base, one.kind)
        profit -= abs(one.value) * one.half_spread * scenario.spreads
    for account in gone:
        shocked = sum(one.value * scenario.move(one.base, one.kind) for one in book.exposures if one.account == account)
        profit += min(shocked, -balance_now(book, account))
    names = tuple(sorted(f"{venue} {asset}" for venue, asset in gone))
    return Outcome(profit, names, breaches(book, scenario, profit, limits))


def liquidates(book: RiskBook, account: Account, held: Sequence[Margined], scenario: Scenario) -> bool:
    """Tell whether an account's balance would fall to its maintenance margin."""
    balance, needed = book.wallets.get(account, ZERO), ZERO
    for one in held:
        mark = one.mark * max(Decimal(repr(1.0 + scenario.move(one.base, one.kind))), _NEVER)
        side, size = (1 if one.quantity > 0 else -1), abs(one.quantity)
        balance += margin.profit(one.contract, side, size, one.entry, mark)
        brackets = one.contract.brackets
        if brackets:
            needed += margin.maintenance(brackets, margin.notional(one.contract, size, mark))
    return balance <= needed


def balance_now(book: RiskBook, account: Account) -> float:
    """Return what stands in an account now, open profits included (reporting currency)."""
    balance = book.wallets.get(account, ZERO)
    for one in book.margined.get(account, ()):
        side, size = (1 if one.quantity > 0 else -1), abs(one.quantity)
        balance += margin.profit(one.contract, side, size, one.entry, one.mark)
    return float(balance) * book.rates.get(account[1], 0.0)


def correlated_loss(book: RiskBook, sample: Sample, correlation: float) -> float:
    """Return the loss of one day at 99 %, normal, with every pair of underlyings this far correlated."""
    if not len(sample.returns):
        return 0.0
    sigma = sample.returns.std(axis=0) * np.sqrt(sample.steps_a_day)
    risk = sigma * np.array([exposure_of(book, base) for base in sample.bases])
    variance = correlation * risk.sum() ** 2 + (1.0 - correlation) * (risk * risk).sum()
    return float(-normal_quantile(0.01) * np.sqrt(max(variance, 0.0)))


def breaches(book: RiskBook, scenario: Scenario, profit: float, limits: GuardianSettings) -> tuple[str, ...]:
    """Return the settings of the guardian's that would be broken after a scenario, its loss counted from now."""
    equity = book.equity + profit
    if equity <= 0.0:
        return ("equity",)
    values = [
        (name, base, kind, value * (1.0 + scenario.move(base, kind))) for name, base, kind, value in book.positions
    ]
    bases: dict[Asset, float] = {}
    for _, base, _, value in values:
        bases[base] = bases.get(base, 0.0) + abs(value)
    largest = max((abs(value) for *_, value in values), default=0.0)
    leveraged = max((abs(value) for _, _, kind, value in values if kind in DERIVATIVES), default=0.0)
    net = sum(value for *_, value in values)
    lost = -profit / book.equity
    steps = [depth for depth, _ in limits.drawdown_steps]
    seen = (
        ("max_daily_loss_frac", lost > limits.max_daily_loss_frac),
        ("drawdown_steps", bool(steps) and lost >= min(steps)),
        ("max_position_frac", largest / equity > limits.max_position_frac),
        ("max_sector_frac", max(bases.values(), default=0.0) / equity > limits.max_sector_frac),
        ("max_leverage", leveraged / equity > limits.max_leverage),
        ("max_gross_frac", sum(bases.values()) / equity > limits.max_gross_frac),
        ("max_net_frac", net / equity > limits.max_net_frac),
        ("min_net_frac", net / equity < limits.min_net_frac),
    )
    return tuple(name for name, broken in seen if broken)
