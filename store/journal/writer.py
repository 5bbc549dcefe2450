"""The journal's writer: one thread, group commit, and one rule for failures.

Without a thread of its own its owner says when it writes: a simulated disk takes its time, and always the same.

The rule: nothing overtakes. A batch whose commit failed stays at the head of the line; its ``done`` hears the error
once, at once, and so does every batch behind it. The line is tried again with each new append and every
``retry_seconds``, in order, so what becomes durable is always a prefix of what was appended: there is never a hole. A
batch that was reported as failed may therefore become durable later, silently; a crash before that loses it and
everything behind it. When the line grows beyond ``backlog_bytes``, or the file itself is damaged, the writer seals:
nothing is written any more, every append hears the reason, and the remedy is a restart.
"""

import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue

import msgspec

from core.errors import JournalDamaged, StoreError
from core.ports import Done
from store.journal.file import JournalFile
from store.journal.format import error_code, is_full, writing_error
from store.journal.mark import Mark
from store.journal.reserve import Reserve, free_bytes

FULL_BELOW_BYTES = 1 << 20
"""An I/O error with less room than this is a full disk, whatever the error is called."""
HOUSEKEEPING_SECONDS = 1.0


class JournalHealth(msgspec.Struct, frozen=True):
    """How the journal is: disk, reserve, and how far the writer is behind."""

    free_bytes: int
    reserve_bytes: int
    reserve_intact: bool
    durable: int
    """The last durable record."""
    lag: int
    """Records appended and not durable yet."""
    failing: bool
    """The head of the line could not be written; it is tried again."""
    sealed: bool
    """Nothing is written any more until restart."""
    last_error: str
    torn_bytes: int
    """Bytes of an unfinished last write, dropped when the journal was opened."""
    gone: str = ""
    """The path where the journal lay; another file lies there now, or none: what is written is lost with the engine."""

    @property
    def complaint(self) -> str:
        """Return why entries must be denied, in one sentence; empty when all is well."""
        if self.gone:
            return f"the journal {self.gone} was taken away, restart the engine: entries denied, exits allowed"
        if self.sealed or self.failing:
            return f"{self.last_error}: entries denied, exits allowed"
        if self.free_bytes < self.reserve_bytes:
            free, reserve = self.free_bytes >> 20, self.reserve_bytes >> 20
            return f"{free} MB free, reserve is {reserve} MB: entries denied, exits allowed"
        return ""


class Batch:
    """One append waiting in the line."""

    __slots__ = ("done", "first", "payloads", "told")

    def __init__(self, first: int, payloads: Sequence[bytes], done: Done) -> None:
        self.first, self.payloads, self.done, self.told = first, payloads, done, False


class Task:
    """Other work on the file, in its place in the line."""

    __slots__ = ("done", "run")

    def __init__(self, run: Callable[[], None], done: Done) -> None:
        self.run, self.done = run, done


class Limits(msgspec.Struct, frozen=True):
    """How much one commit takes, how long a retry waits, how long the line may grow."""

    group_records: int = 256
    retry_seconds: float = 1.0
    backlog_bytes: int = 64 << 20


class JournalWriter:
    """Own the file and write the line, from one thread; from the caller's, by ``turn``, where not ``threaded``."""

    def __init__(
        self, file: JournalFile, mark: Mark, reserve: Reserve, limits: Limits, *, threaded: bool = True
    ) -> None:
        self._file, self._mark, self._reserve, self._limits = file, mark, reserve, limits
        self._queue: SimpleQueue[Batch | Task | None] = SimpleQueue()
        self._line: deque[Batch | Task] = deque()
        self._sealed: StoreError | None = None
        self._failing = False
        self._stopping = False
        self._last_error = ""
        self._next_look = 0.0
        self._free_bytes = free_bytes(file.path.parent)
        self._opened = self._lies_there()
        self._gone = ""
        self.durable = file.sequence
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True) if threaded else None
        if self._thread is not None:
            self._thread.start()

    def put(self, item: Batch | Task) -> None:
        """Add to the line; never waits."""
        self._queue.put(item)

    def refuse(self, damage: JournalDamaged) -> None:
        """Write nothing more: damage was found in what is already there."""

        def run() -> None:
            raise damage

        self.put(Task(run, self.note))

    def end(self) -> None:
        """Write what is in the line, then end; whatever cannot be written has been told so."""
        self._queue.put(None)

    def join(self) -> None:
        """Wait for the end."""
        if self._thread is not None:
            self._thread.join()
        else:
            self._run()

    def turn(self) -> None:
        """Write what is in the line, in the caller's thread; only of a writer that has none."""
        self._round(0.0)

    def next_run(self, last: int = 0) -> int:
        """Give out a run number, above ``last`` too; only within a task."""
        run = self._file.next_run(last)
        self._mark.set(self._file.sequence, run)
        return run

    def note(self, error: BaseException | None) -> None:
        """Remember what went wrong where nobody waits for an answer."""
        if error is not None:
            self._last_error = str(error) or type(error).__name__

    def health(self, appended: int) -> JournalHealth:
        """Return the writer's state; ``appended`` is the last sequence given out."""
        return JournalHealth(
            free_bytes=self._free_bytes,
            reserve_bytes=self._reserve.size,
            reserve_intact=self._reserve.intact,
            durable=self.durable,
            lag=appended - self.durable,
            failing=self._failing,
            sealed=self._sealed is not None,
            last_error=self._last_error,
            torn_bytes=self._file.torn_bytes,
            gone=self._gone,
        )

    def _run(self) -> None:
        while not self._stopping:
            self._round(self._limits.retry_seconds if self._failing else HOUSEKEEPING_SECONDS)
        self._close()

    def _round(self, waiting: float) -> None:
        self._collect(waiting)
        try:
            self._work()
            self._look_around()
        except Exception as error:  # the task boundary: an unforeseen failure must be heard by those who wait
            self._seal(StoreError(f"the journal's writer failed: {error!r}; restart the engine"))

    def _collect(self, waiting: float) -> None:
        try:
            item = self._queue.get(timeout=waiting)
            while item is not None:
                self._line.append(item)
                item = self._queue.get_nowait()
            self._stopping = True
        except Empty:
            pass

    def _work(self) -> None:
        while self._line:
            if self._sealed is not None:
                self._seal(self._sealed)
                return
            head = self._line[0]
            error = self._do(head) if isinstance(head, Task) else self._commit()
            if error is not None:
                self._fail(error)
                return

    def _do(self, task: Task) -> StoreError | None:
        error = self._attempt(task.run)
        self._line.popleft()
        self._tell(task.done, error)
        # A task that fails is over; only a damaged file stops the line.
        return error if isinstance(error, JournalDamaged) else None

    def _commit(self) -> StoreError | None:
        """Write the batches at the head as one transaction and answer them in order."""
        group, payloads = list[Batch](), list[bytes]()
        for item in self._line:
            if isinstance(item, Task) or (group and len(payloads) + len(item.payloads) > self._limits.group_records):
                break
            group.append(item)
            payloads += item.payloads
        first = group[0].first
        if payloads:
            error = self._attempt(lambda: self._file.append(first, payloads))
            if error is not None:
                return error
            self._mark.set(self._file.sequence, self._file.run)
            self.durable = self._file.sequence
        self._failing = False
        for batch in group:
            self._line.popleft()
            if not batch.told:
                self._tell(batch.done, None)
        return None

    def _attempt(self, action: Callable[[], None]) -> StoreError | None:
        """Run one transaction; where the disk is full, give up the reserve and try once more."""
        try:
            action()
        except sqlite3.Error as error:
            if not self._is_full(error) or not self._reserve.release():
                return writing_error(error, self._file.path)
            self.note(writing_error(error, self._file.path))
            try:
                action()
            except sqlite3.Error as again:
                return writing_error(again, self._file.path)
        except StoreError as error:
            return error
        return None

    def _is_full(self, error: sqlite3.Error) -> bool:
        self._free_bytes = free_bytes(self._file.path.parent)
        starved = error_code(error) & 0xFF == sqlite3.SQLITE_IOERR and self._free_bytes < FULL_BELOW_BYTES
        return is_full(error) or starved

    def _fail(self, error: StoreError) -> None:
        self.note(error)
        self._failing = True
        size = sum(sum(map(len, item.payloads)) for item in self._line if isinstance(item, Batch))
        if isinstance(error, JournalDamaged):
            self._seal(error)
        elif size > self._limits.backlog_bytes:
            self._seal(StoreError(f"{error}; {size >> 20} MB wait unwritten, no more is taken: restart the engine"))
        else:
            self._line = deque(item for item in self._line if self._tell_failed(item, error))

    def _tell_failed(self, item: Batch | Task, error: StoreError) -> bool:
        """Answer an item behind a failure; tell whether it stays in the line."""
        if isinstance(item, Batch):
            if not item.told:
                item.told = True
                self._tell(item.done, error)
            return True
        self._tell(item.done, error)
        return False

    def _seal(self, error: StoreError) -> None:
        self._sealed = error
        self.note(error)
        line, self._line = self._line, deque()
        for item in line:
            self._tell_failed(item, error)

    def _tell(self, done: Done, error: BaseException | None) -> None:
        try:
            done(error)
        except Exception as failure:  # task boundary: the other callers are told all the same
            self.note(failure)

    def _look_around(self) -> None:
        now = time.monotonic()
        if now < self._next_look:
            return
        self._next_look = now + HOUSEKEEPING_SECONDS
        if not self._failing:
            self._reserve.build()
        self._free_bytes = free_bytes(self._file.path.parent)
        self._gone = "" if self._lies_there() == self._opened else str(self._file.path)

    def _lies_there(self) -> tuple[int, int] | None:
        """Return which file lies at the journal's path; SQLite goes on with the one it opened, wherever that is."""
        try:
            found = self._file.path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def _close(self) -> None:
        try:
            self._file.close()
            self._mark.close()
        except (sqlite3.Error, OSError) as error:
            self.note(error)
