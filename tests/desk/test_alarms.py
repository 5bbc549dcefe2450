"""The words and the order in which the command line lists alerts."""

from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from core.alerts.book import AlertBook
from core.domain.alerts import Alert, AlertKind, Severity
from core.domain.identifiers import InstrumentId
from desk import alarms
from desk.paths import Home

NOTHING = InstrumentId("")
S = 1_000_000_000


def one(number: int, last: int, **changes: Any) -> Alert:
    made = Alert(number, f"k{number}", AlertKind.FEED, Severity.WARNING, NOTHING, f"text {number}", False, S, last * S)
    return msgspec.structs.replace(made, **changes)


REPEATED, OLD, NEW = one(1, 90, count=7, lasts=True), one(2, 20), one(3, 40)


@pytest.fixture
def book(monkeypatch: pytest.MonkeyPatch) -> AlertBook:
    """Give the book of an engine whose first alert was told again after the others."""
    book = AlertBook()
    book.alerts.update({item.number: item for item in (REPEATED, OLD, NEW)})
    state = SimpleNamespace(alerts=book, now=100 * S)
    monkeypatch.setattr(alarms, "talk", lambda home, work, stream: state)
    return book


@pytest.mark.usefixtures("book")
@pytest.mark.parametrize("everything", [False, True])
def test_people_read_the_newest_last(everything: bool, tmp_path: Any, capsys: pytest.CaptureFixture[str]) -> None:
    alarms.show(Home(tmp_path), everything, False)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[-3:]] == ["2", "3", "1"]
    assert "new lasts" in lines[-1]
    assert "lasts" not in lines[-2]


@pytest.mark.usefixtures("book")
def test_programs_read_the_newest_first(tmp_path: Any, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    alarms.show(Home(tmp_path), False, True)
    told = msgspec.json.decode(capsysbinary.readouterr().out)["alerts"]
    assert [item["number"] for item in told] == [1, 3, 2]


@pytest.mark.parametrize(
    ("item", "words"),
    [
        (one(1, 1), "new"),
        (one(1, 1, lasts=True), "new lasts"),
        (one(1, 1, lasts=True, cleared=5), "new over"),
        (one(1, 1, lasts=True, acknowledged=5, by="ada"), "seen by ada lasts"),
        (one(1, 1, lasts=True, muted=True), "muted lasts"),
    ],
)
def test_how_an_alert_stands(item: Alert, words: str) -> None:
    assert alarms.standing(item) == words
