"""What is known of an engine that ended without a word. A look: it changes nothing in the home."""

import contextlib

from core.errors import StoreError
from core.guardian.pulse import EnginePhase, Pulse
from desk.paths import Home, is_marked
from desk.roles.pulses import page
from store.lease import read_lease


def words_of_a_fallen(home: Home) -> str:
    """Say that the last engine of this home ended without a word; empty where it did not, or none ever ran.

    Raises:
        StoreError: if what is kept of it cannot be read.
    """
    lease = read_lease(home.lease)
    if not (lease.armed or lease.held or _fell(home)):
        return ""
    return "the engine is dead and did not end in order: what is open is not known"


def is_missed(home: Home) -> bool:
    """Tell whether a sentinel would miss the engine of this home, which runs no more: it got as far as to trade."""
    try:
        lease = read_lease(home.lease)
    except StoreError:
        return True
    return lease.armed or lease.held or _last_phase(home) is EnginePhase.RUNNING


def _fell(home: Home) -> bool:
    """Tell whether the last engine of this home, which runs no more, still beats in the page that it shared."""
    return _last_phase(home) not in (EnginePhase.NONE, EnginePhase.ENDED)


def _last_phase(home: Home) -> EnginePhase:
    if not is_marked(home) or not (path := page(home)).exists():
        return EnginePhase.NONE  # the mark first: whoever asks for the page of a home without one makes it
    with contextlib.closing(Pulse(path, home.root)) as pulse:
        return pulse.engine().phase
