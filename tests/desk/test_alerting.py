"""The sentinel's alarms reach the targets of the settings without an engine."""

from pathlib import Path

from core.config.settings import AlertSettings, Settings, TargetSettings
from desk.alerting import Crier
from desk.paths import Home
from tests.core.notify.servers import Server, wait_for


def test_an_alarm_is_posted_to_every_target(tmp_path: Path) -> None:
    home = Home(tmp_path).create()
    with Server() as server:
        target = TargetSettings(kind="webhook", url=server.url)
        crier = Crier(home, Settings(alerts=AlertSettings(targets={"phone": target})))
        crier.cry("the engine is dead")
        crier.cry("everything is flat")
        wait_for(lambda: "everything is flat" in str(server.requests))
        assert "the engine is dead" in str(server.requests)
        crier.close()


def test_without_targets_nothing_is_loaded(tmp_path: Path) -> None:
    crier = Crier(Home(tmp_path).create(), Settings())
    crier.cry("the engine is dead")
    assert crier.quiet


def test_a_target_that_cannot_be_used_does_not_stop_the_sentinel(tmp_path: Path) -> None:
    target = TargetSettings(kind="webhook", url="https://example.org/{secret}", secret="missing")
    crier = Crier(Home(tmp_path).create(), Settings(alerts=AlertSettings(targets={"phone": target})))
    crier.cry("the engine is dead")
    assert crier.quiet
