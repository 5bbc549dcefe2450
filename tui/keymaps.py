"""The keymaps of a config: the base one, and those with a name, which change some of its keys."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from core.config.settings import BASE_KEYMAP, Places, TerminalSettings
from core.errors import ConfigError
from tui.actions import KeyClash, rebind, shown_key


def names_of(settings: TerminalSettings) -> tuple[str, ...]:
    """Give the names of all keymaps, the base one first."""
    return (BASE_KEYMAP, *settings.keymaps)


def own_keys(settings: TerminalSettings, name: str) -> Mapping[str, str | Sequence[str]]:
    """Give the keys that a keymap has beside those of the table of actions; its own go before the base's."""
    return {**settings.keys, **settings.keymaps.get(name, {})}


def keys_of(settings: TerminalSettings, name: str) -> dict[str, tuple[str, ...]]:
    """Give the keys of every action in a keymap.

    Raises:
        KeyClash: see `tui.actions.rebind`.
    """
    return rebind(own_keys(settings, name))


def check(settings: TerminalSettings, config: Path | None) -> None:
    """Look at every keymap, also at those that are not chosen: they can be at any moment.

    Raises:
        ConfigError: two actions of one keymap share a key, or an id is unknown; it names the line of ``config``.
    """
    for name in names_of(settings):
        try:
            _ = keys_of(settings, name)
        except KeyClash as clash:
            named = clash.action_id in settings.keymaps.get(name, {})
            table = f"terminal.keymaps.{name}" if named else "terminal.keys"
            place = f"{_places(config).near(f'{table}.{clash.action_id}')} [{table}] {clash.action_id}".lstrip()
            within = "" if named or name == BASE_KEYMAP else f" (in keymap {name})"
            raise ConfigError(f"{place}: {clash.words}{within}") from clash


def _places(config: Path | None) -> Places:
    from core.config.file import line_numbers

    try:
        return Places() if config is None else Places(config.name, line_numbers(config.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError):  # it has gone meanwhile: the sentence stands without a line
        return Places()


def words_of(settings: TerminalSettings, name: str) -> str:
    """Say in a line which keys are another keymap's own: ``halt 0 · flatten x``."""
    keys = settings.keys if name == BASE_KEYMAP else settings.keymaps[name]
    shown = (f"{id_} {shown_key(key if isinstance(key, str) else key[0])}" for id_, key in keys.items())
    return " · ".join(shown) or "the keys of the guide"
