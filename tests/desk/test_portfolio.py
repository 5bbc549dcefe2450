"""``tradedeck portfolio``: weights over series and a study, what is held, and what is refused."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from core.errors import ResearchError, TradedeckError
from desk.cli import app
from desk.output import UsageFault
from desk.paths import Home
from research.study.running import Runner
from store.candles import CandleKind, CandleStore, Series, SeriesName
from tests.research.crossing import FIRST_NS, HOUR_NS
from tests.research.study.test_running import filled, inline

BTC, ETH = (f"BINANCE-FUTURES/{symbol}-1h-candles" for symbol in ("BTCUSDT", "ETHUSDT"))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Two series of 200 days, and a study that was run on the first 160 of them."""
    home = Home(tmp_path_factory.mktemp("house"))
    for seed, symbol in enumerate(("BTCUSDT", "ETHUSDT")):
        close = 100.0 * np.exp(np.cumsum(np.random.default_rng(seed).normal(0, 0.004 * (seed + 1), 4800)))
        ts = FIRST_NS + np.arange(4800, dtype=np.int64) * HOUR_NS
        columns = dict.fromkeys(("open", "high", "low", "close", "volume"), close)
        name = SeriesName("BINANCE-FUTURES", symbol, CandleKind.CANDLES, "1h")
        CandleStore(home.data).write(Series(name, ts, columns))
    folder = home.root / "studies" / "one"
    folder.parent.mkdir()
    Runner(filled(folder, trials=8), inline).run()
    return home


def shell(home: Home, *words: str) -> Result:
    return CliRunner().invoke(app, ["portfolio", *words, "--home", str(home.root)])


def test_a_study_and_a_series_share_the_risk(home: Home) -> None:
    found = json.loads(shell(home, "one", BTC, "--held", f"{BTC}=0.25", "--capital", "2000", "--json").stdout)
    assert [one["name"] for one in found["shares"]] == ["one", BTC]
    assert [one["risk_share"] for one in found["shares"]] == pytest.approx([0.5, 0.5])
    weights = [one["weight"] for one in found["shares"]]
    assert [one["capital"] for one in found["shares"]] == pytest.approx([2000 * weight for weight in weights])
    assert found["turnover"] == pytest.approx(weights[0] + abs(weights[1] - 0.25))
    assert found["cost"] == pytest.approx(0.0007 * found["turnover"])
    assert found["days"] > 90


def test_people_read_a_table(home: Home) -> None:
    lines = shell(
        home, BTC, ETH, "--method", "min_variance", "--capital", "50000", "--cost", "0.001"
    ).stdout.splitlines()
    assert lines[0].split() == ["item", "weight", "held", "trade", "of", "the", "risk", "volatility", "capital"]
    assert [line.split()[0] for line in lines[1:3]] == [BTC, ETH]
    assert lines[3].startswith("min_variance over 200 days: volatility ")
    assert lines[3].endswith("turnover 100.0 %, which costs 0.100 %, 50.00")


@pytest.mark.parametrize(
    ("words", "kind", "said"),
    [
        ((BTC, "two"), ResearchError, "no study and no series two"),
        ((BTC, "one:x"), UsageFault, "expected STUDY:TRIAL"),
        ((BTC, "one:999"), ResearchError, "one has no trial 999"),
        ((BTC, ETH, "--held", BTC), UsageFault, "must be ITEM=FRACTION"),
        ((BTC, ETH, "--held", f"{BTC}=0.1", "--held", f"{BTC}=0.2"), UsageFault, "twice"),
        ((BTC, ETH, "--method", "best"), UsageFault, "--method must be risk_parity, hrp, min_variance, sharpe"),
        ((BTC,), ResearchError, "two items or more"),
    ],
)
def test_what_is_refused_says_what_to_do(
    home: Home, words: tuple[str, ...], kind: type[TradedeckError], said: str
) -> None:
    error = shell(home, *words).exception
    assert isinstance(error, kind)
    assert said in str(error)


def test_the_home_is_left_as_it_was(home: Home) -> None:
    def files() -> set[Path]:
        return {path for path in home.root.rglob("*") if not path.name.endswith(("-wal", "-shm"))}

    before = files()
    shell(home, BTC, ETH)
    assert files() == before
