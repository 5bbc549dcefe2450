"""What a venue can do: an order that it would refuse is refused here, in words, before anything is sent."""

from collections.abc import Mapping

from core.config.settings import GuardianSettings
from core.domain.identifiers import VenueId
from core.domain.order import CONDITIONAL, Order, OrderType, TimeInForce
from core.guardian.limits import Breach, Rule
from core.guardian.proposal import Proposal
from core.ports import Abilities

_MARKET, _GTD = OrderType.MARKET, TimeInForce.GTD
_NEVER_REST = frozenset({TimeInForce.GTC, TimeInForce.IOC})
_TRAILING = OrderType.TRAILING_STOP


class Able(Rule):
    """A type, time in force or post-only that the venue does not know, and the engine cannot stand in for."""

    name = "supported"
    covers_exits = True

    def __init__(self, settings: GuardianSettings) -> None:
        super().__init__(settings)
        self.venues: Mapping[VenueId, Abilities] = {}

    def breach(self, proposal: Proposal) -> Breach | None:
        """Return why the order may not pass, or None."""
        order = proposal.order
        if order.time_in_force is _GTD and order.expires <= proposal.now:
            return Breach(self.name, "expired", "future", "the order's GTD time is over already; nothing sent")
        abilities = self.venues.get(proposal.market.venue)
        return None if abilities is None else self._unknown(order, abilities, proposal.market.venue)

    def _unknown(self, order: Order, abilities: Abilities, venue: VenueId) -> Breach | None:
        kind, tif, types = order.type, order.time_in_force, abilities.order_types
        if kind in CONDITIONAL and kind not in types:
            if kind is _TRAILING:
                what = f"{venue} holds no trailing stops and the engine does not emulate them"
                return Breach(self.name, kind.value, "STOP", f"{what}; nothing sent")
            kind = OrderType.LIMIT if kind is OrderType.STOP_LIMIT else _MARKET  # waits here, leaves as this
            if kind is _MARKET and tif in (TimeInForce.GTD, TimeInForce.DAY):
                tif = TimeInForce.GTC  # its time is kept here too
            if kind is _MARKET and kind not in types and abilities.takes_ioc_limits:
                kind, tif = OrderType.LIMIT, tif if tif is TimeInForce.FOK else TimeInForce.IOC  # through the market
        if kind not in types:
            return self._no(venue, f"{kind} orders", kind.value, types)
        if (order.stop_loss or order.take_profit) and _MARKET not in types and not abilities.takes_ioc_limits:
            what = f"{venue} takes neither market orders nor limits that end at once: nothing could leave"
            return Breach(self.name, "bracket", "none", f"{what} at the order's stop or target; nothing sent")
        if tif not in abilities.time_in_force and not (kind is _MARKET and tif in _NEVER_REST):
            return self._no(venue, f"the time in force {tif}", tif.value, abilities.time_in_force)
        if order.post_only and not abilities.post_only:
            return Breach(self.name, "post-only", "none", f"{venue} does not take post-only orders; nothing sent")
        return None

    def _no(
        self, venue: VenueId, what: str, value: str, known: frozenset[OrderType] | frozenset[TimeInForce]
    ) -> Breach:
        names = sorted(known)
        text = f"{venue} does not take {what} (it takes {', '.join(names)}); nothing sent"
        return Breach(self.name, value, ",".join(names), text)
