"""Pages say what is there: every limit, every module of the core, and no page that source names is missing."""

import re

import pytest

from core.config.settings import GuardianSettings
from core.guardian.guardian import Guardian
from core.guardian.limits import Rule
from tests.conftest import ROOT
from tests.house.sources import files

CORE = ROOT / "core"
WORD = re.compile(r"[a-z_]+")
PAGE = re.compile(r"\bdocs/[\w/-]+\.(?:md|svg|txt)\b")


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def rules(kind: type[Rule] = Rule) -> set[str]:
    """Name every limit there is, whether the guardian asks it of orders or of changes."""
    return {kind.name, *(name for child in kind.__subclasses__() for name in rules(child))} - {""}


def rows(text: str) -> set[str]:
    """Name what stands first in a row of a table."""
    return set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE))


def places() -> dict[str, set[str]]:
    """Give the words beside each folder under "Places"."""
    found: dict[str, set[str]] = {}
    words: set[str] = set()
    for line in page("architecture.md").partition("\n## Places\n")[2].partition("\n## ")[0].splitlines():
        head, _, rest = line.partition(" ")
        if head.endswith("/"):
            words = found.setdefault(head, set())
        words.update(WORD.findall(rest))
    return found


def test_every_limit_stands_in_the_guide() -> None:
    names = rules() | {limit.name for limit in Guardian().limits}
    assert names >= {"max_position", "max_amends_per_second", "trading_state"}
    assert names <= rows(page("guide/guardian.md")), "docs/guide/guardian.md has a row for every limit"


def test_the_guide_has_no_limit_that_is_gone() -> None:
    told = rows(page("guide/guardian.md").partition("\n## Trading states\n")[0])
    assert told - rules() == {"instrument", "order", "operation_id"}  # judged before any limit


@pytest.mark.parametrize("key", GuardianSettings.__struct_fields__)
def test_every_setting_of_the_guardian_stands_beside_its_limit(key: str) -> None:
    assert f"`{key}`" in page("guide/guardian.md")


def test_every_module_of_the_core_has_its_place() -> None:
    known = places()
    for path in sorted(CORE.rglob("*.py")):
        folder = f"{path.parent.relative_to(ROOT)}/"
        if path.stem != "__init__":
            assert path.stem in known.get(folder, set()), f'{folder}{path.name} under "Places" in docs/architecture.md'


def test_every_page_that_source_names_is_there() -> None:
    named = {
        (path, name)
        for path in [*files(), *(ROOT / "tests").rglob("*.py")]
        for name in PAGE.findall(path.read_text("utf-8"))
    }
    assert len(named) > 5
    missing = sorted(f"{path.relative_to(ROOT)}: {name}" for path, name in named if not (ROOT / name).exists())
    assert not missing


def test_the_session_names_every_frame() -> None:
    from core.session import protocol

    session = page("architecture.md").partition("\n## A session\n")[2].partition("\n## ")[0]
    for frame in (*protocol.ClientFrame.__args__, *protocol.ServerFrame.__args__):
        assert f"{frame.__name__}" in session, frame.__name__
