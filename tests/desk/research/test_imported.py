"""Candles that were imported reach a strategy that warms up, without DuckDB in its process."""

from pathlib import Path

import numpy as np
import pytest

from core.clock import ManualClock
from core.domain.market import Bar, Interval
from core.domain.message import Message
from core.errors import StoreError, VenueError
from core.outbox import PastWanted
from core.strategy.past import PastBars
from core.warming import Warming
from desk.paths import Home
from desk.research.imported import imported
from store.candles import CandleKind, CandleStore, Series, SeriesName
from tests.core.kit import BTC_PERP, PERP
from tests.core.scripted import ScriptedVenue

HOUR = Interval.H1.ns
NOW = 500 * HOUR


def store(home: Home, hours: int) -> None:
    """Import so many hours of candles, from the epoch on."""
    ts = np.arange(hours, dtype=np.int64) * HOUR
    columns = {name: np.arange(hours, dtype=np.float64) + 100.0 for name in CandleKind.CANDLES.columns}
    CandleStore(home.data).write(Series(SeriesName(PERP, "BTCUSDT", CandleKind.CANDLES, "1h"), ts, columns))


class Past(ScriptedVenue):
    """A venue that knows the last three hours, or cannot say."""

    away = False

    async def history(self, instrument: str, interval: Interval, start: int, end: int) -> list[Bar]:
        if self.away:
            raise VenueError("the link is down")
        return [bar(hour) for hour in range(497, 500)]


def bar(hour: int) -> Bar:
    return Bar(BTC_PERP.id, Interval.H1, hour * HOUR, 1.0, 1.0, 1.0, 1.0, 1.0, 1, True, 0, NOW)


async def test_the_venues_bars_come_first_and_older_ones_from_what_was_imported(tmp_path: Path) -> None:
    home, clock, told = Home(tmp_path), ManualClock(NOW), list[Message]()
    wanted = PastWanted(BTC_PERP.id, Interval.H1, 490 * HOUR, NOW)

    async def bring(question: PastWanted) -> list[Bar]:
        return list(await imported(home, PERP, "BTCUSDT", question))

    warming = Warming(told.append, clock, bring)
    venue = Past(clock)
    await warming.bring(venue, wanted)
    store(home, 499)
    await warming.bring(venue, wanted)
    venue.away = True
    await warming.bring(venue, wanted)
    store(home, 450)
    venue.away = False
    await warming.bring(venue, wanted)
    before, both, alone, torn = (one for one in told if isinstance(one, PastBars))
    assert [one.start // HOUR for one in before.bars] == [497, 498, 499]
    assert [one.start // HOUR for one in both.bars] == list(range(490, 500))
    assert [one.open for one in both.bars[:8]] == [590.0, 591.0, 592.0, 593.0, 594.0, 595.0, 596.0, 1.0]
    assert [one.start // HOUR for one in alone.bars] == list(range(490, 499))
    assert both.bars[0].closed
    assert torn.bars == before.bars  # what was imported ends long before: a hole is no history


async def test_what_cannot_be_read_is_said_and_holds_nothing_up(tmp_path: Path) -> None:
    home, wanted = Home(tmp_path), PastWanted(BTC_PERP.id, Interval.H1, 0, NOW)
    store(home, 3)
    (path,) = (home.data / PERP).glob("*.parquet")
    path.write_bytes(b"torn")
    with pytest.raises(StoreError, match="delete it and import the series again"):
        await imported(home, PERP, "BTCUSDT", wanted)
    assert await imported(home, PERP, "ETHUSDT", wanted) == ()
