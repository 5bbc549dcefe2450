"""The terminal on a real engine: look, arm, buy, watch, flatten, cancel, halt, lose the link, come back."""

import asyncio
from pathlib import Path

from core.config import TerminalSettings
from core.domain.approval import TradingState
from tests.tui.driving import buy, position, ready, stage, until
from tests.tui.engine import House
from tests.tui.harness import picture, screen_lines
from tui.app import TerminalApp
from tui.confirm import Confirm, TypeWord
from tui.screens.help import HelpScreen


async def test_the_narrow_screen_shows_what_the_drawing_shows(house: House) -> None:
    app = TerminalApp(house.socket)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(app, pilot)
        await until(pilot, lambda: "guardian ♥0." in screen_lines(app)[1])
        lines = screen_lines(app)
        assert lines[0].startswith(" PAPER ACTIVE  equity 100 000.00  day ")
        assert "disarmed" in lines[1]
        assert "feeds 8/8" in lines[1]
        assert "UTC" in lines[1]
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
            assert words in picture(app), words


async def test_buying_needs_arming_and_the_ticket_says_what_it_does(house: House) -> None:
    app = TerminalApp(house.socket)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(app, pilot)
        await pilot.press("b")
        await until(pilot, lambda: "notional" in app.trade.ticket.text)
        assert "not armed: A then Enter sends" in picture(app)
        await pilot.press("enter")
        await pilot.pause(0.3)
        assert "not armed: A arms, then Enter sends" in app.trade.ticket.text.replace("\n ", " ")
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
        assert "entry" in app.trade.position.text
        await pilot.press("A")  # flattening works disarmed
        await pilot.press("f")
        await pilot.pause()
        assert isinstance(app.screen, Confirm)
        assert "SELL 0.050 BTC-USDT.P MARKET  reduce-only" in picture(app)
        await pilot.press("enter")
        await pilot.pause(0.35)
        assert position(house) == 0.05
        await pilot.press("y")
        await until(pilot, lambda: position(house) == 0.0)
        await until(pilot, lambda: "flat" in app.trade.position.text)


async def test_a_resting_order_is_shown_moved_and_cancelled(house: House) -> None:
    app = TerminalApp(house.socket)
    async with app.run_test(size=(200, 50)) as pilot:
        await ready(app, pilot)
        await pilot.press(*["right_square_bracket"] * 5, "o", *["j"] * 6)  # far from the market: it must not fill
        price = app.trade.ladder.cursor_price
        await pilot.press("A")
        await pilot.pause(0.35)
        await pilot.press("b", *"0.05")
        await pilot.pause(0.35)
        await pilot.press("enter")
        await until(pilot, lambda: len(house.state.blotter.open) == 1)
        record = next(iter(house.state.blotter.open.values()))
        assert float(record.order.price or 0) == price
        await until(pilot, lambda: "+0.050" in app.trade.ladder.text)
        assert record.order.client_order_id in app.trade.orders.text
        await pilot.press("m", "j", "m")
        await pilot.pause(0.35)
        assert "→" in picture(app)
        await pilot.press("y")
        await until(pilot, lambda: float(record.order.price or 0) < (price or 0))
        await until(pilot, lambda: "+0.050" in app.trade.ladder.text)
        app.trade.orders.focus()
        await pilot.press("c")
        await pilot.pause(0.35)
        await pilot.press("y")
        await until(pilot, lambda: not house.state.blotter.open)
        await until(pilot, lambda: "no open orders" in app.trade.orders.text)


async def test_halt_and_resume(house: House) -> None:
    app = TerminalApp(house.socket)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(app, pilot)
        await pilot.press("H")
        await pilot.pause(0.35)
        await pilot.press("y")
        await until(pilot, lambda: house.state.trading_state is TradingState.HALTED)
        await until(pilot, lambda: "HALTED" in screen_lines(app)[0])
        await pilot.press("U")
        await pilot.pause(0.35)
        assert isinstance(app.screen, TypeWord)
        await pilot.press(*"RESUME", "enter")
        await until(pilot, lambda: house.state.trading_state is TradingState.ACTIVE)


async def test_an_old_price_sends_nothing(house: House) -> None:
    app = TerminalApp(house.socket)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(app, pilot)
        house.hub.silent = True
        await pilot.pause(1.3)
        await stage(pilot)
        await pilot.press("enter")
        await until(pilot, lambda: "s old (limit 1.0 s); order not sent" in app.trade.ticket.text.replace("\n ", " "))
        assert not house.state.blotter.orders
        await pilot.press("escape")
        await until(pilot, lambda: any(line.startswith("│›~BTC-USDT.P") for line in screen_lines(app)))


async def test_a_held_enter_sends_once(house: House) -> None:
    app = TerminalApp(house.socket)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(app, pilot)
        await pilot.press("A")
        await pilot.pause(0.35)
        await pilot.press("b", *"0.05", "up", "space")
        await pilot.pause(0.35)
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
            await pilot.pause(0.1)
            assert words in picture(app), words
            assert app.screen is app.trade


async def test_help_lists_only_what_works_and_find_changes_the_instrument(house: House) -> None:
    app = TerminalApp(house.socket)
    async with app.run_test(size=(100, 40)) as pilot:
        await ready(app, pilot)
        await pilot.press("question_mark")
        await pilot.pause()
        assert isinstance(app.screen, HelpScreen)
        assert "Keep the spread in the middle" in picture(app)
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
        assert "watch" not in picture(app)
        await pilot.press("tab", "tab")
        await pilot.pause(0.2)
        assert "orders" in screen_lines(app)[2]
        await pilot.press("tab")
        await pilot.pause(0.2)
        assert "watch" in screen_lines(app)[2]
        assert "ladder" in screen_lines(app)[2]
        await pilot.press("tab", "z")
        await pilot.pause(0.2)
        assert "ladder" not in screen_lines(app)[2]
        await pilot.press("escape")
        await pilot.pause(0.2)
        assert "ladder" in screen_lines(app)[2]


async def test_a_lost_link_is_shown_disarms_and_heals(house: House) -> None:
    app = TerminalApp(house.socket)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(app, pilot)
        await pilot.press("A")
        assert house.runtime.server is not None
        assert "ARMED" in screen_lines(app)[1]
        await house.runtime.server.stop("restarting")
        await until(pilot, lambda: "link LOST" in screen_lines(app)[1])
        await pilot.press("X")
        await pilot.pause(0.1)
        await house.runtime.server.start()
        await until(pilot, lambda: app.feed.connects == 2)
        await until(pilot, lambda: "link LOST" not in screen_lines(app)[1])
        assert "disarmed" in screen_lines(app)[1]
        await until(pilot, lambda: "spread" in picture(app))


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
        await pilot.pause(0.35)
        assert "the engine keeps running" in picture(app)
        await pilot.press("y")
        await pilot.pause(0.2)
        assert app.return_value == 0
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
        await pilot.pause(0.1)
        assert isinstance(app.screen, Confirm)


async def test_a_small_terminal_says_so_and_comes_back(house: House) -> None:
    app = TerminalApp(house.socket)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(app, pilot)
        await pilot.resize_terminal(70, 20)
        await until(pilot, lambda: "the screen needs 80×24, this terminal has 70×20" in picture(app))
        await pilot.resize_terminal(80, 24)
        await until(pilot, lambda: "spread" in picture(app))
