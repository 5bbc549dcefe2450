"""Looks at one venue: what a snapshot explains is applied, the rest is compared; one look at a time."""

import asyncio
import zlib
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet

from core.config.settings import ReconcileSettings
from core.domain import events as e
from core.domain import market as m
from core.domain.identifiers import ClientOrderId
from core.domain.message import Nanoseconds
from core.domain.order import OrderStatus
from core.domain.reports import OrderReport, VenueSnapshot
from core.errors import VenueError
from core.ports import Venue
from core.reconcile.compare import Comparison
from core.reconcile.meeting import Asker, Meeting, endings
from core.reconcile.opening import filled_by
from core.reconcile.put_back import halted_behind_another_journal, of_forgotten_runs
from core.reconcile.reconcile import doubtful, explained, is_unanswered, missing, reported, underway
from core.state.contact import VenueView
from core.state.flaws import without_flaws
from core.state.state import State

OVERLAP_NS: Nanoseconds = 60_000_000_000
"""A snapshot's fills begin this long before the last we know: stamps may be coarse, and fills overtake each other."""
LATER_LOOK_S = 2.0
"""The time between two looks that must show the same before a difference is told, while nothing else is due."""
ASKED_AT_ONCE = 8
"""Orders asked about at the same time: few enough that a venue's limits on requests leave room for exits."""


class Looks:
    """Hold our record against one venue's."""

    def __init__(
        self, venue: Venue, runtime: Asker, meeting: Meeting, settings: ReconcileSettings, release: Callable[[], None]
    ) -> None:
        self.comparison = Comparison(settings.balance_tolerance_frac)
        self.asking = asyncio.Lock()
        """One look at a time: what two looks agree on must come from two moments."""
        self.doubts = False
        """How the venue listed an order may not be all: something was asked of it meanwhile, or may still arrive."""
        self._venue, self._runtime, self._meeting, self._release = venue, runtime, meeting, release
        self._every_ns = int(settings.every_s * 1e9)
        self._count = 0
        self._tried: Nanoseconds = 0
        self._absent: set[ClientOrderId] = set()
        """Orders that the venue did not know when it was last asked, as a request may still travel, or of which it knew
        more than the fills of the snapshot before: they came between the two.
        """
        self._again = False
        """Something was learned that a look under way may not have seen."""
        self._last: e.VenueReconciled | None = None
        """What the last snapshot told: its stamp, when it was asked for, what it said to be flat."""

    @property
    def settled(self) -> bool:
        """Tell whether nothing waits for another look."""
        return self.comparison.settled and not (self._absent or self._again)

    def soon(self) -> None:
        """Ask for another look soon, behind the one that may be under way."""
        self._again = True

    @property
    def _state(self) -> State:
        return self._runtime.engine.state

    @property
    def _view(self) -> VenueView:
        return self._state.venue(self._venue.id)

    async def look(self, leaving: AbstractSet[ClientOrderId], asked: Nanoseconds = 0) -> bool:
        """Look once: apply what a snapshot explains, compare the rest; tell whether nothing waits for a second look.

        It speaks for orders that were touched before ``asked``, by default before now; not for those that wait
        for their record or are still ``leaving``.

        Raises:
            VenueError: when the venue does not answer or the link changed meanwhile.
        """
        async with self.asking:
            runtime, state, view = self._runtime, self._state, self._view
            self._again = False
            link, now = view.since, runtime.clock.now()
            asked = asked or now
            then = underway(state, self._venue.id, runtime.waiting() | leaving)
            snapshot, trouble = without_flaws(await self._venue.snapshot(max(view.last_fill - OVERLAP_NS, 0)))
            if trouble and self._venue.id not in state.ledger.balances:
                raise VenueError(trouble)  # what the account begins with must be known whole
            met = await self._meeting.in_snapshot(snapshot)
            answers = await self._answers(missing(state, snapshot, asked, then), snapshot)
            if not view.connected or view.since != link:
                raise VenueError("the link changed while the venue was asked; asking again")
            self._last = e.VenueReconciled(self._venue.id, snapshot.ts_exchange, now, now, reported(state, snapshot))
            self.doubts = doubtful(state, snapshot, asked, then)
            if any(of_forgotten_runs(state, snapshot, runtime.engine.ids)):
                runtime.take(halted_behind_another_journal(runtime.clock.now()))
            self._meeting.take_in(met)
            for event in explained(state, snapshot, answers, asked, runtime.clock.now(), runtime.engine.ids.owns, then):
                runtime.take(event)
            for event in endings(met, state, runtime.clock.now()):
                runtime.take(event)
            self._release()
            for event in self.comparison.look(state, snapshot, runtime.clock.now()):
                runtime.take(event)
            self._count += 1
            self._compared(trouble or self.comparison.trouble(runtime.clock.now()))
            return self.settled

    def failed(self, trouble: str) -> None:
        """Tell that our record could not be held against the venue's; a lost link is told already."""
        if self._view.connected:
            self._compared(trouble)

    def _compared(self, trouble: str) -> None:
        """Tell what came of a look; one in trouble is not repeated at once."""
        now, venue = self._runtime.clock.now(), self._venue.id
        self._tried = now
        self._runtime.take(m.VenueCompared(venue, len(self._state.differences.of(venue)), now, trouble))

    async def _answers(
        self, orders: Sequence[ClientOrderId], snapshot: VenueSnapshot
    ) -> dict[ClientOrderId, OrderReport | None]:
        """Ask about orders that the snapshot lacks. That the venue does not know one counts when it is said twice.

        The request may still travel: an order that is taken for lost and then rests is the worst of all. One that has
        filled more than fills explain is looked at again too: it may have done so behind the snapshot.
        """
        answers, absent = {}, set()
        for id_, report in zip(orders, await self._reports(orders), strict=True):
            record = self._state.blotter.open.get(id_)
            if record is None or id_ in self._absent:
                answers[id_] = report
            elif report is not None and report.filled > filled_by(self._state, record, snapshot):
                absent.add(id_)
            elif report is None and is_unanswered(record):
                absent.add(id_)
                if record.status is OrderStatus.SUBMITTED:
                    now = self._runtime.clock.now()
                    self._runtime.take(e.OrderUnknown(id_, "the venue does not know it yet; it is asked again", now))
            else:
                answers[id_] = report
        self._absent = absent
        return answers

    async def _reports(self, orders: Sequence[ClientOrderId]) -> list[OrderReport | None]:
        """Ask about some at once: where a venue answers late and knows nothing of many, one by one takes minutes."""
        reports: list[OrderReport | None] = []
        for first in range(0, len(orders), ASKED_AT_ONCE):
            reports += await asyncio.gather(*map(self._venue.order, orders[first : first + ASKED_AT_ONCE]))
        return reports

    def agree(self) -> None:
        """Say that our record was held against the last snapshot."""
        assert self._last is not None
        self._runtime.take(self._last.replace(ts=self._runtime.clock.now()))

    def is_due(self) -> bool:
        """Tell whether it is time to compare again: every so often, not at the same moment as other venues."""
        view = self._state.venues.get(self._venue.id)
        if view is None or not view.reconciled or self.asking.locked():
            return False
        now = self._runtime.clock.now()
        if view.trouble and now - self._tried < LATER_LOOK_S * 1e9:
            return False
        jitter = zlib.crc32(f"{self._venue.id}{self._count}".encode()) % 200 / 1000 - 0.1
        wait = self._every_ns * (1 + jitter) if self.settled else LATER_LOOK_S * 1e9
        return now - view.compared >= wait
