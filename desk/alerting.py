"""Alerts on their way out: the targets of the settings with their secrets, and the thread that serves them."""

from core.clock import LiveClock
from core.config import Settings
from core.notify.notifier import Notifier, Tell
from core.notify.targets import Target, targets_of
from core.secrets import find_secret
from desk.hardening import from_keyring
from desk.paths import Home

SECTION = "alerts"


def targets(home: Home, settings: Settings, mode: str = "paper") -> list[Target]:
    """Return the targets of the settings.

    Raises:
        ConfigError: an address that is none, a secret that is missing or that others can read.
    """
    named = {name: target.secret for name, target in settings.alerts.targets.items() if target.secret}
    secrets = {name: find_secret(home.secrets, SECTION, secret, from_keyring) for name, secret in named.items()}
    return targets_of(settings.alerts, secrets, mode, home.mark())


def notifier(home: Home, settings: Settings, tell: Tell) -> Notifier:
    """Return what hands alerts to the targets; ``tell`` hears from its thread how they stand.

    Raises:
        ConfigError: see ``targets``.
    """
    return Notifier(settings.alerts, targets(home, settings), LiveClock(), tell)
