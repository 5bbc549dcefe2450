"""Bars from trades: 1m from the prints, 15m and 1h from the minutes; late trades come out as corrections."""

from collections.abc import Iterable, Iterator

from core.domain.identifiers import InstrumentId
from core.domain.market import Bar, Interval, Trade
from core.domain.message import Nanoseconds

GRACE_NS: Nanoseconds = 2_000_000_000
"""How long a minute stays open after its end, for prints still on the way."""
KEPT_MINUTES = 120
"""Closed minutes kept for corrections and for the hour they belong to."""
MINUTE = Interval.M1.ns
LONGER = (Interval.M15, Interval.H1)


class _Minute:
    """One growing minute, handed out as ``Bar``; open and close are by exchange time, then arrival."""

    __slots__ = ("close", "first", "high", "last", "low", "open", "revision", "seeded", "start", "trades", "volume")

    def __init__(self, start: Nanoseconds, price: float) -> None:
        self.start = start
        self.open = self.high = self.low = self.close = price
        self.volume = 0.0
        self.trades = 0
        self.revision = 0
        self.seeded = False
        self.first: Nanoseconds = 0
        self.last: Nanoseconds = 0

    def add(self, price: float, size: float, when: Nanoseconds) -> None:
        if self.trades == 0:
            self.open = self.high = self.low = self.close = price
            self.first = self.last = when
        else:
            if price > self.high:
                self.high = price
            elif price < self.low:
                self.low = price
            if when >= self.last:
                self.close, self.last = price, when
            elif when < self.first:
                self.open, self.first = price, when
        self.volume += size
        self.trades += 1

    def bar(self, instrument: InstrumentId, closed: bool, ts: Nanoseconds) -> Bar:
        return Bar(
            instrument,
            Interval.M1,
            self.start,
            self.open,
            self.high,
            self.low,
            self.close,
            self.volume,
            self.trades,
            closed,
            self.revision,
            ts,
        )


class BarBuilder:
    """Build the bars of one instrument."""

    __slots__ = ("_closed", "_mixed", "_now", "instrument")

    def __init__(self, instrument: InstrumentId) -> None:
        self.instrument = instrument
        self._now: _Minute | None = None
        self._closed: dict[Nanoseconds, _Minute] = {}
        self._mixed = False
        """Whether they do not stand in the order of time: a history came in behind them."""

    def on_trade(self, trade: Trade) -> Iterable[Bar]:
        """Take a print and return the bars it closed or corrected (mostly none)."""
        minute = self._now
        when = trade.ts_exchange
        if minute is not None and minute.start <= when < minute.start + MINUTE:
            minute.add(trade.price, trade.size, when)
            return ()
        return self._other_minute(trade)

    def _other_minute(self, trade: Trade) -> list[Bar]:
        start = trade.ts_exchange // MINUTE * MINUTE
        if self._now is None:
            self._now = _Minute(start, trade.price)
            self._now.add(trade.price, trade.size, trade.ts_exchange)
            return []
        if start < self._now.start:
            return self._correct(start, trade)
        closed = list(self._close_until(start, trade.ts))
        self._now.add(trade.price, trade.size, trade.ts_exchange)
        return closed

    def seed(self, bar: Bar) -> None:
        """Take a closed minute of a venue's history, so that the hour it belongs to is whole."""
        if bar.start in self._closed or (self._now is not None and bar.start >= self._now.start):
            return
        minute = _Minute(bar.start, bar.open)
        minute.high, minute.low, minute.close = bar.high, bar.low, bar.close
        minute.volume, minute.trades, minute.seeded = bar.volume, bar.trades, True
        self._closed[bar.start] = minute
        self._mixed = True
        self._forget()

    def _forget(self) -> None:
        if len(self._closed) <= KEPT_MINUTES:
            return
        if self._mixed:
            self._closed, self._mixed = dict(sorted(self._closed.items())), False
        while len(self._closed) > KEPT_MINUTES:
            del self._closed[next(iter(self._closed))]

    def on_time(self, now: Nanoseconds) -> list[Bar]:
        """Close the minutes that have ended, empty ones too."""
        if self._now is None:
            return []
        start = (now - GRACE_NS) // MINUTE * MINUTE
        return list(self._close_until(start, now)) if start > self._now.start else []

    def _close_until(self, start: Nanoseconds, ts: Nanoseconds) -> Iterator[Bar]:
        """Close minutes up to ``start``, which becomes the growing one."""
        minute = self._now
        assert minute is not None
        while minute.start < start:
            yield minute.bar(self.instrument, True, ts)
            self._closed[minute.start] = minute
            end = minute.start + MINUTE
            for interval in LONGER:
                if end % interval.ns == 0:
                    yield self._aggregate(interval, end - interval.ns, True, ts)
            minute = _Minute(end, minute.close)
            self._now = minute
            self._forget()

    def _correct(self, start: Nanoseconds, trade: Trade) -> list[Bar]:
        minute = self._closed.get(start)
        if minute is None or minute.seeded:
            return []  # a venue's own bar has the print already
        minute.add(trade.price, trade.size, trade.ts_exchange)
        minute.revision += 1
        corrected = [minute.bar(self.instrument, True, trade.ts)]
        last = start
        for later in self._empty_after(start):
            later.open = later.high = later.low = later.close = minute.close
            later.revision += 1
            last = later.start
            corrected.append(later.bar(self.instrument, True, trade.ts))
        assert self._now is not None
        for interval in LONGER:
            end = min(last + MINUTE, self._now.start - interval.ns + 1)
            begins = range(start // interval.ns * interval.ns, end, interval.ns)
            corrected += [self._aggregate(interval, begin, True, trade.ts) for begin in begins]
        return corrected

    def _empty_after(self, start: Nanoseconds) -> Iterator[_Minute]:
        """Yield the minutes behind ``start`` that only repeat its close."""
        start += MINUTE
        while (minute := self._closed.get(start)) is not None and minute.trades == 0:
            yield minute
            start += MINUTE
        if self._now is not None and self._now.start == start and self._now.trades == 0:
            price = self._closed[start - MINUTE].close
            self._now.open = self._now.high = self._now.low = self._now.close = price

    def growing(self, interval: Interval, now: Nanoseconds) -> Bar | None:
        """Return the bar that is growing now."""
        if self._now is None:
            return None
        if interval is Interval.M1:
            return self._now.bar(self.instrument, False, now)
        return self._aggregate(interval, self._now.start // interval.ns * interval.ns, False, now)

    def _aggregate(self, interval: Interval, start: Nanoseconds, closed: bool, ts: Nanoseconds) -> Bar:
        minutes = [
            minute for begin in range(start, start + interval.ns, MINUTE) if (minute := self._minute(begin)) is not None
        ]
        bars = [minute.bar(self.instrument, True, ts) for minute in minutes]
        return combine(bars, interval, start, closed, sum(minute.revision for minute in minutes), ts)

    def _minute(self, start: Nanoseconds) -> _Minute | None:
        if self._now is not None and self._now.start == start:
            return self._now
        return self._closed.get(start)


def combine(
    bars: list[Bar], interval: Interval, start: Nanoseconds, closed: bool, revision: int, ts: Nanoseconds
) -> Bar:
    """Return the longer bar that consecutive bars make; empty ones only carry the price on."""
    traded = [bar for bar in bars if bar.trades]
    first = bars[0]
    if not traded:
        price = first.close
        return Bar(first.instrument, interval, start, price, price, price, price, 0.0, 0, closed, revision, ts)
    return Bar(
        first.instrument,
        interval,
        start,
        traded[0].open,
        max(bar.high for bar in traded),
        min(bar.low for bar in traded),
        traded[-1].close,
        sum(bar.volume for bar in traded),
        sum(bar.trades for bar in traded),
        closed,
        revision,
        ts,
    )
