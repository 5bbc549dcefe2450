"""Bring a ``config.toml`` of an earlier version up to date: what is missing is added with its default."""

import shutil
import tomllib
from pathlib import Path
from typing import Any

from core.config.file import line_numbers, parse
from core.config.settings import Settings
from core.config.writing import TABLES, descriptions, sections, toml_value
from core.errors import ConfigError


def upgrade(path: Path) -> tuple[list[str], Path | None]:
    """Add what a configuration file lacks; return the keys added and where the file as it was is kept.

    Raises:
        ConfigError: the file cannot be read, or is wrong otherwise; it is as before.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    new, added = upgraded(text, path.name, str(path))
    if not added:
        return added, None
    kept = _free(path)
    part = path.with_name(f".{path.name}.new")
    try:
        shutil.copy2(path, kept)
        part.write_text(new, encoding="utf-8")
        shutil.copymode(path, part)
        part.replace(path)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error}; it is as before") from error
    return added, kept


def upgraded(text: str, name: str, path: str) -> tuple[str, list[str]]:
    """Return the text with what it lacks, below the heads of its sections, and the keys that were added.

    Raises:
        ConfigError: it is wrong otherwise, or so written that nothing can be added to it.
    """
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{name}: {error}; expected TOML: [section] and key = value lines") from error
    heads, lines, added = line_numbers(text), text.splitlines(), list[str]()
    defaults, behind, inside = Settings(), list[str](), dict[int, list[str]]()
    for section, kind in sections().items():
        given = tree.get(section, {})
        keys = {key: said for key, said in descriptions(kind).items() if f"{section}.{key}" not in TABLES}
        new: list[str] = []
        for key, said in keys.items():
            if not isinstance(given, dict) or key in given:
                continue
            new += [f"# {said}", f"{key} = {toml_value(getattr(getattr(defaults, section), key))}"]
            added.append(f"{section}.{key}")
        if new and section in heads:
            inside[heads[section]] = new
        elif new:
            behind += ["", f"[{section}]", *new]
    out = [part for number, line in enumerate(lines, 1) for part in (line, *inside.get(number, ()))]
    result = "\n".join([*out, *behind]) + "\n"
    if added:
        _prove(result, tree, name, path)
    return result, added


def _prove(result: str, before: dict[str, Any], name: str, path: str) -> None:
    """Refuse a text that is no valid configuration, or in which something that was there has another value."""
    parse(result, name, path)
    after = tomllib.loads(result)
    for section, values in before.items():
        for key, value in values.items():
            if after[section][key] != value:
                raise ConfigError(
                    f"{path}: [{section}] is written in a way that nothing can be added to; add it by hand"
                )


def _free(path: Path) -> Path:
    """Return a name beside the file that nothing has."""
    number = 1
    while (kept := path.with_name(f"{path.name}.before-{number}")).exists():
        number += 1
    return kept
