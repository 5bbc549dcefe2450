"""One session of the practice exchange: who it is, what it follows, and its socket."""

import asyncio
import os
from typing import Protocol, cast

import msgspec
import structlog

from core.domain.identifiers import InstrumentId, VenueId
from core.domain.market import Feed
from core.errors import TradedeckError
from core.session import wire
from core.session.server import peer_uid
from venues.market import protocol as p

log = structlog.get_logger()
CUT_BYTES = 32 * 1024 * 1024
"""A session with this much unsent is cut and comes back to new snapshots; a burst of a fast tape still fits."""


class Host(Protocol):
    """What a session asks of the exchange."""

    def login(self, session: "Session", frame: p.Login) -> None:
        """Enter an account."""
        ...

    def take(self, session: "Session", frame: p.Frame) -> None:
        """Take a frame of a session that is logged in."""
        ...

    def left(self, session: "Session") -> None:
        """Forget a session."""
        ...


class Session(asyncio.Protocol):
    """Serve one connection."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._reader = wire.FrameReader()
        self._transport: asyncio.Transport | None = None
        self._out: list[bytes] = []
        self.venue: VenueId | None = None
        self.name = ""
        self.follows: set[tuple[InstrumentId, Feed]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a connection from the same user only."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's transports are not of that class
        uid = peer_uid(transport.get_extra_info("socket"))
        if uid not in (os.getuid(), 0):
            log.warning("connection refused", uid=uid)
            self.end(f"this market belongs to another user (your uid is {uid})")

    def data_received(self, data: bytes) -> None:
        """Take bytes; whoever does not speak the protocol is told and cut."""
        try:
            for body in self._reader.feed(data):
                self._frame(p.decode_session_frame(body))
        except (msgspec.DecodeError, TradedeckError) as error:
            self.end(f"not understood: {error}")

    def _frame(self, frame: p.Frame) -> None:
        if self._transport is None:
            return
        if isinstance(frame, p.Login):
            self._host.login(self, frame)
        elif self.venue is None:
            self.end("the first frame must be Login")
        else:
            self._host.take(self, frame)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection; the account goes on."""
        self._transport = None
        self._host.left(self)

    def send(self, frame: bytes) -> None:
        """Queue a frame for the next ``flush``."""
        self._out.append(frame)

    def flush(self) -> None:
        """Write what is queued; a session that does not read is cut."""
        out, transport = self._out, self._transport
        if not out or transport is None:
            out.clear()
            return
        if transport.get_write_buffer_size() > CUT_BYTES:
            log.warning("slow session cut", name=self.name, venue=self.venue)
            out.clear()
            transport.abort()
            return
        transport.write(b"".join(out))
        out.clear()

    def end(self, reason: str) -> None:
        """Say why and close."""
        self.send(wire.frame(p.Failed(0, reason)))
        self.flush()
        if self._transport is not None:
            self._transport.close()
            self._transport = None
