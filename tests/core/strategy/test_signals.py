"""Indicators: values by hand and against TA-Lib, no look-ahead, and a cut-off memory that changes nothing."""

from collections.abc import Callable

import numpy as np
import pytest

pytest.importorskip("talib", reason="TA-Lib comes with the extra research")

from core.strategy.signals import (
    DAY_NS,
    Bars,
    Indicators,
    above,
    begins,
    ema_memory,
    rsi_memory,
    wilder_memory,
)
from core.strategy.technical import talib
from tests.core.strategy.markets import walk

NAMED: dict[str, Callable[[Indicators], object]] = {
    "ema": lambda x: x.ema(20),
    "rsi": lambda x: x.rsi(14),
    "atr": lambda x: x.atr(14),
    "highest": lambda x: x.highest(20),
    "lowest": lambda x: x.lowest(1),
    "score": lambda x: x.score(20),
    "session_start": lambda x: x.session_start(),
    "session_ends": lambda x: x.session_ends(),
    "vwap": lambda x: x.vwap()[0],
    "vwap_score": lambda x: x.vwap_score(),
    "opening high": lambda x: x.opening_range(60)[0],
    "opening low": lambda x: x.opening_range(60)[1],
    "volume_score": lambda x: x.volume_score(5),
    "change": lambda x: x.change(10),
}


def bars(prices: list[float], volume: list[float] | None = None, step: int = 60_000_000_000) -> Bars:
    values = np.array(prices, float)
    sizes = np.array(volume or [1.0] * len(prices), float)
    return Bars(np.arange(values.size, dtype=np.int64) * step, values, values, values, values, sizes, step)


@pytest.mark.parametrize("name", NAMED)
def test_no_indicator_knows_the_future(name: str) -> None:
    assert_blind(NAMED[name])


def assert_blind(indicator: Callable[[Indicators], object]) -> None:
    """Truncate at ``t`` and compare at ``t``."""
    market = walk(1500, seed=5, gaps=True)
    whole = np.asarray(indicator(Indicators(market)))
    for end in (*range(2, 40), 400, 499, 500, 501, 760, 1100, market.size):
        part = np.asarray(indicator(Indicators(market.upto(end))))
        np.testing.assert_allclose(part[-1], whole[end - 1], rtol=1e-12, atol=1e-12, err_msg=f"at {end - 1}")


def test_the_look_ahead_test_sees_a_peek() -> None:
    with pytest.raises(AssertionError):
        assert_blind(lambda x: np.append(x.bars.close[1:], x.bars.close[-1]))


@pytest.mark.parametrize(
    ("name", "memory", "tolerance"),
    [("ema", ema_memory(20), 1e-6), ("rsi", rsi_memory(14), 1e-6), ("atr", wilder_memory(14), 1e-6)],
)
def test_what_is_older_than_the_memory_moves_nothing(name: str, memory: int, tolerance: float) -> None:
    market = walk(3000, seed=8)
    whole = np.asarray(NAMED[name](Indicators(market)))
    compared = 0
    for end in range(memory + 1, market.size, 37):
        part = np.asarray(NAMED[name](Indicators(market.between(end - memory - 1, end))))[-1]
        assert np.isnan(part) == np.isnan(whole[end - 1])
        if not np.isnan(part):
            assert part == pytest.approx(whole[end - 1], rel=0, abs=tolerance)  # prices are about 30 000
            compared += 1
    assert compared > 20


def test_a_bollinger_score_is_that_of_the_bands() -> None:
    market = walk(600)
    upper, middle, _ = talib().BBANDS(market.close, 20, 2.0, 2.0)
    lively = slice(320, 600)
    wanted = ((market.close - middle)[lively]) / ((upper - middle)[lively] / 2)
    np.testing.assert_allclose(Indicators(market).score(20)[lively], wanted, rtol=1e-5, atol=1e-6)


def test_a_quiet_market_has_no_score_and_no_rsi() -> None:
    still = Indicators(bars([50_000.0] * 300))
    assert np.isnan(still.score(20)).all()
    assert np.isnan(still.rsi(14)).all()


def test_a_vwap_by_hand() -> None:
    x = Indicators(bars([100, 101, 102, 101], [1, 2, 1, 4]))
    mean, spread = x.vwap()
    assert mean[-1] == pytest.approx(101.0)
    assert spread[-1] == pytest.approx(0.5)
    assert x.vwap_score()[-1] == pytest.approx(0.0)


def test_a_vwap_begins_again_with_the_day() -> None:
    x = Indicators(bars([100, 200, 300], step=DAY_NS // 2))
    assert list(x.vwap()[0]) == [100, 150, 300]
    assert list(x.session_ends()) == [True, True, False]  # of what came before the first nothing is known


def test_a_session_that_broke_off_ends_with_the_first_bar_of_the_next() -> None:
    market = bars([1, 2, 3, 4], step=DAY_NS // 4)
    broken = Bars.of(market.ts[[0, 1, 2]] + np.array([0, 0, DAY_NS // 2]), [np.ones(3)] * 5, DAY_NS // 4)
    assert list(Indicators(broken).session_ends()) == [True, False, True]
    assert list(Indicators(market).session_ends()) == [True, False, False, True]


def test_an_opening_range_waits_for_its_end() -> None:
    prices = [10.0, 12.0, 9.0, 20.0, 5.0, 10.0]
    high, low = Indicators(bars(prices, step=900_000_000_000)).opening_range(45)
    assert np.isnan(high[:3]).all()
    assert list(high[3:]) == [12.0] * 3
    assert list(low[3:]) == [9.0] * 3


def test_an_opening_range_without_its_bars_is_none() -> None:
    late = walk(96)
    into = Indicators(late).into_session()
    kept = into >= 7_200_000_000_000
    columns = (late.open, late.high, late.low, late.close, late.volume)
    part = Bars.of(late.ts[kept], [column[kept] for column in columns], late.interval_ns)
    assert np.isnan(Indicators(part).opening_range(60)[0]).all()


def test_a_volume_score_by_hand() -> None:
    """Logs 1, 2, 3, 4, 5 on the days before: median 3, MAD 1; today 6."""
    x = Indicators(bars([1.0] * 6, list(np.exp([1.0, 2, 3, 4, 5, 6])), step=DAY_NS))
    score = x.volume_score(5)
    assert np.isnan(score[:5]).all()
    assert score[5] == pytest.approx(3 / 1.482602218505602)


def test_a_day_without_volume_leaves_no_score() -> None:
    assert np.isnan(Indicators(bars([1.0] * 6, [1, 2, 0, 4, 5, 6], step=DAY_NS)).volume_score(5)).all()


def test_channels_leave_out_their_own_bar() -> None:
    assert list(Indicators(bars([1, 5, 2, 3])).highest(2)[2:]) == [5, 5]
    assert list(Indicators(bars([1, 5, 2, 3])).lowest(1)[1:]) == [1, 5, 2]


def test_a_condition_begins_once() -> None:
    flags = np.array([True, True, False, True, True])
    assert list(begins(flags)) == [False, False, False, True, False]
    assert not above(np.array([1.0 + 1e-12, np.nan]), np.array([1.0, 1.0])).any()


def test_an_indicator_is_worked_out_once() -> None:
    x = Indicators(walk(300))
    assert x.ema(20) is x.ema(20)
    assert x.ema(20) is not x.ema(21)


def test_talib_brings_neither_pandas_nor_polars(fresh_python: Callable[[str], str]) -> None:
    code = (
        "import sys, numpy\nfrom core.strategy.library import MODELS\nprint('talib' in sys.modules)\n"
        "from core.strategy.technical import talib\ntalib().EMA(numpy.arange(9.0), 3)\n"
        "print('talib' in sys.modules, 'pandas' in sys.modules, 'polars' in sys.modules)"
    )
    assert fresh_python(code).split() == ["False", "True", "False", "False"]


def test_pandas_can_be_loaded_afterwards(fresh_python: Callable[[str], str]) -> None:
    pytest.importorskip("pandas")
    code = "from core.strategy.technical import talib\ntalib()\nimport pandas\nprint(pandas.Series([1]).sum())"
    assert fresh_python(code).strip() == "1"


def test_the_oldest_are_forgotten_when_they_take_too_much() -> None:
    bars = walk(500)
    x = Indicators(bars, 3 * bars.close.nbytes)
    first = x.ema(5)
    assert x.ema(5) is first
    for window in (6, 7, 8):
        x.ema(window)
    again = x.ema(5)
    assert again is not first
    np.testing.assert_array_equal(again, first)
    assert len(x._kept) == 3
    assert Indicators(bars, 0).rsi(5).size == bars.size, "the one that is asked for is always there"
