"""The in-memory twins."""

from collections.abc import Callable

import pytest

from core.domain.events import EngineStopped
from core.domain.identifiers import InstrumentId
from core.domain.market import BookDelta, BookSnapshot, Quote, Trade
from core.errors import DiskFull
from core.ports import Journal, TickStore
from store.memory import MemoryJournal, MemoryTickStore
from tests.contracts.journal import Answers, JournalContract
from tests.contracts.tick_store import ReadBack, TickStoreContract

BTC = InstrumentId("BINANCE-SPOT:SPOT_PAIR:BTC-USDT")
TICKS = (
    Quote(BTC, 1.0, 2.0, 3.0, 4.0, 5, 6, 7),
    Trade(BTC, 1.0, 2.0, True, 3, 4, 5),
    BookDelta(BTC, ((1.0, 2.0),), (), 1, 2, 0, 3, 4),
    BookSnapshot(BTC, ((1.0, 2.0),), (), 1, True, 3, 4),
)


class TestMemoryJournal(JournalContract):
    @pytest.fixture
    def journal(self) -> Journal:
        return MemoryJournal()

    @pytest.fixture
    def reopen(self, journal: Journal) -> Callable[[], Journal]:
        assert isinstance(journal, MemoryJournal)
        return journal.crash


def test_a_held_journal_answers_batch_by_batch() -> None:
    journal, answers = MemoryJournal(held=True), Answers()
    for number in range(3):
        journal.append([b"%d" % number], answers.done(number))
    assert answers.heard == []
    journal.release(1)
    assert answers.heard == [(0, None)]
    assert journal.durable == 1
    journal.release()
    assert [name for name, _ in answers.heard] == [0, 1, 2]


def test_a_crash_loses_what_was_not_durable_and_the_checkpoint_that_needs_it() -> None:
    journal = MemoryJournal(held=True)
    journal.append([b"a"], Answers().done())
    journal.release()
    journal.append([b"b"], Answers().done())
    journal.checkpoint(1, b"one")
    journal.checkpoint(2, b"two")
    again = journal.crash()
    assert [record.payload for record in again.read()] == [b"a"]
    assert (found := again.last_checkpoint()) is not None
    assert found.image == b"one"
    assert again.append([b"c"], Answers().done()) == 2
    again.release()
    assert again.last_checkpoint() == found, "the image of another second record came back"


def test_nothing_overtakes_a_failed_batch() -> None:
    journal, answers, full = MemoryJournal(), Answers(), DiskFull("full")
    journal.failure = full
    journal.append([b"a"], answers.done("a"))
    journal.append([b"b"], answers.done("b"))
    journal.checkpoint(2, b"lost")
    with pytest.raises(DiskFull):
        journal.start_run()
    assert journal.complaint == "full: entries denied, exits allowed"
    journal.failure = None
    assert journal.complaint == ""
    journal.append([b"c"], answers.done("c"))
    assert answers.heard == [("a", full), ("b", full), ("c", None)]
    assert [record.payload for record in journal.read()] == [b"a", b"b", b"c"]
    assert journal.last_checkpoint() is None


class TestMemoryTickStore(TickStoreContract):
    @pytest.fixture
    def tick_store(self) -> TickStore:
        return MemoryTickStore()

    @pytest.fixture
    def read_back(self, tick_store: TickStore) -> ReadBack:
        assert isinstance(tick_store, MemoryTickStore)
        return lambda: tick_store.flushed

    def test_ticks_survive_once_flushed_and_the_rest_is_ignored(self) -> None:
        store = MemoryTickStore()
        port: TickStore = store
        for tick in TICKS:
            port.append(tick)
        port.append(EngineStopped(1, "not a tick", 2))
        assert store.flushed == []
        port.flush()
        assert store.flushed == list(TICKS)
        assert store.dropped == 0

    def test_what_does_not_fit_is_counted(self) -> None:
        store = MemoryTickStore(capacity=2)
        for tick in TICKS:
            store.append(tick)
        store.close()
        assert store.flushed == list(TICKS[:2])
        assert store.dropped == 2
        store.append(TICKS[0])
        assert store.dropped == 3
