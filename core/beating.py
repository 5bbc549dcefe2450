"""The engine's side of the sentinel: its heartbeat, whether it is barred, and a look at the sentinel in return."""

from collections.abc import Callable
from typing import Protocol

import structlog

from core.domain import market as m
from core.domain.identifiers import VenueId
from core.domain.message import Message, Nanoseconds
from core.engine import Engine
from core.guardian.closing import sentinel_prefix
from core.guardian.pulse import Boottime, Phase, Pulse, Watch, boottime
from core.ports import Clock, Journal
from core.state.state import State

log = structlog.get_logger()
S = 1_000_000_000
SILENT_NS: Boottime = 2 * S
"""A sentinel that has not been heard of for so long is restarted."""
TELL_NS: Boottime = 1 * S
"""How often clients are told of a sentinel whose standing has not changed."""
AGAIN_NS: Boottime = 5 * S
"""The least time between two restarts of the sentinel."""
FADES = 0.8
"""What is left of a lateness with the next beat: 50 ms are 5 ms after a second."""


class Shell(Protocol):
    """What beating needs of the runtime."""

    @property
    def engine(self) -> Engine:
        """Return the engine."""
        ...

    @property
    def journal(self) -> Journal:
        """Return the journal."""
        ...

    @property
    def clock(self) -> Clock:
        """Return the clock."""
        ...

    def emit(self, message: Message) -> None:
        """Queue a message."""
        ...


class Beating:
    """Beat in the engine's own loop, so that a loop that hangs is seen. Without a page it does nothing."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self._pulse: Pulse | None = None
        self.sentinels = ""
        """How the ids of the sentinel's orders begin; empty where there is none."""
        self._judged: Boottime = 0
        self._told: Boottime = 0
        self._restarted: Boottime = 0
        self._last = (False, "", "")
        self._late = 0
        self.each_tick: Callable[[], None] = lambda: None
        """Called with every beat: whoever else watches this loop hears of it here."""
        self.restart: Callable[[], None] = lambda: None
        """Starts a sentinel in the place of one that fell silent; returns at once."""
        self.trouble: Callable[[], str] = lambda: ""
        """Tells why the last one did not start; returns at once."""
        self.drill: Callable[[], str] = lambda: ""
        """Tells of the last drill, in words; called once a second, so it may not wait for anything."""

    def use(self, pulse: Pulse, mark: str) -> None:
        """Beat on this page; ``mark`` begins the order ids of this home."""
        self._pulse, self.sentinels = pulse, sentinel_prefix(mark)

    @property
    def barred(self) -> bool:
        """Tell whether the sentinel holds the lease, at this very moment."""
        return self._pulse is not None and self._pulse.barred

    def begin(self) -> None:
        """Say that the engine starts; where the lease is held, the guardian knows it before the first order."""
        self._judged = 0
        if self._pulse is not None:
            self._pulse.begin()
            self._look(self._pulse, boottime())

    def looked(self) -> None:
        """The guardian has judged the timer."""
        self._judged = boottime()

    def late(self, late: int) -> None:
        """Tell whoever gives way to this engine how late its loop is (ns)."""
        self._late = max(late, int(self._late * FADES))
        if self._pulse is not None:
            self._pulse.late(self._late)

    def tick(self) -> None:
        """Beat, and look at the sentinel."""
        self.each_tick()
        pulse = self._pulse
        if pulse is None or not self._judged:
            return  # until its start is applied the state is that of the run before, reconciled as that was
        if pulse.renew():
            log.warning("the page of the heartbeats was taken away, it is there again", page=str(pulse.path))
        state = self._shell.engine.state
        pulse.beat(state.run, self._shell.journal.last, state.trading_state, self._judged, reconciled=reconciled(state))
        self._look(pulse, boottime())

    def end(self) -> None:
        """Say that the engine ends in order: nobody has to miss it."""
        if self._pulse is not None:
            self._pulse.end()

    # --- the sentinel -------------------------------------------------------------------------------------------------

    def _look(self, pulse: Pulse, now: Boottime) -> None:
        watch = pulse.sentinel()
        silent = not watch.stamp or watch.phase is Phase.ENDED or now - watch.stamp > SILENT_NS
        holds = (watch.did or "it has not said why") if watch.lease else ""
        armed = not silent and watch.phase is not Phase.IDLE
        trouble = self.trouble() if silent else ""
        if (armed, holds, trouble) != self._last or now - self._told >= TELL_NS:
            self._last, self._told = (armed, holds, trouble), now
            at = self._shell.clock.now()
            seen = _seen(watch, now, at)
            self._shell.emit(m.SentinelStatus(armed, holds, seen, watch.did, self.drill(), at, trouble))
        fell = silent and bool(watch.stamp) and watch.phase is not Phase.ENDED
        if (fell or (silent and watch.lease)) and now - self._restarted >= AGAIN_NS:
            self._restarted = now
            log.warning("sentinel is silent, starting one", held=bool(watch.lease))
            self.restart()


def _seen(watch: Watch, now: Boottime, at: Nanoseconds) -> Nanoseconds:
    """Return the sentinel's last heartbeat on the engine's clock; 0 for one that ended in order or was never there."""
    if not watch.stamp or watch.phase is Phase.ENDED:
        return 0
    return at - max(now - watch.stamp, 0)


def reconciled(state: State) -> bool:
    """Tell whether every venue that matters has been compared with our record: at least one, and each with risk."""
    if not any(view.reconciled for view in state.venues.values()):
        return False
    return all(view.reconciled or not _matters(state, name) for name, view in state.venues.items())


def _matters(state: State, venue: VenueId) -> bool:
    if state.venues[venue].connected or any(record.venue == venue for record in state.blotter.open.values()):
        return True
    held = (position.instrument for position in state.ledger.positions.values() if position.quantity)
    return any((market := state.ledger.mark_of(key)) is not None and market.venue == venue for key in held)
