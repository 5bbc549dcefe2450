"""What is known of each venue connection, and the bookings that come without a fill: part of the state."""

from collections.abc import Callable
from typing import Any

import msgspec

from core.domain import events as e
from core.domain import market as m
from core.domain.identifiers import VenueId
from core.domain.message import Nanoseconds
from core.state.blotter import Blotter, liquidation_key
from core.state.configs import ConfigBook
from core.state.ledger import Ledger
from core.state.markets import Markets

AHEAD_NS: Nanoseconds = 5_000_000_000
"""A booking's stamp counts as at most this far ahead of our clock: one far in the future would hide all that follow."""
OPENING = "opening"
"""The reason of the first total of each wallet: what an account begins with."""


class VenueView(msgspec.Struct, gc=False):
    """What is known of one venue connection; ``last_fill`` is where the next snapshot's fills begin (ns, UTC).

    A fill that comes by the stream of a new link says nothing of those before it: until the venue is reconciled it
    moves ``newest_fill`` alone.
    """

    connected: bool = False
    reconciled: bool = False
    reason: str = "not connected yet"
    since: Nanoseconds = 0
    last_fill: Nanoseconds = 0
    last_booking: Nanoseconds = 0
    """The venue's stamp of the newest fill, funding or forced close: an older snapshot undoes none of them."""
    opened: Nanoseconds = 0
    """Until when, by the venue's clock, what was traded is part of what the account was seen with first: not booked."""
    compared: Nanoseconds = 0
    """When our record was last compared with the venue's."""
    newest_fill: Nanoseconds = 0
    trouble: str = ""
    """Why our record could not be compared when it was due; empty where all is well."""
    troubled: Nanoseconds = 0
    """Since when it could not."""


class Contact:
    """Keep a view of every venue; changed by ``State.apply`` alone."""

    def __init__(self, markets: Markets, ledger: Ledger, blotter: Blotter, configs: ConfigBook) -> None:
        self.views: dict[VenueId, VenueView] = {}
        self._markets, self._ledger, self._blotter, self._configs = markets, ledger, blotter, configs

    def handlers(self) -> dict[type, Callable[[Any], None]]:
        """Return what takes each message that concerns a venue as a whole."""
        return {
            m.VenueStatus: self._status,
            m.VenueCompared: self._compared,
            e.VenueReconciled: self._reconciled,
            e.BalanceSet: self._balance,
            e.PositionLiquidated: self._liquidated,
        }

    def view(self, venue: VenueId) -> VenueView:
        """Return the view of a venue, made on first use."""
        view = self.views.get(venue)
        if view is None:
            view = self.views[venue] = VenueView()
        return view

    def restore(self, views: dict[VenueId, VenueView], now: Nanoseconds) -> None:
        """Take the views of an image, whose stamps may be older than the bound on them."""
        most = now + AHEAD_NS
        for venue, view in views.items():
            self.views[venue] = view
            view.last_fill, view.newest_fill = min(view.last_fill, most), min(view.newest_fill, most)
            view.last_booking = min(view.last_booking, most)

    def filled(self, venue: VenueId, ts_exchange: Nanoseconds, ts: Nanoseconds) -> None:
        """Note the venue's stamp of a fill."""
        view = self.views.get(venue) or self.view(venue)
        if ts_exchange > ts + AHEAD_NS:  # noqa: PLR1730  a call of min on every fill
            ts_exchange = ts + AHEAD_NS
        if ts_exchange > view.newest_fill:
            view.newest_fill = ts_exchange
            if view.reconciled:
                view.last_fill = ts_exchange
        if ts_exchange > view.last_booking:  # noqa: PLR1730  a call of max on every fill
            view.last_booking = ts_exchange

    def booked(self, venue: VenueId, ts_exchange: Nanoseconds, ts: Nanoseconds) -> None:
        """Note the venue's stamp of a booking."""
        view = self.view(venue)
        view.last_booking = max(view.last_booking, min(ts_exchange, ts + AHEAD_NS))

    def _status(self, status: m.VenueStatus) -> None:
        view = self.view(status.venue)
        view.connected, view.reason, view.since = status.connected, status.reason, status.ts
        view.reconciled, view.trouble = False, ""

    def _compared(self, compared: m.VenueCompared) -> None:
        view = self.view(compared.venue)
        if not compared.trouble:
            view.compared = compared.ts
        elif not view.trouble:
            view.troubled = compared.ts
        view.trouble = compared.trouble

    def _reconciled(self, event: e.VenueReconciled) -> None:
        view = self.view(event.venue)
        view.reconciled, view.last_fill = True, max(view.last_fill, view.newest_fill)

    def _balance(self, event: e.BalanceSet) -> None:
        self._ledger.set_balance(event)
        if event.reason == OPENING:
            view = self.view(event.venue)
            stamp = event.ts_exchange + 1 if event.ts_exchange else event.ts  # a record of before has our clock alone
            view.opened = view.opened or min(stamp, event.ts + AHEAD_NS)

    def _liquidated(self, event: e.PositionLiquidated) -> None:
        """Take a forced close once; one without the id of its fill is taken as it comes."""
        venue = self._markets[event.instrument].venue
        key = liquidation_key(event.instrument, event.fill_id)
        if event.fill_id:
            if self._blotter.fills.knows(key):
                return
            self._blotter.fills.add(key)
        self._ledger.liquidated(event)
        self._configs.liquidated(event)
        self.booked(venue, event.ts_exchange, event.ts)
