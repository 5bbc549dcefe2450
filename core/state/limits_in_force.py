"""The guardian's settings as they were when the engine last ran, what was loosened since, and what may not be yet."""

from collections.abc import Callable, Iterable
from typing import Any

from core.domain.events import GuardianSettingsChanged, SettingChange
from core.domain.watch import LooserLimitsHeldBack


class LimitsInForce:
    """Keep every setting as text, and the loosenings that no later change has taken back; ``State.apply`` alone."""

    def __init__(self) -> None:
        self.settings: dict[str, str] = {}
        self.loosened: dict[str, SettingChange] = {}
        self.held_back: dict[str, SettingChange] = {}
        """Looser settings that were found at the start and wait for the typed word."""

    def handlers(self) -> dict[type, Callable[[Any], None]]:
        """Return what takes each event that concerns settings."""
        return {GuardianSettingsChanged: self.changed, LooserLimitsHeldBack: self._hold_back}

    def changed(self, event: GuardianSettingsChanged) -> None:
        """Take settings that are in force, now or from the next start."""
        for change in event.changes:
            self.loosened.pop(change.key, None)
            self.held_back.pop(change.key, None)
            if change.new:
                self.settings[change.key] = change.new
            else:
                self.settings.pop(change.key, None)
            if change.loosens:
                self.loosened[change.key] = change

    def _hold_back(self, event: LooserLimitsHeldBack) -> None:
        self.held_back = {change.key: change for change in event.changes}

    def restore(
        self, settings: dict[str, str], loosened: Iterable[SettingChange], held_back: Iterable[SettingChange] = ()
    ) -> None:
        """Take what a checkpoint kept."""
        self.settings = dict(settings)
        self.loosened = {change.key: change for change in loosened}
        self.held_back = {change.key: change for change in held_back}

    def words(self) -> tuple[str, ...]:
        """Return each loosening in words."""
        return tuple(map(change_words, self.loosened.values()))

    def held_back_words(self) -> tuple[str, ...]:
        """Return in words each loosening that is not in force."""
        return tuple(map(change_words, self.held_back.values()))


def change_words(change: SettingChange) -> str:
    """Return one change of a setting in words."""
    return f"{change.key} {change.old} → {change.new or 'gone'}"
