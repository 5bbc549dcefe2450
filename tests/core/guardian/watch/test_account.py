"""Rules of the account: the day's loss, the drawdown ladder, its hysteresis, and what a human may accept."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.config.settings import GuardianSettings
from core.domain import commands as c
from core.domain import events as e
from core.domain import market as m
from core.domain import watch as w
from core.domain.approval import TradingState
from core.domain.identifiers import Asset, InstrumentId
from core.domain.order import Side
from core.engine import Engine
from core.guardian.watch.account import Drawdown
from core.session import wire
from core.state.state import IMAGE_DECODER
from tests.core.guardian.watch.kit import ABLE, acted, exits, long, price, timer, walk, watched
from tests.core.kit import (
    BTC_PERP,
    BTC_SPOT,
    COINM,
    ETH_PERP,
    PERP,
    SPOT,
    T0,
    D,
    S,
    accept,
    denied,
    fill,
    held,
    of,
    order,
    quote,
    sent,
)

STEPS = ((0.05, 0.5), (0.08, 0.25), (0.10, 0.0))
HALTED = TradingState.HALTED


# --- the day's loss ---------------------------------------------------------------------------------------------------


def test_the_days_loss_closes_everything_and_halts() -> None:
    engine = long(watched(max_daily_loss_frac=0.05))  # equity 100 000
    engine.process(fill(ETH_PERP, Side.SELL, "1", "3000", "f1"))
    rest = sent(engine, order(ETH_PERP, Side.SELL, "1", "3100"))
    accept(engine, rest)
    timer(engine, T0)
    assert not acted(walk(engine, 55_500.0))
    walk(engine, 55_100.0)
    assert not acted(walk(engine, 55_027.6))  # 27.51 is the fee of closing it
    effects = walk(engine, 55_027.4)
    assert acted(effects) == [("max_daily_loss", "halt")]
    assert engine.state.trading_state is HALTED
    assert engine.state.state_reason.startswith("the day's loss is 5.00% of 100,000.00 (bound 5.00%)")
    assert "max_daily_loss_frac" in engine.state.state_reason
    assert set(engine.state.exits.flattening) == {BTC_PERP.id, ETH_PERP.id}
    assert [one.instrument for one in exits(effects)] == [BTC_PERP.id, ETH_PERP.id], "the biggest first"
    assert [one.client_order_id for one in of(effects, e.CancelSubmitted)] == [rest]
    assert not acted(walk(engine, 54_000.0)), "said once"


def test_what_closing_costs_counts_with_the_fill_that_makes_it_more() -> None:
    engine = long(watched(max_daily_loss_frac=0.05))
    timer(engine, T0)
    assert not acted(walk(engine, 55_150.0)), "4.85 % and 0.03 % for closing it"
    effects = list(engine.process(fill(BTC_PERP, Side.BUY, "5", "55150", "more")))
    assert acted(effects) == [("max_daily_loss", "halt")], "0.17 % now: not with the next timer alone"
    assert engine.state.state_reason.endswith("(default of [guardian] max_daily_loss_frac)")
    assert "5.02% of 100,000.00 (bound 5.00%), 0.17% of it what closing costs" in engine.state.state_reason


def test_resume_accepts_a_loss_that_closing_in_time_has_kept_within_its_bound() -> None:
    engine = long(watched(max_daily_loss_frac=0.05, forced_stop_frac=0.001))
    timer(engine, T0)
    walk(engine, 55_500.0)
    (exit_,) = exits(price(engine, 55_070.0))
    engine.process(fill(BTC_PERP, Side.SELL, "1", "55070", "x", exit_.client_order_id))
    engine.process(e.VenueReconciled(PERP, T0 + S, T0 + S, T0 + S, (BTC_PERP.id,)))
    image = IMAGE_DECODER.decode(wire.encode(engine.state.image()))
    engine.restore(image)  # over a restart too
    effects = list(engine.process(c.SetTradingState(TradingState.ACTIVE, word="RESUME", who="me", ts=T0 + S)))
    (accepted,) = of(effects, w.LossAccepted)
    assert accepted.equity == D(95_070), "4.93 %: less than the bound, and still what has halted"
    assert not engine.state.watched.halted
    long(engine, "1", "55070", T0 + 2 * S)
    assert not acted(timer(engine, T0 + 2 * S)), "it would else halt again at once"
    again = list(engine.process(c.SetTradingState(HALTED, who="me", ts=T0 + 2 * S)))
    again += list(engine.process(c.SetTradingState(TradingState.ACTIVE, word="RESUME", who="me", ts=T0 + 2 * S)))
    assert not of(again, w.LossAccepted), "a halt by hand accepts nothing"


@pytest.mark.parametrize(("forced", "acts"), [(0.0, []), (0.001, [("max_daily_loss", "halt")])])
def test_the_way_that_a_price_may_go_until_the_exit_is_there_counts(forced: float, acts: list[Any]) -> None:
    engine = long(watched(max_daily_loss_frac=0.05, forced_stop_frac=forced))
    timer(engine, T0)
    walk(engine, 55_500.0)
    assert acted(price(engine, 55_080.0)) == acts, "4.92 %, 0.03 % for the fee, 0.06 % for the way"


def test_a_position_that_comes_in_behind_a_halt_is_closed_too() -> None:
    engine = long(watched(max_daily_loss_frac=0.05))
    timer(engine, T0)
    walk(engine, 55_500.0)
    (exit_,) = exits(walk(engine, 54_900.0))
    engine.process(fill(BTC_PERP, Side.SELL, "1", "54900", "x", exit_.client_order_id))
    engine.process(e.VenueReconciled(PERP, T0 + S, T0 + S, T0 + S, (BTC_PERP.id,)))
    assert not engine.state.exits.flattening
    effects = list(engine.process(fill(ETH_PERP, Side.BUY, "1", "3000", "late")))
    effects += timer(engine, T0 + S)
    assert [one.instrument for one in exits(effects)] == [ETH_PERP.id]


def test_a_human_who_halted_before_is_no_reason_to_keep_the_position() -> None:
    engine = long(watched(max_daily_loss_frac=0.05))
    timer(engine, T0)
    engine.process(c.SetTradingState(HALTED, who="me", ts=T0))
    walk(engine, 55_500.0)
    assert acted(walk(engine, 54_900.0)) == [("max_daily_loss", "halt")]
    assert engine.state.exits.flattening


def test_a_new_day_begins_anew() -> None:
    engine = long(watched(max_daily_loss_frac=0.05))
    timer(engine, T0)
    walk(engine, 56_000.0)  # 4 %
    day = 86_400 * S
    timer(engine, T0 - T0 % day + day + S)
    assert not acted(walk(engine, 53_500.0)), "2.6 % of the new day"


def test_resume_takes_the_word_and_accepts_the_loss_that_was() -> None:
    engine = long(watched(max_daily_loss_frac=0.05, drawdown_steps=STEPS))
    timer(engine, T0)
    walk(engine, 55_500.0)
    (exit_, *_) = exits(walk(engine, 49_000.0))
    engine.process(fill(BTC_PERP, Side.SELL, "1", "49000", "x", exit_.client_order_id))
    engine.process(e.VenueReconciled(PERP, T0 + S, T0 + S, T0 + S, (BTC_PERP.id,)))
    assert not acted(timer(engine, T0 + S))
    refused = list(engine.process(c.SetTradingState(TradingState.ACTIVE, who="me", ts=T0 + S)))
    assert of(refused, e.CommandRefused)
    assert engine.state.trading_state is HALTED
    effects = list(engine.process(c.SetTradingState(TradingState.ACTIVE, word="RESUME", who="me", ts=T0 + S)))
    (accepted,) = of(effects, w.LossAccepted)
    assert (accepted.equity, accepted.who) == (D(89_000), "me")
    assert engine.state.trading_state is TradingState.ACTIVE
    assert not acted(timer(engine, T0 + 2 * S)), "it would else halt again at once"
    assert (engine.state.peak, engine.state.watched.step) == (D(89_000), 0)
    assert engine.state.day_start == D(100_000), "the day's profit is still told as it was"
    long(engine, "1", "49000", T0 + 2 * S)
    walk(engine, 47_000.0)
    assert acted(walk(engine, 44_500.0)), "five per cent of what was accepted"


def test_a_deposit_is_no_profit_behind_an_accepted_loss() -> None:
    engine = long(watched(max_daily_loss_frac=0.05))
    timer(engine, T0)
    walk(engine, 55_500.0)
    (exit_,) = exits(walk(engine, 54_000.0))
    engine.process(fill(BTC_PERP, Side.SELL, "1", "54000", "x", exit_.client_order_id))
    engine.process(c.SetTradingState(TradingState.ACTIVE, word="RESUME", who="me", ts=T0))
    engine.process(e.BalanceSet(SPOT, Asset("USDT"), D(150_000), "deposit", T0))
    assert engine.guardian.watch.floor == pytest.approx((94_000 + 100_000) * 0.95)


# --- the ladder -------------------------------------------------------------------------------------------------------


def test_each_step_leaves_its_part_of_what_was_held() -> None:
    engine = long(watched(drawdown_steps=STEPS))
    engine.process(fill(ETH_PERP, Side.SELL, "5", "3000", "f1"))
    rest = sent(engine, order(BTC_PERP, Side.BUY, "0.1", "50000"))
    accept(engine, rest)
    timer(engine, T0)
    walk(engine, 57_000.0)
    assert not acted(walk(engine, 55_001.0))
    effects = walk(engine, 54_999.9)
    assert acted(effects) == [("drawdown", "reduce")]
    assert [(one.instrument, one.side, one.quantity) for one in exits(effects)] == [
        (BTC_PERP.id, Side.SELL, D("0.5")),
        (ETH_PERP.id, Side.BUY, D("2.5")),
    ], "all in proportion, the biggest first"
    assert [one.client_order_id for one in of(effects, e.CancelSubmitted)] == [rest]
    assert engine.state.trading_state is TradingState.ACTIVE
    watched_ = engine.state.watched
    assert (watched_.step, watched_.factor) == (1, D("0.5"))
    assert float(watched_.base) == pytest.approx(54_999.95 + 15_000)
    for one in exits(effects):
        which, at = (BTC_PERP, "54999") if one.instrument == BTC_PERP.id else (ETH_PERP, "3000")
        engine.process(fill(which, one.side, str(one.quantity), at, f"x{which.id}", one.client_order_id))
    assert not engine.state.exits.flattening
    assert denied(engine, order(ETH_PERP, Side.SELL, "1", "3000")).limit == "drawdown", "no new risk beyond it"
    assert sent(engine, order(ETH_PERP, Side.BUY, "1")), "what reduces passes"


def test_the_next_step_counts_from_what_was_held_first_and_the_last_is_flat_and_halted() -> None:
    engine = long(watched(drawdown_steps=STEPS, cash="50000"), "1")
    timer(engine, T0)
    walk(engine, 57_000.0)
    (first,) = exits(walk(engine, 54_900.0))
    engine.process(fill(BTC_PERP, Side.SELL, "0.5", "54900", "x1", first.client_order_id))
    walk(engine, 52_000.0)
    (second,) = exits(walk(engine, 48_500.0))
    assert held(engine, BTC_PERP) - second.quantity == pytest.approx(D("0.283"), abs=D("0.005"))
    assert engine.state.watched.step == 2
    engine.process(fill(BTC_PERP, Side.SELL, str(second.quantity), "48500", "x2", second.client_order_id))
    walk(engine, 45_000.0)
    effects = walk(engine, 41_000.0)
    assert acted(effects) == [("drawdown", "halt")]
    assert engine.state.trading_state is HALTED
    assert engine.state.exits.flattening[BTC_PERP.id].target == 0


@pytest.mark.parametrize(
    ("depth", "now", "step"),
    [
        (0.0499, 0, 0), (0.05, 0, 1), (0.0799, 1, 1), (0.08, 1, 2), (0.10, 2, 3), (0.30, 0, 3),
        (0.0301, 1, 1), (0.03, 1, 0), (0.0601, 2, 2), (0.06, 2, 1), (0.05, 2, 1), (0.03, 2, 0),
        (0.0801, 3, 3), (0.08, 3, 2),
    ],
)  # fmt: skip
def test_a_step_is_entered_at_once_and_left_two_points_later(depth: float, now: int, step: int) -> None:
    assert Drawdown(GuardianSettings(drawdown_steps=STEPS)).step_at(depth, now) == step


@given(st.lists(st.floats(0.0, 0.5), max_size=60))
def test_no_walk_about_a_bound_flutters(walk: list[float]) -> None:
    """Between two changes the other way the drawdown has moved by two points at least."""
    rule, step, turned, up = Drawdown(GuardianSettings(drawdown_steps=STEPS)), 0, 0.0, True
    for depth in walk:
        after = rule.step_at(depth, step)
        if after != step:
            if (after > step) is not up:
                assert abs(depth - turned) >= 0.02 - 1e-9 or after - step > 1
            up, step, turned = after > step, after, depth


def test_a_step_left_lets_entries_in_again() -> None:
    engine = long(watched(drawdown_steps=STEPS))
    timer(engine, T0)
    walk(engine, 57_000.0)
    (exit_,) = exits(walk(engine, 54_900.0))
    engine.process(fill(BTC_PERP, Side.SELL, "0.5", "54900", "x1", exit_.client_order_id))
    walk(engine, 57_000.0)
    assert not acted(timer(engine, T0 + S)), "4 %: one point better"
    walk(engine, 59_200.0)
    assert acted(timer(engine, T0 + 2 * S)) == [("drawdown", "ease")]
    assert (engine.state.watched.step, engine.state.watched.base) == (0, D(0))
    assert sent(engine, order(BTC_PERP, Side.BUY, "2"))


def test_deposits_and_withdrawals_move_no_step() -> None:
    engine = long(watched(drawdown_steps=STEPS))
    timer(engine, T0)
    walk(engine, 57_000.0)  # 3 %
    engine.process(e.BalanceSet(SPOT, Asset("USDT"), D(20_000), "withdrawal", T0))
    assert not acted(timer(engine, T0 + S))
    engine.process(e.BalanceSet(SPOT, Asset("USDT"), D(500_000), "deposit", T0))
    assert not acted(timer(engine, T0 + 2 * S))
    assert engine.state.watched.step == 0


def test_an_account_that_holds_nothing_may_hold_its_part_of_what_it_might() -> None:
    engine = watched(drawdown_steps=STEPS, max_gross_frac=2.0)
    timer(engine, T0)
    long(engine)
    walk(engine, 57_000.0)
    walk(engine, 55_100.0)
    engine.process(fill(BTC_PERP, Side.SELL, "1", "54000", "x1"))
    timer(engine, T0 + S)
    assert engine.state.watched.step == 1
    assert engine.state.watched.most == pytest.approx(94_000.0)


def test_prices_alone_reduce_again_only_behind_the_slack() -> None:
    engine = watched(drawdown_steps=STEPS)
    engine.process(fill(BTC_PERP, Side.SELL, "1", "60000", "f0"))
    timer(engine, T0)
    walk(engine, 63_000.0)
    (exit_,) = exits(walk(engine, 65_001.0))
    engine.process(fill(BTC_PERP, Side.BUY, str(exit_.quantity), "65001", "x1", exit_.client_order_id))
    walk(engine, 66_000.0)
    assert not exits(timer(engine, T0 + S)), "1.5 % more through the price"
    walk(engine, 68_500.0)
    assert exits(timer(engine, T0 + 2 * S)), "5.4 %"


def restarted(engine: Engine) -> Engine:
    again = Engine(engine.guardian, abilities={PERP: ABLE, SPOT: ABLE}, strict=True)
    again.restore(IMAGE_DECODER.decode(wire.encode(engine.state.image())))
    again.process(e.EngineStarted(2, "test", "paper", T0 + S))
    return again


def test_a_restart_in_the_middle_of_a_reduction_goes_on_with_it() -> None:
    engine = long(watched(drawdown_steps=STEPS))
    timer(engine, T0)
    walk(engine, 57_000.0)
    (exit_,) = exits(walk(engine, 54_900.0))
    again = restarted(engine)
    assert (again.state.watched.step, again.state.exits.flattening[BTC_PERP.id].target) == (1, D("0.5"))
    again.process(_up(PERP))
    again.process(fill(BTC_PERP, Side.SELL, "0.2", "54900", "x1", exit_.client_order_id, T0 + S))
    again.process(e.OrderExpired(exit_.client_order_id, "IOC", T0 + S, T0 + S))
    effects = list(again.process(e.VenueReconciled(PERP, T0 + S, T0 + S, T0 + S)))
    (rest,) = exits([*effects, *price(again, 54_900.0, now=T0 + S), *timer(again, T0 + 3 * S)])
    assert rest.quantity == D("0.3")


def test_an_account_that_cannot_be_valued_yet_is_not_judged() -> None:
    engine = long(watched(drawdown_steps=STEPS, max_daily_loss_frac=0.05))
    engine.process(fill(BTC_PERP, Side.BUY, "1", "60000", "f9"))
    timer(engine, T0)
    again = restarted(engine)
    assert again.state.ledger.unvalued
    assert not acted(timer(again, T0 + 2 * S))
    assert again.state.trading_state is TradingState.ACTIVE


def _up(venue: Any) -> Any:
    from core.domain.market import VenueStatus

    return VenueStatus(venue, True, "", T0 + S)


def test_a_step_reduces_nothing_that_is_only_wanted_or_too_small_to_sell() -> None:
    engine = long(watched(drawdown_steps=STEPS))
    engine.process(fill(BTC_SPOT, Side.BUY, "0.000009", "60000", "dust"))
    wanted = sent(engine, order(ETH_PERP, Side.BUY, "1", "2900"))
    accept(engine, wanted)
    timer(engine, T0)
    walk(engine, 57_000.0)
    effects = walk(engine, 54_900.0)
    assert acted(effects) == [("drawdown", "reduce")]
    assert [one.client_order_id for one in of(effects, e.CancelSubmitted)] == [wanted]
    assert set(engine.state.exits.flattening) == {BTC_PERP.id}


def test_coins_that_no_position_stands_for_wake_the_account_with_their_price() -> None:
    engine = watched(max_daily_loss_frac=0.05)
    engine.process(e.BalanceSet(COINM, Asset("BTC"), D(1), "opening", T0))
    timer(engine, T0)
    timer(engine, T0)
    assert engine.state.equity == pytest.approx(160_000)
    done: list[tuple[float, tuple[str, str]]] = []
    for step in range(1, 11):
        bid = 60_000.0 - 1_000.0 * step
        effects = list(engine.process(quote(BTC_SPOT, bid, bid + 0.01)))
        done += [(bid, one) for one in acted(effects)]
        for other in (ETH_PERP.id, "nothing known"):
            engine.process(m.Quote(InstrumentId(other), 3_000.0, 1.0, 3_000.1, 1.0, step, T0, T0))
    assert done == [(51_000.0, ("max_daily_loss", "halt"))]
