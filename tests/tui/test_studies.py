"""Studies and configs on the screen: filled by a researcher over the engine's socket, and honest without one."""

import math

import pytest
from msgspec.structs import replace
from textual.pilot import Pilot

from core.domain import studies as s
from core.session.frames import AskTrial, AskTrials
from tests.tui.driving import armed, asked, ready, until
from tests.tui.engine import House
from tests.tui.harness import picture, screen_lines
from tests.tui.pictures import NOW, draw
from tests.tui.research import CONFIGS, GATES, T0, TRIALS, Lab, report, studies
from tui import plots, studying
from tui.app import TerminalApp
from tui.confirm import AskText
from tui.keys import LATCH_SECONDS
from tui.lines import plain
from tui.screens.configs import provenance_lines
from tui.screens.report import (
    Reading,
    drawdowns,
    equity_lines,
    month_lines,
    pictures,
    price_lines,
    report_lines,
)
from tui.screens.studies import NO_STUDIES
from tui.trading import Nothing
from tui.viewer import Viewer

NONE = "no researcher is running: start one with `tradedeck study run FILE`"


async def test_the_narrow_studies_screen_is_the_drawing() -> None:
    _, text = await draw(80, 24, "studies")
    for words in ("› rsi-ema 4×1h        running     1 240/4 000      3/8        1.22       6 min",
                  "weekly reopt        scheduled             –        –           –      in 2 d",
                  "trials of rsi-ema 4×1h  best 5 of 1 240",
                  "›   812   1.22    2.44   48.9%  20.0%   2.0     418    0.71  0.94  0.18    7/8",
                  "655      –       –  131.0%  62.0%  10.0     120       –     –     –    LIQ",
                  "trial 812  in +44.2%  out +17.4%", "100 ▓▓▓██████◆"):  # fmt: skip
        assert words in text, words
    _, wide = await draw(200, 50, "studies")
    for words in (
        "2022-06-13 14:32  ETH-USDT.P",
        "Mon 02:00",
        "✗ deflated Sharpe          0.94 (≥ 0.95)",
        "out-of-sample",
    ):
        assert words in wide, words


async def test_without_a_researcher_both_screens_say_how_to_start_one() -> None:
    for name, words in (("studies", NO_STUDIES), ("configs", NONE)):
        for size in ((80, 24), (200, 50)):
            assert words in (await draw(*size, name, "empty"))[1]
    _, gone = await draw(80, 24, "studies", "stale")
    assert "studies  the researcher has gone 12m ago" in gone
    assert "~rsi-ema 4×1h        running     1 240/4 000      3/8        1.22           –" in gone
    assert "6 min" not in gone, "nobody knows how much is left"
    _, gone = await draw(80, 24, "configs", "stale")
    assert "~ rsi-ema v6" in gone


def test_a_trials_own_efficiency_is_named_apart_from_the_gates() -> None:
    words = [plain(line) for line in report_lines(report("a", 812), 80, 40)]
    assert sum("this window's oos/is 0.71" in line for line in words) == 1
    assert sum("walk-forward efficiency" in line for line in words) == 1
    assert max(map(len, words)) <= 80


async def test_a_report_that_does_not_come_says_why_and_is_asked_for_again(house: House) -> None:
    app, lab = TerminalApp(house.socket), Lab()
    lab.reportless = "its candles are gone"
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(app, pilot)
        researcher = await lab.open(house.socket)
        await pilot.press("6")
        await until(pilot, lambda: "its candles are gone" in picture(app) and "Enter asks again" in picture(app))
        assert "its report is asked for" not in picture(app)
        await pilot.press("enter")  # from the study to its trials
        await until(pilot, lambda: app.here.focused is not None and app.here.focused.id == "trials")
        lab.reportless = ""
        await pilot.press("enter")
        await until(pilot, lambda: "the figures of trial 812 are asked for again" in screen_lines(app)[-1])
        await until(pilot, lambda: "in +44.2%  out +17.4%" in picture(app))
        await until(pilot, lambda: "its candles are gone" not in picture(app))
        await researcher.close()


def test_a_report_shows_every_gate_on_the_smallest_screen() -> None:
    gates = tuple(s.Gate(f"gate {number}, trades shuffled", "5.1 %", "≤ 30.0 %", True) for number in range(8))
    found = replace(report("a", 812), gates=gates)
    for height in (17, 20, 22):
        words = [plain(line) for line in report_lines(found, 78, height)]
        assert len(words) == height
        assert sum("5.1 % (≤ 30.0 %) " in line for line in words) == 8
        assert max(map(len, words)) <= 78
        assert any("out-of-sample" in line for line in words)


async def test_a_researcher_fills_the_screens_and_a_trial_is_promoted(house: House) -> None:
    app, lab = TerminalApp(house.socket), Lab()
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(app, pilot)
        await pilot.press("6")
        await until(pilot, lambda: NO_STUDIES in picture(app))
        researcher = await lab.open(house.socket)
        await until(pilot, lambda: "in +44.2%  out +17.4%" in picture(app))
        assert lab.asked == [AskTrials("rsi-ema 4×1h"), AskTrial("rsi-ema 4×1h", 812)]
        await pilot.press("enter")  # from the study to its trials
        await until(pilot, lambda: app.here.focused is not None and app.here.focused.id == "trials")
        await pilot.press("p")
        await until(pilot, lambda: "not armed: A arms, then p promotes" in screen_lines(app)[-1])
        await armed(app, pilot)
        await pilot.press("p")
        await asked(app, pilot)
        for words in ("Promote trial 812: 1 gate FAILED", "instead of v6:", "rsi_window 21 → 28", "rsi_low – → 31.5",
                      "✗ deflated Sharpe 0.94 (≥ 0.95)", "✓ no liquidation 0 (0)", "gates passed 7 of 8"):  # fmt: skip
            assert words in picture(app), words
        await pilot.press("enter")
        assert not any(isinstance(work, s.PromoteTrial) for work in lab.asked)
        await pilot.press("y")
        await until(pilot, lambda: lab.asked[-1] == s.PromoteTrial("rsi-ema 4×1h", 812, 6, "terminal"))
        await until(pilot, lambda: house.state.studies.active("rsi-ema").version == 7)  # type: ignore[union-attr]
        await pilot.press("7")
        await until(pilot, lambda: "rsi-ema v7" in picture(app) and "history" in picture(app))
        await _roll_back(app, pilot, lab)
        await researcher.close()
        await until(pilot, lambda: "the researcher has gone" in picture(app) and "~ rsi-ema v6" in picture(app))
        await pilot.press("6")
        await until(pilot, lambda: "~   790" in picture(app))  # the trials that were known stay, as old
        await pilot.press("7", "G")
        await pilot.press("R")
        await asked(app, pilot)
        await pilot.press("y")
        await until(pilot, lambda: "no researcher is running: start one" in screen_lines(app)[-1])


async def _roll_back(app: TerminalApp, pilot: Pilot[int], lab: Lab) -> None:
    """Go back to version 5, after the researcher has refused once."""
    await pilot.press("g", "j", "R")
    await until(pilot, lambda: "rsi-ema v7 is active already: choose an earlier version" in screen_lines(app)[-1])
    await pilot.press("G")
    await until(pilot, lambda: "parameters rsi_window 14 · ema_long 200" in picture(app))
    await pilot.press("d")
    await until(pilot, lambda: isinstance(app.screen, Reading) and "28" in picture(app) and "→ 14" in picture(app))
    await pilot.press("escape")
    lab.refuses = "the limits do not allow leverage 1"
    await pilot.press("R")
    await asked(app, pilot)
    assert "instead of v7:" in picture(app)
    await pilot.press("y")
    await until(pilot, lambda: "Roll back to rsi-ema v5: the limits do not allow" in screen_lines(app)[-1])
    assert lab.asked[-1].version == 5
    assert lab.asked[-1].over == 7


async def test_studies_are_started_stopped_and_read(house: House) -> None:
    app, lab = TerminalApp(house.socket), Lab()
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(app, pilot)
        researcher = await lab.open(house.socket)
        await pilot.press("6")
        await until(pilot, lambda: "in +44.2%" in picture(app))
        await pilot.press("n")
        await until(pilot, lambda: "a study's name, or the whole path of its file" in picture(app))
        await pilot.press(*"a-b")
        await pilot.press("enter")
        await until(pilot, lambda: lab.asked[-1] == s.StartStudy("a-b", "terminal"))
        await pilot.press("x")
        await asked(app, pilot)
        assert "1 240/4 000 trials done; what they found stays" in picture(app)
        await pilot.press("y")
        await until(pilot, lambda: lab.asked[-1] == s.StopStudy("rsi-ema 4×1h", "terminal"))
        await _schedule(app, pilot, lab)
        await pilot.press("tab", "enter")
        await until(pilot, lambda: isinstance(app.screen, Reading) and "out-of-sample" in picture(app))
        for words in ("score 1.22  calmar 2.44", "✗ deflated Sharpe", "rsi_window 28 · ema_long 100", "0%┤"):
            assert words in picture(app), words
        await pilot.press("escape")
        await pilot.press("d")
        await until(pilot, lambda: "what trial 812 would change" in picture(app))
        await pilot.press("escape", "G")
        await until(pilot, lambda: "LIQUIDATED 2022-06-13" in picture(app))
        researcher.publish(replace(studies()[0], trials_done=1241))
        await until(pilot, lambda: lab.asked[-1] == AskTrials("rsi-ema 4×1h"))
        await researcher.close()


async def _schedule(app: TerminalApp, pilot: Pilot[int], lab: Lab) -> None:
    """Set when a study is searched anew; what the researcher refuses, and an empty line, change nothing."""
    await pilot.press("e")
    await until(pilot, lambda: isinstance(app.screen, AskText) and "off · pause · resume · now" in picture(app))
    assert "rsi-ema 4×1h by itself: when" in picture(app)
    await pilot.press("enter")
    await until(pilot, lambda: "stays as it was" in screen_lines(app)[-1])
    before = len(lab.asked)
    await until(pilot, lambda: app.screen is app.here)
    await pilot.press("e")
    await until(pilot, lambda: isinstance(app.screen, AskText) and app.screen.is_mounted)
    await pilot.press(*"Tue 03", "colon", *"00", "enter")
    await until(pilot, lambda: len(lab.asked) > before)
    assert lab.asked[-1] == s.ScheduleJob("rsi-ema 4×1h", "tue 03:00", "terminal")
    lab.refuses = "tue 03:00 is no time"
    await until(pilot, lambda: app.screen is app.here)
    await pilot.press("e")
    await until(pilot, lambda: isinstance(app.screen, AskText) and app.screen.is_mounted)
    await pilot.pause(LATCH_SECONDS + 0.05)
    await pilot.press("x", "enter")
    await until(pilot, lambda: "rsi-ema 4×1h: x: tue 03:00 is no time" in screen_lines(app)[-1])
    lab.refuses = ""


async def test_a_view_only_terminal_reads_and_sends_nothing(house: House) -> None:
    app, lab = Viewer(house.socket, view_only=True), Lab()
    async with app.run_test(size=(80, 24)) as pilot:
        researcher = await lab.open(house.socket)
        await pilot.press("6")
        await until(pilot, lambda: "in +44.2%" in picture(app))
        before = len(lab.asked)
        await pilot.press("x", "n", "e", "tab", "p", "d")
        await until(pilot, lambda: isinstance(app.screen, Reading))
        assert len(lab.asked) == before
        await researcher.close()


# --- pure -------------------------------------------------------------------------------------------------------------


def test_what_cannot_be_promoted_says_why() -> None:
    for found, words in (
        (None, "no trial is chosen"),
        (report("a", 655), "was liquidated 2022-06-13 14:32  ETH-USDT.P"),
    ):
        with pytest.raises(Nothing, match=words):
            studying.promote(found, None)
    plan = studying.promote(report("a", 1103), None)
    assert plan.title == "Promote trial 1103"
    assert plan.lines[1] == "nothing is active yet; it would run by:"
    assert plan.commands == (s.PromoteTrial("a", 1103, 0, "terminal"),)
    assert max(len(line) for line in plan.lines) <= studying.WORDS_WIDE


def test_a_plan_names_everything_that_differs_and_nothing_else() -> None:
    before, after = studying.facts(CONFIGS[1]), studying.facts(CONFIGS[0])
    assert studying.changes(before, after) == [
        ("rsi_window", "14", "21"), ("ema_long", "200", "100"), ("leverage", "1", "2"), ("max size", "5 000", "10 000"),
        ("instruments", "BTC-USDT.P", "BTC-USDT.P ETH-USDT.P"),
    ]  # fmt: skip
    assert studying.change_words(after, after) == ["nothing differs from what is active"]
    moved = studying.facts(replace(CONFIGS[0], capital=15_288.5, interval="4h", strategy="rsi_ema"))
    assert studying.changes(after, moved) == [
        ("capital", "–", "15 288.50 each"), ("interval", "–", "4h"), ("strategy", "–", "rsi_ema"),
    ]  # fmt: skip
    assert ("exit", "trail", "–") in studying.changes({**before, "exit": "trail"}, before)
    words = " ".join(studying.gate_words(GATES))
    assert words.startswith("✗ deflated Sharpe")
    assert all(gate.name in words and gate.value in words for gate in GATES)


def test_what_a_report_does_not_tell_is_never_said_to_be_equal() -> None:
    found = report("a", 1103)
    same = replace(
        CONFIGS[0], parameters=found.parameters, leverage=found.trial.leverage, capital=9_000.0, interval="1h"
    )
    plan = studying.promote(found, same)
    assert plan.lines[2] == "capital 9 000.00 each → the study's · interval 1h → the study's"
    lines = [plain(line).split() for line in studying.difference_lines(same, found, 80)]
    assert ["capital", "9", "000.00", "each", "?", "the", "study's"] in lines
    other = studying.promote(found, replace(same, strategy="donchian"))
    assert "strategy donchian → –" in " ".join(other.lines)


@pytest.mark.parametrize(
    ("margin", "count", "words"),
    [("cross", 2, "6 000.00 for all"), ("isolated", 2, "6 000.00 each"), ("cross", 1, "6 000.00")],
)
def test_the_money_a_trial_begins_with_is_told_and_whose_it_is(margin: str, count: int, words: str) -> None:
    ids = CONFIGS[0].instruments[:1] * count
    found = replace(report("a", 1103), capital=6_000.0, interval="15m", margin_mode=margin, instruments=ids)
    plan = studying.promote(found, None)
    assert [f"capital {words}", "interval 15m"] == [
        one for line in plan.lines for one in line.split(" · ") if one.startswith(("capital", "interval"))
    ]


def test_studies_that_are_over_are_not_stopped_and_nothing_is_started_without_a_file() -> None:
    running, _, _, failed = studies()
    assert studying.stop(running).commands == (s.StopStudy(running.id, "terminal"),)
    for study in (None, failed):
        with pytest.raises(Nothing):
            studying.stop(study)
    with pytest.raises(Nothing):
        studying.start("  ")
    with pytest.raises(Nothing, match="stays as it was"):
        studying.schedule(running, " ")


def test_rows_say_what_is_not_known() -> None:
    row = studying.trial_row(replace(TRIALS[0], score=None, dsr=math.nan))
    assert (row.text(1), row.text(8)) == ("–", "–")
    assert studying.remaining(None) == "–"
    assert [studying.remaining(t) for t in (0, 89, 360, 7200, 200_000)] == ["0 s", "89 s", "6 min", "2 h", "2 d"]
    odd = replace(TRIALS[4], liquidated_in="what is this")
    assert "what is this" in studying.end_of(odd)
    assert studying.told_by(False, 0, NOW) == "no researcher is running"
    assert studying.told_by(True, 5, NOW) == ""
    assert studying.study_row(studies()[2], T0, stale=False).text(5) == "in 2 d"


def test_a_report_without_a_curve_or_a_plateau_says_so() -> None:
    bare = s.TrialReport("a", "rsi", TRIALS[0])
    text = "\n".join(plain(line) for line in report_lines(bare, 76, 20))
    for words in ("no equity curve came", "no gate was looked at", "no neighbours were tried", "no parameters"):
        assert words in text, words
    flat = replace(bare, equity_in=(100.0, 100.0, 100.0))
    drawn = "".join(plain(line) for line in equity_lines(flat, 60, 8, axes=True))
    assert any("⠀" < letter <= "⣿" for letter in drawn), "a curve that does not move is a line"
    assert drawdowns((100.0, 110.0, 99.0, 120.0, 90.0, 135.0)) == pytest.approx([0, 0, -0.1, 0, -0.25, 0])


def test_the_plateau_marks_the_trial_and_leaves_what_was_not_tried_blank() -> None:
    plateau = s.Plateau("x", "y", (1.0, 2.0, 3.0), (10.0, 20.0), ((0.0, None, 1.0), (0.5, 0.2, 0.9)))
    lines = [plain(line) for line in plots.plateau_lines(plateau, {"x": 1, "y": 20.0}, 13, 5)]
    assert lines[1:] == [" 10 ···   ███", " 20 ◆  ░░░███"]
    assert all(len(line) <= 13 for line in lines)


def test_a_config_says_first_what_runs_of_its_strategy() -> None:
    lines = [
        plain(line) for line in provenance_lines(CONFIGS[0], 80, ("ema v6 runs since noon", "  flat"), local=False)
    ]
    assert lines[0].split() == ["now", "ema", "v6", "runs", "since", "noon"]
    assert lines[1].split() == ["flat"]
    assert "parameters" in lines[2]


def test_a_price_has_its_trades_where_they_were() -> None:
    whole = report("x", 812)
    points = len(whole.equity_in) + len(whole.equity_out)
    prices = tuple(100.0 + 50 * math.sin(i / 20) for i in range(points))
    held = (s.Held(10, 40, prices[10], prices[40], 5.0), s.Held(50, 60, prices[50], prices[60], -2.0))
    priced = replace(whole, prices=prices, held=held)
    lines = price_lines(priced, 100, 12)
    assert plain(lines[0]).strip() == "BTC-USDT.P: 2 trades"
    assert len(lines) == 12
    styles = {style for line in lines for text, style in line if text.strip()}
    assert {"gain", "loss", "dim"} <= styles
    assert price_lines(whole, 100, 12) == []


def test_months_stand_in_a_line_a_year() -> None:
    months = (("2024-11", 0.1), ("2024-12", -0.05), ("2024-12", 0.1), ("2025-01", 0.02))
    lines = [plain(line) for line in month_lines(replace(report("x", 812), months=months), 120)]
    assert [line.split() for line in lines] == [["2024", "+10.0", "+4.5"], ["2025", "+2.0"]]
    assert lines[0].index("+10.0") > lines[1].index("+2.0")
    assert month_lines(replace(report("x", 812), months=months), 80) == []


def test_a_tall_report_has_everything_and_keeps_its_height() -> None:
    whole = report("x", 812)
    points = len(whole.equity_in) + len(whole.equity_out)
    full = replace(whole, prices=tuple(map(float, range(1, points + 1))), months=(("2024-11", 0.1),))
    for height in (24, 37, 38, 46):
        lines = report_lines(full, 196, height)
        text = "\n".join(map(plain, lines))
        assert ("BTC-USDT.P: 0 trades" in text) == ("+10.0" in text) == (height >= 38)
        assert len(lines) <= height
    drawn = "\n".join(map(plain, pictures(full, 120, 36)))
    for words in ("in-sample", "BTC-USDT.P: 0 trades", "◆", "+10.0"):
        assert words in drawn
