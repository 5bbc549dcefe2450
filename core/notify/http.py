"""One POST over HTTP/1.1: bounded in time and in what is read, without a library; TLS where the address says so."""

import asyncio
import contextlib
import socket
import ssl
import threading
from collections.abc import Callable
from functools import cache
from typing import TypeVar
from urllib.parse import SplitResult, urlsplit

import msgspec

T = TypeVar("T")
ADDRESSES = 4
"""Of a name's addresses this many are tried."""
MAX_HEAD = 16 * 1024
"""Bytes of an answer's head that are read at most; its body is of no interest."""


class Reply(msgspec.Struct, frozen=True):
    """What a server said: its status, and after how many seconds it wants to be asked again (0: it does not say)."""

    status: int
    retry_after_s: float = 0.0


class BadReply(OSError):
    """What answers there does not speak HTTP."""


def split(url: str) -> SplitResult:
    """Return the parts of an address.

    Raises:
        ValueError: it is not an address of http or https with a host.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or any(char.isspace() for char in url):
        raise ValueError("expected http://host... or https://host...")
    _ = parts.port  # raises for a port that is none
    return parts


async def post(url: str, headers: dict[str, str], body: bytes, timeout_s: float) -> Reply:
    """Send a body and return what the server said, all within the time given.

    Raises:
        TimeoutError: connecting, sending and the answer's head together took longer.
        OSError: no connection, a broken one, or an answer that is not HTTP.
    """
    parts = split(url)
    async with asyncio.timeout(timeout_s):
        reader, writer = await _connect(parts)
        try:
            writer.write(_request(parts, headers, body))
            await writer.drain()
            head = await reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            raise BadReply("the connection ended before an answer" if not _partial(error) else "no HTTP") from None
        finally:
            writer.transport.abort()
    return _reply(head)


async def _connect(parts: SplitResult) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    secure, host = parts.scheme == "https", parts.hostname or ""
    port = parts.port or (443 if secure else 80)
    context = await aside(_context) if secure else None
    found = await aside(lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    wrong: OSError = BadReply("the name has no address")
    for _, _, _, _, address in found[:ADDRESSES]:
        try:
            return await asyncio.open_connection(
                str(address[0]), port, ssl=context, server_hostname=host if secure else None, limit=MAX_HEAD
            )
        except OSError as error:
            wrong = error
    raise wrong


@cache
def _context() -> ssl.SSLContext:
    return ssl.create_default_context()


async def aside(work: Callable[[], T]) -> T:
    """Do what blocks in a thread that nobody waits for at the end: a name server that hangs must not hold the exit."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: Exception | None) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type]

    def run() -> None:
        try:
            result, error = work(), None
        except Exception as caught:  # task boundary: raised again where it is awaited
            result, error = None, caught
        with contextlib.suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=run, daemon=True, name="notifier-aside").start()
    return await future


def _partial(error: Exception) -> bytes:
    return getattr(error, "partial", b"-")


def _request(parts: SplitResult, headers: dict[str, str], body: bytes) -> bytes:
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    host = parts.netloc.rpartition("@")[2]
    fields = {
        "Host": host,
        "User-Agent": "tradedeck",
        "Content-Length": str(len(body)),
        "Connection": "close",
    } | headers
    lines = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    if any(char in line for line in lines for char in "\r\n"):
        raise BadReply("a header would break its line")
    return "\r\n".join(lines).encode("utf-8") + b"\r\n\r\n" + body


def _reply(head: bytes) -> Reply:
    first, *fields = head.decode("latin-1").split("\r\n")
    words = first.split(" ", 2)
    if len(words) < 2 or not words[0].startswith("HTTP/1.") or not words[1].isdigit():
        raise BadReply("no HTTP")
    wait = 0.0
    for field in fields:
        name, _, value = field.partition(":")
        if name.strip().lower() == "retry-after" and value.strip().isdigit():
            wait = float(value.strip())
    return Reply(int(words[1]), wait)
