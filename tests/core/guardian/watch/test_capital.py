"""Capital that comes or goes, priced or not yet: it moves no fraction lost, no step, and no profit in money."""

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from core.domain import commands as c
from core.domain import events as e
from core.domain import market as m
from core.domain.approval import TradingState
from core.domain.identifiers import Asset
from core.domain.order import Side
from core.engine import Engine
from core.guardian.watch.account import day_base
from core.state.account import DAY_NS, day_return
from core.state.state import IMAGE_DECODER, State
from tests.core.guardian.watch.kit import acted, long, timer, walk, watched
from tests.core.kit import BTC_PERP, BTC_SPOT, ETH_PERP, PERP, SPOT, T0, D, S, fill, of, quote

STEPS = ((0.05, 0.5), (0.08, 0.25), (0.10, 0.0))
USDT = Asset("USDT")


def lost(engine: Engine, frac: float) -> Engine:
    """Lose a fraction of 100 000 by one trade that is over."""
    long(engine)
    exit_ = f"{60_000 - 100_000 * frac:.2f}"
    engine.process(fill(BTC_PERP, Side.SELL, "1", exit_, "out"))
    timer(engine, T0 + S)
    return engine


def flow(engine: Engine, amount: str, ts: int = T0 + 2 * S) -> None:
    """Move money into the perpetuals' wallet, or out of it."""
    total = engine.state.ledger.balances[PERP][USDT] + D(amount)
    engine.process(e.BalanceSet(PERP, USDT, total, "deposit" if D(amount) > 0 else "withdrawal", ts))


def fractions(engine: Engine) -> tuple[float, float, float]:
    state = engine.state
    equity = float(state.watched.gone) or state.equity
    return state.drawdown, day_return(state, state.equity), 1.0 - equity / day_base(state)


@given(st.floats(0.0, 0.59), st.lists(st.integers(-100_000, 300_000).filter(bool), min_size=1, max_size=4))
def test_no_flow_moves_a_fraction_lost_or_makes_the_guardian_act(frac: float, flows: list[int]) -> None:
    engine = lost(watched(max_daily_loss_frac=0.05, drawdown_steps=STEPS), frac)
    step, trading = engine.state.watched.step, engine.state.trading_state
    before, profit = fractions(engine), engine.state.day_profit
    for number, amount in enumerate(flows):
        assume(engine.state.equity + amount > 0.0)
        flow(engine, str(amount), T0 + (2 + number) * S)
        effects = timer(engine, T0 + (2 + number) * S)
        assert fractions(engine) == pytest.approx(before, abs=1e-9)
        assert engine.state.day_profit == pytest.approx(profit, abs=1e-6), "no money of the day's profit"
        assert not acted(effects)
        assert (engine.state.watched.step, engine.state.trading_state) == (step, trading)
    assert engine.state.curve.worst == pytest.approx(before[0], abs=1e-9)


def test_a_withdrawal_does_not_halt() -> None:
    engine = lost(watched(drawdown_steps=STEPS), 0.04)
    flow(engine, "-40000")
    engine.process(e.BalanceSet(SPOT, USDT, D(30_000), "withdrawal", T0 + 2 * S))
    assert not acted(timer(engine, T0 + 3 * S))
    assert (engine.state.equity, engine.state.trading_state) == (36_000.0, TradingState.ACTIVE)
    assert engine.state.peak == D(37_500)


def test_what_was_accepted_stays_the_fraction_that_it_was_over_a_restart_too() -> None:
    engine = lost(watched(max_daily_loss_frac=0.05), 0.06)
    engine.process(c.SetTradingState(TradingState.ACTIVE, word="RESUME", who="me", ts=T0 + S))
    engine.process(fill(BTC_PERP, Side.BUY, "1", "60000", "in2"))
    engine.process(fill(BTC_PERP, Side.SELL, "1", "58120", "out2"))
    before = fractions(engine)
    assert before[2] == pytest.approx(0.02)
    flow(engine, "-30000")
    assert fractions(engine) == pytest.approx(before)
    image = IMAGE_DECODER.decode(msgspec.msgpack.encode(engine.state.image()))
    again = State.from_image(image)
    assert day_base(again) == pytest.approx(day_base(engine.state))
    assert again.watched.base_of(again.day_start) == engine.state.watched.day_base


def test_where_there_is_no_factor_capital_is_added_and_says_why() -> None:
    engine = lost(watched(), 0.04)
    before = engine.state.peak
    effects = list(
        engine.process(e.BalanceSet(PERP, USDT, D(-60_000), "withdrawal", T0 + S))
    )  # the equity is below zero
    (raised,) = of(effects, e.PeakRaised)
    assert raised.equity == before - D(106_000)
    assert raised.reason == "capital of -106,000.00 is added: the equity was 96,000.00 and is -10,000.00"
    effects = list(engine.process(e.BalanceSet(PERP, USDT, D(46_000), "deposit", T0 + S)))
    assert of(effects, e.PeakRaised)[0].reason.endswith("the equity was -10,000.00 and is 96,000.00")
    assert engine.state.peak == before
    assert engine.state.watched.day_base == engine.state.day_start == D(100_000)


def test_capital_that_comes_while_the_equity_is_not_known_is_added() -> None:
    engine = long(watched(drawdown_steps=STEPS))
    walk(engine, 57_000.0)
    timer(engine, T0 + S)
    again = Engine(engine.guardian, State.from_image(engine.state.image()), strict=True)  # no price yet
    peak = again.state.peak
    total = again.state.ledger.balances[PERP][USDT] + 1000
    effects = list(again.process(e.BalanceSet(PERP, USDT, total, "deposit", T0 + 2 * S)))
    (raised,) = of(effects, e.PeakRaised)
    assert (raised.equity - peak, raised.reason) == (1000, "capital of 1,000.00 is added: not everything has a price")


def test_a_day_of_an_older_journal_goes_on_as_it_was() -> None:
    """There a flow was added to the day's start by an event without a base."""
    state = State()
    day = T0
    state.apply(e.DayStarted(D(1000), day))
    state.apply(e.DayStarted(D(1500), day))
    assert (state.day_start, state.watched.base_of(state.day_start)) == (D(1500), D(1500))
    state.watched.day_base = D(0)  # an older checkpoint knows none
    assert day_base(state) == 1500.0
    state.apply(e.DayStarted(D(3000), day, D(2500)))
    assert day_base(state) == 2500.0


def test_capital_that_waited_for_its_price_moves_no_fraction() -> None:
    engine = lost(watched(), 0.04)
    fresh = Asset("SOL")
    engine.process(e.BalanceSet(SPOT, fresh, D(100), "deposit", T0 + 2 * S))
    before = fractions(engine)
    sol = msgspec.structs.replace(ETH_PERP, id=ETH_PERP.id.replace("ETH", "SOL"), raw_symbol="SOLUSDT", base=fresh)
    engine.process(m.InstrumentDefined(sol, T0 + 2 * S))
    engine.process(quote(sol, 149.99, 150.01, T0 + 3 * S))
    assert engine.state.equity == pytest.approx(96_000 + 15_000)
    assert fractions(engine) == pytest.approx(before)
    assert engine.state.day_profit == pytest.approx(-4_000.0)


def test_what_a_step_lets_be_held_goes_with_capital() -> None:
    engine = long(lost(watched(drawdown_steps=STEPS), 0.03), ts=T0 + S)
    walk(engine, 57_000.0)  # 6 %
    state = engine.state
    assert state.watched.step == 1
    assert state.watched.most == pytest.approx(28_500.0, rel=0.02)
    share = state.watched.most / state.equity
    flow(engine, "-47000")
    assert state.watched.most / state.equity == pytest.approx(share)
    effects = timer(engine, T0 + 3 * S)
    assert state.exits.flattening, effects
    flow(engine, "500000", T0 + 4 * S)
    assert state.watched.most / state.equity == pytest.approx(share), "new money is not choked"


@pytest.mark.parametrize("left", ["0", "0.00000001", "3"])
def test_all_of_it_withdrawn_and_put_back_forgets_nothing_and_halts_nothing(left: str) -> None:
    """As by a transfer whose halves are adopted one by one, with hours between."""
    engine = lost(watched(max_daily_loss_frac=0.05, drawdown_steps=STEPS), 0.04)
    before, profit, state = fractions(engine), engine.state.day_profit, engine.state
    engine.process(e.BalanceSet(SPOT, USDT, D(0), "withdrawal", T0 + 2 * S))
    effects = list(engine.process(e.BalanceSet(PERP, USDT, D(left), "withdrawal", T0 + 2 * S)))
    effects += timer(engine, T0 + 3 * S)
    effects += engine.process(e.BalanceSet(PERP, USDT, D("-1.5"), "adopted", T0 + 4 * S))  # a fee that came late
    effects += timer(engine, T0 + 5 * S)
    assert not acted(effects)
    assert (state.trading_state, state.watched.step) == (TradingState.ACTIVE, 0)
    assert (state.drawdown, day_return(state, state.equity)) == pytest.approx((0.04, -0.04), abs=1e-9)
    assert state.curve.worst == pytest.approx(0.04)
    engine.restore(IMAGE_DECODER.decode(msgspec.msgpack.encode(state.image())))
    engine.process(e.BalanceSet(PERP, USDT, D(0), "withdrawal", T0 + 6 * S))
    effects = list(engine.process(e.BalanceSet(SPOT, USDT, D(500), "deposit", T0 + 7 * S)))
    effects += timer(engine, T0 + 8 * S)
    assert fractions(engine) == pytest.approx(before, abs=1e-9)
    assert engine.state.day_profit == pytest.approx(profit, abs=5)
    assert not acted(effects)
    assert not engine.state.watched.gone
    long(engine, "0.001", "60000", T0 + 9 * S)
    engine.process(fill(BTC_PERP, Side.SELL, "0.001", "50000", "out3", ts=T0 + 9 * S))
    assert acted(timer(engine, T0 + 9 * S))[0] == ("max_daily_loss", "halt"), "losses are judged again"


def test_a_day_that_begins_while_nothing_is_there_begins_with_the_money_that_comes_back() -> None:
    engine = lost(watched(max_daily_loss_frac=0.05, drawdown_steps=STEPS), 0.04)
    for venue in (SPOT, PERP):
        engine.process(e.BalanceSet(venue, USDT, D(0), "withdrawal", T0 + 2 * S))
    assert not acted(timer(engine, T0 + DAY_NS))
    assert (engine.state.drawdown, day_return(engine.state, 0.0)) == pytest.approx((0.04, 0.0))
    engine.process(e.BalanceSet(PERP, USDT, D(2000), "adopted", T0 + DAY_NS + S))  # nobody says that it is capital
    assert not acted(timer(engine, T0 + DAY_NS + S))
    assert not acted(timer(engine, T0 + DAY_NS + 2 * S))
    assert fractions(engine) == pytest.approx((0.04, 0.0, 0.0), abs=1e-9)
    assert engine.state.equity == 2000.0


def test_a_halt_stands_while_the_money_is_away_and_accepting_it_counts_from_what_left() -> None:
    engine = lost(watched(max_daily_loss_frac=0.05), 0.06)
    assert engine.state.trading_state is TradingState.HALTED
    for venue in (SPOT, PERP):
        engine.process(e.BalanceSet(venue, USDT, D(0), "withdrawal", T0 + 2 * S))
    engine.process(c.SetTradingState(TradingState.ACTIVE, word="RESUME", who="me", ts=T0 + 3 * S))
    assert not acted(timer(engine, T0 + 3 * S))
    engine.process(e.BalanceSet(PERP, USDT, D(1000), "deposit", T0 + 4 * S))
    assert not acted(timer(engine, T0 + 4 * S))
    assert fractions(engine) == pytest.approx((0.0, -0.06, 0.0), abs=1e-9)


def test_capital_that_comes_back_while_a_price_is_missing_waits_with_what_losses_count_from() -> None:
    engine = lost(watched(max_daily_loss_frac=0.05), 0.04)
    before = fractions(engine)
    for venue in (SPOT, PERP):
        engine.process(e.BalanceSet(venue, USDT, D(0), "withdrawal", T0 + 2 * S))
    cold = msgspec.structs.replace(ETH_PERP, id=ETH_PERP.id.replace("ETH", "SOL"), raw_symbol="SOLUSDT")
    engine.process(m.InstrumentDefined(cold, T0 + 2 * S))
    engine.process(e.PositionSet(cold.id, D(1), D(0), "adopted", T0 + 2 * S))
    engine.process(e.BalanceSet(PERP, USDT, D(1000), "deposit", T0 + 3 * S))
    timer(engine, T0 + 3 * S)
    assert engine.state.watched.gone == D(46_000), "what the second withdrawal took"
    engine.process(e.PositionSet(cold.id, D(0), D(0), "adopted", T0 + 4 * S))
    timer(engine, T0 + 4 * S)
    assert fractions(engine) == pytest.approx(before, abs=1e-9)


def test_dust_that_stays_behind_all_money_is_no_account() -> None:
    engine = watched(drawdown_steps=STEPS)
    engine.process(fill(BTC_SPOT, Side.BUY, "0.00001", "60000", "dust"))
    timer(engine, T0 + S)
    for venue in tuple(engine.state.ledger.balances):
        total = engine.state.ledger.balances[venue].get(USDT, D(0))
        engine.process(e.BalanceSet(venue, USDT, D(0), f"withdrawal of {total}", T0 + 2 * S))
    assert not acted(timer(engine, T0 + 2 * S))
    for step in range(1, 4):
        engine.process(quote(BTC_SPOT, 60_000.0 - 1_200.0 * step, 60_000.1 - 1_200.0 * step, T0 + (2 + step) * S))
        assert not acted(timer(engine, T0 + (2 + step) * S))
    engine.process(e.BalanceSet(PERP, USDT, D(100_000), "deposit", T0 + 9 * S))
    assert not acted(timer(engine, T0 + 9 * S))
    assert engine.state.drawdown == pytest.approx(0.0, abs=1e-4)
