"""Rules, acknowledging, muting; what a restart remembers."""

import pytest

from core.alerts.book import KEPT, AlertBook
from core.config.settings import AlertSettings
from core.domain import alerts as a
from core.domain import commands as c
from core.domain import events as e
from core.domain import market as m
from core.domain.approval import TradingState
from core.domain.identifiers import InstrumentId
from core.domain.order import Side
from core.engine import Engine
from core.outbox import Effect
from core.session import wire
from core.state.state import IMAGE_DECODER
from tests.core.alerts.desk import Desk, K
from tests.core.kit import (
    BTC_PERP,
    BTC_SPOT,
    ETH_PERP,
    PERP,
    SPOT,
    D,
    S,
    fill,
    of,
    order,
)


@pytest.fixture
def desk() -> Desk:
    made = Desk()
    made.wait(0.3)
    assert not made.raised
    return made


# --- rules ------------------------------------------------------------------------------------------------------------


def test_a_price_rule_speaks_once_on_the_very_print_and_is_spent(desk: Desk) -> None:
    id_ = desk.rule(above=True, bound="61000", note="take half off")
    desk.print(60_999.9)
    assert desk.raised == []
    desk.print(61_000.0)
    assert [event.text for event in desk.raised] == ["BTC-USDT.P at 61000, above 61000 – take half off"]
    assert desk.raised[0].rule == id_
    assert desk.state.alerts.rules == {}
    assert desk.state.alerts.priced == {}
    desk.print(61_001.0)
    desk.wait(3)
    assert len(desk.raised) == 1


def test_a_rule_that_stays_speaks_anew_only_after_the_price_was_back(desk: Desk) -> None:
    desk.rule(above=False, bound="59000", again=True)
    for price in (58_999.0, 59_000.5, 58_998.0, 59_020.0) * 50:
        desk.print(price)
    assert len(desk.raised) == 1
    assert not desk.cleared
    desk.print(59_100.0)
    assert len(desk.cleared) == 1
    desk.wait(61)
    desk.print(58_900.0)
    assert [event.number for event in desk.raised] == [desk.raised[0].number] * 2
    assert desk.state.alerts.alerts[desk.raised[0].number].count == 2


def test_a_rule_on_a_market_that_prints_nothing_follows_its_mark(desk: Desk) -> None:
    desk.rule(above=True, bound="60500")
    desk.wait(1.5, BTCUSDT=60_600.0)
    assert desk.kinds() == [K.PRICE]


def test_profit_and_drawdown_rules(desk: Desk) -> None:
    desk.give(a.SetAlert(a.AlertRule(K.PROFIT, BTC_PERP.id, True, D(500)), "test", desk.now))
    desk.give(a.SetAlert(a.AlertRule(K.PROFIT, InstrumentId(""), False, D(-200)), "test", desk.now))
    desk.give(a.SetAlert(a.AlertRule(K.DRAWDOWN, InstrumentId(""), True, D("0.01")), "test", desk.now))
    desk.give(fill(BTC_PERP, Side.BUY, "1", "60000", "f1", "", desk.now))
    desk.wait(1.2, BTCUSDT=60_500.0)
    desk.wait(1.2, BTCUSDT=59_750.0)
    desk.wait(1.2, BTCUSDT=58_900.0)
    texts = [event.text for event in desk.raised if event.rule]
    assert texts == [
        "BTC-USDT.P makes +500.00, above 500",
        "the day makes -250.00, below -200",
        "drawdown is 0.0159, above 0.01",
    ]


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (a.AlertRule(K.FILL, BTC_PERP.id, True, D(1)), "a rule is for price, profit or drawdown"),
        (a.AlertRule(K.PRICE, BTC_PERP.id, True, D("NaN")), "the bound must be a number greater than 0 (got NaN)"),
        (a.AlertRule(K.PRICE, BTC_PERP.id, True, D(0)), "the bound must be a number greater than 0 (got 0)"),
        (a.AlertRule(K.PRICE, InstrumentId(""), True, D(1)), "a price rule needs an instrument"),
        (a.AlertRule(K.PRICE, InstrumentId("X:SPOT_PAIR:A-B"), True, D(1)), "is not known here"),
        (a.AlertRule(K.DRAWDOWN, BTC_PERP.id, True, D(1)), "drawdown is the account's"),
        (a.AlertRule(K.PRICE, BTC_PERP.id, False, D(60_001)), "the price is 60000, below 60001 already"),
        (a.AlertRule(K.PRICE, BTC_PERP.id, True, D(61_000), id="a9"), "alert rule a9 is not known"),
        (a.AlertRule(K.PRICE, BTC_PERP.id, True, D(61_000), note="x\ny"), "a note is one line"),
    ],
)
def test_a_rule_that_cannot_stand_is_refused_in_words(desk: Desk, rule: a.AlertRule, words: str) -> None:
    refused = of(desk.give(a.SetAlert(rule, "test", desk.now)), e.CommandRefused)
    assert words in refused[0].reason
    assert not desk.state.alerts.rules


def test_rules_are_changed_and_removed_and_ids_never_repeat(desk: Desk) -> None:
    first, second = desk.rule(above=True, bound="61000"), desk.rule(above=True, bound="62000")
    assert (first, second) == ("a1", "a2")
    assert desk.rule(above=True, bound="63000", id="a2") == "a2"
    desk.give(a.RemoveAlert("a2", "test", desk.now))
    assert list(desk.state.alerts.rules) == ["a1"]
    assert desk.rule(above=True, bound="64000") == "a3"
    assert "not known" in of(desk.give(a.RemoveAlert("a2", "test", desk.now)), e.CommandRefused)[0].reason


# --- acknowledging and muting -----------------------------------------------------------------------------------------


def test_an_acknowledged_alert_that_comes_again_is_a_new_one(desk: Desk) -> None:
    desk.give(m.StoreStatus("disk full", desk.now))
    desk.wait(1.1)
    desk.give(a.AcknowledgeAlert(desk.raised[0].number, "me", desk.now))
    assert desk.state.alerts.waiting() == []
    assert not of(desk.give(a.AcknowledgeAlert(desk.raised[0].number, "you", desk.now)), a.AlertAcknowledged)
    assert desk.state.alerts.alerts[1].by == "me"
    desk.give(m.StoreStatus("", desk.now))
    desk.wait(70)
    desk.give(m.StoreStatus("disk full", desk.now))
    desk.wait(1.1)
    assert [event.number for event in desk.raised] == [1, 2]
    assert "not known" in of(desk.give(a.AcknowledgeAlert(99, "me", desk.now)), e.CommandRefused)[0].reason


def test_a_muted_kind_stays_in_the_history_and_waits_for_nobody(desk: Desk) -> None:
    def filled(number: int) -> None:
        desk.give(fill(BTC_PERP, Side.BUY, "0.004", "60000", f"f{number}", f"x{number}", desk.now))

    filled(1)
    desk.give(a.MuteAlerts(K.FILL, 60 * S, "me", desk.now))
    filled(2)
    assert len(desk.state.alerts.alerts) == 2
    assert desk.state.alerts.waiting() == []
    desk.wait(61)
    filled(3)
    desk.give(a.MuteAlerts(K.FILL, 60 * S, "me", desk.now))
    desk.give(a.MuteAlerts(K.FILL, 0, "me", desk.now))
    filled(4)
    assert [event.muted for event in desk.raised] == [False, True, False, False]
    assert of(desk.give(a.MuteAlerts(K.FILL, -1, "me", desk.now)), e.CommandRefused)


def test_a_muted_cause_that_keeps_repeating_fills_no_history(desk: Desk) -> None:
    desk.give(a.MuteAlerts(K.REFUSED, 86_400 * S, "me", desk.now))
    for _ in range(5):
        desk.give(c.SubmitOrder(order(BTC_PERP, Side.SELL, "0.010", reduce_only=True), "test", desk.now))
        desk.wait(61)
    assert len(desk.state.alerts.alerts) == 1


# --- durable ----------------------------------------------------------------------------------------------------------


def busy() -> tuple[Desk, list[Effect]]:
    desk = Desk()
    desk.rule(above=True, bound="61000", note="a")
    desk.rule(above=True, bound="70000", again=True)
    desk.print(61_500.0)
    desk.give(m.StoreStatus("disk full", desk.now))
    desk.give(c.SetTradingState(TradingState.HALTED, "test", ts=desk.now))
    desk.give(a.MuteAlerts(K.GAP, 3_600 * S, "me", desk.now))
    desk.wait(2)
    desk.give(a.AcknowledgeAlert(1, "me", desk.now))
    return desk, desk.effects


def test_recovery_from_records_and_from_a_checkpoint_agree() -> None:
    desk, effects = busy()
    assert len(desk.state.alerts.alerts) == 3
    from_records = Engine(alerts=AlertSettings())
    for effect in effects:
        if isinstance(effect, wire.EVENTS):
            from_records.recover(wire.decode_event(wire.encode(effect)))
    from_image = Engine(alerts=AlertSettings())
    from_image.restore(IMAGE_DECODER.decode(wire.encode(desk.state.image())))
    expected = desk.state.alerts.image()
    assert from_records.state.alerts.image() == expected
    assert from_image.state.alerts.image() == expected
    assert from_image.state.alerts.priced == desk.state.alerts.priced != {}


def test_a_checkpoint_written_before_there_were_alerts_is_read() -> None:
    image = Desk().state.image()
    tree = dict(zip(image.__struct_fields__, [getattr(image, name) for name in image.__struct_fields__], strict=True))
    del tree["alerts"]
    assert IMAGE_DECODER.decode(wire.encode(tree)).alerts.rules == ()


def test_after_a_restart_what_stands_is_not_raised_again_and_what_went_is_cleared() -> None:
    desk, _ = busy()
    image = IMAGE_DECODER.decode(wire.encode(desk.state.image()))
    before = desk.engine
    desk.engine = Engine(before.guardian, alerts=desk.settings, strict=True)
    desk.engine.restore(image)
    desk.raised.clear()
    desk.give(m.StoreStatus("disk full", desk.now))
    desk.wait(9)
    assert desk.raised == []
    desk.give(m.StoreStatus("", desk.now))
    desk.wait(12)
    kinds = [desk.state.alerts.alerts[event.number].kind for event in desk.cleared]
    assert kinds == [K.STORE]  # HALTED survived the restart, and so does its alert
    desk.give(c.SetTradingState(TradingState.ACTIVE, word="RESUME", ts=desk.now))
    assert desk.state.alerts.alerts[desk.cleared[-1].number].kind is K.STATE


def test_the_list_is_bounded_and_drops_what_needs_nobody_first() -> None:
    book = AlertBook()
    for number in range(1, KEPT + 50):
        book.raised(
            a.AlertRaised(number, f"k{number}", K.FILL, a.Severity.INFO, BTC_PERP.id, "x", "", False, 1, False, number)
        )
        if number == 7:
            book.acknowledged(a.AlertAcknowledged((7,), "me", number))
    assert len(book.alerts) == KEPT
    assert 7 not in book.alerts
    assert "k7" not in book.latest
    assert min(book.alerts) == 50
    assert set(book.latest.values()) == set(book.alerts)


def test_a_client_sees_targets_and_a_checkpoint_does_not() -> None:
    desk = Desk()
    desk.give(a.TargetStatus("phone", "no answer", 1, 0, 0, desk.now))
    assert desk.state.image(client=True).alerts.targets[0].trouble == "no answer"
    assert desk.state.image().alerts.targets == ()
    desk.wait(2.2)
    assert [event.text for event in desk.raised] == ["alerts do not reach phone: no answer"]


def test_an_instrument_without_rules_is_not_looked_at(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[InstrumentId] = []
    monkeypatch.setattr("core.alerts.watch.AlertWatch.price", lambda self, instrument, price: asked.append(instrument))
    desk.rule(above=True, bound="61000")
    desk.print(3_100.0, ETH_PERP)
    desk.print(60_500.0, BTC_SPOT)
    assert asked == []
    desk.print(60_500.0)
    assert asked == [BTC_PERP.id]


def test_the_spot_venue_has_its_own_feed_alert(desk: Desk) -> None:
    desk.give(m.VenueStatus(SPOT, False, "x", desk.now))
    desk.give(m.VenueStatus(PERP, False, "y", desk.now))
    desk.wait(12)
    assert {event.key for event in desk.raised} == {f"feed:{SPOT}", f"feed:{PERP}"}
