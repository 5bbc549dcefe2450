"""The terminal in a browser: who may come in, and that a tab is a terminal of a running engine."""

import asyncio
import contextlib
import json
import os
import re
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import psutil  # type: ignore[import-untyped]
import pytest
import pytest_asyncio
from aiohttp import web
from typer.testing import CliRunner

from core.config.settings import TerminalSettings
from core.errors import TradedeckError
from core.session.server import Session
from desk import web as served
from desk.cli import app
from desk.paths import Home
from desk.web import Page, command_of
from tests.tui.conftest import house, quiet_log  # noqa: F401 -- fixtures
from tests.tui.engine import House

SIZE = "width=80&height=24"


class Open:
    """A page that is served in this loop."""

    def __init__(self, page: Page, runner: web.AppRunner) -> None:
        self.page, self.runner = page, runner
        self.root = f"http://{page.place}"


async def opened(command: str, port: int) -> Open:
    """Serve a page."""
    page = Page(command, port)
    runner = web.AppRunner(await page._make_app())
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    return Open(page, runner)


@pytest_asyncio.fixture
async def page(unused_tcp_port: int) -> AsyncIterator[Open]:
    """Give a page whose tabs would start nothing."""
    made = await opened("exit 1", unused_tcp_port)
    yield made
    await made.runner.cleanup()


async def test_only_the_address_with_the_key_lets_in(page: Open) -> None:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as stranger:
        for path in ("/", "/?key=guess", "/ws", "/static/js/textual.js"):
            async with stranger.get(page.root + path) as answer:
                assert answer.status == 403, path
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await stranger.ws_connect(f"{page.root}/ws?{SIZE}")
        async with stranger.get(page.page.address) as answer:
            assert answer.status == 200
            assert str(answer.url) == f"{page.root}/", "the key does not stay in the address"
            assert "tradedeck" in await answer.text()
            assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
        async with stranger.get(f"{page.root}/static/js/textual.js") as answer:
            assert answer.status == 200
        (cookie,) = stranger.cookie_jar
        assert (cookie["httponly"], cookie["samesite"]) == (True, "Strict")


async def test_another_name_or_another_page_is_refused_even_with_the_key(page: Open) -> None:
    cookie = {"Cookie": f"{page.page._cookie}={page.page.key}"}
    async with aiohttp.ClientSession(headers=cookie) as holder:
        for headers in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}, {"Origin": "null"}):
            async with holder.get(page.root, headers=headers) as answer:
                assert answer.status == 403, headers
            with pytest.raises(aiohttp.WSServerHandshakeError):
                await holder.ws_connect(f"{page.root}/ws?{SIZE}", headers=headers)
        async with holder.get(page.root, headers={"Origin": page.root}) as answer:
            assert answer.status == 200


async def test_a_tab_is_a_terminal_that_looks_on(house: House, tmp_path: Path, unused_tcp_port: int) -> None:  # noqa: F811
    home = Home(tmp_path)
    command = command_of(home, TerminalSettings(), control=False).replace(str(home.engine_socket), str(house.socket))
    tab = await opened(command, unused_tcp_port)
    try:
        async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as browser:
            async with browser.get(tab.page.address):
                pass
            async with browser.ws_connect(f"{tab.root}/ws?{SIZE}", headers={"Origin": tab.root}) as socket:
                await _looked_on(house, socket)
        async with asyncio.timeout(60):
            while browsers(house) or tabs():  # noqa: ASYNC110 -- has no event
                await asyncio.sleep(0.05)
    finally:
        await tab.runner.cleanup()
        await asyncio.sleep(0.2)  # the loop closes the pipes of the process that ended


def tabs() -> list[psutil.Process]:
    """List the terminals that this process serves."""
    found = []
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.ZombieProcess, psutil.NoSuchProcess):  # it has ended, and is being reaped
            if "tui.served" in " ".join(child.cmdline()):
                found.append(child)
    return found


def browsers(house: House) -> list[Session]:  # noqa: F811
    """List the sessions of browsers."""
    assert house.runtime.server is not None
    return [session for session in house.runtime.server.sessions if session.name == "browser"]


async def _looked_on(house: House, socket: aiohttp.ClientWebSocketResponse) -> None:  # noqa: F811
    """See the market, try to halt, and go to another screen."""
    assert "equity" in await _painted(socket, "BTC-USDT.P")
    (session,) = browsers(house)
    assert session.view_only
    for key in ("H", "y", "5"):
        await socket.send_str(json.dumps(["stdin", key]))
        await asyncio.sleep(0.5)
    await _painted(socket, "ack p50")
    assert house.state.trading_state.value == "ACTIVE"


async def _painted(socket: aiohttp.ClientWebSocketResponse, words: str) -> str:
    """Read what is painted until some words have come; escapes are left out."""
    text = ""
    async with asyncio.timeout(60):
        async for message in socket:
            data = message.data if isinstance(message.data, bytes) else message.data.encode()
            text += re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", data.decode(errors="replace"))
            if words in text:
                break
    return text


def test_a_terminal_for_a_browser_ends_with_who_serves_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from tui import served as terminal

    parents, killed = iter([7, 7, 1, 1]), []
    monkeypatch.setattr(os, "getppid", lambda: next(parents))
    monkeypatch.setattr(os, "kill", lambda pid, number: killed.append((pid, number)))
    monkeypatch.setattr(terminal, "LOOK_S", 0.0)
    terminal.leave_with(7)
    assert killed == [(os.getpid(), signal.SIGTERM)]


def test_what_is_missing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = CliRunner().invoke(app, ["web", "--home", str(tmp_path)])
    assert str(answer.exception) == (
        f"no engine runs at {tmp_path}; start what is missing with: tradedeck --home {tmp_path}"
    )
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    answer = CliRunner().invoke(app, ["web", "--home", str(tmp_path)])
    assert "needs the extra `web`: pip install 'tradedeck[web]'" in str(answer.exception)
    assert CliRunner().invoke(app, ["web", "--host", "0.0.0.0"]).exit_code == 2, "no other host can be named"


def test_a_port_that_is_taken_is_named(tmp_path: Path, unused_tcp_port: int) -> None:
    import socket

    with socket.socket() as holder:
        holder.bind(("127.0.0.1", unused_tcp_port))
        holder.listen()
        with pytest.raises(TradedeckError, match=f"port {unused_tcp_port} cannot be had"):
            served.serve(Home(tmp_path), TerminalSettings(), unused_tcp_port, control=False)
