"""Frames of the three markets, wrapped and bare, and what must be refused."""

import json
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.market import NO_ID, BookDelta, BookSnapshot, MarkPrice, Quote, Trade
from core.errors import VenueError
from tests.generate.tapes import generate
from venues.market.opening import open_tape
from venues.market.parse import FrameParser, Market, instrument_of

TS = 1_723_161_255_000_000_000
USDM = "BINANCE-FUTURES:PERPETUAL:BTC-USDT@LIN"
SPOT = "BINANCE-SPOT:SPOT_PAIR:BTC-USDT"
COINM = "BINANCE-COINM:PERPETUAL:BTC-USD@INV"


def wrap(stream: str, data: dict[str, Any]) -> bytes:
    return json.dumps({"stream": stream, "data": data}, separators=(",", ":")).encode()


USDM_QUOTE = {"e": "bookTicker", "u": 7, "s": "BTCUSDT", "b": "61800.20", "B": "2.507", "a": "61800.30", "A": "2.510"}
SPOT_QUOTE = {
    "u": 9,
    "s": "BTCUSDT",
    "b": "61685.99000000",
    "B": "1.25869000",
    "a": "61686.00000000",
    "A": "2.44816000",
}
DEPTH = {"e": "depthUpdate", "E": 1723161256299, "s": "BTCUSDT", "U": 5, "u": 8, "b": [["61683.5", "0.014"]], "a": []}
TRADE = {"e": "trade", "E": 2, "T": 1723161256322, "s": "BTCUSDT", "t": 11, "p": "61800.30", "q": "0.006", "m": False}


@pytest.mark.parametrize("wrapped", [True, False])
def test_quotes_tell_their_market_by_their_fields(wrapped: bool) -> None:
    def parse(data: dict[str, Any]) -> object:
        frame = wrap("btcusdt@bookTicker", data) if wrapped else json.dumps(data).encode()
        return FrameParser().parse(frame, TS)

    sent = USDM_QUOTE | {"T": 1723161256313, "E": 1723161256315}
    assert parse(sent) == Quote(USDM, 61800.2, 2.507, 61800.3, 2.51, 7, 1723161256313_000000, TS)  # type: ignore[arg-type]
    assert parse(SPOT_QUOTE) == Quote(SPOT, 61685.99, 1.25869, 61686.0, 2.44816, 9, TS, TS)  # type: ignore[arg-type]


def test_depth_keeps_ids_and_removals() -> None:
    linear = FrameParser().parse(
        wrap("x@depth", DEPTH | {"pu": 4, "T": 1723161256298, "a": [["61684.5", "0.000"]]}), TS
    )
    assert linear == BookDelta(
        USDM,  # type: ignore[arg-type]
        ((61683.5, 0.014),),
        ((61684.5, 0.0),),
        5,
        8,
        4,
        1723161256298_000000,
        TS,
    )
    spot = FrameParser().parse(wrap("x@depth", DEPTH), TS)
    assert isinstance(spot, BookDelta)
    assert (spot.instrument, spot.prev_id, spot.ts_exchange) == (SPOT, NO_ID, 1723161256299_000000)


@pytest.mark.parametrize("kind", ["MARKET", "INSURANCE_FUND", "ADL", "NA"])
def test_every_kind_of_trade_frame_is_a_trade(kind: str) -> None:
    got = FrameParser().parse(wrap("x@trade", TRADE | {"X": kind}), TS)
    assert got == Trade(USDM, 61800.3, 0.006, True, 11, 1723161256322_000000, TS)  # type: ignore[arg-type]


def test_a_trade_of_nothing_is_counted_and_not_passed_on() -> None:
    parser = FrameParser()
    assert parser.parse(wrap("x@trade", TRADE | {"X": "NA", "p": "0", "q": "0"}), TS) is None
    assert parser.void == 1


def test_spot_and_coin_margined_trades() -> None:
    spot = FrameParser().parse(wrap("x@trade", TRADE | {"M": True, "m": True}), TS)
    coin = FrameParser().parse(wrap("x@trade", TRADE | {"X": "MARKET", "s": "BTCUSD_PERP", "ps": "BTCUSD"}), TS)
    assert isinstance(spot, Trade)
    assert isinstance(coin, Trade)
    assert (spot.instrument, spot.buyer) == (SPOT, False)
    assert (coin.instrument, coin.buyer) == (COINM, True)


def test_aggregate_trades_beside_trades_do_not_count_twice() -> None:
    parser = FrameParser()
    agg = {"e": "aggTrade", "E": 1, "s": "BTCUSDT", "a": 5, "p": "1.5", "q": "2", "T": 3, "m": True}
    assert isinstance(parser.parse(wrap("x@aggTrade", agg), TS), Trade)
    assert parser.parse(wrap("x@trade", TRADE | {"X": "MARKET"}), TS) is None
    assert parser.ignored == 1


def test_mark_price_with_and_without_funding() -> None:
    data = {"e": "markPriceUpdate", "E": 1723161256000, "s": "BTCUSDT", "p": "61800.1", "i": "61805.0", "P": "1"}
    got = FrameParser().parse(wrap("x@markPrice@1s", data | {"r": "0.00010000", "T": 1723190400000}), TS)
    assert got == MarkPrice(USDM, 61800.1, 61805.0, 0.0001, 1723190400000_000000, 1723161256000_000000, TS)  # type: ignore[arg-type]
    dated = FrameParser().parse(wrap("x@markPrice", data | {"s": "BTCUSDT_240927", "r": "", "T": 0}), TS)
    assert isinstance(dated, MarkPrice)
    assert (dated.instrument, dated.funding_rate) == ("BINANCE-FUTURES:FUTURE:BTC-USDT-240927@LIN", 0.0)


def test_a_snapshot_belongs_to_the_book_with_the_nearest_id() -> None:
    parser = FrameParser()
    parser.parse(wrap("x@depth", DEPTH | {"pu": 4}), TS)
    parser.parse(wrap("y@depth", DEPTH | {"s": "ETHUSDT", "pu": 4, "U": 900, "u": 905}), TS)
    line = b'{"lastUpdateId":903,"E":1723161256501,"T":1723161256493,"bids":[["61.20","2.9"]],"asks":[["61.30","1"]]}'
    got = parser.parse(line, TS)
    assert isinstance(got, BookSnapshot)
    assert (got.instrument, got.last_id, got.complete) == ("BINANCE-FUTURES:PERPETUAL:ETH-USDT@LIN", 903, True)
    with pytest.raises(VenueError, match="whose book"):
        FrameParser().parse(line, TS)


@pytest.mark.parametrize(
    "number", ['"nan"', '"inf"', '"-1"', '"0"', '"1e400"', '""', '"12x"', "null", '{"a":1}', '"1e15"']
)
def test_numbers_that_cannot_be_are_refused(number: str) -> None:
    frame = wrap("x@depth", DEPTH | {"pu": 4}).replace(b'"61683.5"', number.encode())
    with pytest.raises(VenueError, match="not a usable stream frame"):
        FrameParser().parse(frame, TS)


@pytest.mark.parametrize(
    "frame", [b"", b"{}", b"garbage", b'{"stream":"a","data":{}}', b'{"topic":"orderbook.50.X"}', b"[1]"]
)
def test_frames_of_others_are_refused(frame: bytes) -> None:
    with pytest.raises(VenueError):
        FrameParser().parse(frame, TS)


def test_what_is_of_no_use_is_ignored_and_counted() -> None:
    parser = FrameParser()
    assert parser.parse(b'{"result":null,"id":1}', TS) is None
    assert parser.parse(wrap("x@kline_1m", {"e": "kline", "s": "BTCUSDT"}), TS) is None
    assert parser.ignored == 2


def test_symbols_become_canonical_ids() -> None:
    assert instrument_of("ETHUSDC", Market.SPOT) == "BINANCE-SPOT:SPOT_PAIR:ETH-USDC"
    assert instrument_of("BTCUSD_240927", Market.COIN_M) == "BINANCE-COINM:FUTURE:BTC-USD-240927@INV"
    with pytest.raises(VenueError, match="quote asset"):
        instrument_of("WHAT", Market.SPOT)


@given(
    st.integers(1, 10**9).map(lambda n: Decimal(n).scaleb(-2)),
    st.integers(0, 10**12).map(lambda n: Decimal(n).scaleb(-8)),
)
def test_a_number_is_the_double_of_its_text(price: Decimal, size: Decimal) -> None:
    frame = wrap("x@depth", DEPTH | {"pu": 4, "b": [[str(price), f"{size:f}"]]})
    got = FrameParser().parse(frame, TS)
    assert isinstance(got, BookDelta)
    assert got.bids == ((float(price), float(size)),)


def _compare(lines: Iterator[bytes]) -> Counter[str]:
    """Parse every line and hold it against the plain json module."""
    parser, kinds = FrameParser(), Counter[str]()
    for line in lines:
        stamp, _, frame = line.partition(b" ")
        got, raw = parser.parse(frame, int(stamp)), json.loads(frame)
        data = raw.get("data", raw)
        if isinstance(got, Trade):
            assert (got.price, got.size, got.trade_id) == (float(data["p"]), float(data["q"]), data["t"])
            assert (got.buyer, got.ts_exchange) == (not data["m"], data["T"] * 10**6)
        elif isinstance(got, Quote):
            assert (got.bid, got.bid_size) == (float(data["b"]), float(data["B"]))
            assert (got.ask, got.ask_size, got.update_id) == (float(data["a"]), float(data["A"]), data["u"])
        elif isinstance(got, BookDelta):
            assert got.bids == tuple((float(p), float(q)) for p, q in data["b"])
            assert got.asks == tuple((float(p), float(q)) for p, q in data["a"])
            assert (got.first_id, got.last_id, got.prev_id) == (data["U"], data["u"], data.get("pu", NO_ID))
        elif isinstance(got, BookSnapshot):
            assert (len(got.bids), len(got.asks), got.last_id) == (
                len(data["bids"]),
                len(data["asks"]),
                data["lastUpdateId"],
            )
        kinds[type(got).__name__] += 1
    return kinds


FILES = {
    "usdm": (
        "l2/binance-usdm-btcusdt-20240808.xz",
        {"Quote": 66089, "Trade": 21313, "BookDelta": 6551, "BookSnapshot": 1},
    ),
    "spot": ("l2/binance-spot-btcusdt-20240809.xz", {"Quote": 45134, "Trade": 10147, "BookDelta": 3044}),
    "coinm": ("l2/binance-coinm-btcusd-20240809.xz", {"Quote": 29219, "Trade": 2949, "BookDelta": 17948}),
}


@pytest.mark.parametrize("market", FILES)
def test_recorded_frames_equal_plain_json(market: str, recorded_data: Path) -> None:
    name, expected = FILES[market]
    path = recorded_data / name
    import lzma

    with lzma.open(path) as lines:
        assert _compare(iter(lines)) == expected


@pytest.mark.parametrize("market", FILES)
def test_generated_frames_equal_plain_json(market: str, tmp_path: Path) -> None:
    tape = generate(market)
    kinds = _compare(iter(tape.lines))
    assert (kinds["Trade"], kinds["BookDelta"]) == (tape.truth.trades, tape.truth.deltas)
    assert kinds["BookSnapshot"] == (market == "usdm")
    assert open_tape(tape.write(tmp_path / "t")).instruments == ({"usdm": USDM, "spot": SPOT, "coinm": COINM}[market],)
