"""What is known of a venue: from where on its fills are asked for."""

import msgspec

from core.domain import events as e
from core.domain.identifiers import Asset, FillId
from core.domain.market import VenueStatus
from core.domain.order import Side
from core.session import wire
from core.state.contact import AHEAD_NS
from core.state.state import State, StateImage
from tests.core.kit import BTC_PERP, PERP, T0, D, S, fill, opened

USDT = Asset("USDT")


def test_a_fill_of_a_new_link_does_not_hide_those_of_the_time_away() -> None:
    state = opened().state
    state.apply(fill(BTC_PERP, Side.BUY, "1", "60000", "f1", ts=T0))
    assert state.venue(PERP).last_fill == T0
    state.apply(VenueStatus(PERP, False, "lost", T0 + S))
    state.apply(VenueStatus(PERP, True, "", T0 + 3_000 * S))
    state.apply(fill(BTC_PERP, Side.BUY, "1", "60000", "f3", ts=T0 + 3_001 * S))
    assert state.venue(PERP).last_fill == T0, "f2 of the time away has not been asked for"
    state.now = T0 + 3_001 * S  # as the engine keeps it
    again = State.from_image(msgspec.msgpack.decode(msgspec.msgpack.encode(state.image()), type=StateImage))
    for known in (state, again):
        known.apply(e.VenueReconciled(PERP, T0 + 3_002 * S, T0 + 3_002 * S))
        assert known.venue(PERP).last_fill == T0 + 3_001 * S
        known.apply(fill(BTC_PERP, Side.BUY, "1", "60000", "f4", ts=T0 + 3_003 * S))
        assert known.venue(PERP).last_fill == T0 + 3_003 * S


FAR = T0 + 365 * 86_400 * S


def restored(state: State) -> State:
    return State.from_image(msgspec.msgpack.decode(msgspec.msgpack.encode(state.image()), type=StateImage))


def test_a_stamp_from_the_far_future_hides_nothing_that_follows() -> None:
    """Of a fill, of funding and of a forced close: what is asked for and what can be compared follow our clock."""
    state, most = opened().state, T0 + S + AHEAD_NS
    paid = e.FundingPaid(BTC_PERP.id, USDT, D(1), D(0), D(0), FillId("p"), FAR, T0 + S)
    forced = e.PositionLiquidated(BTC_PERP.id, D(1), D(1), D(0), USDT, FAR, T0 + S, FillId("L"))
    for event in (paid, forced, fill(BTC_PERP, Side.BUY, "1", "60000", "f1").replace(ts=T0 + S, ts_exchange=FAR)):
        again = opened().state
        again.apply(event)
        state.apply(event)
        assert again.venue(PERP).last_booking == most
    assert state.venue(PERP).last_fill == most
    state.apply(fill(BTC_PERP, Side.BUY, "1", "60000", "f2", ts=most + 1))
    state.now = most + 1
    view = restored(state).venue(PERP)
    assert (view.last_fill, view.newest_fill, view.last_booking) == (most + 1,) * 3


def test_a_checkpoint_with_such_a_stamp_is_mended() -> None:
    state = opened().state
    view = state.venue(PERP)
    view.last_fill = view.newest_fill = view.last_booking = FAR
    view, most = restored(state).venue(PERP), state.now + AHEAD_NS
    assert (view.last_fill, view.newest_fill, view.last_booking) == (most,) * 3


def test_an_account_is_seen_first_by_its_venues_clock() -> None:
    """By ours in a journal of before; a stamp of the far future does not make all that follows part of the opening."""
    for stamp, opened_at in ((T0 - S, T0 - S + 1), (0, T0), (FAR, T0 + AHEAD_NS)):
        state = State()
        state.apply(e.BalanceSet(PERP, USDT, D(50), "opening", T0, stamp))
        state.apply(e.BalanceSet(PERP, USDT, D(60), "opening", T0 + S, T0 + S))
        assert state.venue(PERP).opened == restored(state).venue(PERP).opened == opened_at


def test_a_record_of_before_has_no_stamp_of_the_venues() -> None:
    """Its layout ends with our time."""
    old = msgspec.msgpack.encode(e.BalanceSet(PERP, USDT, D(50), "opening", T0))
    fields = msgspec.msgpack.decode(old)
    assert wire.decode_event(msgspec.msgpack.encode(fields[:6])) == e.BalanceSet(PERP, USDT, D(50), "opening", T0)
