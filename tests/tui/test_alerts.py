"""Alerts on the screen: the counter and the bell, the list, acknowledging and muting; on a running engine."""

from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import pytest
import pytest_asyncio
from msgspec.structs import replace

from core.config.settings import AlertSettings, TerminalSettings
from core.domain import alerts as a
from core.domain.approval import TradingState
from core.domain.commands import SetTradingState
from core.domain.market import Interval
from core.session.protocol import Outcome
from tests.tui.driving import asked, ready, until
from tests.tui.engine import BTC, House
from tests.tui.harness import STYLE, Harness, picture, screen_lines
from tests.tui.pictures import NOW, SECOND, draw, moment
from tui.alerting import AskAlert, bound_text
from tui.app import TerminalApp
from tui.lines import plain
from tui.screens.alerts import channel_lines, detail_lines
from tui.trading import Nothing, acknowledge, mute, remove_alert, set_alert
from tui.views import chart_of
from tui.widgets.alerts import AlertGrid, standing_of
from tui.widgets.candle_chart import Mark, render_candles

QUIET = AlertSettings(feed_after_s=0, gaps=False)


class Bell(TerminalApp):
    """A terminal that counts how often its bell rang."""

    CSS_PATH = str(STYLE)
    rings = 0

    def bell(self) -> None:
        self.rings += 1


@pytest_asyncio.fixture
async def alarmed(tmp_path: Path, quiet_log: None) -> AsyncIterator[House]:
    """Give a running engine that raises alerts."""
    made = await House(tmp_path, QUIET).start()
    yield made
    await made.stop()


@pytest_asyncio.fixture
async def often(tmp_path: Path, quiet_log: None) -> AsyncIterator[House]:
    """Give a running engine that raises the same alert again after a second, not after a minute."""
    made = await House(tmp_path, replace(QUIET, repeat_s=1.0)).start()
    yield made
    await made.stop()


async def halt(house: House, state: TradingState = TradingState.HALTED, word: str = "") -> None:
    """Change the trading state from elsewhere."""
    outcome: Outcome = await house.runtime.command(SetTradingState(state, "by a test", word, "anna", "test"))
    assert outcome.ok


async def test_an_alert_rings_once_stands_in_header_and_pane_and_is_acknowledged_there(alarmed: House) -> None:
    app = Bell(alarmed.socket)
    async with app.run_test(size=(200, 50)) as pilot:
        await ready(app, pilot)
        assert "!" not in screen_lines(app)[1]
        await halt(alarmed)
        await until(pilot, lambda: " !1 " in screen_lines(app)[1])
        await until(pilot, lambda: "!! trading is HALTED: by a test (anna)" in screen_lines(app)[-1])
        assert "!! trading is HALTED: by a test" in "\n".join(screen_lines(app)[2:-1])
        assert "alerts  1 new" in picture(app)
        assert app.rings == 1
        await until(pilot, lambda: app.trade.alerts.number == 1)
        app.trade.alerts.focus()
        await pilot.press("a")
        await until(pilot, lambda: alarmed.state.alerts.alerts[1].by == "terminal")
        await until(pilot, lambda: "!1" not in screen_lines(app)[1] and "alerts  1 new" not in picture(app))
        assert app.rings == 1


async def test_the_ninth_screen_acknowledges_mutes_and_keeps_the_history(often: House) -> None:
    alarmed, app = often, Bell(often.socket)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(app, pilot)
        await halt(alarmed)
        await pilot.press("9")
        await until(pilot, lambda: app.here.NAME == "alerts" and "!! trading is HALTED" in screen_lines(app)[4])
        await until(pilot, lambda: "alert 1  state" in picture(app) and "it lasts" in picture(app))
        assert screen_lines(app)[4].rstrip(" │").endswith("new")
        await pilot.press("a")
        await until(pilot, lambda: screen_lines(app)[4].rstrip(" │").endswith("seen"))
        assert alarmed.state.alerts.waiting() == []
        await halt(alarmed, TradingState.ACTIVE, "RESUME")
        await until(pilot, lambda: screen_lines(app)[4].rstrip(" │").endswith("over"))
        await pilot.press("M")
        await until(pilot, lambda: a.AlertKind.STATE in alarmed.state.alerts.muted)
        left = alarmed.state.alerts.muted[a.AlertKind.STATE] - alarmed.clock.now()
        assert 50 * 60 * SECOND < left <= 60 * 60 * SECOND
        rings = app.rings
        await halt(alarmed)
        await until(pilot, lambda: len(alarmed.state.alerts.alerts) == 2)
        await until(pilot, lambda: "muted" in screen_lines(app)[4])
        assert app.rings == rings
        assert "!1" not in screen_lines(app)[1]
        await pilot.press("M")
        await until(pilot, lambda: a.AlertKind.STATE not in alarmed.state.alerts.muted)


async def test_a_key_press_without_an_alert_does_nothing(alarmed: House) -> None:
    app = TerminalApp(alarmed.socket)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(app, pilot)
        await pilot.press("9", "a", "M")
        await until(pilot, lambda: "no alert yet" in picture(app) and "no rules" in picture(app))
        assert alarmed.state.alerts.muted == {}


class Listener(Harness):
    """An app that notes which alerts were seen."""

    def on_alert_grid_acknowledge(self, event: AlertGrid.Acknowledge) -> None:
        """Note the number."""
        self.heard.append(event.number)


async def test_acknowledging_walks_on_to_what_nobody_has_seen_and_passes_what_was() -> None:
    grid, book = AlertGrid(), moment().state
    app = Listener(grid)
    async with app.run_test(size=(80, 24)) as pilot:
        grid.set_alerts(book, local=False)
        assert [row.key for row in grid.rows] == ["5", "4", "3", "2", "1"]
        grid.focus()
        await pilot.press("a", "a")
        await pilot.pause()
        assert app.heard == [5, 4]
        assert grid.number == 4, "nothing is left to go to"
        grid.set_alerts(book, local=False)  # the engine has refused both: they wait as before
        await pilot.press("a")
        await pilot.pause()
        assert (app.heard[-1], grid.number) == (4, 5), "from the top, where nothing below waits"


async def test_the_bell_is_silent_where_the_settings_say_so(alarmed: House) -> None:
    app = Bell(alarmed.socket, TerminalSettings(bell=False))
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(app, pilot)
        await halt(alarmed)
        await until(pilot, lambda: " !1 " in screen_lines(app)[1])
        assert app.rings == 0


async def test_a_view_only_terminal_is_told_that_it_cannot(alarmed: House) -> None:
    app = TerminalApp(alarmed.socket, view_only=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(app, pilot)
        await halt(alarmed)
        await pilot.press("9")
        await until(pilot, lambda: app.here.NAME == "alerts" and "trading is HALTED" in screen_lines(app)[4])
        await pilot.press("a")
        await until(pilot, lambda: "this session is view-only: it cannot command" in screen_lines(app)[-1])
        assert alarmed.state.alerts.alerts[1].acknowledged == 0


async def test_enter_shows_the_instrument_of_an_alert_in_depth_and_its_keys_act_on_it(alarmed: House) -> None:
    app = TerminalApp(alarmed.socket)
    rule = a.AlertRule(a.AlertKind.PRICE, BTC, True, Decimal(1_000_000), note="far")
    async with app.run_test(size=(200, 50)) as pilot:
        await ready(app, pilot)
        assert (await alarmed.runtime.command(a.SetAlert(rule, "test"))).ok
        await pilot.press("9", "tab")
        await until(pilot, lambda: "above 1000000" in picture(app) and app.here.instrument == BTC)
        await pilot.press("enter")
        await until(pilot, lambda: app.here is app.trade and app.trade.instrument == BTC)


@pytest.mark.parametrize("size", [(80, 24), (200, 50)])
async def test_its_lines_are_those_of_the_engine(size: tuple[int, int]) -> None:
    _, text = await draw(*size, "alerts")
    for words in (
        "alerts  2 new", "› 14:31:55", "! max orders per second is 90% used: 9 of 10", "new",
        "!! BINANCE-SPOT is down: the link was lost", "muted", "alert 5  price",
        "BTC-USDT.P at 61800.3, above 61800 – take half off", "raised 21 Nov 14:31:55",
        "below 60900", "the stop is near", "below -500",
    ):  # fmt: skip
        assert words in text, words
    waiting = [number for number, line in enumerate(text.splitlines()) if " new" in line[-14:]]
    done = [number for number, line in enumerate(text.splitlines()) if line.rstrip(" │").endswith(("over", "muted"))]
    assert max(waiting) < min(done)
    if size[0] == 200:
        for words in ("gap muted until 21 Nov 15:22", "phone  no answer within 10 s  sent 14, waiting 2",
                      "chat  works  sent 9", "warning   price"):  # fmt: skip
            assert words in text, words


def test_one_alert_is_told_whole_where_there_is_little_room() -> None:
    alert = moment().state.alerts.alerts[3]
    lines = [plain(line) for line in detail_lines(alert, 44, 4, local=False)]
    assert lines[0] == " BINANCE-SPOT is down: the link was lost"
    facts = "raised 21 Nov 14:27:00  ×2, last 21 Nov 14:27:00  seen 21 Nov 14:27:27 by terminal  over 21 Nov 14:27:17"
    assert " ".join(" ".join(lines[1:]).split()) == " ".join(facts.split())
    assert len(detail_lines(alert, 20, 3, local=False)) == 3
    assert plain(detail_lines(None, 40, 3, local=False)[0]).strip() == "no alert is chosen"
    assert all(len(plain(line)) <= 20 for line in channel_lines(moment().state, NOW, 20, local=False))


def test_how_an_alert_stands_in_a_word() -> None:
    book = moment().state.alerts
    assert [standing_of(book.alerts[number]) for number in range(1, 6)] == ["seen", "muted", "over", "new", "new"]
    book.cleared(a.AlertCleared(4, NOW))
    assert standing_of(book.alerts[4]) == "new, over"


def test_plans_of_the_two_keys() -> None:
    state = moment().state
    assert acknowledge(5).commands == (a.AcknowledgeAlert(5, "terminal"),)
    assert mute(state, 5, 30, NOW).commands == (a.MuteAlerts(a.AlertKind.PRICE, 1_800 * SECOND, "terminal"),)
    assert mute(state, 2, 30, NOW).commands == (a.MuteAlerts(a.AlertKind.GAP, 0, "terminal"),)
    assert mute(state, 2, 30, NOW + 3_600 * SECOND).commands[0].duration == 1_800 * SECOND  # type: ignore[attr-defined]
    with pytest.raises(Nothing):
        mute(state, 99, 30, NOW)


async def test_halting_by_key_raises_the_alert_too(alarmed: House) -> None:
    app = TerminalApp(alarmed.socket)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(app, pilot)
        await pilot.press("H")
        await asked(app, pilot)
        await pilot.press("y")
        await until(pilot, lambda: " !1 " in screen_lines(app)[1])


async def test_a_price_alert_is_set_changed_and_removed_by_keys(alarmed: House) -> None:
    app = TerminalApp(alarmed.socket)
    rules = alarmed.state.alerts.rules
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(app, pilot)
        await pilot.press("right_square_bracket", "right_square_bracket", "o", *["k"] * 5)
        cursor = app.trade.ladder.cursor_price
        assert cursor is not None
        await pilot.press("P")
        await until(pilot, lambda: isinstance(app.screen, AskAlert) and "speaks above ▲" in picture(app))
        assert f" {cursor:.1f} " in picture(app), "with the decimals of the instrument, which are one"
        await pilot.press("tab", *"half off", "tab", "space", "enter")
        await until(pilot, lambda: len(rules) == 1)
        (rule,) = rules.values()
        assert (rule.kind, rule.instrument, rule.above, float(rule.bound)) == (a.AlertKind.PRICE, BTC, True, cursor)
        assert (rule.note, rule.again) == ("half off", True)
        await until(pilot, lambda: "alert BTC-USDT.P price above" in screen_lines(app)[-1])
        await pilot.press("9", "tab")
        await until(pilot, lambda: "half off" in picture(app) and "again" in picture(app))
        await pilot.press("e")
        await until(pilot, lambda: isinstance(app.screen, AskAlert) and "price alert  BTC-USDT.P  a1" in picture(app))
        await pilot.press(*["backspace"] * 12, *"1000", "enter")
        await until(pilot, lambda: float(rules["a1"].bound) == 1000.0)
        assert not rules["a1"].above
        assert len(rules) == 1
        await pilot.press("x")
        await asked(app, pilot)
        assert "a1  BTC-USDT.P price below 1000, again and again" in picture(app)
        await pilot.press("enter")
        assert len(rules) == 1
        await pilot.press("y")
        await until(pilot, lambda: not rules)
        await pilot.press("x")
        await until(pilot, lambda: "no rules: P on an instrument sets one" in picture(app))


def _still() -> TerminalApp:
    return TerminalApp(Path("/nowhere"), feed=moment(), wall=lambda: NOW)


async def test_the_arrows_move_the_bound_and_what_cannot_be_is_said() -> None:
    app = _still()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.trade.instrument == BTC)
        app.trade.watch_list.focus()
        await pilot.press("P")
        await until(pilot, lambda: "that is the last price" in picture(app))
        await pilot.press("enter")
        assert isinstance(app.screen, AskAlert)
        await pilot.press("up")
        await until(pilot, lambda: "speaks above ▲ 61 850.0   now 61 800.3, +0.08% away" in picture(app))
        await pilot.press("down", "down")
        await until(pilot, lambda: "speaks below ▼ 61 750.0" in picture(app))
        await pilot.press("pagedown")
        await until(pilot, lambda: "speaks below ▼ 61 250.0" in picture(app))
        for text, words in (("x", "a number is expected"), ("0", "greater than 0"), ("nan", "greater than 0")):
            await pilot.press(*["backspace"] * 12, *text, "enter")
            await until(pilot, lambda words=words: words in picture(app))  # type: ignore[misc]
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is app.trade)


async def test_rules_that_are_not_of_a_price_keep_their_side() -> None:
    app = _still()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.trade.instrument == BTC)
        await pilot.press("9", "tab", "j", "e")
        await until(pilot, lambda: "profit alert  account  a3" in picture(app))
        assert "speaks when it is below ▼ -500" in picture(app)


def test_price_alerts_are_marks_of_the_chart_that_leave_its_range_alone() -> None:
    state = moment().state
    chart = chart_of(state, state.markets[BTC], Interval.M15, ())
    (mark,) = [mark for mark in chart.marks if mark.kind == "alert"]
    assert (mark.price, mark.label) == (60900.0, "alert ▼")
    near = replace(chart, marks=(Mark(chart.bars[-1].close, "alert ▲", "alert"),))
    assert any("alert ▲" in plain(line) for line in render_candles(near, 90, 30, lambda ts, pattern: ""))
    bare = render_candles(replace(chart, marks=()), 90, 30, lambda ts, pattern: "")
    far = render_candles(replace(chart, marks=(mark,)), 90, 30, lambda ts, pattern: "")
    assert [plain(line)[:60] for line in far] == [plain(line)[:60] for line in bare]


def test_a_bound_has_the_decimals_of_its_prices_and_never_fewer_than_its_own() -> None:
    market = moment().state.markets[BTC]
    assert market.instrument.price_precision == 1
    shown = [bound_text(Decimal(text), market) for text in ("61800.30", "61800", "61800.125", "1E+3")]
    assert shown == ["61800.3", "61800.0", "61800.125", "1000.0"]
    assert [bound_text(Decimal(text), None) for text in ("-500.00", "0.05", "1E+3")] == ["-500", "0.05", "1000"]


def test_plans_of_rules() -> None:
    state = moment().state
    rule = state.alerts.rules["a2"]
    assert set_alert(rule).commands == (a.SetAlert(rule, "terminal"),)
    assert remove_alert(state, "a2").commands == (a.RemoveAlert("a2", "terminal"),)
    assert remove_alert(state, "a2").lines == ("a2  BTC-USDT.P price below 60900", "the stop is near")
    with pytest.raises(Nothing):
        remove_alert(state, "a9")
