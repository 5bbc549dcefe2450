"""A journal that is deleted or put back under a real engine: it may not forget that it was halted."""

import os
import re
import shutil
import signal
from pathlib import Path

from desk.paths import Role
from desk.roles import services
from tests.desk.conftest import Desk

WHY = "the journal was lost or put back: look at positions and orders, then RESUME"


def kill(desk: Desk) -> None:
    os.kill(desk.pid(Role.ENGINE), signal.SIGKILL)
    desk.wait(lambda: services.running(desk.home, Role.ENGINE) is None, "the engine is gone")


def start(desk: Desk) -> None:
    services.start(desk.home, Role.ENGINE, timeout=120)
    desk.wait(desk.ready, "the venues are reconciled")


def test_behind_a_lost_and_behind_a_restored_journal_the_engine_is_halted(desk: Desk, tmp_path: Path) -> None:
    desk.demo()
    assert desk.json("status")["state"] == "ACTIVE", "a fresh home's first start"
    desk.ok("journal", "backup", str(tmp_path / "copy"))
    desk.ok("halt")
    kill(desk)
    shutil.rmtree(desk.home.journal.parent)
    start(desk)
    status = desk.json("status")
    assert (status["state"], status["state_reason"]) == ("HALTED", WHY)
    assert desk.run("order", "buy", "BTC-USDT.P", "0.01").returncode == 3
    desk.wait(lambda: WHY in desk.ok("alerts"), "the alert is raised")
    assert desk.run("resume", "--word", "yes").returncode == 3
    desk.ok("resume", "--word", "RESUME")
    kill(desk)
    start(desk)
    assert desk.json("status")["state"] == "ACTIVE", "it is told once"
    kill(desk)
    said = desk.ok("journal", "restore", "--force", str(tmp_path / "copy"))
    assert "it ends with trading ACTIVE; the engine starts HALTED whatever it says" in said
    start(desk)
    assert desk.json("status")["state_reason"] == WHY


def test_a_home_that_was_put_back_whole_is_known_by_what_its_venue_tells(desk: Desk, tmp_path: Path) -> None:
    """Journal and run numbers from one backup: nothing but the venue knows better, and no id comes a second time."""
    desk.demo()
    kill(desk)
    journal, runs = desk.home.journal.parent, desk.home.root / "runs"
    shutil.copytree(journal, tmp_path / "journal")
    shutil.copy(runs, tmp_path / "runs")
    start(desk)
    before = desk.json("order", "buy", "BTC-USDT.P", "0.02")["client_order_id"]
    kill(desk)
    shutil.rmtree(journal)
    shutil.copytree(tmp_path / "journal", journal)
    shutil.copy(tmp_path / "runs", runs)
    start(desk)
    status = desk.json("status")
    assert (status["state"], status["state_reason"]) == ("HALTED", WHY)
    desk.ok("resume", "--word", "RESUME")
    after = desk.json("order", "buy", "BTC-USDT.P", "0.01")["client_order_id"]
    runs_of = [found[0] for id_ in (before, after) if (found := re.match(r"t[0-9a-f]+r\d+t", id_))]
    assert len(runs_of) == 2
    assert runs_of[0] == runs_of[1], "the run number comes twice"
    assert before != after
    desk.ok("flatten", "--all")
    assert desk.json("status")["state"] == "ACTIVE", "it is told once"
