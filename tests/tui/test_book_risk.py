"""The risk screen's panes for the whole book: drawn as meant, reachable where there is no room, fed by the engine."""

from decimal import Decimal
from pathlib import Path

import msgspec

from core.domain import events as e
from core.domain import watch as w
from core.domain.risk import StressResult, VarFigures, VarTest
from tests.tui.driving import buy, position, ready, until
from tests.tui.engine import House
from tests.tui.harness import picture
from tests.tui.pictures import NOW, RISK, draw, moment
from tui.app import TerminalApp
from tui.lines import plain
from tui.widgets.book_risk import risk_lines, stress_rows


async def test_value_at_risk_and_stress_stand_side_by_side() -> None:
    _, text = await draw(200, 50, "risk")
    line = next(line for line in text.splitlines() if "historical" in line)
    for words in ("318.20    470.11    603.55    748.90", "all down 10%", "-926.10     -0.9%  –"):
        assert words in line, words
    for words in ("value at risk, one day", "forecasts at 99% too many losses   5 losses beyond in 120 days",
                  "p by Kupiec 0.010   by Christoffersen 0.520", "effective bets 1.00",
                  "-49.9%  LIQUIDATES BINANCE-FUTURES USDT, max position, max gross"):  # fmt: skip
        assert words in text, words
    assert all(len(row) == 200 for row in text.splitlines())


async def test_both_are_reached_by_tab_in_a_narrow_terminal() -> None:
    app = TerminalApp(Path("/nowhere"), feed=moment(), wall=lambda: NOW)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause(0.3)
        app.action_screen("risk")
        await pilot.pause(0.2)
        await until(pilot, lambda: "protection" in picture(app))
        assert "value at risk" not in picture(app)
        await pilot.press("tab", "tab", "tab")
        await until(pilot, lambda: "historical           318.20    470.11    603.55    748.90" in picture(app))
        assert "drawdown" not in picture(app).split("value at risk")[1]
        await pilot.press("tab")
        await until(pilot, lambda: "all down 30%" in picture(app) and "LIQUIDATES" in picture(app))
        assert all(len(row) == 80 for row in picture(app).splitlines())
        await pilot.press("tab")
        await until(pilot, lambda: "drawdown" in picture(app))


def test_what_is_not_known_is_said() -> None:
    assert "nothing is known yet" in plain(risk_lines(None, 70)[0])
    assert "not connected: gone" in plain(risk_lines(None, 70, "not connected: gone")[0])
    bare = msgspec.structs.replace(RISK, figures=(), missing=("XRP",), effective_bets=None)
    words = "\n".join(plain(line) for line in risk_lines(bare, 70))
    assert "no history yet: nothing can be said" in words
    assert "without history, not counted: XRP" in words
    assert "effective bets" not in words


def test_a_method_that_could_not_be_used_is_marked() -> None:
    zero = Decimal(0)
    odd = VarFigures("Cornish-Fisher", zero, zero, zero, zero, "historical shown")
    words = [plain(line) for line in risk_lines(msgspec.structs.replace(RISK, figures=(odd,)), 70)]
    assert words[1].startswith(" Cornish-Fisher*")
    assert words[2] == " * historical shown"


def test_a_verdict_has_its_colour() -> None:
    def style(test: VarTest) -> str:
        return risk_lines(msgspec.structs.replace(RISK, figures=(), tests=(test,), effective_bets=None), 70)[2][1][1]

    assert style(VarTest(0.95, 99, 5, 0.5, 0.5, 0.5, "good")) == "ok"
    assert style(VarTest(0.95, 99, 20, 0.0, 0.5, 0.0, "too many losses")) == "bad"
    assert style(VarTest(0.95, 9, 0, None, None, None, "too few days")) == "dim"


def test_a_scenario_is_bad_when_it_costs_a_tenth_or_an_account() -> None:
    def style(loss: str, frac: float, liquidated: tuple[str, ...] = ()) -> str:
        return stress_rows([StressResult("x", Decimal(loss), frac, (), liquidated)])[0].style_of(1)

    assert [style("99", 0.099), style("100", 0.10), style("-5", -0.05)] == ["loss", "bad", ""]
    assert style("10", 0.01, ("BINANCE-FUTURES USDT",)) == "bad"


async def test_a_loosened_limit_stands_in_the_title() -> None:
    feed = moment()
    change = e.SettingChange("max_gross_frac", "2.0", "4.0", True)
    feed.state.apply(e.GuardianSettingsChanged((change,), "ann", "config.toml", NOW))
    app = TerminalApp(Path("/nowhere"), feed=feed, wall=lambda: NOW)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause(0.3)
        app.action_screen("risk")
        await pilot.pause(0.2)
        await until(pilot, lambda: "LOOSENED max_gross_frac 2.0 → 4.0" in picture(app))
        feed.state.apply(w.LooserLimitsHeldBack((change,), NOW))
        await until(pilot, lambda: "ACTIVE  1 held back (tradedeck loosen)" in picture(app))


async def test_a_running_engine_is_asked(house: House) -> None:
    app = TerminalApp(house.socket)
    async with app.run_test(size=(200, 50)) as pilot:
        await ready(app, pilot)
        await buy(app, pilot)
        await until(pilot, lambda: position(house) == 0.05)
        await pilot.press("4")
        await until(pilot, lambda: "all down 30%" in picture(app) and "effective bets 1.00" in picture(app))
        screen = app.screen
        risk = screen.risk  # type: ignore[attr-defined]
        equity = house.runtime.engine.state.equity
        assert float(risk.equity) > 0.9 * equity
        first = risk.scenarios[0]
        gross = house.runtime.engine.state.ledger.exposure()[0]
        assert 0.05 * gross < float(first.loss) < 0.2 * gross
