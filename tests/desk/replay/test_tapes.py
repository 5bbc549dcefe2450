"""The workstation on a tape: what is on it can be traded, and its end is said."""

import os
import signal
import time
from pathlib import Path

import pytest

from desk.paths import Role
from desk.roles import services
from tests.desk.conftest import START_SECONDS, Desk
from tests.generate.tapes import generate

STEP_SECONDS = 0.0305
"""What one step of a generated tape takes on average."""
PERP = "BINANCE-FUTURES:PERPETUAL:BTC-USDT@LIN"
INVERSE = "BINANCE-COINM:PERPETUAL:BTC-USD@INV"


def test_a_tape_is_traded_and_at_its_end_it_says_so(desk: Desk, tmp_path: Path) -> None:
    began = time.monotonic()
    desk.demo("--tape", str(generate(steps=10_000).write(tmp_path / "usdm-1.xz")))  # five minutes: more than is needed
    took = time.monotonic() - began
    assert {item["instrument"] for item in desk.json("instruments")} == {PERP}
    desk.json("order", "buy", "BTC-USDT.P", "0.01")
    assert [item["quantity"] for item in desk.json("positions")] == ["0.01"]
    desk.json("stop", "--leave")
    # Another one, which ends soon after the workstation trades on it: how long that takes is the machine's affair.
    steps = int((2 * took + 6) / STEP_SECONDS)
    desk.demo("--tape", str(generate(steps=steps).write(tmp_path / "usdm-2.xz")))
    assert [item["quantity"] for item in desk.json("positions")] == ["0.01"]
    desk.wait(lambda: desk.json("status")["feeds"][0]["health"] == "down", "the tape has ended", 3 * START_SECONDS)
    refused = desk.json("order", "buy", "BTC-USDT.P", "0.02", code=3)
    assert refused["limit"] == "stale_after"


def test_a_looped_tape_goes_on(desk: Desk, tmp_path: Path) -> None:
    tape = generate(steps=60).write(tmp_path / "usdm.txt")  # about two seconds
    desk.demo("--tape", str(tape), "--loop")

    def prints() -> int:
        rows = desk.json("ticks", "sql", "SELECT count(*) AS n FROM trades")
        return int(rows[0]["n"])

    once = generate(steps=60).truth.trades
    desk.wait(lambda: prints() > 2 * once, "the tape has come round twice")


def test_a_recorded_day_is_a_tape_like_any_other(desk: Desk) -> None:
    desk.demo()
    desk.wait(lambda: bool(desk.json("ticks", "days")), "something is recorded")
    day = desk.json("ticks", "days")[0]["day"]
    desk.wait(lambda: desk.json("ticks", "sql", "SELECT count(*) AS n FROM trades")[0]["n"] > 50, "50 prints")
    desk.ok("stop")
    answer = desk.json("replay", day)
    assert answer["trades"] == desk.json("ticks", "sql", "SELECT count(*) AS n FROM trades")[0]["n"]
    assert answer["gaps"] == 0


def test_the_recorded_inverse_tape_opens_its_own_account(recorded_data: Path, desk: Desk) -> None:
    desk.demo("--tape", str(recorded_data / "l2" / "binance-coinm-btcusd-20240809.xz"))
    assert "BINANCE-COINM" in desk.json("status")["venues"]
    assert desk.json("order", "buy", "BINANCE-COINM:PERPETUAL:BTC-USD@INV", "1")["status"] == "FILLED"


def test_a_market_started_again_with_another_tape_is_learnt_by_the_running_engine(desk: Desk, tmp_path: Path) -> None:
    desk.demo("--tape", str(generate(steps=60).write(tmp_path / "usdm.txt")), "--loop")
    assert set(desk.json("status")["venues"]) == {"BINANCE-SPOT", "BINANCE-FUTURES"}
    engine = desk.pid(Role.ENGINE)
    os.kill(desk.pid(Role.MARKET), signal.SIGTERM)
    desk.wait(lambda: services.running(desk.home, Role.MARKET) is None, "the market has ended")
    desk.spawn("market", "--tape", str(generate("coinm", steps=60).write(tmp_path / "coinm.txt")), "--loop")
    desk.wait(lambda: "BINANCE-COINM" in desk.json("status")["venues"] and desk.ready(), "the new account is known")
    desk.wait(lambda: INVERSE in {item["instrument"] for item in desk.json("instruments")}, "its contract is known")
    desk.wait(lambda: desk.run("order", "buy", INVERSE, "1", "--wait", "15").returncode == 0, "an order fills")
    assert [item["instrument"] for item in desk.json("positions")] == [INVERSE]
    assert desk.pid(Role.ENGINE) == engine


@pytest.mark.parametrize("name", ["binance-usdm-btcusdt-20240808.xz", "binance-spot-btcusdt-20240809.xz"])
def test_the_recorded_tapes_are_traded(recorded_data: Path, desk: Desk, name: str) -> None:
    desk.demo("--tape", str(recorded_data / "l2" / name))
    symbol = "BTC-USDT.P" if "usdm" in name else "BTC-USDT"
    assert desk.json("order", "buy", symbol, "0.01")["status"] == "FILLED"
    assert desk.json("flatten", "--all")["flat"]
