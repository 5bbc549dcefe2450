"""Write ``config.toml`` complete, a comment beside every key, and say what each key means."""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, get_args, get_type_hints

import msgspec

from core.config.settings import Section, Settings

TABLES = frozenset({"terminal.keys", "terminal.keymaps", "terminal.layouts", "alerts.targets", "risk.scenarios"})
"""Keys written as tables of their own, so that a line or a table can be added below them."""


def sections() -> dict[str, type[Section]]:
    """Return the sections of the file by name, in their order."""
    hints = get_type_hints(Settings)
    return {name: hints[name] for name in Settings.__struct_fields__}


def descriptions(section: type[Section]) -> dict[str, str]:
    """Return what is said of each key of a section, in order."""
    hints = get_type_hints(section, include_extras=True)
    return {name: _description(hints[name]) for name in section.__struct_fields__}


def _description(hint: Any) -> str:
    metas = [meta for meta in get_args(hint) if isinstance(meta, msgspec.Meta)]
    return next((meta.description for meta in metas if meta.description), "")


def render(settings: Settings) -> str:
    """Return the complete file with a comment beside every key."""
    out = [
        "# tradedeck's settings. Unknown keys are refused; every key is described in docs/guide/config.md.",
        "# Each role reads this file when it starts: restart the engine after a change to its sections.",
    ]
    for name, section in sections().items():
        values = getattr(settings, name)
        out += ["", *(f"# {line}" for line in _summary(section)), f"[{name}]"]
        tables: list[str] = []
        for key, text in descriptions(section).items():
            value = getattr(values, key)
            if f"{name}.{key}" in TABLES:
                tables += [
                    "",
                    f"# {text}",
                    f"[{name}.{key}]",
                    *(line for k, v in value.items() for line in _entry(f"{name}.{key}", k, v)),
                ]
            else:
                out += [f"# {text}", f"{key} = {toml_value(value)}"]
        out += tables
    return "\n".join(out) + "\n"


def _entry(table: str, key: str, value: Any) -> list[str]:
    if isinstance(value, Section | Mapping):
        items = (value if isinstance(value, Mapping) else msgspec.structs.asdict(value)).items()
        return [f"[{table}.{_name(key)}]", *(f"{_name(inner)} = {toml_value(item)}" for inner, item in items)]
    return [f"{_name(key)} = {toml_value(value)}"]


def _summary(section: type[Section]) -> list[str]:
    return [(section.__doc__ or "").strip().splitlines()[0]]


def _name(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else f'"{key}"'


def toml_value(value: Any) -> str:
    """Return a value as TOML writes it; lists of more than two go over several lines, unless they are of pairs."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, Decimal):
        return f'"{value:f}"'
    if isinstance(value, Mapping):
        inside = ", ".join(f"{_name(key)} = {toml_value(item)}" for key, item in value.items())
        return f"{{ {inside} }}" if inside else "{}"
    if isinstance(value, list | tuple):
        items = [toml_value(item) for item in value]
        short = len(items) < 3 or isinstance(value[0], list | tuple)
        return "[" + ", ".join(items) + "]" if short else "[\n    " + ",\n    ".join(items) + ",\n]"
    escaped = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
