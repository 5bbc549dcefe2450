"""Write the generated parts of the guide: settings, commands, keys. ``python -m desk.guide`` brings them up to date.

Each stands between ``<!-- generated: NAME -->`` and ``<!-- end -->`` in a page of docs/guide; a test compares them.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from core.config.settings import Settings
from core.config.writing import descriptions, render, sections, toml_value

GUIDE = Path(__file__).resolve().parent.parent / "docs" / "guide"
GENERAL = frozenset({"--help", "--install-completion", "--show-completion"})
"""Options of every command, or of the shell."""
_BLOCK = re.compile(r"(<!-- generated: ([a-z]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def settings_tables() -> str:
    """Return every section with its keys, defaults and meaning."""
    out = []
    defaults = Settings()
    for name, section in sections().items():
        summary = (section.__doc__ or "").strip().splitlines()[0]
        out += [f"### `[{name}]`", "", summary, "", "| key | default | meaning |", "|---|---|---|"]
        values = getattr(defaults, name)
        for key, text in descriptions(section).items():
            shown = " ".join(toml_value(getattr(values, key)).split())
            shown = shown if len(shown) < 90 else "see the file below"
            out.append(f"| `{key}` | `{shown}` | {_cell(text)} |")
        out.append("")
    return "\n".join(out)


def settings_file() -> str:
    """Return the file that the first start writes."""
    return f"```toml\n{render(Settings())}```\n"


def commands() -> str:
    """Return every command with its arguments and options."""
    from desk.cli import app

    return "\n".join(_command("tradedeck", typer.main.get_command(app)))


def _command(path: str, command: Any) -> Iterator[str]:
    yield from (f"### `{path}`", "", command.help or "", "")
    rows = [f"| {_named(item)} | {_cell(_meaning(item))} |" for item in command.params if not _common(item)]
    if rows:
        yield from ("| | |", "|---|---|", *rows, "")
    for name, inner in getattr(command, "commands", {}).items():
        yield from _command(f"{path} {name}", inner)


def _common(item: Any) -> bool:
    return not GENERAL.isdisjoint(item.opts)


def _named(item: Any) -> str:
    if item.param_type_name == "argument":
        name = item.metavar or item.name.upper()
        return f"`{name}`" if item.required else f"`[{name}]`"
    takes = "" if item.is_flag else f" {item.metavar or item.opts[0].strip('-').upper()}"
    return f"`{' / '.join(item.opts)}{takes}`"


def _meaning(item: Any) -> str:
    shown = isinstance(item.default, str | int | float) and not isinstance(item.default, bool) and item.default != ""
    return (item.help or "") + (f" Default: {item.default}." if shown and item.param_type_name == "option" else "")


def keys() -> str:
    """Return the key table of the screen."""
    from tui.actions import markdown

    return markdown()


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


PARTS = {"settings": settings_tables, "file": settings_file, "commands": commands, "keys": keys}


def refreshed(page: str) -> str:
    """Return a page with its generated parts as they are now."""
    return _BLOCK.sub(lambda found: f"{found[1]}\n{PARTS[found[2]]()}\n{found[3]}", page)


def main() -> None:
    """Bring every page of the guide up to date, or with --check only tell which are not."""
    stale = []
    for path in sorted(GUIDE.glob("*.md")):
        text = path.read_text(encoding="utf-8")
        fresh = refreshed(text)
        if fresh != text:
            stale.append(path.name)
            if "--check" not in sys.argv:
                path.write_text(fresh, encoding="utf-8")
    if stale:
        sys.stdout.write(f"{'stale' if '--check' in sys.argv else 'written'}: {', '.join(stale)}\n")
    sys.exit(1 if stale and "--check" in sys.argv else 0)


if __name__ == "__main__":
    main()
