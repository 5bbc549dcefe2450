"""What a change of the settings does to the limits: tighter or looser. A looser one takes the typed word."""

import getpass
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from core.config.settings import GuardianSettings
from core.domain.events import GuardianSettingsChanged, SettingChange
from core.domain.message import Nanoseconds

LARGER_IS_TIGHTER = frozenset(
    {
        *("min_net_frac", "min_effective_bets", "duplicate_window_ms", "forced_stop_frac", "drawdown_recovery_frac"),
        *("min_liquidation_distance_frac", "max_exits_per_second"),
    }
)
"""Of every other number a smaller one is tighter."""
SENTINELS = frozenset({"engine_silent_after_ms", "sentinel_grace_ms"})
"""What the sentinel reads from the file by itself: in force as soon as one starts, so that nothing is held back."""
ZERO_IS_OFF = frozenset({"min_effective_bets", "volatility_target_frac"})
TIGHTEST_FIRST = {"stale_policy": ("exit", "hold"), "protective_stop": ("place", "alert", "brackets", "off")}


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
    return GuardianSettingsChanged(tuple(found), who, "the word LOOSEN, in force from the next start", now)


def loosens(key: str, old: str, new: str) -> bool:
    """Tell whether a change lets more through; what cannot be compared counts as if it did."""
    before, after = msgspec.json.decode(old), msgspec.json.decode(new)
    if isinstance(before, dict) and isinstance(after, dict):
        return any(
            name not in after or Decimal(str(after[name])) > Decimal(str(bound)) for name, bound in before.items()
        )
    if key == "drawdown_steps":
        return any(_left(after, depth) > _left(before, depth) for depth, _ in [*before, *after])
    order = TIGHTEST_FIRST.get(key, ())
    if before in order and after in order:
        return order.index(after) > order.index(before)
    was, becomes = _number(old), _number(new)
    if was is None or becomes is None:
        return True
    if key in ZERO_IS_OFF and (not was or not becomes):
        return not becomes
    return becomes < was if key in LARGER_IS_TIGHTER else becomes > was


def _left(steps: Sequence[tuple[float, float]], depth: float) -> float:
    """Return the factor that a drawdown ladder leaves at a depth."""
    return min((factor for begins, factor in steps if begins <= depth), default=1.0)


def _number(text: str) -> float | None:
    value: Any = msgspec.json.decode(text)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return "unknown"
