"""Journal first: what a turn decided becomes durable, then what waits for it leaves. Exits wait for nothing."""

import asyncio
from collections import deque
from collections.abc import Callable
from logging import ERROR, INFO
from typing import Any, Protocol

import structlog

from core.domain import commands as c
from core.domain import events as e
from core.domain import market as m
from core.domain.approval import Approved
from core.domain.identifiers import ClientOrderId
from core.domain.message import Command, Message
from core.engine import Engine
from core.errors import StoreError
from core.ports import Clock, Journal
from core.session import protocol as p
from core.session import wire
from core.state.checkpoint import image_of
from core.state.limits_in_force import LimitsInForce
from core.state.state import State

log = structlog.get_logger()
STUCK_S = 5.0
"""A journal that has said nothing of a record for this long counts as failing: a disk may hang without an error."""
STUCK = StoreError("the journal does not answer, its disk may hang")
SAID = 10
"""Records that do not fit are named up to here, then counted."""
Reply = Callable[[p.Outcome], None]


class Turn:
    """Collect what one turn of the loop decided: records to make durable, what waits for them, what does not."""

    __slots__ = ("exits", "records", "replies", "sends", "since", "told", "urgent", "withheld")

    def __init__(self) -> None:
        self.records: list[bytes] = []
        self.sends: list[Approved[Any]] = []
        self.replies: list[tuple[Reply, p.Outcome]] = []
        self.urgent = False
        """Something is on its way to a venue already."""
        self.exits: list[ClientOrderId] = []
        """The exits among that."""
        self.withheld: set[ClientOrderId] = set()
        """Orders of this turn that were cancelled before they left."""
        self.since = 0.0
        self.told = False
        """It was dealt with as not durable; what the journal says of it later changes nothing."""


class Shell(Protocol):
    """What recording needs of the runtime."""

    @property
    def engine(self) -> Engine:
        """Return the engine."""
        ...

    @property
    def clock(self) -> Clock:
        """Return the clock."""
        ...

    def emit(self, message: Message) -> None:
        """Queue a message."""
        ...

    def send(self, approved: Approved[Any]) -> None:
        """Hand an approved command to its venue."""
        ...


class Recording:
    """Keep the journal of one engine: order of records, what waits for them, checkpoints, and how the disk is."""

    def __init__(self, journal: Journal, shell: Shell, checkpoint_every: int) -> None:
        self.journal = journal
        self._shell = shell
        self._checkpoint_every = checkpoint_every
        self._sequence = 0
        self._checkpointed = 0
        self._waiting: deque[Turn] = deque()
        """Turns whose records are on their way to the disk, oldest first."""
        self._healing = False

    @property
    def _state(self) -> State:
        return self._shell.engine.state

    # --- recovery and checkpoints -----------------------------------------------------------------------------------

    def recover(self) -> int:
        """Rebuild the state from the last checkpoint and the records behind it; return how many were applied.

        Raises:
            JournalDamaged: trading is refused until the journal has been checked.
            JournalTooNew: if a record is of a kind that this program does not know.
        """
        engine = self._shell.engine
        checkpoint = self.journal.last_checkpoint()
        after = 0
        if checkpoint is not None:
            engine.restore(image_of(checkpoint))
            after = checkpoint.sequence
        count = unfit = 0
        for record in self.journal.read(after):
            event = wire.recorded(record)
            wrong = engine.recover(event)
            engine.state.now = max(engine.state.now, event.ts)  # type: ignore[attr-defined]
            if wrong:
                unfit += 1
                if unfit <= SAID:
                    log.warning("record does not fit, kept and not applied", record=record.sequence, why=wrong)
            self._sequence = record.sequence
            count += 1
        if unfit > SAID:
            log.warning("records do not fit, kept and not applied", records=unfit)
        self._sequence = max(self._sequence, after)
        self._checkpointed = after
        return count

    def checkpoint(self) -> None:
        """Keep the state as it is, so that recovery need not go back further."""
        if self.journal.complaint or self._checkpointed == self._sequence:
            return
        self.journal.checkpoint(self._sequence, wire.encode(self._state.image()))
        self._checkpointed = self._sequence

    # --- a turn -----------------------------------------------------------------------------------------------------

    def finish(self, turn: Turn) -> None:
        """Have a turn's records written; what waits for them follows when they are durable."""
        if not turn.records:
            self._go(turn, None)
            return
        loop = asyncio.get_running_loop()

        def done(error: BaseException | None) -> None:
            loop.call_soon_threadsafe(self._answered, turn, error)

        turn.since = loop.time()
        self._waiting.append(turn)
        self._sequence = self.journal.append(turn.records, done)
        if self._stuck():
            self._give_up_on(turn)
        if self._sequence - self._checkpointed >= self._checkpoint_every:
            loop.call_soon(self.checkpoint)  # behind whatever exit has just been handed to the wire

    def waiting(self) -> set[ClientOrderId]:
        """Return the orders that have not left because their record is not durable yet."""
        sends = (approved.command for turn in self._waiting for approved in turn.sends)
        return {order_id(command) for command in sends if isinstance(command, c.SubmitOrder)}

    def withhold(self, cancel: Command, now: Turn) -> bool:
        """Keep back an order that still waits for its record: its cancel may not overtake it. Tell whether it did."""
        if not isinstance(cancel, c.CancelOrder):
            return False
        order = cancel.client_order_id
        for turn in (*self._waiting, now):
            for approved in turn.sends:
                if isinstance(approved.command, c.SubmitOrder) and order_id(approved.command) == order:
                    turn.sends.remove(approved)
                    turn.withheld.add(order)
                    ts = self._shell.clock.now()
                    self._shell.emit(e.OrderCancelled(order, "cancelled before it was sent", ts, ts))
                    return True
        return False

    def _answered(self, turn: Turn, error: BaseException | None) -> None:
        self._waiting.remove(turn)
        if not turn.told:
            self._go(turn, error)

    def _give_up_on(self, turn: Turn) -> None:
        if not turn.told:
            turn.told = True
            self._go(turn, STUCK)

    def _go(self, turn: Turn, error: BaseException | None) -> None:
        """Send what waited for the journal. Without it only what reduces risk leaves; entries are refused."""
        if error is not None:
            self._trouble(str(error))
            for exit_ in turn.exits:
                self._mark(exit_, error)
        kept = set[ClientOrderId]()
        sends, turn.sends = turn.sends, []
        for approved in sends:
            command = approved.command
            if error is not None and self.withhold(command, turn):
                continue  # the order has a turn before this one that the journal has not answered either
            if error is None or not _adds_risk(command, self._state):
                self._shell.send(approved)
                if error is not None and isinstance(command, c.SubmitOrder):
                    self._mark(command.order.client_order_id, error)
                continue
            id_, now = order_id(command), self._shell.clock.now()
            kept.add(id_)
            rejected = e.OrderRejected if isinstance(command, c.SubmitOrder) else e.AmendRejected
            self._shell.emit(rejected(id_, f"{error}; nothing was sent", now, now))
        for reply, outcome in turn.replies:
            if error is not None and outcome.ok:
                orders = outcome.orders
                sent = kept.isdisjoint(orders) and not turn.withheld.issuperset(orders)
                reason = f"{'sent, but not recorded yet' if sent else 'not recorded'}: {error}"
                reply(p.Outcome(sent, outcome.orders, outcome.status, reason))
            else:
                reply(outcome)

    def _mark(self, exit_: ClientOrderId, error: BaseException) -> None:
        """Say that an exit left without its record; both are written, in order, when the disk allows."""
        log.warning("exit sent unjournalled", order=exit_, error=str(error))
        self._shell.emit(e.ExitUnjournalled(exit_, str(error), self._shell.clock.now()))

    # --- how the disk is --------------------------------------------------------------------------------------------

    def watch(self) -> None:
        """Show the state how the journal is; what failed stays in its line, and it writes that by itself, in order."""
        stuck = self._stuck()
        if stuck:
            for turn in tuple(self._waiting):
                if asyncio.get_running_loop().time() - turn.since > STUCK_S:
                    self._give_up_on(turn)
        text = self.journal.complaint or (f"{STUCK}: entries denied, exits allowed" if stuck else "")
        if text or not self._state.exits.unjournalled:
            self._trouble(text)
        elif not self._healing:
            self._heal()

    def _stuck(self) -> bool:
        """Tell whether the oldest record on its way has been there for too long."""
        if not self._waiting:
            return False
        return asyncio.get_running_loop().time() - self._waiting[0].since > STUCK_S

    def _heal(self) -> None:
        """Call the journal well again once everything in its line is durable, the marked exits too."""
        loop = asyncio.get_running_loop()
        self._healing = True

        def healed(error: BaseException | None) -> None:
            self._healing = False
            if error is None:
                self._trouble("")

        self.journal.append((), lambda error: loop.call_soon_threadsafe(healed, error))  # type: ignore[arg-type]

    def _trouble(self, text: str) -> None:
        text = self.journal.complaint or text
        if self._state.store_trouble != text:
            log.log(ERROR if text else INFO, "journal trouble" if text else "journal well again", trouble=text)
            self._shell.emit(m.StoreStatus(text, self._shell.clock.now()))


def settings_before(journal: Journal) -> dict[str, str]:
    """Return the guardian's settings that were in force when the engine last ran, as text by key.

    Raises:
        JournalDamaged: trading is refused until the journal has been checked.
    """
    limits, checkpoint, after = LimitsInForce(), journal.last_checkpoint(), 0
    if checkpoint is not None:
        limits.settings, after = dict(image_of(checkpoint).limits), checkpoint.sequence
    for record in journal.read(after):
        if wire.is_kind(record.payload, e.GuardianSettingsChanged):
            changed = wire.recorded(record)
            assert isinstance(changed, e.GuardianSettingsChanged)
            limits.changed(changed)
    return limits.settings


def _adds_risk(command: Command, state: State) -> bool:
    """Tell whether a command may open or enlarge something; cancels and reduce-only orders never do."""
    if isinstance(command, c.SubmitOrder):
        return not command.order.reduce_only
    record = state.blotter.orders.get(order_id(command))
    return isinstance(command, c.AmendOrder) and not (record is not None and record.order.reduce_only)


def order_id(command: Command) -> ClientOrderId:
    """Return the id of the order that a command is about; empty where it is about none."""
    if isinstance(command, c.SubmitOrder):
        return command.order.client_order_id
    return getattr(command, "client_order_id", ClientOrderId(""))
