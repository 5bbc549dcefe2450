"""The risk and the venues screen show what the engine says, and their keys act on the chosen row."""

import re
from decimal import Decimal
from pathlib import Path

import pytest

from core.domain import events as e
from core.domain import watch as w
from core.domain.approval import TradingState
from core.domain.market import SentinelStatus
from core.domain.order import Order, OrderType, Side
from core.session.protocol import LimitView
from core.state.state import State
from tests.tui.driving import buy, position, ready, until
from tests.tui.engine import BTC, House
from tests.tui.harness import picture, screen_lines
from tests.tui.pictures import LIMITS, NOW, draw, moment
from tui.app import TerminalApp
from tui.lines import plain
from tui.screens.risk import (
    RiskScreen,
    drawdown_lines,
    ladder_line,
    limit_row,
    protection_row,
    sentinel_words,
    trading_words,
)


async def test_the_narrow_risk_screen_is_the_drawing() -> None:
    _, text = await draw(80, 24, "risk")
    for words in ("max position frac       ███████████·······     61%         9.2%        15.0%",
                  "max orders per second   ████████████████▎·     90%",
                  "peak 100 535.00   now 100 412.18   drawdown 0.12%",
                  "├●──",
                  "day start 100 000.00   today ▲ +412.18", "61 200.0     100%  venue           -90.05",
                  "sentinel ♥0.4s  drill 2026-11-20: flat 0.9 s, dead 3.6 s ─┐"):  # fmt: skip
        assert words in text, words


def test_the_sentinel_says_when_it_is_gone_or_holds_the_lease() -> None:
    told = SentinelStatus(True, "", 10 * 10**9, "watches", "", 10 * 10**9)
    assert sentinel_words(None, 0) == "no sentinel"
    assert sentinel_words(told, 10_400_000_000) == "sentinel ♥0.4s"
    assert sentinel_words(told.replace(seen=0, armed=False), 0) == "no sentinel"
    assert sentinel_words(told.replace(armed=False), 10 * 10**9).endswith("not armed")
    assert sentinel_words(told.replace(ts=14 * 10**9), 14 * 10**9) == "NO SENTINEL ♥4.0s"
    held = sentinel_words(told.replace(holds="the engine is dead"), 10 * 10**9)
    assert held.endswith("HOLDS THE LEASE: the engine is dead")


def test_the_drill_is_told_with_its_date_and_its_figure_in_any_room() -> None:
    drilled = "drill 2026-11-20: breach → flat 10.9 s, dead → flat 13.6 s"
    told = SentinelStatus(True, "", 10 * 10**9, "watches", drilled, 10 * 10**9)
    now = 10_400_000_000
    assert sentinel_words(told, now).endswith(drilled)
    assert sentinel_words(told, now, 60) == "sentinel ♥0.4s  drill 2026-11-20: flat 10.9 s, dead 13.6 s"
    disarmed = told.replace(armed=False)
    assert sentinel_words(disarmed, now, 60) == "sentinel ♥0.4s not armed  drill 2026-11-20: flat 10.9 s"
    held = sentinel_words(told.replace(holds="the engine is dead, and did not come back in time"), now, 60)
    assert held == "sentinel ♥0.4s HOLDS THE LEASE: the engine is dead, and did…"
    assert len(held) == 60


def test_a_limit_warns_when_it_is_near_and_is_bad_when_it_is_met() -> None:
    styles = [limit_row(LimitView("x", used, "", "", "deny", "")).style_of(2) for used in (None, 0.79, 0.8, 1.0, 3.0)]
    assert styles == ["", "", "warn", "bad", "bad"]


def test_a_position_that_a_stop_covers_in_part_says_so() -> None:
    state = moment().state
    stop = next(record for record in state.blotter.of(BTC) if record.order.type is OrderType.STOP)
    stop.order = Order(BTC, Side.SELL, Decimal("0.050"), OrderType.STOP, trigger=Decimal("61200"), reduce_only=True)
    market = state.markets[BTC]
    row = protection_row(state, state.ledger.positions[BTC], market)
    assert row.text(3) == "33%"
    assert row.style_of(3) == "warn"
    state.blotter.open.clear()
    row = protection_row(state, state.ledger.positions[BTC], market)
    assert (row.text(2), row.text(3), row.text(4)) == ("none", "0%", "–")
    assert row.text(5) == "-9 270.05"


def test_the_ladder_says_its_steps_and_which_one_is_in_force() -> None:
    state = moment().state
    steps = tuple(limit for limit in LIMITS if limit.name.startswith("drawdown"))
    text = plain(ladder_line(state, steps))
    assert text == " steps 5.0% hold 0.5  8.0% hold 0.25  10.0% halt   none in force"
    state.apply(w.DrawdownStepped(2, Decimal("0.25"), Decimal(40_000), 1))
    assert plain(ladder_line(state, steps)).endswith("10.0% halt   in force: 2, at most 10 000.00 held")
    assert plain(ladder_line(moment().state, ())) == " steps none  none in force"


def test_the_scale_shows_where_the_account_stands() -> None:
    state = moment().state
    places = []
    for equity in (100_535.0, 90_481.5, 80_428.0, 50_000.0):
        line = plain(drawdown_lines(state, equity, 80)[1])
        assert len(line) <= 80
        places.append(line.index("●"))
    assert places[0] == 3
    assert places[0] < places[1] < places[2]
    assert places[3] == places[2]


async def test_the_narrow_venues_screen_shows_connections_and_feeds() -> None:
    _, text = await draw(80, 24, "venues")
    for words in (" ready       agrees 12s      4/4    1.4s        –        –│",
                  " ready       agrees 12s      4/4    0.2s   8.1 ms  14.2 ms│", "BINANCE-FUTURES  ",
                  "│~ BTC-USDT    BINANCE-SPOT     live        1.4s", "feeds  8 of 8 live"):  # fmt: skip
        assert words in text, words


LOOSER = (
    e.SettingChange("max_gross_frac", "2.0", "4.0", True),
    e.SettingChange("max_order_notional_frac", "0.10", "0.25", True),
)
REASON = (
    "halted by hand, for the feed of the futures venue was silent twice this morning and nobody knows why yet; " * 2
)


def halted(state: State, reason: str = REASON) -> State:
    state.apply(e.TradingStateChanged(TradingState.HALTED, "ann", "terminal", reason, NOW))
    return state


def test_what_trading_is_stands_before_why() -> None:
    state = moment().state
    assert trading_words(state, 65) == "ACTIVE"
    halted(state, "halted by hand")
    assert trading_words(state, 65) == "HALTED: halted by hand"
    state.apply(w.LooserLimitsHeldBack(LOOSER, NOW))
    assert trading_words(state, 65) == "HALTED  2 held back (tradedeck loosen): halted by hand"
    state.apply(e.GuardianSettingsChanged(LOOSER[:1], "ann", "config.toml", NOW))
    state.apply(w.LooserLimitsHeldBack(LOOSER, NOW))
    named = "HALTED  2 held back (tradedeck loosen)  LOOSENED max_gross_frac 2.0 → 4.0: halted by hand"
    assert trading_words(state, 200) == named
    counted = "HALTED  2 held back (tradedeck loosen)  LOOSENED 1: halted by hand"
    assert trading_words(state, 66) == counted, "where there is no room for both the names give way to the reason"
    assert trading_words(halted(state, ""), 65) == "HALTED  2 held back (tradedeck loosen)  LOOSENED 1", (
        "no half of a name"
    )
    halted(state)
    words = trading_words(state, 65)
    assert len(words) == 65
    assert words.startswith("HALTED  2 held back (tradedeck loosen)  LOOSENED 1: halted")
    assert words.endswith("…")


@pytest.mark.parametrize("size", [(80, 24), (120, 30), (160, 45), (200, 50)])
async def test_what_is_held_back_loosened_and_halted_stands_in_the_frame(size: tuple[int, int]) -> None:
    feed = moment()
    feed.state.apply(e.GuardianSettingsChanged(LOOSER, "ann", "config.toml", NOW))
    feed.state.apply(w.LooserLimitsHeldBack(LOOSER, NOW))
    halted(feed.state)
    app = TerminalApp(Path("/nowhere"), feed=feed, wall=lambda: NOW)
    async with app.run_test(size=size) as pilot:
        await pilot.pause(0.3)
        app.action_screen("risk")
        await pilot.pause(0.2)
        words = r"limits ─+ HALTED  2 held back \(tradedeck loosen\)  LOOSENED (2|max_gross_frac 2.0 → 4.0, .*): halted"
        await until(pilot, lambda: re.search(words, screen_lines(app)[2]) is not None)


@pytest.mark.parametrize(("height", "shown", "protected"), [(50, 19, 3), (45, 14, 3), (36, 5, 3), (60, 21, 11)])
async def test_the_wide_screen_shares_its_height(height: int, shown: int, protected: int) -> None:
    feed = moment()
    feed.limits = tuple(LimitView(f"limit_{n}", 0.1, "1", "10", "deny", "") for n in range(19))
    app = TerminalApp(Path("/nowhere"), feed=feed, wall=lambda: NOW)
    async with app.run_test(size=(200, height)) as pilot:
        await pilot.pause(0.3)
        app.action_screen("risk")
        await pilot.pause(0.2)
        await until(pilot, lambda: "limit 0 " in picture(app))
        screen = app.deck["risk"]
        assert isinstance(screen, RiskScreen)
        assert (screen.limits.content_size.height - 1, screen.protection.content_size.height - 1) == (shown, protected)
        more = f"↓ {19 - shown} more"
        await until(pilot, lambda: (more in picture(app)) if shown < 19 else "limit 18" in picture(app))


async def test_both_follow_a_running_engine(house: House) -> None:
    app = TerminalApp(house.socket)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(app, pilot)
        await buy(app, pilot)
        await until(pilot, lambda: position(house) == 0.05)
        await pilot.press("5")
        await until(pilot, lambda: re.search(r"BINANCE-FUTURES +ready .* ms .* ms", picture(app)) is not None)
        await pilot.press("4")
        await until(pilot, lambda: "covered" in picture(app) and "+0.050       none       0%" in picture(app))
        await pilot.press("tab", "f")
        await until(pilot, lambda: "SELL 0.050 BTC-USDT.P MARKET  reduce-only" in picture(app))
        await pilot.pause(0.35)
        await pilot.press("y")
        await until(pilot, lambda: position(house) == 0.0)
        await until(pilot, lambda: "flat: nothing to protect" in picture(app))
