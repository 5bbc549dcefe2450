"""Alerts through the engine: what raises one, what is counted instead, what a restart remembers."""

import pytest

from core.alerts.conditions import SECOND_NS
from core.alerts.watch import BURST, MOST_LATER
from core.config.settings import AlertSettings, GuardianSettings
from core.domain import alerts as a
from core.domain import commands as c
from core.domain import events as e
from core.domain import market as m
from core.domain import watch as w
from core.domain.approval import Approved, TradingState
from core.domain.differences import BY_SENTINEL, OrderAdopted
from core.domain.identifiers import ClientOrderId, VenueOrderId
from core.domain.order import Side
from tests.core.alerts.desk import LOOSE, Desk, K
from tests.core.kit import (
    BTC_PERP,
    BTC_SPOT,
    ETH_PERP,
    PERP,
    D,
    fill,
    of,
    opened,
    order,
    submit,
)


@pytest.fixture
def desk() -> Desk:
    made = Desk()
    made.wait(0.3)
    assert not made.raised
    return made


# --- what happens -----------------------------------------------------------------------------------------------------


def test_a_quiet_market_raises_nothing(desk: Desk) -> None:
    desk.wait(30)
    assert desk.raised == []


def test_a_fill_is_told_once_an_order(desk: Desk) -> None:
    id_ = of(submit(desk.engine, order(BTC_PERP, Side.BUY, "0.010"), desk.now), e.OrderSubmitted)[0].order
    for number, quantity in enumerate(("0.004", "0.005", "0.001")):
        desk.give(fill(BTC_PERP, Side.BUY, quantity, "60000", f"f{number}", id_.client_order_id, desk.now))
    # That it is filled is told at once: the alert may not say "0.006 left" of an order that is done.
    first, later = desk.of_kind(K.FILL)
    assert (first.text, first.times) == ("bought 0.004 BTC-USDT.P at 60000, 0.006 left", 1)
    assert (later.number, later.times) == (first.number, 2)
    assert later.text == "bought 0.01 BTC-USDT.P at 60000 on average"
    alert = desk.state.alerts.alerts[first.number]
    assert (alert.count, alert.severity, alert.cleared) == (3, a.Severity.INFO, 0)
    desk.wait(61)
    assert len(desk.of_kind(K.FILL)) == 2


def test_further_fills_of_an_order_are_told_with_what_it_has_filled_by_then(desk: Desk) -> None:
    id_ = of(submit(desk.engine, order(BTC_PERP, Side.BUY, "0.010"), desk.now), e.OrderSubmitted)[0].order
    for number, price in enumerate(("60000", "60001", "60003")):
        desk.give(fill(BTC_PERP, Side.BUY, "0.003", price, f"f{number}", id_.client_order_id, desk.now))
    assert len(desk.of_kind(K.FILL)) == 1
    desk.wait(61)
    assert desk.of_kind(K.FILL)[1].text == "bought 0.009 BTC-USDT.P at 60001.333333 on average, 0.001 left"


def test_a_loosening_does_not_hide_the_one_before(desk: Desk) -> None:
    for key in ("max_gross_frac", "max_net_frac", "max_net_frac"):
        change = e.SettingChange(key, "1.0", "2.0", loosens=True)
        desk.give(e.GuardianSettingsChanged((change,), "ann", "typed", desk.now))
    told = [event for event in desk.of_kind(K.STATE) if "LOOSENED" in event.text]
    assert ["max_gross_frac" in event.text for event in told] == [True, False, False]
    assert told[0].number != told[1].number == told[2].number


def test_a_fill_told_twice_raises_nothing_new(desk: Desk) -> None:
    for _ in range(2):
        desk.give(fill(BTC_PERP, Side.BUY, "0.004", "60000", "f1", "", desk.now))
    assert [event.text for event in desk.raised] == ["bought 0.004 BTC-USDT.P at 60000, of no order of ours"]


def test_refusals_of_guardian_and_venue(desk: Desk) -> None:
    desk.give(c.SubmitOrder(order(BTC_PERP, Side.SELL, "0.010", reduce_only=True), "test", desk.now))
    sent = of(submit(desk.engine, order(BTC_PERP, Side.BUY, "0.010"), desk.now), e.OrderSubmitted)[0].order
    desk.give(e.OrderRejected(sent.client_order_id, "no margin", desk.now, desk.now))
    denied, rejected = desk.of_kind(K.REFUSED)
    assert denied.text.startswith("BTC-USDT.P order refused: ")
    assert rejected.text == f"BTC-USDT.P: BINANCE-FUTURES rejected {sent.client_order_id}: no margin"
    assert denied.severity is a.Severity.WARNING


def test_a_worse_trading_state_is_told_at_once_and_resuming_clears_it(desk: Desk) -> None:
    for state in (TradingState.REDUCING, TradingState.HALTED):
        desk.give(c.SetTradingState(state, "why not", who="me", ts=desk.now))
    assert [event.severity for event in desk.of_kind(K.STATE)] == [a.Severity.WARNING, a.Severity.CRITICAL]
    assert desk.raised[-1].text == "trading is HALTED: why not (me)"
    assert len({event.number for event in desk.raised}) == 1
    desk.wait(120)
    assert not desk.cleared  # no look clears it: it lasts until somebody resumes
    desk.give(c.SetTradingState(TradingState.ACTIVE, word="RESUME", ts=desk.now))
    assert [event.number for event in desk.cleared] == [desk.raised[0].number]


def test_closing_is_told_and_is_over_when_it_is_flat(desk: Desk) -> None:
    desk.give(fill(BTC_PERP, Side.BUY, "0.004", "60000", "f1", "", desk.now))
    desk.give(c.Flatten(BTC_PERP.id, "cli", desk.now))
    assert [(event.text, event.severity) for event in desk.of_kind(K.EXIT)] == [
        ("BTC-USDT.P is being closed (cli)", a.Severity.INFO)
    ]
    desk.wait(30)
    assert not [event for event in desk.cleared if event.number == desk.of_kind(K.EXIT)[0].number]
    exit_ = next(record for record in desk.state.blotter.open.values() if record.order.reduce_only)
    desk.give(fill(BTC_PERP, Side.SELL, "0.004", "60000", "f2", exit_.order.client_order_id, desk.now))
    assert desk.of_kind(K.EXIT)[-1].number in [event.number for event in desk.cleared]


def test_closing_by_the_guardian_and_one_that_does_not_get_flat_are_critical(desk: Desk) -> None:
    desk.give(fill(BTC_PERP, Side.BUY, "0.004", "60000", "f1", "", desk.now))
    desk.give(c.Flatten(BTC_PERP.id, "guardian: max_position_loss", desk.now))
    first = desk.of_kind(K.EXIT)[0]
    assert (first.text, first.severity) == (
        "the guardian closes BTC-USDT.P: guardian: max_position_loss",
        a.Severity.WARNING,
    )
    desk.give(e.FlattenEnded(BTC_PERP.id, False, "it is not flat after 20 exits", desk.now))
    desk.wait(61)
    last = desk.of_kind(K.EXIT)[-1]
    assert (last.text, last.number) == ("NOT FLAT: it is not flat after 20 exits", first.number)


def test_why_the_guardian_closes_is_told_at_once(desk: Desk) -> None:
    desk.give(fill(BTC_PERP, Side.BUY, "0.004", "60000", "f1", "", desk.now))
    desk.give(e.FlattenStarted(BTC_PERP.id, "guardian max_position_loss", desk.now))
    why = "BTC-USDT.P loses 2,100.00, 2.10% of equity (bound 2.00%)"
    acted = w.GuardianActed("max_position_loss", "exit", BTC_PERP.id, "0.021", "0.02", "config.toml:42", why, desk.now)
    desk.give(acted)
    last = desk.of_kind(K.EXIT)[-1]
    assert (last.text, last.severity) == (f"guardian max position loss: {why} (config.toml:42)", a.Severity.CRITICAL)


def test_no_word_is_formed_while_an_exit_leaves(desk: Desk) -> None:
    desk.give(fill(BTC_PERP, Side.BUY, "0.004", "60000", "f1", "", desk.now))
    desk.raised.clear()
    effects = desk.engine.process(c.Flatten(BTC_PERP.id, "guardian", desk.now))
    assert [effect.urgent for effect in of(effects, Approved)] == [True]
    assert not of(effects, a.AlertRaised)
    assert [event.kind for event in of(desk.engine.process(m.Timer(desk.now)), a.AlertRaised)] == [K.EXIT]


def test_an_exit_without_its_record_is_told(desk: Desk) -> None:
    desk.give(e.ExitUnjournalled(ClientOrderId("t0r1n1"), "disk full", desk.now))
    assert [event.text for event in desk.raised] == ["exit t0r1n1 left without its record: disk full"]


def test_a_liquidation_is_critical(desk: Desk) -> None:
    desk.give(e.PositionLiquidated(BTC_PERP.id, D(1), D(50_000), D(3), BTC_PERP.settle, desk.now, desk.now))
    assert (desk.raised[0].kind, desk.raised[0].severity) == (K.EXIT, a.Severity.CRITICAL)


def test_a_storm_is_counted_in_one_alert(desk: Desk) -> None:
    for number in range(300):
        desk.give(fill(BTC_PERP, Side.BUY, "0.001", "60000", f"f{number}", f"o{number}", desk.now))
    desk.wait(61)
    fills = desk.of_kind(K.FILL)
    assert len(fills) == BURST + 2
    many = [event for event in fills if event.key == "many:fill"]
    assert sum(event.times for event in many) == 300 - BURST
    assert many[0].text.startswith("more than 20 fill alerts at once; the newest: bought 0.001")


def test_without_timers_what_waits_to_be_told_stays_bounded(desk: Desk) -> None:
    told = 0
    for number in range(MOST_LATER + 2):
        effects = desk.engine.process(fill(BTC_PERP, Side.BUY, "0.001", "60000", f"f{number}", f"o{number}", desk.now))
        told += len(of(effects, a.AlertRaised))
    assert told == BURST + 1
    assert len(desk.engine._alerts._later) < 10


def test_an_error_in_an_alert_stops_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a bug in an alert")

    monkeypatch.setattr("core.alerts.watch.AlertWatch._tell", broken)
    desk.rule(above=True, bound="61000")
    effects = desk.give(fill(BTC_PERP, Side.BUY, "0.004", "60000", "f1", "", desk.now))
    desk.print(62_000)
    desk.wait(30, quoting=())
    assert of(effects, e.OrderFilled)
    assert desk.raised == []
    assert desk.state.ledger.positions[BTC_PERP.id].quantity == D("0.004")


# --- what lasts -------------------------------------------------------------------------------------------------------


def test_a_stale_feed_is_told_after_its_patience_and_clears_after_a_while(desk: Desk) -> None:
    desk.wait(11.5, quoting=(BTC_SPOT, ETH_PERP))
    assert desk.kinds() == []  # 2 s until it is called stale, 10 s of patience
    desk.wait(2, quoting=(BTC_SPOT, ETH_PERP))
    assert desk.raised[0].text.startswith("BINANCE-FUTURES feeds: BTC-USDT.P stale: no update for")
    desk.wait(5)
    assert not desk.cleared
    desk.wait(7)
    assert [event.number for event in desk.cleared] == [desk.raised[0].number]


def test_a_flapping_feed_raises_one_alert_with_a_count(desk: Desk) -> None:
    for _ in range(8):
        desk.wait(14, quoting=(BTC_SPOT, ETH_PERP))
        desk.wait(12)
    assert len({event.number for event in desk.of_kind(K.FEED)}) == 1
    assert len(desk.of_kind(K.FEED)) <= 8 * 26 / 60 + 2
    alert = desk.state.alerts.of("feed:BINANCE-FUTURES")
    assert alert is not None
    assert alert.count >= 7


def test_a_feed_that_flaps_faster_than_its_patience_raises_nothing(desk: Desk) -> None:
    for _ in range(8):
        desk.wait(6, quoting=(BTC_SPOT, ETH_PERP))
        desk.wait(2)
    assert desk.of_kind(K.FEED) == []


def test_many_feeds_of_a_venue_are_one_alert_and_a_joining_one_a_repeat(desk: Desk) -> None:
    desk.wait(14, quoting=(BTC_SPOT, ETH_PERP))
    desk.give(a.AcknowledgeAlert(0, "me", desk.now))
    desk.wait(70, quoting=(BTC_SPOT,))
    first, second = desk.of_kind(K.FEED)
    assert second.text == "BINANCE-FUTURES feeds: BTC-USDT.P stale, ETH-USDT.P stale"
    assert second.number > first.number  # the first was acknowledged: this one is news


def test_a_lost_venue_is_one_critical_alert(desk: Desk) -> None:
    desk.give(m.VenueStatus(PERP, False, "link lost", desk.now))
    desk.wait(12)
    assert [(event.text, event.severity) for event in desk.raised] == [
        ("BINANCE-FUTURES is down: link lost", a.Severity.CRITICAL)
    ]


def test_a_venue_that_does_not_say_what_it_holds_is_critical_and_clears(desk: Desk) -> None:
    for _ in range(12):
        desk.give(m.VenueCompared(PERP, 0, desk.now, "no answer for 5 s"))
        desk.wait(1)
    (event,) = desk.raised
    assert (event.kind, event.severity) == (K.FEED, a.Severity.CRITICAL)
    text = "our record cannot be compared with BINANCE-FUTURES's since 11 s, orders and positions there may be others"
    assert event.text == f"{text}: no answer for 5 s"
    desk.give(m.VenueCompared(PERP, 0, desk.now))
    desk.wait(61)
    assert [cleared.number for cleared in desk.cleared] == [event.number]


def test_a_comparison_that_fails_once_raises_nothing(desk: Desk) -> None:
    desk.give(m.VenueCompared(PERP, 0, desk.now, "no answer for 5 s"))
    desk.wait(5)
    desk.give(m.VenueCompared(PERP, 0, desk.now))
    desk.wait(20)
    assert desk.raised == []


def test_a_bound_that_binds_nothing_is_told_once_every_venue_was_looked_at() -> None:
    bounds = {str(BTC_PERP.id): D(2), "BTCUSDT.BINANCE-FUTURES": D(1)}
    desk = Desk()
    desk.engine = opened(settings=GuardianSettings(max_order_quantity=bounds), alerts=desk.settings)
    desk.state.venue(PERP).reconciled = False
    desk.wait(5)
    assert desk.raised == []
    desk.state.venue(PERP).reconciled = True
    desk.wait(5)
    (event,) = desk.raised
    assert event.text.startswith("max_order_quantity bounds nothing for BTCUSDT.BINANCE-FUTURES: no venue has")


def test_a_close_that_left_orders_alone_says_so(desk: Desk) -> None:
    desk.give(e.FlattenEnded(BTC_PERP.id, False, "its cancel is not answered", desk.now))
    desk.give(w.ExitEscalated(ETH_PERP.id, "30 s", desk.now))
    assert [event.text for event in desk.of_kind(K.EXIT)] == [
        "ORDERS STILL OPEN: its cancel is not answered",
        "ORDERS STILL OPEN: 30 s",
    ]


def test_a_gap_is_told_with_its_count(desk: Desk) -> None:
    desk.give(m.FeedReport(BTC_PERP.id, m.Health.LIVE, 3, 0, "", desk.now))
    assert desk.kinds() == [K.GAP]
    assert "3 update gaps (3 since connect)" in desk.raised[0].text


def test_journal_trouble_is_critical_and_clears(desk: Desk) -> None:
    desk.give(m.StoreStatus("disk full", desk.now))
    desk.wait(1.1)
    assert [(event.kind, event.text) for event in desk.raised] == [(K.STORE, "the journal: disk full")]
    desk.give(m.StoreStatus("", desk.now))
    desk.wait(12)
    assert len(desk.cleared) == 1


def test_a_sentinel_that_is_silent_or_holds_the_lease_is_critical_and_clears(desk: Desk) -> None:
    desk.give(m.SentinelStatus(True, "", desk.now, "watches", "", desk.now))
    desk.wait(1)
    assert desk.of_kind(K.SENTINEL) == []
    desk.wait(4)
    (silent,) = desk.of_kind(K.SENTINEL)
    assert (silent.severity, "silent for" in silent.text) == (a.Severity.CRITICAL, True)
    why = "config.toml:64 [guardian] stale_after_ms: must be a whole number (got soon)"
    desk.give(m.SentinelStatus(False, "", desk.now - 5 * SECOND_NS, "watches", "", desk.now, why))
    desk.wait(2)
    known = desk.of_kind(K.SENTINEL)[-1]
    assert (known.number, known.text.endswith(f"nobody closes for a dead engine; none starts: {why}")) == (
        silent.number,
        True,
    )
    told = len(desk.of_kind(K.SENTINEL))
    for second in range(3):  # a line of a log may bear its time: that is no news
        desk.give(m.SentinelStatus(False, "", desk.now - 8 * SECOND_NS, "watches", "", desk.now, f"{second} {why}"))
        desk.wait(2)
    assert len(desk.of_kind(K.SENTINEL)) == told
    desk.give(m.SentinelStatus(False, "the engine is dead", desk.now - 9 * SECOND_NS, "", "", desk.now, why))
    desk.wait(1.5)
    assert desk.of_kind(K.SENTINEL)[-1].text.endswith(f"none starts: {why}")
    desk.give(m.SentinelStatus(True, "the engine is dead", desk.now, "", "", desk.now))
    desk.wait(2)
    assert desk.state.alerts.alerts[silent.number].cleared == 0
    for holds in ("the engine fell again: closing everything", "NOT FLAT after 30 s, goes on: close by hand"):
        desk.give(m.SentinelStatus(True, holds, desk.now, "", "", desk.now))
        desk.wait(1)
        assert holds in desk.of_kind(K.SENTINEL)[-1].text
    told = len(desk.of_kind(K.SENTINEL))
    desk.give(m.SentinelStatus(True, holds.replace("30", "60"), desk.now, "", "", desk.now))
    desk.wait(1)
    assert len(desk.of_kind(K.SENTINEL)) == told, "each phase is told, not each second of it"
    desk.give(m.SentinelStatus(False, "", 0, "", "", desk.now))  # it ended in order
    desk.wait(30)
    assert desk.state.alerts.alerts[silent.number].cleared > 0


def test_what_the_sentinel_closed_is_critical(desk: Desk) -> None:
    sold = order(BTC_PERP, Side.SELL, "0.1", reduce_only=True, client_order_id=ClientOrderId("t0s7n1"))
    for who, count in (("ada", 0), (BY_SENTINEL, 1)):
        desk.give(e.OrderFound(sold, BTC_PERP.venue, VenueOrderId("v"), D(0), desk.now))
        desk.give(OrderAdopted(ClientOrderId("t0s7n1"), who, desk.now))
        desk.wait(1)
        assert len(desk.of_kind(K.SENTINEL)) == count
    (told,) = desk.of_kind(K.SENTINEL)
    assert told.text == "the sentinel closed in the engine's place: SELL 0.1 BTC-USDT.P"
    assert told.severity is a.Severity.CRITICAL


def test_a_loss_raises_position_day_and_drawdown_and_limits(desk: Desk) -> None:
    desk.give(fill(BTC_PERP, Side.BUY, "1", "60000", "f1", "", desk.now))
    desk.wait(3, BTCUSDT=54_000.0)
    keys = {event.key for event in desk.raised}
    assert {"drawdown", "day", f"position:{BTC_PERP.id}"} <= keys
    worst = next(event for event in desk.raised if event.key == "day")
    assert worst.text.startswith("the day's loss is 6,000")
    assert worst.severity is a.Severity.CRITICAL


def test_one_odd_price_raises_nothing(desk: Desk) -> None:
    desk.give(fill(BTC_PERP, Side.BUY, "1", "60000", "f1", "", desk.now))
    desk.wait(0.4)
    desk.wait(0.5, BTCUSDT=54_000.0)  # one look a second: it falls in here
    desk.wait(5)
    assert {event.kind for event in desk.raised} <= {K.FILL, K.LIMIT}


def test_a_loss_about_its_bound_is_told_once(desk: Desk) -> None:
    desk.give(fill(BTC_PERP, Side.BUY, "1", "60000", "f1", "", desk.now))
    desk.wait(2.2, BTCUSDT=56_900.0)
    for price in (56_900.0, 57_100.0) * 60:  # 3 % of 100 000 is 3 000: at 57 000
        desk.wait(1, BTCUSDT=price)
    assert len([event for event in desk.raised if event.key == "drawdown"]) == 1
    desk.wait(30, BTCUSDT=57_100.0)  # 2.9 %: not back under nine tenths of the bound

    def cleared() -> list[a.AlertCleared]:
        return [event for event in desk.cleared if desk.state.alerts.alerts[event.number].key == "drawdown"]

    assert not cleared()
    desk.wait(15, BTCUSDT=57_400.0)
    assert len(cleared()) == 1


def test_an_account_that_cannot_be_valued_clears_no_loss(desk: Desk) -> None:
    desk.give(fill(BTC_PERP, Side.BUY, "1", "60000", "f1", "", desk.now))
    desk.wait(3, BTCUSDT=54_000.0)
    desk.state.ledger.unvalued.add("X")
    desk.state.ledger.revalue = lambda: None  # type: ignore[method-assign]
    desk.wait(30, BTCUSDT=60_000.0)
    assert not [event for event in desk.cleared if desk.state.alerts.alerts[event.number].kind is K.DRAWDOWN]


def test_a_limit_nearly_used_is_told() -> None:
    desk = Desk()
    desk.engine = opened(settings=GuardianSettings(max_order_notional_frac=1, max_net_frac=10), alerts=desk.settings)
    desk.give(fill(BTC_PERP, Side.BUY, "0.21", "60000", "f1", "", desk.now))
    desk.wait(3)
    texts = [event.text for event in desk.of_kind(K.LIMIT)]
    assert any(text.startswith("max position is 84% used: 12.6% of 15.0%") for text in texts), texts


def test_settings_switch_kinds_off() -> None:
    quiet = AlertSettings(
        feed_after_s=0,
        drawdown_frac=0,
        day_loss_frac=0,
        position_loss_frac=0,
        limit_used_frac=0,
        fills=False,
        refusals=False,
        gaps=False,
    )
    desk = Desk(quiet)
    desk.give(fill(BTC_PERP, Side.BUY, "1", "60000", "f1", "", desk.now))
    desk.give(m.FeedReport(BTC_PERP.id, m.Health.LIVE, 3, 0, "", desk.now))
    desk.give(c.SubmitOrder(order(BTC_PERP, Side.BUY, "0.010", reduce_only=True), "test", desk.now))
    desk.wait(20, quoting=(BTC_PERP,), BTCUSDT=40_000.0)
    assert desk.raised == []


def test_an_engine_without_settings_raises_only_what_a_trader_asked_for() -> None:
    desk = Desk()
    desk.engine = opened(settings=LOOSE)
    desk.give(fill(BTC_PERP, Side.BUY, "1", "60000", "f1", "", desk.now))
    desk.wait(20, quoting=(), BTCUSDT=40_000.0)
    assert desk.raised == []
    desk.rule(above=True, bound="61000")
    desk.print(61_500)
    assert desk.kinds() == [K.PRICE]


def test_an_account_that_cannot_be_valued_is_told_and_clears(desk: Desk) -> None:
    desk.give(fill(BTC_PERP, Side.BUY, "0.004", "60000", "f1", "", desk.now))
    desk.state.capital.missing = lambda _: {"X"}  # type: ignore[method-assign, assignment]
    desk.wait(9)
    assert not [event for event in desk.raised if event.key == "unvalued"]
    desk.wait(3)
    (told,) = (event for event in desk.raised if event.key == "unvalued")
    assert (told.severity, "no price for X" in told.text) == (a.Severity.CRITICAL, True)
    del desk.state.capital.missing
    desk.wait(30)
    assert told.number in [event.number for event in desk.cleared]
