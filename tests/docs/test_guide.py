"""The guide names everything there is: settings, commands, options, keys, JSON."""

import re
from pathlib import Path
from typing import Any

import pytest
import typer

from core.config.writing import sections
from desk import guide
from desk.cli import app
from tui.actions import TABLE

GUIDE = Path(__file__).resolve().parent.parent.parent / "docs" / "guide"
PAGES = sorted(GUIDE.glob("*.md"))


def page(name: str) -> str:
    return (GUIDE / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_the_generated_parts_are_up_to_date(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert guide.refreshed(text) == text, "run: python -m desk.guide"


def test_a_stale_part_is_noticed() -> None:
    text = page("config.md").replace("`max_gross_frac`", "`max_grass_frac`")
    assert guide.refreshed(text) != text


def test_every_setting_is_described() -> None:
    text = page("config.md")
    for name, section in sections().items():
        assert f"### `[{name}]`" in text
        for key in section.__struct_fields__:
            assert f"| `{key}` |" in text, f"[{name}] {key}"


def commands(path: str, command: Any) -> list[tuple[str, Any]]:
    inner = getattr(command, "commands", {})
    return [(path, command), *(found for name in inner for found in commands(f"{path} {name}", inner[name]))]


def test_every_command_and_option_is_described() -> None:
    text = page("cli.md")
    for path, command in commands("tradedeck", typer.main.get_command(app)):
        heading = f"### `{path}`\n"
        assert heading in text, path
        part = text[text.index(heading) + len(heading) :].partition("\n### ")[0]
        for item in command.params:
            for option in item.opts:
                if option.startswith("--") and option not in guide.GENERAL:
                    assert f"`{option}" in part, f"{path} {option}"


def test_every_command_of_the_contract_is_there() -> None:
    there = {path for path, _ in commands("tradedeck", typer.main.get_command(app))}
    wanted = ["demo", "market", "engine", "recorder", "stop", "status", "instruments", "order", "amend", "cancel"]
    wanted += ["flatten", "halt", "resume", "watch", "orders", "fills", "positions", "replay", "doctor"]
    wanted += ["sentinel", "drill", "install-service"]
    wanted += [f"journal {name}" for name in ("check", "export", "backup", "restore")]
    wanted += [f"ticks {name}" for name in ("sql", "days", "export")]
    assert {f"tradedeck {name}" for name in wanted} <= there


def test_every_action_of_the_screen_is_described() -> None:
    text = page("keys.md")
    for action in TABLE:
        if action.ready:
            assert f"`{action.id}`" in text, action.id


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_links_between_pages_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+\.md)(?:#[^)]*)?\)", path.read_text(encoding="utf-8")):
        assert (path.parent / target).exists(), f"{path.name} → {target}"
