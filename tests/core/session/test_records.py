"""The journal is read backwards: newest first, by words, a bounded stretch at a time."""

import pytest

from core.domain import events as e
from core.domain.message import Event
from core.session import records, wire
from core.session.protocol import AskRecords, Records
from core.session.records import records_of
from store.memory import MemoryJournal


@pytest.fixture
def journal() -> MemoryJournal:
    """Give a journal of 5 000 records; every hundredth ends a run."""
    made = MemoryJournal()
    for number in range(1, 5_001):
        event: Event = (
            e.EngineStopped(number, "asked to", number)
            if number % 100 == 0
            else e.EngineStarted(number, "0.1.0", "paper", number)
        )
        made.append([wire.encode(event)], lambda _: None)
    return made


def test_the_newest_come_first_and_the_answer_says_where_to_go_on(journal: MemoryJournal) -> None:
    found = records_of(journal, AskRecords(0, 3))
    assert [record.sequence for record in found.records] == [5000, 4999, 4998]
    assert found.reached == 4997
    found = records_of(journal, AskRecords(found.reached + 1, 2))
    assert [record.sequence for record in found.records] == [4997, 4996]
    assert records_of(journal, AskRecords(2, 10)).records[0].sequence == 1


def test_all_pages_together_are_every_matching_record_once(journal: MemoryJournal) -> None:
    seen: list[int] = []
    before = 0
    while True:
        page = records_of(journal, AskRecords(before, 7, "ENGINESTOPPED asked"))
        seen += [record.sequence for record in page.records]
        if page.reached == 0:
            break
        before = page.reached + 1
    assert seen == list(range(5000, 0, -100))


def test_a_rare_word_is_looked_for_in_bounded_stretches(
    journal: MemoryJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "SCAN", 1_000)
    first = records_of(journal, AskRecords(0, 10, "nowhere"))
    assert (first.records, first.reached) == ((), 4000)


def test_an_empty_journal_has_no_records() -> None:
    assert records_of(MemoryJournal(), AskRecords()) == Records((), 0)
