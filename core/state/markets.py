"""What is known of each market right now: quote, book, last trade, mark, health."""

from collections import deque
from collections.abc import Iterator

from core.domain.identifiers import InstrumentId
from core.domain.instrument import Instrument
from core.domain.market import (
    NO_ID,
    Bar,
    BookDelta,
    BookSnapshot,
    FeedReport,
    Health,
    Interval,
    LastPrice,
    Quote,
    Trade,
)
from core.domain.message import Nanoseconds
from core.state.book import Book, Sync
from core.state.mark import FUTURE_NS, JUMP, MARK_TTL_NS, STALE_NS, WIDE, Mark

KEPT_TRADES = 200
KEPT_BARS = {Interval.M1: 1500, Interval.M15: 700, Interval.H1: 750}
DAY_NS: Nanoseconds = 86_400_000_000_000
_INFINITY = float("inf")


class Market(Mark):
    """The live view of one instrument; changed by ``State.apply`` alone. Floats as parsed; 0.0 means not seen yet."""

    __slots__ = (
        "_mixed",
        "ask_size",
        "bars",
        "bid_size",
        "book",
        "clock_offset_ns",
        "contract_size",
        "day_open",
        "exposure",
        "feed_gaps",
        "health",
        "holding",
        "instrument",
        "kind",
        "last",
        "min_notional",
        "nonlinear",
        "printed",
        "quoted",
        "reason",
        "trades",
        "venue",
    )

    def __init__(self, instrument: Instrument) -> None:
        super().__init__()
        self.define(instrument)
        self.book = Book()
        self.bid_size = self.ask_size = 0.0
        self.quoted: Quote | None = None
        self.printed: Nanoseconds = 0
        """The newest exchange stamp of a print."""
        self.last = 0.0
        self.health = Health.STALE
        self.reason = "no data yet"
        self.feed_gaps = 0
        self.clock_offset_ns = 0
        self.day_open = 0.0
        """The price 24 hours ago or the oldest known since, for the day's change."""
        self.trades: deque[Trade] = deque(maxlen=KEPT_TRADES)
        self.bars: dict[Interval, dict[Nanoseconds, Bar]] = {interval: {} for interval in Interval}
        self._mixed: set[Interval] = set()
        """Whose bars do not stand in the order of time."""
        self.exposure = 0.0
        """What one unit of mark changes the account's equity by (reporting currency)."""
        self.nonlinear = False
        """The exposure is not constant in the mark (inverse contracts): equity is recomputed instead."""

    def define(self, instrument: Instrument) -> None:
        """Take contract data; what the hot path asks for often is kept beside them."""
        self.instrument = instrument
        self.venue, self.kind, self.holding = instrument.venue, instrument.type, instrument.holding
        self.contract_size, self.min_notional = float(instrument.contract_size), float(instrument.min_notional)

    def quote(self, quote: Quote) -> float | None:
        """Take a quote and return the new mark, or None where it did not move; a senseless quote is counted."""
        bid, ask, ts, stamp = quote.bid, quote.ask, quote.ts, quote.ts_exchange
        if not 0.0 < bid < ask < _INFINITY or not quote.bid_size >= 0.0 or not quote.ask_size >= 0.0:
            self.bad += 1
            return None
        before = self.quoted
        if not 0 <= stamp <= ts + FUTURE_NS or (
            before is not None and stamp < before.ts_exchange and quote.update_id <= before.update_id
        ):
            self._drop(stamp - ts)
            return None
        self.quoted, self.ahead = quote, 0
        self.bid, self.bid_size, self.ask, self.ask_size = bid, quote.bid_size, ask, quote.ask_size
        if stamp > self.ts_exchange:
            self.moved = ts
        self.ts, self.ts_exchange = ts, stamp
        mark, mid = self.mark, (bid + ask) * 0.5
        if abs(mid - mark) <= JUMP * mark and not self.doubted and ask - bid <= WIDE * mid and not self.wide:
            return mid if ts - self.marked > MARK_TTL_NS and mid != mark else None
        return None if before is not None and _is_again(quote, before) else self._touch(mid, ts)

    def trade(self, trade: Trade) -> float | None:
        """Take a print and return the new mark where nothing better marks this market.

        Two prints beyond a touch that has fallen silent say that the touch is dead: then prints mark it until the touch
        is told again. One alone may have swept a thin book, whose touch is told behind it.
        """
        price, stamp, trades = trade.price, trade.ts_exchange, self.trades
        if not 0.0 < price < _INFINITY or not 0.0 < trade.size < _INFINITY or not 0 <= stamp <= trade.ts + FUTURE_NS:
            self._drop(stamp - trade.ts)
            return None
        if trades and trade.trade_id <= trades[-1].trade_id and self._told(trade):
            self.bad += 1
            return None
        trades.append(trade)
        self.heard, self.ahead, bare = trade.ts, 0, self.bid == 0.0
        if bare:
            self.ts = trade.ts
        if stamp < self.printed:
            return None  # a late print belongs into its bar, it is not the last price
        if bare:
            self._came(trade.ts, stamp)
        self.last, self.printed = price, stamp
        dead = bare or (trade.ts - self.ts > STALE_NS and not self.bid <= price <= self.ask)
        if dead and trade.ts - self.marked > MARK_TTL_NS and price != self.mark:
            if not bare or abs(price - self.mark) > JUMP * self.mark:
                return self._far(price, trade.ts)
            self.doubted = 0.0
            return price
        return None

    def _came(self, ts: Nanoseconds, stamp: Nanoseconds) -> None:
        """Note when what makes the price came, and whether its stamp went on."""
        if stamp > self.ts_exchange:
            self.moved = ts
        self.ts, self.ts_exchange = ts, stamp

    def _told(self, trade: Trade) -> bool:
        return trade.trade_id != NO_ID and any(trade.trade_id == known.trade_id for known in self.trades)

    def last_price(self, message: LastPrice) -> None:
        """Take the newest print's price without the print, unless a newer one came: a screen shows it."""
        if not 0.0 < message.price < _INFINITY or message.ts_exchange > message.ts + FUTURE_NS:
            self._drop(message.ts_exchange - message.ts)
            return
        if message.ts_exchange >= self.printed:
            self.last, self.printed = message.price, message.ts_exchange
        self.day_open = message.day_open or self.day_open

    def delta(self, delta: BookDelta) -> float | None:
        """Take changed levels and return the new mark where no quote feed sets it."""
        self.book.apply_delta(delta)  # also of an unusable stamp: a hole in the book would outlast it
        if delta.ts_exchange > delta.ts + FUTURE_NS:
            self._drop(delta.ts_exchange - delta.ts)
            return None
        self.ahead = 0
        if self.book.sync is Sync.SYNCED:
            return self._top(delta.ts, delta.ts_exchange)
        if self.book.sync is Sync.GAP or not self.bid:  # levels seen so far are no touch: a quote's may be dead
            self._came(delta.ts, delta.ts_exchange)
        return None

    def snapshot(self, snapshot: BookSnapshot) -> float | None:
        """Take a whole book."""
        self.book.apply_snapshot(snapshot)
        if snapshot.ts_exchange > snapshot.ts + FUTURE_NS:
            self._drop(snapshot.ts_exchange - snapshot.ts)
            return None
        self.ahead = 0
        return self._top(snapshot.ts, snapshot.ts_exchange)

    def _top(self, ts: Nanoseconds, stamp: Nanoseconds) -> float | None:
        """Take the top from the book: it is never older than the quote feed when it is synchronised.

        A book without a side, or that crosses itself, tells of no touch: the one before grows old.
        """
        book = self.book
        bids, asks = book.bid_prices, book.ask_prices
        if not bids or not asks or bids[-1] >= asks[0]:
            if not self.bid:
                self._came(ts, stamp)
            return None
        self._came(ts, stamp)
        bid, ask = bids[-1], asks[0]
        if bid == self.bid and ask == self.ask:
            alone = (bid + ask) * 0.5 != self.mark and ts - self.marked > MARK_TTL_NS  # prints or marks have moved it
            if not ((self.doubted or self.wide or alone) and self.moved == ts):
                return None
        self.bid, self.ask = bid, ask
        self.bid_size, self.ask_size = book.bids[bid], book.asks[ask]
        return self._touch((bid + ask) * 0.5, ts)

    def bar(self, bar: Bar) -> None:
        """Keep a bar, newest last; a revision replaces."""
        kept = self.bars[bar.interval]
        older = kept.get(bar.start)
        if older is None and kept and bar.start < next(reversed(kept)):
            self._mixed.add(bar.interval)  # a history comes in behind what is newer
        if older is None or bar.revision >= older.revision:
            kept[bar.start] = bar
        if len(kept) > KEPT_BARS[bar.interval]:
            if bar.interval in self._mixed:
                self.bars[bar.interval] = kept = dict(sorted(kept.items()))
                self._mixed.discard(bar.interval)
            del kept[next(iter(kept))]
        if bar.interval is Interval.M1 and bar.closed:
            self._open_day(bar)

    def _open_day(self, bar: Bar) -> None:
        minutes = self.bars[Interval.M1]
        first = minutes.get(bar.start - DAY_NS)
        if first is not None:
            self.day_open = first.open
        elif self.day_open == 0.0:
            self.day_open = bar.open

    def judge(self, now: Nanoseconds) -> tuple[Health, str]:
        """Return how far this feed can be trusted, from what it delivered; the engine makes a FeedReport of it."""
        if not self.ts:
            return Health.STALE, "no data yet"
        age, book = now - self.ts, self.book
        if age > STALE_NS and not self.is_crossed:
            return Health.STALE, f"no update for {age / 1e9:.0f} s"
        if book.sync is Sync.GAP:
            return Health.GAP, "an update is missing; asked for a new snapshot"
        if self.is_crossed:
            return Health.CROSSED, "best bid at or above best ask"
        if book.sync is Sync.PARTIAL:
            return Health.PARTIAL, "no snapshot: levels seen so far"
        return Health.LIVE, ""

    @property
    def is_crossed(self) -> bool:
        """Tell whether the whole book crosses itself: a level was lost, and no gap tells of it."""
        return self.book.sync is Sync.SYNCED and self.book.crossed

    def quiet(self, now: Nanoseconds) -> Nanoseconds:
        """Return for how long nothing new has come: no update, or updates under a stamp that stands still."""
        return now - (self.moved if self.ts_exchange else self.ts)

    def report(self, report: FeedReport) -> None:
        """Take how far the feed can be trusted, its gaps and its clock offset."""
        self.health, self.reason = report.health, report.reason
        self.feed_gaps, self.clock_offset_ns = report.gaps, report.clock_offset_ns

    @property
    def gaps(self) -> int:
        """Return the sequence gaps seen, by us or by the connection."""
        return max(self.feed_gaps, self.book.gaps)

    def age(self, now: Nanoseconds) -> Nanoseconds | None:
        """Return how old the newest data are, or None where nothing came yet."""
        return now - self.ts if self.ts else None


class Markets(dict[InstrumentId, Market]):
    """All markets by instrument id."""

    def holding(self, held: InstrumentId) -> Market | None:
        """Return the first market that trades into a held instrument."""
        return next((market for market in self.values() if market.holding == held), None)

    def define(self, instrument: Instrument) -> Market:
        """Add an instrument, or take its new contract data."""
        market = self.get(instrument.id)
        if market is None:
            market = self[instrument.id] = Market(instrument)
        else:
            market.define(instrument)
        return market

    def oldest(self, now: Nanoseconds) -> Nanoseconds | None:
        """Return the age of the oldest feed that has delivered."""
        ages = [age for age in self._ages(now) if age is not None]
        return max(ages) if ages else None

    def _ages(self, now: Nanoseconds) -> Iterator[Nanoseconds | None]:
        return (market.age(now) for market in self.values())


def _is_again(quote: Quote, before: Quote) -> bool:
    """Tell whether a quote is the one before told again: by its stamp and id, without an id by what it says."""
    if not 0 < quote.ts_exchange == before.ts_exchange or quote.update_id != before.update_id:
        return False
    if quote.update_id != NO_ID:
        return True
    told, known = ((one.bid, one.bid_size, one.ask, one.ask_size) for one in (quote, before))
    return told == known
