"""The built-in market: what can never be, what must repeat, and the look that was fitted."""

from collections import defaultdict
from statistics import median

import numpy as np
import pytest

from core.config.settings import Settings
from core.domain.identifiers import InstrumentId
from core.domain.market import BookDelta, BookSnapshot, MarkPrice, Quote, Trade
from core.domain.message import Nanoseconds
from core.state.book import Book, Sync
from venues.contracts_table import contracts
from venues.market.flow import QUIET_NS, RATE, Flow
from venues.market.params import Quantiles, cholesky, shipped
from venues.market.parse import MarketData

START: Nanoseconds = 1_800_000_000_000_000_000
SECOND = 1_000_000_000
MINUTES = 20
BTC = InstrumentId("BINANCE-FUTURES:PERPETUAL:BTC-USDT@LIN")
SPOT = InstrumentId("BINANCE-SPOT:SPOT_PAIR:BTC-USDT")


@pytest.fixture(scope="module")
def played() -> tuple[Flow, list[MarketData], list[MarketData]]:
    """Return a flow that has played, its opening and its messages."""
    flow = Flow(7, START)
    opening = flow.opening()
    return flow, opening, flow.run(START + MINUTES * 60 * SECOND)


Played = tuple[Flow, list[MarketData], list[MarketData]]


def test_the_eight_instruments(played: Played) -> None:
    assert set(played[0].markets) == {
        f"{head}:{coin}-USDT{tail}"
        for coin in ("BTC", "ETH", "XRP", "LTC")
        for head, tail in (("BINANCE-SPOT:SPOT_PAIR", ""), ("BINANCE-FUTURES:PERPETUAL", "@LIN"))
    }


def test_books_hold_together_and_never_cross(played: Played) -> None:
    flow, opening, messages = played
    books = {key: Book() for key in flow.markets}
    for message in opening:
        if isinstance(message, BookSnapshot):
            books[message.instrument].apply_snapshot(message)
    last = 0
    for message in messages:
        assert last <= message.ts <= flow.now
        last = message.ts
        if isinstance(message, BookDelta):
            book = books[message.instrument]
            before = book.last_id
            assert book.apply_delta(message)
            assert message.first_id == before + 1
            assert not book.crossed
        elif isinstance(message, Quote):
            book = books[message.instrument]
            assert book.best_bid == (message.bid, message.bid_size)
            assert book.best_ask == (message.ask, message.ask_size)
            assert message.update_id == book.last_id
    assert all(book.sync is Sync.SYNCED and book.gaps == 0 for book in books.values())
    assert all(20 < len(book.bid_prices) <= 70 and 20 < len(book.ask_prices) <= 70 for book in books.values())


def test_prices_and_sizes_lie_on_the_grid(played: Played) -> None:
    grid = {c.id: c for venue in ("BINANCE-SPOT", "BINANCE-FUTURES") for c in contracts(venue)}
    for message in played[1] + played[2][:20_000]:
        contract = grid[message.instrument]
        if isinstance(message, Trade):
            levels = [(message.price, message.size)]
        elif isinstance(message, BookDelta | BookSnapshot):
            levels = [*message.bids, *message.asks]
        else:
            continue
        for price, size in levels:
            assert price == float(f"{price:.{contract.price_precision}f}") > 0
            assert price / float(contract.tick_size) == pytest.approx(
                round(price / float(contract.tick_size)), abs=1e-6
            )
            assert size == float(f"{size:.{contract.size_precision}f}") >= 0


def test_trades_print_inside_the_book_and_ids_ascend(played: Played) -> None:
    tops: dict[InstrumentId, tuple[float, float]] = {}
    ids: dict[InstrumentId, int] = defaultdict(int)
    for message in played[1] + played[2]:
        if isinstance(message, Quote):
            tops[message.instrument] = (message.bid, message.ask)
        elif isinstance(message, Trade):
            bid, ask = tops[message.instrument]
            assert message.price >= ask if message.buyer else message.price <= bid
            assert message.size > 0
            assert message.trade_id == ids[message.instrument] + 1
            ids[message.instrument] = message.trade_id


def test_the_same_seed_plays_the_same_and_another_does_not() -> None:
    def messages(seed: int, steps: int) -> list[MarketData]:
        flow = Flow(seed, START)
        out = flow.opening()
        for step in range(1, steps + 1):
            out += flow.run(START + 60 * SECOND * step // steps)
        return out

    once = messages(3, 1)
    assert once == messages(3, 1)
    assert once == messages(3, 977)  # whoever looks more often sees the same
    assert once != messages(4, 1)


def test_a_state_goes_on_where_it_was(played: Played) -> None:
    before = Flow(5, START)
    before.run(START + 300 * SECOND)
    state = before.state()
    after = Flow(99, START + 9_000 * SECOND, state=state)
    assert after.seed == 5
    for key, market in after.markets.items():
        old, new = before.markets[key].quote(0), market.quote(0)
        assert new.bid == pytest.approx(old.bid, rel=3e-4)
        assert new.update_id >= old.update_id
        assert market.trade_id == before.markets[key].trade_id
    assert Flow(1, START, state=after.state()).stretch == 2
    assert after.run(START + 9_060 * SECOND) != before.run(START + 360 * SECOND)


def test_sleep_is_skipped() -> None:
    flow = Flow(5, START)
    flow.run(START + 60 * SECOND)
    price = dict(enumerate(flow.prices.price))
    flow.pause(START + 36_000 * SECOND)
    assert dict(enumerate(flow.prices.price)) == price
    assert flow.next_due >= START + 36_000 * SECOND
    assert 0 < len(flow.run(START + 36_010 * SECOND)) < 20 * RATE * 10


@pytest.mark.parametrize("rate", [RATE, 20.0])
def test_no_book_is_silent_for_longer_than_the_floor(rate: float) -> None:
    flow = Flow(13, START, rate=rate)
    heard = dict.fromkeys(flow.markets, START)
    longest = dict.fromkeys(flow.markets, 0)
    for message in flow.run(START + 600 * SECOND):
        if isinstance(message, Quote | BookDelta):
            longest[message.instrument] = max(longest[message.instrument], message.ts - heard[message.instrument])
            heard[message.instrument] = message.ts
    # A burst that trades without changing the book starts the wait anew: twice the floor at most, and the guardian's
    # bound is four times it.
    assert max(longest.values()) <= 2 * QUIET_NS < Settings().guardian.stale_after_ms * 1_000_000
    assert min(START + 600 * SECOND - ts for ts in heard.values()) >= 0
    assert all(START + 600 * SECOND - ts <= 2 * QUIET_NS for ts in heard.values())


def test_a_repeated_quote_changes_nothing() -> None:
    flow = Flow(13, START)
    flow.pause(START + 3600 * SECOND)  # the floor sleeps with the machine: no burst of old quotes
    last: dict[InstrumentId, Quote] = {}
    touched = dict.fromkeys(flow.markets, True)
    repeated = 0
    for message in flow.run(START + 3900 * SECOND):
        if isinstance(message, BookDelta):
            touched[message.instrument] = True
        elif isinstance(message, Quote):
            if not touched[message.instrument] and (before := last.get(message.instrument)) is not None:
                repeated += 1
                assert message == before.replace(ts_exchange=message.ts_exchange, ts=message.ts)
                assert message.ts > before.ts
            last[message.instrument], touched[message.instrument] = message, False
    assert repeated > 300


# --- the look ---------------------------------------------------------------------------------------------------------


def test_the_rate_is_the_one_asked_for(played: Played) -> None:
    assert len(played[2]) / (MINUTES * 60) == pytest.approx(RATE, rel=0.15)
    assert len(Flow(7, START, rate=40).run(START + 1200 * SECOND)) / 1200 == pytest.approx(40, rel=0.25)


@pytest.mark.parametrize("instrument", [BTC, SPOT])
def test_trade_sizes_have_the_fitted_quantiles(instrument: InstrumentId, played: Played) -> None:
    params = shipped()
    fitted = params.micro["perp" if instrument == BTC else "spot"].trade_quote
    sizes = [m.size * m.price for m in played[2] if isinstance(m, Trade) and m.instrument == instrument]
    assert len(sizes) > 5000
    for at, value in zip(params.quantiles, fitted, strict=True):
        if 0.2 < at < 0.97:
            assert np.quantile(sizes, at) == pytest.approx(value, rel=0.35), at


@pytest.mark.parametrize("instrument", [BTC, SPOT])
def test_spread_and_depth_are_the_fitted_ones(instrument: InstrumentId, played: Played) -> None:
    flow, opening, messages = played
    fitted = flow.params.micro["perp" if instrument == BTC else "spot"]
    tick = 0.1 if instrument == BTC else 0.01
    book, spreads, depths, tops = Book(), [], [], []
    for message in [*opening, *messages]:
        if message.instrument != instrument:
            continue
        if isinstance(message, BookSnapshot):
            book.apply_snapshot(message)
        elif isinstance(message, BookDelta):
            book.apply_delta(message)
        elif isinstance(message, Quote):
            spreads.append((message.ask - message.bid - tick) / message.bid * 1e4)
            tops += [message.bid_size * message.bid, message.ask_size * message.ask]
            if len(spreads) % 50 == 0:
                bids, asks = book.top(60)
                mid = (message.bid + message.ask) / 2
                near = [p * s for p, s in bids[1:] + asks[1:] if abs(p / mid - 1) <= 2e-4]
                depths.append(sum(near) / 4)
    for at, value in zip(flow.params.quantiles, fitted.spread_excess_bps, strict=True):
        if at in (0.5, 0.9, 0.95, 0.99):
            # A spread stays for a few quotes, so that its rare values are drawn seldom.
            assert value / 2 - 0.011 <= np.quantile(spreads, at) <= value * 2 + 0.011, at
    assert median(tops) == pytest.approx(fitted.top_quote_median, rel=0.3)
    assert median(depths) == pytest.approx(fitted.depth_quote_per_bps, rel=0.4)


def test_bursts_cluster_as_fitted(played: Played) -> None:
    flow, _, messages = played
    stamps = sorted({m.ts for m in messages if isinstance(m, BookDelta) and m.instrument == BTC})
    counts = np.bincount([int((ts - START) // (20 * SECOND)) for ts in stamps])[:-1]
    branching = 1 - 1 / np.sqrt(counts.var() / counts.mean())
    assert branching == pytest.approx(flow.params.micro["perp"].branching, abs=0.2)


def _returns(flow: Flow, hours: float, step_s: int) -> dict[int, list[float]]:
    prices = flow.prices
    seen: dict[int, list[float]] = {coin: [] for coin in range(len(prices.coins))}
    for _ in range(int(hours * 3600 / step_s)):
        before = list(prices.price)
        prices.step(step_s * SECOND)
        for coin, returns in seen.items():
            returns.append(float(np.log(prices.price[coin] / before[coin])))
    return seen


def test_volatility_and_correlation_are_the_fitted_ones() -> None:
    flow = Flow(11, START)
    returns = _returns(flow, hours=600, step_s=60)
    params = flow.params
    for coin, name in enumerate(params.coins):
        got = float(np.std(returns[coin])) * 1e4 / np.sqrt(60)
        assert got == pytest.approx(params.coin[name].vol_bps_per_sqrt_s, rel=0.1), name
    found = np.corrcoef([returns[coin] for coin in returns])
    assert np.abs(found - np.array(params.correlation)).max() < 0.06


def test_the_mid_moves_as_the_price_does(played: Played) -> None:
    flow, _, messages = played
    mids = [(m.ts, (m.bid + m.ask) / 2) for m in messages if isinstance(m, Quote) and m.instrument == BTC]
    stamps, values = np.array([m[0] for m in mids]), np.array([m[1] for m in mids])
    grid = np.arange(stamps[0], stamps[-1], 10 * SECOND)
    at = np.searchsorted(stamps, grid, side="right") - 1
    got = np.diff(np.log(values[at])).std() * 1e4 / np.sqrt(10)
    # Twenty minutes are one quiet or wild spell: wide bounds here, narrow ones on the long walk above.
    assert 0.4 < got / flow.params.coin["BTC"].vol_bps_per_sqrt_s < 2.5


def test_basis_funding_and_marks(played: Played) -> None:
    flow, _, messages = played
    marks = [m for m in messages if isinstance(m, MarkPrice)]
    assert {m.instrument for m in marks} == {key for key in flow.markets if "PERPETUAL" in key}
    assert len(marks) == pytest.approx(4 * MINUTES * 60, abs=8)
    for mark in marks:
        assert abs(mark.mark / mark.index - 1) < 0.004
        assert 0 < mark.next_funding - mark.ts <= 8 * 3600 * SECOND
        assert mark.next_funding % (8 * 3600 * SECOND) == 0
        assert abs(mark.funding_rate) < 0.001
    walk = Flow(11, START)
    basis: list[float] = []
    for _ in range(60_000):
        walk.prices.step(60 * SECOND)
        basis.append(walk.prices.basis[0] * 1e4)
    assert np.std(basis) == pytest.approx(walk.params.basis_bps_sd, rel=0.2)


def test_a_coin_that_falls_far_keeps_a_book() -> None:
    flow = Flow(3, START)
    flow.prices.price = [price * 0.02 for price in flow.prices.price]
    messages = flow.run(START + 120 * SECOND)
    assert all(m.bid > 0 and m.bid < m.ask for m in messages if isinstance(m, Quote))


def test_quantiles_and_cholesky() -> None:
    import random

    draws = [Quantiles((0.0, 0.5, 1.0), (1.0, 10.0, 100.0)).draw(random.Random(i)) for i in range(3000)]
    assert np.quantile(draws, [0.25, 0.5, 0.75]) == pytest.approx([3.16, 10, 31.6], rel=0.1)
    assert min(Quantiles((0.0, 1.0), (0.0, 4.0)).draw(random.Random(i)) for i in range(100)) >= 0
    low = np.array(cholesky(shipped().correlation))
    assert low @ low.T == pytest.approx(np.array(shipped().correlation))
