"""Numbers of options: plain digits as everywhere, with the option named."""

import json
from pathlib import Path

import pytest

from desk import guide
from desk.options import figure
from desk.output import UsageFault
from desk.ticket import Ticket, build
from tests.desk.conftest import Desk


@pytest.mark.parametrize("text", ["1_0", "１", "nan", "inf", "1e3", "", " 1"])
def test_an_option_takes_plain_digits_alone(text: str) -> None:
    with pytest.raises(UsageFault, match="--wait must be a number in plain digits"):
        figure("--wait", 0)(text)


def test_bounds_and_whole_numbers_are_kept() -> None:
    assert figure("--wait", 0)("0.5") == 0.5
    assert figure("--wait", 0)(1.0) == 1.0
    with pytest.raises(UsageFault, match="--wait must be at least 0"):
        figure("--wait", 0)("-1")
    with pytest.raises(UsageFault, match="--limit must be a whole number"):
        figure("--limit", 1, whole=True)("1.5")
    found = figure("--limit", 1, whole=True)("12")
    assert (found, type(found)) == (12, int)


@pytest.mark.parametrize("text", ["1_0", "１２", "1e-3"])
def test_an_order_says_how_a_number_is_written(text: str) -> None:
    with pytest.raises(UsageFault, match="write plain digits, at most 40 of them, such as 0"):
        build(Ticket(side="buy", instrument="BTC-USDT.P", quantity=text))


def test_a_senseless_number_is_not_repeated_whole() -> None:
    with pytest.raises(UsageFault) as told:
        build(Ticket(side="buy", instrument="BTC-USDT.P", quantity="9" * 400))
    assert len(str(told.value)) < 200


@pytest.mark.parametrize("words", [("--home", "", "demo", "--headless"), ("stop", "--home", "", "--flatten")])
def test_an_empty_home_is_not_the_present_directory(tmp_path: Path, words: tuple[str, ...]) -> None:
    done = Desk(tmp_path / "home").run(*words, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("tradedeck: --home is empty: name a directory, or leave it out")
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_no_home(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = Desk(tmp_path / "home").run("status", "--home", str(tmp_path / "file"))
    assert (done.returncode, done.stderr) == (2, f"tradedeck: --home {tmp_path}/file is a file; name a directory\n")
    found = {one["name"]: one for one in json.loads(Desk(tmp_path / "file").run("doctor", "--json").stdout)}
    assert found["home"]["detail"] == f"{tmp_path}/file is a file; expected a directory"


def test_where_nothing_was_stopped_it_is_said_where(tmp_path: Path) -> None:
    done = Desk(tmp_path / "home").run("stop", "--flatten", "--home", str(tmp_path / "typo"))
    assert (done.returncode, done.stdout) == (0, f"nothing runs at {tmp_path}/typo\n")


def test_the_guide_names_no_default_that_is_nothing() -> None:
    text = guide.commands()
    assert "Default: GTC." in text
    assert "Default: ." not in text
