"""Import into the store, tables side by side, and the market that the simulator gets."""

from pathlib import Path

import numpy as np
import pytest

from core.errors import ResearchError, StoreError
from research.data.dataset import bring_in, joined, judged, tariff_of, wide
from research.simulator import kernels as k
from research.simulator.simulator import Tariff
from store.candles import CandleKind, CandleStore, SeriesName
from tests.research.files import CANDLES, HOUR_MS, MARK, START_MS, candles, changed, dump_rows, rates, write_lines

HOUR_NS = HOUR_MS * 1_000_000
T0 = START_MS * 1_000_000


@pytest.fixture
def store(tmp_path: Path) -> CandleStore:
    return CandleStore(tmp_path / "data")


def test_months_make_one_series(store: CandleStore, tmp_path: Path) -> None:
    rows = dump_rows(60)
    late, early = (
        write_lines(tmp_path / f"{name}.csv", part) for name, part in (("late", rows[25:]), ("early", rows[:30]))
    )
    assert bring_in(store, late, CANDLES).new == 35
    done = bring_in(store, early, CANDLES)
    assert (done.new, done.replaced, done.series.size) == (25, 0, 60)
    kept = store.read(CANDLES)
    assert list(kept.ts) == [T0 + hour * HOUR_NS for hour in range(60)]
    assert list(kept.columns["close"]) == [float(row.split(",")[4]) for row in rows]
    assert bring_in(store, early, CANDLES).new == 0


def test_what_contradicts_is_taken_only_when_asked(store: CandleStore, tmp_path: Path) -> None:
    rows = dump_rows(10)
    bring_in(store, write_lines(tmp_path / "a.csv", rows), CANDLES)
    other = write_lines(tmp_path / "b.csv", changed(rows, 4, lambda f: [*f[:5], "99", *f[6:]]))
    with pytest.raises(ResearchError, match=r"1 rows differ .* the first at 2024-01-01 03:00:00; give --replace"):
        bring_in(store, other, CANDLES)
    assert store.read(CANDLES).columns["volume"][3] == 13
    assert bring_in(store, other, CANDLES, replace=True).replaced == 1
    assert list(store.read(CANDLES).columns["volume"][2:5]) == [12, 99, 14]


def test_a_file_with_a_fault_leaves_nothing(store: CandleStore, tmp_path: Path) -> None:
    bad = write_lines(tmp_path / "a.csv", changed(dump_rows(10), 10, lambda f: [*f[:4], "0", *f[5:]]))
    with pytest.raises(ResearchError, match=":10: close is 0"):
        bring_in(store, bad, CANDLES)
    assert store.names() == []


def test_a_gap_between_files_is_seen_afterwards(store: CandleStore, tmp_path: Path) -> None:
    rows = dump_rows(30)
    for part in (rows[:10], rows[12:]):
        assert not bring_in(store, write_lines(tmp_path / "a.csv", part), CANDLES).notes
    assert [problem.text for problem in judged(store.read(CANDLES))] == [
        "2 bars missing between 2024-01-01 09:00:00 and 2024-01-01 12:00:00"
    ]


def test_symbols_stand_side_by_side_with_their_holes() -> None:
    other = SeriesName("BINANCE-FUTURES", "ETHUSDT", CandleKind.CANDLES, "1h")
    table = wide([candles([0, 1, 3]), candles([1, 2, 3], other, 50.0)])
    assert list((table.ts - T0) // HOUR_NS) == [0, 1, 2, 3]
    wanted = np.array([[100, np.nan], [100, 50], [np.nan, 50], [100, 50]])
    assert np.array_equal(table.fields["close"], wanted, equal_nan=True)
    assert list((table.bars("BTCUSDT").ts - T0) // HOUR_NS) == [0, 1, 3]
    assert table.bars().close.shape == (2, 4)
    with pytest.raises(ResearchError, match="a symbol stands twice"):
        wide([candles([0]), candles([1])])
    with pytest.raises(ResearchError, match="different kinds"):
        wide([candles([0]), candles([1], MARK)])


def test_the_frame_has_a_utc_index_and_two_levels() -> None:
    pytest.importorskip("pandas")
    frame = wide([candles([0, 2])]).frame()
    assert str(frame.index.tz) == "UTC"
    assert frame.index.is_unique
    assert frame.index.is_monotonic_increasing
    assert str(frame.index[1]) == "2024-01-01 02:00:00+00:00"
    assert frame[("close", "BTCUSDT")].tolist() == [100.0, 100.0]


def filled(store: CandleStore, hours: range = range(40)) -> CandleStore:
    for part in (candles(hours), candles(range(2, 40), MARK, 101.0), rates([0, 8, 16, 24, 32])):
        store.write(part)
    return store


def test_marks_and_funding_join_their_bars(store: CandleStore) -> None:
    found = joined(filled(store), CANDLES)
    assert (found.bars.ts[0] - T0) // HOUR_NS == 2, "marks begin at 2"
    assert (found.bars.ts[-1] - T0) // HOUR_NS == 39, "funding of 32 covers up to 40"
    assert found.funding_rate is not None
    assert list(np.flatnonzero(found.funding_rate)) == [6, 14, 22, 30]
    market = found.market()
    assert market.bars[k.MARK_HIGH][0] == 101.0
    assert market.bars[k.FUNDED][-1] == pytest.approx(4 * 0.0001 * 101.0)


def test_a_stamp_in_a_gap_counts_at_the_next_bar(store: CandleStore) -> None:
    filled(store)
    store.write(candles([*range(6), *range(20, 40)]))
    found = joined(store, CANDLES)
    assert found.funding_rate is not None
    assert found.funding_rate[list((found.bars.ts - T0) // HOUR_NS).index(20)] == pytest.approx(0.0002), "8 and 16"
    assert found.bars.size == 4 + 20, "no bar is made up"


def test_what_is_missing_is_said(store: CandleStore) -> None:
    filled(store)
    with pytest.raises(StoreError, match="no BINANCE-FUTURES/ETHUSDT-1h-candles among the imported data; kept are"):
        joined(store, SeriesName("BINANCE-FUTURES", "ETHUSDT", CandleKind.CANDLES, "1h"))
    store.write(candles([*range(2, 9), *range(10, 40)], MARK))
    with pytest.raises(ResearchError, match="1 bars have no mark price, the first at 2024-01-01 09:00:00"):
        joined(store, CANDLES)
    assert joined(store, CANDLES, marks=False).marks is None
    store.write(rates([0, 8, 32]))
    with pytest.raises(ResearchError, match="no funding between 2024-01-01 08:00:00 and 2024-01-02 08:00:00"):
        joined(store, CANDLES, marks=False)
    assert joined(store, CANDLES, marks=False, funding=False).funding_rate is None
    with pytest.raises(ResearchError, match="no bar between"):
        joined(store, CANDLES, marks=False, funding=False, start=T0 + 400 * HOUR_NS)


@pytest.mark.parametrize("hours", [range(200, 240), range(-100, -60)])
def test_funding_and_marks_of_another_time_are_told_with_the_remedy(store: CandleStore, hours: range) -> None:
    store.write(candles(range(40)))
    store.write(rates(hours[::8]))
    own = r"BTCUSDT-funding has 20.* candles .* 2024-01-01 00:00:00 to 2024-01-02 15:00:00: no time in common"
    with pytest.raises(ResearchError, match=rf"{own}; import the funding .*: \[data\] funding = false"):
        joined(store, CANDLES, marks=False)
    store.write(candles(hours, MARK))
    with pytest.raises(ResearchError, match=r"1h-mark has .* no time in common; .*: \[data\] marks = false"):
        joined(store, CANDLES, funding=False)
    assert joined(store, CANDLES, marks=False, funding=False).bars.size == 40


def test_what_cuts_the_candles_short_is_named(store: CandleStore) -> None:
    store.write(candles(range(100)))
    store.write(rates(range(24, 60, 8)))
    assert joined(store, CANDLES, marks=False).cuts == (
        "BTCUSDT funding begins 2024-01-02 00:00:00", "BTCUSDT funding ends 2024-01-03 08:00:00",
    )  # fmt: skip
    store.write(rates(range(0, 100, 8)))
    assert joined(store, CANDLES, marks=False).cuts == ()


def test_a_span_is_cut(store: CandleStore) -> None:
    found = joined(filled(store), CANDLES, start=T0 + 5 * HOUR_NS, end=T0 + 9 * HOUR_NS)
    assert list((found.bars.ts - T0) // HOUR_NS) == [5, 6, 7, 8]


def test_the_tariff_is_the_contracts() -> None:
    tariff = tariff_of(CANDLES)
    assert tariff.fees == ((0, 0.0005),)
    assert tariff.tiers[0][1][0].max_leverage == 125
    with pytest.raises(ResearchError, match="no contract data for DOGEUSDT"):
        tariff_of(SeriesName("BINANCE-FUTURES", "DOGEUSDT", CandleKind.CANDLES, "1h"))
    assert not tariff_of(SeriesName("BINANCE-SPOT", "BTCUSDT", CandleKind.CANDLES, "1h")).tiers


def test_a_recorded_contract_becomes_a_market(store: CandleStore, recorded_data: Path) -> None:
    from research.data.naming import name_of

    for part in ("1h", "1h-mark", "funding"):
        path = recorded_data / "candles" / f"LTCUSDT-perp-{part}.parquet"
        bring_in(store, path, name_of(path))
    name = SeriesName("BINANCE-FUTURES", "LTCUSDT", CandleKind.CANDLES, "1h")
    found = joined(store, name)
    assert found.bars.size == 43648
    assert found.funding_rate is not None
    assert np.count_nonzero(found.funding_rate) > 5000
    assert found.market(Tariff()).size == 43648
