"""Stress: what moves cost, which accounts are gone, which limits break, and the days that really were."""

import msgspec
import numpy as np
import pytest

from core import margin
from core.config.settings import GuardianSettings, ScenarioSettings
from core.domain import events as e
from core.domain import market as m
from core.domain.identifiers import Asset
from core.domain.instrument import MarginBracket
from core.domain.market import Interval
from core.domain.order import Side
from core.engine import Engine
from core.margin import Backing, Contract
from core.risk.book import RiskBook, take_book
from core.risk.history import Sample, sample_of
from core.risk.stress import Scenario, apply, correlated_loss, exposure_of, standard, worst_days
from tests.core.guardian.test_guardian import WIDE
from tests.core.kit import BTC_COINM, BTC_PERP, BTC_SPOT, COINM, ETH_PERP, T0, D, fill, opened, quote
from tests.core.risk.test_returns import END, HOUR, feed, walks

BTC, ETH = Asset("BTC"), Asset("ETH")
LIMITS = GuardianSettings()
TIERS = (MarginBracket(D(0), D("Infinity"), D("0.004"), D(0), 125),)
LEVERED = msgspec.structs.replace(BTC_PERP, brackets=TIERS)


def long(quantity: str = "0.5") -> Engine:
    engine = opened()
    engine.process(fill(BTC_PERP, Side.BUY, quantity, "60000", "f1"))
    return engine


def book(engine: Engine) -> RiskBook:
    return take_book(engine.state, engine.state.now)


def outcome(engine: Engine, **moves: float) -> float:
    taken = book(engine)
    return apply(taken, Scenario("x", moves), sample_of(taken), LIMITS).profit


def moved(engine: Engine, factor: float) -> float:
    """Return what the ledger itself makes of such a move: every mark and rate times ``factor``."""
    before = engine.state.equity
    for market in engine.state.markets.values():
        market.mark *= factor
    engine.state.ledger.revalue()
    return engine.state.equity - before


@pytest.mark.parametrize("factor", [0.7, 0.9, 1.2])
def test_a_move_costs_what_the_ledger_would_say(factor: float) -> None:
    """Spot, a short perpetual, an inverse long and its coin wallet together: the value is linear in the move."""
    engine = opened(instruments=(BTC_SPOT, BTC_PERP, ETH_PERP, BTC_COINM))
    engine.process(e.BalanceSet(COINM, BTC, D(1), "opening", T0))
    engine.process(fill(BTC_SPOT, Side.BUY, "0.3", "60000", "f1"))
    engine.process(fill(BTC_PERP, Side.SELL, "0.2", "61000", "f2"))
    engine.process(fill(BTC_COINM, Side.BUY, "150", "58000", "f3"))
    engine.process(fill(ETH_PERP, Side.BUY, "4", "2900", "f4"))
    engine.process(m.Timer(T0))
    expected = outcome(engine, all=factor - 1.0)
    assert expected == pytest.approx(moved(engine, factor), rel=1e-9)


def test_the_narrowest_name_counts() -> None:
    engine = long()
    engine.process(fill(ETH_PERP, Side.BUY, "10", "3000", "f2"))
    assert outcome(engine, BTC=-0.4, all=-0.1) == pytest.approx(-0.4 * 30_000 - 0.1 * 30_000)
    assert outcome(engine, PERPETUAL=-0.2, all=-0.1) == pytest.approx(-0.2 * 60_000)
    assert outcome(engine, ETH=-0.5) == pytest.approx(-0.5 * 30_000)


def test_a_short_earns_in_a_fall_and_nothing_falls_below_nothing() -> None:
    engine = opened()
    engine.process(fill(BTC_PERP, Side.SELL, "0.5", "60000", "f1"))
    assert outcome(engine, all=-0.2) == pytest.approx(6_000)
    assert outcome(long(), all=-3.0) == pytest.approx(-30_000)


def test_wide_spreads_cost_on_every_side() -> None:
    engine = opened()
    engine.process(quote(BTC_PERP, 59_970.0, 60_030.0))
    engine.process(fill(BTC_PERP, Side.SELL, "0.5", "60000", "f1"))
    taken = book(engine)
    found = apply(taken, Scenario("x", spreads=5.0), sample_of(taken), LIMITS)
    assert found.profit == pytest.approx(-30_000 * 0.0005 * 5)


# --- liquidation ------------------------------------------------------------------------------------------------------


def levered(quantity: str = "4") -> Engine:
    """Return 240 000 of a perpetual on a futures wallet of 50 000."""
    engine = opened(instruments=(BTC_SPOT, LEVERED, ETH_PERP))
    engine.process(fill(LEVERED, Side.BUY, quantity, "60000", "f1"))
    return engine


def test_the_account_is_gone_from_its_liquidation_price_on() -> None:
    price = margin.liquidation_price(Contract(TIERS), 1, D(4), D(60_000), Backing(D(50_000)))
    assert price is not None
    move = float(price) / 60_000 - 1.0
    taken = book(levered())
    safe = apply(taken, Scenario("x", {"all": move + 1e-6}), sample_of(taken), LIMITS)
    gone = apply(taken, Scenario("x", {"all": move - 1e-6}), sample_of(taken), LIMITS)
    assert safe.liquidated == ()
    assert gone.liquidated == ("BINANCE-FUTURES USDT",)
    assert safe.profit == pytest.approx(240_000 * move, abs=1.0)
    assert gone.profit == -50_000.0
    assert safe.profit > gone.profit  # what maintenance was left is the venue's


def test_a_gap_through_the_account_costs_more_than_the_account() -> None:
    assert outcome(levered(), all=-0.3) == pytest.approx(-72_000)


def test_another_account_is_not_touched() -> None:
    engine = levered()
    engine.process(fill(BTC_SPOT, Side.BUY, "0.1", "60000", "f2"))
    assert outcome(engine, all=-0.21) == pytest.approx(-50_400 - 0.1 * 60_000 * 0.21)


def test_an_inverse_account_is_liquidated_in_its_coin() -> None:
    coin = msgspec.structs.replace(BTC_COINM, brackets=TIERS)
    engine = opened(instruments=(BTC_SPOT, coin))
    engine.process(e.BalanceSet(COINM, BTC, D("0.05"), "opening", T0))
    engine.process(fill(coin, Side.BUY, "150", "60000", "f1"))  # 15 000 USD: 0.25 coins at five times
    taken = book(engine)
    price = margin.liquidation_price(Contract(TIERS, D(100), True), 1, D(150), D(60_000), Backing(D("0.05")))
    assert price is not None
    move = float(price) / 60_000 - 1.0
    sample = sample_of(taken)
    assert apply(taken, Scenario("x", {"all": move + 1e-5}), sample, LIMITS).liquidated == ()
    found = apply(taken, Scenario("x", {"all": move - 1e-5}), sample, LIMITS)
    assert found.liquidated == ("BINANCE-COINM BTC",)
    assert found.profit <= -0.05 * 60_000


# --- limits -----------------------------------------------------------------------------------------------------------


def test_limits_that_would_be_broken_are_named() -> None:
    taken = book(long())
    narrow = msgspec.structs.replace(WIDE, max_position_frac=0.301, max_gross_frac=0.5)
    sample = sample_of(taken)
    assert apply(taken, Scenario("x", {"all": -0.1}), sample, narrow).breaches == ()
    assert apply(taken, Scenario("x", {"all": 0.1}), sample, narrow).breaches == ("max_position_frac",)
    low = msgspec.structs.replace(WIDE, max_net_frac=0.2, max_leverage=0.2, max_sector_frac=0.2, max_gross_frac=0.2)
    assert apply(taken, Scenario("x"), sample, low).breaches == (
        "max_sector_frac", "max_leverage", "max_gross_frac", "max_net_frac",
    )  # fmt: skip
    assert apply(taken, Scenario("x", {"all": -0.166}), sample, WIDE).breaches == ()
    assert apply(taken, Scenario("x", {"all": -0.168}), sample, WIDE).breaches == (
        "max_daily_loss_frac", "drawdown_steps",
    )  # fmt: skip
    assert apply(book(levered("8")), Scenario("x", {"all": -0.5}), sample, WIDE).breaches == ("equity",)


# --- history ----------------------------------------------------------------------------------------------------------


def crashed() -> Engine:
    """Return a book of 30 000 BTC and short 3 000 ETH, in whose history BTC once fell by a fifth in six hours."""
    engine = long()
    engine.process(fill(ETH_PERP, Side.SELL, "1", "3000", "f2"))
    btc = np.full(400, 60_000.0)
    btc[200:206] = 60_000 * np.linspace(1, 0.8, 6)
    btc[206:] = 48_000.0
    eth = np.full(400, 3_000.0)
    eth[203:] = 2_700.0
    eth[300:] = 3_500.0
    feed(engine.state, BTC_PERP, btc.tolist())
    feed(engine.state, ETH_PERP, eth.tolist())
    return engine


def test_the_worst_days_are_those_of_the_history_with_what_moved_together() -> None:
    taken = book(crashed())
    found = {one.name.partition(",")[0]: one for one in worst_days(taken, sample_of(taken))}
    assert found["book's worst day"].moves == pytest.approx({"BTC": -0.2, "ETH": -0.1})
    assert found["ETH's worst day"].moves == pytest.approx({"BTC": 0.0, "ETH": 3_500 / 2_700 - 1})
    assert "BTC's worst day" not in found, "it is the book's own"
    result = apply(taken, found["book's worst day"], sample_of(taken), LIMITS)
    assert result.profit == pytest.approx(-0.2 * 30_000 + 0.1 * 3_000)


def test_no_history_has_no_worst_day() -> None:
    taken = book(long())
    assert worst_days(taken, sample_of(taken)) == []


def test_a_correlation_of_nine_tenths() -> None:
    engine = long("0.2")
    engine.process(fill(ETH_PERP, Side.BUY, "4", "3000", "f2"))
    taken = book(engine)
    sigma = np.array([[0.01, 0.02]] * 50 + [[-0.01, -0.02]] * 50)
    sample = Sample((BTC, ETH), sigma, np.arange(100, dtype=np.int64), Interval.H1, ())
    risks = np.array([12_000 * 0.01, 12_000 * 0.02]) * 24**0.5
    expected = 2.3263478740 * (risks @ risks + 2 * 0.9 * risks[0] * risks[1]) ** 0.5
    assert correlated_loss(taken, sample, 0.9) == pytest.approx(expected)
    assert correlated_loss(taken, sample, 1.0) > correlated_loss(taken, sample, 0.2)


def test_the_list_holds_the_programs_the_historys_and_ones_own() -> None:
    taken = book(crashed())
    own = {"crash": ScenarioSettings(moves={"BTC": -0.4, "all": -0.5}, spreads=5.0)}
    found = standard(taken, sample_of(taken), own)
    names = [one.name.partition(",")[0] for one in found]
    assert names == ["all down 10%", "all down 20%", "all down 30%", "spreads x5", "correlations 0.9",
                     "book's worst day", "ETH's worst day", "crash"]  # fmt: skip
    assert (found[-1].move(BTC, "PERPETUAL"), found[-1].move(ETH, "PERPETUAL"), found[-1].spreads) == (-0.4, -0.5, 5.0)


# --- the sample -------------------------------------------------------------------------------------------------------


def test_one_short_history_does_not_take_the_others() -> None:
    engine = crashed()
    bars = engine.state.markets[ETH_PERP.id].bars[Interval.H1]
    for start in sorted(bars)[:-30]:
        del bars[start]
    sample = sample_of(book(engine))
    assert (sample.bases, sample.missing, len(sample.returns)) == ((BTC,), (ETH,), 399)


def test_shorter_bars_stand_in_where_they_know_more_of_the_book() -> None:
    engine = long()
    feed(engine.state, BTC_PERP, walks(150, 0.5)[0], Interval.M15)
    sample = sample_of(book(engine))
    assert (sample.interval, sample.steps_a_day, len(sample.returns)) == (Interval.M15, 96.0, 149)


def test_returns_are_those_between_neighbours_alone() -> None:
    engine = crashed()
    for instrument in (BTC_PERP, ETH_PERP):
        bars = engine.state.markets[instrument.id].bars[Interval.H1]
        del bars[sorted(bars)[203]]
    sample = sample_of(book(engine))
    assert len(sample.returns) == 397
    assert sample.ends[-1] == END
    assert HOUR in np.diff(sample.ends)
    assert exposure_of(book(engine), ETH) == -3_000.0
