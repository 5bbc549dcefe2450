"""What a change of the settings does to the limits: tighter or looser. A looser one takes the typed word."""

import getpass
from collections.abc import Mapping

import msgspec

from core.config.looser import loosens
from core.config.settings import GuardianSettings
from core.domain.events import GuardianSettingsChanged, SettingChange
from core.domain.message import Nanoseconds

SENTINELS = frozenset({"engine_silent_after_ms", "sentinel_grace_ms"})
"""What the sentinel reads from the file by itself: in force as soon as one starts, so that nothing is held back."""


def written(settings: GuardianSettings) -> dict[str, str]:
    """Return every setting as text, by key."""
    return {key: msgspec.json.encode(getattr(settings, key)).decode() for key in settings.__struct_fields__}


def changes(before: Mapping[str, str], settings: GuardianSettings, now: Nanoseconds) -> GuardianSettingsChanged | None:
    """Return what is otherwise than it was when the engine last ran, or None; before the first run nothing was."""
    found = [
        SettingChange(key, before.get(key, ""), new, key in before and loosens(key, before[key], new))
        for key, new in written(settings).items()
        if key not in before or msgspec.json.decode(before[key]) != msgspec.json.decode(new)
    ]
    found += [SettingChange(key, old, "", True) for key, old in before.items() if key not in settings.__struct_fields__]
    if not found:
        return None
    return GuardianSettingsChanged(tuple(found), _user(), "config.toml, read at the start", now)


def in_force(
    before: Mapping[str, str], configured: GuardianSettings
) -> tuple[GuardianSettings, tuple[SettingChange, ...]]:
    """Return the settings to run by, and the looser ones that wait for the word: there what was in force stays.

    What was cannot stay where this program has no such setting any more, or takes no such value.
    """
    chosen, waits = configured, list[SettingChange]()
    for key, new in written(configured).items():
        old = before.get(key, new)
        if old == new or key in SENTINELS or not loosens(key, old, new):
            continue
        try:
            chosen = msgspec.convert({**msgspec.to_builtins(chosen), key: msgspec.json.decode(old)}, GuardianSettings)
        except msgspec.ValidationError:
            continue
        waits.append(SettingChange(key, old, new, True))
    return chosen, tuple(waits)


def loosened(
    before: Mapping[str, str], wanted: Mapping[str, str], who: str, now: Nanoseconds
) -> GuardianSettingsChanged | str:
    """Return the looser ones of some settings as in force from the next start, or why there are none."""
    try:
        decoded = {key: msgspec.json.decode(text) for key, text in {**before, **wanted}.items()}
        settings = written(msgspec.convert(decoded, GuardianSettings))
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        return f"these are no settings of the guardian's: {error}"
    found = [
        SettingChange(key, before[key], settings[key], True)
        for key in wanted
        if key in before and before[key] != settings[key] and loosens(key, before[key], settings[key])
    ]
    if not found:
        return "they loosen nothing: what is tighter takes no word, the next start takes it"
    return GuardianSettingsChanged(tuple(found), who, "the word LOOSEN, in force from the next start", now, True)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return "unknown"
