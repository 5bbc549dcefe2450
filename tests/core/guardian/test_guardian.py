"""The gate: each limit just under, at and over its bound, the words of each refusal, and no way around."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.config.settings import GuardianSettings, Places
from core.domain import commands as c
from core.domain import events as e
from core.domain import market as m
from core.domain.approval import Approved, TradingState
from core.domain.identifiers import InstrumentId, StrategyId
from core.domain.order import Operation, Order, OrderType, Side, StopLoss, TakeProfit, TimeInForce
from core.engine import Engine
from core.session.outcome import outcome_of
from tests.core.kit import (
    BTC_PERP,
    BTC_SPOT,
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
    opened,
    order,
    quote,
    record_of,
    sent,
    submit,
)

MS = 1_000_000
WIDE = GuardianSettings(
    max_position_frac=100,
    max_sector_frac=100,
    max_leverage=100,
    max_gross_frac=100,
    min_effective_bets=0,
    max_net_frac=100,
    min_net_frac=-100,
    max_order_notional_frac=100,
    max_orders_per_second=1000,
    duplicate_window_ms=0,
)


def only(**changes: object) -> Engine:
    """Return an engine on which nothing but the named limits binds; mid 60 000, equity 100 000."""
    return opened(settings=msgspec.structs.replace(WIDE, **changes))


# --- bad input, in the words of the specification ---------------------------------------------------------------------


@pytest.mark.parametrize("text", ["NaN", "0", "-1", "Infinity", "-Infinity", "sNaN"])
def test_a_quantity_that_is_none(text: str) -> None:
    assert (
        denied(opened(), order(BTC_PERP, Side.BUY, text)).reason
        == f'quantity must be a number greater than 0 (got "{text}")'
    )


@pytest.mark.parametrize("name", ["price", "trigger", "trail"])
@pytest.mark.parametrize("text", ["NaN", "0", "-1", "Infinity", "sNaN"])
def test_a_price_that_is_none(name: str, text: str) -> None:
    wanted = order(BTC_PERP, Side.BUY, "0.01", "60000", type=OrderType.STOP_LIMIT, trigger=D(61000), trail=D(1))
    wanted = msgspec.structs.replace(wanted, **{name: D(text)})
    assert denied(opened(), wanted).reason == f'{name} must be a number greater than 0 (got "{text}")'


@pytest.mark.parametrize("text", ["1E+30", "1E-30", "123456789012345678901234567890"])
def test_a_number_beyond_all_measure_is_refused_not_a_crash(text: str) -> None:
    assert "more than 18 digits" in denied(opened(), order(BTC_PERP, Side.BUY, text)).reason
    assert "more than 18 digits" in denied(opened(), order(BTC_PERP, Side.BUY, "0.01", text)).reason


@given(st.decimals(allow_nan=True, allow_infinity=True), st.none() | st.decimals(allow_nan=True, allow_infinity=True))
def test_any_numbers_are_judged_without_an_accident(quantity: Decimal, price: Decimal | None) -> None:
    kind = OrderType.MARKET if price is None else OrderType.LIMIT
    wanted = msgspec.structs.replace(order(BTC_PERP, Side.BUY, "1"), quantity=quantity, price=price, type=kind)
    effects = submit(ENGINE, wanted)
    for approved in of(effects, Approved):
        assert approved.command.order.quantity > 0
        assert approved.command.order.quantity % BTC_PERP.size_step == 0


ENGINE = opened(settings=WIDE)


def test_a_price_off_the_tick() -> None:
    reason = denied(opened(), order(BTC_SPOT, Side.BUY, "0.01", "100.003")).reason
    assert reason == "price 100.003 is not a multiple of tick 0.01; nearest 100.00 / 100.01"


def test_what_is_named_as_nearest_can_be_sent() -> None:
    reason = denied(opened(), order(BTC_SPOT, Side.BUY, "0.01", "0.003")).reason
    assert reason == "price 0.003 is not a multiple of tick 0.01; nearest 0.01"
    coarse = msgspec.structs.replace(BTC_PERP, size_step=D("1E+3"), min_size=D("1E+3"))
    reason = denied(opened(instruments=(coarse,)), order(coarse, Side.BUY, "0.5")).reason
    assert reason == "quantity 0.5 is not a multiple of the step 1000; nearest 1000"


@pytest.mark.parametrize("attached", [False, True])
def test_a_trail_is_less_than_the_price(attached: bool) -> None:
    """One that is not would never trigger: its owner would believe himself protected."""
    far, near = D("60001"), D("500")

    def trailing(by: Decimal) -> Order:
        if attached:
            wanted = order(BTC_PERP, Side.BUY, "0.01")
            return msgspec.structs.replace(wanted, stop_loss=StopLoss(D("59000"), by))
        wanted = order(BTC_PERP, Side.SELL, "0.01")
        return msgspec.structs.replace(wanted, type=OrderType.TRAILING_STOP, trail=by)

    assert denied(only(), trailing(far)).reason == "trail 60001 must be less than the price, 60000; it is a distance"
    sent(only(), trailing(near))


def test_below_the_minimum_notional() -> None:
    spot = msgspec.structs.replace(BTC_SPOT, size_step=D("0.001"), min_size=D("0.001"))
    engine = opened(instruments=(spot,))
    assert denied(engine, order(spot, Side.BUY, "0.001", "3200.00")).reason == (
        "notional 3.20 is below the venue's minimum 5.00; smallest quantity here 0.002"
    )
    assert denied(engine, order(spot, Side.BUY, "1", "0.05")).reason.endswith("smallest quantity here 100")


def test_over_a_limit_names_the_line() -> None:
    settings = GuardianSettings()
    engine = opened()
    engine.guardian._places = Places("config.toml", {"guardian.max_order_notional_frac": 12})
    refusal = denied(engine, order(BTC_PERP, Side.BUY, "0.5", "60000"))
    assert settings.max_order_notional_frac == 0.10
    assert refusal.reason == "refused: notional 30 000 > max_order_notional 10 000 (config.toml:12)"
    assert (refusal.limit, refusal.value, refusal.bound, refusal.setting) == (
        "max_order_notional",
        "30000",
        "10000",
        "config.toml:12",
    )


def test_an_exit_larger_than_the_position() -> None:
    engine = opened()
    engine.process(fill(BTC_PERP, Side.BUY, "2.0", "60000", "f"))
    reason = denied(engine, order(BTC_PERP, Side.SELL, "3.0", reduce_only=True)).reason
    assert reason == "exit 3 is larger than position 2; nothing sent; use 2"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"quantity": D("0.0015")}, "not a multiple of the step 0.001; nearest 0.001 / 0.002"),
        ({"quantity": D(2000)}, "above the venue's maximum 1000"),
        ({"side": Side.BACK}, "side BACK does not trade this instrument"),
        ({"type": OrderType.LIMIT}, "a LIMIT order needs a price"),
        ({"price": D(60000)}, "a MARKET order takes no price"),
        ({"type": OrderType.TRAILING_STOP}, "needs a trail distance"),
        ({"type": OrderType.STOP}, "a STOP order needs a trigger price"),
        ({"trigger": D(60000)}, "a MARKET order takes no trigger price"),
        ({"post_only": True}, "post-only goes with a resting LIMIT order"),
        (
            {"type": OrderType.LIMIT, "price": D(60000), "post_only": True, "time_in_force": TimeInForce.IOC},
            "post-only goes with a resting",
        ),
        ({"time_in_force": TimeInForce.GTD}, "GTD needs an expiry time"),
        ({"operation": Operation.SWAP}, "operation swap is not supported yet"),
        ({"take_profit": (TakeProfit(D(1), D(1)),)}, "the take profit of a BUY must be above the entry"),
        ({"stop_loss": StopLoss(D(99000))}, "the stop loss of a BUY must be below the entry"),
        ({"smart_execution": True}, "smart execution is not supported yet"),
        ({"atomic_group_id": "a"}, "an atomic group is not supported yet"),
        ({"venue": SPOT}, "is traded at BINANCE-FUTURES, not at BINANCE-SPOT; nothing sent"),
        ({"instrument": InstrumentId("X:SPOT_PAIR:A-B")}, "is not known here"),
    ],
)
def test_what_cannot_be_is_told(changes: dict[str, object], words: str) -> None:
    wanted = msgspec.structs.replace(order(BTC_PERP, Side.BUY, "0.01"), **changes)
    assert words in denied(opened(), wanted).reason


def test_an_index_and_an_asset_are_not_traded() -> None:
    asset = msgspec.structs.replace(BTC_SPOT, id=InstrumentId("BINANCE-SPOT:SPOT_ASSET:BTC"))
    engine = opened()
    engine.process(m.InstrumentDefined(asset, T0))
    assert "traded through its pair" in denied(engine, order(asset, Side.BUY, "1")).reason


# --- each limit at its bound ------------------------------------------------------------------------------------------

AT_60000 = "60000"  # below the ask: it rests


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("max_order_notional", {"max_order_notional_frac": 0.06}),
        ("max_position", {"max_position_frac": 0.06}),
        ("max_sector", {"max_sector_frac": 0.06}),
        ("max_leverage", {"max_leverage": 0.06}),
        ("max_gross", {"max_gross_frac": 0.06}),
        ("net", {"max_net_frac": 0.06}),
        ("max_order_quantity", {"max_order_quantity": {BTC_PERP.id: D("0.1")}}),
    ],
)
def test_sizes_under_at_and_over(name: str, settings: dict[str, object]) -> None:
    engine = only(**settings)
    assert denied(engine, order(BTC_PERP, Side.BUY, "0.101", AT_60000)).limit == name
    for quantity in ("0.1", "0.099"):
        id_ = sent(engine, order(BTC_PERP, Side.BUY, quantity, AT_60000))
        engine.process(e.OrderCancelled(id_, "", T0, T0))


def test_net_short_has_its_own_bound() -> None:
    engine = only(min_net_frac=-0.06)
    refusal = denied(engine, order(BTC_PERP, Side.SELL, "0.101", "60000.1"))
    assert (refusal.limit, refusal.setting) == ("net", "default of [guardian] min_net_frac")
    sent(engine, order(BTC_PERP, Side.SELL, "0.099", "60000.1"))


@pytest.mark.parametrize(
    "setting", ["max_position_frac", "max_sector_frac", "max_gross_frac", "max_net_frac", "max_leverage"]
)
def test_what_rests_counts_as_if_it_had_filled(setting: str) -> None:
    engine = only(**{setting: 0.06})
    sent(engine, order(BTC_PERP, Side.BUY, "0.06", AT_60000))
    denied(engine, order(BTC_PERP, Side.BUY, "0.05", AT_60000))
    sent(engine, order(BTC_PERP, Side.BUY, "0.04", AT_60000))


@pytest.mark.parametrize("setting", ["max_gross_frac", "max_net_frac"])
def test_what_rests_elsewhere_counts_too(setting: str) -> None:
    engine = only(**{setting: 0.06})
    sent(engine, order(ETH_PERP, Side.BUY, "1", "3000"))
    denied(engine, order(BTC_PERP, Side.BUY, "0.06", AT_60000))
    sent(engine, order(BTC_PERP, Side.BUY, "0.04", AT_60000))


def test_one_underlying_is_one_sector_over_venues() -> None:
    engine = only(max_sector_frac=0.06)
    sent(engine, order(BTC_SPOT, Side.BUY, "0.06", "60000"))
    denied(engine, order(BTC_PERP, Side.BUY, "0.05", AT_60000))
    sent(engine, order(ETH_PERP, Side.BUY, "1.9", "3000"))


@pytest.mark.parametrize(("price", "passes"), [("62999.9", True), ("63000", True), ("63000.1", False)])
def test_a_marketable_limit_stays_near_the_mark(price: str, passes: bool) -> None:
    engine = only()
    wanted = order(BTC_PERP, Side.BUY, "0.01", price)
    assert bool(of(submit(engine, wanted), Approved)) is passes
    sent(engine, order(BTC_PERP, Side.BUY, "0.01", "94500", type=OrderType.STOP_LIMIT, trigger=D(90000)))
    sent(engine, order(BTC_PERP, Side.BUY, "0.01", "40000"))


def test_the_same_order_within_the_window() -> None:
    engine = only(duplicate_window_ms=300)
    wanted = order(BTC_PERP, Side.BUY, "0.01")
    sent(engine, wanted, T0)
    assert denied(engine, wanted, T0 + 299 * MS).reason.startswith("refused: the same order was sent 299 ms ago")
    sent(engine, order(BTC_PERP, Side.BUY, "0.02"), T0 + 299 * MS)
    sent(engine, wanted, T0 + 300 * MS)


def test_orders_a_second() -> None:
    engine = only(max_orders_per_second=3)
    for _ in range(3):
        sent(engine, order(BTC_PERP, Side.BUY, "0.01"), T0)
    refusal = denied(engine, order(BTC_PERP, Side.BUY, "0.01"), T0 + S - 1)
    assert (refusal.limit, refusal.value, refusal.bound) == ("max_orders_per_second", "4", "3")
    sent(engine, order(BTC_PERP, Side.BUY, "0.01"), T0 + S)


@pytest.mark.parametrize(
    "changes",
    [
        {"post_only": True},
        {"time_in_force": TimeInForce.IOC},
        {"reduce_only": True},
        {"strategy_id": StrategyId("other")},
    ],
)
def test_a_flag_changed_on_purpose_is_another_order(changes: dict[str, Any]) -> None:
    engine = only(duplicate_window_ms=300)
    sent(engine, order(BTC_PERP, Side.SELL, "0.01"), T0)
    engine.process(fill(BTC_PERP, Side.BUY, "5", "60000", "f"))
    wanted = order(BTC_PERP, Side.BUY, "0.01", "50000")
    sent(engine, wanted, T0)
    assert denied(engine, wanted, T0).limit == "duplicate_window"
    side = Side.SELL if "reduce_only" in changes else Side.BUY
    sent(engine, order(BTC_PERP, side, "0.01", "50000", **changes), T0)


def test_amends_a_second_are_as_many_as_orders_and_counted_apart() -> None:
    engine = only(max_orders_per_second=3)
    ids = [sent(engine, order(BTC_PERP, Side.BUY, "0.01", "50000"), T0) for _ in range(3)]
    for id_ in ids:  # a ladder is moved as a whole, in the second in which it was laid out
        accept(engine, id_)
        assert of(engine.process(c.AmendOrder(id_, price=D(50001), ts=T0)), Approved)
        engine.process(e.OrderAmended(id_, None, D(50001), None, T0, T0))
    late = c.AmendOrder(ids[0], price=D(50002), ts=T0 + S - 1)
    refused = of(engine.process(late), e.ChangeDenied)
    assert refused[0].reason == ("refused: max amends per second 4 > 3 (default of [guardian] max_orders_per_second)")
    assert record_of(engine, ids[0]).order.price == D(50001)
    assert of(engine.process(late.replace(ts=T0 + S)), Approved)
    sent(engine, order(BTC_PERP, Side.BUY, "0.01"), T0 + S)


def test_exits_are_amended_at_the_same_rate_but_a_brackets_own_are_not() -> None:
    engine = only(max_orders_per_second=2)
    engine.process(fill(BTC_PERP, Side.BUY, "1", "60000", "f"))
    id_ = sent(engine, order(BTC_PERP, Side.SELL, "0.5", "70000", reduce_only=True))
    accept(engine, id_)
    answers = []
    for origin in ("strategy", "strategy", "strategy", "bracket", "bracket", "bracket"):
        answers.append(bool(of(engine.process(c.AmendOrder(id_, price=D(70001), origin=origin, ts=T0)), Approved)))
        engine.process(e.OrderAmended(id_, None, D(70001), None, T0, T0))
    assert answers == [True, True, False, True, True, True]


def test_open_orders_and_an_amend_takes_no_new_place() -> None:
    engine = only(max_open_orders=2)
    first = sent(engine, order(BTC_PERP, Side.BUY, "0.01", "50000"))
    sent(engine, order(BTC_PERP, Side.BUY, "0.01", "50000"))
    assert denied(engine, order(BTC_PERP, Side.BUY, "0.01")).limit == "max_open_orders"
    accept(engine, first)
    assert of(engine.process(c.AmendOrder(first, price=D(50001), ts=T0)), Approved)


@pytest.mark.parametrize(("age", "passes"), [(2 * S - 1, True), (2 * S, True), (2 * S + 1, False)])
def test_a_price_may_be_two_seconds_old(age: int, passes: bool) -> None:
    engine = only()
    assert bool(of(submit(engine, order(BTC_PERP, Side.BUY, "0.01"), T0 + age), Approved)) is passes


def test_no_price_at_all() -> None:
    engine = only()
    fresh = msgspec.structs.replace(ETH_PERP, id=InstrumentId("BINANCE-FUTURES:PERPETUAL:XRP-USDT@LIN"))
    engine.process(m.InstrumentDefined(fresh, T0))
    assert "has no price yet" in denied(engine, order(fresh, Side.BUY, "1", "3000")).reason


@pytest.mark.parametrize("health", [m.Health.GAP, m.Health.CROSSED, m.Health.DOWN])
def test_a_feed_in_doubt_takes_no_entries(health: m.Health) -> None:
    engine = only()
    engine.process(m.FeedReport(BTC_PERP.id, health, 0, 0, "its word", T0))
    assert denied(engine, order(BTC_PERP, Side.BUY, "0.01")).limit == "stale_after"


def test_a_price_under_an_old_stamp_takes_no_entry_before_any_timer_has_looked() -> None:
    engine = only()
    stuck = quote(BTC_PERP, 59_999.0, 60_001.0, T0 + 3 * S, ts_exchange=engine.state.markets[BTC_PERP.id].ts_exchange)
    engine.process(stuck)  # the process stood still for 3 s, and this is the first that it hears
    assert engine.state.markets[BTC_PERP.id].health is m.Health.LIVE
    refused = denied(engine, order(BTC_PERP, Side.BUY, "0.01"), T0 + 3 * S)
    assert (refused.limit, refused.value) == ("stale_after", "3000")
    assert refused.reason.endswith(
        "price is 3.0 s old by its exchange's stamp (limit 2 s) (default of [guardian] stale_after_ms)"
    )
    engine.process(quote(BTC_PERP, 59_999.0, 60_001.0, T0 + 3 * S))
    sent(engine, order(BTC_PERP, Side.BUY, "0.01"), T0 + 3 * S)


def test_equity_must_be_positive() -> None:
    engine = opened(cash="0", settings=WIDE)
    assert denied(engine, order(BTC_PERP, Side.BUY, "0.01")).reason.endswith(
        "> max_order_notional 0 (default of [guardian] max_order_notional_frac)"
    )
    assert "equity is not positive" in denied(only_equity(), order(BTC_PERP, Side.BUY, "0.01")).reason


def only_equity() -> Engine:
    engine = opened(cash="0", settings=WIDE)
    engine.guardian.limits = tuple(limit for limit in engine.guardian.limits if limit.name == "max_position")
    return engine


# --- states, venues, stores -------------------------------------------------------------------------------------------


def with_position(side: Side = Side.BUY, quantity: str = "0.1") -> Engine:
    engine = only()
    engine.process(fill(BTC_PERP, side, quantity, "60000", "f0"))
    return engine


@pytest.mark.parametrize(
    ("state", "plain_exit", "reduce_only_exit", "entry"),
    [
        (TradingState.ACTIVE, True, True, True),
        (TradingState.REDUCING, True, True, False),
        (TradingState.HALTED, False, True, False),
    ],
)
def test_what_each_state_lets_through(
    state: TradingState, plain_exit: bool, reduce_only_exit: bool, entry: bool
) -> None:
    for wanted, passes in (
        (order(BTC_PERP, Side.SELL, "0.1"), plain_exit),
        (order(BTC_PERP, Side.SELL, "0.1", reduce_only=True), reduce_only_exit),
        (order(BTC_PERP, Side.SELL, "0.101"), entry),
        (order(BTC_PERP, Side.BUY, "0.01"), entry),
        (order(ETH_PERP, Side.SELL, "0.1"), entry),
    ):
        engine = with_position()
        resting = sent(engine, order(ETH_PERP, Side.BUY, "0.1", "2000"))
        engine.process(c.SetTradingState(state, "because", who="me", ts=T0))
        effects = submit(engine, wanted)
        assert bool(of(effects, Approved)) is passes
        assert passes or of(effects, e.OrderDenied)[0].reason.endswith("(because)")
        assert of(engine.process(c.CancelOrder(resting, ts=T0)), Approved)


@pytest.mark.parametrize("word", ["", "resume", "Resume", "RESUME ", "yes"])
def test_loosening_takes_the_typed_word(word: str) -> None:
    for state in (TradingState.ACTIVE, TradingState.REDUCING):
        engine = only()
        engine.process(c.SetTradingState(TradingState.HALTED, ts=T0))
        assert of(engine.process(c.SetTradingState(state, word=word, ts=T0)), e.CommandRefused)
        assert engine.state.trading_state is TradingState.HALTED
        assert of(engine.process(c.SetTradingState(state, word="RESUME", who="me", ts=T0)), e.TradingStateChanged)
        assert engine.state.trading_state is state


def test_tightening_takes_none_and_is_recorded_with_who_and_why() -> None:
    changed = of(
        only().process(c.SetTradingState(TradingState.REDUCING, "calm", "", "ann", "tty1", T0)), e.TradingStateChanged
    )
    assert changed == [e.TradingStateChanged(TradingState.REDUCING, "ann", "tty1", "calm", T0)]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("", "asked for"),
        (" \n\t ", "asked for"),
        ("\x1b[2J\x07fat\r\nfinger\u202e \x00", "[2J fat finger"),
        ("naïve – 停", "naïve – 停"),
        ("x" * 200, "x" * 200),
        ("x" * 100_000, "x" * 199 + "…"),
        ("\n" * 100_000, "asked for"),
    ],
)
def test_a_reason_is_one_printable_line_whoever_gives_it(given: str, kept: str) -> None:
    command = c.SetTradingState(TradingState.HALTED, given, "", f"ann{given}", f"t{given}", T0)
    (changed,) = of(only().process(command), e.TradingStateChanged)
    assert changed.reason == kept
    assert all(text.isprintable() and len(text) <= 200 for text in (changed.who, changed.origin))


def test_a_venue_that_is_away_or_not_reconciled() -> None:
    engine = with_position()
    engine.process(m.VenueStatus(PERP, True, "", T0))
    assert "not reconciled yet: entries denied" in denied(engine, order(BTC_PERP, Side.BUY, "0.01")).reason
    sent(engine, order(BTC_PERP, Side.SELL, "0.05", reduce_only=True))
    engine.process(m.VenueStatus(PERP, False, "cut", T0))
    assert (
        "not connected (cut); nothing was sent"
        in denied(engine, order(BTC_PERP, Side.SELL, "0.05", reduce_only=True)).reason
    )
    engine.state.venues.clear()
    assert "not connected yet" in denied(engine, order(BTC_PERP, Side.BUY, "0.01")).reason


def test_a_journal_in_trouble_lets_only_exits_through() -> None:
    engine = with_position()
    engine.process(m.StoreStatus("38 MB free, reserve is 64 MB: entries denied, exits allowed", T0))
    assert denied(engine, order(BTC_PERP, Side.BUY, "0.01")).reason == (
        "38 MB free, reserve is 64 MB: entries denied, exits allowed"
    )
    sent(engine, order(BTC_PERP, Side.SELL, "0.1", reduce_only=True))
    engine.process(m.StoreStatus("", T0))
    sent(engine, order(BTC_PERP, Side.BUY, "0.01"))


# --- exits ------------------------------------------------------------------------------------------------------------


def test_nothing_to_reduce() -> None:
    for engine, side in ((only(), Side.SELL), (with_position(), Side.BUY), (with_position(Side.SELL), Side.SELL)):
        assert "nothing to reduce" in denied(engine, order(BTC_PERP, side, "0.01", reduce_only=True)).reason


def test_resting_exits_use_up_the_position() -> None:
    engine = with_position()
    sent(engine, order(BTC_PERP, Side.SELL, "0.06", "70000", reduce_only=True))
    reason = denied(engine, order(BTC_PERP, Side.SELL, "0.05", reduce_only=True)).reason
    assert reason == "exit 0.05 is larger than position 0.1 less resting exits 0.06; nothing sent; use 0.04"
    sent(engine, order(BTC_PERP, Side.SELL, "0.04", reduce_only=True))


@pytest.mark.parametrize("resting", ["0.1", "0.0995"])
def test_where_resting_exits_leave_nothing_no_size_is_named(resting: str) -> None:
    engine = only()
    engine.process(fill(BTC_PERP, Side.BUY, resting, "60000", "f1"))
    sent(engine, order(BTC_PERP, Side.SELL, "0.099", "70000", reduce_only=True))
    if resting == "0.1":
        sent(engine, order(BTC_PERP, Side.SELL, "0.001", "70000", reduce_only=True))
    refusal = denied(engine, order(BTC_PERP, Side.SELL, "0.05", reduce_only=True))
    assert refusal.reason.endswith("nothing sent; they cover all of it: amend or cancel them, or flatten")


def test_a_plain_order_behind_a_resting_exit_may_open_and_is_judged_so() -> None:
    engine = with_position()
    sent(engine, order(BTC_PERP, Side.SELL, "0.1", "70000", reduce_only=True))
    engine.process(c.SetTradingState(TradingState.REDUCING, ts=T0))
    assert denied(engine, order(BTC_PERP, Side.SELL, "0.1")).limit == "trading_state"


Step = tuple[Side, int, bool, int]


@given(
    st.lists(
        st.tuples(st.sampled_from([Side.BUY, Side.SELL]), st.integers(1, 5), st.booleans(), st.integers(0, 5)),
        max_size=25,
    )
)
def test_a_reduce_only_order_never_grows_or_flips_a_position(script: list[Step]) -> None:
    engine = only()
    for number, (side, lots, reduce_only, filled) in enumerate(script):
        wanted = order(BTC_PERP, side, str(D("0.01") * lots), reduce_only=reduce_only)
        for approved in of(submit(engine, wanted), e.OrderSubmitted):
            before = held(engine, BTC_PERP)
            take = min(filled, lots)
            if take:
                one = fill(BTC_PERP, side, str(D("0.01") * take), "60000", f"f{number}", approved.order.client_order_id)
                engine.process(one)
            if reduce_only:
                assert before * side.sign < 0
                assert abs(held(engine, BTC_PERP)) <= abs(before)
                assert held(engine, BTC_PERP) * before >= 0
            if not reduce_only and take < lots:
                engine.process(e.OrderCancelled(approved.order.client_order_id, "", T0, T0))


# --- amends, views ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"quantity": D("NaN")}, "quantity must be a number greater than 0"),
        ({"price": D(0)}, "price must be a number greater than 0"),
        ({"trigger": D(-1)}, "trigger must be a number greater than 0"),
        ({"price": D("50000.05")}, "not a multiple of tick"),
        ({"quantity": D("0.05")}, "is not above what is filled already"),
        ({"quantity": D(3)}, "max position"),
    ],
)
def test_an_amend_that_would_not_pass(changes: dict[str, Decimal], words: str) -> None:
    engine = only(max_position_frac=0.5)
    id_ = sent(engine, order(BTC_PERP, Side.BUY, "0.1", "50000"))
    accept(engine, id_)
    engine.process(fill(BTC_PERP, Side.BUY, "0.05", "50000", "f", id_))
    refused = of(engine.process(c.AmendOrder(id_, ts=T0).replace(**changes)), e.ChangeDenied)
    assert words in refused[0].reason
    assert record_of(engine, id_).order.price == D(50000)
    outcome = outcome_of(refused)
    assert (outcome.ok, outcome.orders, outcome.reason) == (False, (id_,), refused[0].reason)
    assert (outcome.limit, outcome.value, outcome.bound) == (refused[0].limit, refused[0].value, refused[0].bound)
    assert outcome.limit
    assert outcome.value
    assert outcome.bound


@pytest.mark.parametrize(
    ("price", "words"),
    [
        ("48000", "the stop loss of a BUY must be below the entry at 48000 (got 49000)"),
        ("52000", "the take profit of a BUY must be above the entry at 52000 (got 51000)"),
    ],
)
def test_an_entry_is_not_moved_past_the_exits_that_it_brings(price: str, words: str) -> None:
    engine = only()
    exits = {"stop_loss": StopLoss(D(49000)), "take_profit": (TakeProfit(D(51000), D(1)),)}
    id_ = sent(engine, order(BTC_PERP, Side.BUY, "0.1", "50000", **exits))
    accept(engine, id_)
    assert of(engine.process(c.AmendOrder(id_, price=D(price), ts=T0)), e.ChangeDenied)[0].reason == words
    assert of(engine.process(c.AmendOrder(id_, price=D(50500), ts=T0)), e.AmendSubmitted)
