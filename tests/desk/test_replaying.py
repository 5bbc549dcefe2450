"""A whole tape at full speed against a file of orders."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.desk.conftest import Desk
from tests.generate.tapes import Generated, generate

PERP = "BINANCE-FUTURES:PERPETUAL:BTC-USDT@LIN"
KEYS = {"events", "trades", "volume", "gaps", "fills", "positions", "cash", "digest"}


def write_orders(path: Path, *lines: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def market_order(name: str, ts_ns: int, side: str, quantity: str) -> dict[str, Any]:
    return {
        "ts_ns": ts_ns, "action": "submit", "client_order_id": name, "instrument": PERP, "side": side,
        "quantity": quantity, "type": "MARKET",
    }  # fmt: skip


def value(answer: Any, side: str) -> Decimal:
    fills = [fill for fill in answer["fills"] if fill["side"] == side]
    return sum((Decimal(fill["quantity"]) * Decimal(fill["price"]) for fill in fills), Decimal(0))


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "home")


@pytest.fixture
def generated() -> Generated:
    return generate(steps=200)


def test_the_answer_counts_what_is_on_the_tape(desk: Desk, generated: Generated, tmp_path: Path) -> None:
    answer = desk.json("replay", str(generated.write(tmp_path / "usdm.xz")))
    assert answer.keys() >= KEYS
    assert answer["trades"] == generated.truth.trades
    assert Decimal(answer["volume"][PERP]) == generated.truth.volume
    assert (answer["gaps"], answer["fills"], answer["positions"]) == (0, [], [])
    assert next(iter(answer["clock_offset_ms"].values())) == pytest.approx(1270, abs=1)


def test_a_gap_in_the_tape_is_counted(desk: Desk, tmp_path: Path) -> None:
    tape = generate(steps=100, gap_at=50).write(tmp_path / "usdm.txt")
    assert desk.json("replay", str(tape))["gaps"] == 1


def test_orders_fill_and_the_same_run_gives_the_same_digest(desk: Desk, generated: Generated, tmp_path: Path) -> None:
    tape = str(generated.write(tmp_path / "usdm.txt"))
    bare = desk.json("replay", tape)
    middle = (bare["first_ts_ns"] + bare["last_ts_ns"]) // 2
    rest = market_order("far", middle + 2, "SELL", "0.01") | {"type": "LIMIT", "price": "90000"}
    orders = write_orders(
        tmp_path / "orders.jsonl",
        market_order("in", middle, "BUY", "0.02"),
        rest,
        {"ts_ns": middle + 500_000_000, "action": "cancel", "client_order_id": "far"},
        market_order("out", middle + 1_000_000_000, "SELL", "0.01"),
        market_order("much", middle + 2_000_000_000, "BUY", "500"),
    )
    answer = desk.json("replay", tape, "--orders", str(orders))
    statuses = {order["client_order_id"]: order["status"] for order in answer["orders"]}
    assert statuses == {"in": "FILLED", "far": "CANCELLED", "out": "FILLED", "much": "DENIED"}
    assert sum(Decimal(fill["quantity"]) for fill in answer["fills"] if fill["client_order_id"] == "in") == Decimal(
        "0.02"
    )
    assert [(item["instrument"], item["quantity"]) for item in answer["positions"]] == [(PERP, "0.01")]
    spent = Decimal(100_000) - Decimal(answer["cash"]["BINANCE-FUTURES"]["USDT"])
    fees = sum((Decimal(fill["fee"]) for fill in answer["fills"]), Decimal(0))
    assert spent == fees + value(answer, "BUY") / 2 - value(answer, "SELL")
    assert desk.json("replay", tape, "--orders", str(orders))["digest"] == answer["digest"] != bare["digest"]


def test_a_changed_tape_changes_the_digest(desk: Desk, tmp_path: Path) -> None:
    one = generate(steps=50, seed=1).write(tmp_path / "usdm-1.txt")
    two = generate(steps=50, seed=2).write(tmp_path / "usdm-2.txt")
    assert desk.json("replay", str(one))["digest"] != desk.json("replay", str(two))["digest"]


def test_people_get_lines(desk: Desk, generated: Generated, tmp_path: Path) -> None:
    said = desk.ok("replay", str(generated.write(tmp_path / "usdm.gz")))
    assert f"{generated.truth.trades} trades, 0 gaps" in said


def test_the_recorded_tape_replays_whole(recorded_data: Path, desk: Desk, tmp_path: Path) -> None:
    tape = recorded_data / "l2" / "binance-usdm-btcusdt-20240808.xz"
    orders = write_orders(tmp_path / "orders.jsonl", market_order("in", 1_723_161_300_000_000_000, "BUY", "0.01"))
    answer = desk.json("replay", str(tape), "--orders", str(orders))
    assert answer["gaps"] == 0
    assert answer["trades"] > 20_000
    assert [fill["client_order_id"] for fill in answer["fills"]] == ["in"]
    assert Decimal(answer["fills"][0]["price"]) == pytest.approx(Decimal(61_700), rel=Decimal("0.01"))
