"""What a file of market data holds, by its name: Binance's dumps, freqtrade's files, our own."""

import re
from pathlib import Path

from core.errors import ResearchError, StoreError
from store.candles import CandleKind, SeriesName, interval_ns

_DUMP = re.compile(r"(?P<symbol>[A-Z0-9_]+)-(?P<interval>\d+[mhd])-\d{4}-\d\d(-\d\d)?")
_RATES = re.compile(r"(?P<symbol>[A-Z0-9_]+)-fundingRate-\d{4}-\d\d")
_FREQTRADE = re.compile(
    r"(?P<base>[A-Z0-9]+)_(?P<quote>[A-Z0-9]+)(?P<settle>_[A-Z0-9]+)?-(?P<interval>\d+[mhd])"
    r"(-(?P<kind>futures|mark|funding_rate))?"
)
_OURS = re.compile(r"(?P<symbol>[A-Z0-9]+)-(?P<market>perp|spot)(-(?P<interval>\d+[mhd]))?(-(?P<kind>mark|funding))?")
_SUFFIXES = (".zip", ".gz", ".csv", ".feather", ".parquet")
_FREQTRADE_KINDS = {"funding_rate": CandleKind.FUNDING, "mark": CandleKind.MARK}
FUTURES, SPOT = "BINANCE-FUTURES", "BINANCE-SPOT"


def name_of(
    path: Path,
    *,
    venue: str | None = None,
    symbol: str | None = None,
    interval: str | None = None,
    kind: str | None = None,
) -> SeriesName:
    """Return which series a file belongs to: what is given, and for the rest what its name and folders tell.

    Raises:
        ResearchError: something is neither given nor told, or is no interval, kind or name.
    """
    told = _told(path)
    chosen = kind or told.get("kind", CandleKind.CANDLES.value)
    if chosen not in {one.value for one in CandleKind}:
        raise ResearchError(f'--kind must be {", ".join(CandleKind)} (got "{chosen}")')
    funding = chosen == CandleKind.FUNDING.value
    full = {
        "venue": venue or told.get("venue", ""),
        "symbol": symbol or told.get("symbol", ""),
        "interval": "" if funding else interval or told.get("interval", ""),
    }
    for key, value in full.items():
        if not value and not (funding and key == "interval"):
            raise ResearchError(f"{path}: its name does not tell the {key}; give --{key} (such as {_EXAMPLES[key]})")
        if key != "interval" and not re.fullmatch(r"[A-Z0-9_-]+" if key == "venue" else r"[A-Z0-9_]+", value):
            raise ResearchError(f'--{key} must be capital letters and digits, such as {_EXAMPLES[key]} (got "{value}")')
    if not funding:
        try:
            interval_ns(full["interval"])
        except StoreError as error:
            raise ResearchError(f"{path}: {error}") from None
    return SeriesName(full["venue"], full["symbol"], CandleKind(chosen), full["interval"])


_EXAMPLES = {"venue": FUTURES, "symbol": "BTCUSDT", "interval": "1h"}


def _told(path: Path) -> dict[str, str]:
    name = path.name
    while name.endswith(_SUFFIXES):
        name = name[: name.rindex(".")]
    folders = path.parts[:-1]
    if match := _RATES.fullmatch(name):
        return {"symbol": match["symbol"], "kind": CandleKind.FUNDING, "venue": FUTURES}
    if match := _DUMP.fullmatch(name):
        marked = "markPriceKlines" in folders
        found = {"symbol": match["symbol"], "interval": match["interval"]}
        if marked or "um" in folders:
            found["venue"] = FUTURES
        elif "spot" in folders:
            found["venue"] = SPOT
        return {**found, "kind": CandleKind.MARK} if marked else found
    if match := _FREQTRADE.fullmatch(name):
        kind = _FREQTRADE_KINDS.get(match["kind"] or "", CandleKind.CANDLES)
        venue = FUTURES if match["settle"] else SPOT
        return {"symbol": match["base"] + match["quote"], "interval": match["interval"], "kind": kind, "venue": venue}
    if match := _OURS.fullmatch(name):
        venue = FUTURES if match["market"] == "perp" else SPOT
        found = {"symbol": match["symbol"], "venue": venue, "kind": match["kind"] or CandleKind.CANDLES.value}
        return {**found, "interval": match["interval"]} if match["interval"] else found
    return {}
