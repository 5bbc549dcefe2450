"""An engine's sentinel that cannot start says why, where a trader sees it."""

from pathlib import Path

import pytest

from core.domain.market import SentinelStatus
from desk.commands.shown import sentinel_words
from desk.paths import Home, Role
from desk.roles import services
from desk.roles.sitter import TROUBLE, Sitter
from desk.roles.systemd import Notify
from tests.core.kit import T0, S


def test_the_last_line_of_a_failed_start_is_kept_until_one_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Home(tmp_path).create()
    home.config.write_text("[nonsense]\n")
    sitter = Sitter(home, Notify())
    sitter._replace()
    assert "no section [nonsense]" in sitter._trouble
    assert "\n" not in sitter._trouble
    assert len(sitter._trouble) <= TROUBLE
    monkeypatch.setattr(services, "start", lambda home, role: 0 if role is Role.SENTINEL else 1)
    sitter._replace()
    assert sitter._trouble == ""


def test_status_says_that_there_is_none_and_why() -> None:
    told = SentinelStatus(False, "", T0 - 9 * S, "watches", "drill", T0, "config.toml:3 [nonsense]")

    def said(status: SentinelStatus) -> str:
        class View:
            now, sentinel = T0, status

        return sentinel_words(View())  # type: ignore[arg-type]

    missing = (
        "the sentinel has been silent for 9 s: nobody closes for a dead engine; none starts: config.toml:3 [nonsense]"
    )
    assert said(told) == f"NO SENTINEL: {missing}; drill"
    assert said(told.replace(holds="the engine is dead")) == (
        f"NO SENTINEL: {missing}; the lease is held: the engine is dead; drill"
    )
    assert said(told.replace(seen=T0, armed=True)) == "sentinel ♥0.0s armed; drill"
