"""``tradedeck study``: from the file to the report, and what an attached engine hears."""

import asyncio
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from core.domain import studies as s
from core.errors import ClientError, ResearchError
from core.session.client import Client
from core.session.frames import AskTrial, AskTrials
from desk.cli import app
from desk.paths import Home
from desk.research import alone, studying
from research.study import running
from research.study.standing import read_state, write_state
from tests.core.session.test_session import Desk, until
from tests.research.study.test_running import FILE, inline

Shell = Callable[..., Result]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setattr(running, "processes", inline)
    return Home(tmp_path / "home")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "one.toml"
    path.write_text(FILE.format(name="one", trials=8, memory=4000))
    return path


@pytest.fixture
def endless(file: Path) -> Path:
    """Return a study that does not end by itself while a test looks at it."""
    file.write_text(file.read_text().replace("trials = 8", "trials = 4000"))
    return file


@pytest.fixture
def shell(home: Home) -> Shell:
    def run(*words: object) -> Result:
        return CliRunner().invoke(app, ["study", *map(str, words), "--home", str(home.root)])

    return run


def test_from_the_file_to_the_report(shell: Shell, file: Path) -> None:
    assert shell("ls", "--json").stdout == "[]\n"
    ended = json.loads(shell("run", file, "--json").stdout)
    assert (ended["state"], ended["trials_done"], ended["windows_total"]) == ("finished", 16, 2)
    assert json.loads(shell("ls", "--json").stdout) == [ended]
    assert json.loads(shell("run", "one", "--json").stdout)["trials_done"] == 16  # nothing is left to do
    trials = json.loads(shell("show", "one", "--limit", "3", "--json").stdout)
    assert [trial["score"] for trial in trials] == sorted((trial["score"] for trial in trials), reverse=True)
    assert trials[0]["score"] == pytest.approx(ended["best_score"])
    report = json.loads(shell("report", "one", "--json").stdout)
    assert report["trial"]["number"] == trials[0]["number"]
    assert len(report["gates"]) == report["trial"]["gates_total"] == 8
    written = json.loads(shell("report", "one", "--html", "--json").stdout)
    assert "Content-Security-Policy" in Path(written["page"]).read_text()
    assert json.loads(Path(written["data"]).read_text())["trial"] == trials[0]["number"]
    assert Path(written["page"]).parent.name == "reports"
    words = shell("report", "one", "--trial", trials[1]["number"]).stdout
    assert "walk-forward efficiency" in words
    assert "FAILED" in words
    assert shell("stop", "one").stdout == "one is not running\n"


def test_what_is_refused_says_what_to_do(shell: Shell, file: Path) -> None:
    shell("run", file)
    file.write_text(file.read_text().replace("high = 30", "high = 29"))
    for words, wanted in (
        (("run", file), "give the study another name"),
        (("show", "two"), "no study two"),
        (("show", "../one"), "no study"),
        (("report", "one", "--trial", "99"), "no trial 99"),
        (("run", "one", "--storage", "sqlite:///x"), "is no address of PostgreSQL"),
        (("run", "one", "--storage", "postgresql://db/x"), "was begun in"),
    ):
        error = shell(*words).exception
        assert isinstance(error, ResearchError)
        assert wanted in str(error)


def test_a_study_that_is_refused_stands_with_its_reason(shell: Shell, file: Path) -> None:
    text = file.read_text()
    file.write_text(text.replace("tests.research.crossing:evaluator", "tests.research.nowhere:evaluator"))
    wrong = str(shell("run", file).exception)
    (stands,) = json.loads(shell("ls", "--json").stdout)
    assert (stands["state"], stands["reason"]) == ("failed", wrong)
    file.write_text(text)
    ended = json.loads(shell("run", file, "--json").stdout)
    assert (ended["state"], ended["reason"]) == ("finished", "")
    file.write_text(text.replace("high = 30", "high = 29"))
    assert isinstance(shell("run", file).exception, ResearchError)
    assert json.loads(shell("ls", "--json").stdout) == [ended], "what has trials stands as before"


def test_why_is_cut_to_the_terminal_alone(
    shell: Shell, home: Home, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = home.root / "studies" / "one"
    folder.mkdir(parents=True)
    folder.joinpath("study.toml").write_text(file.read_text())
    why = "nobody has imported 1h candles of BTCUSDT: there is nothing " * 5
    write_state(folder, s.Study("one", "crossing", s.StudyState.FAILED, reason=why))
    assert why.strip() in shell("ls").stdout  # no terminal
    monkeypatch.setattr(studying, "terminal_width", lambda: 80)
    head, line = shell("ls").stdout.splitlines()
    assert (len(line), line[-1]) == (80, "…"), head
    assert json.loads(shell("ls", "--json").stdout)[0]["reason"] == why


def test_a_file_that_is_none_is_said_with_what_to_do(shell: Shell, tmp_path: Path) -> None:
    missing, folder, binary = tmp_path / "no.toml", tmp_path / "a.toml", tmp_path / "b.toml"
    folder.mkdir()
    binary.write_bytes(b"\xff\xfe")
    assert str(shell("run", missing).exception) == (
        f"there is no file {missing}: name a study's file, or write one with: tradedeck study new {missing}"
    )
    assert str(shell("run", folder).exception) == f"{folder} cannot be read: Is a directory; expected a study's file"
    assert str(shell("run", binary).exception) == f"{binary} is no text in UTF-8; expected a study's file, TOML"
    new = CliRunner().invoke(app, ["study", "new", str(tmp_path / "none" / "x.toml")])
    assert str(new.exception).endswith("x.toml cannot be written: No such file or directory; name another place")


def test_a_failure_is_no_success(shell: Shell, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: object, **__: object) -> object:
        raise ResearchError("no bars")

    monkeypatch.setattr("tests.research.crossing.Crossing.evaluate", failing)
    error = shell("run", file).exception
    assert isinstance(error, ResearchError)
    assert str(error) == "one failed: no bars"


def test_a_new_file_is_never_written_over(tmp_path: Path) -> None:
    path = tmp_path / "My Study.toml"
    assert CliRunner().invoke(app, ["study", "new", str(path)]).exit_code == 0
    text = path.read_text()
    assert 'name = "my-study"' in text
    again = CliRunner().invoke(app, ["study", "new", str(path)])
    assert isinstance(again.exception, ResearchError)
    assert path.read_text() == text


async def test_an_engine_hears_of_it_and_asks(home: Home, endless: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home.create()
    desk = Desk(home.engine_socket)
    await desk.server.start()
    client = await Client.connect(home.engine_socket, "terminal")
    monkeypatch.setattr(running, "processes", ThreadPoolExecutor)
    monkeypatch.setenv("CROSSING_PAUSE_S", "0.02")
    work = asyncio.ensure_future(alone.run(home, studying.folder_for(home, str(endless)), quiet=True))
    try:
        await until(lambda: "one" in client.state.studies.studies)
        folder = home.root / "studies" / "one"
        await until(lambda: (read_state(folder) or s.Study("", "", s.StudyState.QUEUED)).trials_done >= 8)
        trials = await client.ask(AskTrials("one"))
        assert trials.total >= 4
        report = await client.ask(AskTrial("one", trials.trials[0].number))
        assert report.trial.gates_total == 8
        with pytest.raises(ClientError, match="runs one alone"):
            await client.ask(AskTrials("other"))
        assert (await client.send(s.StopStudy("one"))).ok
        ended = await work
        await until(lambda: client.state.studies.studies["one"].state is s.StudyState.STOPPED)
        assert client.state.studies.studies["one"] == ended
    finally:
        work.cancel()
        await client.close()
        await desk.server.stop("test over")
