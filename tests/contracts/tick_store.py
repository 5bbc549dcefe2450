"""What every TickStore does, wherever it keeps the ticks."""

from collections.abc import Callable, Sequence

import pytest

from core.domain.identifiers import InstrumentId
from core.domain.market import NO_ID, BookDelta, BookSnapshot, MarkPrice, Quote, Timer, Trade
from core.domain.message import Message
from core.ports import TickStore

BTC = InstrumentId("BINANCE-FUTURES:PERPETUAL:BTC-USDT@LIN")
ETH = InstrumentId("BINANCE-SPOT:SPOT_PAIR:ETH-USDT")
START = 1_723_161_600_000_000_000
ReadBack = Callable[[], Sequence[Message]]


def ticks(count: int, start: int = START, step: int = 1_000_000) -> list[Message]:
    """Return messages of every kind, one a ms, with different exchange and receive stamps."""
    found: list[Message] = []
    for i in range(count):
        ts, seen = start + i * step, start + i * step - 1_270_000_000
        who = BTC if i % 3 else ETH
        found.append(
            (
                Trade(who, 100.5 + i, 0.1 * i, i % 2 == 0, 10**12 + i, seen, ts),
                Quote(who, 99.9, 1.5, 100.1, 2.5 + i, i, seen, ts),
                BookDelta(who, ((99.0, float(i)), (98.5, 0.0)), ((101.0, 3.0),), i, i + 4, i - 1, seen, ts),
                BookSnapshot(who, ((99.0, 1.0),), ((101.0, 1.0), (102.0, 0.25)), i, i % 8 == 3, seen, ts),
                BookDelta(who, (), (), i, i, NO_ID, seen, ts),
            )[i % 5]
        )
    return found


def by_kind(messages: Sequence[Message]) -> dict[tuple[str, str], list[Message]]:
    """Return the messages of each feed of each instrument: a store keeps their order, also among equal stamps."""
    feeds: dict[tuple[str, str], list[Message]] = {}
    for message in messages:
        assert isinstance(message, Trade | Quote | BookDelta | BookSnapshot)
        name = "trades" if isinstance(message, Trade) else "quotes" if isinstance(message, Quote) else "books"
        feeds.setdefault((name, message.instrument), []).append(message)
    return feeds


class TickStoreContract:
    """Give the fixtures ``tick_store``, new and empty, and ``read_back``, what can be read from it by now."""

    @pytest.fixture
    def tick_store(self) -> TickStore:
        raise NotImplementedError

    @pytest.fixture
    def read_back(self) -> ReadBack:
        raise NotImplementedError

    def test_what_was_flushed_reads_back_the_same(self, tick_store: TickStore, read_back: ReadBack) -> None:
        sent = ticks(50)
        for message in sent:
            tick_store.append(message)
        tick_store.flush()
        assert by_kind(read_back()) == by_kind(sent)
        assert tick_store.dropped == 0

    def test_more_than_one_batch_keeps_its_order(self, tick_store: TickStore, read_back: ReadBack) -> None:
        sent = ticks(7_000, step=1_000)
        for message in sent:
            tick_store.append(message)
        tick_store.flush()
        assert by_kind(read_back()) == by_kind(sent)

    def test_equal_stamps_keep_their_order(self, tick_store: TickStore, read_back: ReadBack) -> None:
        sent = ticks(40, step=0)
        for message in sent:
            tick_store.append(message)
        tick_store.flush()
        assert by_kind(read_back()) == by_kind(sent)

    def test_other_messages_are_ignored_and_not_counted(self, tick_store: TickStore, read_back: ReadBack) -> None:
        tick_store.append(Timer(START))
        tick_store.append(MarkPrice(BTC, 1.0, 1.0, 0.0001, START, START, START))
        tick_store.flush()
        assert list(read_back()) == []
        assert tick_store.dropped == 0

    def test_close_flushes(self, tick_store: TickStore, read_back: ReadBack) -> None:
        sent = ticks(3)
        for message in sent:
            tick_store.append(message)
        tick_store.close()
        assert by_kind(read_back()) == by_kind(sent)

    def test_what_comes_after_close_is_counted(self, tick_store: TickStore, read_back: ReadBack) -> None:
        tick_store.close()
        for message in ticks(3):
            tick_store.append(message)
        tick_store.flush()
        assert list(read_back()) == []
        assert tick_store.dropped == 3

    def test_flushing_nothing_is_nothing(self, tick_store: TickStore, read_back: ReadBack) -> None:
        tick_store.flush()
        tick_store.flush()
        assert list(read_back()) == []
