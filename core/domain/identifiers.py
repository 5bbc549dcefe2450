"""Canonical instrument ids: ``[ASSET_CLASS:]VENUE:TYPE:PAYLOAD[@SUFFIX]`` (grammar in docs/architecture.md)."""

import re
from enum import StrEnum
from functools import lru_cache
from typing import NewType

import msgspec

from core.errors import InvalidInstrumentId

InstrumentId = NewType("InstrumentId", str)
"""The canonical text of an id; a plain string, so that it is cheap as a key and on the wire."""
VenueId = NewType("VenueId", str)
ClientOrderId = NewType("ClientOrderId", str)
"""Made by the engine from its run and a sequence; never reused."""
VenueOrderId = NewType("VenueOrderId", str)
FillId = NewType("FillId", str)
"""The venue's id of one fill; unique within the venue."""
StrategyId = NewType("StrategyId", str)
STRATEGY_ID = "^[a-z0-9][a-z0-9._-]{0,62}$"
"""What a new strategy id must be: it names files and stands in commands, and in ids of orders between colons."""
Asset = NewType("Asset", str)


class InstrumentType(StrEnum):
    """What is traded or held."""

    SPOT_ASSET = "SPOT_ASSET"
    SPOT_PAIR = "SPOT_PAIR"
    PERPETUAL = "PERPETUAL"
    FUTURE = "FUTURE"
    OPTION = "OPTION"
    POOL = "POOL"
    LST = "LST"
    A_TOKEN = "A_TOKEN"
    DEBT_TOKEN = "DEBT_TOKEN"
    EQUITY = "EQUITY"
    INDEX = "INDEX"
    BOND = "BOND"
    FX = "FX"
    MATCH_WINNER = "MATCH_WINNER"
    TOTAL_GOALS = "TOTAL_GOALS_OU_2_5"
    BTTS = "BTTS"


DERIVATIVES = frozenset({InstrumentType.PERPETUAL, InstrumentType.FUTURE, InstrumentType.OPTION})
BETS = frozenset({InstrumentType.MATCH_WINNER, InstrumentType.TOTAL_GOALS, InstrumentType.BTTS})
ON_CHAIN = frozenset({InstrumentType.POOL, InstrumentType.LST, InstrumentType.A_TOKEN, InstrumentType.DEBT_TOKEN})
ASSET_CLASSES = frozenset({"FOOTBALL", "CEFI", "DEFI", "COMMODITIES", "EQUITY-INDEX", "EQUITY", "BOND", "FX"})

_TYPE_ALIASES = {"TOTAL_GOALS": InstrumentType.TOTAL_GOALS}
_VENUE = re.compile(r"[A-Z0-9][A-Z0-9_-]*")
_SYMBOL = r"[A-Z0-9][A-Z0-9._]*"
_LEAGUE_EVENT = r"[A-Z0-9][A-Z0-9_.-]*:\d{8}T\d{4}:[A-Z0-9][A-Z0-9_.&'-]*-[A-Z0-9][A-Z0-9_.&'-]*"
_PAYLOADS: dict[InstrumentType, tuple[str, str]] = {
    InstrumentType.SPOT_ASSET: (_SYMBOL, "BINANCE-SPOT:SPOT_ASSET:BTC"),
    InstrumentType.SPOT_PAIR: (f"{_SYMBOL}-{_SYMBOL}", "BINANCE-SPOT:SPOT_PAIR:BTC-USDT"),
    InstrumentType.PERPETUAL: (f"{_SYMBOL}-{_SYMBOL}", "BINANCE-FUTURES:PERPETUAL:BTC-USDT@LIN"),
    InstrumentType.FUTURE: (rf"{_SYMBOL}-{_SYMBOL}-\d{{6}}", "DERIBIT:FUTURE:BTC-USD-241225@INV"),
    InstrumentType.OPTION: (
        rf"{_SYMBOL}-{_SYMBOL}-\d{{6}}-\d+(\.\d+)?-(CALL|PUT)",
        "DERIBIT:OPTION:BTC-USD-241225-50000-CALL@INV",
    ),
    InstrumentType.POOL: (rf"{_SYMBOL}-{_SYMBOL}:\d+", "UNISWAPV3-ETH:POOL:ETH-USDT:3000@ETHEREUM"),
    InstrumentType.LST: (_SYMBOL, "ETHERFI:LST:WEETH@ETHEREUM"),
    InstrumentType.A_TOKEN: (_SYMBOL, "AAVE_V3_ETH:A_TOKEN:AUSDT@ETHEREUM"),
    InstrumentType.DEBT_TOKEN: (_SYMBOL, "AAVE_V3_ETH:DEBT_TOKEN:DEBTWETH@ETHEREUM"),
    InstrumentType.EQUITY: (f"{_SYMBOL}-{_SYMBOL}", "NASDAQ:EQUITY:AAPL-USD"),
    InstrumentType.INDEX: (f"{_SYMBOL}-{_SYMBOL}", "CBOE:INDEX:VIX-USD"),
    InstrumentType.BOND: (f"{_SYMBOL}-{_SYMBOL}", "CBOT:BOND:ZN-USD"),
    InstrumentType.FX: (f"{_SYMBOL}-{_SYMBOL}", "IDEALPRO:FX:EUR-USD"),
    InstrumentType.MATCH_WINNER: (
        _LEAGUE_EVENT,
        "FOOTBALL:BETFAIR:MATCH_WINNER:ENG-PREMIER_LEAGUE:20250315T1500:ARSENAL-LIVERPOOL",
    ),
    InstrumentType.TOTAL_GOALS: (
        _LEAGUE_EVENT,
        "FOOTBALL:BETFAIR:TOTAL_GOALS_OU_2_5:GER-BUNDESLIGA:20250316T1430:BAYERN-MUNICH-BORUSSIA-DORTMUND@2.5",
    ),
    InstrumentType.BTTS: (
        _LEAGUE_EVENT,
        "FOOTBALL:BETFAIR:BTTS:ENG-PREMIER_LEAGUE:20250315T1500:ARSENAL-LIVERPOOL",
    ),
}
_PATTERNS = {kind: (re.compile(pattern), example) for kind, (pattern, example) in _PAYLOADS.items()}
_CHAIN = re.compile(r"[A-Z][A-Z0-9_]*")
_LINE = re.compile(r"\d+(\.\d+)?")


class InstrumentKey(msgspec.Struct, frozen=True):
    """The parts of an instrument id; ``str()`` prints the canonical text."""

    venue: VenueId
    type: InstrumentType
    payload: str
    suffix: str = ""
    asset_class: str = ""

    def __str__(self) -> str:
        head = f"{self.asset_class}:" if self.asset_class else ""
        tail = f"@{self.suffix}" if self.suffix else ""
        return f"{head}{self.venue}:{self.type.value}:{self.payload}{tail}"

    @property
    def id(self) -> InstrumentId:
        """Return the canonical text."""
        return InstrumentId(str(self))

    @property
    def symbol(self) -> str:
        """Return the short name a screen shows: ``BTC-USDT`` for spot, ``BTC-USDT.P`` for its perpetual."""
        mark = {InstrumentType.PERPETUAL: ".P"}.get(self.type, "")
        return f"{self.payload}{mark}"


@lru_cache(maxsize=65536)
def parse_id(text: str) -> InstrumentKey:
    """Parse an instrument id into its parts.

    Raises:
        InvalidInstrumentId: naming the part that is wrong, with an example.
    """
    anyone = "BINANCE-SPOT:SPOT_PAIR:BTC-USDT"
    parts = text.split(":")
    asset_class = parts.pop(0) if parts[0] in ASSET_CLASSES and len(parts) > 3 else ""
    if len(parts) < 3:
        raise InvalidInstrumentId(text, "the form", "must be [ASSET_CLASS:]VENUE:TYPE:PAYLOAD[@SUFFIX]", anyone)
    venue, kind_text = parts[0], parts[1]
    if not _VENUE.fullmatch(venue):
        raise InvalidInstrumentId(text, f'venue "{venue}"', "must be upper-case letters, digits, - and _", anyone)
    kind = _TYPE_ALIASES.get(kind_text) or InstrumentType.__members__.get(kind_text)
    if kind is None:
        try:
            kind = InstrumentType(kind_text)
        except ValueError:
            known = ", ".join(member.value for member in InstrumentType)
            raise InvalidInstrumentId(text, f'type "{kind_text}"', f"must be one of {known}", anyone) from None
    payload, at, suffix = ":".join(parts[2:]).rpartition("@")
    if not at:
        payload, suffix = suffix, ""
    pattern, example = _PATTERNS[kind]
    if not pattern.fullmatch(payload):
        raise InvalidInstrumentId(text, f'payload "{payload}"', f"does not fit {kind.value}", example)
    _check_suffix(text, kind, suffix, example)
    return InstrumentKey(VenueId(venue), kind, payload, suffix, asset_class)


def _check_suffix(text: str, kind: InstrumentType, suffix: str, example: str) -> None:
    if kind in DERIVATIVES:
        if suffix not in ("LIN", "INV"):
            raise InvalidInstrumentId(text, f'suffix "{suffix}"', "must be LIN or INV for a derivative", example)
    elif kind in ON_CHAIN:
        if not _CHAIN.fullmatch(suffix):
            raise InvalidInstrumentId(text, f'suffix "{suffix}"', "must name the chain", example)
    elif kind is InstrumentType.TOTAL_GOALS:
        if not _LINE.fullmatch(suffix):
            raise InvalidInstrumentId(text, f'suffix "{suffix}"', "must be the goals line", example)
    elif suffix and not _CHAIN.fullmatch(suffix):
        raise InvalidInstrumentId(text, f'suffix "{suffix}"', "does not fit", example)


def instrument_id(text: str) -> InstrumentId:
    """Return the canonical form of an id (aliases resolved).

    Raises:
        InvalidInstrumentId: if the text is not an id.
    """
    return parse_id(text).id


def venue_of(instrument: InstrumentId) -> VenueId:
    """Return the venue that an instrument id names."""
    return parse_id(instrument).venue


@lru_cache(maxsize=65536)
def holding_of(instrument: InstrumentId) -> InstrumentId:
    """Return the id of what is held after a trade: the SPOT_ASSET for a pair, itself for the rest."""
    if f":{InstrumentType.SPOT_PAIR.value}:" not in instrument:
        return instrument
    key = parse_id(instrument)
    return InstrumentId(f"{key.venue}:{InstrumentType.SPOT_ASSET.value}:{key.payload.partition('-')[0]}")


def symbol_of(instrument: InstrumentId) -> str:
    """Return the short name a screen shows."""
    return parse_id(instrument).symbol
