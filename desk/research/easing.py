"""Studies give way to the engine: while its loop is late, no worker takes new parameter sets."""

import asyncio
import contextlib

from core.errors import StoreError
from core.guardian.pulse import EnginePhase, Pulse, boottime
from desk.paths import Home
from desk.roles.pulses import page

LOOK_S = 0.25
HOLD_S = 2.0
"""How long studies wait after the loop was last seen late."""
BEAT_NS = 100_000_000
"""How often an engine beats."""
GONE_NS = 10_000_000_000
"""An engine that has not beaten for so long is dead or frozen: there is nobody to give way to."""


def lateness(home: Home) -> int:
    """Return how late the loop of a home's engine is, as its page of heartbeats says (ns); 0 where none runs.

    The engine's own figure: what a session measures from here would be this process's lateness too, which runs at
    idle priority beside its workers.
    """
    try:
        path = page(home)
        if not path.exists():
            return 0
        with contextlib.closing(Pulse(path)) as pulse:
            beat = pulse.engine()
    except StoreError:
        return 0
    silent = boottime() - beat.stamp
    if beat.phase is not EnginePhase.RUNNING or silent > GONE_NS:
        return 0
    return max(beat.late, silent - BEAT_NS)


async def ease(home: Home, bound_ms: float) -> None:
    """Watch the engine until cancelled, and have the studies of this home wait while its loop is late."""
    from research.study.pause import hold

    while bound_ms:
        late_ms = lateness(home) / 1e6
        if late_ms > bound_ms and home.studies.is_dir():
            with contextlib.suppress(OSError):  # a full disk: workers stand at idle priority in any case
                hold(home.studies, HOLD_S, f"gives way: the engine's loop is {late_ms:.0f} ms late")
        await asyncio.sleep(LOOK_S)
