"""Bringing up a home while others start things there."""

from collections.abc import Sequence
from typing import Any

import pytest

from desk.paths import Home, Role
from desk.roles import services
from desk.roles.launch import bring_up
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
