"""What a sceptical user broke by hand, one test each."""

import importlib.util
import os
import signal
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from core.config.settings import Settings
from core.domain.commands import CancelOrder
from core.domain.identifiers import ClientOrderId
from core.domain.market import Timer
from core.engine import Engine
from core.errors import DomainError, StoreError
from core.guardian.guardian import Guardian
from desk.paths import Role
from store.ticks import reader
from tests.desk.conftest import Desk
from venues.replay import ReplayDriver

PERP = "BINANCE-FUTURES:PERPETUAL:BTC-USDT@LIN"


def test_dust_of_a_fee_is_flat_and_does_not_hold_the_stop(running: Desk) -> None:
    running.json("order", "buy", "BTC-USDT", "0.002")
    assert running.json("flatten", "--all")["flat"]
    left = [item for item in running.json("positions") if item["instrument"].endswith("SPOT_ASSET:BTC")]
    assert left, "the fee leaves dust, or this test shows nothing"
    assert Decimal(left[0]["quantity"]) < Decimal("0.00001")


def test_a_full_disk_behind_stdout_is_said_in_words() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "desk", "order", "--help"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "disk is full" in done.stderr


def test_a_time_with_a_zone_in_sql_is_answered_without_a_traceback(tmp_path: Path) -> None:
    if importlib.util.find_spec("pytz"):  # DuckDB's own need for such a column; the research extra brings it
        assert len(reader.query("SELECT now()", tmp_path).rows) == 1
        return
    with pytest.raises(StoreError) as caught:
        reader.query("SELECT now()", tmp_path)
    assert "Traceback" not in str(caught.value)
    assert "::TIMESTAMP" in str(caught.value)


def test_an_order_years_after_the_tape_is_refused_and_does_not_hang() -> None:
    driver = ReplayDriver(Engine(Guardian(Settings().guardian)), {})
    late = CancelOrder(ClientOrderId("x"), "test", 1_823_161_270_000_000_000)
    with pytest.raises(DomainError, match="after the end of the tape"):
        driver.run([Timer(1_723_161_270_000_000_000)], [late])


def test_a_flatten_that_is_not_flat_does_not_end_well(running: Desk) -> None:
    running.json("order", "buy", "BTC-USDT.P", "0.01")
    market = running.pid(Role.MARKET)
    os.kill(market, signal.SIGSTOP)
    try:
        answer = running.json("flatten", "--all", "--wait", "0.5", code=1)
        assert (answer["flat"], answer["remaining"]) == (False, [PERP])
        assert running.run("flatten", "--all", "--wait", "0.5").returncode == 1
    finally:
        os.kill(market, signal.SIGCONT)
    running.wait(lambda: PERP not in running.ok("positions"), "the engine goes on until flat")
    assert running.json("flatten", "--all")["flat"]
