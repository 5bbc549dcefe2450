"""Bars behind the first start, bars from the live trades, and the hours in between."""

from itertools import pairwise

import pytest

from core.domain.identifiers import InstrumentId
from core.domain.market import Bar, Interval, Trade
from venues.market.flow import Flow
from venues.market.history import History, backfill

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
START = 1_800_000_000 * SECOND + 17 * SECOND
BTC = InstrumentId("BINANCE-FUTURES:PERPETUAL:BTC-USDT@LIN")


def test_a_day_stands_behind_the_first_start_and_leads_to_its_price() -> None:
    flow = Flow(2, START)
    history = History()
    history.add(backfill(flow))
    assert backfill(flow) == backfill(Flow(2, START))
    for key, market in flow.markets.items():
        bars = history.bars(key, Interval.M1, 0, START)
        assert len(bars) == 24 * 60
        assert [b.start for b in bars] == list(range(bars[0].start, START // MINUTE * MINUTE, MINUTE))
        assert all(b.closed and b.low <= min(b.open, b.close) <= max(b.open, b.close) <= b.high for b in bars)
        assert all(older.close == newer.open for older, newer in pairwise(bars))
        assert all((b.volume > 0) == (b.trades > 0) for b in bars)
        quote = market.quote(START)
        assert bars[-1].close == pytest.approx((quote.bid + quote.ask) / 2, rel=0.002)


def test_what_is_made_up_looks_like_what_then_happens() -> None:
    flow = Flow(2, START)
    past = [bar for bar in backfill(flow) if bar.instrument == BTC]
    live = [m for m in flow.run(START + 20 * MINUTE) if isinstance(m, Trade) and m.instrument == BTC]
    assert sum(b.trades for b in past) / len(past) == pytest.approx(len(live) / 20, rel=0.35)
    assert sum(b.volume for b in past) / len(past) == pytest.approx(sum(m.size for m in live) / 20, rel=0.6)


def test_longer_bars_are_made_of_whole_minutes_only() -> None:
    history = History()
    history.add(backfill(Flow(2, START)))
    minutes = {bar.start: bar for bar in history.bars(BTC, Interval.M1, 0, START)}
    for interval, expected in ((Interval.M15, 95), (Interval.H1, 23)):
        bars = history.bars(BTC, interval, 0, START)
        assert len(bars) in (expected, expected + 1)
        for bar in bars:
            parts = [minutes[at] for at in range(bar.start, bar.start + interval.ns, MINUTE)]
            assert (bar.open, bar.close) == (parts[0].open, parts[-1].close)
            assert (bar.high, bar.low) == (max(p.high for p in parts), min(p.low for p in parts))
            assert bar.volume == pytest.approx(sum(p.volume for p in parts))
            assert (bar.trades, bar.start % interval.ns) == (sum(p.trades for p in parts), 0)
    some = history.bars(BTC, Interval.M15, START - 3 * 3600 * SECOND, START - 3600 * SECOND)
    assert [b.start for b in some] == [
        at for at in range(0, START, 900 * SECOND) if START - 3 * 3600 * SECOND <= at < START - 3600 * SECOND
    ]


def trade(at: int, price: float, size: float = 1.0) -> Trade:
    return Trade(BTC, price, size, True, at, at, at)


def test_live_trades_become_bars_and_a_pause_is_empty() -> None:
    history = History()
    base = START // MINUTE * MINUTE
    assert history.on_trade(trade(base + 1, 10.0)) == []
    history.on_trade(trade(base + 2, 12.0))
    closed = history.on_trade(trade(base + MINUTE, 11.0))
    assert [(b.start, b.open, b.high, b.low, b.close, b.volume, b.trades) for b in closed] == [
        (base, 10.0, 12.0, 10.0, 12.0, 2.0, 2)
    ]
    assert [b.close for b in history.on_time(base + 3 * MINUTE)] == [11.0]
    later = base + 60 * MINUTE
    again = History()
    again.add([*closed, Bar(BTC, Interval.M1, later, 12.0, 13.0, 11.0, 13.0, 5.0, 3, True, 0, later + MINUTE)])
    bars = again.bars(BTC, Interval.M1, 0, later + MINUTE)
    assert len(bars) == 61
    assert all(b.trades == 0 and b.open == b.high == b.low == b.close == 12.0 for b in bars[1:-1])


def test_nothing_is_known_of_what_is_not_played() -> None:
    assert History().bars(BTC, Interval.H1, 0, START) == []
