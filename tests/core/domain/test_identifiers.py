"""Ids: every type goes round, every example of the specification parses, every error names its part."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.identifiers import (
    ASSET_CLASSES,
    BETS,
    DERIVATIVES,
    ON_CHAIN,
    InstrumentKey,
    InstrumentType,
    VenueId,
    instrument_id,
    parse_id,
    symbol_of,
    venue_of,
)
from core.errors import InvalidInstrumentId

EXAMPLES = [
    "BINANCE-SPOT:SPOT_ASSET:BTC",
    "BINANCE-SPOT:SPOT_PAIR:BTC-USDT",
    "BINANCE-FUTURES:PERPETUAL:BTC-USDT@LIN",
    "HYPERLIQUID:PERPETUAL:XRP-USDC@LIN",
    "ASTER:PERPETUAL:ETH-USDT@LIN",
    "DERIBIT:FUTURE:BTC-USD-241225@INV",
    "CME:FUTURE:SP500-USD-241225@LIN",
    "DERIBIT:OPTION:BTC-USD-241225-50000-CALL@INV",
    "CME:OPTION:SP500-USD-241225-4500-CALL@LIN",
    "UNISWAPV3-ETH:POOL:ETH-USDT:3000@ETHEREUM",
    "ETHERFI:LST:WEETH@ETHEREUM",
    "AAVE_V3_ETH:A_TOKEN:AUSDT@ETHEREUM",
    "AAVE_V3_ETH:DEBT_TOKEN:DEBTWETH@ETHEREUM",
    "CBOE:INDEX:VIX-USD",
    "NASDAQ:EQUITY:AAPL-USD",
    "CBOT:BOND:ZN-USD",
    "IDEALPRO:FX:EUR-USD",
    "FOOTBALL:BETFAIR:MATCH_WINNER:ENG-PREMIER_LEAGUE:20250315T1500:ARSENAL-LIVERPOOL",
    "FOOTBALL:BETFAIR:BTTS:ENG-PREMIER_LEAGUE:20250315T1500:ARSENAL-LIVERPOOL",
    "FOOTBALL:BETFAIR:TOTAL_GOALS_OU_2_5:GER-BUNDESLIGA:20250316T1430:BAYERN-MUNICH-BORUSSIA-DORTMUND@2.5",
]

first = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
symbol = st.from_regex(r"[A-Z0-9][A-Z0-9._]{0,7}", fullmatch=True)
venue = st.from_regex(r"[A-Z0-9][A-Z0-9_-]{0,12}", fullmatch=True).filter(lambda text: text not in ASSET_CLASSES)
chain = st.from_regex(r"[A-Z][A-Z0-9_]{0,9}", fullmatch=True)
team = st.from_regex(r"[A-Z0-9][A-Z0-9_.&'-]{0,12}", fullmatch=True)
day = st.dates().map(lambda date: date.strftime("%y%m%d"))
pair = st.tuples(symbol, symbol).map("-".join)
match = st.builds(
    lambda league, when, home, away: f"{league}:{when}:{home}-{away}",
    st.from_regex(r"[A-Z0-9][A-Z0-9_.-]{0,12}", fullmatch=True),
    st.from_regex(r"[0-9]{8}T[0-9]{4}", fullmatch=True),
    team,
    team,
)


def payload(kind: InstrumentType) -> st.SearchStrategy[str]:
    """Build payloads of a type by the words of the specification."""
    if kind in BETS:
        return match
    if kind in (InstrumentType.SPOT_ASSET, InstrumentType.LST, InstrumentType.A_TOKEN, InstrumentType.DEBT_TOKEN):
        return symbol
    if kind is InstrumentType.FUTURE:
        return st.tuples(pair, day).map("-".join)
    if kind is InstrumentType.OPTION:
        strike = st.decimals(0, 10**6, places=2).map(str) | st.integers(0, 10**6).map(str)
        return st.tuples(pair, day, strike, st.sampled_from(["CALL", "PUT"])).map("-".join)
    if kind is InstrumentType.POOL:
        return st.tuples(pair, st.integers(0, 10**6).map(str)).map(":".join)
    return pair


def suffix(kind: InstrumentType) -> st.SearchStrategy[str]:
    if kind in DERIVATIVES:
        return st.sampled_from(["LIN", "INV"])
    if kind in ON_CHAIN:
        return chain
    if kind is InstrumentType.TOTAL_GOALS:
        return st.sampled_from(["2.5", "0.5", "3"])
    return st.just("") | chain


keys = st.sampled_from(list(InstrumentType)).flatmap(
    lambda kind: st.builds(
        InstrumentKey,
        venue.map(VenueId),
        st.just(kind),
        payload(kind),
        suffix(kind),
        st.sampled_from(["", *sorted(ASSET_CLASSES)]),
    )
)


@given(keys)
def test_every_id_goes_round(key: InstrumentKey) -> None:
    assert parse_id(str(key)) == key
    assert instrument_id(str(key)) == key.id == str(parse_id(key.id))
    assert venue_of(key.id) == key.venue


@pytest.mark.parametrize("text", EXAMPLES)
def test_the_examples_of_the_specification(text: str) -> None:
    assert str(parse_id(text)) == text


def test_every_type_has_an_example() -> None:
    assert {parse_id(text).type for text in EXAMPLES} == set(InstrumentType)


def test_the_alias_is_printed_canonically() -> None:
    text = "FOOTBALL:BETFAIR:TOTAL_GOALS:GER-BUNDESLIGA:20250316T1430:A-B@2.5"
    assert instrument_id(text) == text.replace("TOTAL_GOALS", "TOTAL_GOALS_OU_2_5")


@pytest.mark.parametrize(
    ("text", "part", "example"),
    [
        ("BTC-USDT", "the form", "BINANCE-SPOT:SPOT_PAIR:BTC-USDT"),
        ("", "the form", "BINANCE-SPOT:SPOT_PAIR:BTC-USDT"),
        ("FOOTBALL:BETFAIR:BTTS", "type", "BINANCE-SPOT:SPOT_PAIR:BTC-USDT"),
        ("binance:SPOT_PAIR:BTC-USDT", 'venue "binance"', "BINANCE-SPOT:SPOT_PAIR:BTC-USDT"),
        ("BINANCE:SPOT:BTC-USDT", 'type "SPOT"', "BINANCE-SPOT:SPOT_PAIR:BTC-USDT"),
        ("BINANCE:SPOT_PAIR:BTCUSDT", 'payload "BTCUSDT"', "BINANCE-SPOT:SPOT_PAIR:BTC-USDT"),
        ("BINANCE:SPOT_PAIR:btc-usdt", 'payload "btc-usdt"', "BINANCE-SPOT:SPOT_PAIR:BTC-USDT"),
        ("BINANCE:PERPETUAL:BTC-USDT", 'suffix ""', "BINANCE-FUTURES:PERPETUAL:BTC-USDT@LIN"),
        ("BINANCE:PERPETUAL:BTC-USDT@QUANTO", 'suffix "QUANTO"', "BINANCE-FUTURES:PERPETUAL:BTC-USDT@LIN"),
        ("DERIBIT:FUTURE:BTC-USD@INV", 'payload "BTC-USD"', "DERIBIT:FUTURE:BTC-USD-241225@INV"),
        ("D:OPTION:BTC-USD-241225-50000-C@INV", "payload", "DERIBIT:OPTION:BTC-USD-241225-50000-CALL@INV"),
        ("UNI:POOL:ETH-USDT:3000", 'suffix ""', "UNISWAPV3-ETH:POOL:ETH-USDT:3000@ETHEREUM"),
        ("FOOTBALL:BETFAIR:TOTAL_GOALS:GER:20250316T1430:A-B", 'suffix ""', "@2.5"),
        ("NASDAQ:EQUITY:AAPL-USD@x", 'suffix "x"', "NASDAQ:EQUITY:AAPL-USD"),
        ("BINANCE:SPOT_PAIR:BTC-USDT\n", "payload", "BINANCE-SPOT:SPOT_PAIR:BTC-USDT"),
    ],
)
def test_an_error_shows_the_id_the_part_and_an_example(text: str, part: str, example: str) -> None:
    with pytest.raises(InvalidInstrumentId) as caught:
        parse_id(text)
    said = str(caught.value)
    assert f'"{text}"' in said
    assert part in said
    assert example in said


@given(st.text(max_size=40))
def test_any_text_parses_or_is_refused(text: str) -> None:
    try:
        key = parse_id(text)
    except InvalidInstrumentId:
        return
    assert parse_id(key.id) == key


def test_the_short_name_marks_a_perpetual() -> None:
    assert symbol_of(parse_id("B:PERPETUAL:BTC-USDT@LIN").id) == "BTC-USDT.P"
    assert symbol_of(parse_id("B:SPOT_PAIR:BTC-USDT").id) == "BTC-USDT"
