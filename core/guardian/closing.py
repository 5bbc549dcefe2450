"""How the sentinel closes an account without the engine: cancel, exit, look again, until its own look says flat.

Pure: snapshots and quotes in, approved orders out. Exits are reduce-only, so that at the venue they can close and never
flip, whatever else is on its way; the first of an instrument is an IOC limit near the touch, what it leaves goes at the
market. Orders of others are left alone. Flat is what a venue has said explicitly: what was held once in a close and is
missing from a snapshot, or from the list of what is traded, is not flat.
"""

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

import msgspec

from core.domain.approval import Approved
from core.domain.commands import CancelOrder, SubmitOrder
from core.domain.identifiers import ClientOrderId, InstrumentId, InstrumentType, VenueId
from core.domain.instrument import Instrument
from core.domain.order import Order, OrderType, Side, TimeInForce
from core.domain.reports import VenueSnapshot
from core.guardian.pulse import Boottime

MS = 1_000_000
RETRY_NS: Boottime = 500 * MS
"""The least time between two exits of one instrument: the answer to the first is in the next snapshot."""
CONFIRM_NS: Boottime = 500 * MS
"""Flat is believed when a venue said so twice, this far apart: a request of the dead engine may still be on its way."""
FRESH_NS: Boottime = 10_000 * MS
"""How old a venue's second word may be when the last one is heard: slow ones do not answer every look."""
SLIP = Decimal("0.005")
"""How far beyond the touch the first exit may trade."""
WORST_SLIP = Decimal("0.05")
"""The same for the exits behind it where a venue takes no market orders: each goes twice as far, up to this."""
DUST_TRIES = 2
"""Exits of coins worth less than a venue's least order before they count as dust: some venues take them."""
ORIGIN = "sentinel"
INTENT = "sentinel flatten"
Send = tuple[VenueId, Approved[SubmitOrder] | Approved[CancelOrder]]
"""What leaves, and where to."""


class Account(msgspec.Struct, frozen=True):
    """One venue as its own session sees it; None where it has not answered: that is not "flat".

    No instruments are no answer either: what is held of one that is not listed could not be seen.
    """

    venue: VenueId
    instruments: Sequence[Instrument] = ()
    snapshot: VenueSnapshot | None = None
    market: bool = True
    """The venue takes market orders."""


class Closer:
    """Close what is held. ``mark`` begins the ids of this home's orders, ``run`` is durable and never used again."""

    def __init__(self, mark: str, run: int) -> None:
        self._engines, self._prefix = f"{mark}r", f"{sentinel_prefix(mark)}{run}n"
        self._ours = (self._engines, sentinel_prefix(mark))
        self._sequence = 0
        self._last: dict[str, Boottime] = {}
        """When an instrument's last exit or an order's last cancel left."""
        self._tries: dict[InstrumentId, int] = {}
        self._flat: dict[VenueId, tuple[Boottime, Boottime]] = {}
        """When a venue said first and last that nothing is held or open there; silence is no word, either way."""
        self._held: dict[VenueId, dict[InstrumentId, Instrument]] = {}
        """What a venue has said to be held since this close began: only its explicit word ends that."""
        self._began = 0
        self.flat = False
        """Nothing is held or open, confirmed."""

    def begin(self) -> None:
        """Close anew: what was seen before counts no more, and ids go on."""
        self._last, self._tries, self._flat, self._held, self.flat = {}, {}, {}, {}, False
        self._began = self._sequence

    @property
    def sent(self) -> bool:
        """Tell whether an exit has left since the beginning."""
        return self._sequence > self._began

    def look(
        self, accounts: Sequence[Account], quotes: Mapping[InstrumentId, tuple[float, float]], now: Boottime
    ) -> list[Send]:
        """Return what brings the accounts closer to flat; quotes are (bid, ask)."""
        sends: list[Send] = []
        for account in accounts:
            if account.snapshot is None or not account.instruments:
                continue
            known = self._held.setdefault(account.venue, {})
            listed = known | {item.id: item for item in account.instruments}
            clean = all(is_told(instrument, account.snapshot) for instrument in known.values())
            clean = clean and not any(unlisted(account.snapshot, listed, self._ours))
            for report in account.snapshot.open_orders:
                id_ = report.client_order_id
                if id_.startswith(self._ours) and report.order.instrument in listed:
                    clean = False
                    if self._may(id_, now):
                        sends.append((account.venue, Approved(CancelOrder(id_, ORIGIN), urgent=True)))
            for instrument, quantity in held(listed.values(), account.snapshot):
                if self._is_refused_dust(instrument, quantity, quotes.get(instrument.id)):
                    continue
                clean, known[instrument.id] = False, instrument
                if self._may(f"{instrument.id} {quantity > 0}", now):
                    size = self._unlocked(instrument, quantity, account.snapshot)
                    exit_ = self._exit(instrument, size, quotes.get(instrument.id), market=account.market)
                    sends.append((account.venue, exit_))
            self._judge(account.venue, now, clean=clean)
        if accounts and not self.flat:
            self.flat = all(self._is_flat(account.venue, now) for account in accounts)
        return sends

    def _unlocked(self, instrument: Instrument, quantity: Decimal, snapshot: VenueSnapshot) -> Decimal:
        """Return what of a holding to sell: coins that orders of others lock are left out where all were refused."""
        if instrument.type is not InstrumentType.SPOT_PAIR or not self._tries.get(instrument.id):
            return quantity
        free = next((one.free for one in snapshot.balances if one.asset == instrument.base), quantity)
        size = instrument.floor_size(min(quantity, free))
        return size if size >= instrument.min_size else quantity

    def _may(self, key: str, now: Boottime) -> bool:
        if now - self._last.get(key, -RETRY_NS) < RETRY_NS:
            return False
        self._last[key] = now
        return True

    def _is_refused_dust(self, instrument: Instrument, quantity: Decimal, touch: tuple[float, float] | None) -> bool:
        """Tell of coins that two exits have not sold and that are worth less than an order: their venue takes none."""
        if (
            instrument.type is not InstrumentType.SPOT_PAIR
            or touch is None
            or self._tries.get(instrument.id, 0) < DUST_TRIES
        ):
            return False
        return abs(quantity) * Decimal(repr(touch[1])) < instrument.min_notional

    def _judge(self, venue: VenueId, now: Boottime, *, clean: bool) -> None:
        if clean:
            self._flat[venue] = self._flat.get(venue, (now, now))[0], now
        else:
            self._flat.pop(venue, None)
            self.flat = False

    def _is_flat(self, venue: VenueId, now: Boottime) -> bool:
        first, last = self._flat.get(venue, (now, now))
        return last - first >= CONFIRM_NS and now - last <= FRESH_NS

    def _exit(
        self, instrument: Instrument, quantity: Decimal, touch: tuple[float, float] | None, *, market: bool
    ) -> Approved[SubmitOrder]:
        side = Side.SELL if quantity > 0 else Side.BUY
        tries = self._tries[instrument.id] = self._tries.get(instrument.id, 0) + 1
        slip = min(SLIP * 2 ** min(tries - 1, 9), WORST_SLIP)
        price = _beyond(instrument, side, touch, slip) if touch is not None and (tries == 1 or not market) else None
        self._sequence += 1
        order = Order(
            instrument.id,
            side,
            abs(quantity),
            OrderType.MARKET if price is None else OrderType.LIMIT,
            price,
            time_in_force=TimeInForce.IOC,
            reduce_only=True,
            strategy_intent=INTENT,
            client_order_id=ClientOrderId(f"{self._prefix}{self._sequence}"),
            venue=instrument.venue,
        )
        return Approved(SubmitOrder(order, ORIGIN), urgent=True)


def sentinel_prefix(mark: str) -> str:
    """Return how the ids of the sentinel's orders begin in a home with this mark."""
    return f"{mark}s"


def held(instruments: Iterable[Instrument], snapshot: VenueSnapshot) -> Iterator[tuple[Instrument, Decimal]]:
    """Yield what can be closed, with its signed quantity on the size step; dust is not held, as in the engine.

    Of a contract that is reported more than once (hedge mode: a long leg and a short one) each leg is closed.
    """
    legs: dict[InstrumentId, list[Decimal]] = {}
    for report in snapshot.positions:
        legs.setdefault(report.instrument, []).append(report.quantity)
    wallet = {report.asset: report.total for report in snapshot.balances}
    sold = set()
    for instrument in instruments:
        if instrument.type is InstrumentType.SPOT_PAIR:
            if instrument.base in sold:
                continue  # one route is enough
            sold.add(instrument.base)
            quantities = [wallet.get(instrument.base, Decimal(0))]
        else:
            quantities = legs.get(instrument.id, [])
        for quantity in quantities:
            size = instrument.floor_size(abs(quantity))
            if size <= 0 or size < instrument.min_size:
                continue
            if instrument.max_size is not None:
                size = min(size, instrument.max_size)
            yield instrument, size if quantity > 0 else -size


def unlisted(snapshot: VenueSnapshot, listed: Container[InstrumentId], ours: tuple[str, ...]) -> Iterator[InstrumentId]:
    """Yield what is held, or has an order of ours, though its venue does not list it: it cannot be closed from here."""
    for position in snapshot.positions:
        if position.quantity and position.instrument not in listed:
            yield position.instrument
    for report in snapshot.open_orders:
        if report.client_order_id.startswith(ours) and report.order.instrument not in listed:
            yield report.order.instrument


def is_told(instrument: Instrument, snapshot: VenueSnapshot) -> bool:
    """Tell whether a snapshot says how much is held of an instrument, be it nothing: what is missing is not flat."""
    if instrument.type is InstrumentType.SPOT_PAIR:
        return any(report.asset == instrument.base for report in snapshot.balances)
    return any(report.instrument == instrument.id for report in snapshot.positions)


def _beyond(instrument: Instrument, side: Side, touch: tuple[float, float], slip: Decimal) -> Decimal | None:
    """Return a limit a little worse than the touch, on the tick; None where there is no touch."""
    bid, ask = touch
    price = bid if side is Side.SELL else ask
    if not price > 0:
        return None
    worse = Decimal(repr(price)) * (1 - slip if side is Side.SELL else 1 + slip)
    return instrument.quantise_price(worse, ROUND_FLOOR if side is Side.SELL else ROUND_CEILING)
