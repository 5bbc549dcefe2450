"""The margin simulator: against itself written plainly, against published vectors, against arithmetic by hand."""

from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba import njit

from core.domain.instrument import MarginBracket
from core.errors import ResearchError
from research.simulator import compiled
from research.simulator.records import BY_END, BY_LIQUIDATION, BY_SIGNAL, BY_STOP, BY_TARGET
from research.simulator.simulator import LONG_ENTRY, LONG_EXIT, SHORT_ENTRY, Account, Market, Sets, Tariff, simulate
from tests.research.plain import Plain, PlainBar, PlainSet

HOUR_NS = 3_600_000_000_000
WHY = {BY_SIGNAL: "signal", BY_STOP: "stop", BY_TARGET: "target"}


def brackets(*rows: tuple[float, float, int]) -> tuple[MarginBracket, ...]:
    """Return joined tiers of (cap, maintenance rate, largest leverage)."""
    made, floor, rate_before, cum = [], Decimal(0), Decimal(0), Decimal(0)
    for cap, rate, leverage in rows:
        rate_now = Decimal(str(rate))
        cum += floor * (rate_now - rate_before)
        made.append(MarginBracket(floor, Decimal(str(cap)), rate_now, cum, leverage))
        floor, rate_before = Decimal(str(cap)), rate_now
    return tuple(made)


EARLY = brackets((50_000, 0.004, 125), (250_000, 0.005, 100), (1_000_000, 0.01, 50), (10_000_000, 0.025, 20))
LATE = brackets((20_000, 0.01, 50), (200_000, 0.05, 10), (1e9, 0.10, 5))


def stamps(bars: int) -> "np.ndarray[Any, np.dtype[np.int64]]":
    return np.arange(bars, dtype=np.int64) * HOUR_NS


def flat(prices: list[float], **changes: Any) -> Market:
    """Return a market whose every bar stands at one price."""
    values = np.array(prices)
    return Market(stamps(values.size), (values, values, values, values), **changes)


def one(bars: dict[int, int], **changes: Any) -> Sets:
    when = np.array(sorted(bars), np.int64)
    return Sets(bars=when, signals=np.array([[bars[t] for t in when]], np.uint8), **changes)


@st.composite
def walks(draw: st.DrawFn) -> tuple[list[PlainBar], dict[int, int]]:
    """Return bars with wide ranges, marks beside them and funding now and then, and signals."""
    seed = draw(st.integers(0, 2**32 - 1))
    size = draw(st.integers(2, 120))
    rng = np.random.default_rng(seed)
    wild = draw(st.sampled_from([0.002, 0.02, 0.08]))
    close = 100 * np.exp(np.cumsum(rng.normal(0, wild, size)))
    opened = np.r_[100.0, close[:-1]] * np.exp(rng.normal(0, wild / 4, size))
    high = np.maximum(opened, close) * np.exp(np.abs(rng.normal(0, wild / 2, size)))
    low = np.minimum(opened, close) * np.exp(-np.abs(rng.normal(0, wild / 2, size)))
    shift = np.exp(rng.normal(0, wild / 10, size))
    rate = np.where(rng.random(size) < 0.2, rng.normal(0, 0.002, size), 0.0)
    columns = (opened, high, low, close, opened * shift, high * shift, low * shift, rate)
    bars = [PlainBar(*map(float, row)) for row in zip(*columns, strict=True)]
    often = draw(st.sampled_from([0.05, 0.3, 1.0]))
    acts = np.flatnonzero(rng.random(size) < often)
    return bars, {int(t): int(rng.integers(0, 16)) for t in acts}


SETS = st.builds(
    PlainSet,
    leverage=st.sampled_from([1.0, 3.0, 10.0, 20.0]),
    notional=st.sampled_from([0.0, 10_000.0, 90_000.0]),
    fraction=st.sampled_from([0.1, 0.9, 1.0]),
    max_size=st.sampled_from([0.0, 40_000.0]),
    stop=st.sampled_from([0.0, 0.01, 0.05]),
    target=st.sampled_from([0.0, 0.01, 0.08]),
    trail=st.sampled_from([0.0, 0.02, 0.1]),
)
ACCOUNTS = st.builds(
    Account,
    cash=st.just(20_000.0),
    slippage=st.sampled_from([0.0, 0.0005]),
    size_step=st.sampled_from([0.0, 0.5]),
    min_notional=st.sampled_from([0.0, 500.0]),
    margin=st.just(True),
    isolated=st.booleans(),
)


@given(walked=walks(), chosen=st.lists(SETS, min_size=1, max_size=3), account=ACCOUNTS)
def test_every_set_equals_the_plain_walk(
    walked: tuple[list[PlainBar], dict[int, int]], chosen: list[PlainSet], account: Account
) -> None:
    bars, signals = walked
    half = len(bars) // 2
    columns = {name: np.array([getattr(bar, name) for bar in bars]) for name in PlainBar._fields}
    ts = stamps(len(bars))
    tariff = Tariff(fees=((0, 0.0004), (int(ts[half]), 0.0005)), tiers=((0, EARLY), (int(ts[half]), LATE)))
    market = Market(
        ts,
        (columns["open"], columns["high"], columns["low"], columns["close"]),
        marks=(columns["mark"], columns["mark_high"], columns["mark_low"]),
        funding_rate=columns["rate"],
        tariff=tariff,
    )
    when = np.array(sorted(signals), np.int64)
    rows = np.array([[signals[int(t)] for t in when]] * len(chosen), np.uint8).reshape(len(chosen), when.size)
    named = {name: np.array([getattr(one, name) for one in chosen]) for name in PlainSet._fields}
    runs, log = simulate(market, account, Sets(bars=when, signals=rows, **named), trades=True)
    for number, (run, wanted) in enumerate(zip(runs, chosen, strict=True)):
        plain = Plain(
            account,
            wanted,
            lambda t: 0.0005 if t >= half else 0.0004,
            lambda t: LATE if t >= half else EARLY,
        ).run(bars, signals)
        assert run["liquidated"] == plain.liquidated
        assert run["equity"] == pytest.approx(plain.equities[-1], abs=1e-6)
        assert run["drawdown"] == pytest.approx(plain.drawdown, abs=1e-9)
        assert run["orders"] == plain.orders
        done = [trade for trade in log if trade["set"] == number and trade["reason"] in WHY]
        assert [(t["opened"], t["closed"], WHY[int(t["reason"])]) for t in done] == [
            (opened, closed, why) for opened, closed, _, _, why in plain.trades
        ]
        assert [t["exit"] for t in done] == pytest.approx([price for *_, price, _ in plain.trades])
        made = sum(trade["profit"] for trade in log if trade["set"] == number)
        assert made == pytest.approx(run["equity"] - account.cash, abs=1e-6)


def test_a_trip_by_hand() -> None:
    """Buy 10 at 100 with 10 bp slippage and 4 bp fee, funding 1 % of 110 once, sell at 120."""
    market = flat(
        [100.0, 110.0, 120.0],
        funding_rate=np.array([0.0, 0.01, 0.0]),
        tariff=Tariff(fees=((0, 0.0004),)),
    )
    runs, log = simulate(
        market, Account(cash=10_000, slippage=0.001), one({0: LONG_ENTRY, 2: LONG_EXIT}, notional=1000), trades=True
    )
    bought, sold = 100.1, 119.88
    profit = 10 * (sold - bought) - 10 * (bought + sold) * 0.0004 - 10 * 110 * 0.01
    assert runs["equity"][0] == pytest.approx(10_000 + profit)
    assert runs["funding"][0] == pytest.approx(-11.0)
    assert log["profit"][0] == pytest.approx(profit)
    assert (log["opened"][0], log["closed"][0], log["side"][0]) == (0, 2, 1)


def test_a_stamp_is_paid_by_who_held_before_it() -> None:
    """Opened at the stamp's own bar: not charged. Closed at a stamp's bar: charged (freqtrade's ADA example)."""
    rates = np.array([0.01, 0.0, 0.02])
    runs, _ = simulate(
        flat([100.0, 100.0, 100.0], funding_rate=rates), Account(), one({0: SHORT_ENTRY, 2: 8}, notional=100)
    )
    assert runs["funding"][0] == pytest.approx(+2.0)


@pytest.mark.parametrize(
    ("side", "quantity", "entry", "leverage", "price"),
    [
        (1, 12.5, 50_000.0, 20.0, 47_734.6734),
        (-1, 1.1, 45_000.0, 10.0, 49_298.9598),
        (1, 1.0, 50_000.0, 10.0, 45_180.7229),
        (-1, 1.0, 50_000.0, 10.0, 54_776.1194),
    ],
)
def test_liquidation_is_at_the_tier_of_its_own_price(
    side: int, quantity: float, entry: float, leverage: float, price: float
) -> None:
    """The tier crossing vectors, Binance's BTCUSDT table of October 2024: a hair before the price nothing happens."""
    table = brackets((50_000, 0.004, 125), (600_000, 0.005, 100), (3_000_000, 0.0065, 75), (12_000_000, 0.01, 50))
    for beyond, liquidated in ((-0.001, -1), (0.001, 1)):
        there = price - side * beyond
        values = np.array([entry, there])
        market = Market(
            stamps(2), (np.full(2, entry),) * 4, marks=(values, values, values), tariff=Tariff(tiers=((0, table),))
        )
        runs, log = simulate(
            market,
            Account(cash=1e6),
            one({0: LONG_ENTRY if side > 0 else SHORT_ENTRY}, leverage=leverage, notional=quantity * entry),
            trades=True,
        )
        assert runs["liquidated"][0] == liquidated, there
        lost = quantity * entry / leverage
        assert runs["equity"][0] == pytest.approx(1e6 - (lost if liquidated > 0 else 0))
        assert log["reason"][-1] == (BY_LIQUIDATION if liquidated > 0 else BY_END)


def test_daily_moments_are_those_of_the_equity_at_the_ends_of_days() -> None:
    rng = np.random.default_rng(3)
    prices = 100 * np.exp(np.cumsum(rng.normal(0, 0.01, 24 * 5)))
    runs, _ = simulate(flat(list(prices)), Account(cash=1000), one({3: LONG_ENTRY, 60: SHORT_ENTRY}, notional=500))
    long, short = 500 / prices[3], 500 / prices[60]
    earned = long * (prices[60] - prices[3])
    held = (np.zeros(3), long * (prices[3:60] - prices[3]), earned - short * (prices[60:] - prices[60]))
    equity = 1000 + np.concatenate(held)
    days = np.r_[1000, equity[23::24]]
    returns = days[1:] / days[:-1] - 1
    assert runs["days"][0] == 5
    for power in (1, 2, 3, 4):
        assert runs[f"sum_{power}"][0] == pytest.approx(np.sum(returns**power))


@pytest.mark.parametrize(("bar", "days"), [(30, 2), (47, 2), (48, 3), (10, 1)])
def test_the_day_of_a_liquidation_is_a_day_with_its_loss(bar: int, days: int) -> None:
    prices = [100.0] * 96
    prices[bar:] = [50.0] * (96 - bar)
    market = flat(prices, tariff=Tariff(tiers=((0, brackets((1_000_000, 0.004, 125))),)))
    runs, _ = simulate(market, Account(cash=1000), one({3: LONG_ENTRY}, leverage=10.0, notional=5000))
    assert runs["liquidated"][0] == bar
    assert (runs["equity"][0], runs["days"][0]) == (pytest.approx(500.0), days)
    assert [runs[f"sum_{power}"][0] for power in (1, 2, 3, 4)] == pytest.approx([-0.5, 0.25, -0.125, 0.0625])


def test_a_set_is_the_same_beside_others_and_alone() -> None:
    rng = np.random.default_rng(9)
    prices = list(100 * np.exp(np.cumsum(rng.normal(0, 0.01, 400))))
    market = flat(prices, funding_rate=np.full(400, 1e-5))
    when = np.arange(0, 400, 7)
    signals = rng.integers(0, 16, (5, when.size)).astype(np.uint8)
    together, _ = simulate(market, Account(), Sets(bars=when, signals=signals, fraction=0.5, leverage=2.0))
    alone = [
        simulate(market, Account(), Sets(bars=when[row != 0], signals=row[None, row != 0], fraction=0.5, leverage=2.0))
        for row in signals
    ]
    for beside, (run, _) in zip(together, alone, strict=True):
        assert beside["orders"] == run["orders"][0]
        assert beside["equity"] == pytest.approx(run["equity"][0], rel=1e-12)
        assert beside["drawdown"] == pytest.approx(run["drawdown"][0], rel=1e-9)


def test_no_kernel_counts_references() -> None:
    """What makes the walk fast is a private option of numba: a version without it would be slow in silence."""
    found = []
    for options in (compiled.KERNEL, compiled.MAKING):
        loop: Any = njit(**{**options, "cache": False})(_first)
        loop(np.ones((8, 4)))
        found.append("NRT_" in loop.inspect_llvm(loop.signatures[0]))
    assert found == [False, True]


def _first(values: Any) -> Any:
    total = 0.0
    for row in range(values.shape[0]):
        line = values[row]
        total += line[0] if line.size else 0.0
    return total


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"bars": np.array([1, 1])}, "do not rise"),
        ({"bars": np.array([1, 9])}, "not among the market's 3"),
        ({"signals": np.zeros((1, 3), np.uint8)}, r"shape \(1, 3\), expected \(sets, 2\)"),
        ({"leverage": 0.5}, "leverage must be 1 or more"),
        ({"notional": 0.0}, "no size"),
        ({"stop": float("nan")}, "stop must be a number"),
    ],
)
def test_what_cannot_be_simulated_is_refused_in_words(change: dict[str, Any], words: str) -> None:
    good = {"bars": np.array([0, 1]), "signals": np.zeros((1, 2), np.uint8), "notional": 10.0}
    with pytest.raises(ResearchError, match=words):
        simulate(flat([1.0, 2.0, 3.0]), Account(), Sets(**{**good, **change}))


@pytest.mark.parametrize(
    ("prices", "words"),
    [([1.0, -2.0], "of bar 1 is -2.0"), ([float("nan"), 1.0], "of bar 0 is nan"), ([], "no bars")],
)
def test_bars_that_are_no_prices_are_refused(prices: list[float], words: str) -> None:
    with pytest.raises(ResearchError, match=words):
        flat(prices)
    with pytest.raises(ResearchError, match="bar 1 is not later"):
        Market(np.zeros(2, np.int64), (np.ones(2),) * 4)


@pytest.mark.parametrize("side", [1, -1])
def test_funding_alone_liquidates(side: int) -> None:
    """The mark never moves: what stands behind the position is eaten stamp by stamp inside one interval."""
    rate = side * 0.01
    market = flat([100.0] * 12, funding_rate=np.full(12, rate), tariff=Tariff(tiers=((0, EARLY),)))
    signal = LONG_ENTRY if side > 0 else SHORT_ENTRY
    runs, _ = simulate(market, Account(cash=1e4), one({1: signal}, leverage=20.0, notional=1000))
    # 50 behind 1000, 4 of maintenance: 46 are gone with the fifth stamp after the entry's own bar
    assert runs["liquidated"][0] == 6
    assert runs["equity"][0] == pytest.approx(1e4 - 50)


def test_without_margin_an_account_may_fall_below_nothing() -> None:
    """The fall is counted bar by bar where equity is negative: no bound of an interval holds there."""
    prices = [100.0, 230.0, 250.0, 10.0]
    acts = {0: SHORT_ENTRY, 2: LONG_EXIT}  # the second does nothing but cut the bars in two
    runs, _ = simulate(flat(prices), Account(cash=100.0, margin=False), one(acts, notional=100))
    equity = np.array([100 - (price - 100) for price in prices])
    assert runs["equity"][0] == pytest.approx(190.0)
    assert runs["drawdown"][0] == pytest.approx(1.5) == pytest.approx(np.max(1 - equity / 100))
