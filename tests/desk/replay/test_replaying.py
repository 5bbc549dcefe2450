"""A whole tape at full speed against a file of orders."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from core.config.file import load_or_create
from core.domain.identifiers import InstrumentId, VenueId
from core.domain.order import Order, OrderRecord, OrderStatus, Side
from desk import answers
from desk.output import UsageFault
from desk.replay import replaying
from desk.replay.input import read_config, span_of
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


def test_people_get_an_average_of_eight_digits(capsys: pytest.CaptureFixture[str]) -> None:
    bought = Order(InstrumentId(LTC), Side.BUY, Decimal(3))
    record = OrderRecord(bought, OrderStatus.FILLED, VenueId("BINANCE-FUTURES"), 1, 1, Decimal(3), Decimal(200) / 3)
    order = answers.order(record)
    assert order["average_price"] == "66.66666667"
    nothing: dict[str, Any] = {"volume": {}, "strategies": (), "positions": (), "cash": {}}
    replaying.show({**nothing, "orders": [order], "events": 1, "trades": 1, "gaps": 0, "equity": "1", "digest": "d"})
    assert "filled 3 at 66.666667\n" in capsys.readouterr().out


def test_the_recorded_tape_replays_whole(recorded_data: Path, desk: Desk, tmp_path: Path) -> None:
    tape = recorded_data / "l2" / "binance-usdm-btcusdt-20240808.xz"
    orders = write_orders(tmp_path / "orders.jsonl", market_order("in", 1_723_161_300_000_000_000, "BUY", "0.01"))
    answer = desk.json("replay", str(tape), "--orders", str(orders))
    assert answer["gaps"] == 0
    assert answer["trades"] > 20_000
    assert [fill["client_order_id"] for fill in answer["fills"]] == ["in"]
    assert Decimal(answer["fills"][0]["price"]) == pytest.approx(Decimal(61_700), rel=Decimal("0.01"))


# --- what it starts with ----------------------------------------------------------------------------------------------


def candles(path: Path, bars: int = 12, leave_out: str = "false") -> Path:
    """Write hourly bars from 2024-01-01, open 100, high 110, low 95, close 105; some may be left out."""
    query = f"""select timestamptz '2024-01-01 00:00:00+00' + to_hours(i::int) as date, 100.0 as open, 110.0 as high,
        95.0 as low, 105.0 as close, 1000.0 as volume from range({bars}) t(i) where not ({leave_out})"""
    with duckdb.connect() as base:
        base.execute(f"copy ({query}) to '{path}' (format parquet)")
    return path


def test_it_starts_with_100_000_in_all(desk: Desk, tmp_path: Path) -> None:
    perp, spot = candles(tmp_path / "LTCUSDT-perp-1h.parquet"), candles(tmp_path / "LTCUSDT-spot-1h.parquet")
    assert desk.json("replay", str(perp))["start_cash"] == {"BINANCE-FUTURES": {"USDT": "100000"}}
    both = desk.json("replay", str(perp), str(spot))
    assert both["start_cash"] == {"BINANCE-FUTURES": {"USDT": "50000"}, "BINANCE-SPOT": {"USDT": "50000"}}
    assert Decimal(both["equity"]) == 100_000


def test_another_start_is_asked_for_by_option_or_config(desk: Desk, tmp_path: Path) -> None:
    tapes = [str(candles(tmp_path / f"LTCUSDT-{kind}-1h.parquet")) for kind in ("perp", "spot")]
    asked = desk.json("replay", *tapes, "--equity", "1000.01")
    assert sum(Decimal(wallet["USDT"]) for wallet in asked["start_cash"].values()) == Decimal("1000.01")
    assert Decimal(asked["equity"]) == Decimal("1000.01")
    desk.home.create()
    load_or_create(desk.home.config)
    text = desk.home.config.read_text()
    assert 'replay_equity = "100000"' in text
    desk.home.config.write_text(text.replace('replay_equity = "100000"', 'replay_equity = "2000"'))
    assert Decimal(desk.json("replay", *tapes)["equity"]) == 2000
    for wrong in ("0", "-1", "much", "NaN", "inf"):
        done = desk.run("replay", *tapes, "--equity", wrong)
        assert done.returncode == 2, done.stderr
        assert "greater than 0" in done.stderr


# --- candles ----------------------------------------------------------------------------------------------------------

HOUR = 3600 * 10**9
NEW_YEAR = 1_704_067_200 * 10**9
LTC = "BINANCE-FUTURES:PERPETUAL:LTC-USDT@LIN"


def test_an_order_between_the_points_of_a_bar_meets_the_price_that_stands(desk: Desk, tmp_path: Path) -> None:
    tape = str(candles(tmp_path / "LTCUSDT-perp-1h.parquet"))
    times = [NEW_YEAR + HOUR + int(HOUR * part) for part in (0.1, 0.5, 0.9, 0.9999)]
    lines = [market_order(f"o{n}", ts, ("BUY", "SELL")[n % 2], "1") | {"instrument": LTC} for n, ts in enumerate(times)]
    answer = desk.json("replay", tape, "--orders", str(write_orders(tmp_path / "orders.jsonl", *lines)))
    assert {order["status"] for order in answer["orders"]} == {"FILLED"}, answer["orders"]
    prices = {fill["client_order_id"]: Decimal(fill["price"]) for fill in answer["fills"]}
    # open, low, high, close of a rising bar, a tick to the other side of the book.
    assert prices == {"o0": Decimal("100.01"), "o1": Decimal("94.99"), "o2": Decimal("110.01"), "o3": Decimal("104.99")}
    bare = desk.json("replay", tape)
    for key in ("events", "trades", "volume", "first_ts_ns", "last_ts_ns"):
        assert answer[key] == bare[key], key
    again = desk.json("replay", tape, "--orders", str(tmp_path / "orders.jsonl"))
    assert again["digest"] == answer["digest"]


def test_where_bars_are_missing_an_order_is_refused_as_stale(desk: Desk, tmp_path: Path) -> None:
    tape = str(candles(tmp_path / "LTCUSDT-perp-1h.parquet", leave_out="i in (5, 6, 7)"))
    soon, late = NEW_YEAR + 5 * HOUR + HOUR // 2, NEW_YEAR + 6 * HOUR + HOUR // 2
    orders = write_orders(
        tmp_path / "orders.jsonl",
        market_order("soon", soon, "BUY", "1") | {"instrument": LTC},
        market_order("late", late, "BUY", "1") | {"instrument": LTC},
    )
    answer = desk.json("replay", tape, "--orders", str(orders))
    found = {order["client_order_id"]: (order["status"], order["reason"]) for order in answer["orders"]}
    assert found["soon"][0] == "FILLED"  # within one bar of the last price
    assert found["late"][0] == "DENIED"
    assert "old" in found["late"][1]


# --- configs ----------------------------------------------------------------------------------------------------------


def waves(path: Path, bars: int = 160) -> Path:
    """Write hourly bars of LTC that swing around 100."""
    price = "100 + 10 * sin({} * 0.35)"
    opened, closed = price.format("i"), price.format("(i + 1)")
    query = f"""select timestamptz '2024-01-01 00:00:00+00' + to_hours(i::int) as date, round({opened}, 2) as open,
        round(greatest({opened}, {closed}), 2) as high, round(least({opened}, {closed}), 2) as low,
        round({closed}, 2) as close, 1000.0 as volume from range({bars}) t(i)"""
    with duckdb.connect() as base:
        base.execute(f"copy ({query}) to '{path}' (format parquet)")
    return path


def written(path: Path, **changes: Any) -> str:
    """Write a config as a command prints it."""
    fields = {
        "strategy_id": "ema", "version": 4, "status": "history", "instruments": [LTC], "leverage": 1.0,
        "parameters": {"fast": 2, "slow": 5, "rsi_window": 2, "overbought": 100, "oversold": 0, "stop": 0.02},
        "margin_mode": "cross", "max_position_size": 2000.0, "score": None, "study": "s", "trial": 1,
        "promoted_at_ns": 5, "promoted_by": "me", "metrics": {}, "data_from_ns": 0, "data_to_ns": 0, "code_version": "",
        "hash": "", "strategy": "rsi_ema", "interval": "1h", "capital": 10_000.0,
    }  # fmt: skip
    path.write_text(json.dumps({**fields, **changes}))
    return str(path)


def test_a_config_runs_on_candles(desk: Desk, tmp_path: Path) -> None:
    tape = str(waves(tmp_path / "LTCUSDT-perp-1h.parquet"))
    chosen = ("--config", written(tmp_path / "ema.json"))
    answer = desk.json("replay", tape, *chosen)
    (strategy,) = answer["strategies"]
    (account,) = strategy["accounts"]
    assert (strategy["strategy_id"], strategy["state"]) == ("ema", "runs")
    assert account["trades"] == account["matched"] > 3
    assert len(answer["fills"]) >= 2 * account["trades"]
    assert "against its study" in desk.run("replay", tape, *chosen).stdout


def test_a_config_that_did_not_run_is_no_result(desk: Desk, tmp_path: Path) -> None:
    tape = str(waves(tmp_path / "LTCUSDT-perp-1h.parquet"))
    done = desk.run(
        "replay", tape, "--config", written(tmp_path / "ema.json", leverage=3.0, max_position_size=90_000.0)
    )
    assert done.returncode == 3
    (line,) = done.stderr.splitlines()
    assert line.startswith("ema v4 did not run: refused: one entry of up to")


def test_a_spot_config_runs_on_candles(desk: Desk, tmp_path: Path) -> None:
    """With the guardian as it is shipped: fees are taken in coins, and nothing that could be sold is left."""
    tape = str(waves(tmp_path / "LTCUSDT-spot-1h.parquet"))
    pair = "BINANCE-SPOT:SPOT_PAIR:LTC-USDT"
    chosen = written(tmp_path / "ema.json", instruments=[pair], margin_mode="isolated")
    answer = desk.json("replay", tape, "--config", chosen)
    (strategy,) = answer["strategies"]
    (account,) = strategy["accounts"]
    assert (account["trades"], account["missed"], account["extra"]) == (account["matched"], 0, 0)
    assert account["trades"] > 3
    assert {fill["fee_asset"] for fill in answer["fills"]} == {"LTC", "USDT"}
    assert [one["quantity"] for one in answer["positions"] if Decimal(one["quantity"]) >= Decimal("0.01")] == []


def test_a_config_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    for content in ("{", '{"strategy_id": "ema"}', "[]"):
        (tmp_path / "bad.json").write_text(content)
        with pytest.raises(UsageFault, match="is no config as `tradedeck configs show --json` prints it"):
            read_config(tmp_path / "bad.json")
    with pytest.raises(UsageFault, match="cannot be read"):
        read_config(tmp_path / "none.json")
    assert read_config(Path(written(tmp_path / "ema.json"))).key == "ema v4"


def test_days_are_played_whole_and_senseless_ones_refused(desk: Desk, tmp_path: Path) -> None:
    day = 86_400_000_000_000
    first = 1_704_067_200_000_000_000
    assert span_of("2024-01-01..2024-01-02") == (first, first + 2 * day)
    assert span_of("2024-01-02..")[0] == first + day
    assert span_of("..2024-01-01") == (0, first + day)
    for wrong in ("2024-01-01", "2024-02-31..", "a..b"):
        with pytest.raises(UsageFault, match="--days must be such as"):
            span_of(wrong)
    with pytest.raises(UsageFault, match="its end is before its beginning"):
        span_of("2024-01-03..2024-01-01")
    tape = str(waves(tmp_path / "LTCUSDT-perp-1h.parquet"))
    answer = desk.json("replay", tape, "--days", "2024-01-02..2024-01-02")
    assert (answer["first_ts_ns"], answer["last_ts_ns"] // day) == (first + day, (first + day) // day)
    assert "lies in these --days" in desk.run("replay", tape, "--days", "2031-01-01..").stderr
    assert "no config is promoted in this home" in desk.run("replay", tape, "--strategies").stderr


def test_a_fall_within_a_bar_is_no_gap(desk: Desk, tmp_path: Path) -> None:
    path = tmp_path / "LTCUSDT-perp-1h.parquet"
    with duckdb.connect() as base:
        base.execute(
            f"""copy (select timestamptz '2024-01-01 00:00:00+00' + to_hours(i::int) as date, o as open, greatest(o, c)
            as high, least(o, c) as low, c as close, 1000.0 as volume from
            (values (0, 100.0, 100.0), (1, 100.0, 80.0), (2, 80.0, 80.0)) t(i, o, c)) to '{path}' (format parquet)"""
        )
    first = 1_704_067_200_000_000_000
    bought = {"ts_ns": first + 1, "action": "submit", "client_order_id": "in", "instrument": LTC, "side": "BUY",
              "quantity": "10", "type": "MARKET"}  # fmt: skip
    stop = {"ts_ns": first + 10**9, "action": "submit", "client_order_id": "out", "instrument": LTC, "side": "SELL",
            "quantity": "10", "type": "STOP", "stop": "95", "reduce_only": True}  # fmt: skip
    answer = desk.json("replay", str(path), "--orders", str(write_orders(tmp_path / "orders.jsonl", bought, stop)))
    sold = [Decimal(fill["price"]) for fill in answer["fills"] if fill["side"] == "SELL"]
    assert sold, "the stop was filled"
    assert min(sold) > Decimal("94"), "within a step of its trigger, not at the bar's low"
