"""The state of a matching as bytes, for a venue that outlives its process."""

from collections import deque
from decimal import Decimal

import msgspec

from core.domain.commands import AmendOrder, CancelOrder, SubmitOrder
from core.domain.events import FundingPaid, OrderFilled, PositionLiquidated
from core.domain.identifiers import Asset, ClientOrderId, InstrumentId, VenueOrderId
from core.domain.message import Event, Nanoseconds
from core.domain.order import Side
from core.domain.position import Position
from core.errors import VenueError
from core.session.wire import AnyEvent
from core.state.book import Sync
from venues.matching.account import Account
from venues.matching.floor import Floor
from venues.matching.liquidity import Liquidity, Taken
from venues.matching.listing import Listing
from venues.matching.working import Working

FORMAT = 1
NO_VENUE_ID = VenueOrderId("")
Request = SubmitOrder | AmendOrder | CancelOrder
_PLAIN = (
    "now",
    "bid",
    "bid_size",
    "ask",
    "ask_size",
    "last",
    "quoted",
    "published_mark",
    "marked",
    "funding_rate",
    "next_funding",
)


class LevelsImage(msgspec.Struct, array_like=True):
    """The market of one listing; deltas that still wait for a snapshot are left out: the feed resynchronises."""

    plain: tuple[int, float, float, float, float, float, bool, float, int, float, int]
    bids: dict[float, float]
    asks: dict[float, float]
    last_id: int
    sync: int
    gaps: int


class ListingImage(msgspec.Struct, array_like=True):
    """One listing: position, what orders have set aside, our order ids by where they stand."""

    position: Position | None
    isolated: Decimal
    open_buy: Decimal
    open_sell: Decimal
    funding_due: Nanoseconds
    bids: list[ClientOrderId]
    asks: list[ClientOrderId]
    waiting: list[ClientOrderId]
    taken_bids: dict[float, Taken]
    taken_asks: dict[float, Taken]
    marked_at: float
    bar_ns: int
    market: LevelsImage | None


class Image(msgspec.Struct, array_like=True):
    """Everything a matching knows."""

    format: int
    now: Nanoseconds
    counters: dict[str, int]
    wallets: dict[Asset, Decimal]
    locked: dict[Asset, Decimal]
    orders: list[Working]
    closed: list[ClientOrderId]
    fills: list[OrderFilled]
    listings: dict[InstrumentId, ListingImage]
    expiries: list[tuple[Nanoseconds, int, ClientOrderId]]
    requests: list[tuple[Nanoseconds, Request]]
    request_leg: tuple[Nanoseconds, int]
    answers: list[tuple[Nanoseconds, bytes]]
    answer_leg: tuple[Nanoseconds, int]
    bookings: list[FundingPaid | PositionLiquidated] = []


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Image)
_event_decoder: "msgspec.msgpack.Decoder[Event]" = msgspec.msgpack.Decoder(AnyEvent)
encode = _encoder.encode


def decode(image: bytes) -> Image:
    """Read an image.

    Raises:
        VenueError: when it is damaged or of another format.
    """
    try:
        read = _decoder.decode(image)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise VenueError(f"the saved state of the practice venue cannot be read: {error}; move it away") from error
    if read.format != FORMAT:
        raise VenueError(f"the saved state has format {read.format}, this program reads {FORMAT}; move it away")
    return read


def pack_answers(items: "deque[tuple[Nanoseconds, Event]]") -> list[tuple[Nanoseconds, bytes]]:
    """Return answers on their way, encoded one by one."""
    return [(due, _encoder.encode(event)) for due, event in items]


def unpack_answers(items: list[tuple[Nanoseconds, bytes]]) -> list[tuple[Nanoseconds, Event]]:
    """Return answers on their way."""
    return [(due, _event_decoder.decode(body)) for due, body in items]


def of_listing(listing: Listing, market: bool) -> ListingImage:
    """Return the image of one listing."""
    holding, liquidity = listing.holding, listing.liquidity
    zero = Decimal(0)
    return ListingImage(
        holding.position if holding else None,
        holding.isolated if holding else zero,
        holding.open[Side.BUY] if holding else zero,
        holding.open[Side.SELL] if holding else zero,
        holding.funding_due if holding else 0,
        [working.order.client_order_id for working in listing.bids],
        [working.order.client_order_id for working in listing.asks],
        [working.order.client_order_id for working in listing.waiting],
        liquidity.taken_bids,
        liquidity.taken_asks,
        listing.marked_at,
        listing.bar_ns,
        _of_market(liquidity) if market else None,
    )


def _of_market(liquidity: Liquidity) -> LevelsImage:
    book = liquidity.book
    plain = (
        liquidity.now,
        liquidity.bid,
        liquidity.bid_size,
        liquidity.ask,
        liquidity.ask_size,
        liquidity.last,
        liquidity.quoted,
        liquidity.published_mark,
        liquidity.marked,
        liquidity.funding_rate,
        liquidity.next_funding,
    )
    return LevelsImage(plain, book.bids, book.asks, book.last_id, int(book.sync), book.gaps)


def into_floor(image: Image, floor: Floor, account: Account) -> None:
    """Put a floor, its account and its listings into the state of an image.

    Raises:
        VenueError: when the image holds an instrument that this venue does not list.
    """
    missing = image.listings.keys() - floor.listings.keys()
    if missing:
        raise VenueError(f"the saved state holds {', '.join(sorted(missing))}, which this venue does not list")
    floor.now = image.now
    floor.counters = image.counters
    floor.orders = {working.order.client_order_id: working for working in image.orders}
    floor.closed = deque(image.closed)
    floor.fills = deque(image.fills, floor.fills.maxlen)
    floor.bookings = deque(image.bookings, floor.bookings.maxlen)
    account.wallets, account.locked = image.wallets, image.locked
    for key, part in image.listings.items():
        _into_listing(part, floor.listings[key], floor.orders)


def _into_listing(part: ListingImage, listing: Listing, orders: dict[ClientOrderId, Working]) -> None:
    holding, liquidity = listing.holding, listing.liquidity
    if holding is not None and part.position is not None:
        holding.position, holding.isolated, holding.funding_due = part.position, part.isolated, part.funding_due
        holding.open = {Side.BUY: part.open_buy, Side.SELL: part.open_sell}
    listing.bids = [orders[key] for key in part.bids]
    listing.asks = [orders[key] for key in part.asks]
    listing.waiting = [orders[key] for key in part.waiting]
    listing.marked_at, listing.bar_ns = part.marked_at, part.bar_ns
    liquidity.taken_bids, liquidity.taken_asks = part.taken_bids, part.taken_asks
    if part.market is not None:
        for name, value in zip(_PLAIN, part.market.plain, strict=True):
            setattr(liquidity, name, value)
        book, saved = liquidity.book, part.market
        book.bids, book.asks = saved.bids, saved.asks
        book.bid_prices, book.ask_prices = sorted(saved.bids), sorted(saved.asks)
        book.last_id, book.sync, book.gaps = saved.last_id, Sync(saved.sync), saved.gaps
    listing.look()
