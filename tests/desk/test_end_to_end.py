"""The whole house as processes: started, traded with, killed, restarted, stopped."""

import os
import signal
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path

from desk.paths import Role
from desk.roles import services
from tests.desk.conftest import ALWAYS, Desk

PERP = "BINANCE-FUTURES:PERPETUAL:BTC-USDT@LIN"
SPOT = "BINANCE-SPOT:SPOT_PAIR:ETH-USDT"


def test_the_main_job_from_the_first_start_to_the_last_stop(desk: Desk) -> None:
    demo = desk.demo(first=True)
    assert desk.home.config.read_text().startswith("# tradedeck's settings")
    before = desk.json("status")
    assert (before["mode"], before["state"], before["positions"], before["orders"]) == ("paper", "ACTIVE", [], [])
    assert Decimal(before["equity"]) == 100_000
    assert len(before["feeds"]) == 8

    bought = desk.json("order", "buy", "BTC-USDT.P", "0.01")
    assert (bought["status"], bought["filled"]) == ("FILLED", "0.01")
    held = desk.json("positions")
    assert [(item["instrument"], item["quantity"]) for item in held] == [(PERP, "0.01")]
    assert desk.json("fills")[-1]["client_order_id"] == bought["client_order_id"]

    refused = desk.json("stop", code=3)
    assert refused["open"] == [PERP]
    assert desk.json("flatten", "BTC-USDT.P")["flat"]
    assert desk.json("positions") == []
    after = desk.json("status")
    assert Decimal(after["fees"]) > 0
    assert Decimal(after["equity"]) < 100_000

    assert before["sentinel"]["holds"] == ""
    assert desk.json("stop")["stopped"] == ["sentinel", "engine", "recorder", "market"]
    assert demo.wait(120) == 0
    assert not any(services.running(desk.home, role) for role in Role)
    assert desk.run("status").returncode == 4


def test_kill_9_of_the_engine_loses_nothing(desk: Desk) -> None:
    desk.demo()
    bought = desk.json("order", "buy", "BTC-USDT.P", "0.02")
    resting = desk.rest()
    before = desk.json("status")

    os.kill(desk.pid(Role.ENGINE), signal.SIGKILL)
    desk.wait(lambda: services.running(desk.home, Role.ENGINE) is None, "the engine is gone")
    assert desk.run("status").returncode == 4
    services.start(desk.home, Role.ENGINE, timeout=120)
    desk.wait(desk.ready, "the engine agrees with the market again")

    after = desk.json("status")
    assert after["run"] == before["run"] + 1
    assert [(item["instrument"], item["quantity"], item["entry_price"]) for item in after["positions"]] == [
        (item["instrument"], item["quantity"], item["entry_price"]) for item in before["positions"]
    ]
    assert [item["client_order_id"] for item in after["orders"]] == [resting["client_order_id"]]
    assert after["fees"] == before["fees"]
    assert {item["client_order_id"] for item in desk.json("fills")} == {bought["client_order_id"]}
    new = desk.json("order", "buy", "ETH-USDT.P", "0.1")["client_order_id"]
    assert new not in {bought["client_order_id"], resting["client_order_id"]}
    assert "sound" in desk.ok("journal", "check")


def test_an_entry_is_protected_through_a_kill_9_of_the_engine(desk: Desk) -> None:
    desk.demo()
    far = f"{desk.bid() * 0.9:.0f}"
    higher = f"{desk.bid() * 1.1:.0f}:0.5"
    entry = desk.json("order", "buy", "BTC-USDT.P", "0.02", "--stop-loss", far, "--take-profit", higher)
    assert (entry["stop_loss"], len(entry["take_profit"])) == ({"price": far, "trail": None}, 1)

    def stop() -> dict[str, object]:
        return next((one for one in desk.json("orders") if one["parent"] == entry["client_order_id"]), {})

    desk.wait(lambda: stop().get("status") == "ACCEPTED" and stop()["quantity"] == "0.02", "the stop rests")
    os.kill(desk.pid(Role.ENGINE), signal.SIGKILL)
    desk.wait(lambda: services.running(desk.home, Role.ENGINE) is None, "the engine is gone")
    services.start(desk.home, Role.ENGINE, timeout=120)
    desk.wait(desk.ready, "the engine agrees with the market again")
    assert (stop()["status"], stop()["quantity"], stop()["type"]) == ("ACCEPTED", "0.02", "STOP")
    desk.json("order", "sell", "BTC-USDT.P", "0.02")
    desk.wait(lambda: not stop(), "the stop goes with its position")


def test_orders_fill_at_the_market_while_no_engine_runs(desk: Desk) -> None:
    desk.demo()
    limit = f"{desk.bid():.1f}"
    desk.run("order", "buy", "BTC-USDT.P", "0.01", "--limit", limit, "--post-only", "--wait", "0")
    (sent,) = desk.json("orders", "--all")  # resting, filled, or refused because the market fell meanwhile
    os.kill(desk.pid(Role.ENGINE), signal.SIGKILL)
    desk.wait(lambda: services.running(desk.home, Role.ENGINE) is None, "the engine is gone")
    time.sleep(1.0)
    services.start(desk.home, Role.ENGINE, timeout=120)
    desk.wait(desk.ready, "the engine agrees with the market again")

    def agree() -> bool:
        (order,) = desk.json("orders", "--all")
        filled = sum((Decimal(item["quantity"]) for item in desk.json("positions")), Decimal(0))
        assert order["client_order_id"] == sent["client_order_id"]
        return Decimal(order["filled"]) == filled

    # Whether it filled is the market's affair; that order and position agree is ours. It may fill between the looks.
    desk.wait(agree, "order and position agree")


def test_a_second_engine_is_refused_and_named(desk: Desk) -> None:
    desk.demo()
    done = desk.run("engine")
    assert done.returncode == 1
    assert f"another engine (pid {desk.pid(Role.ENGINE)}) holds this data directory" in done.stderr
    assert desk.json("status")["state"] == "ACTIVE"


def test_roles_live_in_sessions_of_their_own_and_outlive_their_starter(desk: Desk) -> None:
    demo = desk.demo()
    pids = [desk.pid(role) for role in ALWAYS]
    assert [os.getsid(pid) for pid in pids] == pids
    demo.kill()
    demo.wait()
    for pid in pids:
        os.kill(pid, signal.SIGHUP)  # what a closing terminal sends
    time.sleep(0.5)
    assert desk.json("status")["state"] == "ACTIVE"
    assert desk.json("stop")["stopped"] == ["engine", "recorder", "market"]


def test_ending_the_headless_demo_ends_what_it_started_and_keeps_positions(desk: Desk) -> None:
    demo = desk.demo()
    desk.json("order", "buy", SPOT, "0.5")
    held = desk.json("positions")
    demo.send_signal(signal.SIGTERM)
    assert demo.wait(120) == 0
    assert [services.running(desk.home, role) for role in Role] == [None] * len(Role)
    desk.demo()
    again = desk.json("positions")
    assert [(item["instrument"], item["quantity"]) for item in again] == [
        ("BINANCE-SPOT:SPOT_ASSET:ETH", held[0]["quantity"])
    ]
    assert desk.json("stop", "--leave")["stopped"] == ["engine", "recorder", "market"]


def test_two_homes_stand_side_by_side(desk: Desk, tmp_path: Path) -> None:
    other = Desk(tmp_path / "other")
    try:
        desk.demo()
        other.demo("--seed", "7")
        desk.json("order", "buy", "BTC-USDT.P", "0.01")
        assert len(desk.json("positions")) == 1
        assert other.json("positions") == []
    finally:
        other.end()


def test_a_home_with_a_long_path_works(tmp_path: Path) -> None:
    desk = Desk(tmp_path / ("x" * 100) / "home")
    try:
        desk.demo()
        assert desk.json("order", "buy", "BTC-USDT.P", "0.01")["status"] == "FILLED"
        assert desk.json("stop", "--flatten")["stopped"] == ["engine", "recorder", "market"]
    finally:
        desk.end()
        link = desk.home.reach
        if link.is_symlink():
            link.unlink()
            link.parent.rmdir()


def test_another_market_than_the_running_one_is_refused(running: Desk, tmp_path: Path) -> None:
    done = running.run("demo", "--headless", "--seed", "99")
    assert done.returncode == 1
    assert "runs already (built-in market, seed 1), and built-in market, seed 99 was asked for" in done.stderr


def test_without_a_terminal_the_same_market_comes_as_plain_lines(running: Desk) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "desk", "demo"],
        env=running.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        assert process.stderr.readline().startswith("stdin is not a terminal")
        assert " / " in process.stdout.readline()
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=120)
    assert running.json("status")["state"] == "ACTIVE"  # it started nothing, so it ended nothing
