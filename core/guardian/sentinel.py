"""The sentinel's decisions: deny, restart once, flatten, release. Pure; its process is run by ``desk.roles.watchdog``.

An engine that is dead, or whose loop or guardian has been silent for ``engine_silent_after``, loses the lease at once:
nothing of it leaves any more. Then its process is ended, for a stopped one could go on in the middle of a send. A new
one gets ``sentinel_grace`` to reconcile; after that the sentinel closes everything, and keeps the lease until an engine
has reconciled. One that dies again soon after a restart is not restarted: everything is closed.
"""

from enum import StrEnum

import msgspec

from core.guardian.pulse import Beat, Boottime, EnginePhase, Phase

S = 1_000_000_000
STEADY_NS: Boottime = 60 * S
"""An engine that was restarted and dies again within this time is not restarted another time."""
END_NS: Boottime = 1 * S
"""A process that a kill does not end in this time hangs in the kernel: no new engine can take its place."""
ESCALATE_NS: Boottime = 30 * S
"""What is not flat after this long is told again, louder."""


class Act(StrEnum):
    """What the sentinel does next."""

    TAKE = "take"
    """Take the lease: nothing of the engine leaves any more."""
    END = "end"
    """End the engine's process, whatever it is at."""
    START = "start"
    FLATTEN = "flatten"
    """Take the next step of closing everything; comes with every look until that is done."""
    RELEASE = "release"
    ALARM = "alarm"
    """Tell a human."""


class Seen(msgspec.Struct, frozen=True):
    """What a look of the sentinel's finds: the engine's heartbeat, its process, and what is still held or open.

    ``sent``: this sentinel has sent orders. ``flat``: its own sessions have confirmed that nothing is held.
    """

    beat: Beat
    alive: bool
    flat: bool = False
    sent: bool = False


class Sentinel:
    """Decide, once a look. ``phase`` is where it stands, ``did`` what it did last, in words."""

    def __init__(
        self,
        silent_ns: Boottime,
        grace_ns: Boottime,
        *,
        armed: bool = False,
        held: bool = False,
        closing: bool = False,
        unsure: bool = False,
    ) -> None:
        """Begin where an earlier sentinel of this home stopped: armed, holding the lease, in the middle of closing.

        ``unsure``: whether an engine is missed is not known; the lease is held, and nothing closed before one was seen.
        """
        self.silent_ns, self.grace_ns = silent_ns, grace_ns
        self.did = ""
        self.phase = Phase.IDLE
        if held:
            self.phase = Phase.FLATTENING if closing else Phase.AWAITING
        elif armed:
            self.phase = Phase.WATCHING
        self._unsure = unsure
        self._since: Boottime = 0
        """When the present phase began."""
        self._restarted: Boottime = 0
        self._looked: Boottime = 0
        self._awake: Boottime = 0
        """Silence counts from here at the earliest: while the machine slept, or starved us too, nobody could beat."""
        self._told: Boottime = 0

    @property
    def armed(self) -> bool:
        """Tell whether an engine is missed when it falls silent."""
        return self.phase not in (Phase.IDLE, Phase.ENDED)

    @property
    def holds(self) -> bool:
        """Tell whether the lease is held."""
        return self.phase in (Phase.ENDING, Phase.AWAITING, Phase.FLATTENING, Phase.FLAT)

    def look(self, seen: Seen, now: Boottime) -> list[Act]:
        """Return what is to be done now, in this order."""
        first = not self._looked
        if first or now - self._looked > self.silent_ns // 2:
            self._awake = now
        self._looked = now
        self._since = self._since or now
        if self.phase in (Phase.IDLE, Phase.WATCHING):
            return self._watch(seen, now, first)
        if self.phase is Phase.ENDING:
            return self._end(seen, now)
        if self.phase is Phase.AWAITING:
            return self._await(seen, now)
        return self._close(seen, now)

    # --- phases -------------------------------------------------------------------------------------------------------

    def _watch(self, seen: Seen, now: Boottime, first: bool) -> list[Act]:
        beat = seen.beat
        if beat.phase in (EnginePhase.NONE, EnginePhase.ENDED) and (self.phase is Phase.IDLE or beat.phase):
            self._enter(Phase.IDLE, now, "the engine ended in order" if self.armed else self.did)
            return []
        trouble = self._trouble(seen, now)
        if first and not trouble and self.armed and beat.phase is EnginePhase.STARTING:
            # Nobody has seen the one before end: this one has as long as one that we start ourselves.
            self._enter(Phase.AWAITING, now, "another engine starts: entries denied until it has reconciled")
            return [Act.TAKE, Act.ALARM]
        if not trouble:
            if self.phase is Phase.IDLE and beat.phase is EnginePhase.RUNNING:
                self._enter(Phase.WATCHING, now, "watches")
            return []
        if self.phase is Phase.IDLE and beat.phase is not EnginePhase.RUNNING:
            return []  # it did not get as far as to be missed
        self._enter(Phase.ENDING, now, f"{trouble}: entries denied, the engine is ended")
        return [Act.TAKE, Act.ALARM, *([Act.END] if seen.alive else self._end(seen, now))]

    def _end(self, seen: Seen, now: Boottime) -> list[Act]:
        if seen.alive:
            if now - self._since < END_NS:
                return [Act.END]
            return self._begin_closing(now, "the engine's process does not end")
        if self._restarted and now - self._restarted < STEADY_NS:
            return self._begin_closing(now, "the engine fell again right after its restart")
        self._restarted = now
        self._enter(Phase.AWAITING, now, f"{self._cause()}; the engine is restarted")
        return [Act.START]

    def _await(self, seen: Seen, now: Boottime) -> list[Act]:
        if self._ready(seen, now):
            return self._release(now, "the restarted engine has reconciled")
        if self._unsure:
            began = seen.beat.phase in (EnginePhase.STARTING, EnginePhase.RUNNING)  # and died between two looks
            self._unsure, self._since = not (seen.alive or began), now
        if now - self._since < self.grace_ns:
            return []
        return self._begin_closing(now, f"the restarted engine has not reconciled within {self.grace_ns / S:g} s")

    def _close(self, seen: Seen, now: Boottime) -> list[Act]:
        if self.phase is Phase.FLATTENING and seen.flat:
            self._enter(Phase.FLAT, now, "everything is flat; entries denied until an engine has reconciled")
            return [Act.ALARM]
        self._told = self._told or now  # resumed in the middle: when it began is not known
        if self._ready(seen, now) and (self.phase is Phase.FLAT or not seen.sent):
            return self._release(now, "an engine has reconciled")
        if self.phase is Phase.FLAT and not seen.flat:
            return self._begin_closing(now, "something was opened behind the close")
        acts = [Act.FLATTEN]
        if self.phase is Phase.FLATTENING and now - self._told >= ESCALATE_NS:
            self._told = now
            self.did = f"NOT FLAT after {(now - self._since) / S:.0f} s, goes on: close by hand at the venue"
            acts.append(Act.ALARM)
        return acts

    # --- inside -------------------------------------------------------------------------------------------------------

    def _trouble(self, seen: Seen, now: Boottime) -> str:
        """Say what is wrong with the engine, or nothing."""
        beat = seen.beat
        if not seen.alive:
            return "the engine is dead"
        silent = now - max(min(beat.stamp, beat.looked), self._awake)
        if beat.phase is not EnginePhase.RUNNING or silent <= self.silent_ns:
            return ""
        who = "the engine" if now - beat.stamp > self.silent_ns // 2 else "the engine's guardian"
        return f"{who} was silent for {silent / S:.1f} s"

    def _ready(self, seen: Seen, now: Boottime) -> bool:
        """Tell whether an engine lives and knows where its venues stand."""
        beat = seen.beat
        return beat.phase is EnginePhase.RUNNING and beat.reconciled and not self._trouble(seen, now)

    def _begin_closing(self, now: Boottime, why: str) -> list[Act]:
        self._enter(Phase.FLATTENING, now, f"{why}: closing everything")
        self._told = now
        return [Act.ALARM, Act.FLATTEN]

    def _release(self, now: Boottime, why: str) -> list[Act]:
        self._enter(Phase.WATCHING, now, f"{why}; it trades again")
        return [Act.RELEASE, Act.ALARM]

    def _cause(self) -> str:
        return self.did.partition(":")[0]

    def _enter(self, phase: Phase, now: Boottime, did: str) -> None:
        if phase is not self.phase:
            self._since = now
        self.phase, self.did = phase, did
