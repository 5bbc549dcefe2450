"""Binance stream frames to messages: pure, no I/O. Numbers go straight from their text to float64.

One parser reads USD-M, spot and COIN-M frames, wrapped (``{"stream":…,"data":…}``) or bare. Which market a stream
belongs to is seen on its first frame and remembered for the stream:

* COIN-M: the symbol has the form ``BTCUSD_PERP`` (its frames also carry ``ps``);
* USD-M: depth has ``pu``, bookTicker has ``e``, trade has ``X``, and only futures publish markPriceUpdate;
* spot: none of these; its trades carry ``M``.

Trades: every ``trade`` frame is one print, whatever its ``X`` (MARKET, INSURANCE_FUND, ADL, NA), so that count and
volume equal the tape's. The one exception is a frame whose price or size is 0: nothing changed hands; it is counted in
``void``. Where a tape holds trade and aggTrade of one instrument, the kind seen first counts and the other is ignored.
"""

import re
from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, Any

import msgspec

from core.domain.identifiers import InstrumentId, parse_id
from core.domain.market import NO_ID, BookDelta, BookSnapshot, MarkPrice, Quote, Trade
from core.domain.message import Nanoseconds
from core.errors import InvalidInstrumentId, VenueError

_MS = 1_000_000
_SANE = 1e15
Price = Annotated[float, msgspec.Meta(gt=0, lt=_SANE)]
Size = Annotated[float, msgspec.Meta(ge=0, lt=_SANE)]
Id = Annotated[int, msgspec.Meta(ge=0)]
Millis = Annotated[int, msgspec.Meta(ge=0, lt=10_000_000_000_000)]
Sides = tuple[tuple[Price, Size], ...]
MarketData = Quote | Trade | BookDelta | BookSnapshot | MarkPrice
"""What a stream or a tape carries: each of one instrument, with an exchange and a receive stamp."""
Handler = Callable[[bytes, Nanoseconds], MarketData | None]


class Market(StrEnum):
    """The part of the exchange a stream comes from."""

    SPOT = "spot"
    USD_M = "usdm"
    COIN_M = "coinm"


class _Quote(msgspec.Struct, gc=False):
    u: Id
    b: Size
    B: Size
    a: Size
    A: Size
    T: Millis = 0
    E: Millis = 0


class _Trade(msgspec.Struct, gc=False):
    p: Size
    q: Size
    m: bool
    T: Millis
    t: int = NO_ID
    a: int = NO_ID


class _Depth(msgspec.Struct, gc=False):
    U: Id
    u: Id
    b: Sides
    a: Sides
    pu: int = NO_ID
    T: Millis = 0
    E: Millis = 0


class _Mark(msgspec.Struct, gc=False):
    E: Millis
    p: Price
    i: Size = 0.0
    r: str = ""
    T: Millis = 0


class _Rest(msgspec.Struct, gc=False):
    lastUpdateId: Id  # noqa: N815  (the wire's name)
    bids: Sides
    asks: Sides
    symbol: str = ""
    T: Millis = 0
    E: Millis = 0


class _Head(msgspec.Struct):
    """The fields that tell what a frame is."""

    e: str = ""
    s: str = ""
    ps: str = ""
    u: int = NO_ID
    pu: int = NO_ID
    X: str | None = None
    M: Any = None


class _Outer(msgspec.Struct):
    stream: str = ""
    data: msgspec.Raw = msgspec.Raw(b"")


def _decoder(kind: type) -> tuple[Callable[[bytes], Any], Callable[[bytes], Any]]:
    """Return the decoders of a wrapped and of a bare frame."""
    outer = msgspec.defstruct(f"Wrapped{kind.__name__}", [("data", kind)], gc=False)
    return (
        msgspec.json.Decoder(outer, strict=False).decode,
        msgspec.json.Decoder(kind, strict=False).decode,
    )


_QUOTE, _TRADE, _DEPTH, _MARK = (_decoder(kind) for kind in (_Quote, _Trade, _Depth, _Mark))
_rest = msgspec.json.Decoder(_Rest, strict=False).decode
_head = msgspec.json.Decoder(_Head).decode
_outer = msgspec.json.Decoder(_Outer).decode

_QUOTES = ("USDT", "USDC", "FDUSD", "TUSD", "BUSD", "USD", "BTC", "ETH", "BNB", "EUR", "TRY")
_DATED = re.compile(r"(?P<pair>[A-Z0-9]+)_(?P<date>\d{6})")
_VENUES = {Market.SPOT: "BINANCE-SPOT", Market.USD_M: "BINANCE-FUTURES", Market.COIN_M: "BINANCE-COINM"}


def instrument_of(symbol: str, market: Market) -> InstrumentId:
    """Return the canonical id of an exchange symbol such as ``BTCUSDT`` or ``BTCUSD_PERP``.

    Raises:
        VenueError: if base and quote cannot be told apart.
    """
    pair, date = symbol.upper(), ""
    if pair.endswith("_PERP"):
        pair = pair.removesuffix("_PERP")
    elif match := _DATED.fullmatch(pair):
        pair, date = match["pair"], match["date"]
    quote = next((q for q in _QUOTES if pair.endswith(q) and len(pair) > len(q)), "")
    if not quote:
        raise VenueError(f'symbol "{symbol}": no known quote asset at its end; known are {", ".join(_QUOTES)}')
    payload = f"{pair.removesuffix(quote)}-{quote}"
    if market is Market.SPOT:
        text = f"{_VENUES[market]}:SPOT_PAIR:{payload}"
    else:
        kind, tail = ("FUTURE", f"-{date}") if date else ("PERPETUAL", "")
        text = f"{_VENUES[market]}:{kind}:{payload}{tail}@{'INV' if market is Market.COIN_M else 'LIN'}"
    try:
        return parse_id(text).id
    except InvalidInstrumentId as error:
        raise VenueError(f'symbol "{symbol}": {error}') from None


class FrameParser:
    """Turn stream frames into messages; remembers per stream what it carries.

    ``market`` fixes the market where the frames alone would not tell. ``void`` counts frames that carry nothing
    (zero trades, one-sided quotes), ``ignored`` those of a kind not used here (acknowledgements, klines).
    """

    def __init__(self, market: Market | None = None) -> None:
        self._market = market
        self._handlers: dict[bytes, Handler] = {}
        self._depth_ids: dict[InstrumentId, int] = {}
        self._prints: dict[InstrumentId, str] = {}
        self.void = 0
        self.ignored = 0

    def parse(self, frame: bytes, ts: Nanoseconds) -> MarketData | None:
        """Return the message in a frame received at ``ts`` (ns, UTC), or None where it carries none.

        Raises:
            VenueError: if the frame is not one of this exchange or a number in it cannot be.
        """
        at = frame.find(b'"data":')
        try:
            if at > 0:
                handler = self._handlers.get(frame[:at])
                if handler is None:
                    handler = self._handlers[frame[:at]] = self._recognise(frame, wrapped=True)
                return handler(frame, ts)
            if b'"lastUpdateId"' in frame[:64]:
                return self._snapshot(frame, ts)
            return self._recognise(frame, wrapped=False)(frame, ts)
        except msgspec.MsgspecError as error:
            raise VenueError(f"not a usable stream frame: {error}") from None

    def _recognise(self, frame: bytes, wrapped: bool) -> Handler:
        stream = ""
        body = frame
        if wrapped:
            outer = _outer(frame)
            stream, body = outer.stream, bytes(outer.data)
        head = _head(body)
        kind = head.e or ("bookTicker" if head.u != NO_ID and head.s else "")
        if kind in ("trade", "aggTrade", "bookTicker", "depthUpdate", "markPriceUpdate") and head.s:
            instrument = instrument_of(head.s, self._market or _market_of(head, kind))
            return self._handler(kind, instrument, 0 if wrapped else 1)
        if kind or b'"result"' in body or b'"error"' in body:
            return self._ignore
        named = f' of stream "{stream}"' if stream else ""
        raise VenueError(f"not a frame of this exchange{named}: no event kind (e) and symbol (s) in it")

    def _handler(self, kind: str, instrument: InstrumentId, form: int) -> Handler:
        if kind == "bookTicker":
            return self._quotes(instrument, _QUOTE[form], form == 0)
        if kind == "depthUpdate":
            return self._depths(instrument, _DEPTH[form], form == 0)
        if kind == "markPriceUpdate":
            return _marks(instrument, _MARK[form], form == 0)
        if self._prints.setdefault(instrument, kind) != kind:
            return self._ignore
        return self._trades(instrument, _TRADE[form], form == 0)

    def _ignore(self, frame: bytes, ts: Nanoseconds) -> None:
        self.ignored += 1

    def _quotes(self, instrument: InstrumentId, decode: Callable[[bytes], Any], wrapped: bool) -> Handler:
        def quote(frame: bytes, ts: Nanoseconds) -> MarketData | None:
            d = decode(frame)
            if wrapped:
                d = d.data
            if not (d.b and d.a):
                self.void += 1
                return None
            return Quote(instrument, d.b, d.B, d.a, d.A, d.u, (d.T or d.E) * _MS or ts, ts)

        return quote

    def _trades(self, instrument: InstrumentId, decode: Callable[[bytes], Any], wrapped: bool) -> Handler:
        def trade(frame: bytes, ts: Nanoseconds) -> MarketData | None:
            d = decode(frame)
            if wrapped:
                d = d.data
            if not (d.p and d.q):
                self.void += 1
                return None
            return Trade(instrument, d.p, d.q, not d.m, d.t if d.t != NO_ID else d.a, d.T * _MS, ts)

        return trade

    def _depths(self, instrument: InstrumentId, decode: Callable[[bytes], Any], wrapped: bool) -> Handler:
        ids = self._depth_ids

        def depth(frame: bytes, ts: Nanoseconds) -> MarketData | None:
            d = decode(frame)
            if wrapped:
                d = d.data
            ids[instrument] = d.u
            return BookDelta(instrument, d.b, d.a, d.U, d.u, d.pu, (d.T or d.E) * _MS or ts, ts)

        return depth

    def _snapshot(self, frame: bytes, ts: Nanoseconds) -> BookSnapshot:
        """Parse a REST depth answer; it names no symbol, so it belongs to the depth stream with the nearest id."""
        d = _rest(frame)
        if not self._depth_ids:
            raise VenueError("a depth snapshot before any depth frame: nothing says whose book it is")
        instrument = min(self._depth_ids, key=lambda key: abs(self._depth_ids[key] - d.lastUpdateId))
        return BookSnapshot(instrument, d.bids, d.asks, d.lastUpdateId, True, (d.T or d.E) * _MS or ts, ts)


def _marks(instrument: InstrumentId, decode: Callable[[bytes], Any], wrapped: bool) -> Handler:
    def mark(frame: bytes, ts: Nanoseconds) -> MarketData | None:
        d = decode(frame)
        if wrapped:
            d = d.data
        return MarkPrice(instrument, d.p, d.i or d.p, float(d.r or 0), d.T * _MS, d.E * _MS, ts)

    return mark


def _market_of(head: _Head, kind: str) -> Market:
    if head.ps or head.s.endswith("USD_PERP"):
        return Market.COIN_M
    if kind == "depthUpdate":
        return Market.USD_M if head.pu != NO_ID else Market.SPOT
    if kind == "bookTicker":
        return Market.USD_M if head.e else Market.SPOT
    if kind == "trade":
        return Market.USD_M if head.X is not None else Market.SPOT
    if kind == "aggTrade":
        return Market.USD_M if head.M is None else Market.SPOT
    return Market.USD_M


def sent_at(frame: bytes) -> Nanoseconds:
    """Return when the exchange sent a frame (its ``E``, ns, UTC), or 0 where it does not say."""
    found = _SENT.search(frame, 0, 400)
    return int(found[1]) * _MS if found else 0


_SENT = re.compile(rb'"E":(\d{13})[,}]')
