"""The drift check: what it says of live strategies, when it fails, and where it is seen."""

from decimal import Decimal
from pathlib import Path

import pytest

from core.config.file import load_or_create
from core.domain.identifiers import InstrumentId
from core.session.strategies import AccountView, StrategyView
from desk.paths import Home
from desk.research import drifting
from desk.research.chores import Did, carry_out
from desk.research.drifting import judged
from desk.research.scheduling import listed, rows, show
from research.scheduler import Job, Schedule

BTC = InstrumentId("BINANCE-FUTURES:PERPETUAL:BTC-USDT@LIN")
ETH = InstrumentId("BINANCE-FUTURES:PERPETUAL:ETH-USDT@LIN")
ZERO = Decimal(0)


def account(profit_bps: float, instrument: InstrumentId = BTC, *, matched: int = 3, note: str = "") -> AccountView:
    money = (Decimal(1000), Decimal(1000), ZERO, ZERO, ZERO, ZERO, ZERO, ZERO)
    return AccountView(instrument, *money, matched, 0, matched, int(matched > 0), 0, 1.25, profit_bps, note)


def strategy(id_: str, *accounts: AccountView, state: str = "runs", reason: str = "") -> StrategyView:
    return StrategyView(id_, 2, state, 1, reason, accounts)


def test_each_strategy_has_a_line_and_who_is_beyond_stands_first() -> None:
    views = [
        strategy("calm", account(-50.0), account(0.0, ETH, matched=0, note="trading is HALTED: not entered")),
        strategy("next", state="waits", reason="no room"),
        strategy("astray", account(12.0), account(-50.1, ETH)),
    ]
    ok, words = judged(views, 50.0)
    assert not ok
    assert words.splitlines() == [
        "astray v2: BTC-USDT.P +12.0 bps of its capital, 3 trades alike, 1 missed, 0 extra, entries +1.2 bps; "
        "ETH-USDT.P -50.1 bps of its capital, BEYOND the bound of 50, 3 trades alike, 1 missed, 0 extra, "
        "entries +1.2 bps",
        "calm v2: BTC-USDT.P -50.0 bps of its capital, 3 trades alike, 1 missed, 0 extra, entries +1.2 bps; "
        "ETH-USDT.P no trade to compare yet, trading is HALTED: not entered",
        "next v2 waits: no room",
    ]


@pytest.mark.parametrize(
    ("profit_bps", "bound", "ok"),
    [(50.0, 50.0, True), (50.1, 50.0, False), (-50.1, 50.0, False), (float("nan"), 50.0, False), (9e9, 0.0, True)],
)
def test_the_bound_holds_both_ways_and_zero_is_none(profit_bps: float, bound: float, ok: bool) -> None:
    assert judged([strategy("one", account(profit_bps))], bound)[0] is ok


def test_without_an_engine_or_a_strategy_nothing_drifts(tmp_path: Path) -> None:
    home = Home(tmp_path).create()
    assert carry_out(str(home.root), "drift", 0) == Did(True, "no engine runs: nothing was compared")
    assert judged([], 50.0) == (True, "no strategy runs")


def test_the_bound_is_that_of_the_alerts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = Home(tmp_path).create()
    status = type("Status", (), {"strategies": (strategy("one", account(60.0)),)})()
    monkeypatch.setattr(drifting, "talk", lambda *_: status)
    assert not carry_out(str(home.root), "drift", 0).ok
    load_or_create(home.config)
    text = home.config.read_text()
    assert "\ndivergence_bps = 50.0" in text
    home.config.write_text(text.replace("\ndivergence_bps = 50.0", "\ndivergence_bps = 70.0"))
    assert carry_out(str(home.root), "drift", 0).ok


def test_its_lines_stand_below_each_other_and_on_the_screen_in_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = Home(tmp_path).create()
    schedule = Schedule(home.schedule)
    schedule.put("drift", "hourly")
    schedule.owe("drift")
    schedule.done(schedule.owed()[0], "astray v2: far\ncalm v2: near", ok=False)
    show(listed(schedule))
    header, first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("drift check  hourly")
    assert first.endswith("FAILED: astray v2: far")
    assert second.index("calm v2: near") == header.index("result")
    (row,) = rows(home, schedule, [Job("drift", "hourly", 1)], "")
    assert (row.id, row.state.value, row.reason) == ("drift check", "failed", "failed: astray v2: far; calm v2: near")
