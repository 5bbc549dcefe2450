"""What guardian and watch do at their edges: a rule that fails, a wallet that is gone, a user without a name."""

import getpass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from msgspec.structs import replace

from core.config.settings import GuardianSettings
from core.domain import events as e
from core.domain.differences import DeclareFlat
from core.domain.identifiers import Asset, ClientOrderId
from core.domain.order import Order, OrderType, Side, StopLoss
from core.domain.watch import ExitEscalated
from core.engine import Engine
from core.execution import flatten
from core.execution.exits import Exits
from core.execution.flatten import Way
from core.guardian import loosening
from core.guardian.backing import backing_of
from core.guardian.limits.exposure import Net
from core.guardian.limits.standing import ClockOffset
from core.guardian.promoting import config_breach
from core.guardian.proposal import Proposal
from core.guardian.pulse import owner_of
from core.guardian.sanity import attached, sanity, too_small
from core.guardian.watch.account import DailyLoss
from core.guardian.watch.position import ForcedStop, PositionLoss, liquidation
from core.guardian.watch.rule import Held, Scene
from core.guardian.watch.watch import Watch
from core.margin import Backing
from core.state.exiting import Closing, Exiting
from core.state.mark import JUMP
from core.state.markets import Market
from core.state.state import State
from core.strategy.rule import Terms
from tests.core.guardian.watch.kit import acted, exits, long, price, timer, watched
from tests.core.kit import (
    BTC_COINM,
    BTC_PERP,
    BTC_SPOT,
    COINM,
    ETH_PERP,
    PERP,
    T0,
    D,
    S,
    accept,
    denied,
    fill,
    of,
    opened,
    order,
    quote,
    sent,
)


def test_a_verdict_that_cannot_be_carried_out_holds_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = long(watched(max_position_loss_frac=0.02))
    engine.process(fill(ETH_PERP, Side.BUY, "10", "3000", "eth"))
    real = Exits.bring

    def failing(self: Exits, instrument: Any, *more: Any) -> None:
        if instrument == BTC_PERP.id:
            raise RuntimeError("planted")
        real(self, instrument, *more)

    monkeypatch.setattr(Exits, "bring", failing)
    price(engine, 57_000)
    for _ in range(2):  # so far is believed of two quotes alone
        engine.process(quote(ETH_PERP, 2800, 2800.1))
    timer(engine, T0 + S)
    assert set(engine.state.exits.flattening) == {ETH_PERP.id}


def test_a_rule_of_the_account_that_fails_hides_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(self: DailyLoss, scene: object) -> None:
        raise RuntimeError("planted")

    monkeypatch.setattr(DailyLoss, "judge", failing)
    engine = long(watched(drawdown_steps=((0.05, 0.5),)))
    price(engine, 58_000)
    price(engine, 54_000)
    effects = price(engine, 54_000) + timer(engine, T0 + S)
    assert ("drawdown", "reduce") in acted(effects) or engine.state.watched.step == 1


def test_what_is_gone_by_word_is_missed_by_no_stop() -> None:
    engine = watched(protective_stop="alert")
    long(engine)
    timer(engine, T0)
    timer(engine, T0 + 3 * S)
    assert BTC_PERP.id in engine.state.watched.unprotected
    engine.process(DeclareFlat(BTC_PERP.id, "FLAT", "ada", "test", T0))
    timer(engine, T0 + 4 * S)
    assert not engine.state.watched.unprotected


def test_an_account_below_nothing_denies_both_sides() -> None:
    limit = Net(GuardianSettings())
    for side in Side.BUY, Side.SELL:
        found = SimpleNamespace(equity=-1.0, order=SimpleNamespace(side=side), state=State())
        breach = limit.breach(cast("Proposal", found))
        assert breach is not None
        assert "equity is not positive" in breach.reason


def test_a_clock_is_shown_in_milliseconds() -> None:
    assert ClockOffset(GuardianSettings()).text(12.4) == "12 ms"


def test_a_user_without_a_name_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> str:
        raise KeyError("uid")

    monkeypatch.setattr(getpass, "getuser", nobody)
    assert loosening._user() == "unknown"


def test_a_page_that_is_gone_has_no_owner(tmp_path: Path) -> None:
    assert owner_of(tmp_path / "none") is None


def test_what_has_no_price_stands_behind_nothing() -> None:
    engine = long(watched())
    engine.process(fill(ETH_PERP, Side.BUY, "1", "3000", "eth"))
    engine.process(quote(ETH_PERP, 2990, 2990.1))
    market = engine.state.markets[BTC_PERP.id]
    nothing = Backing(D(1000), D(0), D(0))
    assert backing_of(engine.state, market, D(1000)) != nothing
    engine.state.markets[ETH_PERP.id].mark = 0.0
    assert backing_of(engine.state, market, D(1000)) == nothing


def test_a_multiple_of_the_step_may_still_be_too_little() -> None:
    market = Market(replace(BTC_PERP, min_size=D("0.01")))
    breach = sanity(order(BTC_PERP, Side.BUY, "0.005"), market)
    assert breach is not None
    assert "below the venue's minimum 0.01" in breach.reason


def test_a_bet_takes_no_stop() -> None:
    wanted = order(BTC_PERP, Side.BUY, "1", stop_loss=StopLoss(D(55_000)))
    market = cast("Market", SimpleNamespace(instrument=SimpleNamespace(is_bet=True)))
    breach = attached(wanted, market)
    assert breach is not None
    assert "a bet takes no stop loss" in breach.reason


def test_an_account_of_nothing_has_no_use_of_a_loss() -> None:
    scene = cast("Scene", SimpleNamespace(equity=0.0, blind=True, state=watched().state))
    assert PositionLoss(GuardianSettings()).use(cast("Held", SimpleNamespace()), scene) is None
    assert not list(DailyLoss(GuardianSettings()).uses(scene))


def test_a_stop_without_a_price_shows_no_use() -> None:
    held = SimpleNamespace(nearest=1.0, entry_price=2.0, sign=1, price=lambda: 0.0)
    assert ForcedStop(GuardianSettings()).use(cast("Held", held), cast("Scene", None)) is None


def test_what_is_not_held_cannot_be_liquidated() -> None:
    state = watched().state
    assert liquidation(state, state.markets[BTC_PERP.id], D(1)) == 0.0


# --- closing ----------------------------------------------------------------------------------------------------------


def closing(engine: Engine, target: str = "0") -> Closing:
    return Closing("guardian test", T0, D(target))


def ours(_: object) -> bool:
    return True


def test_nothing_is_in_the_way_where_nothing_is_held() -> None:
    engine = watched()
    market = engine.state.markets[BTC_PERP.id]
    assert not list(flatten._make_room(engine.state, market, closing(engine), ours, Way(None, True, True)))


def test_a_close_of_the_guardians_waits_for_its_venue_to_be_there() -> None:
    engine = long(watched())
    engine._exits.bring(BTC_PERP.id, D(0), "guardian test")
    (first,) = exits(list(engine.decided()))
    (second,) = exits(list(engine.process(e.OrderExpired(first.client_order_id, "IOC", T0, T0))))
    engine.state.venue(PERP).connected = False
    engine.process(e.OrderRejected(second.client_order_id, "not sent", T0, T0))
    assert not exits(timer(engine, T0 + 10 * S))
    engine.state.venue(PERP).connected = True
    assert exits(timer(engine, T0 + 20 * S))


def test_a_venue_confirms_only_what_is_its_own() -> None:
    engine = long(watched())
    engine._exits.bring(BTC_PERP.id, D(0), "guardian test")
    (first,) = exits(list(engine.decided()))
    engine.process(fill(BTC_PERP, Side.SELL, "1", "60000", "out", first.client_order_id))
    other = e.VenueReconciled(ETH_PERP.venue.__class__("OTHER"), T0 + S, T0 + S, T0 + S, (BTC_PERP.id,))
    engine.process(other)
    assert BTC_PERP.id in engine.state.exits.flattening


def test_what_reduces_stays_while_no_exit_may_leave() -> None:
    engine = long(watched(max_exits_per_second=1, protective_stop="off"))
    stop = sent(engine, Order(BTC_PERP.id, Side.SELL, D(1), OrderType.STOP, trigger=D(50_000), reduce_only=True))
    accept(engine, stop)
    engine.process(fill(ETH_PERP, Side.BUY, "1", "3000", "eth"))
    engine._exits.bring(ETH_PERP.id, D(0), "guardian test")
    engine._exits.bring(BTC_PERP.id, D(0), "guardian test")
    effects = list(engine.decided())
    assert [one.instrument for one in exits(effects)] == [ETH_PERP.id]
    assert not of(effects, e.CancelSubmitted), "its stop stays until there is room for the exit"


def test_a_bracket_that_is_over_is_not_unprotected_twice() -> None:
    engine = watched()
    entry = sent(engine, order(BTC_PERP, Side.BUY, "1", "60000", stop_loss=StopLoss(D(55_000))))
    accept(engine, entry)
    engine.process(fill(BTC_PERP, Side.BUY, "1", "60000", "f0", entry))
    engine._orders.unprotect(entry, "taken away")
    assert of(list(engine.decided()), e.BracketEnded)
    engine._orders.unprotect(entry, "taken away")
    engine._orders.unprotect(ClientOrderId("none"), "never there")
    assert not of(list(engine.decided()), e.BracketEnded)


# --- what is at its bound, or not known -------------------------------------------------------------------------------


def test_an_account_below_nothing_lets_no_config_begin() -> None:
    state = opened(cash="-1").state
    breach = config_breach(GuardianSettings(), state, Terms(notional=1.0), 0.0, (Asset("BTC"),))
    assert breach is not None
    assert (breach.limit, breach.value, breach.bound) == ("max_position", "-2", "0")
    assert "equity is not positive" in breach.reason


def test_an_order_worth_exactly_the_venues_minimum_passes() -> None:
    market, wanted = Market(BTC_PERP), order(BTC_PERP, Side.BUY, "0.002")
    assert too_small(wanted, market, 0.002, 50_000.0) is None
    breach = too_small(wanted, market, 0.002, 49_999.9)
    assert breach is not None
    assert breach.reason.endswith("below the venue's minimum 100.00; smallest quantity here 0.003")


def test_what_is_being_closed_gets_nothing_added() -> None:
    engine = long(watched())
    engine._exits.bring(BTC_PERP.id, D(0), "guardian test")
    assert exits(list(engine.decided()))
    refusal = denied(engine, order(BTC_PERP, Side.BUY, "0.1"))
    assert (refusal.limit, "is being closed (guardian test)" in refusal.reason) == ("closing", True)
    assert sent(engine, order(ETH_PERP, Side.BUY, "1")), "elsewhere they pass"


def test_the_use_of_a_stop_is_how_much_of_the_way_to_it_is_gone() -> None:
    engine = long(watched(forced_stop_frac=0.001))
    accept(
        engine, sent(engine, Order(BTC_PERP.id, Side.SELL, D(1), OrderType.STOP, trigger=D(50_000), reduce_only=True))
    )
    held = engine.guardian.watch.held[BTC_PERP.id]
    scene = engine.guardian.watch.revalue(engine.state)
    for _ in range(2):  # so far is believed of two quotes alone
        price(engine, 55_025.0)
    use = ForcedStop(engine.guardian.settings).use(held, scene)
    assert use is not None
    assert (use.value, use.bound, use.bound_text) == (0.5, 1.0, "50,050"), "its exit does not wait for the last 50"
    for _ in range(2):
        price(engine, 61_000.0)
    use = ForcedStop(engine.guardian.settings).use(held, scene)
    assert use is not None
    assert use.value == 0.0


def test_a_position_without_an_entry_price_counts_from_its_first_mark_and_is_given_a_stop() -> None:
    """Its venue does not say what was paid: what is lost from now on is known."""
    engine = watched(protective_stop="place", max_position_loss_frac=0.02)
    engine.process(e.PositionSet(BTC_PERP.id, D(1), D(0), "reconciled", T0))
    held = engine.guardian.watch.held[BTC_PERP.id]
    assert (held.low, held.high) == (held.price() * (1 - JUMP / 2), held.price() * (1 + JUMP / 2)), "by no loss"
    effects = timer(engine, T0 + S // 10) + timer(engine, T0 + 3 * S)
    assert engine.state.ledger.positions[BTC_PERP.id].entry_price == D(60_000)
    assert acted(effects)[0] == ("protective_stop", "place")
    assert [one.order.trigger for one in of(effects, e.OrderSubmitted)] == [D(58_000)]


def test_an_inverse_contract_without_an_entry_price_is_divided_by_nothing() -> None:
    engine = opened(instruments=(BTC_SPOT, BTC_COINM))
    engine.process(e.BalanceSet(COINM, Asset("BTC"), D(100_000), "opening", T0))
    engine.process(e.PositionSet(BTC_COINM.id, D(300), D(0), "reconciled", T0))
    watch = engine.guardian.watch
    held = watch.held[BTC_COINM.id]
    assert 0.0 < held.low < 60_000.0 < held.high
    assert watch.protection._trigger(held, 100_000.0) == D(0), "no place for a stop"
    for entry, placed in (("60000", True), ("0", False)):
        engine.process(e.PositionSet(BTC_COINM.id, D(300), D(entry), "reconciled", T0))
        assert (watch.protection._trigger(watch.held[BTC_COINM.id], 100_000.0) > D(0)) is placed


def test_what_has_lost_too_much_already_is_closed_and_given_no_stop_that_would_be_met_at_once() -> None:
    engine = watched(protective_stop="place", max_position_loss_frac=0.02)
    for _ in range(2):
        price(engine, 57_000.0)
    effects = list(engine.process(e.PositionSet(BTC_PERP.id, D(1), D(60_000), "reconciled", T0)))
    assert acted(effects) == [("max_position_loss", "exit")]
    assert engine.state.brackets.all() == []


def test_a_price_is_judged_by_the_account_that_is_there_now() -> None:
    """Behind a checkpoint the account is another object: what was seen of the one before counts no more."""
    engine = long(watched(max_position_loss_frac=0.02))
    watch = Watch(engine.guardian.settings)
    blind = watched().state
    blind.ledger.balances, blind.day_start = {}, D(1)
    assert watch.revalue(blind).blind
    watch.look(engine.state, engine.state.markets[BTC_PERP.id])
    price(engine, 57_000.0)
    price(engine, 57_000.0)
    (verdict,) = watch.price(engine.state, BTC_PERP.id) or []
    assert verdict.rule == "max_position_loss"
    assert verdict.value == pytest.approx(3000.0 / 97_000.0, rel=1e-3)


def test_an_exit_that_is_over_is_not_begun_again_by_what_was_late() -> None:
    exiting = Exiting()
    exiting.escalated(ExitEscalated(BTC_PERP.id, "late", T0))
    assert exiting.flattening == {}
