"""The book against a naive model: snapshots, deltas in any interleaving, gaps by both rules, pruning."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.market import NO_ID, BookDelta, BookSnapshot, Levels
from core.state import book as book_module
from core.state.book import Book, Sync
from tests.core.kit import BTC_PERP, T0

NAN, INF = float("nan"), float("inf")
prices = st.integers(1, 40).map(lambda tick: tick / 10)
sizes = st.one_of(st.just(0.0), st.integers(1, 9).map(float))
levels = st.lists(st.tuples(prices, sizes), max_size=6).map(tuple)


def delta(bids: Levels, asks: Levels, first: int, last: int, prev: int = NO_ID) -> BookDelta:
    return BookDelta(BTC_PERP.id, bids, asks, first, last, prev, T0, T0)


def snapshot(bids: Levels, asks: Levels, last: int, complete: bool = True) -> BookSnapshot:
    return BookSnapshot(BTC_PERP.id, bids, asks, last, complete, T0, T0)


@dataclass
class Naive:
    """A venue's book: plain dicts, one update id a change."""

    bids: dict[float, float] = field(default_factory=dict)
    asks: dict[float, float] = field(default_factory=dict)
    last: int = 100

    def change(self, bids: Levels, asks: Levels, usdm: bool, skip: int = 0) -> BookDelta:
        """Apply a change and return it as the venue publishes it; ``skip`` ids belong to nobody we hear of."""
        first = self.last + 1 + skip
        made = delta(bids, asks, first, first + 2, self.last if usdm else NO_ID)
        for side, changed in ((self.bids, bids), (self.asks, asks)):
            for price, size in changed:
                if size:
                    side[price] = size
                else:
                    side.pop(price, None)
        self.last = first + 2
        return made

    def snapshot(self) -> BookSnapshot:
        return snapshot(tuple(self.bids.items()), tuple(self.asks.items()), self.last)


def same(book: Book, naive: Naive) -> None:
    assert book.bids == naive.bids
    assert book.asks == naive.asks
    assert book.bid_prices == sorted(naive.bids)
    assert book.ask_prices == sorted(naive.asks)
    best_bid = max(naive.bids.items(), default=None)
    best_ask = min(naive.asks.items(), default=None)
    assert (book.best_bid, book.best_ask) == (best_bid, best_ask)
    assert book.crossed == bool(best_bid and best_ask and best_bid[0] >= best_ask[0])
    bids, asks = book.top(3)
    assert bids == tuple(sorted(naive.bids.items(), reverse=True))[:3]
    assert asks == tuple(sorted(naive.asks.items()))[:3]


@given(st.lists(st.tuples(levels, levels), max_size=15), st.booleans())
def test_deltas_on_a_snapshot_give_the_venues_book(changes: list[tuple[Levels, Levels]], usdm: bool) -> None:
    naive, book = Naive(), Book()
    book.apply_snapshot(naive.snapshot())
    for bids, asks in changes:
        assert book.apply_delta(naive.change(bids, asks, usdm)) is True
        same(book, naive)
    assert (book.sync, book.gaps) == (Sync.SYNCED, 0)


@given(st.lists(st.tuples(levels, levels), min_size=1, max_size=12), st.booleans(), st.data())
def test_a_snapshot_may_come_at_any_moment(changes: list[tuple[Levels, Levels]], usdm: bool, data: Any) -> None:
    """The snapshot is taken anywhere in the stream and arrives anywhere behind that."""
    taken = data.draw(st.integers(0, len(changes)), "taken after")
    arrives = data.draw(st.integers(taken, len(changes)), "arrives after")
    naive, book = Naive(), Book()
    seen = naive.snapshot()
    for number, (bids, asks) in enumerate(changes, start=1):
        book.apply_delta(naive.change(bids, asks, usdm))
        if number == taken:
            seen = naive.snapshot()
        if number == arrives:
            book.apply_snapshot(seen)
    if arrives == 0:
        book = Book()
        naive = Naive()
        book.apply_snapshot(seen)
        for bids, asks in changes:
            book.apply_delta(naive.change(bids, asks, usdm))
    assert (book.sync, book.gaps) == (Sync.SYNCED, 0)
    same(book, naive)


@given(st.lists(st.tuples(levels, levels), min_size=3, max_size=12), st.booleans(), st.data())
def test_a_lost_delta_is_a_gap_until_the_next_snapshot(
    changes: list[tuple[Levels, Levels]], usdm: bool, data: Any
) -> None:
    lost = data.draw(st.integers(0, len(changes) - 2), "lost")
    taken = data.draw(st.integers(lost + 1, len(changes) - 1), "snapshot after")
    arrives = data.draw(st.integers(taken, len(changes) - 1), "arrives after")
    naive, book = Naive(), Book()
    book.apply_snapshot(naive.snapshot())
    seen = None
    for number, (bids, asks) in enumerate(changes):
        made = naive.change(bids, asks, usdm)
        if number == lost:
            continue
        held = book.apply_delta(made)
        assert held is (number < lost or (seen is not None and number > arrives))
        assert book.sync is (Sync.SYNCED if held else Sync.GAP)
        if number == taken:
            seen = naive.snapshot()
        if number == arrives:
            assert seen is not None
            book.apply_snapshot(seen)
            assert (book.sync, book.gaps) == (Sync.SYNCED, 1)
            same(book, naive)
    same(book, naive)


@given(st.lists(st.tuples(levels, levels), min_size=1, max_size=8), st.booleans(), st.data())
def test_deltas_told_again_change_nothing(changes: list[tuple[Levels, Levels]], usdm: bool, data: Any) -> None:
    naive, book = Naive(), Book()
    book.apply_snapshot(naive.snapshot())
    heard: list[BookDelta] = []
    for bids, asks in changes:
        heard.append(naive.change(bids, asks, usdm))
        assert book.apply_delta(heard[-1])
        assert book.apply_delta(data.draw(st.sampled_from(heard)))
    same(book, naive)
    assert book.gaps == 0


def test_the_first_delta_behind_a_usdm_snapshot_straddles_it() -> None:
    book = Book()
    book.apply_snapshot(snapshot(((1.0, 1.0),), ((2.0, 1.0),), 100))
    assert book.apply_delta(delta(((1.5, 2.0),), (), 95, 105, prev=94))
    assert not book.apply_delta(delta((), (), 111, 115, prev=110))
    assert (book.gaps, book.sync, book.best_bid) == (1, Sync.GAP, (1.5, 2.0))


def test_a_spot_delta_must_begin_where_the_last_ended() -> None:
    book = Book()
    book.apply_snapshot(snapshot((), (), 100))
    assert book.apply_delta(delta((), (), 101, 105))
    assert not book.apply_delta(delta((), (), 107, 110))
    assert book.gaps == 1


def test_a_gap_is_counted_once_while_it_lasts() -> None:
    book = Book()
    book.apply_snapshot(snapshot((), (), 100))
    for first in (110, 120, 130):
        assert not book.apply_delta(delta(((1.0, 1.0),), (), first, first + 1))
    assert (book.gaps, book.bids) == (1, {})


def test_without_a_snapshot_the_levels_seen_are_partial() -> None:
    book = Book()
    assert book.apply_delta(delta(((1.0, 1.0),), (), 1, 5))
    assert book.apply_delta(delta((), ((2.0, 1.0),), 6, 8))
    assert book.apply_delta(delta(((9.0, 1.0),), (), 1, 5))  # old: skipped
    assert (book.sync, book.best_bid, book.best_ask, book.gaps) == (Sync.PARTIAL, (1.0, 1.0), (2.0, 1.0), 0)
    assert book.apply_delta(delta(((1.1, 1.0),), (), 20, 21))
    assert (book.sync, book.gaps) == (Sync.PARTIAL, 1)


def test_a_view_of_the_top_is_never_called_synchronised() -> None:
    book = Book()
    book.apply_snapshot(snapshot(((1.0, 1.0),), ((2.0, 1.0),), 100, complete=False))
    assert book.sync is Sync.PARTIAL


def test_a_venue_without_ids_is_taken_as_it_comes() -> None:
    book = Book()
    book.apply_snapshot(snapshot(((1.0, 1.0),), (), NO_ID))
    assert book.apply_delta(delta(((1.0, 0.0), (0.9, 3.0)), (), NO_ID, NO_ID))
    assert (book.sync, book.bids) == (Sync.SYNCED, {0.9: 3.0})


@pytest.mark.parametrize("price", [NAN, INF, -INF, 0.0, -1.0])
def test_a_senseless_price_makes_no_level(price: float) -> None:
    book = Book()
    book.apply_snapshot(snapshot(((price, 1.0), (1.0, 1.0)), ((price, 1.0), (2.0, 1.0)), 100))
    assert book.apply_delta(delta(((price, 1.0), (1.1, 1.0)), ((price, 1.0), (1.9, 1.0)), 101, 102))
    assert (book.bid_prices, book.ask_prices) == ([1.0, 1.1], [1.9, 2.0])


@pytest.mark.parametrize("size", [NAN, INF, -1.0])
def test_a_senseless_size_is_no_level(size: float) -> None:
    book = Book()
    book.apply_snapshot(snapshot(((1.0, size),), ((2.0, 1.0),), 100))
    book.apply_delta(delta(((0.9, size),), ((2.0, size),), 101, 102))
    assert (book.bids, book.asks) == ({}, {})


def test_far_levels_are_pruned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(book_module, "MAX_LEVELS", 3)
    book = Book()
    book.apply_snapshot(snapshot((), (), 100))
    book.apply_delta(
        delta(tuple((p / 10, 1.0) for p in range(1, 6)), tuple((p / 10, 1.0) for p in range(7, 12)), 101, 101)
    )
    assert (book.bid_prices, book.ask_prices) == ([0.3, 0.4, 0.5], [0.7, 0.8, 0.9])
    assert (set(book.bids), set(book.asks)) == ({0.3, 0.4, 0.5}, {0.7, 0.8, 0.9})


def test_a_feed_that_starts_again_forgets_the_levels_not_the_count() -> None:
    book = Book()
    book.apply_snapshot(snapshot(((1.0, 1.0),), (), 100))
    book.apply_delta(delta((), (), 110, 111))
    book.reset()
    assert (book.sync, book.gaps, book.best_bid, book.best_ask, book.last_id) == (Sync.EMPTY, 1, None, None, NO_ID)


def test_a_view_without_an_id_starts_the_sequence_again() -> None:
    book = Book()
    book.apply_delta(delta(((1.0, 1.0),), (), 1, 5))
    book.apply_snapshot(snapshot((), (), NO_ID, complete=False))
    assert book.apply_delta(delta(((1.1, 1.0),), (), 70, 75))
    assert (book.sync, book.gaps, book.bids) == (Sync.PARTIAL, 0, {1.1: 1.0})
