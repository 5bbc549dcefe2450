"""``tradedeck schedule`` in this process, a researcher running: what it prints, and what it refuses."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from core.errors import ResearchError
from desk.cli import app
from desk.paths import Home, Role
from desk.roles import services

Shell = Callable[..., Result]


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    """Give the command line of a home where somebody holds the researcher's role, so that none is started."""
    home = Home(tmp_path / "home").create()
    (home.studies / "ema").mkdir(parents=True)
    (home.studies / "ema" / "study.toml").write_text("")
    with services.holding(home, Role.RESEARCHER):
        yield lambda *words: CliRunner().invoke(app, ["schedule", *words, "--home", str(home.root)])


def test_a_job_from_add_to_rm(shell: Shell) -> None:
    assert "nothing is scheduled" in shell("ls").stdout
    assert shell("add", "ema", "Mon", "2:00").stdout == "ema: mon 02:00, UTC\n"
    assert shell("edit", "ema", "mon", "thu", "02:00").stdout == "ema: mon thu 02:00, UTC\n"
    assert shell("pause", "ema").stdout == "ema waits until it is resumed\n"
    assert "mon thu 02:00 (paused)" in shell("ls").stdout
    assert shell("resume", "ema").stdout == "ema goes on\n"
    (job,) = json.loads(shell("ls", "--json").stdout)
    assert job["next_ns"] % 1_800_000_000_000 == 0
    assert {key: job[key] for key in ("job", "when", "paused", "due", "ok")} == {
        "job": "ema", "when": "mon thu 02:00", "paused": False, "due": False, "ok": None,
    }  # fmt: skip
    assert shell("run", "compact").stdout == "compact ticks is done as soon as the researcher is free\n"
    assert "due now" in shell("ls").stdout
    assert shell("rm", "ema").stdout == "ema is not done by itself any more\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("add", "none", "mon", "02:00"), "none is neither a study of this home nor one of refresh, compact"),
        (("add", "ema", "02:00"), '"02:00" says no times; write mon 02:00'),
        (("edit", "ema", "mon", "02:00"), "tradedeck schedule add ema WHEN does it"),
        (("rm", "ema"), "ema is not scheduled"),
        (("pause", "refresh"), "refresh is not scheduled"),
    ],
)
def test_what_is_refused_says_what_to_do(shell: Shell, words: tuple[str, ...], said: str) -> None:
    error = shell(*words).exception
    assert isinstance(error, ResearchError)
    assert said in str(error)


def test_what_is_scheduled_is_not_added_twice(shell: Shell) -> None:
    shell("add", "ema", "hourly")
    assert "change it: tradedeck schedule edit ema WHEN" in str(shell("add", "ema", "daily", "02:00").exception)


def test_without_the_extra_it_says_so(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("desk.research.summoning.find_spec", lambda _: None)
    assert "extra research" in str(shell("ls").exception)
