"""A journal that is deleted or put back under a real engine: it may not forget that it was halted."""

import os
import shutil
import signal
from pathlib import Path

from desk.paths import Role
from desk.roles import services
from tests.desk.conftest import Desk

WHY = "the journal was lost or put back: look at positions and orders, then RESUME"


def test_behind_a_lost_and_behind_a_restored_journal_the_engine_is_halted(desk: Desk, tmp_path: Path) -> None:
    def kill() -> None:
        os.kill(desk.pid(Role.ENGINE), signal.SIGKILL)
        desk.wait(lambda: services.running(desk.home, Role.ENGINE) is None, "the engine is gone")

    def start() -> None:
        services.start(desk.home, Role.ENGINE, timeout=120)
        desk.wait(desk.ready, "the venues are reconciled")

    desk.demo()
    assert desk.json("status")["state"] == "ACTIVE", "a fresh home's first start"
    desk.ok("journal", "backup", str(tmp_path / "copy"))
    desk.ok("halt")
    kill()
    shutil.rmtree(desk.home.journal.parent)
    start()
    status = desk.json("status")
    assert (status["state"], status["state_reason"]) == ("HALTED", WHY)
    assert desk.run("order", "buy", "BTC-USDT.P", "0.01").returncode == 3
    desk.wait(lambda: WHY in desk.ok("alerts"), "the alert is raised")
    assert desk.run("resume", "--word", "yes").returncode == 3
    desk.ok("resume", "--word", "RESUME")
    kill()
    start()
    assert desk.json("status")["state"] == "ACTIVE", "it is told once"
    kill()
    said = desk.ok("journal", "restore", "--force", str(tmp_path / "copy"))
    assert "it ends with trading ACTIVE; the engine starts HALTED whatever it says" in said
    start()
    assert desk.json("status")["state_reason"] == WHY
