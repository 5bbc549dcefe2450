"""The guardian's settings as they were when the engine last ran, and which of them were loosened since."""

from collections.abc import Callable, Iterable
from typing import Any

from core.domain.events import GuardianSettingsChanged, SettingChange


class LimitsInForce:
    """Keep every setting as text, and the loosenings that no later change has taken back; ``State.apply`` alone."""

    def __init__(self) -> None:
        self.settings: dict[str, str] = {}
        self.loosened: dict[str, SettingChange] = {}

    def handlers(self) -> dict[type, Callable[[Any], None]]:
        """Return what takes each event that concerns settings."""
        return {GuardianSettingsChanged: self._changed}

    def _changed(self, event: GuardianSettingsChanged) -> None:
        for change in event.changes:
            self.loosened.pop(change.key, None)
            if change.new:
                self.settings[change.key] = change.new
            else:
                self.settings.pop(change.key, None)
            if change.loosens:
                self.loosened[change.key] = change

    def restore(self, settings: dict[str, str], loosened: Iterable[SettingChange]) -> None:
        """Take what a checkpoint kept."""
        self.settings = dict(settings)
        self.loosened = {change.key: change for change in loosened}

    def words(self) -> tuple[str, ...]:
        """Return each loosening in words."""
        return tuple(f"{one.key} {one.old} → {one.new or 'gone'}" for one in self.loosened.values())
