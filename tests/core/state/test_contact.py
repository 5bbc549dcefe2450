"""What is known of a venue: from where on its fills are asked for."""

import msgspec

from core.domain import events as e
from core.domain.market import VenueStatus
from core.domain.order import Side
from core.state.state import State, StateImage
from tests.core.kit import BTC_PERP, PERP, T0, S, fill, opened


def test_a_fill_of_a_new_link_does_not_hide_those_of_the_time_away() -> None:
    state = opened().state
    state.apply(fill(BTC_PERP, Side.BUY, "1", "60000", "f1", ts=T0))
    assert state.venue(PERP).last_fill == T0
    state.apply(VenueStatus(PERP, False, "lost", T0 + S))
    state.apply(VenueStatus(PERP, True, "", T0 + 3_000 * S))
    state.apply(fill(BTC_PERP, Side.BUY, "1", "60000", "f3", ts=T0 + 3_001 * S))
    assert state.venue(PERP).last_fill == T0, "f2 of the time away has not been asked for"
    again = State.from_image(msgspec.msgpack.decode(msgspec.msgpack.encode(state.image()), type=StateImage))
    for known in (state, again):
        known.apply(e.VenueReconciled(PERP, T0 + 3_002 * S, T0 + 3_002 * S))
        assert known.venue(PERP).last_fill == T0 + 3_001 * S
        known.apply(fill(BTC_PERP, Side.BUY, "1", "60000", "f4", ts=T0 + 3_003 * S))
        assert known.venue(PERP).last_fill == T0 + 3_003 * S
