"""A price wakes what waits for it, however it comes: with a quote, a snapshot of the book or a change of its top."""

from collections.abc import Sequence

import msgspec
import pytest

from core.domain import market as m
from core.domain.order import Order, OrderType, Side
from core.engine import Engine
from core.outbox import Effect
from tests.core.guardian.watch.kit import ABLE, acted, exits, long, watched
from tests.core.kit import BTC_PERP, T0, D, accept, order, sent, submit

WITHOUT_STOPS = msgspec.structs.replace(ABLE, order_types=frozenset({OrderType.LIMIT, OrderType.MARKET}))


def stop() -> Order:
    """Return a stop for all that is held."""
    return order(BTC_PERP, Side.SELL, "0.1", type=OrderType.STOP, trigger=D(59_500), reduce_only=True)


def comes(engine: Engine, how: str, bid: float = 59_000.0) -> Sequence[Effect]:
    """Let the book bring a price."""
    side = ((bid, 5.0),), ((bid + 0.1, 5.0),)
    if how == "snapshot":
        return engine.process(m.BookSnapshot(BTC_PERP.id, *side, 7, True, T0 + 1, T0 + 1))
    engine.process(m.BookSnapshot(BTC_PERP.id, ((60_000.0, 1.0),), ((60_000.1, 1.0),), 7, True, T0, T0))
    bids, asks = ((60_000.0, 0.0), *side[0]), ((60_000.1, 0.0), *side[1])
    return engine.process(m.BookDelta(BTC_PERP.id, bids, asks, 8, 8, 7, T0 + 1, T0 + 1))


@pytest.mark.parametrize("how", ["snapshot", "delta"])
def test_a_price_that_comes_with_the_book_wakes_the_watch(how: str) -> None:
    engine = long(watched(forced_stop_frac=0.001), "0.1")
    accept(engine, sent(engine, stop()))
    assert acted(list(comes(engine, how))) == [("forced_stop", "exit")]


@pytest.mark.parametrize("how", ["snapshot", "delta"])
def test_a_price_that_comes_with_the_book_releases_a_stop_that_waits_here(how: str) -> None:
    engine = long(watched(able=WITHOUT_STOPS), "0.1")
    submit(engine, stop())
    assert engine._orders.held, "the venue can hold no stop: it waits here"
    assert [one.quantity for one in exits(list(comes(engine, how)))] == [D("0.1")]
