"""Capital over items: common days, weights by the oracles' methods, what is expected, and the cost of turning."""

import numpy as np
import pytest

from core.errors import ResearchError
from research import portfolio
from research.allocate import Item, Method, allocate, of_series
from research.validation.history import Curve
from store.candles import CandleKind, Series, SeriesName

FIRST = 19_723
"""2024-01-01 as days since 1970."""
HOUR_NS = 3_600_000_000_000


def item(name: str, seed: int, size: int = 400, first: int = FIRST, deviation: float = 0.01, fitted: int = 0) -> Item:
    rng = np.random.default_rng(seed)
    days = first + np.arange(size, dtype=np.int64)
    return Item(name, days, rng.normal(0.001, deviation, size), np.arange(size) >= fitted)


ITEMS = (item("a", 1), item("b", 2, deviation=0.03), item("c", 3, deviation=0.02))


@pytest.mark.parametrize("method", ["risk_parity", "hrp", "min_variance", "sharpe"])
def test_weights_are_those_of_the_covariance(method: Method) -> None:
    found = allocate(ITEMS, method, cost=0.001)
    returns = np.stack([one.returns for one in ITEMS], axis=1)
    covariance = np.cov(returns, rowvar=False)
    weights = np.array([one.weight for one in found.shares])
    wanted = {
        "risk_parity": lambda: portfolio.risk_parity(covariance),
        "hrp": lambda: portfolio.hierarchical_risk_parity(covariance)[0],
        "min_variance": lambda: portfolio.minimum_variance(covariance),
        "sharpe": lambda: portfolio.highest_sharpe(
            returns.mean(axis=0) * 30, covariance * 30, held=np.zeros(3), cost=0.001
        ),
    }[method]()
    assert weights == pytest.approx(wanted, abs=1e-6)
    assert weights.sum() == pytest.approx(1.0)
    assert sum(one.risk_share for one in found.shares) == pytest.approx(1.0)
    assert found.volatility == pytest.approx(np.sqrt(weights @ covariance @ weights * 365))
    assert found.shares[1].volatility == pytest.approx(returns[:, 1].std(ddof=1) * np.sqrt(365))
    assert found.turnover == pytest.approx(1.0)
    assert found.cost == pytest.approx(0.001)


def test_only_common_days_count() -> None:
    late = item("late", 4, size=200, first=FIRST + 100)
    found = allocate((*ITEMS, late), "risk_parity")
    assert found.days == 200
    with pytest.raises(ResearchError, match=r"only 40 days in common, .*: a 2024-01-01 to 2025-02-03, "):
        allocate((ITEMS[0], item("late", 4, first=FIRST + 360)), "hrp")


def test_turning_costs_what_is_traded() -> None:
    free = allocate(ITEMS, "min_variance", held={"a": 0.2, "b": 0.8}, cost=0.002)
    weights = [one.weight for one in free.shares]
    assert free.turnover == pytest.approx(abs(weights[0] - 0.2) + abs(weights[1] - 0.8) + weights[2])
    assert free.cost == pytest.approx(0.002 * free.turnover)
    assert [one.held for one in free.shares] == [0.2, 0.8, 0.0]


def test_what_is_expected_is_what_nothing_was_fitted_on() -> None:
    lucky = np.where(np.arange(400) < 300, 0.02, -0.002) + item("x", 5).returns
    fitted = Item("fitted", ITEMS[0].days, lucky, np.arange(400) >= 300)
    found = allocate((*ITEMS, fitted), "sharpe")
    assert found.shares[3].expected == pytest.approx(lucky[300:].mean() * 365)
    assert found.shares[3].weight == pytest.approx(0.0, abs=1e-6)
    with pytest.raises(ResearchError, match="only 20 such days are common"):
        allocate((ITEMS[0], item("short", 6, fitted=380)), "sharpe")


def test_a_series_earns_from_close_to_close() -> None:
    ts = (FIRST * 24 + np.arange(60, dtype=np.int64)) * HOUR_NS
    close = 100.0 + np.arange(60.0)
    columns = dict.fromkeys(("open", "high", "low", "close", "volume"), close)
    name = SeriesName("BINANCE-FUTURES", "BTCUSDT", CandleKind.CANDLES, "1h")
    found = of_series(Series(name, ts, columns))
    assert list(found.days) == [FIRST, FIRST + 1, FIRST + 2]
    assert found.returns == pytest.approx([123 / 100 - 1, 147 / 123 - 1, 159 / 147 - 1])
    assert found.judged.all()
    with pytest.raises(ResearchError, match="has no closes"):
        of_series(Series(SeriesName("X", "Y", CandleKind.FUNDING), ts, {"rate": close}))
    assert Curve(ts, close, 1.0).falls().max() == 0.0


@pytest.mark.parametrize(
    ("items", "held", "words"),
    [
        (ITEMS[:1], {}, "over two items or more"),
        ((ITEMS[0], ITEMS[0]), {}, "a is named twice"),
        (ITEMS, {"z": 0.1}, "names z, which is none of a, b, c"),
        (ITEMS, {"a": -0.1}, "a fraction of the capital is from 0 to 1"),
        (ITEMS, {"a": 0.7, "b": 0.7}, r"comes to 1\.4 of the capital"),
        ((ITEMS[0], Item("still", ITEMS[0].days, np.zeros(400), ITEMS[0].judged)), {}, "still never moved"),
    ],
)
def test_what_cannot_be_weighed_is_refused(items: tuple[Item, ...], held: dict[str, float], words: str) -> None:
    with pytest.raises(ResearchError, match=words):
        allocate(items, "risk_parity", held=held)
