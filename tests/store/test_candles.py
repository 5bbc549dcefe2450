"""Series on disk: what goes in comes out, whole or not at all."""

from pathlib import Path

import numpy as np
import pytest

from core.errors import StoreError
from store import candles
from store.candles import (
    CandleKind,
    CandleStore,
    Series,
    SeriesName,
    interval_ns,
    series_named,
    write_csv,
    write_parquet,
)

NAME = SeriesName("BINANCE-FUTURES", "BTCUSDT", CandleKind.MARK, "15m")


def series(size: int = 3, name: SeriesName = NAME) -> Series:
    values = np.arange(size) / 3 + 1
    return Series(name, np.arange(size, dtype=np.int64) * 900_000_000_000, dict.fromkeys(name.kind.columns, values))


def same(one: Series, two: Series) -> bool:
    return (
        one.name == two.name
        and np.array_equal(one.ts, two.ts)
        and all(np.array_equal(values, two.columns[key]) for key, values in one.columns.items())
    )


def test_what_goes_in_comes_out(tmp_path: Path) -> None:
    store = CandleStore(tmp_path / "data")
    assert store.names() == []
    kinds = [
        NAME,
        SeriesName("BINANCE-SPOT", "ETHUSDT", CandleKind.CANDLES, "1h"),
        SeriesName("A", "B", CandleKind.FUNDING),
    ]
    for name in kinds:
        store.write(series(name=name))
    assert store.names() == sorted(kinds)
    assert all(same(store.read(name), series(name=name)) for name in kinds)
    store.write(series(5))
    assert same(store.read(NAME), series(5))
    assert oct((tmp_path / "data" / "BINANCE-FUTURES").stat().st_mode & 0o777) == "0o700"


def test_a_name_is_read_back() -> None:
    for name in (NAME, SeriesName("A", "B_PERP", CandleKind.CANDLES, "1d"), SeriesName("A", "B", CandleKind.FUNDING)):
        assert series_named(str(name)) == series_named(name.path) == name
    assert series_named("nonsense") is None
    assert series_named("A/B-1h-trades") is None


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = CandleStore(tmp_path)
    store.write(series())

    def half(_: Series, path: Path) -> None:
        path.write_bytes(b"PAR1 half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(candles, "write_parquet", half)
    with pytest.raises(StoreError, match=r"cannot be written: .*No space left.*untouched"):
        store.write(series(9))
    assert same(store.read(NAME), series())
    assert [path.name for path in (tmp_path / "BINANCE-FUTURES").iterdir()] == ["BTCUSDT-15m-mark.parquet"]


def test_a_draft_is_no_series(tmp_path: Path) -> None:
    (tmp_path / "A").mkdir()
    (tmp_path / "A" / ".B-1h-mark.parquet.77.part").write_bytes(b"half")
    (tmp_path / "A" / "notes.parquet").write_bytes(b"")
    assert CandleStore(tmp_path).names() == []


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    store = CandleStore(tmp_path)
    with pytest.raises(
        StoreError, match="no BINANCE-FUTURES/BTCUSDT-15m-mark among the imported data; kept are nothing"
    ):
        store.read(NAME)
    (tmp_path / "BINANCE-FUTURES").mkdir()
    (tmp_path / NAME.path).write_bytes(b"PAR1 half")
    with pytest.raises(StoreError, match="delete it and import the series again"):
        store.read(NAME)


def test_exports_hold_the_same_numbers(tmp_path: Path) -> None:
    one = series(name=SeriesName("A", "B", CandleKind.FUNDING))
    write_csv(one, tmp_path / "a.csv")
    lines = (tmp_path / "a.csv").read_text().splitlines()
    assert lines[:2] == ["ts,rate", "0,1.0"]
    assert [float(line.split(",")[1]) for line in lines[1:]] == list(one.columns["rate"])
    write_parquet(one, tmp_path / "a.parquet")
    assert (tmp_path / "a.parquet").read_bytes()[:4] == b"PAR1"


@pytest.mark.parametrize(("text", "length"), [("1m", 60), ("15m", 900), ("4h", 14400), ("1d", 86400)])
def test_intervals(text: str, length: int) -> None:
    assert interval_ns(text) == length * 1_000_000_000


@pytest.mark.parametrize("text", ["", "0m", "7m", "2d", "1w", "h", "-1h"])
def test_what_is_no_interval(text: str) -> None:
    with pytest.raises(StoreError, match="that divide a day"):
        interval_ns(text)
