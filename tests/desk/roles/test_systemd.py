"""What a service says to systemd, over a real socket; and the units, checked by systemd's own tool."""

import contextlib
import os
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from desk.output import UsageFault
from desk.paths import Home, Role
from desk.roles.installing import install
from desk.roles.systemd import Notify
from desk.roles.units import units


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """Give the socket that a service manager listens on."""
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(path))
        listening.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(path))
        yield listening


def heard(manager: socket.socket) -> list[str]:
    words = []
    while True:
        try:
            words.append(manager.recv(4096).decode())
        except BlockingIOError:
            return words


def test_a_service_says_ready_alive_and_stopping(manager: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "1")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    with contextlib.closing(Notify()) as notify:
        assert notify.supervised
        notify.ready("run 3")
        notify.alive()
        notify.status("watches")
        notify.stopping()
    assert heard(manager) == ["READY=1\nSTATUS=run 3", "WATCHDOG=1", "STATUS=watches", "STOPPING=1"]
    assert not {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"} & os.environ.keys(), "children do not speak for us"


def test_alive_is_said_when_it_is_time(manager: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("desk.roles.systemd.time.monotonic", lambda: now[0])
    monkeypatch.setenv("WATCHDOG_USEC", "10000000")
    with contextlib.closing(Notify()) as notify:
        for _ in range(100):
            now[0] += 0.1
            notify.alive()
    assert heard(manager) == ["WATCHDOG=1"] * 2


def test_a_watchdog_of_another_process_is_not_ours(manager: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "1")
    monkeypatch.setenv("WATCHDOG_PID", "1")
    with contextlib.closing(Notify()) as notify:
        notify.alive()
    assert heard(manager) == []


def test_an_abstract_address_is_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"tradedeck-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(f"\0{name}")
        monkeypatch.setenv("NOTIFY_SOCKET", f"@{name}")
        with contextlib.closing(Notify()) as notify:
            notify.stopping()
        assert listening.recv(100) == b"STOPPING=1"


def test_a_manager_that_does_not_read_holds_nobody_up(manager: socket.socket) -> None:
    with contextlib.closing(Notify()) as notify:
        for _ in range(5000):
            notify.status("x" * 100)
    assert 0 < len(heard(manager)) < 5000


def test_without_a_manager_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notify = Notify()
    notify.ready("")
    notify.alive()
    assert not notify.supervised


# --- units ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "h").create()


def text(home: Home, role: Role, scope: str = "user") -> str:
    made = units(home, "system" if scope == "system" else "user", "trader")
    return next(unit.text for unit in made if unit.name == f"tradedeck-{role}.service")


def test_engine_and_sentinel_are_watched_and_the_recorder_waits_for_idle_time(home: Home) -> None:
    for role in (Role.ENGINE, Role.SENTINEL):
        assert "Type=notify" in text(home, role)
        assert "WatchdogSec=10" in text(home, role)
    assert "Type=exec" in text(home, Role.RECORDER)
    for role in (Role.RECORDER, Role.RESEARCHER):
        for line in ("CPUSchedulingPolicy=idle", "Nice=19", "IOSchedulingClass=idle"):
            assert line in text(home, role)
    assert "MemoryMax=2560M" in text(home, Role.RESEARCHER)
    assert "OOMPolicy=continue" in text(home, Role.RESEARCHER), "a worker that grows too large is not its end"
    assert "CPUSchedulingPolicy" not in text(home, Role.ENGINE)


@pytest.mark.parametrize("role", list(Role))
def test_every_role_is_fenced_in(home: Home, role: Role) -> None:
    made = text(home, role)
    for line in ("NoNewPrivileges=yes", "ProtectSystem=strict", f'ReadWritePaths="{home.root}"', "MemoryMax="):
        assert line in made
    assert f'Environment="TRADEDECK_HOME={home.root}"' in made
    assert "User=" not in made
    assert "User=trader\n" in text(home, role, "system")


def test_a_home_whose_sockets_are_under_tmp_keeps_the_common_tmp(tmp_path: Path) -> None:
    long = Home(tmp_path / ("x" * 100)).create()
    assert "PrivateTmp=yes" not in text(long, Role.ENGINE)
    assert "PrivateTmp=yes" in text(Home(tmp_path / "h"), Role.ENGINE)


@pytest.mark.parametrize("scope", ["user", "system"])
def test_systemd_finds_nothing_wrong_with_them(
    home: Home, tmp_path: Path, scope: str, needs_tool: Callable[..., str]
) -> None:
    tool = needs_tool("systemd-analyze", "systemd")
    folder = tmp_path / "units"
    folder.mkdir()
    for unit in units(home, "system" if scope == "system" else "user", "root", "/bin/true"):
        (folder / unit.name).write_text(unit.text)
    paths = sorted(str(path) for path in folder.iterdir())
    done = subprocess.run(
        [tool, "verify", *(["--user"] if scope == "user" else []), "--man=no", *paths],
        capture_output=True,
        text=True,
        env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path), "SYSTEMD_UNIT_PATH": f"{folder}:"},
    )
    about = [line for line in done.stderr.splitlines() if "tradedeck-" in line and str(folder) in line]
    assert not about, done.stderr


def test_they_are_written_where_systemd_looks_and_explained(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    install(home, "user", "", print_only=True)
    assert not (tmp_path / "config").exists()
    install(home, "user", "", print_only=False)
    written = sorted(path.name for path in (tmp_path / "config" / "systemd" / "user").iterdir())
    assert written == [
        f"tradedeck-{role}.service" for role in ("engine", "market", "recorder", "researcher", "sentinel")
    ]
    assert "tradedeck-recorder tradedeck-researcher\n" in capsys.readouterr().out
    monkeypatch.setattr("desk.research.summoning.find_spec", lambda _: None)
    install(home, "user", "", print_only=False)
    assert "tradedeck-recorder\n" in capsys.readouterr().out, "without the extra it is written and not enabled"


def test_roles_are_not_given_to_root(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.getuid", lambda: 0)
    with pytest.raises(UsageFault, match="the engine needs no root"):
        install(home, "system", "root", print_only=False)
    monkeypatch.setattr("os.getuid", lambda: 1000)
    with pytest.raises(UsageFault, match="take root"):
        install(home, "system", "trader", print_only=False)


@pytest.mark.parametrize("print_only", [True, False])
def test_roles_are_not_given_to_nobody(home: Home, monkeypatch: pytest.MonkeyPatch, print_only: bool) -> None:
    monkeypatch.setattr("os.getuid", lambda: 0)
    with pytest.raises(UsageFault, match='there is no user "nobodyy" on this machine'):
        install(home, "system", "nobodyy", print_only=print_only)
