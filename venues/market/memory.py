"""What the exchange must not forget: nothing is told to a session before it is durable."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import structlog

from core.domain.identifiers import VenueId
from core.domain.market import Bar
from core.domain.message import Nanoseconds
from venues.market.accounts import Accounts, image_name
from venues.market.history import KEPT_NS
from venues.market.keep import LatestFile, RecordFile

log = structlog.get_logger()
RETRY_S = 1.0
Deliver = Callable[[], None]
_bars = msgspec.msgpack.Decoder(list[Bar]).decode


class Memory:
    """Write accounts durably, several changes at once, and then let their answers go."""

    def __init__(self, file: LatestFile, accounts: Accounts) -> None:
        self._file = file
        self._accounts = accounts
        self._waiting: list[Deliver] = []
        self._dirty: set[VenueId] = set()
        self._loose: dict[str, bytes] = {}
        self._wake = asyncio.Event()
        self._writing = False
        self._closing = False
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="market-memory")
        self._task = asyncio.create_task(self._write())

    @property
    def busy(self) -> bool:
        """Tell whether something is not durable yet."""
        return self._writing or bool(self._dirty)

    def changed(self, venue: VenueId, deliver: Deliver | None = None) -> None:
        """Have an account written; ``deliver`` runs when it is durable."""
        self._dirty.add(venue)
        if deliver is not None:
            self._waiting.append(deliver)
        self._wake.set()

    def after(self, deliver: Deliver) -> None:
        """Run something when all that happened so far is durable: at once, if it is."""
        if self.busy:
            self._waiting.append(deliver)
            self._wake.set()
        else:
            deliver()

    def note(self, name: str, value: bytes) -> None:
        """Have a value written that may be lost with the power, not with the process."""
        self._loose[name] = value
        self._wake.set()

    async def _write(self) -> None:
        while not (self._closing and not (self._dirty or self._waiting or self._loose)):
            await self._wake.wait()
            self._wake.clear()
            dirty, self._dirty = self._dirty, set()
            waiting, self._waiting = self._waiting, []
            loose, self._loose = self._loose, {}
            if not await self._keep(dict(loose), dirty):
                self._loose = loose | self._loose  # what was noted meanwhile is newer
                self._dirty |= dirty
                self._waiting = waiting + self._waiting
                if self._closing:
                    return
                await asyncio.sleep(RETRY_S)
                self._wake.set()
                continue
            for deliver in waiting:
                _hand_over(deliver)

    async def _keep(self, values: dict[str, bytes], dirty: set[VenueId]) -> bool:
        """Write values and the accounts that changed; tell whether they are kept."""
        try:
            for venue in dirty:
                values[image_name(venue)] = self._accounts.by_venue[venue].matching.image(market=False)
            return not values or await self._put(values, bool(dirty))
        except Exception:  # task boundary: without this task no answer would ever leave again
            log.exception("accounts cannot be written, answers wait")
            return False

    async def _put(self, values: dict[str, bytes], durable: bool) -> bool:
        self._writing = durable
        try:
            await asyncio.get_running_loop().run_in_executor(self._pool, self._file.put, values, durable)
        except OSError as error:
            log.error("accounts cannot be written, answers wait", error=str(error))  # noqa: TRY400
            return False
        finally:
            self._writing = False
        return True

    async def close(self) -> None:
        """Write what is left and end."""
        self._closing = True
        self._wake.set()
        await self._task
        self._pool.shutdown()
        self._file.close()


def _hand_over(deliver: Deliver) -> None:
    try:
        deliver()
    except Exception:  # task boundary: the others still wait for theirs
        log.exception("an answer was not delivered")


class BarFile:
    """Keep the closed minutes of the built-in market, a week and at most another.

    Two files: what is written to, and the one before. When the first holds a week, it takes the other's place, so that
    nothing is ever written anew while the market runs.
    """

    def __init__(self, path: Path, now: Nanoseconds, fresh: bool) -> None:
        self._path, self._before = path, path.with_suffix(".before")
        if fresh:
            path.unlink(missing_ok=True)
            self._before.unlink(missing_ok=True)
        bars = list[Bar]()
        if self._before.exists():
            before = RecordFile(self._before)
            bars += [bar for record in before.records for bar in _bars(record)]
            before.close()
        self._file = RecordFile(path)
        newer = [bar for record in self._file.records for bar in _bars(record)]
        self._file.records.clear()
        self._since = min((bar.start for bar in newer), default=0)
        """Where the file that is written to begins; 0 while it is empty."""
        self._bars = [bar for bar in (*bars, *newer) if bar.start > now - KEPT_NS]

    def take(self) -> list[Bar]:
        """Return what was kept at the start, once: who asked keeps it from then on."""
        bars, self._bars = self._bars, []
        return bars

    def append(self, bars: list[Bar]) -> None:
        """Write closed minutes; they survive the process, a power loss may take the last ones."""
        try:
            if self._since and bars[0].start - self._since >= KEPT_NS:
                self._turn()
            self._file.append([msgspec.msgpack.encode(bars)], sync=False)
            self._since = self._since or bars[0].start
        except OSError as error:
            log.warning("bars not kept", error=str(error))

    def _turn(self) -> None:
        """Put the full file in the place of the one before, and begin another."""
        if self._path.exists():
            self._path.replace(self._before)
        full, self._file = self._file, RecordFile(self._path)
        full.close()
        self._since = 0

    def close(self) -> None:
        """Close the file."""
        self._file.close()
