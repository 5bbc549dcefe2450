"""Stores that keep nothing on disk: twins of the real ones for tests, replay and simulation."""

from bisect import bisect_left
from collections import deque
from collections.abc import Iterator, Sequence

from core.domain.market import BookDelta, BookSnapshot, Quote, Trade
from core.domain.message import Message
from core.errors import StoreError
from core.ports import Checkpoint, Done, Record
from core.session.wire import event_time

_TICKS = (Quote, Trade, BookDelta, BookSnapshot)


class MemoryJournal:
    """Keep the journal in memory; ``done`` is called within ``append``, or within ``release`` while ``held``.

    ``failure`` stands for a disk that takes nothing. As in the file, nothing overtakes: what failed stays in line and
    is written, silently, before anything later. ``crash`` is a kill -9: only what was durable is left.
    """

    def __init__(self, *, held: bool = False) -> None:
        self.held = held
        self.failure: BaseException | None = None
        self.put_back = False
        self._records: list[Record] = []
        self._line: deque[tuple[Sequence[bytes], Done | None]] = deque()
        self._checkpoints: list[Checkpoint] = []
        self._sequence = 0
        self._run = 0
        self._closed = False

    @property
    def durable(self) -> int:
        """Return the last durable sequence."""
        return len(self._records)

    @property
    def last(self) -> int:
        """Return the sequence of the last record queued."""
        return self._sequence

    @property
    def complaint(self) -> str:
        """Return why entries must be denied, in one sentence; empty when all is well."""
        return "" if self.failure is None else f"{self.failure}: entries denied, exits allowed"

    def start_run(self) -> int:
        """Return a run number never returned before.

        Raises:
            StoreError: if the journal is closed, or whatever ``failure`` holds.
        """
        self._check_open()
        if self.failure is not None:
            raise self.failure
        self._run += 1
        self.put_back = False
        return self._run

    def append(self, payloads: Sequence[bytes], done: Done) -> int:
        """Queue records as one transaction and return the sequence of the last.

        Raises:
            StoreError: if the journal is closed.
        """
        self._check_open()
        self._sequence += len(payloads)
        self._line.append((tuple(payloads), done))
        if not self.held:
            self.release()
        return self._sequence

    def release(self, batches: int | None = None) -> None:
        """Make waiting batches durable, oldest first, all unless told how many; with ``failure`` they hear of it."""
        if self.failure is not None:
            self._refuse(self.failure)
            return
        while self._line and batches != 0:
            payloads, done = self._line.popleft()
            for payload in payloads:
                self._records.append(Record(len(self._records) + 1, payload))
            if done is not None:
                done(None)
                batches = None if batches is None else batches - 1

    def _refuse(self, failure: BaseException) -> None:
        waiting = list(self._line)
        self._line = deque((payloads, None) for payloads, _ in waiting)
        for _, done in waiting:
            if done is not None:
                done(failure)

    def checkpoint(self, sequence: int, image: bytes) -> None:
        """Keep a checkpoint of the ledger as it was after ``sequence``; the last two are kept.

        Raises:
            StoreError: if the journal is closed or has no such record.
        """
        self._check_open()
        if sequence > self._sequence:
            raise StoreError(f"checkpoint after record {sequence}, but the journal ends at {self._sequence}")
        if self.failure is None:
            self._checkpoints = [*self._checkpoints[-1:], Checkpoint(sequence, image)]

    def last_checkpoint(self) -> Checkpoint | None:
        """Return the newest checkpoint whose records are durable."""
        found = (checkpoint for checkpoint in reversed(self._checkpoints) if checkpoint.sequence <= self.durable)
        return next(found, None)

    def read(self, after: int = 0) -> Iterator[Record]:
        """Yield durable records with a sequence above ``after``, in order."""
        yield from self._records[after:]

    def first_since(self, ts: int) -> int:
        """Return the first durable sequence whose event is not older than ``ts``; behind the last if there is none."""
        return bisect_left(self._records, ts, key=lambda record: event_time(record.payload) or 0) + 1

    def crash(self) -> "MemoryJournal":
        """Return the journal as the next process finds it after kill -9 of this one."""
        found = MemoryJournal(held=self.held)
        found._records = list(self._records)
        found._checkpoints = [checkpoint for checkpoint in self._checkpoints if checkpoint.sequence <= self.durable]
        found._sequence, found._run = self.durable, self._run
        self._closed = True
        return found

    def close(self) -> None:
        """Write what is queued and close; repeated calls change nothing."""
        if not self._closed:
            self.release()
            self._closed = True

    def _check_open(self) -> None:
        if self._closed:
            raise StoreError("the journal is closed")


class MemoryTickStore:
    """Keep ticks in memory, up to ``capacity`` of them; the rest is counted."""

    def __init__(self, capacity: int = 1_000_000) -> None:
        self.dropped = 0
        self._capacity = capacity
        self._ticks: list[Message] = []
        self._flushed = 0
        self._closed = False

    @property
    def flushed(self) -> Sequence[Message]:
        """Return the ticks that would survive kill -9, in order."""
        return self._ticks[: self._flushed]

    def append(self, message: Message) -> None:
        """Take a Quote, Trade, BookDelta or BookSnapshot; others are ignored."""
        if not isinstance(message, _TICKS):
            return
        if self._closed or len(self._ticks) >= self._capacity:
            self.dropped += 1
        else:
            self._ticks.append(message)

    def flush(self) -> None:
        """Make what was appended survive."""
        self._flushed = len(self._ticks)

    def close(self) -> None:
        """Flush and close; what comes later is counted as dropped."""
        self.flush()
        self._closed = True
