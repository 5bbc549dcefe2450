"""The whole answer: figures agree with the formulas, what is missing is said, and the loop does not wait."""

import asyncio

import numpy as np
import pytest

from core.config.settings import GuardianSettings
from core.domain.order import Side
from core.engine import Engine
from core.forecasting import RiskDesk
from core.risk import var
from core.risk.book import take_book
from core.risk.report import report
from core.state.forecasts import RiskDay
from tests.core.kit import BTC_PERP, BTC_SPOT, ETH_PERP, T0, fill, opened
from tests.core.risk.test_returns import feed, walks


def held() -> Engine:
    engine = opened()
    one, other = walks(700, 0.8)
    feed(engine.state, BTC_PERP, one)
    feed(engine.state, ETH_PERP, other)
    engine.process(fill(BTC_PERP, Side.BUY, "0.5", "60000", "f1"))
    engine.process(fill(ETH_PERP, Side.SELL, "5", "3000", "f2"))
    return engine


def test_the_figures_are_those_of_the_books_own_profits() -> None:
    engine = held()
    view = report(take_book(engine.state, T0), (), GuardianSettings(), {}, with_profits=True)
    one, other = (np.array(closes) for closes in walks(700, 0.8))
    profits = 30_000 * (one[1:] / one[:-1] - 1) - 15_000 * (other[1:] / other[:-1] - 1)
    assert view.profits == pytest.approx(profits.tolist())
    day = 24**0.5
    historical, corrected, filtered = view.figures
    assert float(historical.var_99) == pytest.approx(var.historical_var(profits, 0.01) * day, abs=0.01)
    assert float(historical.es_95) == pytest.approx(var.historical_es(profits, 0.05) * day, abs=0.01)
    found = var.cornish_fisher(profits, 0.05)
    assert found is not None
    assert float(corrected.var_95) == pytest.approx(found[0] * day, abs=0.01)
    deviations = var.ewma_deviations(profits)
    assert float(filtered.var_95) == pytest.approx(var.filtered(profits, deviations, 0.05)[0] * day, abs=0.01)
    assert view.basis == "699 returns of 1h, a day by the square root of 24"
    assert view.returns == 699
    assert view.effective_bets == 2.0
    assert view.torsion_bets is not None
    assert [test.verdict for test in view.tests] == ["too few days", "too few days"]


def test_a_short_and_a_long_of_the_same_offset_each_other() -> None:
    engine = held()
    engine.process(fill(ETH_PERP, Side.BUY, "5", "3000", "f3"))
    engine.process(fill(BTC_SPOT, Side.BUY, "0.1", "60000", "f4"))
    engine.process(fill(BTC_PERP, Side.SELL, "0.6", "60000", "f5"))
    view = report(take_book(engine.state, T0), (), GuardianSettings(), {})
    assert float(view.figures[0].var_99) == pytest.approx(0.0, abs=0.01)


def test_a_correction_that_fails_says_so_and_shows_the_historical() -> None:
    engine = opened()
    closes = [100.0] * 300
    closes[150:] = [60.0] * 150
    feed(engine.state, BTC_PERP, closes)
    engine.process(fill(BTC_PERP, Side.BUY, "0.5", "60000", "f1"))
    view = report(take_book(engine.state, T0), (), GuardianSettings(), {})
    assert view.figures[1].note == "not monotone for this skew and kurtosis: historical shown"
    assert view.figures[1].var_99 == view.figures[0].var_99


def test_what_has_no_history_is_named_and_an_empty_book_is_none() -> None:
    engine = opened()
    engine.process(fill(ETH_PERP, Side.BUY, "5", "3000", "f1"))
    view = report(take_book(engine.state, T0), (), GuardianSettings(), {})
    assert (view.missing, view.figures, view.basis) == (("ETH",), (), "no history yet")
    assert [float(one.loss) for one in view.scenarios[:3]] == [1500.0, 3000.0, 4500.0]
    empty = report(take_book(opened().state, T0), (), GuardianSettings(), {})
    assert (empty.missing, empty.effective_bets) == ((), None)
    assert all(one.loss == 0 for one in empty.scenarios)


def test_the_record_is_tested_at_both_levels() -> None:
    days = [RiskDay(at, 100.0, 200.0, -150.0 if at % 20 == 7 else 5.0) for at in range(200)]
    view = report(take_book(held().state, T0), days, GuardianSettings(), {})
    assert [(test.level, test.days, test.hits) for test in view.tests] == [(0.95, 200, 10), (0.99, 200, 0)]


async def test_the_arithmetic_is_done_in_another_thread_and_the_loop_goes_on() -> None:
    engine = held()
    view = await RiskDesk(engine).view(T0)
    assert view.returns == 699
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.ensure_future(count())
    await RiskDesk(engine).view(T0)
    counting.cancel()
    assert turns > 1, "the loop went on"
