"""Equity and round trips of a back-test: to the bar what the simulator's own records say."""

from decimal import Decimal

import numpy as np
import pytest
from numpy.typing import NDArray

from core.domain.instrument import MarginBracket
from research.simulator.records import BY_LIQUIDATION
from research.simulator.simulator import Account, Market, Sets, Tariff, simulate
from research.validation.history import Curve, Played, curve, liquidation, months
from research.validation.metrics import drawdown
from tests.research.crossing import BTC, HOUR_NS

FIRST_NS = 1_704_067_200_000_000_000
"""2024-01-01 00:00 UTC."""


TIERS = (
    MarginBracket(Decimal(0), Decimal(50_000), Decimal("0.004"), Decimal(0), 125),
    MarginBracket(Decimal(50_000), Decimal(10_000_000), Decimal("0.01"), Decimal(300), 100),
)


def market(seed: int, size: int = 1500) -> Market:
    rng = np.random.default_rng(seed)
    close = 100.0 * np.exp(np.cumsum(rng.normal(0, 0.01, size)))
    opened = np.r_[100.0, close[:-1]]
    high, low = np.maximum(opened, close) * 1.003, np.minimum(opened, close) * 0.997
    rates = np.where(np.arange(size) % 8 == 0, rng.normal(0, 0.0005, size), 0.0)
    fees = ((0, 0.0005), (FIRST_NS + 700 * HOUR_NS, 0.0004))
    ts = FIRST_NS + np.arange(size, dtype=np.int64) * HOUR_NS
    return Market(ts, (opened, high, low, close), funding_rate=rates, tariff=Tariff(fees=fees, tiers=((0, TIERS),)))


def played(seed: int, leverage: float, **rules: float) -> tuple[Played, "NDArray[np.void]"]:
    made = market(seed)
    rng = np.random.default_rng(seed + 100)
    bars = np.unique(rng.integers(1, made.size, 60))
    signals = rng.choice(np.array([1, 2, 4, 8], np.uint8), bars.size)[None, :]
    sets = Sets(bars=bars, signals=signals, leverage=leverage, fraction=0.8, **rules)
    runs, trades = simulate(made, Account(cash=10_000.0, slippage=0.0003), sets, trades=True)
    return Played(BTC, made, trades), runs[0]


@pytest.mark.parametrize(
    ("leverage", "rules"), [(1.0, {}), (3.0, {"stop": 0.03}), (2.0, {"target": 0.05, "trail": 0.04}), (15.0, {})]
)
@pytest.mark.parametrize("seed", range(4))
def test_the_curve_is_the_simulators_bar_by_bar(seed: int, leverage: float, rules: dict[str, float]) -> None:
    part, run = played(seed, leverage, **rules)
    found = curve([part], 10_000.0, 1)
    assert found.equity[-1] == pytest.approx(run["equity"], rel=1e-12)
    assert drawdown(np.r_[10_000.0, found.equity]) == pytest.approx(run["drawdown"], rel=1e-9)
    assert found.falls().max() == pytest.approx(run["drawdown"], rel=1e-9)
    at, instrument = liquidation([part])
    assert (at > 0) == (run["liquidated"] >= 0)
    if at:
        assert (at, instrument) == (part.market.ts[run["liquidated"]], BTC)
        return  # what a day would have come to is not followed beyond it
    days = np.r_[10_000.0, found.equity[23::24], *([found.equity[-1:]] if found.equity.size % 24 else [])]
    assert np.sum(days[1:] / days[:-1] - 1.0) == pytest.approx(run["sum_1"], rel=1e-6, abs=1e-9)


def test_some_of_these_were_liquidated_and_some_were_not() -> None:
    ends = [(played(seed, 15.0)[0].trades["reason"] == BY_LIQUIDATION).any() for seed in range(4)]
    assert any(ends)
    assert not (played(0, 1.0)[0].trades["reason"] == BY_LIQUIDATION).any()


def test_round_trips_add_up() -> None:
    part, run = played(1, 3.0, stop=0.03)
    trips = part.round_trips()
    assert {one.reason for one in trips} >= {"signal", "stop"}
    assert {one.side for one in trips} == {"long", "short"}
    assert all(one.opened < one.closed or one.reason == "stop" for one in trips)
    for one in trips:
        signed = one.quantity if one.side == "long" else -one.quantity
        assert one.profit == pytest.approx(signed * (one.exit - one.entry) - one.fees + one.funding, abs=1e-7)
    closed = [one for one in trips if one.reason != "end of data"]
    assert sum(one.profit > 0 for one in closed) == run["wins"]
    assert len(closed) == run["trades"]


def test_wallets_count_by_their_share() -> None:
    one, two = played(1, 1.0)[0], played(2, 1.0)[0]
    shorter = Played(two.instrument, two.market, two.trades)
    both = curve([one, shorter], 10_000.0, 2)
    each = [curve([part], 10_000.0, 1).equity for part in (one, shorter)]
    assert both.equity == pytest.approx((each[0] + each[1]) / 2)


def test_an_instrument_that_begins_later_earns_nothing_before() -> None:
    full, late = played(1, 1.0)[0], played(2, 1.0)[0]
    late.market.ts = late.market.ts + 100 * HOUR_NS
    both = curve([full, late], 10_000.0, 2)
    assert both.ts.size == 1600
    assert both.equity[99] == pytest.approx(10_000.0 + full.profits()[99] / 2)
    assert both.equity[-1] == pytest.approx(10_000.0 + (full.profits()[-1] + late.profits()[-1]) / 2)


def test_months_compound_to_the_whole() -> None:
    found = curve([played(1, 1.0)[0]], 10_000.0, 1)
    by_month = months(found)
    assert [name for name, _ in by_month] == ["2024-01", "2024-02", "2024-03"]
    assert np.prod([1 + earned for _, earned in by_month]) == pytest.approx(found.equity[-1] / 10_000.0)
    january = found.equity[31 * 24 - 1] / 10_000.0 - 1
    assert by_month[0][1] == pytest.approx(january)


def test_a_sample_begins_before_the_first_bar_and_ends_with_the_last() -> None:
    ts = FIRST_NS + np.arange(7, dtype=np.int64) * HOUR_NS
    found = Curve(ts, np.arange(1.0, 8.0), 0.5)
    assert found.sampled(HOUR_NS) == [0.5, 1, 2, 3, 4, 5, 6, 7]
    assert found.sampled(3 * HOUR_NS) == [0.5, 3, 6, 7]
    assert Curve(ts[:0], np.zeros(0), 0.5).sampled(HOUR_NS) == [0.5]
