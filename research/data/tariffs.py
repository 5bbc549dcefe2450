"""What an account pays and must keep, by day: the study file's own words, else the shipped contract table's."""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from core.domain.instrument import MarginBracket
from core.errors import ResearchError
from research.data.dataset import contract_of
from research.simulator.simulator import Tariff
from research.study.study import AccountPart, TierRow, nanoseconds
from store.candles import SeriesName


def account_tariff(account: AccountPart, name: SeriesName) -> Tariff:
    """Return fees and tiers of a contract: what is oldest holds for everything before it too.

    Raises:
        ResearchError: no fee, tiers that do not rise, or a contract that neither the file nor the table has.
    """
    fees = account.fee if isinstance(account.fee, Mapping) else {"": account.fee}
    if not fees:
        raise ResearchError('[account] fee names no day; expected a fraction, or { "2020-01-01" = 0.0004 }')
    own = account.tiers.get(name.symbol)
    if own:
        tiers = tuple((_since(day), brackets(rows, f"{name.symbol} {day}")) for day, rows in sorted(own.items()))
    else:
        shipped = contract_of(name).brackets
        tiers = ((0, shipped),) if shipped else ()
    return Tariff(fees=tuple((_since(day), fee) for day, fee in sorted(fees.items())), tiers=tiers)


def brackets(rows: Sequence[TierRow], what: str) -> tuple[MarginBracket, ...]:
    """Return maintenance tiers of rows (cap, maintenance rate, largest leverage), the amounts that join them found.

    ``cum`` grows by ``floor * (rate - rate before)``, which makes the maintenance margin one line without steps
    (Binance, "Leverage and Margin of USDS-M Futures").

    Raises:
        ResearchError: no row, or caps or rates that do not rise, or leverages that do.
    """
    made: list[MarginBracket] = []
    floor = rate_before = cum = Decimal(0)
    for cap_number, rate_number, leverage in rows:
        cap, rate = Decimal(str(cap_number)), Decimal(str(rate_number))
        if cap <= floor or rate < rate_before or (made and leverage > made[-1].max_leverage):
            raise ResearchError(
                f"[account] tiers of {what}: [{cap_number:g}, {rate_number:g}, {leverage}] must have a larger cap, no "
                "smaller rate and no larger leverage than the row before it"
            )
        cum += floor * (rate - rate_before)
        made.append(MarginBracket(floor, cap, rate, cum, leverage))
        floor, rate_before = cap, rate
    if not made:
        raise ResearchError(f"[account] tiers of {what}: no row; expected [cap, maintenance rate, largest leverage]")
    return tuple(made)


def _since(day: str) -> int:
    return nanoseconds(day) or 0
