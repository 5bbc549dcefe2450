"""Candle files as tapes: bars made of the played trades are the bars of the file."""

from itertools import pairwise
from pathlib import Path

import duckdb
import pytest

from core.domain.identifiers import InstrumentId
from core.domain.market import Quote, Trade
from core.errors import TapeError
from research.data.reading import read
from store.candles import CandleKind
from venues.market.candles import STEP_NS, TIME_COLUMNS
from venues.market.opening import open_tape
from venues.market.player import REPEAT_NS, play
from venues.market.source import TapeSource

ROWS = """select timestamptz '2024-01-01 00:00:00+00' + to_minutes(15 * i::int) as date,
    100.0 + i % 7 as open, 109.5 + i % 7 as high, 95.25 + i % 7 as low, 100.0 + (i * 5) % 7 as close,
    1.0 + i as volume from range(500) t(i)"""


def made(path: Path, query: str = ROWS) -> Path:
    with duckdb.connect() as base:
        base.execute(f"copy ({query}) to '{path}' (format parquet)")
    return path


def check(path: Path) -> None:
    """Rebuild each bar from the trades between its start and the next and hold it against the file."""
    with duckdb.connect() as base:
        query = "select epoch_ns(date), open, high, low, close, volume from read_parquet(?)"
        rows = base.execute(query, [str(path)]).fetchall()
    bars = dict[int, list[Trade]]()
    last, quote = 0, None
    for message in open_tape(path):
        assert isinstance(message, Quote | Trade)
        assert message.ts >= last
        last = message.ts
        if isinstance(message, Quote):
            assert message.bid < message.ask
            quote = message
        else:
            assert quote is not None
            assert quote.bid < message.price < quote.ask
            bars.setdefault(message.ts // (900 * 10**9) * 900 * 10**9, []).append(message)
    traded = [row for row in rows if row[5] > 0]
    assert sorted(bars) == [row[0] for row in traded]
    for start, first, high, low, close, volume in traded:
        prices = [trade.price for trade in bars[start]]
        assert (prices[0], max(prices), min(prices), prices[-1]) == (first, high, low, close)
        assert sum(trade.size for trade in bars[start]) == pytest.approx(volume)
        against = low if close >= first else high
        assert prices[1] == against


def test_generated_candles(tmp_path: Path) -> None:
    path = made(tmp_path / "ETHUSDT-perp-15m.parquet")
    assert open_tape(path).instruments == ("BINANCE-FUTURES:PERPETUAL:ETH-USDT@LIN",)
    check(path)


def test_recorded_candles(recorded_data: Path) -> None:
    check(recorded_data / "candles" / "XRPUSDT-perp-15m.parquet")


def test_the_instrument_can_be_given(tmp_path: Path) -> None:
    path = made(tmp_path / "mine.parquet")
    with pytest.raises(TapeError, match="does not tell its instrument"):
        open_tape(path)
    spot = InstrumentId("BINANCE-SPOT:SPOT_PAIR:LTC-USDT")
    assert {m.instrument for m in open_tape(path, instrument=spot)} == {spot}


def test_a_file_without_candles_is_refused(tmp_path: Path) -> None:
    path = made(tmp_path / "BTCUSDT-perp-15m.parquet", "select now() as date, 1.0 as funding_rate")
    with pytest.raises(TapeError, match="no column open, high, low, close, volume"):
        open_tape(path)


@pytest.mark.parametrize("name", TIME_COLUMNS)
def test_the_time_may_be_called_what_an_import_takes(tmp_path: Path, name: str) -> None:
    path = made(tmp_path / "LTCUSDT-perp-15m.parquet", ROWS.replace("as date", f'as "{name.title()}"'))
    messages = list(open_tape(path))
    assert len({one.ts for one in messages}) >= 4 * 500
    assert list(read(path, CandleKind.CANDLES).ts[:1]) == [messages[0].ts]


@pytest.mark.parametrize("unit", [1, 10**3, 10**6, 10**9])
def test_times_that_are_whole_numbers_are_those_of_an_import(tmp_path: Path, unit: int) -> None:
    times = f"((1704067200 + 900 * i) * {unit})::bigint as open_time"
    query = ROWS.replace("timestamptz '2024-01-01 00:00:00+00' + to_minutes(15 * i::int) as date", times)
    path = made(tmp_path / "LTCUSDT-perp-15m.parquet", query)
    assert list(read(path, CandleKind.CANDLES).ts[:1]) == [1_704_067_200 * 10**9]
    assert next(iter(open_tape(path))).ts == 1_704_067_200 * 10**9


def test_a_file_without_a_time_is_refused_with_the_names_it_may_have(tmp_path: Path) -> None:
    path = made(tmp_path / "LTCUSDT-perp-15m.parquet", ROWS.replace("as date", "as moment"))
    with pytest.raises(TapeError, match=r"no column of time \(open_time or .* or date or timestamp or time or ts\)"):
        open_tape(path)


def test_a_bar_that_cannot_be_is_named_by_its_row(tmp_path: Path) -> None:
    broken = f"select * replace (if(volume = 8, 'nan'::double, low) as low) from ({ROWS})"
    path = made(tmp_path / "BTCUSDT-spot-15m.parquet", broken)
    with pytest.raises(TapeError) as caught:
        list(open_tape(path))
    assert caught.value.line == 8


def test_a_standing_price_is_quoted_again_until_the_next_point(tmp_path: Path) -> None:
    query = ROWS.replace("range(500)", "range(6)").replace(" t(i)", " t(i) where i not in (2, 3)")
    tape = open_tape(made(tmp_path / "ETHUSDT-perp-15m.parquet", query))
    second = 10**9
    for speed in (1.0, 20.0):
        played = [message for message in play(tape, 0, speed) if isinstance(message, Quote | Trade)]
        assert [m for m in played if isinstance(m, Trade)] == [m for m in play(tape, 0, speed) if isinstance(m, Trade)]
        quotes = [message for message in played if isinstance(message, Quote)]
        bar = int(900 * second / speed)
        apart = [after.ts - before.ts for before, after in pairwise(quotes)]
        silent = [gap for gap in apart if gap > REPEAT_NS]
        assert len(silent) == 1, "one silence, where two bars are missing"
        assert bar < silent[0] < 2 * bar
        assert len(quotes) > 4 * 900 / speed
        for before, after in pairwise(quotes):
            if (before.bid, before.ask) != (after.bid, after.ask):
                on_its_way = STEP_NS * 100 / speed  # to a point that is far away
                assert any(isinstance(m, Trade) and 0 <= m.ts - after.ts <= on_its_way for m in played)


def test_a_machine_that_slept_does_not_get_the_missed_quotes(tmp_path: Path) -> None:
    tape = open_tape(made(tmp_path / "ETHUSDT-perp-15m.parquet", ROWS))
    second = 10**9
    source = TapeSource([tape], 0)
    for at in range(10):
        source.take(at * second)
    woken = [message for message in source.take(7200 * second) if isinstance(message, Quote)]
    assert len(woken) <= 2
    # By the second: a step of more than SLEPT_NS would be the next sleep.
    going_on = [m.ts for at in range(7201, 7211) for m in source.take(at * second) if isinstance(m, Quote)]
    assert len(going_on) > 10
    assert all(ts > 7199 * second for ts in going_on)
