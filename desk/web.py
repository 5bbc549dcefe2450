"""The terminal in a browser on this machine, through textual-serve, behind a key.

A port on loopback is open to every user of the machine and to every page that its browser shows, and a WebSocket asks
nobody where it comes from. So every request must carry a key that only whoever started the page was told, name this
host, and come from this page.
"""

import errno
import secrets
import shlex
import socket
import sys
from collections.abc import Awaitable, Callable

import msgspec
from aiohttp import web
from textual_serve.server import Server

from core.config.settings import TerminalSettings
from core.errors import TradedeckError
from desk import output
from desk.paths import Home

HOST = "127.0.0.1"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Page(Server):
    """Serve terminals to whoever has the key; each tab is a terminal of its own."""

    def __init__(self, command: str, port: int) -> None:
        super().__init__(command, host=HOST, port=port, title="tradedeck")
        self.key = secrets.token_urlsafe(24)
        self.place = f"{HOST}:{port}"
        self._cookie = f"tradedeck-{port}"  # cookies do not tell ports apart

    @property
    def address(self) -> str:
        """Return what to open."""
        return f"http://{self.place}/?key={self.key}"

    def initialize_logging(self) -> None:
        """Log nothing: a line of a request would hold the key."""

    async def on_startup(self, app: web.Application) -> None:
        """Say nothing: the address was said before."""

    async def _make_app(self) -> web.Application:
        app = await super()._make_app()

        @web.middleware
        async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
            return await self._guard(request, handler)

        app.middlewares.append(guard)
        return app

    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        against = self._against(request)
        if against:
            return web.Response(status=403, text=f"{against}\n")
        if self._is_key(request.query.get("key", "")):
            response = web.Response(status=303, headers={"Location": "/"})
            response.set_cookie(self._cookie, self.key, httponly=True, samesite="Strict", path="/")
            return response
        if not self._is_key(request.cookies.get(self._cookie, "")):
            return web.Response(status=403, text="open the address that `tradedeck web` said: it holds the key\n")
        answer = await handler(request)
        if not answer.prepared:  # a WebSocket is, and a page's rules are not for it
            answer.headers["Content-Security-Policy"] = self._policy
            answer.headers["Referrer-Policy"] = "no-referrer"
            answer.headers["Cache-Control"] = "no-store"
        return answer

    def _against(self, request: web.Request) -> str:
        if request.host != self.place:
            return f"this page is http://{self.place} alone (asked for {request.host})"
        origin = request.headers.get("Origin")
        if origin is not None and origin != f"http://{self.place}":
            return f"another page may not come in ({origin})"
        return ""

    def _is_key(self, given: str) -> bool:
        return secrets.compare_digest(given.encode(), self.key.encode())

    @property
    def _policy(self) -> str:
        own = f"'self' ws://{self.place}"
        return f"default-src 'self' 'unsafe-inline' data:; connect-src {own}; frame-ancestors 'none'"


def command_of(home: Home, settings: TerminalSettings, *, control: bool) -> str:
    """Return what each tab starts."""
    shown = msgspec.json.encode(settings).decode()
    mode = "control" if control else "view"
    words = [sys.executable, "-P", "-m", "tui.served", str(home.engine_socket), shown, mode, str(home.config)]
    return "exec " + shlex.join(words)


def serve(home: Home, settings: TerminalSettings, port: int, *, control: bool) -> None:
    """Serve until interrupted.

    Raises:
        TradedeckError: the port is taken.
    """
    page = Page(command_of(home, settings, control=control), port)
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            if error.errno not in {errno.EADDRINUSE, errno.EACCES}:
                raise
            raise TradedeckError(f"port {port} cannot be had ({error.strerror}); choose another: --port") from None
    output.say(f"open {page.address}")
    output.say("whoever has this address " + ("can trade" if control else "can look on") + "; Ctrl+C ends the page")
    page.serve()
