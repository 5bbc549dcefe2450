"""The trader's word on a difference, and what may be traded while it waits for one."""

from typing import Any

import pytest

from core.domain import commands as c
from core.domain import events as e
from core.domain.approval import Approved, TradingState
from core.domain.differences import (
    AdoptOrder,
    DeclareFlat,
    DifferenceFound,
    DifferenceKind,
    DifferenceResolved,
    OrderAdopted,
    Resolution,
    ResolveDifference,
)
from core.domain.identifiers import Asset, ClientOrderId, InstrumentId, VenueOrderId
from core.domain.instrument import Instrument
from core.domain.market import VenueStatus
from core.domain.order import OrderStatus, Side
from core.engine import Engine
from core.execution.flatten import exit_quantity
from core.outbox import Confirm
from core.session.wire import encode
from core.state.state import IMAGE_DECODER, State
from tests.core.kit import (
    BTC_PERP,
    BTC_SPOT,
    ETH_PERP,
    PERP,
    SPOT,
    T0,
    D,
    denied,
    fill,
    held,
    of,
    opened,
    order,
    quote,
    sent,
)

USDT, BTC = Asset("USDT"), Asset("BTC")
NO_ORDER = ClientOrderId("")
FOREIGN = ClientOrderId("x77")
KINDS = DifferenceKind


def found(
    engine: Engine,
    kind: DifferenceKind,
    ours: str,
    theirs: str,
    *,
    instrument: Instrument | None = BTC_PERP,
    asset: str = "",
    order: ClientOrderId = NO_ORDER,
    entry: int = 61_000,
) -> int:
    """Have the engine take a difference; return its number."""
    venue = SPOT if instrument is BTC_SPOT else PERP
    about = instrument.holding if instrument is not None else InstrumentId("")
    event = DifferenceFound(0, kind, venue, about, Asset(asset), order, D(ours), D(theirs), D(entry), "why", T0)
    (recorded,) = of(engine.process(event), DifferenceFound)
    number: int = recorded.number
    return number


def word(engine: Engine, number: int, resolution: Resolution = Resolution.ADOPTED, **more: object) -> list[object]:
    return list(engine.process(ResolveDifference(number, resolution, who="ada", origin="test", ts=T0, **more)))  # type: ignore[arg-type]


def long(quantity: str = "0.1") -> Engine:
    engine = opened()
    engine.process(fill(BTC_PERP, Side.BUY, quantity, "60000", "f0", "t0r1n1"))
    return engine


def room(engine: Engine, instrument: Instrument = BTC_PERP) -> str:
    return str(exit_quantity(engine.state, engine.state.markets[instrument.id]))


# --- what may be traded -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [KINDS.POSITION, KINDS.ORDER])
def test_entries_are_denied_where_it_differs_and_nowhere_else(kind: DifferenceKind) -> None:
    engine = long()
    number = found(engine, kind, "0.1", "0.2")
    refusal = denied(engine, order(BTC_PERP, Side.BUY, "0.01"))
    assert refusal.limit == "difference"
    assert f"tradedeck reconcile accept {number}" in refusal.reason
    sent(engine, order(ETH_PERP, Side.BUY, "0.1"))
    sent(engine, order(BTC_SPOT, Side.BUY, "0.01"))


def test_a_wallet_that_differs_denies_entries_at_its_whole_venue() -> None:
    engine = long()
    found(engine, KINDS.BALANCE, "50000", "40000", instrument=None, asset="USDT")
    for instrument in (BTC_PERP, ETH_PERP):
        assert denied(engine, order(instrument, Side.BUY, "0.1")).limit == "difference"
    sent(engine, order(BTC_SPOT, Side.BUY, "0.01"))
    sent(engine, order(BTC_PERP, Side.SELL, "0.1"))  # it only shrinks what both hold


def test_exits_pass_whatever_differs() -> None:
    engine = long()
    found(engine, KINDS.POSITION, "0.1", "0.05")
    assert denied(engine, order(BTC_PERP, Side.SELL, "0.05")).limit == "difference"  # it might open a short
    sent(engine, order(BTC_PERP, Side.SELL, "0.1", reduce_only=True))


@pytest.mark.parametrize(
    ("theirs", "closes"), [("0.04", "0.04"), ("0.1", "0.100"), ("0.2", "0.1"), ("0", "0"), ("-0.1", "0")]
)
def test_an_exit_is_sized_by_what_both_sides_hold(theirs: str, closes: str) -> None:
    """After a forced close that we have not heard of, our record says long and the venue flat: nothing is sold."""
    engine = long()
    found(engine, KINDS.POSITION, "0.1", theirs)
    assert D(room(engine)) == D(closes)
    submitted = of(engine.process(c.Flatten(BTC_PERP.id, "test", T0)), e.OrderSubmitted)
    assert [D(str(event.order.quantity)) for event in submitted] == ([D(closes)] if D(closes) else [])


def test_a_short_is_bought_back_by_what_both_hold() -> None:
    engine = opened()
    engine.process(fill(BTC_PERP, Side.SELL, "0.1", "60000", "f0", "t0r1n1"))
    found(engine, KINDS.POSITION, "-0.1", "-0.03")
    assert D(room(engine)) == D("0.03")


def test_the_gap_stays_right_while_both_sides_move() -> None:
    engine = long()
    found(engine, KINDS.POSITION, "0.1", "0.06")
    engine.process(fill(BTC_PERP, Side.SELL, "0.06", "60000", "f1", "t0r1n2"))
    assert D(room(engine)) == 0


def test_a_spot_exit_is_sized_by_the_wallet_that_both_know() -> None:
    engine = opened()
    engine.process(fill(BTC_SPOT, Side.BUY, "0.1", "60000", "s1", "t0r1n1"))
    found(engine, KINDS.BALANCE, "0.1", "0.02", instrument=None, asset="BTC")
    assert D(room(engine, BTC_SPOT)) == D("0.1")  # another venue's wallet
    event = DifferenceFound(0, KINDS.BALANCE, SPOT, InstrumentId(""), BTC, NO_ORDER, D("0.1"), D("0.02"), D(0), "", T0)
    engine.process(event)
    assert D(room(engine, BTC_SPOT)) == D("0.02")
    engine.process(event.replace(asset=USDT, theirs=D(7)))
    assert D(room(engine, BTC_SPOT)) == D("0.02")


# --- adopting ---------------------------------------------------------------------------------------------------------


def test_an_adopted_position_is_the_venues_and_says_who_took_it() -> None:
    engine = long()
    realised = engine.state.ledger.positions[BTC_PERP.id].realised
    number = found(engine, KINDS.POSITION, "0.1", "0.2")
    effects = word(engine, number)
    (taken,) = of(effects, e.PositionSet)  # type: ignore[arg-type]
    assert taken.reason == "adopted by ada: ours 0.1, BINANCE-FUTURES reports 0.2"
    (resolved,) = of(effects, DifferenceResolved)  # type: ignore[arg-type]
    assert (resolved.who, resolved.origin, resolved.resolution) == ("ada", "test", Resolution.ADOPTED)
    position = engine.state.ledger.positions[BTC_PERP.id]
    assert (position.quantity, position.entry_price, position.realised) == (D("0.2"), D(61_000), realised)
    sent(engine, order(BTC_PERP, Side.BUY, "0.01"))


def test_adopting_counts_what_was_filled_since() -> None:
    engine = long()
    number = found(engine, KINDS.POSITION, "0.1", "0.3")
    engine.process(fill(BTC_PERP, Side.SELL, "0.1", "60000", "f1", "t0r1n2"))
    word(engine, number)
    assert held(engine, BTC_PERP) == D("0.2")


def test_an_adopted_flat_has_no_entry_price() -> None:
    engine = long()
    word(engine, found(engine, KINDS.POSITION, "0.1", "0"))
    position = engine.state.ledger.positions[BTC_PERP.id]
    assert (position.quantity, position.entry_price) == (D(0), D(0))


@pytest.mark.parametrize(("ours", "price"), [("0.1", 60_000), ("0", 60_500)])
def test_where_the_venue_reports_no_entry_price_it_is_ours_or_the_mark(ours: str, price: int) -> None:
    engine = long() if ours == "0.1" else opened()
    engine.process(quote(BTC_PERP, 60_499.9, 60_500.1, T0))
    word(engine, found(engine, KINDS.POSITION, ours, "0.2", entry=0))
    position = engine.state.ledger.positions[BTC_PERP.id]
    assert (position.quantity, position.entry_price) == (D("0.2"), D(price))


def test_a_position_we_never_had_is_adopted() -> None:
    engine = opened()
    word(engine, found(engine, KINDS.POSITION, "0", "-0.2"))
    assert held(engine, BTC_PERP) == D("-0.2")


@pytest.mark.parametrize(("theirs", "reason"), [("45000", "withdrawal"), ("55000", "deposit")])
def test_an_adopted_balance_is_profit_and_loss_unless_it_is_said_to_be_capital(theirs: str, reason: str) -> None:
    for capital in (False, True):
        engine = opened()
        day, peak = engine.state.day_start, engine.state.peak
        number = found(engine, KINDS.BALANCE, "50000", theirs, instrument=None, asset="USDT")
        (put,) = of(word(engine, number, capital=capital), e.BalanceSet)  # type: ignore[arg-type]
        moved = D(theirs) - D(50_000)
        assert engine.state.ledger.balances[PERP][USDT] == D(theirs)
        assert engine.state.day_start - day == (moved if capital else 0)
        assert engine.state.peak - peak == (moved if capital else 0)
        assert put.reason.startswith(f"{reason if capital else 'adopted'} by ada: ours 50000")


def test_an_adopted_coin_wallet_takes_its_position_along() -> None:
    engine = opened()
    engine.process(fill(BTC_SPOT, Side.BUY, "0.1", "60000", "s1", "t0r1n1"))
    event = DifferenceFound(0, KINDS.BALANCE, SPOT, InstrumentId(""), BTC, NO_ORDER, D("0.1"), D("0.4"), D(0), "", T0)
    engine.process(event)
    word(engine, 1)
    assert held(engine, BTC_SPOT) == D("0.4")


def test_a_foreign_fill_has_its_place_in_the_record_and_needs_only_a_word() -> None:
    engine = long()
    number = 0
    for name in ("x1", "x2"):
        engine.process(fill(BTC_PERP, Side.BUY, "0.02", "60000", name, "x77"))
        number = found(engine, KINDS.FILL, "0", "0.02")
    (one,) = engine.state.differences.standing.values()
    assert (number, one.ours, one.theirs) == (1, D("0.1"), D("0.14"))
    assert D(room(engine)) == D("0.14")  # it is booked: exits close all of it
    assert denied(engine, order(BTC_PERP, Side.BUY, "0.01")).limit == "difference"
    assert of(word(engine, number), e.PositionSet) == []  # type: ignore[arg-type]
    assert (held(engine, BTC_PERP), engine.state.differences.standing) == (D("0.14"), {})


def test_a_foreign_fill_of_what_was_never_held() -> None:
    engine = opened()
    number = found(engine, KINDS.FILL, "0", "0")
    assert word(engine, number, Resolution.KEPT)
    assert engine.state.differences.standing == {}


def foreign(engine: Engine) -> int:
    placed = order(BTC_PERP, Side.BUY, "0.1", "50000", client_order_id=FOREIGN, venue=PERP)
    engine.process(e.OrderFound(placed, PERP, VenueOrderId("v1"), D(0), T0))
    return found(engine, KINDS.ORDER, "0", "0.1", order=FOREIGN)


def test_an_order_of_others_is_left_alone_until_it_is_adopted() -> None:
    engine = opened()
    number = foreign(engine)
    assert of(engine.process(c.CancelAll(None, "test", T0)), Approved) == []
    word(engine, number)
    assert engine.state.differences.standing == {}
    (cancel,) = of(engine.process(c.CancelAll(None, "test", T0)), Approved)
    assert cancel.command.client_order_id == FOREIGN


def test_an_order_may_be_adopted_by_its_id() -> None:
    engine = opened()
    foreign(engine)
    found(engine, KINDS.POSITION, "0", "1")
    effects = engine.process(AdoptOrder(FOREIGN, "ada", "test", T0))
    assert [event.who for event in of(effects, OrderAdopted)] == ["ada"]
    assert [one.kind for one in engine.state.differences.standing.values()] == [KINDS.POSITION]
    (refused,) = of(engine.process(AdoptOrder(FOREIGN, "", "", T0)), e.CommandRefused)
    assert "no open order of others" in refused.reason


def test_an_order_that_rests_though_our_record_closed_it_is_cancelled_when_adopted() -> None:
    engine = opened()
    id_ = sent(engine, order(BTC_PERP, Side.BUY, "0.01", "50000"))
    engine.process(e.OrderRejected(id_, "never reached the venue", T0, T0))
    number = found(engine, KINDS.ORDER, "0", "0.01", order=id_)
    (cancel,) = of(word(engine, number), Approved)  # type: ignore[arg-type]
    assert cancel.command.client_order_id == id_
    assert engine.state.blotter.orders[id_].status is OrderStatus.REJECTED


def test_an_order_that_nobody_remembers_needs_nothing_done() -> None:
    engine = opened()
    assert of(word(engine, found(engine, KINDS.ORDER, "0", "1", order=FOREIGN)), Approved) == []  # type: ignore[arg-type]


# --- keeping, all at once, refusals -----------------------------------------------------------------------------------


def test_a_kept_difference_lets_entries_through_and_still_bounds_exits() -> None:
    engine = long()
    word(engine, found(engine, KINDS.POSITION, "0.1", "0.04"), Resolution.KEPT)
    (one,) = engine.state.differences.standing.values()
    assert one.kept == "ada"
    sent(engine, order(BTC_PERP, Side.BUY, "0.01"))
    assert D(room(engine)) == D("0.04")
    assert denied(engine, order(BTC_PERP, Side.SELL, "0.05")).reason.endswith("use reduce-only")
    sent(engine, order(BTC_PERP, Side.SELL, "0.04"))


def test_all_that_wait_are_resolved_together() -> None:
    engine = long()
    word(engine, found(engine, KINDS.POSITION, "0.1", "0.2"), Resolution.KEPT)
    found(engine, KINDS.POSITION, "0", "1", instrument=ETH_PERP)
    found(engine, KINDS.BALANCE, "50000", "49000", instrument=None, asset="USDT")
    word(engine, 0)
    assert [one.number for one in engine.state.differences.standing.values()] == [1]
    assert held(engine, ETH_PERP) == D(1)
    assert held(engine, BTC_PERP) == D("0.1")


@pytest.mark.parametrize(
    ("number", "resolution", "says"),
    [
        (7, Resolution.ADOPTED, "difference 7 does not stand"),
        (0, Resolution.KEPT, "no difference waits for a word"),
        (0, Resolution.AGREES, "that both agree is for the venue to say"),
    ],
)
def test_what_cannot_be_resolved_is_refused(number: int, resolution: Resolution, says: str) -> None:
    (refused,) = of(word(opened(), number, resolution), e.CommandRefused)  # type: ignore[arg-type]
    assert says in refused.reason


def test_a_word_without_a_name_is_somebodys() -> None:
    engine = long()
    number = found(engine, KINDS.POSITION, "0.1", "0.2")
    engine.process(ResolveDifference(number, Resolution.KEPT, ts=T0))
    assert engine.state.differences.standing[number].kept == "somebody"
    engine.process(ResolveDifference(number, Resolution.ADOPTED, ts=T0))
    assert engine.state.differences.standing == {}
    foreign(engine)
    engine.process(AdoptOrder(FOREIGN))
    assert not engine.state.blotter.open[FOREIGN].foreign


def test_differences_are_part_of_a_checkpoint_and_no_number_comes_twice() -> None:
    engine = long()
    word(engine, found(engine, KINDS.POSITION, "0.1", "0.2"))
    found(engine, KINDS.POSITION, "0.2", "0.1")
    again = State.from_image(IMAGE_DECODER.decode(encode(engine.state.image())))
    assert again.differences.standing == engine.state.differences.standing
    engine.restore(engine.state.image())
    word(engine, 2)
    assert found(engine, KINDS.POSITION, "1", "0") == 3


def test_a_resolution_of_what_is_gone_changes_nothing() -> None:
    state = State()
    state.apply(DifferenceResolved(4, Resolution.KEPT, "", "", "", T0))
    assert state.differences.standing == {}


# --- a venue that says nothing ----------------------------------------------------------------------------------------


def declared(
    engine: Engine, said: str = "FLAT", instrument: Instrument = BTC_PERP, *, capital: bool = False
) -> list[Any]:
    return list(engine.process(DeclareFlat(instrument.id, said, "ada", "test", T0, capital)))


def refusal_of(effects: list[Any]) -> str:
    (refused,) = of(effects, e.CommandRefused)
    return str(refused.reason)


def test_a_position_that_its_venue_lost_ends_by_the_traders_word() -> None:
    engine = long("0.1")
    effects = declared(engine)
    (put,) = of(effects, e.PositionSet)
    assert (put.quantity, put.reason) == (D(0), "nothing is held there, by the word of ada: ours 0.1")
    assert not held(engine, BTC_PERP)
    assert not of(effects, e.FlattenEnded)
    assert [one.venue for one in of(effects, Confirm)] == [PERP], "where the word is wrong, the next look says so: now"
    sent(engine, order(BTC_PERP, Side.BUY, "0.01"))


def test_a_close_that_its_venue_never_confirms_ends_by_the_traders_word() -> None:
    engine = long("0.1")
    engine.process(c.SetTradingState(TradingState.HALTED, "", "", "ada", "test", T0))
    engine._exits.bring(BTC_PERP.id, D(0), "guardian max_position_loss")
    exit_ = next(iter(engine.state.blotter.open))
    engine.process(fill(BTC_PERP, Side.SELL, "0.1", "60000", "f1", exit_))
    assert BTC_PERP.id in engine.state.exits.flattening, "its venue has not said so"
    (ended,) = of(declared(engine), e.FlattenEnded)
    assert ended.flat
    assert BTC_PERP.id not in engine.state.exits.flattening


@pytest.mark.parametrize("capital", [True, False])
def test_a_wallet_that_its_venue_lost_ends_with_its_position(capital: bool) -> None:
    engine = opened()
    engine.process(fill(BTC_SPOT, Side.BUY, "0.1", "60000", "s0", "t0r1n1"))
    engine.process(quote(BTC_SPOT, 57_999.0, 58_001.0))
    profit, lost = engine.state.day_profit, engine.state.drawdown
    assert profit == pytest.approx(-200.0)
    (wallet,) = of(declared(engine, instrument=BTC_SPOT, capital=capital), e.BalanceSet)
    assert (wallet.asset, wallet.total) == (BTC, D(0))
    assert not held(engine, BTC_SPOT)
    assert engine.state.equity == pytest.approx(94_000.0)
    if capital:
        assert engine.state.day_profit == pytest.approx(profit), "it went with its account: no trade lost it"
        assert engine.state.drawdown == pytest.approx(lost)
    else:
        assert engine.state.day_profit == pytest.approx(profit - 5800.0)


def test_money_that_came_for_coins_and_coins_that_went_for_it_are_no_profit() -> None:
    """A wallet is accepted that has the money of coins which its venue does not mention any more."""
    engine = opened()
    engine.process(fill(BTC_SPOT, Side.BUY, "0.1", "60000", "s0", "t0r1n1"))
    start = engine.state.equity
    kind, usdt = DifferenceKind.BALANCE, Asset("USDT")
    found = DifferenceFound(
        1, kind, SPOT, InstrumentId(""), usdt, ClientOrderId(""), D(44_000), D(50_000), D(0), "", T0
    )
    engine.process(found)
    engine.process(ResolveDifference(1, Resolution.ADOPTED, origin="test", ts=T0))
    assert engine.state.day_profit == pytest.approx(6000.0)
    declared(engine, instrument=BTC_SPOT)
    assert engine.state.equity == pytest.approx(start)
    assert engine.state.day_profit == pytest.approx(0.0, abs=0.01)
    assert engine.state.day_start == D(100_000)


def test_the_word_is_not_taken_where_something_else_comes_first() -> None:
    engine = long("0.1")
    assert "typed word FLAT" in refusal_of(declared(engine, "flat"))
    assert "is not known" in refusal_of(list(engine.process(DeclareFlat(InstrumentId("NO"), "FLAT"))))
    assert "nothing is being closed" in refusal_of(declared(engine, instrument=ETH_PERP))
    resting = sent(engine, order(BTC_PERP, Side.SELL, "0.1", "70000", reduce_only=True))
    assert "cancel them first" in refusal_of(declared(engine))
    engine.process(e.OrderRejected(resting, "no", T0, T0))
    number = found(engine, KINDS.POSITION, "0.1", "0.2")
    assert "lists the difference" in refusal_of(declared(engine))
    word(engine, number)
    engine.process(VenueStatus(PERP, False, "lost", T0))
    assert "is not reconciled" in refusal_of(declared(engine))
    assert held(engine, BTC_PERP) == D("0.2")


# --- what comes as capital --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("capital", [False, True])
@pytest.mark.parametrize("begun", [False, True])
def test_what_a_position_had_made_before_it_came_as_capital_is_no_loss(begun: bool, capital: bool) -> None:
    engine = opened()
    if not begun:
        engine.state.day_started = 0
    state, base = engine.state, engine.state.watched.base_of(engine.state.day_start)
    number = found(engine, KINDS.POSITION, "0", "-0.1", entry=48_000)  # a loss of 1 200 before our first look
    word(engine, number, capital=capital)
    assert state.equity == pytest.approx(98_800)
    moved = capital and begun
    assert state.drawdown == pytest.approx(0.0 if moved else 0.012)
    assert float(state.watched.base_of(state.day_start)) == pytest.approx(98_800 if moved else float(base))


def test_a_position_that_changes_no_equity_moves_nothing_as_capital() -> None:
    engine = opened()
    number = found(engine, KINDS.POSITION, "0", "-0.1", entry=60_000)
    assert not of(word(engine, number, capital=True), e.DayStarted)  # type: ignore[arg-type]


@pytest.mark.parametrize("capital", [False, True])
def test_the_other_half_of_a_transfer_is_taken_with_the_first(capital: bool) -> None:
    """In between the account would be short of it, and a position closed for a greater part of less."""
    engine = long()
    one = found(engine, KINDS.BALANCE, "50000", "1000", instrument=None, asset="USDT")
    spot = DifferenceFound(0, KINDS.BALANCE, SPOT, InstrumentId(""), USDT, NO_ORDER, D(50_000), D(99_000), D(0), "", T0)
    two = of(engine.process(spot), DifferenceFound)[0].number
    other = found(engine, KINDS.BALANCE, "0", "49000", instrument=None, asset="USDC")
    ended = of(word(engine, two, capital=capital), DifferenceResolved)  # type: ignore[arg-type]
    assert [event.number for event in ended] == [two, one]
    assert ended[1].reason.endswith(f"the other half of the transfer in difference {two}")
    assert list(engine.state.differences.standing) == [other]
    assert (engine.state.equity, engine.state.drawdown) == pytest.approx((100_000, 0.0))
    assert [wallet[USDT] for wallet in engine.state.ledger.balances.values()] == [99_000, 1_000]


def test_what_is_kept_or_alone_takes_no_other_with_it() -> None:
    engine = opened()
    one = found(engine, KINDS.BALANCE, "50000", "49000", instrument=None, asset="USDT")
    spot = DifferenceFound(0, KINDS.BALANCE, SPOT, InstrumentId(""), USDT, NO_ORDER, D(50_000), D(51_000), D(0), "", T0)
    two = of(engine.process(spot), DifferenceFound)[0].number
    word(engine, one, Resolution.KEPT)
    assert not engine.state.differences.standing[two].kept
    word(engine, two)
    assert list(engine.state.differences.standing) == [one]
