"""Limits on what is held after the order, every open entry order filled, as fractions of equity."""

from collections.abc import Callable
from operator import attrgetter

from core.config.settings import GuardianSettings
from core.domain.identifiers import DERIVATIVES
from core.domain.numbers import exact
from core.guardian.limits.base import Breach, Rule
from core.guardian.proposal import Proposal


def _unpriced(proposal: Proposal) -> str:
    """Say what has no price, where that may be why there is no equity."""
    ledger = proposal.state.ledger
    return f"; nothing prices {', '.join(sorted(ledger.unvalued))} in {ledger.currency}" if ledger.unvalued else ""


class _Exposure(Rule):
    """Compare what a proposal would hold at worst, as a fraction of equity, with the bound that ``key`` names."""

    field = ""
    """The proposal's value that is compared."""

    def __init__(self, settings: GuardianSettings) -> None:
        super().__init__(settings)
        self.bound: float = getattr(settings, self.key)
        self._seen: Callable[[Proposal], float] = attrgetter(self.field)

    def breach(self, proposal: Proposal) -> Breach | None:
        """Return why the order may not pass, or None."""
        equity = proposal.equity
        if equity <= 0.0:
            return Breach(self.name, exact(equity), "0", f"equity is not positive: entries denied{_unpriced(proposal)}")
        value = self._seen(proposal) / equity
        return None if value <= self.bound else self.beyond(value, self.bound, ">", self.key)

    def beyond(self, value: float, bound: float, sign: str, key: str) -> Breach:
        """Return a breach told in percent of equity."""
        seen, allowed = f"{value:.1%}", f"{bound:.1%}"
        text = f"{self.name.replace('_', ' ')} {seen} of equity {sign} {allowed}"
        return Breach(self.name, exact(value), exact(bound), text, key)

    def use(self, proposal: Proposal) -> tuple[float, float] | None:
        """Return (value, bound) for the screen, or None where it does not apply."""
        return (self._seen(proposal) / proposal.equity, self.bound) if proposal.equity > 0 else None

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
    """Contracts are at most this many times equity; what is owned outright is at most once."""

    name = "max_leverage"
    key = "max_leverage"
    field = "position_worst"

    def breach(self, proposal: Proposal) -> Breach | None:
        """Return why the order may not pass, or None."""
        if proposal.market.kind in DERIVATIVES or proposal.position_worst <= proposal.equity:
            return _Exposure.breach(self, proposal)
        return self.beyond(proposal.position_worst / proposal.equity, 1.0, ">", "") if proposal.equity > 0.0 else None

    def use(self, proposal: Proposal) -> tuple[float, float] | None:
        """Return (value, bound) for the screen, or None where it does not apply."""
        use = _Exposure.use(self, proposal)
        owned = proposal.market.kind not in DERIVATIVES
        return (use[0], min(self.bound, 1.0)) if use is not None and owned else use

    def beyond(self, value: float, bound: float, sign: str, key: str) -> Breach:
        """Return a breach told in times of equity."""
        text = f"leverage {value:.2f}x {sign} {bound:g}x"
        return Breach(
            self.name, exact(value), exact(bound), f"{text} of what is owned outright" if not key else text, key
        )

    def text(self, value: float) -> str:
        """Return a value or bound as this limit shows it: times of equity."""
        return f"{value:.2f}x"


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

    def __init__(self, settings: GuardianSettings) -> None:
        super().__init__(settings)
        self._floor = settings.min_net_frac

    def breach(self, proposal: Proposal) -> Breach | None:
        """Return why the order may not pass, or None: only the side that the order moves is asked."""
        equity = proposal.equity
        if equity <= 0.0:
            return _Exposure.breach(self, proposal)
        if proposal.order.side.sign > 0:
            high = proposal.net_high / equity
            return None if high <= self.bound else self.beyond(high, self.bound, ">", self.key)
        low, bound = proposal.net_low / equity, self._floor
        return None if low >= bound else self.beyond(low, bound, "<", "min_net_frac")

    def use(self, proposal: Proposal) -> tuple[float, float] | None:
        """Return (value, bound) of the side that the order moves, or None where it does not apply."""
        if proposal.order.side.sign > 0 or proposal.equity <= 0:
            return _Exposure.use(self, proposal)
        return proposal.net_low / proposal.equity, self._floor

    def text(self, value: float) -> str:
        """Return a value or bound as this limit shows it: signed percent of equity."""
        return f"{value:+.1%}"
