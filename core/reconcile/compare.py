"""What our record and a venue's still differ in once everything explained is applied. Pure.

One look may be a race: a report that was made while something travelled. A difference is told when two looks in a row
show the same with no booking between them, and none is read off a snapshot older than the newest booking.
"""

from collections.abc import Iterator
from decimal import Decimal

from core.domain.differences import DifferenceFound, DifferenceKind, DifferenceResolved, Resolution
from core.domain.identifiers import Asset, ClientOrderId, InstrumentId
from core.domain.instrument import ZERO
from core.domain.message import Event, Nanoseconds
from core.domain.numbers import plain
from core.domain.reports import PositionReport, VenueSnapshot
from core.reconcile.reconcile import listed_id
from core.state.state import State

DUST = Decimal("1e-8")
"""A wallet may be off by this: venues round, and so do we."""
IDLE_NS: Nanoseconds = 30_000_000_000
"""Looks that compare nothing for this long are told."""
_NO_ASSET, _NO_ORDER, _NOWHERE = Asset(""), ClientOrderId(""), InstrumentId("")
_FILL, _ORDER = DifferenceKind.FILL, DifferenceKind.ORDER
Key = tuple[str, ...]


class Comparison:
    """Remember the last look at one venue, so that a difference is seen twice before it is told."""

    def __init__(self, tolerance_frac: float) -> None:
        self._tolerance = Decimal(repr(tolerance_frac))
        self._seen: dict[Key, Decimal] = {}
        self._booked: Nanoseconds = -1
        self._idle: Nanoseconds = 0
        """Since when nothing could be compared; 0 while it can."""
        self.settled = True
        """Nothing waits for a second look."""

    def forget(self) -> None:
        """Begin anew, as after a lost link."""
        self._seen, self._booked, self._idle = {}, -1, 0

    def trouble(self, now: Nanoseconds) -> str:
        """Return that looks have compared nothing for long, empty while they do."""
        if not self._idle or now - self._idle < IDLE_NS:
            return ""
        why = "every answer is older than the newest booking: its clock or a booking's stamp is wrong, or it trades on"
        return f"nothing was comparable for {(now - self._idle) / 1e9:.0f} s, {why}"

    def look(self, state: State, snapshot: VenueSnapshot, now: Nanoseconds) -> list[Event]:
        """Compare, and return what this look and the last one agree on: differences found and gone."""
        booked = state.venue(snapshot.venue).last_booking
        self.settled = booked <= snapshot.ts_exchange
        if not self.settled:
            self._idle = self._idle or now
            return []  # older than the newest booking: it proves nothing
        self._idle = 0
        found = {gap_key(one): one for one in differing(state, snapshot, self._tolerance, now)}
        same = booked == self._booked
        told: list[Event] = []
        for key, one in found.items():
            gap = _weight(one)
            if _stands(state, key, gap):
                continue
            if same and self._seen.get(key) == gap:
                told.append(one)
            else:
                self.settled = False
        self._seen, self._booked = {key: _weight(one) for key, one in found.items()}, booked
        told += _over(state, snapshot, found, now)
        return told


def gap_key(one: DifferenceFound) -> Key:
    """Return what a difference is about."""
    return (one.kind, one.venue, one.instrument, one.asset, one.client_order_id)


def _weight(one: DifferenceFound) -> Decimal:
    """Return what must be the same for it to be the same difference; an order stays itself while it fills."""
    return ZERO if one.kind is _ORDER else one.theirs - one.ours


def _stands(state: State, key: Key, gap: Decimal) -> bool:
    known = state.differences.known(key)
    return known is not None and (known.kind is _ORDER or known.gap == gap)


def _over(
    state: State, snapshot: VenueSnapshot, found: dict[Key, DifferenceFound], now: Nanoseconds
) -> Iterator[Event]:
    """Yield the end of what stood and is not there any more; a foreign fill waits for a word."""
    for one in state.differences.of(snapshot.venue):
        if one.kind is not _FILL and one.key not in found:
            yield DifferenceResolved(one.number, Resolution.AGREES, "", "comparison", "both agree again", now)


def differing(state: State, snapshot: VenueSnapshot, tolerance: Decimal, now: Nanoseconds) -> Iterator[DifferenceFound]:
    """Yield everything that differs, without a number. A missing report changes nothing: it is not "flat"."""
    yield from _positions(state, snapshot, now)
    yield from _balances(state, snapshot, tolerance, now)
    yield from _orders(state, snapshot, now)


def _positions(state: State, snapshot: VenueSnapshot, now: Nanoseconds) -> Iterator[DifferenceFound]:
    venue, reports = snapshot.venue, dict[InstrumentId, list[PositionReport]]()
    for report in snapshot.positions:
        reports.setdefault(report.instrument, []).append(report)
    for instrument, legs in reports.items():
        if instrument not in state.markets:
            continue
        held = state.ledger.positions.get(instrument)
        ours = held.quantity if held is not None else ZERO
        if len(legs) > 1:  # our record is one position of an instrument: it cannot say what an order would do there
            sizes = " and ".join(plain(leg.quantity) for leg in legs)
            what = f"two legs, {sizes} (hedge mode), nothing is entered: set the account to one-way mode at the venue"
            total = sum((leg.quantity for leg in legs), ZERO)
            yield DifferenceFound(
                0, DifferenceKind.POSITION, venue, instrument, _NO_ASSET, _NO_ORDER, ours, total,
                legs[0].entry_price, what, now,
            )  # fmt: skip
            continue
        report = legs[0]
        if ours == report.quantity:
            continue
        what = f"no fill explains it: take the venue's {plain(report.quantity)} at {plain(report.entry_price)}"
        yield DifferenceFound(
            0, DifferenceKind.POSITION, venue, report.instrument, _NO_ASSET, _NO_ORDER, ours, report.quantity,
            report.entry_price, what, now,
        )  # fmt: skip


def _balances(state: State, snapshot: VenueSnapshot, tolerance: Decimal, now: Nanoseconds) -> Iterator[DifferenceFound]:
    wallet = state.ledger.balances.get(snapshot.venue, {})
    for report in snapshot.balances:
        ours, theirs = wallet.get(report.asset, ZERO), report.total
        if abs(theirs - ours) <= max(DUST, tolerance * max(abs(ours), abs(theirs))):
            continue
        gap = f"{'+' if theirs > ours else ''}{plain(theirs - ours)}"
        what = f"no booking explains {gap} {report.asset}: take the venue's {plain(theirs)}"
        yield DifferenceFound(
            0, DifferenceKind.BALANCE, snapshot.venue, _NOWHERE, report.asset, _NO_ORDER, ours, theirs, ZERO, what, now
        )


def _orders(state: State, snapshot: VenueSnapshot, now: Nanoseconds) -> Iterator[DifferenceFound]:
    """Yield what rests at the venue and is foreign, or closed in our record."""
    for report in snapshot.open_orders:
        id_ = listed_id(report)
        record = state.blotter.orders.get(id_)
        if record is None or record.order.instrument not in state.markets:
            continue
        left = report.order.quantity - report.filled
        if not record.is_open:
            ours, what = ZERO, f"our record says {record.status}: cancel it at the venue"
        elif record.foreign:
            ours, what = ZERO, "placed by others: take it for ours, to cancel and amend"
        else:
            continue
        yield DifferenceFound(
            0, _ORDER, snapshot.venue, record.order.instrument, _NO_ASSET, id_, ours, left, report.order.price or ZERO,
            f"{report.order.side} {plain(left)} rests there, {what}", now,
        )  # fmt: skip
