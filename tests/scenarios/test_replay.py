"""Whole tapes against a file of orders, held against a reading of the raw lines that shares no code with ours."""

import json
import lzma
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pytest

from tests.generate.tapes import generate
from tests.scenarios.house import House

NS_MS = 1_000_000
ZERO = Decimal(0)
WINDOW_NS = 400 * NS_MS
"""A market order meets a price that was shown within this time of it."""


class Kind(msgspec.Struct, frozen=True):
    """One kind of tape: what trades on it, in which sizes, and where its money is."""

    market: str
    file: str
    instrument: str
    held: str
    size: str
    venue: str
    cash: str
    start: str
    contract: str = ""


KINDS = [
    Kind(
        "usdm",
        "binance-usdm-btcusdt-20240808.xz",
        "BINANCE-FUTURES:PERPETUAL:BTC-USDT@LIN",
        "BINANCE-FUTURES:PERPETUAL:BTC-USDT@LIN",
        "0.02",
        "BINANCE-FUTURES",
        "USDT",
        "100000",
    ),
    Kind(
        "spot",
        "binance-spot-btcusdt-20240809.xz",
        "BINANCE-SPOT:SPOT_PAIR:BTC-USDT",
        "BINANCE-SPOT:SPOT_ASSET:BTC",
        "0.02",
        "BINANCE-SPOT",
        "USDT",
        "100000",
    ),
    Kind(
        "coinm",
        "binance-coinm-btcusd-20240809.xz",
        "BINANCE-COINM:PERPETUAL:BTC-USD@INV",
        "BINANCE-COINM:PERPETUAL:BTC-USD@INV",
        "8",
        "BINANCE-COINM",
        "BTC",
        "1",
        contract="100",
    ),
]


class Raw:
    """What the lines of a tape say, read by hand."""

    def __init__(self, path: Path) -> None:
        self.trades = 0
        self.volume = ZERO
        self.tops: list[tuple[int, Decimal, Decimal]] = []
        self.prints: list[tuple[int, Decimal]] = []
        self.stamps: list[int] = []
        with lzma.open(path, "rt") if path.suffix == ".xz" else path.open() as file:
            for line in file:
                stamp, _, text = line.partition(" ")
                frame = json.loads(text)
                data = frame.get("data", frame)
                self.stamps.append(int(stamp))
                stream = str(frame.get("stream", ""))
                if stream.endswith("@trade"):
                    self.trades += 1
                    self.volume += Decimal(data["q"])
                    self.prints.append((int(stamp), Decimal(data["p"])))
                elif stream.endswith("@bookTicker"):
                    self.tops.append((int(stamp), Decimal(data["b"]), Decimal(data["a"])))

    def shown(self, local: int, window: int = WINDOW_NS) -> tuple[Decimal, Decimal]:
        """Return the lowest bid and the highest ask that the tape showed around a moment of its own clock."""
        near = [top for top in self.tops if local - window <= top[0] <= local + window]
        assert near, "no quote near this moment: choose another"
        return min(bid for _, bid, _ in near), max(ask for _, _, ask in near)


def order(kind: Kind, name: str, ts: int, side: str, quantity: str, **more: Any) -> dict[str, Any]:
    """Return one line of a file of orders."""
    fixed = {"ts_ns": ts, "action": "submit", "client_order_id": name, "instrument": kind.instrument, "side": side}
    return fixed | {"quantity": quantity, "type": "MARKET"} | more


def write(path: Path, lines: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def replay(house: House, tape: Path, orders: Path | None = None) -> Any:
    """Run the command and return its answer."""
    return house.json("replay", str(tape), *(["--orders", str(orders)] if orders else []))


def check(kind: Kind, tape: Path, tmp_path: Path) -> None:
    """Buy, rest, sell a part; then compare every number with the lines of the tape."""
    raw, house = Raw(tape), House(tmp_path / "home")
    bare = replay(house, tape)
    assert bare["trades"] == raw.trades
    assert Decimal(bare["volume"][kind.instrument]) == raw.volume
    offset = int(next(iter(bare["clock_offset_ms"].values())) * NS_MS)
    first, last = raw.stamps[0], raw.stamps[-1]
    buy, rest, sell = (first + (last - first) * part // 10 for part in (3, 5, 8))
    half = str(Decimal(kind.size) / 2)
    bid, _ = raw.shown(rest)
    limit = bid - abs(bid) * Decimal("0.0002")
    limit = limit.quantize(Decimal("0.1"))
    lines = [
        order(kind, "in", buy + offset, "BUY", kind.size),
        order(kind, "rest", rest + offset, "BUY", half, type="LIMIT", price=str(limit), post_only=True),
        order(kind, "out", sell + offset, "SELL", half, reduce_only=kind.market != "spot"),
    ]
    orders = write(tmp_path / "orders.jsonl", lines)
    answer = replay(house, tape, orders)
    again = replay(house, tape, orders)
    assert answer["digest"] == again["digest"] != bare["digest"]
    assert again == answer
    assert (answer["trades"], answer["gaps"]) == (raw.trades, bare["gaps"])
    fills = answer["fills"]
    check_prices(raw, fills, {"in": buy, "out": sell})
    check_rest(raw, fills, answer["orders"], rest, limit)
    check_money(kind, fills, answer)


def check_prices(raw: Raw, fills: list[Any], taken: dict[str, int]) -> None:
    """Check that what crossed the spread did so at prices that were there."""
    for name, local in taken.items():
        low, high = raw.shown(local)
        mine = [fill for fill in fills if fill["client_order_id"] == name]
        assert mine, f"{name} did not fill"
        for fill in mine:
            assert fill["liquidity"] == "TAKER"
            # A little deeper than the touch is fair: the order may be larger than what stood there.
            assert low * Decimal("0.9995") <= Decimal(fill["price"]) <= high * Decimal("1.0005"), fill


def check_rest(raw: Raw, fills: list[Any], orders: list[Any], local: int, limit: Decimal) -> None:
    """Check that the order that rested filled if, and only if, the tape went through its price."""
    mine = [fill for fill in fills if fill["client_order_id"] == "rest"]
    through = any(price < limit for stamp, price in raw.prints if stamp > local + 100 * NS_MS)
    reached = any(price <= limit for stamp, price in raw.prints if stamp > local - WINDOW_NS)
    record = next(item for item in orders if item["client_order_id"] == "rest")
    if through:
        assert record["status"] == "FILLED", record
    if not reached:
        assert not mine, mine
    assert all((Decimal(fill["price"]), fill["liquidity"]) == (limit, "MAKER") for fill in mine)


def check_money(kind: Kind, fills: list[Any], answer: Any) -> None:
    """Follow position and cash by hand, fill by fill."""
    quantity, entry, realised, quote, fees, dust = ZERO, ZERO, ZERO, ZERO, ZERO, ZERO
    for fill in fills:
        size, price = Decimal(fill["quantity"]), Decimal(fill["price"])
        signed = size if fill["side"] == "BUY" else -size
        notional = size * Decimal(kind.contract) / price if kind.contract else size * price
        fee = Decimal(fill["fee"])
        rate = fee / (notional if fill["fee_asset"] == kind.cash else size)
        assert Decimal("0.00005") < rate < Decimal("0.002"), f"a fee of {rate} of the notional: {fill}"
        fees, dust = (fees + fee, dust) if fill["fee_asset"] == kind.cash else (fees, dust + fee)
        quote -= signed * price
        if signed > 0:
            # Inverse contracts average their prices harmonically.
            cost = (quantity / entry if entry else ZERO) + size / price if kind.contract else quantity * entry
            quantity += size
            entry = quantity / cost if kind.contract else (cost + size * price) / quantity
        else:
            gain = Decimal(kind.contract) * (1 / entry - 1 / price) if kind.contract else price - entry
            realised += size * gain
            quantity -= size
    expected = Decimal(kind.start) - fees + (quote if kind.market == "spot" else realised)
    cash = Decimal(answer["cash"][kind.venue][kind.cash])
    assert cash == pytest.approx(expected, abs=Decimal("1e-8")), f"cash {cash}, by hand {expected}"
    held = {item["instrument"]: Decimal(item["quantity"]) for item in answer["positions"]}
    assert held == {kind.held: quantity - dust}


@pytest.mark.parametrize("kind", KINDS, ids=[kind.market for kind in KINDS])
def test_a_recorded_tape(recorded_data: Path, tmp_path: Path, kind: Kind) -> None:
    check(kind, recorded_data / "l2" / kind.file, tmp_path)


@pytest.mark.parametrize("kind", KINDS, ids=[kind.market for kind in KINDS])
def test_a_generated_tape(tmp_path: Path, kind: Kind) -> None:
    check(kind, generate(kind.market, steps=1500).write(tmp_path / f"{kind.market}.xz"), tmp_path)


def check_candles(tape: Path, instrument: str, tmp_path: Path) -> None:
    """Buy in the first bars and sell in the last; count and cash are the file's."""
    with duckdb.connect() as base:
        query = "select epoch_ns(date), low, high, volume from read_parquet(?) order by 1"
        rows = base.execute(query, [str(tape)]).fetchall()
    house = House(tmp_path / "home")
    kind = Kind("usdm", "", instrument, instrument, "100", "BINANCE-FUTURES", "USDT", "100000")
    early, late = rows[len(rows) // 4], rows[3 * len(rows) // 4]
    lines = [
        order(kind, "in", early[0] + 100 * NS_MS, "BUY", kind.size),
        order(kind, "out", late[0] + 100 * NS_MS, "SELL", str(Decimal(kind.size) / 2)),
    ]
    answer = replay(house, tape, write(tmp_path / "orders.jsonl", lines))
    assert answer["trades"] == 4 * sum(row[3] > 0 for row in rows)
    assert float(answer["volume"][instrument]) == pytest.approx(sum(row[3] for row in rows))
    statuses = {item["client_order_id"]: (item["status"], item["reason"]) for item in answer["orders"]}
    assert {name: status for name, (status, _) in statuses.items()} == {"in": "FILLED", "out": "FILLED"}, statuses
    for name, (_, low, high, _) in (("in", early), ("out", late)):
        for fill in answer["fills"]:
            if fill["client_order_id"] == name:
                assert low * 0.999 <= float(fill["price"]) <= high * 1.001, fill
    check_money(kind, answer["fills"], answer)
    assert replay(house, tape, tmp_path / "orders.jsonl")["digest"] == answer["digest"]


def test_recorded_candles(recorded_data: Path, tmp_path: Path) -> None:
    tape = recorded_data / "candles" / "XRPUSDT-perp-15m.parquet"
    check_candles(tape, "BINANCE-FUTURES:PERPETUAL:XRP-USDT@LIN", tmp_path)


def test_generated_candles(tmp_path: Path) -> None:
    start = "timestamptz '2024-01-01 00:00:00+00'"
    rows = f"""select {start} + to_minutes(15 * i::int) as date, 2.0 + (i % 7) / 100.0 as open,
        2.2 + (i % 7) / 100.0 as high, 1.9 + (i % 7) / 100.0 as low, 2.0 + ((i * 5) % 7) / 100.0 as close,
        5000.0 + i as volume from range(400) t(i)"""
    tape = tmp_path / "XRPUSDT-perp-15m.parquet"
    with duckdb.connect() as base:
        base.execute(f"copy ({rows}) to '{tape}' (format parquet)")
    check_candles(tape, "BINANCE-FUTURES:PERPETUAL:XRP-USDT@LIN", tmp_path)
