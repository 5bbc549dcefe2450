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
            values, self._loose = self._loose, {}
            if not await self._keep(values, dirty):
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
    """Keep the closed minutes of the built-in market."""

    def __init__(self, path: Path, now: Nanoseconds, fresh: bool) -> None:
        self._file = RecordFile(path)
        kept = [bar for record in self._file.records for bar in _bars(record) if bar.start > now - KEPT_NS]
        self.bars: list[Bar] = [] if fresh else kept
        if fresh or len(self._file.records) > 20_000:
            self._file.rewrite([msgspec.msgpack.encode(self.bars)])
        self._file.records.clear()

    def append(self, bars: list[Bar]) -> None:
        """Write closed minutes; they survive the process, a power loss may take the last ones."""
        try:
            self._file.append([msgspec.msgpack.encode(bars)], sync=False)
        except OSError as error:
            log.warning("bars not kept", error=str(error))

    def close(self) -> None:
        """Close the file."""
        self._file.close()
