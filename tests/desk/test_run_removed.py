"""The folder of locks and sockets is removed under a workstation that trades."""

import os
import shutil
import time

import pytest

from core.errors import StoreError
from core.guardian.pulse import Phase
from desk.paths import Role
from desk.roles import services
from desk.roles.pulses import beating, open_pulse
from tests.desk.conftest import Desk


def test_what_lives_is_neither_taken_for_dead_nor_said_not_to_run(desk: Desk) -> None:
    desk.demo(first=True)
    engine, sentinel = desk.pid(Role.ENGINE), desk.pid(Role.SENTINEL)
    others = [desk.pid(role) for role in (Role.MARKET, Role.RECORDER)]
    pulse = open_pulse(desk.home)
    try:
        desk.wait(lambda: pulse.sentinel().phase is Phase.WATCHING, "the sentinel watches")
        shutil.rmtree(desk.home.root / "run")
        stopped = desk.run("stop")
        assert stopped.returncode == 4
        assert f"an engine runs (pid {engine}): it beats" in stopped.stderr
        with pytest.raises(StoreError, match=rf"another sentinel \(pid {sentinel}\) holds this data directory"):
            services.start(desk.home, Role.SENTINEL)
        os.kill(sentinel, 9)
        desk.wait(lambda: not beating(desk.home, Role.SENTINEL), "it is gone")
        desk.wait(lambda: beating(desk.home, Role.SENTINEL) not in (0, sentinel), "another one watches")
        desk.wait(lambda: pulse.sentinel().phase is Phase.WATCHING, "it is armed")
        time.sleep(1.0)
        assert (pulse.sentinel().phase, pulse.barred, pulse.engine().pid) == (Phase.WATCHING, False, engine)
        assert desk.json("stop", "--leave")["stopped"] == ["sentinel", "engine"]
        assert beating(desk.home, Role.ENGINE) == 0
    finally:
        pulse.close()
        for pid in others:
            os.kill(pid, 9)
