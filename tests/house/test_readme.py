"""The first page: its links lead somewhere, its keys and commands are the real ones."""

import re

from tests.conftest import ROOT
from tui.actions import TABLE

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_every_link_leads_to_a_file() -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", README)
    assert len(links) > 5
    assert not [link for link in links if not (ROOT / link).exists()]


def test_every_key_is_in_the_actions_table() -> None:
    keys = {key for row in re.findall(r"^\| (`.*?) \|", README, re.MULTILINE) for key in re.findall(r"`(.+?)`", row)}
    assert len(keys) >= 8
    shown = {{"question_mark": "?"}.get(key, key) for action in TABLE if action.ready for key in action.keys}
    assert keys <= shown


def test_every_make_command_is_in_the_makefile() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = set(re.findall(r"make ([a-z]+)", README + (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")))
    assert {"run", "test"} <= named <= targets
