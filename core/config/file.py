"""Read and write ``config.toml``: every complaint names file, line and key, and says what was expected."""

import difflib
import math
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from core.config import layouts
from core.config.settings import (
    BASE_KEYMAP,
    GuardianSettings,
    LayoutSettings,
    Places,
    ScenarioSettings,
    Section,
    Settings,
    TargetSettings,
)
from core.config.writing import render, sections, toml_value
from core.domain.identifiers import instrument_id
from core.errors import ConfigError, InvalidInstrumentId

FILE_NAME = "config.toml"
T = TypeVar("T", bound=Section)
_OPTIONAL = frozenset({"guardian.max_order_quantity"})
"""Bounds that hold for named instruments only: leaving them out leaves nothing unguarded."""
_TABLE = re.compile(r"^\s*\[\s*([^\[\]]+?)\s*\]\s*(#.*)?$")
_KEY = re.compile(r"""^\s*("[^"]*"|'[^']*'|[A-Za-z0-9_-]+)\s*[.=]""")
_QUOTED = re.compile(r'"(?:\\.|[^"\\])*"|\'[^\']*\'|#.*')
_WORDS = {
    "int": "a whole number",
    "float": "a number",
    "str": "text in quotes",
    "bool": "true or false",
    "decimal": "a number",
    "array": "a list",
    "object": "a table",
}
_SECRET_KEY = re.compile(r"secret|passw|passphrase|token|api_?key|private_?key|mnemonic|seed_?phrase|credential", re.I)
_SECRET_NAME = re.compile(r"[A-Za-z0-9_-]{0,32}")
_SECRET_URL = re.compile(r"//[^/@{]+:[^/@{]+@|/bot\d+:[\w-]{20,}|[?&](?:token|key|secret|auth)=[^&{]", re.I)
_SECRET_DSN = re.compile(r"//[^/@]*:[^/@]*@|\bpassword\s*=", re.I)
_NO_WORDS = ("risk.scenarios", "guardian.max_order_quantity", "paper.balances", "terminal.keys", "terminal.keymaps")
"""Tables whose keys are the user's own: a coin may be called TOKEN."""
CLOCK_PATTERN = "^([01][0-9]|2[0-3]):[0-5][0-9]$"
_EXPECTED = re.compile(r"^Expected `([^`]+)`(?: (matching regex|>=|>|<=|<) ?(.*?))?(?:, got `(\w+)`)?$")
_PATH = re.compile(r"^(.*) - at `(?:key in )?\$\.?(.*)`$", re.DOTALL)


def load(path: Path) -> tuple[Settings, Places]:
    """Read a configuration file.

    Raises:
        ConfigError: for text that is not TOML, an unknown key, a wrong value or a missing limit, with file and line.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    return parse(text, path.name, str(path))


def load_or_create(path: Path) -> tuple[Settings, Places]:
    """Read a configuration file; where there is none, write the complete, commented one first."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.{os.getpid()}")
        part.write_text(render(Settings()), encoding="utf-8")
        part.replace(path)
    return load(path)


def parse(text: str, name: str = FILE_NAME, path: str = FILE_NAME) -> tuple[Settings, Places]:
    """Read the text of a configuration file; ``name`` stands before line numbers, ``path`` in what to do.

    Raises:
        ConfigError: see ``load``.
    """
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{name}: {error}; expected TOML: [section] and key = value lines") from error
    lines = line_numbers(text)
    _refuse_secrets(tree, name, lines)
    _refuse_unknown(tree, name, lines)
    if "keys" in tree.get("terminal", {}):
        tree["terminal"]["keys"] = dict(_flat(tree["terminal"]["keys"]))
    _refuse_missing(tree, path)
    _refuse_endless(tree, name, lines)
    _refuse_named(tree, name, lines)
    _refuse_layouts(tree, name, lines)
    _refuse_keymaps(tree, name, lines)
    _refuse_steps(tree, name, lines)
    _refuse_no_ids(tree, name, lines)
    try:
        settings = msgspec.convert(tree, Settings)
    except msgspec.ValidationError as error:
        raise ConfigError(_complaint(str(error), tree, name, lines)) from error
    return settings, Places(name, lines)


def line_numbers(text: str) -> dict[str, int]:
    """Return the line of each table (``guardian``) and key (``guardian.max_gross_frac``), from 1."""
    found: dict[str, int] = {}
    table, depth, quote = "", 0, ""
    for number, line in enumerate(text.splitlines(), 1):
        if quote:
            quote = "" if quote in line else quote
            continue
        if depth == 0:
            head, key = _TABLE.match(line), _KEY.match(line)
            if head:
                table = ".".join(part.strip().strip("\"'") for part in head[1].split("."))
                found.setdefault(table, number)
                continue
            if key:
                found.setdefault(f"{table}.{key[1].strip(chr(34) + chr(39))}".lstrip("."), number)
        quote = next((mark for mark in ('"""', "'''") if line.count(mark) == 1), "")
        bare = _QUOTED.sub("", line)
        depth = max(0, depth + bare.count("[") + bare.count("{") - bare.count("]") - bare.count("}"))
    return found


def _refuse_unknown(tree: Mapping[str, Any], name: str, lines: Mapping[str, int]) -> None:
    known = sections()
    for section, values in tree.items():
        if section not in known:
            what = "section" if isinstance(values, dict) else "key outside a section:"
            raise ConfigError(f"{_at(name, lines, section)} no {what} [{section}]{_hint(section, known, 'sections')}")
        if not isinstance(values, dict):
            raise ConfigError(
                f"{_at(name, lines, section)} [{section}] is a section; write [{section}] on its own line"
            )
        keys = known[section].__struct_fields__
        for key in values:
            if key not in keys:
                place = _at(name, lines, f"{section}.{key}")
                raise ConfigError(f'{place} [{section}] has no key "{key}"{_hint(key, keys, "keys")}')


def _hint(word: str, known: Any, what: str) -> str:
    near = difflib.get_close_matches(word, list(known), 1)
    return f'; did you mean "{near[0]}"?' if near else f"; its {what}: {', '.join(known)}"


def _refuse_missing(tree: Mapping[str, Any], path: str) -> None:
    given, defaults = tree.get("guardian", {}), GuardianSettings()
    keys = [key for key in GuardianSettings.__struct_fields__ if f"guardian.{key}" not in _OPTIONAL]
    lines = [f"{key} = {toml_value(getattr(defaults, key))}" for key in keys if key not in given]
    if not lines:
        return
    text = (
        f"guardian.{lines[0].partition(' ')[0]} missing: the engine does not start without it; "
        f'the default is "{lines[0]}" under [guardian] of {path}'
    )
    if len(lines) > 1:  # such as in a file from before these limits were there
        text += "; these are missing too, with their defaults:\n" + "\n".join(lines[1:])
    raise ConfigError(f"{text}\ntradedeck config upgrade adds what is missing, and keeps the file as it was beside it")


def _refuse_endless(tree: Mapping[str, Any], name: str, lines: Mapping[str, int]) -> None:
    """Refuse nan and inf: every comparison with such a bound would let everything pass."""
    for path, value in _flat(tree):
        if isinstance(value, float) and not math.isfinite(value):
            section, _, key = path.partition(".")
            raise ConfigError(f"{_at(name, lines, path)} [{section}] {key}: must be a number (got {value})")


def _refuse_named(tree: Mapping[str, Any], name: str, lines: Mapping[str, int]) -> None:
    """Check each target and each scenario by itself: the complaint about all of them could not name the one."""
    for table, kind in (("alerts.targets", TargetSettings), ("risk.scenarios", ScenarioSettings)):
        for _ in _tables(tree, table, kind, name, lines):
            pass


def _refuse_layouts(tree: Mapping[str, Any], name: str, lines: Mapping[str, int]) -> None:
    """Check each layout by itself, its panes too, and that the chosen one is there."""
    known = []
    for layout, found in _tables(tree, "terminal.layouts", LayoutSettings, name, lines):
        known.append(layout)
        section = f"terminal.layouts.{layout}"
        flaw = layouts.name_flaw(layout)
        if flaw:
            raise ConfigError(f"{_at(name, lines, section)} [{section}]: {flaw}")
        column, flaw = layouts.column_flaws((side, getattr(found, side)) for side in ("left", "middle", "right"))
        if flaw:
            raise ConfigError(f"{_at(name, lines, f'{section}.{column}')} [{section}] {column}: {flaw}")
    _refuse_choice(tree, "layout", (*layouts.BUILT_IN, *known), name, lines)


def _refuse_keymaps(tree: Mapping[str, Any], name: str, lines: Mapping[str, int]) -> None:
    """Check the form of each keymap, and that the chosen one is there; the screen judges the keys."""
    keymaps = tree.get("terminal", {}).get("keymaps", {})
    for keymap, keys in keymaps.items() if isinstance(keymaps, dict) else ():
        section = f"terminal.keymaps.{keymap}"
        flaw = "" if isinstance(keys, dict) else "must be a table of its own"
        if flaw := flaw or layouts.name_flaw(keymap, (BASE_KEYMAP,)):
            raise ConfigError(f"{_at(name, lines, section)} [{section}]: {flaw}")
        keymaps[keymap] = dict(_flat(keys))
        for action, key in keymaps[keymap].items():
            if not all(isinstance(one, str) for one in (key if isinstance(key, list) else [key])):
                place = f"{_at(name, lines, f'{section}.{action}')} [{section}] {action}"
                raise ConfigError(f"{place}: must be a key in quotes, or a list of keys (got {toml_value(key)})")
    _refuse_choice(tree, "keymap", (BASE_KEYMAP, *keymaps), name, lines)


def _refuse_choice(tree: Any, key: str, names: tuple[str, ...], name: str, lines: Mapping[str, int]) -> None:
    chosen = tree.get("terminal", {}).get(key, names[0])
    if isinstance(chosen, str) and chosen not in names:
        place = _at(name, lines, f"terminal.{key}")
        raise ConfigError(f"{place} [terminal] {key}: must be one of {', '.join(names)} (got {toml_value(chosen)})")


def _tables(
    tree: Mapping[str, Any], table: str, kind: type[T], name: str, lines: Mapping[str, int]
) -> Iterator[tuple[str, T]]:
    """Read the tables below a table one by one, so that a complaint names the one."""
    head, _, tail = table.partition(".")
    tables = tree.get(head, {}).get(tail, {})
    keys = kind.__struct_fields__
    for one, values in tables.items() if isinstance(tables, dict) else ():
        section = f"{table}.{one}"
        if not isinstance(values, dict):
            raise ConfigError(f"{_at(name, lines, section)} [{table}] {one}: must be a table of its own")
        for key in values:
            if key not in keys:
                place = _at(name, lines, f"{section}.{key}")
                raise ConfigError(f'{place} [{section}] has no key "{key}"{_hint(key, keys, "keys")}')
        try:
            yield one, msgspec.convert(values, kind)
        except msgspec.ValidationError as error:
            found = _PATH.match(str(error))
            what, key = (found[1], found[2].partition("[")[0]) if found else (str(error), keys[0])
            got = f" (got {toml_value(values[key])})" if key in values else ""
            place = _at(name, lines, f"{section}.{key}")
            raise ConfigError(f"{place} [{section}] {key}: {expectation(what)}{got}") from error


def _refuse_steps(tree: Mapping[str, Any], name: str, lines: Mapping[str, int]) -> None:
    """Refuse a drawdown ladder that would let more be held the more is lost, and an age that is none."""
    section = tree.get("guardian", {})
    steps, depth, factor = section.get("drawdown_steps", ()), 0.0, 1.0
    for step in steps if isinstance(steps, list) else ():
        pair = isinstance(step, list) and len(step) == 2 and all(type(value) in (int, float) for value in step)
        if not pair or not depth < step[0] < 1.0 or not 0.0 <= step[1] < factor:
            text = "must be [drawdown, factor] pairs: drawdowns rise between 0 and 1, factors fall from below 1 to 0"
            place = _at(name, lines, "guardian.drawdown_steps")
            raise ConfigError(f"{place} [guardian] drawdown_steps: {text} (got {toml_value(step)})")
        depth, factor = step
    ages = section.get("max_age_s", {})
    for who, age in ages.items() if isinstance(ages, dict) else ():
        if type(age) not in (int, float) or not age > 0:
            text = f"{who} must be seconds greater than 0 (got {toml_value(age)})"
            raise ConfigError(f"{_at(name, lines, 'guardian.max_age_s')} [guardian] max_age_s: {text}")


def _refuse_no_ids(tree: Mapping[str, Any], name: str, lines: Mapping[str, int]) -> None:
    """Refuse an instrument that is none: it would choose or bound nothing."""
    for section, key in (("engine", "instruments"), ("guardian", "max_order_quantity")):
        named = tree.get(section, {}).get(key, ())
        for text in named if isinstance(named, list | dict) else ():
            try:
                proper = instrument_id(text) if isinstance(text, str) else text
            except InvalidInstrumentId as error:
                raise ConfigError(f"{_at(name, lines, f'{section}.{key}')} [{section}] {key}: {error}") from None
            if proper != text:
                place = _at(name, lines, f"{section}.{key}")
                raise ConfigError(f'{place} [{section}] {key}: write "{text}" as "{proper}"')


def _refuse_secrets(tree: Mapping[str, Any], name: str, lines: Mapping[str, int]) -> None:
    """Refuse what looks like a secret, never quoting it: this file is shown, copied and kept with others."""
    for path, value in _flat(tree):
        head, _, key = path.rpartition(".")
        if not isinstance(value, str) or head.startswith(_NO_WORDS):
            continue
        wrong = ""
        if key == "secret" and (head == "configs" or head.startswith("alerts.targets.")):
            wrong = "" if _SECRET_NAME.fullmatch(value) else "names a secret of secrets.toml, and is not the secret"
        elif _SECRET_KEY.search(key):
            wrong = "looks like a secret, and this file is no place for one"
        elif key == "url" and _SECRET_URL.search(value):
            wrong = "holds what looks like a secret: write {secret} in its place and name it under secret"
        elif key == "dsn" and _SECRET_DSN.search(value):
            wrong = "holds a password: leave it out and name it under secret"
        if wrong:
            advice = "write it into secrets.toml (chmod 600), or give it by the environment (docs/guide/config.md)"
            raise ConfigError(f'{_at(name, lines, path)} [{head}] "{key}" {wrong}; {advice}')


def _flat(tree: Mapping[str, Any], head: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the leaves of nested tables under dotted names: ``ticket.buy = "b"`` without quotes is a table in TOML."""
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{head}{key}.")
        else:
            yield f"{head}{key}", value


def _at(name: str, lines: Mapping[str, int], path: str) -> str:
    return Places(name, lines).near(path)


def _complaint(error: str, tree: Mapping[str, Any], name: str, lines: Mapping[str, int]) -> str:
    found = _PATH.match(error)
    what, path = (found[1], found[2]) if found else (error, "")
    parts = re.findall(r"[^.\[\]]+", path.replace("[...]", ""))
    section, key = [*parts, "", ""][:2]
    value = tree.get(section, {}).get(key)
    place = _at(name, lines, f"{section}.{key}")
    return f"{place} [{section}] {key}: {expectation(what)} (got {toml_value(value)})"


def expectation(text: str) -> str:
    """Return what a failed check expected, in words, from msgspec's sentence."""
    found = _EXPECTED.match(text)
    if found is None:
        return text[:1].lower() + text[1:]
    kinds = [kind.strip() for kind in found[1].split("|")]
    words = " or ".join(dict.fromkeys(_WORDS.get(kind, kind) for kind in kinds))
    if found[2] == "matching regex":
        pattern = found[3].strip("'")
        if pattern == CLOCK_PATTERN:
            return 'must be a time of day in quotes, as "00:00" or "17:30"'
        choice = re.fullmatch(r"\^\(([^()]*)\)\$", pattern)
        return f"must be one of {choice[1].replace('|', ', ')}" if choice else f"must be {words} fitting {pattern}"
    bound = f" {found[2]} {found[3].removesuffix('.0')}" if found[2] else ""
    return f"must be {words}{bound}"
