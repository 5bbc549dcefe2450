"""Studies over spot: bought outright, never sold short, with nothing of margin."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from core.errors import ResearchError
from core.strategy.library import MODELS, checked, signals
from core.strategy.signals import Bars, Indicators
from research.simulator.records import BY_END
from research.study.strategies import evaluator
from research.study.study import parse
from research.study.walkforward import Span
from store.candles import CandleKind, CandleStore, Series, SeriesName

HOUR_NS = 3_600_000_000_000
FIRST_NS = 1_704_067_200_000_000_000
BARS, FEE, SLIPPAGE, CASH = 1300, 0.001, 0.0002, 10_000.0
CHOSEN = {"fast": 3.0, "slow": 20.0, "rsi_window": 5.0}
STUDY = """
[study]
name = "s"
strategy = "rsi_ema"
[data]
path = "{path}"
venue = "BINANCE-SPOT"
symbols = ["BTCUSDT"]
[account]
fee = 0.001
[windows]
train_days = 30
test_days = 10
[space]
fast = {{ low = 2, high = 9 }}
"""


def named(venue: str, symbol: str = "BTCUSDT", kind: CandleKind = CandleKind.CANDLES) -> SeriesName:
    return SeriesName(venue, symbol, kind, "" if kind is CandleKind.FUNDING else "1h")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Spot and perpetual of one symbol, an inverse contract, and what belongs to no spot: funding and marks."""
    store, rng = CandleStore(tmp_path_factory.mktemp("outright")), np.random.default_rng(8)
    ts = FIRST_NS + np.arange(BARS, dtype=np.int64) * HOUR_NS
    close = 1000.0 * np.exp(np.cumsum(rng.normal(0, 0.008, BARS)))
    opened = np.r_[1000.0, close[:-1]] * np.exp(rng.normal(0, 0.001, BARS))
    high, low = np.maximum(opened, close) * 1.002, np.minimum(opened, close) * 0.998
    columns = {"open": opened, "high": high, "low": low, "close": close, "volume": rng.uniform(1, 9, BARS)}
    for name in (named("BINANCE-SPOT"), named("BINANCE-FUTURES"), named("BINANCE-COINM", "BTCUSD_PERP")):
        store.write(Series(name, ts, columns))
    marks = {key: 0.1 * columns[key] for key in CandleKind.MARK.columns}
    store.write(Series(named("BINANCE-SPOT", kind=CandleKind.MARK), ts, marks))
    store.write(Series(named("BINANCE-SPOT", kind=CandleKind.FUNDING), ts[::8].copy(), {"rate": np.full(163, 0.01)}))
    return store.folder


def text(folder: Path, **changes: str) -> str:
    made = STUDY.format(path=folder)
    for old, new in changes.items():
        assert old in made
        made = made.replace(old, new)
    return made


def acting(folder: Path) -> tuple[Bars, NDArray[np.uint8]]:
    """Return the bars, and what the strategy's own signals say at each one's open."""
    series = CandleStore(folder).read(named("BINANCE-SPOT"))
    bars = Bars.of(series.ts, [series.columns[key] for key in ("open", "high", "low", "close", "volume")], HOUR_NS)
    said = signals(MODELS["rsi_ema"], Indicators(bars), checked(MODELS["rsi_ema"], CHOSEN))
    return bars, np.r_[np.uint8(0), said[:-1]].astype(np.uint8)


def test_the_trades_are_those_of_cash_and_coins_by_hand(folder: Path) -> None:
    """Every signal by plain words: a buy takes all the cash, a short signal sells what there is, and no more."""
    library = evaluator(parse(text(folder)))
    (played,) = library.play(CHOSEN, library.span)
    bars, acts = acting(folder)
    cash, coins, cost, opened, trades = CASH, 0.0, 0.0, 0, []
    for t, price in enumerate(bars.open):
        long_entry, long_exit, short_entry, short_exit = (bool(acts[t] & bit) for bit in (1, 2, 4, 8))
        assert not (long_entry and long_exit)
        assert not (short_entry and short_exit)
        if long_entry and not short_entry and not coins:
            paid = price * (1.0 + SLIPPAGE)
            coins, cost, opened, cash = cash / (paid * (1.0 + FEE)), cash, t, 0.0
        elif (long_exit or (short_entry and not long_entry)) and coins:
            cash = coins * price * (1.0 - SLIPPAGE) * (1.0 - FEE)
            trades.append((opened, t, coins, cash - cost))
            coins = 0.0
    over = played.trades[played.trades["reason"] != BY_END]
    assert len(trades) == over.size > 20
    assert set(played.trades["side"]) == {1}
    assert not played.trades["funding"].any()
    ours = [(one["opened"], one["closed"], one["quantity"], one["profit"]) for one in over]
    assert np.array(ours) == pytest.approx(np.array(trades), rel=1e-9)
    (run,) = library.evaluate([CHOSEN], library.span)[0]
    assert run["equity"] == pytest.approx(cash + coins * bars.close[-1], rel=1e-9)
    assert (run["liquidated"], run["leverage"]) == (-1, 1.0)


def test_long_only_is_vectorbts_trade_by_trade(folder: Path) -> None:
    vbt: Any = pytest.importorskip("vectorbt", reason="vectorbt comes with the extra research")
    import pandas as pd

    library = evaluator(parse(text(folder)))
    (played,) = library.play(CHOSEN, library.span)
    bars, acts = acting(folder)
    flags = [(acts & bit) != 0 for bit in (1, 2, 4)]
    portfolio = vbt.Portfolio.from_signals(
        pd.Series(bars.close), entries=flags[0], exits=flags[1] | flags[2], direction="longonly", price=bars.open,
        size=np.inf, fees=FEE, slippage=SLIPPAGE, init_cash=CASH, freq="1h",
    )  # fmt: skip
    theirs = portfolio.trades.values
    assert played.trades.size == theirs.size > 20
    for name, other in (("opened", "entry_idx"), ("closed", "exit_idx"), ("quantity", "size"), ("entry", "entry_price"),
                        ("exit", "exit_price"), ("profit", "pnl")):  # fmt: skip
        assert played.trades[name] == pytest.approx(theirs[other], rel=1e-9, abs=1e-9), name
    (run,) = library.evaluate([CHOSEN], library.span)[0]
    assert run["equity"] == pytest.approx(portfolio.final_value(), rel=1e-9)


def test_stop_and_target_work_on_spot_too(folder: Path) -> None:
    library = evaluator(parse(text(folder)))
    span = Span(FIRST_NS + 100 * HOUR_NS, FIRST_NS + 1200 * HOUR_NS)
    (played,) = library.play({**CHOSEN, "stop": 0.01, "target": 0.02, "fraction": 0.5}, span)
    reasons = {one.reason for one in played.round_trips()}
    assert reasons >= {"stop", "target"}
    assert {one.side for one in played.round_trips()} == {"long"}


def test_a_perpetual_of_the_same_name_is_sold_short(folder: Path) -> None:
    library = evaluator(parse(text(folder, **{"BINANCE-SPOT": "BINANCE-FUTURES"})))
    (played,) = library.play(CHOSEN, library.span)
    assert set(played.trades["side"]) == {1, -1}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({'venue = "BINANCE-SPOT"\n': ""}, r'several venues have .*; name one: \[data\] venue = "BINANCE-'),
        ({'"BINANCE-SPOT"': '"OKX"'}, "nobody has imported 1h candles of BTCUSDT at OKX: there is BINANCE-"),
        ({"high = 9 }": "high = 9 }\nleverage = { low = 1, high = 5 }"}, r"\[space\] leverage: .*SPOT_PAIR:BTC-USDT"),
        ({"high = 9 }": "high = 9 }\n[fixed]\nleverage = 2"}, r"\[fixed\] leverage: .* is spot, bought outright"),
        ({"fee = 0.001": 'margin_mode = "cross"'}, r"\[account\] margin_mode: .* no margin to share"),
        (
            {"[windows]": '[account.tiers]\nBTCUSDT = { "2020-01-01" = [[5, 0.1, 9]] }\n[windows]'},
            "tiers of BTCUSDT: .*none",
        ),
        (
            {'"BINANCE-SPOT"': '"BINANCE-COINM"', '"BTCUSDT"': '"BTCUSD_PERP"'},
            r"is an inverse contract, settled in BTC.*BINANCE-FUTURES.*BINANCE-SPOT",
        ),
    ],
)
def test_what_spot_cannot_be_asked_is_refused_in_words(folder: Path, changes: dict[str, str], words: str) -> None:
    with pytest.raises(ResearchError, match=words):
        evaluator(parse(text(folder, **changes)))


def test_a_leverage_of_one_is_no_leverage(folder: Path) -> None:
    evaluator(parse(text(folder, **{"high = 9 }": "high = 9 }\nleverage = { choices = [1] }"})))
    evaluator(parse(text(folder, **{"high = 9 }": "high = 9 }\n[fixed]\nleverage = 1"})))
