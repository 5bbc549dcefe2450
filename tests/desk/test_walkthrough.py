"""The walk-through of docs/guide/research.md, line by line: candles, a study, a promotion, a replay of later days."""

import json
import re
import shlex
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pytest
from pyarrow import parquet

from core.domain.order import Side
from desk.paths import Role
from desk.roles import services
from research.study.strategies import evaluator
from research.study.study import load, nanoseconds
from research.study.walkforward import Span
from store.postgres import PostgresServer
from tests.conftest import ROOT
from tests.desk.conftest import Desk

HEADING = "## From candles to a strategy that trades"
_FENCE = re.compile(r"^```(sh|toml) ?(\S*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SYMBOLS = ("BTCUSDT", "ETHUSDT")
START, HOURS = datetime(2020, 12, 1, tzinfo=UTC), 28_000


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path / "home")
    yield made
    PostgresServer(made.home.postgres, made.home.reach / made.home.postgres.name).stop()
    assert services.running(made.home, Role.ENGINE) is None, "a walk through files starts nothing"


def generated(folder: Path) -> None:
    """Write hours of two symbols that trend for weeks, to the end of January 2024."""
    for seed, symbol in enumerate(SYMBOLS):
        rng = np.random.default_rng(seed)
        drift = np.repeat(rng.normal(0, 0.0012, HOURS // 100 + 1), 100)[:HOURS]
        close = np.round(1000.0 * np.exp(np.cumsum(drift + rng.normal(0, 0.004, HOURS))), 2)
        opened = np.r_[1000.0, close[:-1]]
        high, low = np.maximum(opened, close) + 0.5, np.minimum(opened, close) - 0.5
        date = np.datetime64(START.replace(tzinfo=None), "us") + np.arange(HOURS) * np.timedelta64(1, "h")
        columns = {"open": opened, "high": high, "low": low, "close": close, "volume": rng.uniform(500, 900, HOURS)}
        table = pyarrow.table({"date": pyarrow.array(date, pyarrow.timestamp("us", "UTC")), **columns})
        parquet.write_table(table, folder / f"{symbol}-perp-1h.parquet")


def recorded(folder: Path, data: Path) -> None:
    for symbol in SYMBOLS:
        (folder / f"{symbol}-perp-1h.parquet").symlink_to(data / "candles" / f"{symbol}-perp-1h.parquet")


def walked(desk: Desk, folder: Path) -> dict[str, str]:
    """Run every line of the page in a folder; return what each command said."""
    text = (ROOT / "docs" / "guide" / "research.md").read_text(encoding="utf-8")
    part = text[text.index(HEADING) :].split("\n## ")[0]
    told = {}
    for kind, name, body in _FENCE.findall(part):
        if kind == "toml":
            (folder / name).write_text(body, encoding="utf-8")
            continue
        for line in body.splitlines():
            program, *words = shlex.split(line)
            assert program == "tradedeck"
            done = desk.run(*words, cwd=folder)
            assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
            told[" ".join(words[:2])] = done.stdout
            if words[0] == "replay":
                told["replay"] = desk.run(*words, "--json", cwd=folder).stdout
    return told


def studied(desk: Desk, folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Counter[tuple[Any, ...]]]:
    """Return the entries that the study's own simulator makes in January with what was promoted: bar and side."""
    monkeypatch.setenv("TRADEDECK_HOME", str(desk.home.root))
    config = json.loads(desk.run("configs", "show", "rsi_ema", "--json").stdout)
    path = folder / "later.toml"
    text = (folder / "walk.toml").read_text(encoding="utf-8")
    path.write_text(text.replace('end = "2024-01-01"', 'end = "2024-02-01"'), encoding="utf-8")
    found = evaluator(load(path))
    begin, end = nanoseconds("2024-01-01"), nanoseconds("2024-02-01")
    assert begin is not None
    assert end is not None
    parameters = {**config["parameters"], "leverage": config["leverage"]}
    parameters.pop("slippage")
    entries: dict[str, Counter[tuple[Any, ...]]] = {}
    for one in found.play(parameters, Span(begin, end)):
        sides = [Side.BUY if side > 0 else Side.SELL for side in one.trades["side"]]
        entries[one.instrument] = Counter(zip(one.market.ts[one.trades["opened"]].tolist(), sides, strict=True))
    return entries


def is_the_studys_own(told: dict[str, str], entries: dict[str, Counter[tuple[Any, ...]]]) -> None:
    """Hold the replay's entries against the simulator's, bar by bar, and the engine's own comparison with them."""
    assert "walk  " in told["study run"]
    assert "finished" in told["study run"]
    assert "deflated Sharpe" in told["study report"]
    assert "rsi_ema v1 is active" in told["promote walk"]
    answer = json.loads(told["replay"])
    (strategy,) = answer["strategies"]
    assert strategy["state"] == "runs"
    for account in strategy["accounts"]:
        assert (account["missed"], account["extra"], account["note"]) == (0, 0, "")
        assert account["matched"] == account["trades"]
        assert abs(account["profit_bps"]) < 25 * (account["trades"] + 1), "a stop is filled within a step of its level"
    orders = [one for one in answer["orders"] if one["intent"] == "entry" and one["status"] == "FILLED"]
    for instrument, wanted in entries.items():
        mine = [one for one in orders if one["instrument"] == instrument]
        hour = 3_600_000_000_000
        assert Counter((one["created_ns"] // hour * hour, Side(one["side"])) for one in mine) == wanted
    assert sum(map(len, entries.values())) > 2, "a month without a trade proves nothing"


def test_a_promoted_study_trades_its_own_trades(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    generated(tmp_path)
    is_the_studys_own(walked(desk, tmp_path), studied(desk, tmp_path, monkeypatch))


def test_the_same_on_recorded_candles(
    desk: Desk, tmp_path: Path, recorded_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded(tmp_path, recorded_data)
    is_the_studys_own(walked(desk, tmp_path), studied(desk, tmp_path, monkeypatch))
