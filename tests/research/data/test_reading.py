"""Reading and judging files: every form, and every fault by its line."""

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from core.errors import ResearchError
from research.data.checks import problems
from research.data.dataset import load
from research.data.naming import name_of
from research.data.reading import DataFault, read
from store.candles import CandleKind, SeriesName
from tests.research.files import CANDLES, FUNDING, HEADER, HOUR_MS, MARK, START_MS, changed, dump_rows, write_lines

ROWS = dump_rows(50)


def faults(path: Path, name: SeriesName = CANDLES) -> list[tuple[int, str]]:
    """Return line and sentence of everything fatal."""
    try:
        found = problems(read(path, name.kind), name)
    except DataFault as fault:
        found = fault.problems
    return [(one.line, one.text) for one in found if one.fatal]


@pytest.mark.parametrize("unit", [1, 1000], ids=["ms", "µs"])
@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("form", ["csv", "zip"])
def test_a_dump_is_read_in_every_form(tmp_path: Path, unit: int, header: bool, form: str) -> None:
    rows = dump_rows(50, unit=unit)
    path = write_lines(tmp_path / f"BTCUSDT-1h-2024-01.{form}", [HEADER, *rows] if header else rows)
    raw = read(path, CandleKind.CANDLES)
    assert raw.ts[0] == START_MS * 1_000_000
    assert np.all(np.diff(raw.ts) == HOUR_MS * 1_000_000)
    assert raw.lines[0] == (2 if header else 1)
    fields = [row.split(",") for row in rows]
    for place, column in enumerate(("open", "high", "low", "close", "volume"), start=1):
        assert list(raw.columns[column]) == [float(row[place]) for row in fields]
    assert not problems(raw, CANDLES)


def test_a_gzip_and_a_mark_of_its_beginning_are_read(tmp_path: Path) -> None:
    path = tmp_path / "BTCUSDT-1h-2024-01.csv.gz"
    path.write_bytes(gzip.compress(("\ufeff" + "\n".join([HEADER, *ROWS])).encode()))
    assert read(path, CandleKind.CANDLES).ts.size == 50


def test_rates_are_read_with_their_jitter_taken_off(tmp_path: Path) -> None:
    stamps = [START_MS + hour * HOUR_MS + late for hour, late in ((0, 3), (8, 0), (16, -2))]
    lines = ["calc_time,funding_interval_hours,last_funding_rate", *(f"{stamp},8,0.0001" for stamp in stamps)]
    for part in (lines, lines[1:]):
        series, notes = load(write_lines(tmp_path / "BTCUSDT-fundingRate-2024-01.csv", part), FUNDING)
        assert list(series.ts) == [(START_MS + hour * HOUR_MS) * 1_000_000 for hour in (0, 8, 16)]
        assert list(series.columns["rate"]) == [0.0001] * 3
        assert not notes


def test_times_may_be_texts_that_say_utc(tmp_path: Path) -> None:
    for zone in ("Z", "+00:00", " UTC", "+0000"):
        lines = [
            "date,open,high,low,close,volume",
            f"2024-01-01 00:00:00{zone},1,1,1,1,1",
            f"2024-01-01 01:00:00{zone},1,1,1,1,1",
        ]
        raw = read(write_lines(tmp_path / "x.csv", lines), CandleKind.CANDLES)
        assert list(raw.ts // 1_000_000) == [START_MS, START_MS + HOUR_MS]


def put(place: int, value: str) -> Callable[[list[str]], list[str]]:
    return lambda fields: [*fields[:place], value, *fields[place + 1 :]]


@pytest.mark.parametrize(
    ("line", "change", "sentence"),
    [
        (7, lambda fields: fields[:8], "8 fields, expected 12"),
        (9, put(4, "n/a"), 'close is "n/a", expected a number'),
        (9, put(4, "nan"), "close is nan, expected a number"),
        (3, put(3, "0"), "low is 0, expected a price above 0"),
        (3, put(1, "-5"), "open is -5, expected a price above 0"),
        (5, put(2, "1"), "are not a bar"),
        (5, put(5, "-1"), "volume is -1, expected 0 or more"),
        (6, put(0, "12"), "time is 12, which is no time after 2001"),
        (6, put(0, "soon"), 'time is "soon", expected a whole number'),
        (6, put(0, str(START_MS * 1000)), "time in µs, in ms until here"),
        (6, put(0, str(START_MS + 250_000 * HOUR_MS)), "has not been yet: is the stamp in another unit"),
        (6, put(0, str(START_MS + 4 * HOUR_MS)), "2024-01-01 04:00:00 again, as in line 5, with other values"),
        (6, put(0, str(START_MS + HOUR_MS * 2 + 1_800_000)), "2024-01-01 02:30:00 comes after 2024-01-01 04:00:00"),
        (6, put(0, str(START_MS + 5 * HOUR_MS + 60_000)), "is not on the grid of 1h bars in UTC: local time"),
    ],
)
def test_a_fault_is_named_by_its_line(
    tmp_path: Path, line: int, change: Callable[[list[str]], list[str]], sentence: str
) -> None:
    path = write_lines(tmp_path / "BTCUSDT-1h-2024-01.csv", changed(ROWS, line, change))
    found = [text for where, text in faults(path) if where == line]
    assert any(sentence in text for text in found), faults(path)
    with pytest.raises(DataFault, match=f"BTCUSDT-1h-2024-01.csv:{line}: "):
        load(path, CANDLES)


def test_the_generated_file_has_no_fault(tmp_path: Path) -> None:
    assert faults(write_lines(tmp_path / "BTCUSDT-1h-2024-01.csv", ROWS)) == []


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        ([], "the file is empty"),
        ([HEADER], "no rows behind the header"),
        (["open_time,open,high,low,close", "1,1,1,1,1"], "no column volume"),
        (["when,open,high,low,close,volume", "1,1,1,1,1,1"], "no column of time"),
        (["1704067200000,1,1"], "3 columns and no header"),
        (["date,open,high,low,close,volume", "2024-01-01 00:00:00,1,1,1,1,1"], "is without a zone: expected UTC"),
        (["date,open,high,low,close,volume", "2024-01-01 00:00:00+02:00,1,1,1,1,1"], "is local: expected UTC"),
        (["date,open,high,low,close,volume", "yesterday,1,1,1,1,1"], 'time is "yesterday", expected UTC'),
    ],
)
def test_a_file_that_is_no_candles_is_told_so(tmp_path: Path, lines: list[str], sentence: str) -> None:
    found = faults(write_lines(tmp_path / "BTCUSDT-1h-2024-01.csv", lines) if lines else _empty(tmp_path))
    assert len(found) == 1
    assert sentence in found[0][1]


def _empty(folder: Path) -> Path:
    (folder / "BTCUSDT-1h-2024-01.csv").write_text("")
    return folder / "BTCUSDT-1h-2024-01.csv"


def test_files_that_are_not_what_they_seem(tmp_path: Path) -> None:
    for name in ("a.zip", "a.csv.gz", "a.parquet", "a.csv"):
        (tmp_path / name).write_bytes(b"\xff\xfe\x00nonsense")
        assert "cannot be read" in faults(tmp_path / name)[0][1], name
    assert "not a known form" in faults(tmp_path / "a.xlsx")[0][1]
    assert "cannot be read" in faults(tmp_path / "absent.csv")[0][1]


def test_gaps_and_missing_volume_are_told_and_left(tmp_path: Path) -> None:
    rows = changed(changed(ROWS, 3, put(5, "0")), 4, put(5, "0"))
    del rows[10:13]
    series, notes = load(write_lines(tmp_path / "BTCUSDT-1h-2024-01.csv", rows), CANDLES)
    assert series.size == 47
    assert [(note.line, note.text) for note in notes] == [
        (3, "2 bars without volume (to line 4), from 2024-01-01 02:00:00"),
        (11, "3 bars missing between 2024-01-01 09:00:00 and 2024-01-01 13:00:00"),
    ]


def test_funding_in_percent_and_a_hole_in_it(tmp_path: Path) -> None:
    lines = [f"{START_MS + hour * HOUR_MS},8,{rate}" for hour, rate in ((0, 0.0001), (24, 1.5))]
    path = write_lines(tmp_path / "BTCUSDT-fundingRate-2024-01.csv", lines)
    assert faults(path, FUNDING) == [(2, "rate is 1.5, expected a fraction, not percent")]
    told = [one.text for one in problems(read(path, CandleKind.FUNDING), FUNDING) if not one.fatal]
    assert told == ["no funding between 2024-01-01 00:00:00 and 2024-01-02 00:00:00"]


def test_parquet_must_say_its_zone(tmp_path: Path) -> None:
    import duckdb

    for kind, well in (("timestamptz", True), ("timestamp", False), ("bigint", True)):
        path = tmp_path / f"BTCUSDT-perp-1h-{kind}.parquet"
        time = f"{START_MS}::bigint" if kind == "bigint" else f"'2024-01-01 00:00:00+00'::{kind}"
        duckdb.execute(
            f"COPY (SELECT {time} AS date, 1.0 AS open, 1 AS high, 1 AS low, 1 AS close, 2 AS volume) TO '{path}'"
        )
        if well:
            assert list(read(path, CandleKind.CANDLES).ts) == [START_MS * 1_000_000]
        else:
            assert "times have no zone" in faults(path)[0][1]


def test_feather_as_freqtrade_writes_it(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow", reason="feather needs pyarrow (extra research)")
    from pyarrow import feather

    stamps = pa.array([START_MS, START_MS + HOUR_MS], pa.timestamp("ms", tz="UTC"))
    table = pa.table({"date": stamps, **{key: [1.0, 2.0] for key in ("open", "high", "low", "close", "volume")}})
    path = tmp_path / "BTC_USDT_USDT-1h-futures.feather"
    feather.write_feather(table, path, compression="lz4")
    series, _ = load(path, name_of(path))
    assert str(series.name) == "BINANCE-FUTURES/BTCUSDT-1h-candles"
    assert list(series.ts) == [START_MS * 1_000_000, (START_MS + HOUR_MS) * 1_000_000]
    rated = tmp_path / "BTC_USDT_USDT-1h-funding_rate.feather"
    feather.write_feather(table.set_column(1, "open", pa.array([0.0001, 0.0002])), rated)
    assert list(load(rated, name_of(rated))[0].columns["rate"]) == [0.0001, 0.0002]


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("data/futures/um/monthly/klines/BTCUSDT/1h/BTCUSDT-1h-2024-01.zip", str(CANDLES)),
        ("data/futures/um/daily/markPriceKlines/BTCUSDT/1h/BTCUSDT-1h-2024-01-31.csv", str(MARK)),
        ("data/spot/monthly/klines/ETHUSDT/15m/ETHUSDT-15m-2025-01.zip", "BINANCE-SPOT/ETHUSDT-15m-candles"),
        ("BTCUSDT-fundingRate-2024-01.zip", str(FUNDING)),
        ("BTC_USDT_USDT-1h-futures.feather", str(CANDLES)),
        ("BTC_USDT_USDT-1h-mark.feather", str(MARK)),
        ("BTC_USDT_USDT-8h-funding_rate.feather", str(FUNDING)),
        ("ETH_USDT-5m.feather", "BINANCE-SPOT/ETHUSDT-5m-candles"),
        ("BTCUSDT-perp-1h.parquet", str(CANDLES)),
        ("BTCUSDT-perp-1h-mark.parquet", str(MARK)),
        ("BTCUSDT-perp-funding.parquet", str(FUNDING)),
    ],
)
def test_a_name_tells_its_series(path: str, name: str) -> None:
    assert str(name_of(Path(path))) == name


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({}, "does not tell the venue; give --venue"),
        ({"venue": "BINANCE-SPOT"}, "does not tell the symbol; give --symbol"),
        ({"venue": "BINANCE-SPOT", "symbol": "BTCUSDT"}, "does not tell the interval"),
        ({"venue": "X/../Y", "symbol": "BTCUSDT", "interval": "1h"}, "--venue must be capital letters"),
        ({"venue": "X", "symbol": "BTCUSDT", "interval": "7m"}, 'interval "7m" must be'),
        ({"kind": "trades"}, "--kind must be candles, mark, funding"),
    ],
)
def test_what_a_name_does_not_tell_must_be_given(given: dict[str, str], sentence: str) -> None:
    with pytest.raises(ResearchError, match=sentence):
        name_of(Path("prices.csv"), **given)
