"""Ending the roles of a home whose engine fell: what is open is not known, so nothing is ended in silence."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.domain.approval import TradingState
from core.guardian.pulse import Pulse, boottime
from desk import doctor
from desk.output import Refused
from desk.paths import Home, Role
from desk.roles import services, stopping
from desk.roles.pulses import open_pulse, page
from store.lease import Lease, write_lease
from store.postgres import PostgresServer

STARTS_ONE_AT_ITS_END = """
import signal, subprocess, sys, time
from pathlib import Path
from desk.roles import services
from desk.paths import Home, Role
with services.holding(Home(Path(sys.argv[1])), Role[sys.argv[2]]):
    if sys.argv[2] == "ENGINE":
        signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    try:
        print("held", flush=True)
        time.sleep(600)
    finally:
        line = [sys.executable, "-c", sys.argv[3], sys.argv[1], "RESEARCHER", ""]
        child = subprocess.Popen(line, stdout=subprocess.PIPE, text=True, start_new_session=True)
        child.stdout.readline()
"""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home").create()


@pytest.fixture
def pulse(home: Home) -> Iterator[Pulse]:
    made = open_pulse(home)
    made.pid = 2**22 + 1  # above every process's: who beat has fallen
    yield made
    made.close()
    page(home).unlink()


def stop(home: Home, *, leave: bool = False) -> list[str]:
    return stopping.stop(home, leave=leave, flatten=False, keep_market=True)


@pytest.mark.parametrize("starting", [True, False])
def test_an_engine_that_fell_may_have_left_something_open(home: Home, pulse: Pulse, starting: bool) -> None:
    pulse.begin(1)
    if not starting:
        pulse.beat(1, 1, TradingState.ACTIVE, boottime(), reconciled=True)
    with services.holding(home, Role.RECORDER), pytest.raises(Refused, match="what is open is not known"):
        stop(home)
    found = {one.name: one for one in doctor.examine(home)}["engine"]
    assert (found.verdict, "what is open is not known" in found.detail) == ("wrong", True)
    assert stop(home) == [], "nothing runs: nothing is to be asked"


@pytest.mark.parametrize("lease", [Lease(3, armed=True), Lease(3, held=True)])
def test_the_lease_remembers_it_where_the_page_is_gone(home: Home, lease: Lease) -> None:
    write_lease(home.lease, lease)
    with services.holding(home, Role.RECORDER), pytest.raises(Refused, match="what is open is not known"):
        stop(home)
    with services.holding(home, Role.SENTINEL), pytest.raises(Refused, match="the engine is dead"):
        stop(home)


def test_the_homes_own_postgresql_is_ended_last(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    assert stop(home) == []
    monkeypatch.setattr(PostgresServer, "stop", lambda self: True)
    assert stop(home) == ["postgres"]


def test_a_researcher_that_the_engine_started_meanwhile_is_ended_too(home: Home) -> None:
    code = STARTS_ONE_AT_ITS_END
    line = [sys.executable, "-c", code, str(home.root), "ENGINE", code]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True, start_new_session=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        assert stop(home, leave=True) == ["engine", "researcher"]
    assert services.running(home, Role.RESEARCHER) is None


def test_an_engine_that_ended_in_order_asks_nothing(home: Home, pulse: Pulse) -> None:
    stopping._refuse_unknown(home, [Role.MARKET])
    pulse.begin(1)
    pulse.end()
    write_lease(home.lease, Lease(3))
    stopping._refuse_unknown(home, [Role.MARKET])
