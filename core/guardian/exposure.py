"""Limits on what is held after the order, every open entry order filled, as fractions of equity."""

from core.config import GuardianSettings
from core.domain.numbers import exact
from core.guardian.limits import Breach, Rule
from core.guardian.proposal import Proposal


class _Exposure(Rule):
    """Compare what a proposal would hold at worst, as a fraction of equity, with the bound that ``key`` names."""

    field = ""
    """The proposal's value that is compared."""

    def __init__(self, settings: GuardianSettings) -> None:
        super().__init__(settings)
        self.bound: float = getattr(settings, self.key)

    def breach(self, proposal: Proposal) -> Breach | None:
        """Return why the order may not pass, or None."""
        equity = proposal.equity
        if equity <= 0.0:
            return Breach(self.name, exact(equity), "0", "equity is not positive: entries denied")
        value = getattr(proposal, self.field) / equity
        return None if value <= self.bound else self.beyond(value, self.bound, ">", self.key)

    def beyond(self, value: float, bound: float, sign: str, key: str) -> Breach:
        """Return a breach told in percent of equity."""
        seen, allowed = f"{value:.1%}", f"{bound:.1%}"
        text = f"{self.name.replace('_', ' ')} {seen} of equity {sign} {allowed}"
        return Breach(self.name, exact(value), exact(bound), text, key)

    def use(self, proposal: Proposal) -> tuple[float, float] | None:
        """Return (value, bound) for the screen, or None where it does not apply."""
        return (getattr(proposal, self.field) / proposal.equity, self.bound) if proposal.equity > 0 else None

    def text(self, value: float) -> str:
        """Return a value or bound as this limit shows it: percent of equity."""
        return f"{value:.1%}"


class PositionSize(_Exposure):
    """One instrument is at most this fraction of equity."""

    name = "max_position"
    key = "max_position_frac"
    field = "position_worst"


class SectorSize(_Exposure):
    """All instruments of one underlying together are at most this fraction of equity."""

    name = "max_sector"
    key = "max_sector_frac"
    field = "sector"


class Leverage(_Exposure):
    """Contracts are at most this many times equity; what is owned outright is 1."""

    name = "max_leverage"
    key = "max_leverage"
    field = "leveraged"


class Gross(_Exposure):
    """All positions together, long and short added, are at most this fraction of equity."""

    name = "max_gross"
    key = "max_gross_frac"
    field = "gross"


class Net(_Exposure):
    """Long less short stays between two fractions of equity."""

    name = "net"
    key = "max_net_frac"
    field = "net_high"

    def breach(self, proposal: Proposal) -> Breach | None:
        """Return why the order may not pass, or None: only the side that the order moves is asked."""
        if proposal.order.side.sign > 0 or proposal.equity <= 0.0:
            return _Exposure.breach(self, proposal)
        low, bound = proposal.net_low / proposal.equity, self.settings.min_net_frac
        return None if low >= bound else self.beyond(low, bound, "<", "min_net_frac")

    def use(self, proposal: Proposal) -> tuple[float, float] | None:
        """Return (value, bound) of the side that the order moves, or None where it does not apply."""
        if proposal.order.side.sign > 0 or proposal.equity <= 0:
            return _Exposure.use(self, proposal)
        return proposal.net_low / proposal.equity, self.settings.min_net_frac

    def text(self, value: float) -> str:
        """Return a value or bound as this limit shows it: signed percent of equity."""
        return f"{value:+.1%}"
