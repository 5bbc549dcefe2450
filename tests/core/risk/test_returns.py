"""Correlations and volatilities from the engine's own bars: aligned, bounded, unknown where history is short."""

import numpy as np
import pytest

from core.domain import market as m
from core.domain.identifiers import Asset
from core.domain.market import Interval
from core.risk.returns import LEAST, MOST, YEAR_NS, Returns
from core.state.state import State
from tests.core.kit import BTC_PERP, BTC_SPOT, ETH_PERP, T0, S, opened

BTC, ETH = Asset("BTC"), Asset("ETH")
HOUR = Interval.H1.ns
END = T0 // HOUR * HOUR


def feed(
    state: State, instrument: object, closes: list[float], interval: Interval = Interval.H1, end: int = END
) -> None:
    """Put closed bars into a market, the last one ending at ``end``."""
    for place, close in enumerate(closes):
        start = end - (len(closes) - place) * interval.ns
        bar = m.Bar(instrument.id, interval, start, close, close, close, close, 1.0, 1, True, 0, start)  # type: ignore[attr-defined]
        state.apply(bar)


def walks(count: int, correlation: float, seed: int = 5) -> tuple[list[float], list[float]]:
    """Return two series of closes whose returns are so correlated."""
    rng = np.random.Generator(np.random.PCG64(seed))
    one, other = rng.normal(0, 0.01, count), rng.normal(0, 0.01, count)
    mixed = correlation * one + (1 - correlation**2) ** 0.5 * other
    return (100 * np.exp(np.cumsum(one))).tolist(), (50 * np.exp(np.cumsum(mixed))).tolist()


def looked(state: State, now: int = END, times: int = 8) -> Returns:
    found = Returns()
    for second in range(times):
        found.look(state, now + second * S)
    return found


@pytest.mark.parametrize("correlation", [0.9, 0.0, -0.6])
def test_the_correlation_is_that_of_the_returns(correlation: float) -> None:
    state = opened().state
    one, other = walks(240, correlation)
    feed(state, BTC_PERP, one)
    feed(state, ETH_PERP, other)
    found = looked(state)
    a, b = np.diff(np.log(one)), np.diff(np.log(other))
    assert found.correlation(BTC, ETH) == pytest.approx(float(a @ b / np.sqrt((a @ a) * (b @ b))), abs=1e-9)
    assert found.correlation(BTC, ETH) == found.correlation(ETH, BTC)
    assert found.correlation(BTC, BTC) == 1.0


def test_returns_are_joined_by_their_time_and_not_by_their_place() -> None:
    state = opened().state
    one, other = walks(240, 0.95)
    feed(state, BTC_PERP, one)
    feed(state, ETH_PERP, other, end=END - HOUR)  # the same moves, an hour early
    shifted = looked(state).correlation(BTC, ETH)
    assert shifted is not None
    assert abs(shifted) < 0.25


def test_a_hole_in_one_series_only_leaves_its_own_returns_out() -> None:
    state = opened().state
    one, other = walks(240, 0.9)
    feed(state, BTC_PERP, one)
    feed(state, ETH_PERP, other)
    for start in list(state.markets[ETH_PERP.id].bars[Interval.H1])[100:110]:
        del state.markets[ETH_PERP.id].bars[Interval.H1][start]
    assert looked(state).correlation(BTC, ETH) == pytest.approx(0.9, abs=0.05)


def test_a_row_that_was_not_refreshed_is_joined_where_the_hours_are_the_same_alone() -> None:
    """Rows are rings: what stands in the place of an hour may be of ten days before."""
    state = opened().state
    one, other = walks(340, 0.9)
    feed(state, ETH_PERP, other[:240])
    found = Returns()
    found.refresh(state, ETH, END)
    feed(state, BTC_PERP, one, end=END + 100 * HOUR)
    found.refresh(state, BTC, END + 100 * HOUR)
    a, b = np.diff(np.log(one))[99:239], np.diff(np.log(other))[99:239]
    assert found.correlation(BTC, ETH) == pytest.approx(float(a @ b / np.sqrt((a @ a) * (b @ b))), abs=1e-9)


def test_short_history_is_not_known_and_becomes_so_again() -> None:
    state = opened().state
    one, other = walks(LEAST + 1, 0.9)
    feed(state, BTC_PERP, one)
    feed(state, ETH_PERP, other[:LEAST])
    assert looked(state).correlation(BTC, ETH) is None
    feed(state, ETH_PERP, other)
    found = looked(state)
    assert found.correlation(BTC, ETH) is not None
    for second in range(8):  # ten days later, and nothing since
        found.look(state, END + 240 * HOUR + second * S)
    assert found.correlation(BTC, ETH) is None
    assert not found.volatility


def test_shorter_bars_stand_in_for_longer_ones() -> None:
    state = opened().state
    one, other = walks(240, 0.8)
    feed(state, BTC_SPOT, one, Interval.M15)
    feed(state, ETH_PERP, other, Interval.M15)
    found = looked(state)
    assert found.correlation(BTC, ETH) == pytest.approx(0.8, abs=0.1)
    assert found.volatility[BTC] == pytest.approx(0.01 * (YEAR_NS / Interval.M15.ns) ** 0.5, rel=0.3)


def test_the_volatility_of_a_year_by_the_newest_returns_most() -> None:
    state = opened().state
    moves = np.concatenate([np.full(120, 0.001), np.full(120, 0.02)]) * np.resize([1.0, -1.0], 240)
    feed(state, BTC_PERP, (100 * np.exp(np.cumsum(moves))).tolist())
    assert looked(state).volatility[BTC] == pytest.approx(0.02 * (365 * 24) ** 0.5, rel=0.03)


def test_one_underlying_a_second_and_the_memory_is_bounded() -> None:
    state = opened().state
    feed(state, BTC_PERP, walks(240, 0.5)[0])
    feed(state, ETH_PERP, walks(240, 0.5)[1])
    found = Returns()
    found.look(state, END)
    found.look(state, END + S // 2)
    assert len(found.volatility) == 1
    found.look(state, END + S)
    assert len(found.volatility) == 2
    assert found._returns[Interval.H1].shape == (MOST, 240)


def test_what_is_traded_no_more_leaves_its_place() -> None:
    state = opened().state
    feed(state, BTC_PERP, walks(240, 0.5)[0])
    feed(state, ETH_PERP, walks(240, 0.5)[1])
    found = looked(state)
    del state.markets[ETH_PERP.id]
    for second in range(4):
        found.look(state, END + (20 + second) * S)
    assert found.correlation(BTC, ETH) is None
    assert ETH not in found.volatility
