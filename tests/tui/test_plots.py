"""Plots: what they show of what is there, what they say where nothing is, and how they hold up."""

import asyncio
import math

import pytest

from core.domain import market as m
from core.domain.identifiers import InstrumentId
from core.state.curve import HOUR_NS, MINUTE_NS, EquityPoint
from tests.tui.driving import ready, until
from tests.tui.engine import BTC, House
from tests.tui.harness import Harness, picture
from tests.tui.pictures import CURVE, NOW, draw, moment
from tui import plots
from tui.app import TerminalApp
from tui.format import width_of
from tui.lines import Line, plain
from tui.screens.depth import DepthScreen, depth_lines, steps
from tui.widgets import plot
from tui.widgets.curve import curve_lines
from tui.widgets.plot import PlotPane


def text_of(lines: list[Line]) -> list[str]:
    return [plain(line) for line in lines]


def columns(lines: list[Line], style: str) -> set[int]:
    """Give the columns in which something is drawn with a style."""
    found = set()
    for line in lines:
        x = 0
        for text, classes in line:
            if classes == style:
                found |= {x + i for i, letter in enumerate(text) if letter not in " ⠀"}
            x += len(text)
    return found


def test_a_plot_fills_its_room_and_keeps_each_series_in_its_style() -> None:
    series = [plots.Series((0, 5, 10), (0, 5, 10), "bid"), plots.Series((10, 15, 20), (10, 5, 0), "ask")]
    for width, height in ((40, 8), (150, 30), (17, 3)):
        lines = plots.plot_lines(
            series, width, height, x=(0, 20), y=(0, 10), x_ticks=[(0, "a"), (20, "b")], y_ticks=[(0, "0")]
        )
        assert len(lines) == height
        assert all(width_of(plain(line)) == width for line in lines)
    lines = plots.plot_lines(series, 40, 8, x=(0, 20), y=(0, 10))
    assert max(columns(lines, "bid")) <= min(columns(lines, "ask")) + 1
    assert plots.plot_lines(series, 15, 8, x=(0, 20), y=(0, 10)) == []
    assert plots.plot_lines(series, 40, 2, x=(0, 20), y=(0, 10)) == []


def test_a_hole_stays_empty_and_extremes_survive_thinning() -> None:
    ys = [1.0] * 10 + [math.nan] * 20 + [2.0] * 10
    assert [len(xs) for xs, _ in plots.pieces(plots.Series(range(40), ys), 400)] == [10, 10]
    lines = plots.plot_lines([plots.Series(range(40), ys, "bid")], 40, 6, x=(0, 39), y=(0, 3))
    drawn = columns(lines, "bid")
    assert not drawn & set(range(12, 28))
    assert {5, 35} <= drawn
    many = [0.0] * 9_000
    many[4_321], many[7_000] = 50.0, -50.0
    ((xs, thin),) = plots.pieces(plots.Series(range(9_000), many), 200)
    assert len(thin) <= 204
    assert (max(thin), min(thin)) == (50.0, -50.0)
    assert xs == sorted(xs)


def test_axes_have_round_values_and_the_times_of_their_ends() -> None:
    assert [words for _, words in plots.value_ticks(99_480, 100_560, 3)] == ["99 500", "100 000", "100 500"]
    assert [words for _, words in plots.value_ticks(-0.012, 0.0, 3, scale=100)] == ["-1.0", "-0.5", "0.0"]
    assert plots.value_ticks(1, 1, 3) == ()
    day = NOW / 1e9
    assert [words for _, words in plots.time_ticks(day - 3600, day, 3)] == ["13:32", "14:02", "14:32"]
    assert [words for _, words in plots.time_ticks(day - 86_400 * 30, day, 2)] == ["22 Oct", "21 Nov"]
    assert plots.bounds([math.nan]) is None


def test_an_account_without_a_history_says_so() -> None:
    assert "no curve yet" in text_of(curve_lines((), 80, 12, hours=False, local=False))[0]
    one = curve_lines((EquityPoint(NOW, 100412.18, 0.0),), 80, 12, hours=False, local=False)
    assert text_of(one) == [" one point so far: 100 412.18 at 14:32:07".ljust(80)]
    never = [EquityPoint(NOW + i * MINUTE_NS, 100.0 + i, 0.0) for i in range(5)]
    assert "no drawdown" in "\n".join(text_of(curve_lines(never, 80, 12, hours=False, local=False)))
    assert len(curve_lines(never, 80, 4, hours=False, local=False)) == 4


def test_the_curve_has_a_hole_where_nobody_looked_and_its_two_plots_share_their_times() -> None:
    lines = curve_lines(CURVE, 100, 18, hours=False, local=False)
    assert len(lines) == 18
    axes = [text.index(mark) for text in text_of(lines) for mark in "┤" if mark in text]
    assert len(set(axes)) == 1
    hole = range(axes[0] + 1 + round(92 * 0.58), axes[0] + 1 + round(92 * 0.65))
    assert not columns(lines[:12], "") & set(hole)
    assert columns(lines[12:], "loss")
    assert not columns(lines[12:], "loss") & set(hole)
    hourly = [EquityPoint(NOW + i * HOUR_NS, 100.0 - i, i / 100) for i in range(9)]
    by_hours = columns(curve_lines(hourly, 60, 6, hours=True, local=False), "")
    assert len(by_hours) > 40, "an hour between two points is no hole among hours"


async def test_the_wide_risk_screen_draws_equity_and_drawdown() -> None:
    _, text = await draw(200, 50, "risk")
    for words in ("equity  24 h by minutes", "100 500┤", "04:32", "14:32 "):
        assert words in text, words
    assert "0.0%┤" in text, "both ends of the drawdown are named"
    assert "-0.5%┤" in text
    assert "hold 0.25" in text
    assert "no curve yet" in (await draw(200, 50, "risk", "empty"))[1]


async def test_the_account_is_drawn_from_a_running_engine_and_the_span_changes(house: House) -> None:
    for ago in range(300, 0, -1):
        house.state.curve.minutes.appendleft(EquityPoint(NOW - (300 - ago) * MINUTE_NS, 100_000.0 + ago, 0.001))
    app = TerminalApp(house.socket)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(app, pilot)
        await pilot.press("4", "tab", "tab")
        await until(pilot, lambda: "equity  24 h by minutes" in picture(app) and "100 200┤" in picture(app))
        await pilot.press("v")
        await until(pilot, lambda: "one point so far" in picture(app) and "a year by hours" in picture(app))


# --- depth ------------------------------------------------------------------------------------------------------------


def test_depth_sums_outward_from_the_spread() -> None:
    assert steps([(100.0, 2.0), (99.0, 3.0)]) == ([100.0, 100.0, 99.0, 99.0], [0.0, 2.0, 2.0, 5.0])
    market = moment().state.markets[BTC]
    lines = depth_lines(market, 80, 20)
    assert len(lines) == 20
    assert all(width_of(plain(line)) == 80 for line in lines)
    assert max(columns(lines, "bid")) < min(columns(lines, "ask"))
    bids, _ = market.book.top(60)
    assert plain(lines[0]).startswith(f" bids {sum(size for _, size in bids):.2f} on 30 levels · asks ")


def test_a_book_with_one_side_or_none_is_shown_as_it_is() -> None:
    state = moment().state
    market = state.markets[BTC]
    state.apply(m.BookSnapshot(BTC, ((100.0, 2.0), (99.0, 1.0)), (), 2, False, NOW, NOW))
    lines = depth_lines(market, 80, 10)
    assert "no asks · 100% of the size is bid" in plain(lines[0])
    assert not columns(lines, "ask")
    state.apply(m.BookSnapshot(BTC, (), (), 3, False, NOW, NOW))
    assert "no book is known" in plain(depth_lines(market, 80, 10)[0])
    assert "no book is known" in plain(depth_lines(None, 80, 10)[0])


async def test_the_depth_of_the_chosen_instrument_is_a_key_away(house: House) -> None:
    app = TerminalApp(house.socket)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(app, pilot)
        await pilot.press("D")
        await until(pilot, lambda: isinstance(app.screen, DepthScreen) and "of the size is bid" in picture(app))
        first = picture(app)
        assert "depth  BTC-USDT.P" in first
        await until(pilot, lambda: picture(app) != first)
        await pilot.press("escape")
        await until(pilot, lambda: "spread" in picture(app))
        app.trade.choose(InstrumentId("BINANCE-SPOT:SPOT_PAIR:ETH-USDT"))
        await pilot.press("D")
        await until(pilot, lambda: "depth  ETH-USDT " in picture(app) and "on 0 levels" not in picture(app))


# --- the pane ---------------------------------------------------------------------------------------------------------


async def test_a_plot_is_drawn_at_most_once_a_second_however_often_it_is_wanted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [1_000.0]
    monkeypatch.setattr(plot, "clock", lambda: now[0])
    drawn: list[tuple[int, int]] = []

    def drawing(width: int, height: int) -> list[Line]:
        drawn.append((width, height))
        return [((f"picture {len(drawn)}", ""),)]

    pane = PlotPane("plot", drawing=drawing)
    async with Harness(pane).run_test(size=(60, 10)) as pilot:
        await pilot.pause()
        before = len(drawn)
        for _ in range(30):
            now[0] += 0.01
            pane.want()
            await asyncio.sleep(0)
        await pilot.pause()
        assert len(drawn) == before
        now[0] += plot.EVERY_S
        pane.want()
        await until(pilot, lambda: len(drawn) > before)
        assert drawn[-1] == (58, 8)
        assert f"picture {len(drawn)}" in picture(pilot.app)  # type: ignore[arg-type]
