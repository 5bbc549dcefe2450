"""What followers of a feed are sent: a newcomer's book holds, whenever it came."""

from typing import Any, cast

from core.domain.market import NO_ID, BookDelta, BookSnapshot, Feed
from core.domain.message import Data
from core.session import wire
from core.state.book import Book, Sync
from tests.venues.market.process import BTC
from venues.market import protocol as p
from venues.market.server import Feeds

T0 = 1_700_000_000_000_000_000


class Listener:
    """A session whose book is kept as an engine keeps it."""

    def __init__(self) -> None:
        self.book = Book()

    def send(self, frame: bytes) -> None:
        message = wire.decode_message(frame[wire.HEADER :])
        if isinstance(message, BookSnapshot):
            self.book.apply_snapshot(message)
        elif isinstance(message, BookDelta):
            self.book.apply_delta(message)


def delta(id_: int, price: float) -> BookDelta:
    return BookDelta(BTC, ((price, float(id_)),), (), id_, id_, id_ - 1, T0, T0)


def test_a_newcomer_between_a_tapes_deltas_and_their_older_snapshot_has_the_whole_book() -> None:
    feeds, early, late = Feeds(), Listener(), Listener()

    def follow(listener: Listener) -> None:
        feeds.subscribe(cast("Any", listener), p.Subscribe(BTC, Feed.BOOK), T0)

    def play(*messages: Data) -> None:
        for message in messages:
            feeds.on_data(message, BTC)

    follow(early)
    play(BookSnapshot(BTC, (), (), NO_ID, False, T0, T0), delta(11, 99.0), delta(12, 98.0))
    follow(late)  # it is shown one picture of both deltas
    play(delta(13, 97.0), BookSnapshot(BTC, ((90.0, 1.0),), ((101.0, 1.0),), 10, True, T0, T0), delta(14, 96.0))
    for listener in (early, late):
        book = listener.book
        assert (book.sync, book.last_id, book.gaps) == (Sync.SYNCED, 14, 0)
        assert book.bids == {90.0: 1.0, 99.0: 11.0, 98.0: 12.0, 97.0: 13.0, 96.0: 14.0}
