"""Every command against a running workstation, through the real command line."""

import csv
import io
import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from desk.paths import Role
from desk.research.configs import opened, settings_of
from desk.research.drifting import drift_of
from desk.roles import services
from tests.desk.conftest import Desk
from tests.store.configs import config

PERP = "BINANCE-FUTURES:PERPETUAL:BTC-USDT@LIN"
STATUS_TIMES = 8
"""Four times is usual; a screen, a database or numpy among the imports costs more than as much again."""


def test_the_status_is_the_contract(running: Desk) -> None:
    answer = running.json("status")
    assert {"mode", "state", "equity", "day_pnl", "realised_pnl", "fees", "funding", "drawdown"} <= answer.keys()
    for key in ("equity", "day_pnl", "realised_pnl", "unrealised_pnl", "fees", "funding", "gross", "net"):
        assert isinstance(answer[key], str), key
        Decimal(answer[key])
    assert isinstance(answer["drawdown"], int | float)
    feed = answer["feeds"][0]
    assert {"venue", "instrument", "age_ms", "gaps", "clock_offset_ms"} <= feed.keys()
    assert isinstance(feed["age_ms"], int)


def test_the_status_costs_little_more_than_python_itself(running: Desk) -> None:
    def seconds(run: Callable[[], object]) -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        run()
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime

    bare = [sys.executable, "-c", "import asyncio, decimal, json"]
    pairs = [
        (seconds(lambda: running.ok("status")), seconds(lambda: subprocess.run(bare, check=True))) for _ in range(5)
    ]
    # Processor time beside that of a bare interpreter, the best of some: how fast the machine is does not count.
    ours, theirs = (min(times) for times in zip(*pairs, strict=True))
    assert ours <= STATUS_TIMES * theirs, f"{ours:.3f} s against {theirs:.3f} s"


def test_a_resting_order_is_listed_amended_and_cancelled(running: Desk) -> None:
    order = running.rest()
    assert (order["status"], order["filled"], order["type"]) == ("ACCEPTED", "0", "LIMIT")
    listed = running.json("orders")
    assert [item["client_order_id"] for item in listed] == [order["client_order_id"]]
    assert {"client_order_id", "instrument", "side", "quantity", "filled", "price", "status"} <= listed[0].keys()
    assert isinstance(listed[0]["price"], str)

    lower = f"{Decimal(order['price']) - 100}"
    amended = running.json("amend", order["client_order_id"], "--limit", lower, "--quantity", "0.02")
    assert (amended["price"], amended["quantity"], amended["status"]) == (lower, "0.02", "ACCEPTED")
    refused = running.json("amend", order["client_order_id"], "--quantity", "900", code=3)
    assert set(refused) == {"client_order_id", "status", "limit", "value", "bound", "reason", "setting"}
    assert (refused["client_order_id"], refused["status"]) == (order["client_order_id"], None)
    assert refused["limit"] == "max_order_notional"
    assert refused["value"].replace(" ", "") > refused["bound"] != ""
    assert refused["setting"].startswith("config.toml:")
    assert refused["reason"].startswith("refused: notional")
    cancelled = running.json("cancel", order["client_order_id"])
    assert cancelled["status"] == "CANCELLED"
    assert running.json("orders") == []
    assert order["client_order_id"] in [item["client_order_id"] for item in running.json("orders", "--all")]


def test_a_change_that_the_venue_refuses_is_an_error_and_is_forgotten_with_the_next(running: Desk) -> None:
    bid = running.bid()
    far, nearer, beyond = (f"{bid * factor:.0f}" for factor in (0.8, 0.81, 1.2))
    stop = running.json("order", "sell", "BTC-USDT.P", "0.01", "--stop", far, "--wait", "0")["client_order_id"]
    running.wait(lambda: [one["status"] for one in running.json("orders")] == ["ACCEPTED"], "the stop rests")
    refused = running.answered("amend", stop, "--stop", beyond, code=1)
    assert "refused the change: would trigger at once" in refused.stderr
    assert f"its stop stays {far}" in refused.stderr
    assert refused.stdout == ""
    assert "refused the change" in running.json("amend", stop, "--stop", beyond, code=1)["error"]
    amended = running.json("amend", stop, "--stop", nearer)
    assert (amended["trigger"], amended["status"], amended["reason"]) == (nearer, "ACCEPTED", "")
    running.ok("cancel", stop)


def test_cancel_all_ends_every_order(running: Desk) -> None:
    sent = {running.rest()["client_order_id"]}
    time.sleep(0.4)  # the same order at once would be taken for a double click
    sent.add(running.rest()["client_order_id"])
    answer = running.json("cancel", "--all")
    assert {item["client_order_id"] for item in answer["orders"]} == sent
    assert {item["status"] for item in answer["orders"]} == {"CANCELLED"}
    assert running.json("cancel", "--all") == {"orders": []}


def test_an_instruction_is_carried_out_once_however_often_it_is_sent(running: Desk) -> None:
    first = running.json("order", "buy", "ETH-USDT.P", "0.1", "--operation-id", "mine-1")
    again = running.json("order", "buy", "ETH-USDT.P", "0.1", "--operation-id", "mine-1")
    assert again["client_order_id"] == first["client_order_id"]
    other = running.json("order", "buy", "ETH-USDT.P", "0.2", "--operation-id", "mine-1", code=3)
    assert "this instruction was taken before; nothing sent" in other["reason"]
    assert [item["quantity"] for item in running.json("positions")] == ["0.1"]
    assert running.json("flatten", "--all")["flat"]


def test_an_instruction_whose_order_was_changed_since_is_known_again(running: Desk) -> None:
    sent = running.rest("--operation-id", "mine-2")
    price = running.json("amend", sent["client_order_id"], "--quantity", "0.02")["price"]
    words = ("--limit", price, "--operation-id", "mine-2", "--wait", "0")
    again = running.json("order", "buy", "BTC-USDT.P", "0.01", *words)
    assert again["client_order_id"] == sent["client_order_id"]
    assert running.json("cancel", "--all")["orders"]


def test_a_refusal_names_limit_value_bound_and_setting(running: Desk) -> None:
    answer = running.json("order", "buy", "BTC-USDT.P", "10", code=3)
    assert answer["status"] == "DENIED"
    assert answer["limit"] == "max_order_notional"
    assert answer["client_order_id"]
    line = int(answer["setting"].partition(":")[2])
    assert running.home.config.read_text().splitlines()[line - 1].startswith("max_order_notional_frac")
    assert f"({answer['setting']})" in answer["reason"]
    assert Decimal(answer["value"]) > Decimal(answer["bound"]) > 0
    assert re.fullmatch(r"\d+(\.\d+)?", answer["value"]), answer["value"]
    assert re.fullmatch(r"\d+(\.\d+)?", answer["bound"]), answer["bound"]


def test_halt_lets_exits_pass_and_nothing_else_until_the_word_is_typed(running: Desk) -> None:
    running.json("order", "buy", "LTC-USDT.P", "1")
    assert running.json("halt", "--reason", "lunch") == {"state": "HALTED", "reason": "lunch"}
    try:
        assert running.json("status")["state_reason"] == "lunch"
        assert running.json("order", "buy", "LTC-USDT.P", "1", code=3)["limit"] == "trading_state"
        assert running.json("flatten", "LTC-USDT.P")["flat"]
        assert running.json("resume", "--word", "resume", code=3)["state"] == "HALTED"
        assert running.run("resume", stdin="please\n").returncode == 3
        assert running.json("status")["state"] == "HALTED"
    finally:
        done = running.run("resume", stdin="RESUME\n")
    assert done.returncode == 0
    assert running.json("status")["state"] == "ACTIVE"


def test_the_word_that_nothing_is_held_may_be_an_option(running: Desk) -> None:
    untouched = ("reconcile", "flat", "ETH-USDT.P", "--word")
    wrong = running.run(*untouched, "flat", stdin="FLAT\n")
    assert (wrong.returncode, "takes the typed word FLAT" in wrong.stderr) == (3, True), wrong.stderr
    heard = running.run(*untouched, "FLAT")
    assert (heard.returncode, "and nothing is being closed" in heard.stderr) == (3, True), heard.stderr


def test_fills_are_told_as_json_and_as_csv(running: Desk) -> None:
    running.json("order", "buy", "BTC-USDT.P", "0.01")
    running.json("flatten", "--all")
    told = running.json("fills")
    rows = list(csv.DictReader(io.StringIO(running.ok("fills", "--csv"))))
    assert [row["fill_id"] for row in rows] == [item["fill_id"] for item in told]
    assert rows[-1]["price"] == told[-1]["price"]
    assert running.json("fills", "--since", "2000-01-01") == told
    assert running.json("fills", "--since", "2199-01-01") == []
    assert len(running.json("fills", "--limit", "1")) == 1


def test_the_risk_of_the_book_is_told(running: Desk) -> None:
    running.json("order", "buy", "BTC-USDT.P", "0.01")
    answer = running.json("risk")
    assert Decimal(answer["equity"]) > 0
    falls = {one["scenario"]: one for one in answer["scenarios"] if one["scenario"].startswith("all down")}
    assert list(falls) == ["all down 10%", "all down 20%", "all down 30%"]
    losses = [Decimal(one["loss"]) for one in falls.values()]
    assert 0 < losses[0] < losses[1] < losses[2]
    assert [one["verdict"] for one in answer["tests"]] == ["too few days"] * 2
    assert answer["effective_bets"] == 1.0
    shown = running.run("risk").stdout
    assert "all down 30%" in shown
    assert "forecasts at 95%: too few days" in shown
    assert "BTC" in answer["missing"] or answer["value_at_risk"]


def test_instruments_are_listed_with_their_contracts(running: Desk) -> None:
    listed = {item["symbol"]: item for item in running.json("instruments")}
    assert set(listed) == {f"{base}-USDT{mark}" for base in ("BTC", "ETH", "XRP", "LTC") for mark in ("", ".P")}
    assert listed["BTC-USDT.P"]["instrument"] == PERP
    assert Decimal(listed["BTC-USDT.P"]["tick_size"]) == Decimal("0.1")


def test_watch_tells_prices_orders_and_the_account(running: Desk) -> None:
    def kinds() -> set[str]:
        return {json.loads(line)["kind"] for line in running.ok("watch", "--for", "0.5", "--json").splitlines()}

    running.wait(lambda: kinds() >= {"price", "account"}, "prices and the account are told")
    assert " / " in running.ok("watch", "BTC-USDT.P", "--for", "0.2")


def test_a_reader_that_goes_away_ends_the_watch_quietly(running: Desk) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "desk", "watch", "--every", "0.1"],
        env=running.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        running.json("order", "buy", "XRP-USDT.P", "10")
        running.json("flatten", "--all")
        assert process.wait(120) == 1  # as shells expect of a writer whose reader has gone
        assert process.stderr.read() == ""


def test_the_journal_is_checked_exported_and_backed_up_while_the_engine_writes(running: Desk, tmp_path: Path) -> None:
    assert running.json("journal", "check")["damage"] is None
    events = [json.loads(line)["event"] for line in running.ok("journal", "export").splitlines()]
    assert events[0] == "EngineStarted"
    assert running.ok("journal", "export", "--csv").startswith("sequence,ts,event")
    backup = tmp_path / "copy.sqlite"
    assert running.json("journal", "backup", str(backup))["records"] >= len(events)
    assert running.run("journal", "backup", str(backup)).returncode == 1
    refused = running.run("journal", "restore", str(backup))
    assert refused.returncode == 1
    assert f"another engine (pid {running.pid(Role.ENGINE)}) holds this data directory" in refused.stderr

    other = Desk(tmp_path / "other")
    assert other.json("journal", "restore", str(backup))["set_aside"] is None
    assert other.json("journal", "check")["damage"] is None


def test_recorded_ticks_are_asked_while_they_are_written(running: Desk, tmp_path: Path) -> None:
    question = "SELECT instrument, count(*) AS rows FROM quotes GROUP BY 1 ORDER BY 1"
    running.wait(lambda: len(running.json("ticks", "sql", question)) == 8, "quotes of every instrument are recorded")
    assert all(item["rows"] > 0 for item in running.json("ticks", "sql", question))
    assert running.ok("ticks", "sql", "SELECT count(*) AS n FROM trades", "--csv").startswith("n\n")
    running.wait(lambda: bool(running.json("ticks", "days")), "a day is recorded")
    days = running.json("ticks", "days")
    assert days[0]["rows"] > 0
    written = running.json("ticks", "export", str(tmp_path / "out"), "--day", days[0]["day"])["written"]
    assert written
    assert all(Path(path).stat().st_size for path in written)
    assert running.run("ticks", "sql", "DROP TABLE trades").returncode == 1


def test_the_doctor_finds_a_running_house_well(running: Desk) -> None:
    findings = {item["name"]: item for item in running.json("doctor")}
    assert {findings[name]["verdict"] for name in ("python", "config", "journal", "market", "engine", "recorder")} == {
        "ok"
    }
    assert findings["BINANCE-FUTURES"]["detail"] == "ready"


def test_what_is_promoted_reaches_the_running_engine(running: Desk) -> None:
    """Of a home that had no PostgreSQL until now, and whose server is killed in between."""
    log = running.home.log(Role.ENGINE)
    assert "configs" not in {item["name"] for item in running.json("doctor")}
    with opened(running.home, settings_of(running.home), create=True) as store:
        store.promote(config(), 0, "me")
    running.wait(lambda: "config='rsi_ema v1' status='active'" in log.read_text(), "the engine was given v1")
    running.wait(lambda: drift_of(running.home)[1].startswith("rsi_ema v1"), "the drift check tells of it")
    findings = {item["name"]: item for item in running.json("doctor")}
    assert findings["configs"]["detail"] == f"1 active in the PostgreSQL of {running.home.postgres}"
    assert findings["home"]["verdict"] == "ok"
    os.kill(int((running.home.postgres / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)
    assert running.json("configs", "retire", "rsi_ema", "--yes")["version"] == 2
    running.wait(lambda: "config='rsi_ema v2' status='history'" in log.read_text(), "the engine was given v2")
    running.wait(lambda: running.json("status")["configs"] == "", "the engine hears")
    assert running.json("configs", "ls")["configs"][0]["status"] == "history"


def test_the_doctor_names_readable_secrets_and_a_broken_config(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    secrets = tmp_path / "secrets.toml"
    secrets.write_text("")
    secrets.chmod(0o644)
    desk.home.config.write_text("[x]\n")
    findings = {item["name"]: item for item in desk.json("doctor", code=1)}
    assert findings["secrets"]["detail"] == "secrets.toml can be read by others (mode 0644); expected mode 0600"
    assert findings["secrets"]["advice"] == f"chmod 600 {secrets}"
    assert findings["config"]["verdict"] == "wrong"


@pytest.mark.parametrize(
    "words",
    [
        ("status",), ("positions",), ("orders",), ("fills",), ("instruments",), ("watch",), ("cancel", "--all"),
        ("order", "buy", "BTC-USDT.P", "1"), ("flatten", "--all"), ("halt",), ("resume", "--word", "RESUME"),
        ("reconcile", "flat", "BTC-USDT.P", "--word", "FLAT"),
    ],
)  # fmt: skip
def test_without_an_engine_every_command_says_so(tmp_path: Path, words: tuple[str, ...]) -> None:
    desk = Desk(tmp_path / "nobody")
    done = desk.run(*words, "--json")
    assert done.returncode == 4
    assert f"start what is missing with: tradedeck --home {desk.home.root}" in json.loads(done.stdout)["error"]
    assert done.stderr.startswith("tradedeck: no engine answers at ")


def test_the_home_may_be_named_before_or_behind_the_command(running: Desk, tmp_path: Path) -> None:
    elsewhere = Desk(tmp_path / "nobody")
    assert elsewhere.run("--home", str(running.home.root), "status").returncode == 0
    assert elsewhere.run("status", "--home", str(running.home.root)).returncode == 0


def test_the_status_loads_nothing_heavy(running: Desk, tmp_path: Path) -> None:
    code = (
        "import sys; sys.argv = ['tradedeck', 'status', '--json']\n"
        "from desk.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], env=running.environment, capture_output=True, text=True)
    loaded = set(eval(done.stdout.splitlines()[-1]))
    assert "core" in loaded, done.stderr
    assert not loaded & {"textual", "duckdb", "numpy", "pandas", "sqlite3", "uvloop", "plotext", "aiohttp", "pyarrow"}


def test_every_name_that_is_printed_stands_in_the_guide(running: Desk) -> None:
    page = (Path(__file__).parents[2] / "docs" / "guide" / "json.md").read_text()
    running.json("order", "buy", "XRP-USDT.P", "10")
    answers = [
        running.json(*words.split()) for words in ("status", "positions", "orders --all", "fills", "instruments")
    ]
    answers += [running.json("doctor"), running.json("journal", "check"), running.json("flatten", "--all")]
    answers.append(running.json("risk"))
    missing = {name for answer in answers for name in names(answer) if f"`{name}`" not in page}
    assert not missing


def names(answer: Any) -> set[str]:
    """Return every key of an answer, inner ones too; the keys of tables by instrument or venue are not names."""
    if isinstance(answer, list):
        return set().union(*(names(item) for item in answer))
    if not isinstance(answer, dict):
        return set()
    inner = set().union(*(names(value) for value in answer.values()))
    return inner | {key for key in answer if key.islower()}


@pytest.mark.parametrize("role", [Role.ENGINE, Role.MARKET])
def test_no_database_and_no_screen_lives_in_engine_or_market(running: Desk, role: Role) -> None:
    maps = Path(f"/proc/{running.pid(role)}/maps").read_text()
    assert "msgspec" in maps
    for library in ("duckdb", "pyarrow", "pandas", "numba", "scipy"):
        assert f"/{library}/" not in maps, library


def test_a_damaged_journal_is_named_and_no_engine_starts_on_it(desk: Desk) -> None:
    desk.demo()
    desk.json("order", "buy", "BTC-USDT.P", "0.01")
    desk.json("flatten", "--all")
    os.kill(desk.pid(Role.ENGINE), signal.SIGKILL)  # no checkpoint stands behind the damage
    desk.wait(lambda: services.running(desk.home, Role.ENGINE) is None, "the engine is gone")
    desk.damage_journal()
    assert desk.json("journal", "check", code=1)["damage"]["record"] > 0
    assert "put a backup in its place: tradedeck journal restore FILE" in desk.run("journal", "check").stderr
    started = desk.run("engine")
    assert started.returncode == 1
    assert "tradedeck: journal damaged at record" in started.stderr
    assert "trading refused" in started.stderr
    assert "Traceback" not in started.stderr
