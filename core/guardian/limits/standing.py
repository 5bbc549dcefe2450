"""What must stand before an entry is looked at at all: trading state, venue, journal, feed."""

from core.config.settings import GuardianSettings
from core.domain.approval import TradingState
from core.domain.identifiers import InstrumentId
from core.domain.market import Health
from core.domain.message import Nanoseconds
from core.guardian.limits.base import MS_NS, SECOND_NS, Breach, Rule, number
from core.guardian.proposal import Proposal
from core.state.mark import FUTURE_NS

LIVE = "live"
"""The mode in which orders meet a real venue, whose clock is not ours."""
MATTERS = 0.01
"""Wallets valued by old rates deny entries where they are more than this of the equity."""
_ACTIVE = TradingState.ACTIVE
_UNFIT = frozenset({Health.GAP, Health.CROSSED, Health.DOWN})


class TradingStateLimit(Rule):
    """In REDUCING only what shrinks a position passes; in HALTED nothing but reduce-only exits."""

    name = "trading_state"
    covers_exits = True

    def breach(self, proposal: Proposal) -> Breach | None:
        """Return why the order may not pass, or None."""
        now = proposal.state.trading_state
        if now is _ACTIVE:
            return None
        if now is TradingState.REDUCING and proposal.reduces:
            return None
        if now is TradingState.HALTED and proposal.order.reduce_only:
            return None
        allowed = "what shrinks a position" if now is TradingState.REDUCING else "cancels and reduce-only exits"
        why = proposal.state.state_reason
        text = f"trading is {now}: only {allowed}" + (f" ({why})" if why else "")
        return Breach(self.name, now.value, TradingState.ACTIVE.value, text)


class VenueReady(Rule):
    """Entries wait until the venue is connected and reconciled; exits until it is connected."""

    name = "venue"
    covers_exits = True

    def breach(self, proposal: Proposal) -> Breach | None:
        """Return why the order may not pass, or None."""
        name = proposal.market.venue
        venue = proposal.state.venues.get(name)
        if venue is not None and venue.connected and (venue.reconciled or proposal.order.reduce_only):
            return None
        if venue is None or not venue.connected:
            why = venue.reason if venue is not None else "not connected yet"
            return Breach(self.name, "down", "connected", f"{name} is not connected ({why}); nothing was sent")
        return Breach(self.name, "unreconciled", "reconciled", f"{name} is not reconciled yet: entries denied")


class StoresReady(Rule):
    """Entries need a journal that can be written; exits never do."""

    name = "journal"

    def breach(self, proposal: Proposal) -> Breach | None:
        """Return why the order may not pass, or None."""
        trouble = proposal.state.store_trouble
        if not trouble:
            return None
        return Breach(self.name, "failing", "writable", trouble)  # says what is denied


class Valued(Rule):
    """Entries need an account, and an instrument, that can be valued.

    What has no price, capital that waits for it aside, may be a loss; what no rate values would pass every bound.
    """

    name = "valued"

    def breach(self, proposal: Proposal) -> Breach | None:
        """Return why the order may not pass, or None."""
        unvalued = proposal.state.ledger.unvalued
        missing = proposal.state.capital.missing(unvalued) if unvalued else unvalued
        if not missing and proposal.unit <= 0.0 < proposal.price:
            instrument, currency = proposal.market.instrument, proposal.state.currency
            named = dict.fromkeys((instrument.quote, instrument.settle))
            assets = ", ".join(one for one in named if one != currency)
            text = f"nothing prices {assets} in {currency}: {instrument.id} cannot be valued, entries denied"
            return Breach(self.name, "0", "priced", text)
        if proposal.state.ledger.rates.crosses(proposal.market.instrument):
            return self._crossing(proposal)
        if not missing:
            return None
        text = f"no price for {', '.join(sorted(missing))}: the account cannot be valued, entries denied"
        return Breach(self.name, str(len(missing)), "0", text)

    def _crossing(self, proposal: Proposal) -> Breach:
        """Return that a price in foreign money would be no entry that a loss could be counted from."""
        instrument, currency = proposal.market.instrument, proposal.state.currency
        text = f"{instrument.id} is quoted in {instrument.quote}: what it buys has no entry price in {currency}, "
        text += f"entries denied; buy {instrument.base} over a pair quoted in {currency} or at par with it"
        return Breach(self.name, instrument.quote, currency, text)


class Terms(Rule):
    """Entries wait while a venue's new contract data do: their quantity would be counted in other contracts."""

    name = "terms"

    def __init__(self, settings: GuardianSettings) -> None:
        super().__init__(settings)
        self.waiting: dict[InstrumentId, str] = {}
        """What is to change of an instrument once it is flat."""

    def breach(self, proposal: Proposal) -> Breach | None:
        """Return why the order may not pass, or None."""
        instrument = proposal.market.instrument.id
        change = self.waiting.get(instrument)
        if change is None:
            return None
        text = f"{instrument} has new terms that count once it is flat ({change}): entries denied, close it first"
        return Breach(self.name, "old", "new", text)


class ClockOffset(Rule):
    """Entries at a live venue need our clock near the venue's: its stamps and our times would not compare."""

    name = "max_clock_offset"
    key = "max_clock_offset_ms"

    def __init__(self, settings: GuardianSettings) -> None:
        super().__init__(settings)
        self._bound: Nanoseconds = settings.max_clock_offset_ms * MS_NS

    def breach(self, proposal: Proposal) -> Breach | None:
        """Return why the order may not pass, or None."""
        bound, offset = self._bound, proposal.market.clock_offset_ns
        if -bound <= offset <= bound or proposal.state.mode != LIVE:
            return None
        off, limit = f"{abs(offset) / SECOND_NS:.1f} s", f"{bound / SECOND_NS:g} s"
        text = f"clock is {off} off {proposal.market.venue} (limit {limit}): entries denied"
        return Breach(self.name, str(abs(offset) // MS_NS), str(bound // MS_NS), text, self.key)

    def use(self, proposal: Proposal) -> tuple[float, float] | None:
        """Return (value, bound) in ms for the screen, or None where it does not apply."""
        return (proposal.market.clock_offset_ns / MS_NS, self._bound / MS_NS) if proposal.state.mode == LIVE else None

    def text(self, value: float) -> str:
        """Return a value or bound as this limit shows it."""
        return f"{value:.0f} ms"


class Stale(Rule):
    """Entries need a living feed: fresh, in sequence, not crossed; and an account that is not valued by dead ones."""

    name = "stale_after"
    key = "stale_after_ms"

    def __init__(self, settings: GuardianSettings) -> None:
        super().__init__(settings)
        self._bound: Nanoseconds = settings.stale_after_ms * MS_NS

    def breach(self, proposal: Proposal) -> Breach | None:
        """Return why the order may not pass, or None."""
        market, bound = proposal.market, self._bound
        since = market.moved if market.ts_exchange else market.ts
        if since and proposal.now - since <= bound and market.health not in _UNFIT and not market.ahead:
            return self._valued_by_dead(proposal)
        age = proposal.now - since if since else None
        symbol = market.instrument.id
        if market.ahead:
            seen, allowed = f"{market.ahead / SECOND_NS:.0f} s", f"{FUTURE_NS / SECOND_NS:g} s"
            why = f"{market.venue}'s clock is {seen} ahead of ours (limit {allowed}): entries denied"
            return Breach("clock", str(market.ahead // MS_NS), str(FUTURE_NS // MS_NS), why)
        if age is None:
            return Breach(self.name, "never", str(bound // MS_NS), f"{symbol} has no price yet", self.key)
        if age > bound:
            seen, allowed = f"{age / SECOND_NS:.1f} s", f"{bound / SECOND_NS:g} s"
            by = " by its exchange's stamp" if since != market.ts else ""
            text = f"{symbol} price is {seen} old{by} (limit {allowed})"
            return Breach(self.name, str(age // MS_NS), str(bound // MS_NS), text, self.key)
        return Breach(self.name, market.health.value, "live", f"{symbol} feed: {market.health} {market.reason}")

    def _valued_by_dead(self, proposal: Proposal) -> Breach | None:
        """Return that what wallets hold is valued at a rate nobody renews; the account's rules go on with it."""
        worth, asset, age = proposal.state.ledger.stale(proposal.now, self._bound)
        if worth <= MATTERS * max(proposal.equity, 0.0):
            return None
        text = f"the rate of {asset} is {age / SECOND_NS:.1f} s old (limit {self._bound / SECOND_NS:g} s), and "
        text += f"{number(worth)} of the account is valued by it: entries denied"
        return Breach(self.name, str(age // MS_NS), str(self._bound // MS_NS), text, self.key)
