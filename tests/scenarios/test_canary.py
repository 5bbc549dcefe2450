"""A known secret is put in, the whole program is used and broken, and nothing that was written anywhere holds it."""

import base64
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from urllib.parse import quote

import pytest

from core.domain.commands import SubmitOrder
from core.domain.order import Order, Side
from core.session import protocol as p
from core.session.status import Status
from desk.paths import Role
from desk.roles import services
from tests.core.notify.servers import Server
from tests.scenarios.house import PERP, QUICK, House, until
from tests.tui.driving import until as drawn
from tests.tui.harness import picture
from tui.app import TerminalApp

CANARY = 'cAnArY-7f3a/"b+Q=='
FORMS = (
    CANARY,
    quote(CANARY, safe=":/"),
    quote(CANARY, safe=""),
    json.dumps(CANARY)[1:-1],
    repr(CANARY)[1:-1],
    base64.b64encode(CANARY.encode()).decode().rstrip("="),
    CANARY[::-1],
    "cAnArY",
)
COMMANDS = ("doctor", "status --json", "alerts --json", "risk --json", "journal export --json")
TARGETS = """
[alerts.targets.path]
kind = "webhook"
url = "http://127.0.0.1:{port}/hook/{{secret}}"
secret = "path"

[alerts.targets.bearer]
kind = "ntfy"
url = "http://127.0.0.1:{port}/topic"
secret = "bearer"

[alerts.targets.nobody]
kind = "webhook"
url = "http://127.0.0.1:1/{{secret}}"
secret = "path"
"""


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """Give a home that is not started yet."""
    made = House(tmp_path / "home", QUICK)
    try:
        yield made
    finally:
        made.end()


def keep(house: House, text: str, mode: int = 0o600) -> None:
    house.home.secrets.write_text(text, encoding="utf-8")
    house.home.secrets.chmod(mode)


def secrets() -> str:
    return "[alerts]\n" + "".join(f"{name} = {json.dumps(CANARY)}\n" for name in ("path", "bearer"))


def said(done: "subprocess.CompletedProcess[str]") -> str:
    return done.stdout + done.stderr


def found_in(house: House) -> list[str]:
    """Name every file of the home, and every core file near it, in which a form of the canary stands."""
    wrong = []
    for path in sorted(house.home.root.rglob("*")):
        if path.is_file() and path != house.home.secrets:
            content = path.read_bytes()
            wrong += [f"{path.name}: {form}" for form in FORMS if form.encode() in content]
    return wrong


def assert_leaves_no_core(pid: int) -> None:
    """Check that neither a file nor a program that the system pipes cores to would get its memory."""
    assert "Max core file size        0                    0" in Path(f"/proc/{pid}/limits").read_text()
    assert int(Path(f"/proc/{pid}/coredump_filter").read_text(), 16) == 0
    assert CANARY.encode() not in Path(f"/proc/{pid}/cmdline").read_bytes()


async def test_no_secret_is_in_anything_that_is_written(house: House) -> None:
    keep(house, secrets())
    spoken: list[str] = []
    with Server(status=500, extra=f"X-Echo: {CANARY}\r\n") as server:
        with house.home.config.open("a", encoding="utf-8") as config:
            config.write(TARGETS.format(port=server.port))
        house.start(Role.MARKET, Role.ENGINE, Role.RECORDER)
        await house.ready()
        pid = house.pid(Role.ENGINE)
        assert_leaves_no_core(pid)
        async with house.session() as client:
            assert (await client.send(SubmitOrder(Order(PERP, Side.BUY, Decimal("0.01")), "scenario"))).ok
            await until(lambda: len(server.requests) >= 2, "both targets were tried")
            await until(lambda: sum(bool(one.trouble) for one in client.state.alerts.targets.values()) == 3, "all fail")
            status: Status = await client.ask(p.AskStatus())
            spoken.append(repr(status) + repr(client.state.alerts.targets))
        # it is the canary that was sent: without that the search would prove nothing
        assert any(quote(CANARY, safe=":/") in one.path for one in server.requests)
        assert any(f"Bearer {CANARY}" in one.headers.values() for one in server.requests)
        spoken += [said(house.run(*words.split())) for words in COMMANDS]
        spoken += await screens(house)
        os.kill(pid, signal.SIGSEGV)  # a crash, with the secret in its memory
        services.wait_gone(house.home, Role.ENGINE)
        house.start(Role.ENGINE)
        await house.ready()
        spoken.append(said(house.run("stop", "--flatten")))
    spoken += refused(house)
    assert found_in(house) == []
    assert len(spoken) > 12, spoken
    assert [(form, text[:300]) for text in spoken for form in FORMS if form in text] == []


async def screens(house: House) -> list[str]:
    """Look at the screens on which trouble of targets and records are shown."""
    app = TerminalApp(house.home.engine_socket)
    shown = []
    async with app.run_test(size=(200, 50)) as pilot:
        await drawn(pilot, lambda: app.feed.connected)
        for screen in ("alerts", "journal", "risk", "venues"):
            app.action_screen(screen)
            await pilot.pause(0.5)
            shown.append(picture(app))
    assert "muted and outside" in shown[0]
    return shown


def refused(house: House) -> list[str]:
    """Start on secrets that cannot be used: the refusal is in words, and quotes nothing."""
    answers = []
    for text, mode, words in (
        (secrets(), 0o644, "can be read by others (mode 0644)"),
        (f"[alerts]\npath = {CANARY}\n", 0o600, "is not TOML"),
        (f"[alerts]\nother = {json.dumps(CANARY)}\n", 0o600, 'secret "path" is missing'),
    ):
        keep(house, text, mode)
        done = house.run("engine")
        assert words in said(done), said(done)
        assert done.returncode != 0
        answers.append(said(done))
    answers.append(said(house.run("doctor")))
    keep(house, secrets())
    before = house.home.config.read_text(encoding="utf-8")
    house.home.config.write_text(before + f"\n[binance]\napi_secret = {json.dumps(CANARY)}\n", encoding="utf-8")
    answers += [said(house.run("engine")), said(house.run("doctor"))]
    assert '"api_secret" looks like a secret' in answers[-1]
    house.home.config.write_text(before, encoding="utf-8")
    return answers


def test_the_search_would_find_it(house: House) -> None:
    house.home.log(Role.ENGINE).parent.mkdir(parents=True, exist_ok=True)
    house.home.log(Role.ENGINE).write_text(f"posting to http://x/{quote(CANARY, safe='')}\n", encoding="utf-8")
    assert [one for one in found_in(house) if one.startswith("engine.log: ")]
