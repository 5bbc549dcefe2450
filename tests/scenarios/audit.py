"""What the journal must say after every kill; grows with it, so that no record is read twice."""

from collections import Counter
from decimal import Decimal

import pytest

from core.domain import events as e
from core.domain.commands import AmendOrder, CancelOrder, SubmitOrder
from core.domain.differences import DifferenceFound
from core.domain.identifiers import VenueId, venue_of
from core.domain.order import OrderStatus
from core.domain.reports import OrderReport, VenueSnapshot
from core.execution.ids import born_at
from store.journal.tools import check
from tests.scenarios.house import Auditor, House
from tests.scenarios.traffic import Given

PROBED = 6
"""Order numbers beyond the last recorded one that the market is asked about."""


def is_exit(report: OrderReport | None) -> bool:
    """Tell whether an order is one that may leave before its record: the market order of a flatten."""
    return report is not None and report.order.reduce_only and report.order.strategy_intent == "flatten"


class Audit:
    """Follow one journal and hold it against what was answered and what the market knows."""

    def __init__(self, house: House) -> None:
        self.sequence = 0
        self.submitted: dict[str, e.OrderSubmitted | e.OrderApproved] = {}
        self.known: set[str] = set()
        self.operations: Counter[str] = Counter()
        self.fills: dict[tuple[VenueId, str], e.OrderFilled] = {}
        self.changes: set[tuple[str, str]] = set()
        self.closed: set[str] = set()
        self.runs: list[int] = []
        self.head = ""
        """How the ids of the last run begin."""
        self.prefix = f"t{house.home.mark()}"
        self.counts: Counter[str] = Counter()
        self._house = house

    def read(self) -> None:
        """Take the records that have come, and check what can be said of them alone."""
        for sequence, event in self._house.events(self.sequence):
            assert sequence == self.sequence + 1, f"record {sequence} follows {self.sequence}"
            self.sequence = sequence
            self.counts[type(event).__name__] += 1
            self._take(event)

    def _take(self, event: object) -> None:
        if isinstance(event, e.EngineStarted):
            assert not self.runs or event.run > self.runs[-1], f"run {event.run} follows {self.runs[-1]}"
            self.runs.append(event.run)
            self.head = f"{self.prefix}r{event.run}{born_at(event.ts)}n"
        elif isinstance(event, (e.OrderSubmitted, e.OrderApproved)):
            self._intent(event)
        elif isinstance(event, e.OrderFilled):
            key = (venue_of(event.instrument), str(event.fill_id))
            assert key not in self.fills, f"fill {key} is recorded twice"
            self.fills[key] = event
        elif isinstance(event, e.CancelSubmitted):
            self.changes.add(("cancel", event.client_order_id))
        elif isinstance(event, e.AmendSubmitted):
            self.changes.add(("amend", event.client_order_id))
        elif isinstance(event, (e.OrderCancelled, e.OrderExpired, e.OrderRejected)):
            self.closed.add(event.client_order_id)
        else:
            self._must_not_be(event)

    def _intent(self, event: e.OrderSubmitted | e.OrderApproved) -> None:
        id_ = str(event.order.client_order_id)
        before = self.submitted.get(id_)
        # A stop that waited in the engine is approved first and submitted when it is released.
        assert before is None or isinstance(before, e.OrderApproved), f"order {id_} was submitted twice"
        self.submitted[id_] = event
        if event.order.parent:
            self.counts[f"bracket {event.order.strategy_intent}"] += 1
        if before is None and event.order.operation_id:
            self.operations[event.order.operation_id] += 1
            assert self.operations[event.order.operation_id] == 1, f"{event.order.operation_id} was carried out twice"

    def _must_not_be(self, event: object) -> None:
        """Reconciliation must explain by fills: a position or wallet that is simply overwritten was lost before."""
        if isinstance(event, (e.PositionSet, e.OrderFound, e.IllegalEventSeen, DifferenceFound)):
            pytest.fail(f"the journal had to be put right: {event}")
        if isinstance(event, e.BalanceSet):
            assert event.reason == "opening", f"the journal had to be put right: {event}"

    # --- against what was answered ------------------------------------------------------------------------------------

    def acknowledged(self, given: list[Given]) -> int:
        """Check that everything acknowledged is durable, and return how many commands that are."""
        count = 0
        for item in given:
            outcome = item.outcome
            if outcome is None or not outcome.ok:
                continue
            count += 1
            for id_ in outcome.orders:
                assert id_ in self.submitted, f"{item.command} was acknowledged, its order {id_} is not recorded"
            if isinstance(item.command, SubmitOrder) and outcome.status is OrderStatus.SUBMITTED:
                assert outcome.orders, f"{item.command} was acknowledged without an order"
            kind = {CancelOrder: "cancel", AmendOrder: "amend"}.get(type(item.command))
            if kind is not None and outcome.orders:
                target = str(item.command.client_order_id)  # type: ignore[attr-defined]
                recorded = (kind, target) in self.changes or target in self.closed
                assert recorded, f"the {kind} of {target} was acknowledged and is not recorded"
        return count

    # --- against the market -------------------------------------------------------------------------------------------

    async def intents(self, auditor: Auditor, since: int) -> None:
        """Check that nothing but exits is at the market whose intent is not durable here; the engine is dead now."""
        for venue, account in (await auditor.snapshots(since)).items():
            for order in account.open_orders:
                assert order.client_order_id in self.submitted, f"{venue} holds {order}, which was never recorded"
            for fill in account.fills:
                if fill.client_order_id not in self.submitted:
                    report = await auditor.venues[venue].order(fill.client_order_id)
                    assert is_exit(report), f"{venue} filled {fill}, which was never recorded"
                    self.counts["exits without a record"] += 1

    async def nothing_beyond(self, auditor: Auditor) -> None:
        """Check that the market knows no order behind the last one recorded of this run."""
        head = self.head
        last = max((int(id_.removeprefix(head)) for id_ in self.submitted if id_.startswith(head)), default=0)
        for number in range(last + 1, last + 1 + PROBED):
            for venue in auditor.venues.values():
                report = await venue.order(f"{head}{number}")  # type: ignore[arg-type]
                known = report is not None and not is_exit(report)
                assert not known, f"{venue.id} knows {head}{number}, which was never recorded: {report}"

    def same_fills(self, accounts: dict[VenueId, VenueSnapshot]) -> int:
        """Check that each fill of the market is recorded once and with its numbers; return how many were compared."""
        count = 0
        for venue, account in accounts.items():
            seen: set[str] = set()
            for fill in account.fills:
                assert fill.fill_id not in seen, f"{venue} tells fill {fill.fill_id} twice"
                seen.add(fill.fill_id)
                ours = self.fills.get((venue, str(fill.fill_id)))
                assert ours is not None, f"{venue} filled {fill}, which is not recorded"
                assert ours.replace(ts=0) == fill.replace(ts=0), f"{ours} is not {fill}"
                count += 1
        return count

    def positions(self) -> dict[str, Decimal]:
        """Return what the recorded fills add up to, by instrument traded: an account of its own."""
        held: dict[str, Decimal] = {}
        for fill in self.fills.values():
            held[fill.instrument] = held.get(fill.instrument, Decimal(0)) + fill.side.sign * fill.quantity
        return {instrument: quantity for instrument, quantity in held.items() if quantity}

    def sound(self) -> int:
        """Prove the whole journal and return its records."""
        report = check(self._house.home.journal)
        assert report.damage is None, str(report.damage)
        assert report.acknowledged <= report.last_sequence
        assert report.last_sequence >= self.sequence
        return report.records
