"""Closing without the engine: what is sent, how much of it, how often, and when flat is believed."""

import pytest
from msgspec.structs import replace

from core.domain.commands import CancelOrder, SubmitOrder
from core.domain.identifiers import Asset, ClientOrderId, InstrumentId, VenueId, VenueOrderId
from core.domain.instrument import Instrument
from core.domain.order import Order, OrderStatus, OrderType, Side, TimeInForce
from core.domain.reports import BalanceReport, OrderReport, PositionReport, VenueSnapshot
from core.guardian.closing import CONFIRM_NS, FRESH_NS, RETRY_NS, Account, Closer, Send, held
from tests.core.kit import BTC_PERP, BTC_SPOT, ETH_PERP, PERP, SPOT, T0, D

MARK = "tabcd"


def snapshot(
    *positions: tuple[Instrument, str],
    orders: tuple[str, ...] = (),
    wallet: dict[str, str] | None = None,
    venue: VenueId = PERP,
) -> VenueSnapshot:
    order = Order(BTC_PERP.id, Side.BUY, D(1), OrderType.LIMIT, D(50_000))
    return VenueSnapshot(
        venue,
        T0,
        tuple(
            OrderReport(ClientOrderId(id_), VenueOrderId("v"), order, OrderStatus.ACCEPTED, D(0), None, T0)
            for id_ in orders
        ),
        (),
        tuple(PositionReport(item.id, D(size), D(0), None, D(0), T0) for item, size in positions),
        tuple(BalanceReport(Asset(asset), D(total), D(total)) for asset, total in (wallet or {}).items()),
    )


def account(*positions: tuple[Instrument, str], orders: tuple[str, ...] = ()) -> Account:
    return Account(PERP, (BTC_PERP, ETH_PERP), snapshot(*positions, orders=orders))


FLAT = account((BTC_PERP, "0"))


@pytest.fixture
def closer() -> Closer:
    return Closer(MARK, 3)


def exits(sends: list[Send]) -> list[Order]:
    return [approved.command.order for _, approved in sends if isinstance(approved.command, SubmitOrder)]


def cancels(sends: list[Send]) -> list[str]:
    return [approved.command.client_order_id for _, approved in sends if isinstance(approved.command, CancelOrder)]


@pytest.mark.parametrize(("size", "side", "price"), [("2", Side.SELL, "59700"), ("-2", Side.BUY, "60300.6")])
def test_the_first_exit_is_a_reduce_only_limit_near_the_touch(
    closer: Closer, size: str, side: Side, price: str
) -> None:
    (order,) = exits(closer.look([account((BTC_PERP, size))], {BTC_PERP.id: (60_000.0, 60_000.5)}, T0))
    assert (order.side, order.quantity, order.reduce_only) == (side, D(2), True)
    assert (order.type, order.price, order.time_in_force) == (OrderType.LIMIT, D(price), TimeInForce.IOC)
    assert order.client_order_id == "tabcds3n1"


def test_what_the_limit_leaves_goes_at_the_market(closer: Closer) -> None:
    quotes = {BTC_PERP.id: (60_000.0, 60_000.5)}
    closer.look([account((BTC_PERP, "2"))], quotes, T0)
    (order,) = exits(closer.look([account((BTC_PERP, "0.5"))], quotes, T0 + RETRY_NS))
    assert (order.type, order.quantity, order.reduce_only) == (OrderType.MARKET, D("0.5"), True)


def test_where_a_venue_takes_no_market_orders_each_limit_goes_further(closer: Closer) -> None:
    seen, quotes = replace(account((BTC_PERP, "2")), market=False), {BTC_PERP.id: (60_000.0, 60_000.5)}
    sent = [exits(closer.look([seen], quotes, T0 + at * RETRY_NS))[0] for at in range(6)]
    assert {order.type for order in sent} == {OrderType.LIMIT}
    assert [order.price for order in sent] == [D(one) for one in ("59700", "59400", "58800", "57600", "57000", "57000")]


def test_without_a_touch_the_first_goes_at_the_market(closer: Closer) -> None:
    assert [item.type for item in exits(closer.look([account((BTC_PERP, "2"))], {}, T0))] == [OrderType.MARKET]
    other = Closer(MARK, 4).look([account((BTC_PERP, "2"))], {BTC_PERP.id: (0.0, 0.0)}, T0)
    assert [item.type for item in exits(other)] == [OrderType.MARKET]


def test_an_exit_is_not_sent_again_before_its_answer_could_be_seen(closer: Closer) -> None:
    held_ = [account((BTC_PERP, "2"))]
    assert len(closer.look(held_, {}, T0)) == 1
    assert closer.look(held_, {}, T0 + RETRY_NS - 1) == []
    assert len(closer.look(held_, {}, T0 + RETRY_NS)) == 1


def test_every_order_of_this_home_is_cancelled_and_nobody_elses(closer: Closer) -> None:
    sends = closer.look([account(orders=("tabcdr1n5", "tabcds2n1", "tffffr1n1", "", "by-hand"))], {}, T0)
    assert cancels(sends) == ["tabcdr1n5", "tabcds2n1"]
    assert {venue for venue, _ in sends} == {PERP}


def test_orders_of_others_do_not_keep_an_account_from_being_flat(closer: Closer) -> None:
    for at in (T0, T0 + CONFIRM_NS):
        closer.look([account(orders=("by-hand",))], {}, at)
    assert closer.flat


def test_flat_is_believed_when_it_was_seen_twice(closer: Closer) -> None:
    closer.look([FLAT], {}, T0)
    assert not closer.flat
    closer.look([FLAT], {}, T0 + CONFIRM_NS - 1)
    assert not closer.flat
    closer.look([FLAT], {}, T0 + CONFIRM_NS)
    assert closer.flat


def test_a_late_fill_between_the_two_begins_it_anew(closer: Closer) -> None:
    closer.look([FLAT], {}, T0)
    closer.look([account((BTC_PERP, "1"))], {}, T0 + CONFIRM_NS // 2)
    closer.look([FLAT], {}, T0 + CONFIRM_NS)
    assert not closer.flat


def test_a_venue_that_does_not_answer_is_not_flat(closer: Closer) -> None:
    for at in (T0, T0 + 10 * CONFIRM_NS):
        closer.look([FLAT, Account(SPOT)], {}, at)
        assert not closer.flat
    for at in (T0 + 20 * CONFIRM_NS, T0 + 30 * CONFIRM_NS):
        closer.look([], {}, at)
        assert not closer.flat, "nobody was asked"


def test_one_venue_that_hangs_does_not_keep_the_others_open(closer: Closer) -> None:
    assert len(exits(closer.look([Account(SPOT), account((BTC_PERP, "1"))], {}, T0))) == 1


def test_ids_go_on_over_one_close_to_the_next(closer: Closer) -> None:
    first = exits(closer.look([account((BTC_PERP, "1"), (ETH_PERP, "1"))], {}, T0))
    sent = [closer.sent]
    closer.begin()
    assert [*sent, closer.sent] == [True, False]
    second = exits(closer.look([account((BTC_PERP, "1"))], {}, T0 + 1))
    ids = [item.client_order_id for item in first + second]
    assert ids == ["tabcds3n1", "tabcds3n2", "tabcds3n3"]


def test_a_spot_wallet_is_sold_by_one_route_and_dust_is_left() -> None:
    wallet = {"BTC": "0.123456", "USDT": "5000"}
    other = replace(BTC_SPOT, id=InstrumentId(BTC_SPOT.id.replace("USDT", "USDC")))
    found = list(held((BTC_SPOT, other), snapshot(wallet=wallet, venue=SPOT)))
    assert found == [(BTC_SPOT, D("0.12345"))]
    assert list(held((BTC_SPOT,), snapshot(wallet={"BTC": "0.000009"}, venue=SPOT))) == []


def test_a_position_beyond_the_largest_order_is_closed_in_parts() -> None:
    assert list(held((BTC_PERP,), snapshot((BTC_PERP, "-2500")))) == [(BTC_PERP, D(-1000))]


def test_what_this_engine_does_not_trade_is_left_alone() -> None:
    assert list(held((ETH_PERP,), snapshot((BTC_PERP, "1")))) == []


def test_slow_venues_are_flat_when_each_has_said_so_twice(closer: Closer) -> None:
    """They need not answer the same look; silence is no word, and an old one counts no more."""
    other = VenueId("OTHER")

    def look(now: int, *answered: VenueId) -> bool:
        listed = (BTC_PERP,)  # a venue that lists nothing has not answered
        accounts = [Account(one, listed, snapshot(venue=one) if one in answered else None) for one in (PERP, other)]
        closer.look(accounts, {}, T0 + now * RETRY_NS)
        return closer.flat

    assert not look(0, PERP)
    assert not look(1, other)
    assert not look(2, PERP)
    assert not look(3)
    assert look(4, other)
    assert look(5), "nobody says otherwise"
    closer.begin()
    assert not look(6, PERP)
    assert not look(7, PERP)
    late = 7 + FRESH_NS // RETRY_NS
    assert not look(late, other)
    assert not look(late + 1, other), "what the first said is too old"
    assert look(late + 2, PERP, other)


def test_what_is_opened_behind_it_ends_flat(closer: Closer) -> None:
    closer.look([FLAT], {}, T0)
    closer.look([FLAT], {}, T0 + CONFIRM_NS)
    assert closer.flat
    closer.look([Account(PERP)], {}, T0 + 2 * CONFIRM_NS)
    assert closer.flat
    closer.look([account((BTC_PERP, "1"))], {}, T0 + 3 * CONFIRM_NS)
    assert not closer.flat


def test_what_others_have_resting_is_neither_cancelled_nor_waited_for(closer: Closer) -> None:
    theirs = account((BTC_PERP, "0"), orders=("x9",))
    assert not closer.look([theirs], {}, T0)
    closer.look([theirs], {}, T0 + CONFIRM_NS)
    assert closer.flat


def test_a_cancel_is_not_sent_again_before_its_answer_could_be_seen(closer: Closer) -> None:
    resting = [account(orders=("tabcdr1n5",))]
    assert cancels(closer.look(resting, {}, T0)) == ["tabcdr1n5"]
    assert closer.look(resting, {}, T0 + RETRY_NS - 1) == []
    assert cancels(closer.look(resting, {}, T0 + RETRY_NS)) == ["tabcdr1n5"]
    assert not closer.flat


def test_coins_that_a_venue_refuses_to_sell_for_their_worth_are_dust_in_the_end(closer: Closer) -> None:
    """0.00008 at 60 000 are 4.80, and 5 the least order: a venue may take it all the same, so it is tried."""
    seen, quotes = snapshot(wallet={"BTC": "0.00008"}, venue=SPOT), {BTC_SPOT.id: (59_990.0, 60_000.0)}

    def look(at: int, quotes: dict[InstrumentId, tuple[float, float]]) -> tuple[int, bool]:
        sent = closer.look([Account(SPOT, (BTC_SPOT,), seen)], quotes, T0 + at * CONFIRM_NS)
        return len(sent), closer.flat

    assert [look(0, quotes), look(1, quotes)] == [(1, False), (1, False)]
    assert look(2, {}) == (1, False), "of a price nothing is known"
    assert look(3, {BTC_SPOT.id: (62_500.0, 62_500.1)}) == (1, False), "worth an order now"
    assert [look(4, quotes), look(5, quotes)] == [(0, False), (0, True)]
    perp = [account((BTC_PERP, "0.001"))]
    assert all(closer.look(perp, {BTC_PERP.id: (9.0, 9.1)}, T0 + at * CONFIRM_NS) for at in range(6, 12))


def test_a_missing_report_of_what_was_held_is_not_flat(closer: Closer) -> None:
    """Each close begins anew: of what nothing was held in it, nothing needs to be said."""
    missing, dust, at = account((ETH_PERP, "0")), account((BTC_PERP, "0.0004"), (ETH_PERP, "0")), 0

    def look(*seen: Account) -> list[bool]:
        nonlocal at
        flat = []
        for one in seen:
            at += 1
            closer.look([one], {}, T0 + at * CONFIRM_NS)
            flat.append(closer.flat)
        return flat

    assert look(account((BTC_PERP, "1"), (ETH_PERP, "0")), missing, missing, missing) == [False] * 4
    assert look(dust, dust) == [False, True], "said explicitly"
    closer.begin()
    assert look(missing, missing) == [False, True]


def test_a_wallet_that_was_held_and_is_missing_is_not_flat(closer: Closer) -> None:
    def look(wallet: dict[str, str], at: int) -> bool:
        closer.look([Account(SPOT, (BTC_SPOT,), snapshot(wallet=wallet, venue=SPOT))], {}, T0 + at * CONFIRM_NS)
        return closer.flat

    assert not any([look({"BTC": "0.1", "USDT": "1"}, 0), look({"USDT": "1"}, 1), look({"USDT": "1"}, 2)])
    assert [look({"BTC": "0"}, 3), look({"BTC": "0"}, 4)] == [False, True]


def test_a_venue_that_lists_nothing_has_not_answered(closer: Closer) -> None:
    for at in range(3):
        empty = Account(PERP, (), snapshot((BTC_PERP, "1")))
        assert closer.look([empty], {}, T0 + at * CONFIRM_NS) == []
        assert not closer.flat


def test_what_is_no_longer_listed_is_still_closed(closer: Closer) -> None:
    closer.look([account((BTC_PERP, "2"))], {}, T0)
    unlisted = Account(PERP, (ETH_PERP,), snapshot((BTC_PERP, "1")))
    (order,) = exits(closer.look([unlisted], {}, T0 + RETRY_NS))
    assert (order.instrument, order.quantity) == (BTC_PERP.id, D(1))


@pytest.mark.parametrize(
    "seen",
    [
        snapshot((BTC_PERP, "2"), (ETH_PERP, "0")),
        snapshot((ETH_PERP, "0"), orders=(f"{MARK}r3n1",)),
    ],
    ids=["a position", "an order of ours"],
)
def test_what_a_venue_reports_and_does_not_list_is_not_flat(closer: Closer, seen: VenueSnapshot) -> None:
    for number in range(10):
        assert not closer.look([Account(PERP, (ETH_PERP,), seen)], {}, T0 + number * CONFIRM_NS)
        assert not closer.flat
    sends = closer.look([Account(PERP, (BTC_PERP, ETH_PERP), seen)], {}, T0 + 10 * CONFIRM_NS)
    assert len(sends) == 1
    others = snapshot((BTC_PERP, "0"), (ETH_PERP, "0"), orders=("somebody",))
    for number in range(11, 14):
        closer.look([Account(PERP, (ETH_PERP,), others)], {}, T0 + number * CONFIRM_NS)
    assert closer.flat


@pytest.mark.parametrize("legs", [("1", "0"), ("0", "1"), ("1", "-1")])
def test_each_leg_of_an_account_in_hedge_mode_is_closed(closer: Closer, legs: tuple[str, str]) -> None:
    seen = account(*((BTC_PERP, size) for size in legs))
    sent = exits(closer.look([seen], {}, T0))
    assert [order.side.sign * order.quantity for order in sent] == [-D(size) for size in legs if D(size)]
    flat = [(BTC_PERP, "0")] * 2
    ends = []
    for at, one in enumerate((seen, account(*flat), account(*flat)), 1):
        closer.look([one], {}, T0 + at * CONFIRM_NS)
        ends.append(closer.flat)
    assert ends == [False, False, True]


def test_coins_that_others_lock_hold_up_none_that_are_free(closer: Closer) -> None:
    seen = replace(snapshot(venue=SPOT), balances=(BalanceReport(Asset("BTC"), D(1), D("0.4")),))
    there = Account(SPOT, (BTC_SPOT,), seen)
    quotes = {BTC_SPOT.id: (60_000.0, 60_000.1)}
    sizes = [one.quantity for look in range(3) for one in exits(closer.look([there], quotes, look * RETRY_NS))]
    assert sizes == [D(1), D("0.4"), D("0.4")], "what our own cancels free is tried first"
