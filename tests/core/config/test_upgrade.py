"""An older config.toml gets what it lacks, and nothing else of it changes."""

import tomllib
from pathlib import Path

import pytest

from core.config.file import parse
from core.config.settings import Settings
from core.config.upgrade import upgrade, upgraded
from core.config.writing import render
from core.errors import ConfigError

NEW = ("max_daily_loss_frac", "drawdown_steps", "max_exits_per_second", "sentinel_grace_ms")


def without(text: str, *keys: str) -> str:
    return "\n".join(line for line in text.splitlines() if not line.startswith(keys)) + "\n"


def old() -> str:
    """Return a file from before, with a value and a comment of the trader's own."""
    text = without(render(Settings()), *NEW, "every_s", "balance_tolerance_frac", "[reconcile]")
    return text.replace("max_gross_frac = 2.0", "max_gross_frac = 0.7  # mine")


def test_what_is_missing_is_added_and_the_rest_stays() -> None:
    with pytest.raises(ConfigError, match="tradedeck config upgrade"):
        parse(old())
    new, added = upgraded(old(), "config.toml", "/home/config.toml")
    assert added == [*(f"guardian.{key}" for key in NEW), "reconcile.every_s", "reconcile.balance_tolerance_frac"]
    settings, places = parse(new)
    assert settings.guardian.max_gross_frac == 0.7
    assert settings.guardian.max_daily_loss_frac == Settings().guardian.max_daily_loss_frac
    assert places.of("guardian", "max_daily_loss_frac").startswith("config.toml:")
    assert [line for line in old().splitlines() if line not in new.splitlines()] == []
    assert "# loss since the day's start with what closing costs, of its equity: all is closed and HALTED" in new
    assert upgraded(new, "config.toml", "") == (new, [])


def test_the_file_as_it_was_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(old(), encoding="utf-8")
    path.chmod(0o600)
    added, kept = upgrade(path)
    assert kept is not None
    assert (len(added), kept.read_text(encoding="utf-8")) == (6, old())
    assert path.stat().st_mode & 0o777 == 0o600
    assert upgrade(path) == ([], None)
    assert sorted(item.name for item in tmp_path.iterdir()) == ["config.toml", "config.toml.before-1"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("[guardian]", "[guardian]\ndrawdwon_steps = 1"), 'did you mean "drawdown_steps"'),
        (("max_gross_frac = 0.7", "max_gross_frac = true"), "must be a number"),
        (("[guardian]", "[guardian"), "expected TOML"),
    ],
)
def test_a_file_that_is_wrong_otherwise_is_left_as_it_is(tmp_path: Path, change: tuple[str, str], said: str) -> None:
    path = tmp_path / "config.toml"
    text = old().replace(*change)
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=said):
        upgrade(path)
    assert path.read_text(encoding="utf-8") == text
    assert [item.name for item in tmp_path.iterdir()] == ["config.toml"]


@pytest.mark.parametrize("text", ["", "[guardian] # all new\n", "guardian.max_gross_frac = 0.5\n", "guardian = { }\n"])
def test_every_way_of_writing_it_is_completed_or_refused(text: str) -> None:
    try:
        new, added = upgraded(text, "config.toml", "/home/config.toml")
    except ConfigError:
        assert "guardian" in text
    else:
        assert added
        before = tomllib.loads(text).get("guardian", {})
        assert parse(new)[0].guardian.max_gross_frac == before.get("max_gross_frac", 2.0)
