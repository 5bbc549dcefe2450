"""``tradedeck data fetch`` and the schedule's refresh against a running engine and the practice exchange's process."""

import asyncio
import json
import re
import time
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from core.clock import LiveClock
from core.domain.identifiers import InstrumentId, VenueId
from core.domain.market import Bar, Interval
from core.errors import ClientError, InvalidInstrumentId, NoEngine
from core.session.client import Client
from core.session.frames import HISTORY_BARS, AskHistory
from desk.cli import app
from desk.output import UsageFault
from desk.paths import Home
from desk.research.chores import Did, refresh
from desk.session import talk
from store.candles import CandleStore, Series, series_named
from tests.desk.conftest import Desk
from venues.market.venue import MarketVenue

PERP = InstrumentId("BINANCE-FUTURES:PERPETUAL:BTC-USDT@LIN")
SERIES = "BINANCE-FUTURES/BTCUSDT-1h-candles"
HOUR = Interval.H1.ns


@pytest.fixture(scope="module")
def now(running: Desk) -> int:
    """Return one moment for all: the hour must not turn between two looks."""
    assert running.ready()
    return time.time_ns()


@pytest.fixture
def home(running: Desk, now: int, monkeypatch: pytest.MonkeyPatch) -> Home:
    """Give a running home without series."""
    monkeypatch.setattr("desk.research.fetching.time", SimpleNamespace(time_ns=lambda: now))
    for path in running.home.data.glob("*/*.parquet"):
        path.unlink()
    return running.home


def run(home: Home, *words: str) -> Result:
    return CliRunner().invoke(app, ["data", *words, "--home", str(home.root)])


def answer(home: Home, *words: str) -> Any:
    return json.loads(run(home, *words, "--json").stdout)


def kept(home: Home, name: str = SERIES) -> Series:
    found = series_named(name)
    assert found is not None
    return CandleStore(home.data).read(found)


def told(home: Home, interval: Interval) -> Sequence[Bar]:
    """Return what the market says to a session of its own, the engine not asked."""

    async def ask() -> Sequence[Bar]:
        venue = MarketVenue(VenueId("BINANCE-FUTURES"), home.market_socket, LiveClock(), "auditor")
        await venue.start(lambda _: None)
        try:
            return await venue.history(PERP, interval, 0, time.time_ns())
        finally:
            await venue.stop()

    return asyncio.run(ask())


def cut(home: Home, rows: slice, scale: float = 1.0) -> None:
    """Keep some rows alone, their prices multiplied."""
    series = kept(home)
    columns = {key: values[rows] * (scale if key != "volume" else 1.0) for key, values in series.columns.items()}
    CandleStore(home.data).write(Series(series.name, series.ts[rows], columns))


def test_the_rows_are_what_the_market_says_and_only_what_is_missing_is_asked(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run(home, "fetch", "BTC-USDT.P", PERP, "--since", "3d")
    assert first.exit_code == 0, first.exception
    assert "the practice exchange" in first.stderr
    there = {bar.start: bar for bar in told(home, Interval.H1)}
    series = kept(home)
    assert f"BTC-USDT.P: {series.size} rows new in {SERIES}, now {series.size} from" in first.stdout
    assert first.stdout.count("\n") == 1, "an instrument that is named twice is asked once"
    assert series.size >= 22
    assert list(series.ts) == [start for start in there if start <= series.ts[-1]]
    for column in ("open", "high", "low", "close", "volume"):
        assert list(series.columns[column]) == [getattr(there[start], column) for start in series.ts], column
    assert series.ts[-1] + HOUR <= time.time_ns(), "a bar that is not over is left out"

    cut(home, slice(0, -3))
    asked = list[AskHistory]()
    ask = Client.ask

    async def seen(self: Client, question: Any) -> Any:
        asked.append(question)
        return await ask(self, question)

    monkeypatch.setattr(Client, "ask", seen)
    before = (home.data / f"{SERIES}.parquet").stat().st_mtime_ns
    (found,) = answer(home, "fetch", "BTC-USDT.P")
    assert (found["series"], found["new"], found["rows"], found["problems"]) == (SERIES, 3, series.size, [])
    assert [(one.start, one.end - HOUR) for one in asked] == [(series.ts[-4], series.ts[-1])]
    assert (home.data / f"{SERIES}.parquet").stat().st_mtime_ns > before
    assert answer(home, "fetch", "BTC-USDT.P")[0]["new"] == 0
    assert len(asked) == 1, "nothing is missing, so nothing is asked"


def test_minutes_older_than_the_engine_keeps_come_from_the_venue(home: Home) -> None:
    there = told(home, Interval.M1)
    until = there[60].start
    stamp = time.strftime("%Y-%m-%dT%H:%M", time.gmtime(until // 10**9))
    (found,) = answer(home, "fetch", "BTC-USDT.P", "--interval", "1m", "--since", "2d", "--until", stamp)
    assert (found["new"], found["last_ns"]) == (60, there[59].start)


def test_rows_that_differ_are_refused_and_replaced_when_asked(home: Home) -> None:
    run(home, "fetch", "BTC-USDT.P")
    whole = kept(home)
    cut(home, slice(0, -2), 1.01)
    done = run(home, "fetch", "BTC-USDT.P")
    assert done.exit_code == 1
    assert "1 rows differ from those kept" in done.stderr
    assert "BTC-USDT.P: not fetched" in done.stderr
    assert kept(home).size == whole.size - 2
    assert refresh(home).ok
    assert f"not fetched: {SERIES} (the practice exchange has other prices)" in refresh(home).words
    (found,) = answer(home, "fetch", "BTC-USDT.P", "--since", "3d", "--replace")
    assert (found["new"], found["replaced"]) == (2, whole.size - 2)
    assert list(kept(home).columns["close"][: whole.size]) == list(whole.columns["close"])


def test_a_stop_in_the_middle_leaves_what_was_whole_and_says_so(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    ask, asked = Client.ask, list[object]()

    async def stopped(self: Client, question: Any) -> Any:
        asked.append(question)
        if len(asked) == 3:
            raise KeyboardInterrupt
        return await ask(self, question)

    monkeypatch.setattr(Client, "ask", stopped)
    words = ("--interval", "1m", "--since", "1d", "--until", "1h")
    done = run(home, "fetch", "ETH-USDT.P", "BTC-USDT.P", "LTC-USDT.P", *words)
    assert done.exit_code == 130
    assert "stopped: 2 of 3 fetched, whole; nothing was changed of the others" in done.stderr
    assert [str(name) for name in CandleStore(home.data).names()] == [
        "BINANCE-FUTURES/BTCUSDT-1m-candles", "BINANCE-FUTURES/ETHUSDT-1m-candles",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("words", "error", "says"),
    [
        (("DOGE-USDT.P",), InvalidInstrumentId, "must be .* a listed symbol"),
        (("BTC-USDT.P", "BINANCE-FUTURES:PERPETUAL:DOGE-USDT@LIN"), UsageFault, "tradedeck instruments lists what is"),
        (("BTC-USDT.P", "--interval", "5m"), UsageFault, "--interval must be 1m, 15m, 1h"),
        (("BTC-USDT.P", "--since", "soon"), UsageFault, "--since must be a length"),
    ],
)
def test_what_cannot_be_asked_for_leaves_nothing(
    home: Home, words: tuple[str, ...], error: type[Exception], says: str
) -> None:
    found = run(home, "fetch", *words).exception
    assert isinstance(found, error)
    assert re.search(says, str(found))
    assert CandleStore(home.data).names() == []


def test_a_time_that_the_venue_has_nothing_of_is_said(home: Home) -> None:
    done = run(home, "fetch", "BTC-USDT.P", "--since", "2024-01-01", "--until", "2024-02-01")
    assert done.exit_code == 1
    assert f"{SERIES}: the venue has no bars of that time" in done.stderr
    assert "no bar of 1h begins at" in run(home, "fetch", "BTC-USDT.P", "--since", "1m").stderr
    assert CandleStore(home.data).names() == []


def test_without_an_engine_it_says_so(tmp_path: Path) -> None:
    assert isinstance(run(Home(tmp_path), "fetch", "BTC-USDT.P").exception, NoEngine)


def test_the_engine_refuses_a_span_without_end(home: Home) -> None:
    question = AskHistory(PERP, Interval.M1, 0, (HISTORY_BARS + 1) * Interval.M1.ns)
    with pytest.raises(ClientError, match="at most 1500 bars can be asked for at once"):
        talk(home, lambda client: client.ask(question))


def test_the_schedule_fetches_what_is_newer_and_says_why_not(home: Home) -> None:
    run(home, "fetch", "BTC-USDT.P")
    whole = kept(home)
    cut(home, slice(0, -2))
    store = CandleStore(home.data)
    for other in (
        "BINANCE-FUTURES/BTCUSDT-1h-mark",
        "BINANCE-FUTURES/DOGEUSDT-1h-candles",
        "BINANCE-SPOT/BTCUSDT-1d-candles",
    ):
        name = series_named(other)
        assert name is not None
        store.write(Series(name, whole.ts, {key: whole.columns[key] for key in name.kind.columns}))
    did = refresh(home)
    assert did == Did(
        True,
        f"nothing came into {home.incoming}; 2 rows new in 1 series fetched, not fetched: "
        "BINANCE-FUTURES/BTCUSDT-1h-mark "
        "(venues are asked for candles alone); BINANCE-FUTURES/DOGEUSDT-1h-candles (the engine does not trade it); "
        "BINANCE-SPOT/BTCUSDT-1d-candles (the engine has bars of 1m, 15m, 1h)",
    )
    assert list(kept(home).ts) == list(whole.ts)


def test_imported_rows_of_long_ago_are_not_continued_by_the_practice_exchange(home: Home) -> None:
    run(home, "fetch", "BTC-USDT.P")
    series = kept(home)
    CandleStore(home.data).write(Series(series.name, series.ts - 90 * 24 * HOUR, series.columns))
    did = refresh(home)
    assert did.ok
    assert f"not fetched: {SERIES} (no bar in common with its venue's history)" in did.words
    assert "give --replace to join them" in run(home, "fetch", "BTC-USDT.P").stderr
    assert kept(home).size == series.size
