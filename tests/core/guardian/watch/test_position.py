"""Rules of one position, each just before, at and behind its bound."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain import events as e
from core.domain import market as m
from core.domain import watch as w
from core.domain.identifiers import Asset, ClientOrderId, StrategyId
from core.domain.instrument import Instrument, MarginBracket
from core.domain.order import OrderType, Side, StopLoss
from core.guardian.backing import backing_of
from core.guardian.watch.position import liquidation
from tests.core.guardian.watch.kit import QUIET, acted, exits, long, price, timer, watched
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
    fill,
    held,
    of,
    opened,
    order,
    quote,
    sent,
    submit,
)

MS = S // 1000

# --- forced stop ------------------------------------------------------------------------------------------------------


def stopped(stop: str, **changes: Any) -> Any:
    """Hold 1 at 60 000 with a stop of ours."""
    engine = long(watched(forced_stop_frac=0.001, **changes))
    id_ = sent(engine, order(BTC_PERP, Side.SELL, "1", type=OrderType.STOP, trigger=D(stop), reduce_only=True))
    accept(engine, id_)
    return engine


@pytest.mark.parametrize(
    ("stop", "bid", "leaves"),
    [
        ("58000", 58_058.1, False),  # a tenth of a per cent of 58 000 is 58
        ("58000", 58_058.0, True),
        ("58000", 58_057.9, True),
        ("59900", 59_925.1, False),  # a quarter of the way of 100
        ("59900", 59_925.0, True),
    ],
)
def test_a_price_near_a_stop_does_not_wait_for_the_touch(stop: str, bid: float, leaves: bool) -> None:
    engine = stopped(stop)
    effects = price(engine, bid)
    assert acted(effects) == ([("forced_stop", "exit")] if leaves else [])
    assert bool(engine.state.exits.flattening) is leaves


def test_the_forced_exit_of_a_short_looks_at_the_ask() -> None:
    engine = watched(forced_stop_frac=0.001)
    engine.process(fill(BTC_PERP, Side.SELL, "1", "60000", "f0"))
    stop = order(BTC_PERP, Side.BUY, "1", type=OrderType.STOP, trigger=D(62_000), reduce_only=True)
    accept(engine, sent(engine, stop))
    assert not acted(price(engine, 61_900.0, 61_937.9))
    assert acted(price(engine, 61_900.0, 61_938.0)) == [("forced_stop", "exit")]


def test_only_what_the_stop_covers_is_closed() -> None:
    engine = watched(forced_stop_frac=0.001, cash="1000000")
    entries = []
    for number, stop in enumerate(("58000", "57000")):
        entry = sent(engine, order(BTC_PERP, Side.BUY, "1", "60000", stop_loss=StopLoss(D(stop))))
        accept(engine, entry)
        engine.process(fill(BTC_PERP, Side.BUY, "1", "60000", f"e{number}", entry))
        entries.append(entry)
    for record in list(engine.state.blotter.open.values()):
        accept(engine, record.order.client_order_id)
    effects = price(engine, 58_050.0)
    closing = engine.state.exits.flattening[BTC_PERP.id]
    assert (closing.target, closing.entry) == (D(1), entries[0])
    assert not exits(effects), "the stop has it until it is cancelled"
    near = next(one for one in engine.state.blotter.open.values() if one.order.trigger == D(58_000))
    (exit_,) = exits(list(engine.process(e.OrderCancelled(near.order.client_order_id, "asked", T0, T0))))
    engine.process(fill(BTC_PERP, Side.SELL, "1", "58000", "x", exit_.client_order_id))
    assert [(one.entry, one.left) for one in engine.state.brackets.all()] == [(entries[1], D(1))], "the other stays"


def played(engine: Any, bid: float, seconds: int, *, refuse: bool = False, thin: bool = False) -> list[str]:
    """Let a price stand for a while at a venue that answers at once, and return the quantities that left as exits.

    One that is ``thin`` fills a fifth of the first exit.
    """
    left: list[str] = []
    for second in range(1, seconds + 1):
        now = T0 + second * S
        queue = [*price(engine, bid, now=now), *timer(engine, now)]
        while queue:
            one = queue.pop(0)
            if isinstance(one, e.CancelSubmitted):
                told = e.CancelRejected if refuse else e.OrderCancelled
                queue += engine.process(told(one.client_order_id, "asked", now, now))
            if isinstance(one, e.AmendSubmitted):
                queue += engine.process(
                    e.OrderAmended(one.client_order_id, one.quantity, one.price, one.trigger, now, now)
                )
            for exit_ in exits([one]):
                left.append(str(exit_.quantity))
                id_ = exit_.client_order_id
                quantity = str(exit_.quantity / 5 if thin and len(left) == 1 else exit_.quantity)
                queue += engine.process(fill(BTC_PERP, Side.SELL, quantity, "58040", f"x{id_}", id_, now))
                if thin and len(left) == 1:
                    queue += engine.process(e.OrderExpired(id_, "nothing more at its price", now, now))
    return left


def test_a_stop_by_hand_for_a_part_goes_with_what_it_covers_and_closes_no_other_part() -> None:
    engine = long(watched(forced_stop_frac=0.001))
    stop = order(BTC_PERP, Side.SELL, "0.5", type=OrderType.STOP, trigger=D(58_000), reduce_only=True)
    accept(engine, id_ := sent(engine, stop))
    assert played(engine, 58_040.0, 12) == ["0.5"]
    assert held(engine, BTC_PERP) == D("0.5")
    assert (id_ in engine.state.blotter.open, engine.state.exits.flattening) == (False, {})


def test_a_stop_by_hand_that_its_venue_does_not_cancel_closes_no_other_part_either_and_a_human_is_called() -> None:
    engine = long(watched(forced_stop_frac=0.001))
    stop = order(BTC_PERP, Side.SELL, "0.5", type=OrderType.STOP, trigger=D(58_000), reduce_only=True)
    accept(engine, id_ := sent(engine, stop))
    assert played(engine, 58_040.0, 40, refuse=True) == [], "it stands at its venue, and closes the part"
    assert engine.state.exits.flattening[BTC_PERP.id].escalated
    engine.process(fill(BTC_PERP, Side.SELL, "0.5", "58000", "stop", id_, T0 + 41 * S))
    timer(engine, T0 + 42 * S)
    assert not engine.state.exits.flattening


def test_two_stops_by_hand_are_closed_once_each_though_their_cancels_are_slow() -> None:
    engine, left = long(watched(forced_stop_frac=0.001)), []
    for quantity in ("0.4", "0.3"):
        stop = order(BTC_PERP, Side.SELL, quantity, type=OrderType.STOP, trigger=D(58_000), reduce_only=True)
        accept(engine, sent(engine, stop))
    going: list[ClientOrderId] = []
    for second in range(1, 15):
        now = T0 + second * S
        effects = [*price(engine, 58_040.0, now=now), *timer(engine, now)]
        while second > 4 and going:
            effects += engine.process(e.OrderCancelled(going.pop(), "asked", now, now))
        for exit_ in exits(effects):
            left.append(exit_.quantity)
            id_ = exit_.client_order_id
            effects += engine.process(fill(BTC_PERP, Side.SELL, str(exit_.quantity), "58040", f"x{id_}", id_, now))
        going += [one.client_order_id for one in of(effects, e.CancelSubmitted)]
    assert (sum(left), held(engine, BTC_PERP)) == (D("0.7"), D("0.3"))
    assert not engine.state.blotter.open


@pytest.mark.parametrize("partly", [True, False])
def test_what_else_closes_meanwhile_is_not_taken_for_the_part_of_a_stop(partly: bool) -> None:
    """A hand sale, another stop, a limit: what the stop covers is still to be closed, and is."""
    engine = long(watched(forced_stop_frac=0.001), "3")
    stop = order(BTC_PERP, Side.SELL, "0.5", type=OrderType.STOP, trigger=D(58_000), reduce_only=True)
    accept(engine, id_ := sent(engine, stop))
    price(engine, 58_040.0, now=T0 + S)
    engine.process(fill(BTC_PERP, Side.SELL, "0.2" if partly else "0.5", "58040", "hand", ts=T0 + S))
    engine.process(e.OrderCancelled(id_, "asked", T0 + S, T0 + S))
    for record in list(engine.state.blotter.open.values()):  # a part of it had left before
        engine.process(fill(BTC_PERP, Side.SELL, str(record.remaining), "58040", "x", record.order.client_order_id, T0))
    played(engine, 58_040.0, 20)
    assert held(engine, BTC_PERP) == D("2.3" if partly else "2.0")
    assert (engine.state.exits.flattening, engine.state.brackets.all()) == ({}, [])


def test_what_a_thin_venue_leaves_of_a_part_is_closed_beside_the_next_one() -> None:
    engine = long(watched(forced_stop_frac=0.001), "2")
    for trigger in (58_000, 57_999):
        stop = order(BTC_PERP, Side.SELL, "1", type=OrderType.STOP, trigger=D(trigger), reduce_only=True)
        accept(engine, sent(engine, stop))
    played(engine, 58_040.0, 20, thin=True)
    assert held(engine, BTC_PERP) == D(0)


def test_a_stop_of_another_part_stays_though_it_is_nearer() -> None:
    engine = long(watched(forced_stop_frac=0.001), "0.5")
    entry = sent(engine, order(BTC_PERP, Side.BUY, "0.5", "60000", stop_loss=StopLoss(D(55_000))))
    engine.process(fill(BTC_PERP, Side.BUY, "0.5", "60000", "f1", entry))
    near = order(BTC_PERP, Side.SELL, "0.5", type=OrderType.STOP, trigger=D(57_000), reduce_only=True)
    sent(engine, near)
    for record in list(engine.state.blotter.open.values()):
        accept(engine, record.order.client_order_id)
    engine._exits.bring(BTC_PERP.id, D("0.5"), "guardian test", entry)
    played(engine, 59_000.0, 5)
    assert [one.order.trigger for one in engine.state.blotter.open.values()] == [D(57_000)]
    assert held(engine, BTC_PERP) == D("0.5")


def test_an_exit_without_a_trigger_is_taken_in_for_no_stop() -> None:
    engine = long(watched())
    limit = sent(engine, order(BTC_PERP, Side.SELL, "0.5", "66000", reduce_only=True))
    engine._guard._take_in(limit)
    assert not engine.state.brackets.all()


def test_two_stops_at_one_price_are_closed_once_each() -> None:
    engine = watched(forced_stop_frac=0.001, cash="1000000")
    engine.process(fill(BTC_PERP, Side.BUY, "0.2", "60000", "bare"))
    for quantity in ("0.5", "0.3"):
        entry = sent(engine, order(BTC_PERP, Side.BUY, quantity, "60000", stop_loss=StopLoss(D(58_000))))
        engine.process(fill(BTC_PERP, Side.BUY, quantity, "60000", f"e{quantity}", entry))
    for record in list(engine.state.blotter.open.values()):
        accept(engine, record.order.client_order_id)
    assert sum(map(D, played(engine, 58_040.0, 20))) == D("0.8")
    assert held(engine, BTC_PERP) == D("0.2")


def test_an_order_on_the_wrong_side_or_one_that_reduces_nothing_is_no_stop() -> None:
    engine = long(watched(forced_stop_frac=0.5))
    sent(engine, order(BTC_PERP, Side.SELL, "1", type=OrderType.STOP, trigger=D(59_000)))
    assert not acted(price(engine, 59_100.0))


# --- loss of a position -----------------------------------------------------------------------------------------------


def test_a_loss_at_the_bid_counts_while_the_mark_still_stands() -> None:
    """2 000 of 100 000 at the bid; at the mark nothing is lost."""
    engine = long(watched(max_position_loss_frac=0.02))
    engine.process(m.MarkPrice(BTC_PERP.id, 60_000.0, 0.0, 0.0, 0, T0, T0))
    assert not acted(price(engine, 58_000.1, 58_000.2))
    effects = price(engine, 58_000.0, 58_000.1)
    (event,) = of(effects, w.GuardianActed)
    assert (event.rule, event.act, event.value, event.bound) == ("max_position_loss", "exit", "0.02", "0.02")
    assert event.setting == "default of [guardian] max_position_loss_frac"
    assert "loses 2,000.00" in event.reason
    assert [one.quantity for one in exits(effects)] == [D(1)]
    assert not acted(price(engine, 57_000.0)), "it acts already"


def test_the_short_is_judged_at_the_ask() -> None:
    engine = watched(max_position_loss_frac=0.02)
    engine.process(fill(BTC_PERP, Side.SELL, "1", "60000", "f0"))
    engine.process(m.MarkPrice(BTC_PERP.id, 60_000.0, 0.0, 0.0, 0, T0, T0))
    assert not acted(price(engine, 61_900.0, 61_999.9))
    assert acted(price(engine, 61_900.0, 62_000.0)) == [("max_position_loss", "exit")]


def test_an_emptied_book_is_no_loss_while_the_mark_stands() -> None:
    engine = long(watched(max_position_loss_frac=0.02))
    engine.process(m.MarkPrice(BTC_PERP.id, 60_000.0, 0.0, 0.0, 0, T0, T0))
    for _ in range(3):
        assert not acted(price(engine, 50_000.0, 60_000.1)), "ten per cent through the mark: the mark counts"
    assert not acted(timer(engine, T0 + MS))


def test_one_odd_price_is_looked_at_twice() -> None:
    engine = long(watched(max_position_loss_frac=0.02))
    assert not acted(price(engine, 54_000.0))
    assert not acted(price(engine, 60_000.0)), "it was one"
    assert not acted(price(engine, 54_000.0))
    assert acted(price(engine, 53_999.0)), "it was none"


def test_a_loss_with_no_equity_left_is_a_breach() -> None:
    engine = long(watched(max_position_loss_frac=0.02, cash="1000"), "1")
    price(engine, 57_500.0)
    assert acted(price(engine, 57_000.0)) or engine.state.exits.flattening


def test_the_spot_is_watched_through_its_pair() -> None:
    engine = watched(max_position_loss_frac=0.02)
    engine.process(fill(BTC_SPOT, Side.BUY, "0.7", "60000", "f0"))
    effects = list(engine.process(quote(BTC_SPOT, 57_000.0, 57_001.0)))
    assert acted(effects) == [("max_position_loss", "exit")]
    assert [(one.instrument, one.side, one.quantity) for one in exits(effects)] == [(BTC_SPOT.id, Side.SELL, D("0.7"))]


def test_an_inverse_contract_loses_more_than_in_proportion() -> None:
    engine = opened(instruments=(BTC_SPOT, BTC_PERP, BTC_COINM), settings=None)
    engine.process(fill(BTC_COINM, Side.BUY, "300", "60000", "f0"))  # 30 000 USD
    one = engine.guardian.watch.held[BTC_COINM.id]
    assert one.loss(50_000.0) == pytest.approx(
        30_000 * (1 / 50_000 - 1 / 60_000) * engine.state.ledger.rate(BTC_COINM.settle)
    )
    assert one.loss(one.price_losing(1000.0)) == pytest.approx(1000.0)
    assert BTC_COINM.venue == COINM


@given(quantity=st.integers(1, 2000), entry=st.integers(1000, 90_000), amount=st.floats(0.01, 1e5), short=st.booleans())
def test_where_an_amount_is_lost_that_amount_is_lost(quantity: int, entry: int, amount: float, short: bool) -> None:
    engine = watched()
    side = Side.SELL if short else Side.BUY
    engine.process(fill(BTC_PERP, side, str(D(quantity) / 1000), str(entry), "f0"))
    one = engine.guardian.watch.held[BTC_PERP.id]
    where = one.price_losing(amount)
    if where > 0.0:
        assert one.loss(where) == pytest.approx(amount, rel=1e-6, abs=1e-6)


@given(bad=st.sampled_from([float("nan"), float("inf"), -1.0, 0.0]), where=st.sampled_from(["bid", "ask", "mark"]))
def test_what_is_no_price_moves_nothing(bad: float, where: str) -> None:
    engine = long(watched(max_position_loss_frac=0.02, max_daily_loss_frac=0.05, forced_stop_frac=0.001))
    timer(engine, T0)
    if where == "mark":
        effects = list(engine.process(m.MarkPrice(BTC_PERP.id, bad, 0.0, 0.0, 0, T0, T0)))
    else:
        effects = list(engine.process(quote(BTC_PERP, 59_999.9, 60_000.1).replace(**{where: bad})))
    assert not acted([*effects, *timer(engine, T0 + S)])


@pytest.mark.parametrize("rules", [{"max_position_loss_frac": 0.02}, {"min_liquidation_distance_frac": 0.20}, {}])
@pytest.mark.parametrize("lots", [3, 9, 25])
@pytest.mark.parametrize("side", [Side.BUY, Side.SELL])
def test_between_the_calm_prices_no_rule_has_anything_to_say(rules: dict[str, Any], lots: int, side: Side) -> None:
    engine = watched(**(rules or {"forced_stop_frac": 0.001}), cash="30000")
    engine.process(fill(BTC_PERP, side, str(D(lots) / 10), "60000", "f0"))
    if not rules:
        stop = order(
            BTC_PERP, side.opposite, str(D(lots) / 10), type=OrderType.STOP, trigger=D(60_000 - side.sign * 900)
        )
        submit(engine, msgspec.structs.replace(stop, reduce_only=True))
    watch = engine.guardian.watch
    watch.refresh(engine.state)
    one, scene = watch.held[BTC_PERP.id], watch.revalue(engine.state)
    market, calm, spoke = one.market, 0, 0
    for bid in range(58_400, 61_600, 5):
        market.bid, market.ask, market.mark = float(bid), bid + 0.1, bid + 0.05
        speaks = bool(watch._ask(watch._priced, one, scene))
        spoke += speaks
        if one.low < market.bid and market.ask < one.high and one.low < market.mark < one.high:
            calm += 1
            assert not speaks, bid
    assert calm or lots == 25
    assert spoke or lots < (20 if "min_liquidation_distance_frac" in rules else 9)


# --- age --------------------------------------------------------------------------------------------------------------


class Scalper:
    """Does nothing, for a short time."""

    id = StrategyId("quick")
    horizon = "scalp"

    def on_message(self, message: object, state: object) -> tuple[()]:
        return ()


@pytest.mark.parametrize("ages", [{"scalp": 300.0}, {"quick": 300.0}, {"*": 300.0, "quick": 9000.0}])
def test_an_old_position_is_closed(ages: dict[str, float]) -> None:
    engine = watched(max_age_s=ages, strategies=[Scalper()])
    entry = sent(engine, order(BTC_PERP, Side.BUY, "1", strategy_id=StrategyId("quick")))
    engine.process(fill(BTC_PERP, Side.BUY, "1", "60000", "f0", entry))
    assert not acted(timer(engine, T0 + 300 * S - 1))
    assert acted(timer(engine, T0 + 300 * S)) == [("max_age", "exit")]


def test_a_position_that_a_human_opened_has_no_age() -> None:
    engine = long(watched(max_age_s={"scalp": 300.0}, strategies=[Scalper()]))
    assert not acted(timer(engine, T0 + 10_000 * S))


def test_who_holds_a_position_is_known_after_a_restart_and_forgotten_when_it_is_flat() -> None:
    engine = watched(max_age_s={"scalp": 300.0}, strategies=[Scalper()])
    entry = sent(engine, order(BTC_PERP, Side.BUY, "1", strategy_id=StrategyId("quick")))
    engine.process(fill(BTC_PERP, Side.BUY, "1", "60000", "f0", entry))
    engine.restore(engine.state.image())
    engine.process(m.VenueStatus(PERP, True, "", T0))
    assert engine.state.watched.owners == {BTC_PERP.id: ("quick",)}
    assert acted(timer(engine, T0 + 300 * S)) == [("max_age", "exit")]
    engine.process(fill(BTC_PERP, Side.SELL, "1", "60000", "f1", entry))
    assert engine.state.watched.owners == {}


# --- stale ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("policy", "act"), [("hold", "hold"), ("exit", "exit")])
def test_a_feed_that_has_stopped_makes_the_policy_act(policy: str, act: str) -> None:
    engine = long(watched(stale_act_after_s=30.0, stale_policy=policy))
    assert not acted(timer(engine, T0 + 30 * S - 1))
    effects = timer(engine, T0 + 30 * S)
    assert acted(effects) == [("stale_act_after", act)]
    (event,) = of(effects, w.GuardianActed)
    assert "no sound price for 30 s" in event.reason
    assert [(one.type, one.price) for one in exits(effects)] == (
        [(OrderType.LIMIT, D("56999.9"))] if act == "exit" else []
    ), "on the last price known"
    assert not acted(timer(engine, T0 + 31 * S)), "once"


def test_a_hold_is_told_again_in_another_episode() -> None:
    engine = long(watched(stale_act_after_s=30.0))
    assert acted(timer(engine, T0 + 30 * S))
    price(engine, 60_000.0, now=T0 + 31 * S)
    assert not acted(timer(engine, T0 + 60 * S))
    assert acted(timer(engine, T0 + 61 * S))


def test_a_stamp_that_stands_still_is_silence_although_prices_come() -> None:
    engine = long(watched(stale_act_after_s=30.0))
    stuck = T0 + S
    found = []
    for second in range(1, 40):
        engine.process(quote(BTC_PERP, 60_000.0, 60_000.1, T0 + second * S, ts_exchange=stuck))
        found += [(second, one) for one in acted(timer(engine, T0 + second * S))]
    assert found == [(31, ("stale_act_after", "hold"))]


def test_a_crossed_feed_is_no_price_however_often_it_comes() -> None:
    engine = long(watched(stale_act_after_s=30.0))
    found = []
    for second in range(1, 40):
        price(engine, 60_000.0, now=T0 + second * S)
        engine.process(m.FeedReport(BTC_PERP.id, m.Health.DOWN, 0, 0, "it says so", T0 + second * S))
        engine.state.markets[BTC_PERP.id].health = m.Health.DOWN
        found += [(second, one) for one in acted(timer(engine, T0 + second * S))]
    assert [one for _, one in found] == [("stale_act_after", "hold")]
    assert found[0][0] >= 30


# --- liquidation ------------------------------------------------------------------------------------------------------

TIERED = BTC_PERP.__class__(
    **{name: getattr(BTC_PERP, name) for name in BTC_PERP.__struct_fields__ if name != "brackets"},
    brackets=(MarginBracket(D(0), D(10**9), D("0.004"), D(0), 125),),
)


def test_a_position_too_near_to_its_liquidation_is_reduced_until_it_is_not() -> None:
    engine = watched(min_liquidation_distance_frac=0.10, cash="5000")
    engine.process(m.InstrumentDefined(TIERED, T0))
    effects = list(engine.process(fill(BTC_PERP, Side.BUY, "1", "60000", "f0")))
    assert acted(effects) == [("min_liquidation_distance", "reduce")], "5 000 behind 60 000: eight per cent"
    target = engine.state.exits.flattening[BTC_PERP.id].target
    (exit_,) = exits(effects)
    assert exit_.quantity == 1 - target
    assert D("0.7") < target < D("0.8")
    engine.process(fill(BTC_PERP, Side.SELL, str(exit_.quantity), "60000", "f1", exit_.client_order_id))
    market = engine.state.markets[BTC_PERP.id]
    where = liquidation(engine.state, market, held(engine, BTC_PERP))
    assert (market.mark - where) / market.mark == pytest.approx(0.105, abs=0.001)
    assert not acted(timer(engine, T0 + S))


def test_enough_behind_a_position_is_enough() -> None:
    engine = watched(min_liquidation_distance_frac=0.10, cash="6300")
    engine.process(m.InstrumentDefined(TIERED, T0))
    assert not acted(list(engine.process(fill(BTC_PERP, Side.BUY, "1", "60000", "f0"))))
    price(engine, 59_800.0)
    assert acted(price(engine, 59_700.0)) == [("min_liquidation_distance", "reduce")]


@pytest.mark.parametrize("instrument", [BTC_PERP, BTC_COINM])
@pytest.mark.parametrize("quantity", ["1", "-1"])
def test_what_has_no_entry_yet_is_near_to_no_liquidation(instrument: Instrument, quantity: str) -> None:
    engine = opened(
        instruments=(BTC_PERP, ETH_PERP, BTC_COINM),
        settings=msgspec.structs.replace(QUIET, min_liquidation_distance_frac=0.10),
        cash="10000",
    )
    engine.process(e.BalanceSet(COINM, BTC_COINM.settle, D(1), "deposit", T0))
    engine.process(e.PositionSet(instrument.id, D(quantity), D(0), "adopted", T0))
    assert not acted(timer(engine, T0)), "judged before its first mark is its entry"
    engine.process(e.PositionSet(instrument.id, D(quantity), D(0), "adopted", T0))
    assert liquidation(engine.state, engine.state.markets[instrument.id], D(quantity)) == 0.0
    uses = {name: use for name, _, _, use in engine.guardian.watch.uses(engine.state, T0)}
    assert uses["min_liquidation_distance"] is None
    eth = engine.state.markets[ETH_PERP.id]
    assert backing_of(engine.state, eth, D(10_000)).other_profit == 0


def test_a_rule_that_fails_hides_no_other() -> None:
    engine = long(watched(max_position_loss_frac=0.02))
    watch = engine.guardian.watch

    def broken(*_: object) -> None:
        raise RuntimeError("a bug")

    watch._priced = (broken, *watch._priced)
    assert acted(price(engine, 58_000.0)) == [("max_position_loss", "exit")]


def test_other_instruments_are_left_alone() -> None:
    engine = long(watched(max_position_loss_frac=0.02))
    engine.process(fill(ETH_PERP, Side.BUY, "1", "3000", "f1"))
    price(engine, 58_000.0)
    assert set(engine.state.exits.flattening) == {BTC_PERP.id}


def test_before_a_wallet_is_told_nothing_is_near_its_liquidation() -> None:
    engine = long(watched(min_liquidation_distance_frac=0.2))
    del engine.state.ledger.balances[PERP][Asset("USDT")]
    assert liquidation(engine.state, engine.state.markets[BTC_PERP.id], D(1)) == 0.0
    engine.state.ledger.balances[PERP][Asset("USDT")] = D(0)
    assert liquidation(engine.state, engine.state.markets[BTC_PERP.id], D(1)) > 0.0
