"""Contract data shipped with the program: ticks, lots, minimums, brackets, fees; dated, checked at load."""

import tomllib
from collections.abc import Iterable
from decimal import Decimal
from functools import lru_cache
from importlib import resources
from typing import Any

import msgspec

from core.domain.identifiers import VenueId
from core.domain.instrument import ZERO, Instrument, MarginBracket
from core.errors import ConfigError

_HOUR_NS = 3_600_000_000_000
_FILES = {
    VenueId("BINANCE-SPOT"): "binance-spot.toml",
    VenueId("BINANCE-FUTURES"): "binance-futures.toml",
    VenueId("BINANCE-COINM"): "binance-coinm.toml",
}


def venues() -> tuple[VenueId, ...]:
    """Return the venues that have a table."""
    return tuple(_FILES)


@lru_cache
def contracts(venue: VenueId) -> tuple[Instrument, ...]:
    """Return the instruments of one venue from the shipped table; empty for a venue without one.

    Raises:
        ConfigError: when the table is damaged, naming the file and the instrument.
    """
    file = _FILES.get(venue)
    if file is None:
        return ()
    text = resources.files("venues").joinpath("tables", file).read_text(encoding="utf-8")
    return read_table(text, file)


def read_table(text: str, file: str) -> tuple[Instrument, ...]:
    """Return the instruments of a table; ``file`` names it in errors.

    Raises:
        ConfigError: for a bad value, an unknown key, or brackets that do not join.
    """
    try:
        rows = tomllib.loads(text)["instrument"]
    except (tomllib.TOMLDecodeError, KeyError) as error:
        raise ConfigError(f"{file}: not a contract table: {error}; expected [[instrument]] sections") from error
    return tuple(_instrument(row, file) for row in rows)


def _instrument(row: dict[str, Any], file: str) -> Instrument:
    row = dict(row)
    name = row.get("id", "an instrument without id")
    unknown = row.keys() - set(Instrument.__struct_fields__) - {"funding_interval_h"}
    if unknown:
        raise ConfigError(f"{file}: {name}: unknown key {', '.join(sorted(unknown))}")
    row["funding_interval_ns"] = row.pop("funding_interval_h", 0) * _HOUR_NS
    try:
        instrument = msgspec.convert(row, Instrument)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{file}: {name}: {error}") from error
    check_brackets(instrument.brackets, f"{file}: {name}")
    return instrument


def check_brackets(brackets: Iterable[MarginBracket], where: str) -> None:
    """Check that tiers join without gap and that every cum is the one that floors and rates give.

    Raises:
        ConfigError: naming the tier.
    """
    floor = rate = cum = ZERO
    for number, tier in enumerate(brackets, start=1):
        cum += tier.floor * (tier.maintenance_rate - rate)
        _expect(tier.floor == floor, f"{where}: tier {number} starts at {tier.floor}, expected {floor}")
        _expect(tier.cap > tier.floor, f"{where}: tier {number} ends at {tier.cap}, below its start")
        _expect(tier.cum == cum, f"{where}: tier {number} has cum {tier.cum}, its floors and rates give {cum}")
        _expect(rate < tier.maintenance_rate < Decimal(1), f"{where}: tier {number} has rate {tier.maintenance_rate}")
        floor, rate = tier.cap, tier.maintenance_rate


def _expect(holds: bool, complaint: str) -> None:
    if not holds:
        raise ConfigError(complaint)
