"""Orders after they were sent: cancels, amendments, and the way there and back."""

from decimal import Decimal

import pytest

from core.domain import events as e
from core.domain.identifiers import ClientOrderId
from core.domain.order import OrderStatus as S
from core.domain.order import OrderType
from tests.venues.matching.pit import PAIR, SECOND, SPOT, Pit, pit_with_book, waiting
from venues.matching.settings import LatencySettings, MatchingSettings

# --- changes ----------------------------------------------------------------------------------------------------------


def test_cancel_ends_a_resting_and_a_waiting_order() -> None:
    pit = pit_with_book()
    resting, stop = pit.buy(1, 59000), pit.buy(1, **waiting(OrderType.STOP, 61000.0))
    pit.cancel(resting)
    pit.cancel(stop)
    assert pit.words(resting) == pit.words(stop) == ["OrderAccepted", "OrderCancelled"]
    pit.cancel(resting)
    pit.cancel(ClientOrderId("nobody"))
    refused = pit.of(e.CancelRejected)
    assert [event.client_order_id for event in refused] == [resting, "nobody"]
    assert "CANCELLED" in refused[0].reason
    assert "not known" in refused[1].reason


def test_amend_moves_price_and_size_and_may_take() -> None:
    pit = pit_with_book()
    order = pit.buy(2, 59000)
    pit.amend(order, price=59999.0, quantity=3)
    amended = pit.last(e.OrderAmended)
    assert (amended.price, amended.quantity, amended.trigger) == (Decimal("59999.0"), Decimal(3), None)
    pit.amend(order, price=60000.2)
    assert pit.fills(order) == [("1", "60000.1"), ("2", "60000.2")]


def test_amend_moves_a_trigger() -> None:
    pit = pit_with_book()
    pit.print(60000.0, 1.0)
    order = pit.buy(1, **waiting(OrderType.STOP, 60100.0))
    pit.amend(order, trigger=60050.0)
    pit.print(60049.9, 0.1)
    assert pit.status(order) is S.ACCEPTED
    pit.print(60050.0, 0.1)
    assert pit.status(order) is S.FILLED


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"price": 59000.05}, "tick"),
        ({"quantity": 1.0005}, "lot"),
        ({"quantity": 0.5}, "already filled"),
        ({"trigger": 60000.0}, "does not wait"),
        ({"quantity": 900}, "insufficient margin"),
        ({"price": 40.0}, "below the minimum 100"),
    ],
)
def test_a_senseless_amend_leaves_the_order_as_it_was(values: dict[str, float], words: str) -> None:
    pit = pit_with_book()
    order = pit.buy(2, 60000.1)
    before = pit.matching.order(order)
    pit.amend(order, **values)
    assert words in pit.last(e.AmendRejected).reason
    assert pit.matching.order(order) == before
    pit.cancel(order)
    pit.amend(order, price=59000.0)
    assert "CANCELLED" in pit.last(e.AmendRejected).reason


def test_amending_a_post_only_order_into_the_market_is_refused() -> None:
    pit = pit_with_book()
    order = pit.buy(1, 59000, post_only=True)
    pit.amend(order, price=60000.1)
    assert "would take" in pit.last(e.AmendRejected).reason


# --- latency ----------------------------------------------------------------------------------------------------------

SLOW = MatchingSettings(latency=LatencySettings(request_ns=1000, answer_ns=500))


def test_a_request_takes_effect_later_and_its_answer_arrives_later_still() -> None:
    pit = pit_with_book(settings=SLOW)
    order = pit.buy(1)
    sent = pit.now
    report = pit.matching.order(order)
    assert report is not None
    assert report.status is S.SUBMITTED
    assert pit.matching.next_due == sent + 1000
    pit.matching.advance(sent + 1499)
    assert pit.events == []
    assert pit.status(order) is S.FILLED
    pit.matching.advance(sent + 1500)
    filled = pit.last(e.OrderFilled)
    assert (filled.ts_exchange, filled.ts) == (sent + 1000, sent + 1500)


def test_the_market_may_move_while_the_order_travels() -> None:
    pit = pit_with_book(settings=SLOW)
    order = pit.buy(1)
    pit.step(500)
    pit.book(((60009.0, 5.0),), ((60010.0, 5.0),))
    pit.wait(2000)
    assert pit.fills(order) == [("1", "60010")]


def test_a_cancel_may_come_too_late() -> None:
    pit = pit_with_book(settings=SLOW)
    order = pit.buy(1, 60000.0)
    pit.wait(2000)
    pit.cancel(order)
    pit.print(59999.0, 5.0, buyer=False)
    pit.wait(2000)
    assert pit.words(order) == ["OrderAccepted", "OrderFilled", "CancelRejected"]


def test_jitter_is_the_same_for_the_same_seed_and_keeps_the_order_of_sending() -> None:
    def stamps(seed: int) -> list[int]:
        latency = LatencySettings(request_ns=1000, answer_ns=500, jitter_ns=2000, seed=seed)
        pit = pit_with_book(settings=MatchingSettings(latency=latency))
        for _ in range(50):
            pit.buy("0.01", 59000)
            pit.wait(20_000)
        pit.wait(SECOND)
        accepted = pit.of(e.OrderAccepted)
        assert [event.client_order_id for event in accepted] == [f"o{n}" for n in range(1, 51)]
        return [event.ts - event.ts_exchange for event in accepted]

    assert stamps(1) == stamps(1) != stamps(2)
    assert len(set(stamps(1))) > 10
    assert all(stamp >= 500 for stamp in stamps(1))


def test_spot_and_futures_ids_carry_the_prefix() -> None:
    pit = Pit(SPOT, settings=MatchingSettings(id_prefix="P7-"))
    pit.quote(60000.0, 60000.01)
    pit.buy("0.1", instrument=PAIR)
    assert pit.last(e.OrderFilled).fill_id.startswith("P7-")
    assert pit.last(e.OrderFilled).venue_order_id.startswith("P7-")
