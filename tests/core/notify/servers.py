"""HTTP servers of ours that behave badly in every way that servers do; real sockets, in a thread of their own."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any, Self

import msgspec


class Request(msgspec.Struct):
    """One POST as it came."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """Return the body, decoded."""
        return msgspec.json.decode(self.body)


class Server:
    """Answer each POST with what ``answer`` returns: bytes, or None to say nothing more.

    ``manner``: "answer", "hang" (takes the request and stays silent), "drip" (a byte now and then, for ever),
    "reset" (closes at once), "flood" (a head without end).
    """

    def __init__(self, manner: str = "answer", status: int = 200, extra: str = "") -> None:
        self.manner, self.status, self.extra = manner, status, extra
        self.requests: list[Request] = []
        self.connections = 0
        self.port = 0
        self._loop = asyncio.SelectorEventLoop()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def url(self) -> str:
        """Return the address."""
        return f"http://127.0.0.1:{self.port}/alerts"

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._started.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", self.port))
        self.port = server.sockets[0].getsockname()[1]
        self._started.set()
        self._loop.run_forever()
        server.close()
        for _ in range(3):  # one that was just let in becomes a task a turn or two later
            self._loop.run_until_complete(asyncio.sleep(0.01))
            tasks = asyncio.all_tasks(self._loop)
            for task in tasks:
                task.cancel()
            self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            if self.manner == "reset":
                return
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = dict(line.split(": ", 1) for line in head[1:] if line)
            body = await reader.readexactly(int(headers["Content-Length"]))
            self.requests.append(Request(head[0].split(" ")[1], headers, body))
            await self._answer(writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.transport.abort()

    async def _answer(self, writer: asyncio.StreamWriter) -> None:
        if self.manner == "hang":
            await asyncio.sleep(3_600)
        if self.manner == "garbage":
            writer.write(b"SSH-2.0-OpenSSH_9\r\n\r\n\r\n\r\n")
        elif self.manner == "answer":
            writer.write(f"HTTP/1.1 {self.status} x\r\n{self.extra}Content-Length: 0\r\n\r\n".encode())
        else:
            await self._for_ever(writer, *{"drip": (b"H", 0.05), "flood": (b"x" * 4096, 0.0)}[self.manner])
        await writer.drain()

    @staticmethod
    async def _for_ever(writer: asyncio.StreamWriter, piece: bytes, pause: float) -> None:
        while True:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause)


def closed_port() -> int:
    """Return a port on which nobody listens."""
    with Server() as server:
        return server.port


def wait_for(true: Callable[[], bool], seconds: float = 20.0) -> None:
    """Wait until something holds."""
    done = threading.Event()
    for _ in range(int(seconds / 0.01)):
        if true():
            return
        done.wait(0.01)
    raise AssertionError(f"it did not hold within {seconds:g} s")
