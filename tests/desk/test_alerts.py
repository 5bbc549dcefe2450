"""Alerts from the command line, with the engine as a process, a real web hook and a restart."""

import json
import os
import re
import signal
from pathlib import Path

from desk.paths import Home, Role
from desk.roles import services
from tests.core.notify.servers import Server, closed_port
from tests.desk.conftest import Desk

TARGETS = """
[alerts.targets.phone]
kind = "ntfy"
url = "http://127.0.0.1:{first}/topic"
secret = "phone"
second = "hook"

[alerts.targets.hook]
kind = "webhook"
url = "http://127.0.0.1:{second}/x"
"""
TEXT = "tok-9f3a77"


def with_targets(home: Home, first: int, second: int) -> None:
    """Write settings with two targets, and the secret of one."""
    from core.config.settings import Settings
    from core.config.writing import render

    home.create()
    home.config.write_text(render(Settings()) + TARGETS.format(first=first, second=second))
    home.secrets.write_text(f'[alerts]\nphone = "{TEXT}"\n')
    home.secrets.chmod(0o600)


def test_rules_are_added_listed_and_removed(running: Desk) -> None:
    made = running.json("alert", "add", "BTC-USDT.P", "above", "9000000", "--note", "the moon", "--again")
    assert made["id"].startswith("a")
    assert (made["kind"], made["side"], made["value"], made["again"]) == ("price", "above", "9000000", True)
    loss = running.json("alert", "add", "account", "below", "-200000", "--profit")
    assert (loss["kind"], loss["instrument"], loss["value"]) == ("profit", None, "-200000")
    shown = running.ok("alerts")
    assert f"{made['id']:<4}  BTC-USDT.P price above 9000000, every time – the moon" in shown
    running.ok("alert", "add", "BTC-USDT.P", "above", "9000001", "--replace", made["id"])
    assert {rule["id"]: rule["value"] for rule in running.json("alerts")["rules"]}[made["id"]] == "9000001"
    for rule in (made["id"], loss["id"]):
        assert running.ok("alert", "remove", rule) == f"{rule} is removed\n"
    assert running.json("alerts")["rules"] == []


def test_what_cannot_be_is_refused_in_words(running: Desk) -> None:
    for code, words, said in (
        (1, ("add", "BTC-USDT.P", "above", "1"), "already; choose another bound"),
        (1, ("remove", "a999"), "alert rule a999 is not known; tradedeck alerts lists them"),
        (1, ("ack", "999"), "alert 999 is not known"),
        (2, ("add", "BTC-USDT.P", "over", "1"), 'the side must be above or below (got "over")'),
        (2, ("add", "BTC-USDT.P", "above", "x"), 'the value must be a number (got "x")'),
        (2, ("add", "NOPE-USDT", "above", "1"), "or a listed symbol"),
        (2, ("add", "account", "above", "1"), "the account has no price"),
        (2, ("add", "BTC-USDT.P", "above", "0.1", "--drawdown"), "--drawdown is the account's"),
        (2, ("ack",), "name one of: the number of an alert, --all"),
        (2, ("ack", "x"), 'an alert has a number such as 17 (got "x")'),
        (2, ("mute", "fils"), 'no kind of alert is "fils"; there are: price,'),
        (2, ("mute", "fill", "--for", "long"), "--for must be a length"),
    ):
        done = running.run("alert", *words)
        assert (done.returncode, said in done.stderr) == (code, True), (words, done.returncode, done.stderr)


def test_a_fill_is_listed_acknowledged_and_muted(running: Desk) -> None:
    running.ok("order", "buy", "BTC-USDT.P", "0.01", "--wait", "15")
    try:
        found = [alert for alert in running.json("alerts")["alerts"] if alert["kind"] == "fill"]
        assert re.match(r"bought 0\.01 BTC-USDT\.P at \d", found[0]["text"])
        running.ok("alert", "ack", str(found[0]["number"]))
        assert found[0]["number"] not in [alert["number"] for alert in running.json("alerts")["alerts"]]
        seen = {alert["number"]: alert for alert in running.json("alerts", "--all")["alerts"]}[found[0]["number"]]
        assert seen["acknowledged_ns"]
        assert seen["by"]
        running.ok("alert", "mute", "fill", "--for", "1h")
        assert [item["kind"] for item in running.json("alerts")["muted"]] == ["fill"]
    finally:
        running.ok("flatten", "--all")
    assert "fill" not in {alert["kind"] for alert in running.json("alerts")["alerts"]}
    running.ok("alert", "mute", "fill", "--off")
    assert running.json("alerts")["muted"] == []
    running.ok("alert", "ack", "--all")
    assert running.ok("alerts").startswith("no alert waits\n")


def test_an_alert_leaves_by_the_second_target_while_the_first_is_away(desk: Desk) -> None:
    with Server() as hook:
        with_targets(desk.home, closed_port(), hook.port)
        desk.demo()
        desk.ok("alert", "mute", "gap", "--for", "1d")
        desk.ok("order", "buy", "BTC-USDT.P", "0.01", "--wait", "15")
        texts: list[str] = []

        def arrived() -> bool:
            texts[:] = [one["text"] for request in hook.requests for one in request.json["alerts"]]
            return any(text.startswith("bought 0.01 BTC-USDT.P at ") for text in texts)

        desk.wait(arrived, "the fill comes to the second target")
        targets = {item["name"]: item for item in desk.json("alerts")["targets"]}
        assert "refused" in targets["phone"]["trouble"]
        assert targets["hook"]["trouble"] is None
        status = desk.json("status")
        assert status["journal"] == "ok"
    everything = "".join(path.read_text(errors="replace") for path in (desk.home.root / "logs").glob("*"))
    everything += desk.ok("journal", "export") + json.dumps(targets) + "".join(texts)
    assert TEXT not in everything


def test_rules_and_alerts_survive_a_killed_engine(desk: Desk) -> None:
    desk.demo()
    rule = desk.json("alert", "add", "BTC-USDT.P", "above", "9000000")["id"]
    desk.ok("order", "buy", "BTC-USDT.P", "0.01", "--wait", "15")
    before = desk.json("alerts", "--all")
    fill = next(alert for alert in before["alerts"] if alert["kind"] == "fill")
    desk.ok("alert", "ack", str(fill["number"]))
    os.kill(desk.pid(Role.ENGINE), signal.SIGKILL)
    desk.wait(lambda: services.running(desk.home, Role.ENGINE) is None, "the engine is gone")
    services.start(desk.home, Role.ENGINE)
    after = desk.json("alerts", "--all")
    assert [item["id"] for item in after["rules"]] == [rule]
    again = next(alert for alert in after["alerts"] if alert["number"] == fill["number"])
    assert (again["text"], again["raised_ns"]) == (fill["text"], fill["raised_ns"])
    assert again["acknowledged_ns"]


def test_an_engine_does_not_start_with_a_secret_that_others_can_read(desk: Desk) -> None:
    with_targets(desk.home, 1, 2)
    desk.home.secrets.chmod(0o644)
    done = desk.run("engine")
    assert done.returncode == 1
    assert f"secrets.toml can be read by others (mode 0644); run: chmod 600 {desk.home.secrets}" in done.stderr
    findings = desk.run("doctor").stdout
    assert "chmod 600" in findings
    assert TEXT not in findings + done.stderr
    desk.home.secrets.chmod(0o600)
    assert "go to phone, hook" in desk.run("doctor").stdout


def test_the_secrets_stand_in_the_home(tmp_path: Path) -> None:
    assert Home(tmp_path).secrets == tmp_path / "secrets.toml"
