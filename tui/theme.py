"""Build the themes from their style sheets: no colour stands in Python."""

import re
from pathlib import Path

from textual.theme import BUILTIN_THEMES, Theme

_FOLDER = Path(__file__).parent / "themes"
_VARIABLE = re.compile(r"^\$([\w-]+):\s*([^;]+);", re.MULTILINE)
_BASE = frozenset(
    {"primary", "secondary", "warning", "error", "success", "accent", "foreground", "background", "surface", "panel"}
    | {"boost"}
)
NAMES = ("dark", "light", "contrast", "ansi")
COLOURLESS = "ansi"


def theme_id(name: str) -> str:
    """Give the id under which Textual knows a theme of ours."""
    return f"tradedeck-{name}"


def load_theme(name: str) -> Theme:
    """Read `themes/<name>.tcss`.

    Raises:
        FileNotFoundError: If there is no such theme; `NAMES` lists them.
    """
    values = dict(_VARIABLE.findall((_FOLDER / f"{name}.tcss").read_text(encoding="utf-8")))
    if name == "ansi":
        values = {**BUILTIN_THEMES["ansi-dark"].variables, **values}
    base = {key: values.pop(key) for key in list(values) if key in _BASE}
    return Theme(
        name=theme_id(name),
        primary=base.pop("primary"),
        dark=name != "light",
        ansi=name == "ansi",
        variables=values,
        secondary=base.get("secondary"),
        warning=base.get("warning"),
        error=base.get("error"),
        success=base.get("success"),
        accent=base.get("accent"),
        foreground=base.get("foreground"),
        background=base.get("background"),
        surface=base.get("surface"),
        panel=base.get("panel"),
        boost=base.get("boost"),
    )


def load_themes() -> list[Theme]:
    """Read every theme."""
    return [load_theme(name) for name in NAMES]
