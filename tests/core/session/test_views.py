"""Answers computed from the state."""

from core.domain.order import OrderStatus, StopLoss
from core.session import views
from core.session.views import venues
from tests.core.execution.test_brackets import desk, entered, only, price
from tests.core.kit import T0, D
from tests.tui.pictures import FUTURES, NOW, SPOT, moment


def test_a_venue_tells_its_feeds_orders_and_the_speed_of_its_answers() -> None:
    state = moment().state
    for name in (SPOT, FUTURES):
        state.venue(name).connected = True
    state.venue(FUTURES).reconciled = True
    records = [record for record in state.blotter.orders.values() if record.venue == FUTURES]
    for record, ms in zip(records, (2, 4, 9, 30), strict=True):
        record.answered_in = ms * 1_000_000
    records[1].status = OrderStatus.UNKNOWN
    found = {report.venue: report for report in venues(state, NOW)}
    futures, spot = found["BINANCE-FUTURES"], found["BINANCE-SPOT"]
    assert (futures.words, futures.feeds, futures.live, futures.oldest_ms) == ("ready", 4, 4, 200)
    assert (futures.open_orders, futures.unknown) == (3, 1)
    assert (futures.answers, futures.answer_p50_ms, futures.answer_p99_ms) == (4, 4.0, 30.0)
    assert (spot.words, spot.oldest_ms) == ("connected, not reconciled yet", 1400)
    assert (spot.answers, spot.answer_p50_ms, spot.answer_p99_ms) == (0, None, None)


def test_an_order_is_told_with_where_its_trailing_stop_stands_now() -> None:
    engine = desk()
    entered(engine, stop_loss=StopLoss(D(59_500), D(500)))
    stop = only(engine).client_order_id
    price(engine, 60_400.1)
    for told in (views.orders(engine.state, True, 9), views.status(engine.state, T0, "ok", 0).orders):
        (record,) = [one for one in told if one.order.client_order_id == stop]
        assert (record.order.trigger, record.stands_at) == (D(59_500), D(59_900))
    assert engine.state.blotter.orders[stop].trigger_now is None, "an answer changes nothing"
