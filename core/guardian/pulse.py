"""The page that engine and sentinel share: two heartbeats, and the word that bars the engine from its venues.

It is a file in memory (tmpfs), mapped by both: writing a beat or reading the lease never waits for a disk, and a
process that was stopped and goes on sees the lease with its next look. Every word is eight bytes and stands for itself.
Stamps are ns since boot, sleep included, so that they compare between processes.
"""

import contextlib
import mmap
import os
import stat
import time
from enum import IntEnum
from pathlib import Path

import msgspec

from core.clock import SINCE_BOOT
from core.domain.approval import TradingState
from core.errors import StoreError

Boottime = int
"""Nanoseconds since boot, sleep included."""
SIZE = 4096
LAYOUT = 0x7464_7075_6C73_0001
_WORDS = 32
_TEXT_AT, _TEXT_SIZE = 512, 480
_OWNER_AT = 1024
_STATES = tuple(TradingState)
_MAGIC, _PHASE, _STAMP, _PID, _RUN, _SEQUENCE, _STATE, _RECONCILED, _LOOKED, _LATE = range(10)
_SENTINEL_PHASE, _SENTINEL_STAMP, _SENTINEL_PID, _SENTINEL_RUN, _LEASE = 16, 17, 18, 19, 24


class EnginePhase(IntEnum):
    """Where an engine's life stands; one that ended in order is not missed."""

    NONE = 0
    STARTING = 1
    RUNNING = 2
    ENDED = 3


class Phase(IntEnum):
    """What the sentinel is at."""

    IDLE = 0
    """No engine has been seen alive: nothing is missed."""
    WATCHING = 1
    ENDING = 2
    """The engine is silent: the lease is taken, its process is being ended."""
    AWAITING = 3
    """A new engine has been started and has so long to reconcile."""
    FLATTENING = 4
    FLAT = 5
    """Everything is closed; the lease is kept until an engine has reconciled."""
    ENDED = 6


class Beat(msgspec.Struct, frozen=True):
    """The engine's last heartbeat; ``looked`` is when its guardian last judged the timer, ``late`` how late its loop
    has been (ns): the worst, which fades within a second or two."""

    phase: EnginePhase
    stamp: Boottime
    pid: int
    run: int
    sequence: int
    state: TradingState
    reconciled: bool
    looked: Boottime
    late: int = 0


class Watch(msgspec.Struct, frozen=True):
    """The sentinel's last heartbeat and what it did last."""

    phase: Phase
    stamp: Boottime
    pid: int
    lease: Boottime
    """Since when the lease is held; 0 is free."""
    did: str


def boottime() -> Boottime:
    """Return the time since boot, sleep included (ns)."""
    return time.clock_gettime_ns(SINCE_BOOT)


class Pulse:
    """Map the page of one home. The engine writes its own words, the sentinel the others and the lease."""

    def __init__(self, path: Path, owner: Path | None = None, pid: int = 0) -> None:
        """Open the page, and make it where there is none; it says whose home it belongs to.

        ``pid``: who beats on it, by default this process.

        Raises:
            StoreError: if it cannot be used, or is somebody else's.
        """
        self.path = path
        self.pid = pid or os.getpid()
        self._open()
        if self._words[_MAGIC] != LAYOUT:
            for at in range(1, _WORDS):
                self._words[at] = 0
            self._words[_MAGIC] = LAYOUT
        name = os.fsencode(owner)[: SIZE - _OWNER_AT - 1] + b"\0" if owner is not None else b""
        self._map[_OWNER_AT : _OWNER_AT + len(name)] = name

    def _open(self) -> None:
        path = self.path
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                seen = os.fstat(fd)
                if not stat.S_ISREG(seen.st_mode) or seen.st_uid != os.getuid() or seen.st_mode & 0o077:
                    raise StoreError(f"{path} must be a file of yours with mode 0600; remove it and start again")
                os.ftruncate(fd, SIZE)
                self._map = mmap.mmap(fd, SIZE)
            finally:
                os.close(fd)
        except OSError as error:
            raise StoreError(f"the page of the heartbeats {path} cannot be used: {error}") from error
        self._inode = seen.st_dev, seen.st_ino
        self._words = memoryview(self._map)[: _WORDS * 8].cast("Q")

    def renew(self) -> bool:
        """Map the page anew where its file was taken away, and tell whether it was: systemd removes it at a logout.

        The other side, and whoever starts next, would meet another page and take this one for dead. What stood on the
        old page goes along, a lease too. Where there is no room the old one is kept, and the next call tries again.
        """
        try:
            seen = self.path.lstat()
        except OSError:
            seen = None
        if seen is not None and (seen.st_dev, seen.st_ino) == self._inode:
            return False
        part, words, held = self.path.with_name(f"{self.path.name}.{self.pid}"), self._words, self._map
        try:
            part.unlink(missing_ok=True)
            part.touch(0o600, exist_ok=False)
            part.write_bytes(held[:SIZE])
            try:
                with contextlib.suppress(FileExistsError):  # the other side was first, with the same words
                    os.link(part, self.path)  # whole from its first moment
            finally:
                part.unlink()
            self._open()
        except (OSError, StoreError):
            return False
        words.release()
        held.close()
        return True

    # --- the engine's side --------------------------------------------------------------------------------------------

    def begin(self, run: int = 0) -> None:
        """Say that an engine starts; its first beat follows when it serves."""
        words, now = self._words, boottime()
        words[_PID], words[_RUN], words[_RECONCILED] = self.pid, run, 0
        words[_STAMP] = words[_LOOKED] = now
        words[_LATE] = 0
        words[_PHASE] = EnginePhase.STARTING

    def beat(self, run: int, sequence: int, state: TradingState, looked: Boottime, *, reconciled: bool) -> None:
        """Say that the engine's loop goes round."""
        words = self._words
        words[_RUN], words[_SEQUENCE], words[_STATE] = run, sequence, _STATES.index(state)
        words[_RECONCILED], words[_LOOKED] = reconciled, looked
        words[_STAMP] = boottime()
        words[_PHASE] = EnginePhase.RUNNING

    def late(self, late: int) -> None:
        """Say how late the engine's loop has been (ns)."""
        self._words[_LATE] = late

    def end(self) -> None:
        """Say that the engine ends in order."""
        self._words[_PHASE] = EnginePhase.ENDED

    @property
    def barred(self) -> bool:
        """Tell whether the sentinel holds the lease: nothing may leave for a venue."""
        return self._words[_LEASE] != 0

    def engine(self) -> Beat:
        """Return the engine's last heartbeat."""
        w = self._words
        phase = EnginePhase(w[_PHASE]) if w[_PHASE] <= EnginePhase.ENDED else EnginePhase.NONE
        state = _STATES[w[_STATE] % len(_STATES)]
        return Beat(phase, w[_STAMP], w[_PID], w[_RUN], w[_SEQUENCE], state, bool(w[_RECONCILED]), w[_LOOKED], w[_LATE])

    # --- the sentinel's side ------------------------------------------------------------------------------------------

    @property
    def last_run(self) -> int:
        """Return the run number of the last sentinel that began on this page; 0 where none has."""
        return self._words[_SENTINEL_RUN]

    def number(self, run: int) -> None:
        """Say which run number this sentinel has, before it sends: a full disk does not remember it."""
        self._words[_SENTINEL_RUN] = run

    def watching(self, phase: Phase, did: str) -> None:
        """Say that the sentinel's loop goes round, what it is at, and what it did last."""
        words = self._words
        text = did.encode()[: _TEXT_SIZE - 1]
        held = self._map[_TEXT_AT : _TEXT_AT + len(text) + 1]
        if held != text + b"\0":
            self._map[_TEXT_AT : _TEXT_AT + len(text) + 1] = text + b"\0"
        words[_SENTINEL_PID], words[_SENTINEL_STAMP] = self.pid, boottime()
        words[_SENTINEL_PHASE] = phase

    def take(self) -> None:
        """Bar the engine from its venues, from this moment on."""
        self._words[_LEASE] = self._words[_LEASE] or max(boottime(), 1)

    def release(self) -> None:
        """Let the engine send again."""
        self._words[_LEASE] = 0

    def sentinel(self) -> Watch:
        """Return the sentinel's last heartbeat."""
        w = self._words
        phase = Phase(w[_SENTINEL_PHASE]) if w[_SENTINEL_PHASE] <= Phase.ENDED else Phase.IDLE
        text = bytes(self._map[_TEXT_AT : _TEXT_AT + _TEXT_SIZE]).partition(b"\0")[0].decode(errors="replace")
        return Watch(phase, w[_SENTINEL_STAMP], w[_SENTINEL_PID], w[_LEASE], text)

    def close(self) -> None:
        """Unmap the page; the file stays for the other side."""
        self._words.release()
        self._map.close()


def owner_of(page: Path) -> Path | None:
    """Return the home that a page belongs to; None where it does not say."""
    try:
        with page.open("rb") as file:
            name = file.read(SIZE)[_OWNER_AT:].partition(b"\0")[0]
    except OSError:
        return None
    return Path(os.fsdecode(name)) if name else None
