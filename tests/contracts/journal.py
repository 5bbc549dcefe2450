"""What every Journal does, whatever it keeps its records on."""

from collections.abc import Callable
from threading import Event

import pytest

from core.domain.events import EngineStarted
from core.errors import StoreError
from core.ports import Checkpoint, Journal, Record
from core.session import wire

PATIENCE = 60.0


class Answers:
    """Collect what ``done`` was told, in the order of the calls."""

    def __init__(self) -> None:
        self.heard: list[tuple[object, BaseException | None]] = []

    def done(self, name: object = None, then: Event | None = None) -> Callable[[BaseException | None], None]:
        """Return a ``done`` that notes its name."""

        def tell(error: BaseException | None) -> None:
            self.heard.append((name, error))
            if then is not None:
                then.set()

        return tell


def settle(journal: Journal) -> BaseException | None:
    """Wait until everything appended so far has been answered; return what the barrier heard."""
    answers, reached = Answers(), Event()
    journal.append([], answers.done(then=reached))
    assert reached.wait(PATIENCE), "the journal did not answer"
    return answers.heard[0][1]


def write(journal: Journal, *payloads: bytes) -> int:
    """Append records and wait until they are durable."""
    answers = Answers()
    last = journal.append(payloads, answers.done())
    assert settle(journal) is None
    assert answers.heard == [(None, None)]
    return last


class JournalContract:
    """Run by every journal; a subclass gives the fixtures ``journal`` and ``reopen``."""

    @pytest.fixture
    def journal(self) -> Journal:
        """Return an empty journal."""
        raise NotImplementedError

    @pytest.fixture
    def reopen(self, journal: Journal) -> Callable[[], Journal]:
        """Return what gives the journal to the next process."""
        raise NotImplementedError

    def test_an_empty_journal_has_nothing(self, journal: Journal) -> None:
        assert list(journal.read()) == []
        assert journal.last == 0
        assert journal.last_checkpoint() is None

    def test_records_are_numbered_from_one_without_gaps(self, journal: Journal) -> None:
        assert write(journal, b"a") == 1
        assert write(journal, b"b", b"c") == 3
        assert journal.last == 3
        assert list(journal.read()) == [Record(1, b"a"), Record(2, b"b"), Record(3, b"c")]

    def test_reading_starts_after_a_sequence(self, journal: Journal) -> None:
        write(journal, *[b"%d" % number for number in range(1, 11)])
        assert [record.sequence for record in journal.read(7)] == [8, 9, 10]
        assert list(journal.read(10)) == []
        assert list(journal.read(11)) == []

    def test_the_first_record_since_a_time_is_found(self, journal: Journal) -> None:
        assert journal.first_since(0) == 1
        started = [wire.encode(EngineStarted(run, "t", "paper", run * 1_000)) for run in range(1, 101)]
        write(journal, *started[:50])
        assert journal.first_since(50_001) == 51
        write(journal, *started[50:])
        for ts, first in ((0, 1), (1_000, 1), (1_001, 2), (50_000, 50), (99_999, 100), (100_000, 100), (100_001, 101)):
            assert journal.first_since(ts) == first
            assert [record.payload for record in journal.read(first - 1)] == started[first - 1 :]

    def test_payloads_come_back_byte_for_byte(self, journal: Journal) -> None:
        payloads = [b"", b"\x00", b"\xff" * 3, bytes(range(256)), b"x" * 100_000]
        write(journal, *payloads)
        assert [record.payload for record in journal.read()] == payloads

    @pytest.mark.parametrize("count", [1, 31, 32, 33, 255, 256, 257, 600])
    def test_one_append_may_have_any_size(self, journal: Journal, count: int) -> None:
        payloads = [b"%d" % number for number in range(count)]
        assert write(journal, *payloads) == count
        assert [record.payload for record in journal.read()] == payloads

    def test_done_is_called_once_per_append_in_order(self, journal: Journal) -> None:
        answers = Answers()
        for number in range(200):
            journal.append([b"x"] * (number % 3), answers.done(number))
        assert settle(journal) is None
        assert answers.heard == [(number, None) for number in range(200)]

    def test_what_was_acknowledged_can_be_read_at_once(self, journal: Journal) -> None:
        for number in range(1, 20):
            write(journal, b"%d" % number)
            assert len(list(journal.read())) == number

    def test_a_caller_may_reuse_its_list(self, journal: Journal) -> None:
        payloads = [b"a", b"b"]
        journal.append(payloads, Answers().done())
        payloads[:] = [b"z"]
        assert settle(journal) is None
        assert [record.payload for record in journal.read()] == [b"a", b"b"]

    def test_the_next_process_finds_the_records_and_goes_on_behind_them(
        self, journal: Journal, reopen: Callable[[], Journal]
    ) -> None:
        write(journal, b"a", b"b")
        again = reopen()
        assert write(again, b"c") == 3
        assert [record.payload for record in again.read()] == [b"a", b"b", b"c"]

    def test_a_run_number_never_comes_twice(self, journal: Journal, reopen: Callable[[], Journal]) -> None:
        given = [journal.start_run(), journal.start_run()]
        again = reopen()
        given += [again.start_run(), again.start_run()]
        assert given == sorted(set(given))
        assert given[0] >= 1

    def test_the_newest_checkpoint_is_returned(self, journal: Journal, reopen: Callable[[], Journal]) -> None:
        write(journal, *[b"x"] * 5)
        for sequence in (2, 3, 5):
            journal.checkpoint(sequence, b"image %d" % sequence)
        settle(journal)
        assert journal.last_checkpoint() == Checkpoint(5, b"image 5")
        assert reopen().last_checkpoint() == Checkpoint(5, b"image 5")

    def test_a_checkpoint_of_the_empty_ledger_is_possible(self, journal: Journal) -> None:
        journal.checkpoint(0, b"nothing yet")
        settle(journal)
        assert journal.last_checkpoint() == Checkpoint(0, b"nothing yet")

    def test_a_checkpoint_beyond_the_end_is_refused(self, journal: Journal) -> None:
        write(journal, b"x")
        with pytest.raises(StoreError, match="checkpoint after record 2, but the journal ends at 1"):
            journal.checkpoint(2, b"")

    def test_closing_writes_what_is_queued(self, journal: Journal, reopen: Callable[[], Journal]) -> None:
        answers = Answers()
        for number in range(50):
            journal.append([b"%d" % number], answers.done(number))
        journal.close()
        assert answers.heard == [(number, None) for number in range(50)]
        assert len(list(reopen().read())) == 50

    def test_a_closed_journal_takes_nothing(self, journal: Journal) -> None:
        journal.close()
        journal.close()
        for use in (
            lambda: journal.append([b"x"], Answers().done()),
            journal.start_run,
            lambda: journal.checkpoint(0, b""),
        ):
            with pytest.raises(StoreError, match="closed"):
                use()
