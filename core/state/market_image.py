"""The last prices of one market as a value: part of a client's first picture."""

import msgspec

from core.domain.identifiers import InstrumentId
from core.domain.market import Health
from core.domain.message import Nanoseconds
from core.state.markets import Market


class MarketImage(msgspec.Struct, frozen=True, array_like=True):
    """The last prices of one market, for a client's first picture."""

    instrument: InstrumentId
    bid: float
    bid_size: float
    ask: float
    ask_size: float
    last: float
    mark: float
    marked: Nanoseconds
    funding_rate: float
    next_funding: Nanoseconds
    ts_exchange: Nanoseconds
    ts: Nanoseconds
    health: Health
    reason: str
    gaps: int
    clock_offset_ns: int
    day_open: float


def market_image(market: Market) -> MarketImage:
    """Return the last prices of a market."""
    return MarketImage(
        market.instrument.id,
        market.bid,
        market.bid_size,
        market.ask,
        market.ask_size,
        market.last,
        market.mark,
        market.marked,
        market.funding_rate,
        market.next_funding,
        market.ts_exchange,
        market.ts,
        market.health,
        market.reason,
        market.gaps,
        market.clock_offset_ns,
        market.day_open,
    )


def restore_market(market: Market, view: MarketImage) -> None:
    """Put a market to the prices of a picture."""
    for name in MarketImage.__struct_fields__[1:]:
        setattr(market, "feed_gaps" if name == "gaps" else name, getattr(view, name))
