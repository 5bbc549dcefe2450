"""``tradedeck data``: in, over, out; every bad input gets a sentence and leaves nothing behind."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from core.errors import ResearchError, StoreError
from desk.cli import app
from desk.output import UsageFault
from tests.research.files import HEADER, HOUR_MS, START_MS, changed, dump_rows, write_lines

DUMP = "data/futures/um/klines/BTCUSDT/1h/BTCUSDT-1h-2024-01.csv"
SERIES = "BINANCE-FUTURES/BTCUSDT-1h-candles"


class Shell:
    """Run commands on one home."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def run(self, *words: object) -> Result:
        return CliRunner().invoke(app, ["data", *map(str, words), "--home", str(self.home)])

    def json(self, *words: object) -> Any:
        return json.loads(self.run(*words, "--json").stdout)


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path / "home")


@pytest.fixture
def dump(tmp_path: Path) -> Path:
    return write_lines(tmp_path / DUMP, [HEADER, *dump_rows(48)])


def test_in_over_and_out(shell: Shell, dump: Path, tmp_path: Path) -> None:
    assert f"48 rows new in {SERIES}, now 48" in shell.run("import", dump).stdout
    listed = shell.json("ls")
    start, end = START_MS * 1_000_000, (START_MS + 47 * HOUR_MS) * 1_000_000
    assert listed == [{"series": SERIES, "rows": 48, "first_ns": start, "last_ns": end, "missing": 0}]
    assert "2024-01-02 23:00:00" in shell.run("ls").stdout
    assert shell.json("check") == [{"what": SERIES, "fit": True, "problems": []}]
    assert shell.run("export", SERIES, tmp_path / "out.csv").exit_code == 0
    again = Shell(tmp_path / "other")
    named = ("--symbol", "BTCUSDT", "--venue", "BINANCE-FUTURES", "--interval", "1h")
    assert again.json("import", tmp_path / "out.csv", *named)[0]["new"] == 48
    assert (shell.home / "data" / f"{SERIES}.parquet").read_bytes() == (
        again.home / "data" / f"{SERIES}.parquet"
    ).read_bytes()


def test_a_bad_file_is_left_out_and_the_others_are_taken(shell: Shell, dump: Path, tmp_path: Path) -> None:
    rows = changed(dump_rows(48, start=START_MS + 48 * HOUR_MS), 5, lambda f: [*f[:2], "0", *f[3:]])
    bad = write_lines(tmp_path / DUMP.replace("01.csv", "02.csv"), rows)
    done = shell.run("import", bad, dump)
    assert done.exit_code == 1
    assert f"{bad}:5: high is 0, expected a price above 0" in done.stderr
    assert f"{bad}: not imported" in done.stderr
    assert "48 rows new" in done.stdout
    answers = shell.json("import", bad, dump)
    assert answers[0]["problems"][0] == {"line": 5, "text": "high is 0, expected a price above 0", "fatal": True}
    assert answers[1]["new"] == 0
    checked = shell.run("check", bad)
    assert checked.exit_code == 1
    assert "not fit: 1 fault, 0 remarks" in checked.stdout


def test_a_file_that_is_not_there_is_said_to_be_missing(shell: Shell, tmp_path: Path) -> None:
    for path in (tmp_path / "prices.csv", tmp_path):
        done = shell.run("import", path)
        assert done.exit_code == 1
        assert f"{path}: there is no such file" in done.stderr


def test_gaps_are_remarks(shell: Shell, tmp_path: Path) -> None:
    rows = dump_rows(48)
    gapped = write_lines(tmp_path / DUMP, rows[:10] + rows[11:])
    done = shell.run("import", gapped)
    assert done.exit_code == 0
    assert ":11: 1 bar missing between 2024-01-01 09:00:00 and 2024-01-01 11:00:00 (left as it is)" in done.stderr
    assert shell.json("ls")[0]["missing"] == 1
    assert f"{SERIES}: fit, 1 remark\n" in shell.run("check").stdout


def test_many_problems_are_cut_short(shell: Shell, tmp_path: Path) -> None:
    rows = dump_rows(48)
    done = shell.run("check", write_lines(tmp_path / DUMP, rows + rows))
    assert "… and 29 more; --json has them all" in done.stderr


def test_nothing_is_kept_yet(shell: Shell) -> None:
    assert "nothing is kept; bring data in by tradedeck data import FILE" in shell.run("ls").stdout
    assert shell.run("check").exit_code == 0


@pytest.mark.parametrize(
    ("words", "kind", "sentence"),
    [
        (("export", SERIES, "x.xlsx"), UsageFault, "must end with .parquet or .csv"),
        (("export", "bitcoin", "x.csv"), UsageFault, "names no series"),
        (("export", SERIES, "x.csv"), StoreError, "among the imported data; kept are nothing"),
        (("check", "prices.csv"), ResearchError, "there is no such file, and no such series"),
    ],
)
def test_what_cannot_be_done_is_told(
    shell: Shell, words: tuple[str, ...], kind: type[Exception], sentence: str
) -> None:
    done = shell.run(*words)
    assert isinstance(done.exception, kind)
    assert sentence in str(done.exception)
