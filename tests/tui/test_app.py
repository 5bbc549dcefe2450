"""The terminal on a real engine: look, arm, buy, watch, flatten, cancel, halt, lose the link, come back."""

import asyncio
from pathlib import Path

import pytest

from core.config.settings import TerminalSettings
from core.domain.approval import TradingState
from tests.tui.driving import armed, asked, buy, opened, position, ready, stage, until
from tests.tui.engine import House
from tests.tui.harness import picture, screen_lines
from tests.tui.pictures import moment
from tui.app import TerminalApp
from tui.confirm import Confirm, TypeWord
from tui.screens.help import HelpScreen, SmallScreen


async def test_the_narrow_screen_shows_what_the_drawing_shows(house: House) -> None:
    app = TerminalApp(house.socket)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(app, pilot)
        # One look for all of it: a heart that beats and eight fresh feeds are gone again when the machine stands still.
        parts = ("disarmed", "guardian ♥0.", "feeds 8/8", "UTC")
        await until(pilot, lambda: all(part in screen_lines(app)[1] for part in parts))
        lines = screen_lines(app)
        assert lines[0].startswith(" PAPER ACTIVE  equity 100 000.00  day ")
        for words in ("watch", "i find", "ladder  BTC-USDT.P", "position", "f flatten", "tape", "spread", "instrument"):
            assert words in picture(app), words
        assert lines[23].startswith(" b buy  s sell  A arm  f flatten  c cancel  H halt  i find  : palette  ? help")
        assert all(len(line) == 80 for line in lines)
        assert "candles" not in picture(app)


async def test_the_wide_screen_shows_everything_side_by_side(house: House) -> None:
    app = TerminalApp(house.socket)
    async with app.run_test(size=(200, 50)) as pilot:
        await ready(app, pilot)
        await until(pilot, lambda: "█" in app.trade.candles.text)
        for words in ("watch", "BTC-USDT.P  15m", "ladder", "positions", "orders", "ticket", "tape", "events", "spark",
                      "volume", "no open orders"):  # fmt: skip
            await until(pilot, lambda words=words: words in picture(app))  # type: ignore[misc]


async def test_buying_needs_arming_and_the_ticket_says_what_it_does(house: House) -> None:
    app = TerminalApp(house.socket)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(app, pilot)
        await pilot.press("b")
        await until(pilot, lambda: "notional" in app.trade.ticket.text)
        assert "not armed: A then Enter sends" in picture(app)
        await pilot.press("enter")
        words = "not armed: A arms, then Enter sends"
        await until(pilot, lambda: words in app.trade.ticket.text.replace("\n ", " "))
        assert not house.state.blotter.orders
        await pilot.press(*"5")
        await until(pilot, lambda: "max_order_notional" in app.trade.ticket.text)
        await pilot.press("escape")
        assert not app.trade.ticket.open
        assert app.trade.focused is app.trade.ladder


async def test_buy_watch_and_flatten_by_keys(house: House) -> None:
    app = TerminalApp(house.socket)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(app, pilot)
        await buy(app, pilot)
        await until(pilot, lambda: position(house) == 0.05)
        await until(pilot, lambda: "+0.050" in picture(app))
        assert "ARMED" in screen_lines(app)[1]
        await until(pilot, lambda: "entry" in app.trade.position.text)
        await pilot.press("A")  # flattening works disarmed
        await pilot.press("f")
        await asked(app, pilot)
        assert "SELL 0.050 BTC-USDT.P MARKET  reduce-only" in picture(app)
        await pilot.press("enter")
        await pilot.pause(0.35)
        assert position(house) == 0.05
        await pilot.press("y")
        await until(pilot, lambda: position(house) == 0.0)
        await until(pilot, lambda: "flat: BTC-USDT.P" in screen_lines(app)[-1])
        await until(pilot, lambda: "flat" in app.trade.position.text)


async def test_a_resting_order_is_shown_moved_and_cancelled(house: House) -> None:
    app = TerminalApp(house.socket)
    async with app.run_test(size=(200, 50)) as pilot:
        await ready(app, pilot)
        await pilot.press(*["right_square_bracket"] * 5, "o", *["j"] * 6)  # far from the market: it must not fill
        price = app.trade.ladder.cursor_price
        await armed(app, pilot)
        await opened(app, pilot, "b", *"0.05")
        await pilot.press("enter")
        await until(pilot, lambda: len(house.state.blotter.open) == 1)
        record = next(iter(house.state.blotter.open.values()))
        assert float(record.order.price or 0) == price
        await until(pilot, lambda: "+0.050" in app.trade.ladder.text)
        await until(pilot, lambda: record.order.client_order_id[-8:] in app.trade.orders.text)
        await pilot.press("m", "j", "m")
        await asked(app, pilot)
        assert "→" in picture(app)
        await pilot.press("y")
        await until(pilot, lambda: float(record.order.price or 0) < (price or 0))
        await until(pilot, lambda: "+0.050" in app.trade.ladder.text)
        app.trade.orders.focus()
        await pilot.press("c")
        await asked(app, pilot)
        await pilot.press("y")
        await until(pilot, lambda: not house.state.blotter.open)
        await until(pilot, lambda: "no open orders" in app.trade.orders.text)


async def test_halt_and_resume(house: House) -> None:
    app = TerminalApp(house.socket)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(app, pilot)
        await armed(app, pilot)
        await pilot.press("H")
        await asked(app, pilot)
        await pilot.press("y")
        await until(pilot, lambda: house.state.trading_state is TradingState.HALTED)
        assert not app.arming.armed
        await until(pilot, lambda: screen_lines(app)[1].startswith(" disarmed "))
        await until(pilot, lambda: "HALTED" in screen_lines(app)[0])
        await until(pilot, lambda: "trading is HALTED" in screen_lines(app)[-1])  # and not that it was sent
        await pilot.press("U")
        await asked(app, pilot, TypeWord)
        await pilot.press(*"RESUME", "enter")
        await until(pilot, lambda: house.state.trading_state is TradingState.ACTIVE)
        await until(pilot, lambda: "trading is ACTIVE" in screen_lines(app)[-1])


async def test_an_old_price_sends_nothing(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tui.app.PRICE_AGE_LIMIT_S", 1.0)
    app = TerminalApp(house.socket)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(app, pilot)
        house.hub.silent = True
        await pilot.pause(1.3)
        await stage(app, pilot)
        await pilot.press("enter")
        await until(pilot, lambda: "s old (limit 1.0 s); order not sent" in app.trade.ticket.text.replace("\n ", " "))
        assert not house.state.blotter.orders
        await pilot.press("escape")
        await until(pilot, lambda: any(line.startswith("│›~BTC-USDT.P") for line in screen_lines(app)))


async def test_a_held_enter_sends_once(house: House) -> None:
    app = TerminalApp(house.socket)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(app, pilot)
        await armed(app, pilot)
        await opened(app, pilot, "b", *"0.05", "up", "space")
        for _ in range(30):
            await pilot.press("enter")
        await until(pilot, lambda: position(house) == 0.05)
        await pilot.pause(0.3)
        assert len(house.state.blotter.orders) == 1


async def test_nothing_to_do_is_said(house: House) -> None:
    app = TerminalApp(house.socket)
    async with app.run_test(size=(100, 30)) as pilot:
        await ready(app, pilot)
        answers = {
            "c": "no open order is chosen",
            "f": "is flat and has no orders",
            "X": "no open orders anywhere",
            "F": "nothing is open",
            "C": "no open orders in",
            "U": "ACTIVE already",
        }
        for key, words in answers.items():
            await pilot.press(key)
            await until(pilot, lambda words=words: words in picture(app))  # type: ignore[misc]
            assert app.screen is app.trade


async def test_help_lists_only_what_works_and_find_changes_the_instrument(house: House) -> None:
    app = TerminalApp(house.socket)
    async with app.run_test(size=(100, 40)) as pilot:
        await ready(app, pilot)
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(app.screen, HelpScreen))
        await until(pilot, lambda: "Keep the spread in the middle" in picture(app))
        assert "Promote" not in picture(app)
        await pilot.press("escape", "i", *"eth-usdt.p", "enter")
        await until(pilot, lambda: "ladder  ETH-USDT.P" in picture(app))
        await pilot.press("colon", *"utc", "enter")
        await until(pilot, lambda: "local" in screen_lines(app)[1])


async def test_tab_shows_hidden_panes_alone_and_z_zooms(house: House) -> None:
    app = TerminalApp(house.socket)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(app, pilot)
        await pilot.press("tab")
        await until(pilot, lambda: "BTC-USDT.P  15m" in picture(app))
        await until(pilot, lambda: "watch" not in picture(app))
        await pilot.press("tab", "tab")
        await until(pilot, lambda: "orders" in screen_lines(app)[2])
        await pilot.press("tab")
        await until(pilot, lambda: "alerts" in screen_lines(app)[2])
        await pilot.press("tab")
        await until(pilot, lambda: "events" in screen_lines(app)[2] and "ladder" not in picture(app))
        await pilot.press("tab")
        await until(pilot, lambda: "watch" in screen_lines(app)[2] and "ladder" in screen_lines(app)[2])
        await pilot.press("tab", "z")
        await until(pilot, lambda: "ladder" not in screen_lines(app)[2])
        await pilot.press("escape")
        await until(pilot, lambda: "ladder" in screen_lines(app)[2])


async def test_a_lost_link_is_shown_disarms_and_heals(house: House) -> None:
    app = TerminalApp(house.socket)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(app, pilot)
        await pilot.press("A")
        assert house.runtime.server is not None
        await until(pilot, lambda: "ARMED" in screen_lines(app)[1])
        await house.runtime.server.stop("restarting")
        await until(pilot, lambda: "link LOST" in screen_lines(app)[1])
        await pilot.press("X")
        await house.runtime.server.start()
        await until(pilot, lambda: app.feed.connects == 2)
        await until(pilot, lambda: "link LOST" not in screen_lines(app)[1])
        await until(pilot, lambda: "disarmed" in screen_lines(app)[1])
        await until(pilot, lambda: "spread" in picture(app))


async def test_the_question_whether_to_leave_says_how_the_link_stands(house: House) -> None:
    app = TerminalApp(house.socket)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(app, pilot)
        await pilot.press("q")
        await asked(app, pilot)
        assert "the engine keeps running" in picture(app)
        assert house.runtime.server is not None
        await house.runtime.server.stop("restarting")
        await until(pilot, lambda: "this screen cannot tell" in picture(app))
        assert "keeps running" not in picture(app)
        assert "link lost: restarting" in screen_lines(app)[-1]
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is app.trade)
        await pilot.press("q")
        await asked(app, pilot)
        assert "this screen cannot tell" in picture(app)
        assert "keeps running" not in picture(app)
        await house.runtime.server.start()
        await until(pilot, lambda: "the engine keeps running" in picture(app))
        assert "this screen cannot tell" not in picture(app)


async def test_the_bottom_line_takes_back_that_the_link_is_lost_and_nothing_else() -> None:
    app = TerminalApp(Path("/nowhere"), feed=moment())
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.here.is_mounted and bool(app.here.hints.text))
        app.link_up()
        assert "back" not in app.here.hints.text, "the first link is none that came back"
        app.link_down("restarting")
        assert app.here.hints.text == " link lost: restarting"
        app.link_up()
        assert app.here.hints.text == " the link to the engine is back"
        app.link_down("restarting")
        app.tell("outcome unknown: look at the orders", "bad")
        app.link_up()
        assert app.here.hints.text == " outcome unknown: look at the orders"


async def test_no_engine_is_said_and_retried(tmp_path: Path) -> None:
    app = TerminalApp(tmp_path / "engine.sock")
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "link LOST" in screen_lines(app)[1])
        await pilot.press("b")
        await until(pilot, lambda: "no instrument is chosen" in picture(app))


async def test_q_then_y_leaves_and_the_engine_keeps_running(house: House) -> None:
    app = TerminalApp(house.socket)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(app, pilot)
        await pilot.press("q")
        await asked(app, pilot)
        assert "the engine keeps running" in picture(app)
        await pilot.press("y")
        await until(pilot, lambda: app.return_value == 0)
    await asyncio.sleep(0.1)
    assert house.runtime.server is not None
    assert not house.runtime.stopping.is_set()


async def test_keys_of_the_config_are_used(house: House) -> None:
    app = TerminalApp(house.socket, TerminalSettings(keys={"halt": "!"}))
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(app, pilot)
        await pilot.press("H")
        await pilot.pause(0.1)
        assert app.screen is app.trade
        await pilot.press("exclamation_mark")
        await until(pilot, lambda: isinstance(app.screen, Confirm))


async def test_a_small_terminal_says_so_and_comes_back(house: House) -> None:
    app = TerminalApp(house.socket)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(app, pilot)
        await pilot.resize_terminal(70, 20)
        await until(pilot, lambda: "the screen needs 80×24, this terminal has 70×20" in picture(app))
        assert "No key works here." in picture(app)
        assert "Without a screen: `tradedeck halt`, `tradedeck flatten --all`" in picture(app)
        await pilot.press("4", "A", "b", "H")  # what nobody sees does nothing
        assert isinstance(app.screen, SmallScreen)
        await pilot.resize_terminal(75, 20)
        await until(pilot, lambda: "has 75×20" in picture(app) and "`tradedeck halt`" in picture(app))
        assert not app.armed
        assert not app.trade.ticket.open
        assert app.here is app.trade
        await pilot.resize_terminal(80, 24)
        await until(pilot, lambda: "spread" in picture(app))
        await pilot.press("4")
        await until(pilot, lambda: "drawdown" in picture(app))
