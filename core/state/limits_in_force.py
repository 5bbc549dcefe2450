"""The guardian's settings as they were when the engine last ran, what was loosened since, and what may not be yet."""

from collections.abc import Callable, Iterable
from typing import Any

from core.config.looser import loosens
from core.domain.events import GuardianSettingsChanged, SettingChange
from core.domain.watch import LooserLimitsHeldBack


class LimitsInForce:
    """Keep every setting as text, and the loosenings that no later change has taken back; ``State.apply`` alone."""

    def __init__(self) -> None:
        self.settings: dict[str, str] = {}
        self.loosened: dict[str, SettingChange] = {}
        """Each from what was in force before the first of its steps to what is now."""
        self.held_back: dict[str, SettingChange] = {}
        """Looser settings that were found at the start and wait for the typed word."""
        self.at_next_start: set[str] = set()
        """Settings that have their word, and that the engine which runs does not judge by yet."""

    def handlers(self) -> dict[type, Callable[[Any], None]]:
        """Return what takes each event that concerns settings."""
        return {GuardianSettingsChanged: self.changed, LooserLimitsHeldBack: self._hold_back}

    def changed(self, event: GuardianSettingsChanged) -> None:
        """Take settings that are in force, now or from the next start."""
        for change in event.changes:
            self.held_back.pop(change.key, None)
            if change.new:
                self.settings[change.key] = change.new
            else:
                self.settings.pop(change.key, None)
            looser = _since_the_first(self.loosened.pop(change.key, None), change)
            if looser is not None:
                self.loosened[change.key] = looser
            if event.at_next_start:
                self.at_next_start.add(change.key)

    def started(self) -> None:
        """Take the start of an engine: it judges by what is in force now."""
        self.at_next_start.clear()

    def _hold_back(self, event: LooserLimitsHeldBack) -> None:
        self.held_back = {change.key: change for change in event.changes}

    def restore(
        self,
        settings: dict[str, str],
        loosened: Iterable[SettingChange],
        held_back: Iterable[SettingChange] = (),
        at_next_start: Iterable[str] = (),
    ) -> None:
        """Take what a checkpoint kept."""
        self.at_next_start = set(at_next_start)
        self.settings = dict(settings)
        self.loosened = {change.key: change for change in loosened}
        self.held_back = {change.key: change for change in held_back}

    def words(self) -> tuple[str, ...]:
        """Return each loosening in words."""
        return tuple(
            change_words(change) + " (from the next start)" * (key in self.at_next_start)
            for key, change in self.loosened.items()
        )

    def held_back_words(self) -> tuple[str, ...]:
        """Return in words each loosening that is not in force."""
        return tuple(map(change_words, self.held_back.values()))


def _since_the_first(first: SettingChange | None, change: SettingChange) -> SettingChange | None:
    """Return a setting's change since it was loosened first, or None where nothing is looser than it was then."""
    if first is None:
        return change if change.loosens else None
    looser = not change.new or loosens(change.key, first.old, change.new)
    return SettingChange(change.key, first.old, change.new, True) if looser else None


def change_words(change: SettingChange) -> str:
    """Return one change of a setting in words."""
    return f"{change.key} {change.old} → {change.new or 'gone'}"
