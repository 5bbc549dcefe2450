"""The practice exchange's accounts: one for each venue it stands in for."""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

from core.domain.commands import AmendOrder, CancelOrder, SubmitOrder
from core.domain.identifiers import Asset, InstrumentId, VenueId, venue_of
from core.domain.instrument import Instrument
from core.domain.message import Data, Message, Nanoseconds
from core.errors import VenueError
from venues.contracts_table import contracts
from venues.matching.matching import NEVER, Matching
from venues.matching.settings import TYPICAL_LATENCY, LatencySettings, MatchingSettings

START_BALANCES: Mapping[VenueId, Mapping[Asset, Decimal]] = {
    VenueId("BINANCE-SPOT"): {Asset("USDT"): Decimal(50_000)},
    VenueId("BINANCE-FUTURES"): {Asset("USDT"): Decimal(50_000)},
    VenueId("BINANCE-COINM"): {Asset("BTC"): Decimal(1)},
}
"""What each account holds at its first start; the inverse one is opened only when one of its instruments is played."""
ALWAYS_OPEN = (VenueId("BINANCE-SPOT"), VenueId("BINANCE-FUTURES"))
KEPT_ORDERS, KEPT_FILLS, KEPT_BOOKINGS = 400, 800, 100
"""Closed orders, fills, and funding with forced closes, that an account remembers: each durable write carries them."""


class Account:
    """One venue's account: its matching, and the events it has given that are not durable yet."""

    def __init__(
        self,
        venue: VenueId,
        played: Iterable[InstrumentId],
        balances: Mapping[Asset, Decimal],
        latency: LatencySettings,
        life: str,
    ) -> None:
        self.venue = venue
        listed = {contract.id: contract for contract in contracts(venue)}
        self.instruments: tuple[Instrument, ...] = tuple(listed[key] for key in played if key in listed)
        self.events: list[Message] = []
        self.touched = False
        """A request was taken since the last durable write."""
        settings = MatchingSettings(
            latency=latency,
            kept_orders=KEPT_ORDERS,
            kept_fills=KEPT_FILLS,
            kept_bookings=KEPT_BOOKINGS,
            id_prefix=f"{life}-{venue}-",
        )
        self.matching = Matching(venue, tuple(listed.values()), balances, settings, self.events.append)

    def request(self, command: SubmitOrder | AmendOrder | CancelOrder, now: Nanoseconds) -> None:
        """Take a request."""
        self.touched = True
        if isinstance(command, SubmitOrder):
            self.matching.submit(command, now)
        elif isinstance(command, AmendOrder):
            self.matching.amend(command, now)
        else:
            self.matching.cancel(command, now)


class Accounts:
    """All accounts of the exchange; ``images`` is what an earlier life left."""

    def __init__(
        self,
        played: Sequence[InstrumentId],
        images: Mapping[str, bytes],
        life: str,
        latency: LatencySettings = TYPICAL_LATENCY,
        balances: Mapping[VenueId, Mapping[Asset, Decimal]] = START_BALANCES,
    ) -> None:
        by_venue: dict[VenueId, list[InstrumentId]] = {venue: [] for venue in ALWAYS_OPEN}
        for instrument in played:
            by_venue.setdefault(venue_of(instrument), []).append(instrument)
        for venue in START_BALANCES:
            if image_name(venue) in images:
                by_venue.setdefault(venue, [])
        self.by_venue: dict[VenueId, Account] = {}
        self._of: dict[InstrumentId, Matching] = {}
        for venue, instruments in by_venue.items():
            account = Account(venue, instruments, balances.get(venue, {}), latency, life)
            image = images.get(image_name(venue))
            if image is not None:
                account.matching.restore(image)
            self.by_venue[venue] = account
            for contract in account.instruments:
                self._of[contract.id] = account.matching
        if missing := [instrument for instrument in played if instrument not in self._of]:
            names = ", ".join(missing)
            raise VenueError(f"no contract data for {names}: the practice exchange cannot trade it; play another tape")

    def on_data(self, message: Data, instrument: InstrumentId) -> None:
        """Show market data to the account that trades them."""
        matching = self._of.get(instrument)
        if matching is not None:
            matching.on_data(message)

    def advance(self, now: Nanoseconds) -> None:
        """Let time pass in every account."""
        for account in self.by_venue.values():
            account.matching.advance(now)

    @property
    def next_due(self) -> Nanoseconds:
        """Return when an account has something to do."""
        return min((account.matching.next_due for account in self.by_venue.values()), default=NEVER)


def image_name(venue: VenueId) -> str:
    """Return the name an account is kept under."""
    return f"account/{venue}"
