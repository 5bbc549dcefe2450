"""Bringing up a home while others start things there."""

import contextlib
import os
import signal
from collections.abc import Sequence
from typing import Any

import pytest

from core.errors import StoreError
from core.guardian.pulse import Phase
from desk.paths import Home, Role
from desk.roles import services
from desk.roles.launch import bring_rest, bring_up
from desk.roles.pulses import open_pulse
from tests.desk.conftest import Desk


def test_a_role_that_an_engine_starts_in_the_same_moment_is_up(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that finds the lease held calls its sentinel at once: the launcher's own comes too late."""
    start = services.start

    def overtaken(home: Home, role: Role, arguments: Sequence[str] = (), **more: Any) -> int:
        if role is Role.SENTINEL:
            start(home, role)
        return start(home, role, arguments, **more)

    monkeypatch.setattr(services, "start", overtaken)
    assert bring_up(desk.home, None) == [Role.MARKET, Role.ENGINE, Role.RECORDER]
    assert all(services.running(desk.home, role) for role in (Role.MARKET, Role.ENGINE, Role.SENTINEL, Role.RECORDER))


def test_what_a_fallen_engine_held_is_closed_where_none_can_start(desk: Desk) -> None:
    """Both fell, and the journal is damaged: whoever brings the house up again leaves the position to the sentinel."""
    bring_up(desk.home, None)
    desk.wait(desk.ready, "the venue is reconciled")
    desk.json("order", "buy", "ETH-USDT.P", "0.1")
    for role in (Role.SENTINEL, Role.ENGINE):
        os.kill(desk.pid(role), signal.SIGKILL)
        services.wait_gone(desk.home, role)
    desk.damage_journal()
    with pytest.raises(StoreError, match=r"journal damaged(.|\n)*did not end in order: its sentinel runs"):
        bring_up(desk.home, None)
    with contextlib.closing(open_pulse(desk.home)) as pulse:
        desk.wait(lambda: pulse.sentinel().phase is Phase.FLAT, "everything is flat")
    assert "reduce_only=True" in desk.home.log(Role.SENTINEL).read_text()


def test_a_start_that_fails_where_no_engine_fell_leaves_nothing_behind(desk: Desk) -> None:
    bring_up(desk.home, None)
    desk.ok("stop")
    desk.home.journal.write_bytes(b"none")
    with pytest.raises(StoreError, match="the engine ended while starting"):
        bring_up(desk.home, None)
    assert all(services.running(desk.home, role) is None for role in Role)


def test_what_is_missing_beside_an_engine_is_started(desk: Desk) -> None:
    demo = desk.demo(first=True)
    os.kill(desk.pid(Role.RECORDER), signal.SIGKILL)
    desk.wait(lambda: services.running(desk.home, Role.RECORDER) is None, "the recorder is gone")
    assert bring_rest(desk.home) == [Role.RECORDER]
    assert bring_rest(desk.home) == []
    assert demo.poll() is None
