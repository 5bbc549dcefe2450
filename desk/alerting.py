"""Alerts on their way out: the targets of the settings with their secrets, and the thread that serves them."""

import time
from typing import TYPE_CHECKING

import structlog

from core.clock import LiveClock
from core.config.secrets import find_secret
from core.config.settings import Settings
from core.domain.alerts import AlertKind, AlertRaised, Severity
from core.domain.identifiers import InstrumentId
from core.errors import TradedeckError
from desk.paths import Home, is_marked
from desk.roles.hardening import from_keyring

if TYPE_CHECKING:
    from core.notify.notifier import Notifier, Tell
    from core.notify.targets import Target

log = structlog.get_logger()
SECTION = "alerts"


def targets(home: Home, settings: Settings, mode: str = "paper", *, look: bool = False) -> "list[Target]":
    """Return the targets of the settings; for a ``look`` at them alone, a home gets no mark.

    Raises:
        ConfigError: an address that is none, a secret that is missing or that others can read.
    """
    from core.notify.targets import targets_of

    named = {name: target.secret for name, target in settings.alerts.targets.items() if target.secret}
    secrets = {name: find_secret(home.secrets, SECTION, secret, from_keyring) for name, secret in named.items()}
    mark = "" if look and not is_marked(home) else home.mark()
    return targets_of(settings.alerts, secrets, mode, mark)


def notifier(home: Home, settings: Settings, tell: "Tell") -> "Notifier":
    """Return what hands alerts to the targets; ``tell`` hears from its thread how they stand.

    Raises:
        ConfigError: see ``targets``.
    """
    from core.notify.notifier import Notifier

    return Notifier(settings.alerts, targets(home, settings), LiveClock(), tell)


class Crier:
    """Hand the sentinel's alarms to the targets of the settings; what that needs is loaded with the first one."""

    def __init__(self, home: Home, settings: Settings) -> None:
        self._home, self._settings = home, settings
        self._notifier: Notifier | None = None
        self._number = 0

    def cry(self, words: str) -> None:
        """Tell a human; returns at once."""
        if not self._settings.alerts.targets:
            return
        try:
            if self._notifier is None:
                self._notifier = notifier(self._home, self._settings, lambda _: None)
                self._notifier.start()
        except TradedeckError as error:
            log.warning("alarm not delivered", words=words, error=str(error))
            return
        self._number += 1
        now = time.time_ns()
        alert = (self._number, f"sentinel:{now}", AlertKind.SENTINEL, Severity.CRITICAL, InstrumentId(""), words, "")
        self._notifier.take(AlertRaised(*alert, False, 1, False, now))

    @property
    def quiet(self) -> bool:
        """Tell whether nothing was ever handed to a target."""
        return self._notifier is None

    def close(self) -> None:
        """End; what was not tried yet gets a moment to leave."""
        if self._notifier is not None:
            self._notifier.stop()
