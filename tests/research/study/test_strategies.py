"""The library's strategies in a study: the same back-tests as by hand, over a span, with margin and costs."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.errors import ResearchError
from core.strategy.library import MODELS, checked, signals
from core.strategy.signals import Bars, Indicators
from research.data.dataset import contract_of
from research.data.tariffs import brackets
from research.simulator.records import BY_END
from research.simulator.shared import Basket, simulate_shared
from research.simulator.simulator import Account, Market, Sets, Tariff, simulate
from research.study.strategies import evaluator
from research.study.study import StudyFile, parse
from research.study.walkforward import Span
from research.validation.metrics import Objective, from_runs
from store.candles import CandleKind, CandleStore, Series, SeriesName

HOUR_NS = 3_600_000_000_000
FIRST_NS = 1_704_067_200_000_000_000
SYMBOLS = ("BTCUSDT", "ETHUSDT")
STUDY = """
[study]
name = "s"
strategy = "{strategy}"
[data]
path = "{path}"
symbols = ["BTCUSDT", "ETHUSDT"]
[account]
fee = 0.0004
[windows]
train_days = 30
test_days = 10
[space]
{name} = {{ low = 2, high = 9 }}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two symbols of random hours, the second from a week later on."""
    folder = tmp_path_factory.mktemp("candles")
    for seed, symbol in enumerate(SYMBOLS):
        rng = np.random.default_rng(seed)
        size = 1500 - 168 * seed
        close = 1000.0 * np.exp(np.cumsum(rng.normal(0, 0.008, size)))
        opened = np.r_[1000.0, close[:-1]]
        high, low = np.maximum(opened, close) * 1.002, np.minimum(opened, close) * 0.998
        ts = FIRST_NS + (1500 - size + np.arange(size, dtype=np.int64)) * HOUR_NS
        columns = {"open": opened, "high": high, "low": low, "close": close, "volume": rng.uniform(1, 9, size)}
        CandleStore(folder).write(Series(SeriesName("BINANCE-FUTURES", symbol, CandleKind.CANDLES, "1h"), ts, columns))
    return folder


def study(folder: Path, strategy: str = "rsi_ema", name: str = "fast") -> StudyFile:
    return parse(STUDY.format(strategy=strategy, path=folder, name=name))


def by_hand(folder: Path, symbol: str, chosen: dict[str, float], span: Span, account: Account, **sizes: Any) -> Any:
    """Return equity and trades of one set, by the signals of every bar of the whole series."""
    series = CandleStore(folder).read(SeriesName("BINANCE-FUTURES", symbol, CandleKind.CANDLES, "1h"))
    columns = [series.columns[key] for key in ("open", "high", "low", "close", "volume")]
    found = signals(
        MODELS["rsi_ema"], Indicators(Bars.of(series.ts, columns, HOUR_NS)), checked(MODELS["rsi_ema"], chosen)
    )
    acts = np.r_[np.uint8(0), found[:-1]]  # a bar's signal acts at the next bar's open
    inside = slice(*np.searchsorted(series.ts, [span.start, span.stop]))
    opened, high, low, close = (column[inside] for column in columns[:4])
    brackets = contract_of(series.name).brackets
    market = Market(
        series.ts[inside], (opened, high, low, close), tariff=Tariff(fees=((0, 0.0004),), tiers=((0, brackets),))
    )
    when = np.arange(market.size)
    return simulate(market, account, Sets(bars=when, signals=acts[inside][None], **sizes), trades=True)


def test_a_set_over_a_span_is_the_back_test_by_hand(folder: Path) -> None:
    """Indicators know the bars before the span, money does not."""
    library = evaluator(study(folder))
    span = Span(FIRST_NS + 900 * HOUR_NS, FIRST_NS + 1400 * HOUR_NS)
    chosen = {"fast": 3.0, "slow": 20.0, "rsi_window": 5.0}
    found = library.evaluate([{**chosen, "leverage": 3}, {**chosen, "stop": 0.02}], span)
    for column, symbol in enumerate(SYMBOLS):
        account = Account(cash=10_000.0, slippage=0.0002)
        for row, sizes in enumerate(({"leverage": 3.0}, {"stop": 0.02})):
            runs, _ = by_hand(folder, symbol, chosen, span, account, fraction=1.0, **sizes)
            assert runs["trades"][0] > 5
            for name in ("equity", "drawdown", "trades", "fees", "liquidated"):
                assert found[name][row, column] == pytest.approx(runs[name][0], rel=1e-12), (symbol, row, name)
    profits = library.profits({**chosen, "leverage": 3}, span)
    assert profits.sum() == pytest.approx((found["equity"][0] - 10_000.0).sum())
    dearer = library.evaluate([{**chosen, "leverage": 3}], span, slippage=2.0)
    assert (dearer["equity"] < found["equity"][:1]).all()


def test_the_span_is_what_all_symbols_have(folder: Path) -> None:
    library = evaluator(study(folder))
    assert library.span == Span(FIRST_NS + 168 * HOUR_NS, FIRST_NS + 1500 * HOUR_NS)


@pytest.mark.parametrize("strategy", sorted(MODELS))
def test_every_strategy_of_the_library_is_evaluated(folder: Path, strategy: str) -> None:
    first = MODELS[strategy].parameters[0]
    text = STUDY.format(strategy=strategy, path=folder, name=first.name)
    library = evaluator(parse(text.replace("low = 2, high = 9", f"low = {first.low:g}, high = {first.high:g}")))
    runs = library.evaluate([{}, {"leverage": 2.0}], library.span)
    assert runs.shape == (2, 2)
    assert np.isfinite(runs["equity"]).all()
    assert (runs["bars_held"] <= 1500).all()


def test_a_set_that_is_none_earns_nothing_and_ends_no_study(folder: Path) -> None:
    library = evaluator(study(folder))
    runs = library.evaluate([{"fast": 30, "slow": 20}, {"fast": 3, "slow": 20}], library.span)
    assert list(runs["trades"][0]) == [0, 0]
    assert list(runs["equity"][0]) == [10_000.0, 10_000.0]
    none_needed = from_runs(runs[0], 10_000.0, 100.0, Objective(least_trades=0))
    assert none_needed.score == 0.0, "nor does an objective that asks for no trades"
    assert (runs["trades"][1] > 0).all()
    assert library.profits({"fast": 30, "slow": 20}, library.span).size == 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("rsi_ema", "nothing_such"), 'no strategy "nothing_such" in the library; it has bollinger'),
        (("fast =", "fats ="), 'rsi_ema has no parameter "fats"'),
        (('["BTCUSDT", "ETHUSDT"]', "[]"), "symbols is empty"),
        (('"ETHUSDT"', '"BTCUSDT"'), "names BTCUSDT twice"),
        (
            ("low = 2, high = 9", "low = 500, high = 900"),
            r"\[space\] fast: the strategy takes 2 to 100 .*, none of these",
        ),
        (("{ low = 2, high = 9 }", '{ choices = ["a", "b"] }'), r'\[space\] fast: expected numbers \(got "a"\)'),
        (("low = 2, high = 9 }", 'low = 2, high = 9 }\n[fixed]\nslow = "x"'), r"\[fixed\] slow: expected numbers"),
        (("low = 2, high = 9 }", "low = 2, high = 9 }\n[fixed]\nrsi_window = 90"), r"\[fixed\] rsi_window: .* 2 to 60"),
        (
            ("high = 9 }", "high = 9 }\nleverage = { low = 0, high = 5 }"),
            r"\[space\] leverage: expected 1 or more \(got 0\)",
        ),
        (
            ("high = 9 }", "high = 9 }\nleverage = { low = 1, high = 200 }"),
            r"\[space\] leverage: expected 1 to 20 \(got 200\)",
        ),
        (
            ("high = 9 }", "high = 9 }\nstop = { choices = [0.1, -0.5] }"),
            r"\[space\] stop: expected 0 or more \(got -0.5",
        ),
        (("high = 9 }", "high = 9 }\n[fixed]\nfraction = 0"), r"\[fixed\] fraction: expected more than 0 \(got 0\)"),
        (("train_days = 30", "train_days = 90"), "there is BTCUSDT 2024-01-01 00:00:00 to"),
        (('"ETHUSDT"', '"XRPUSDT"'), "nobody has imported 1h candles of XRPUSDT"),
        (('["BTC', "x"), "expected TOML"),
    ],
)
def test_what_cannot_be_studied_is_refused_in_words(folder: Path, change: tuple[str, str], words: str) -> None:
    text = STUDY.format(strategy="rsi_ema", path=folder, name="fast").replace(*change)
    with pytest.raises(ResearchError, match=words):
        evaluator(parse(text))


def test_symbols_without_common_time_are_told_with_what_each_has(folder: Path, tmp_path: Path) -> None:
    store = CandleStore(tmp_path)
    for symbol, part in (("BTCUSDT", slice(0, 100)), ("ETHUSDT", slice(800, 900))):
        kept = CandleStore(folder).read(SeriesName("BINANCE-FUTURES", symbol, CandleKind.CANDLES, "1h"))
        store.write(Series(kept.name, kept.ts[part], {name: values[part] for name, values in kept.columns.items()}))
    with pytest.raises(
        ResearchError, match="no time in common: BTCUSDT 2024-01-01 00:00:00 to 2024-01-05 03:00:00, ETH"
    ):
        evaluator(study(tmp_path))


def test_a_study_goes_without_funding_that_cuts_its_time_short(folder: Path, tmp_path: Path) -> None:
    store = CandleStore(tmp_path)
    for symbol in SYMBOLS:
        kept = CandleStore(folder).read(SeriesName("BINANCE-FUTURES", symbol, CandleKind.CANDLES, "1h"))
        store.write(kept)
        paid = {"rate": np.full(2, 0.001)}
        stamps = kept.ts[-300:-284:8].copy()
        store.write(Series(SeriesName("BINANCE-FUTURES", symbol, CandleKind.FUNDING), stamps, paid))
    with pytest.raises(ResearchError, match=r"BTCUSDT funding begins .*, or go without: \[data\] funding = false"):
        evaluator(study(tmp_path))
    changes = {'symbols = ["BTC': 'funding = false\nsymbols = ["BTC'}
    library = evaluator(changed(tmp_path, **changes))
    assert library.span == evaluator(study(folder)).span
    assert all(part.funding_rate is None for part in library.parts)


def test_without_a_folder_the_home_is_asked(folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    text = STUDY.format(strategy="rsi_ema", path="", name="fast")
    (tmp_path / "data").symlink_to(folder)
    monkeypatch.setenv("TRADEDECK_HOME", str(tmp_path))
    assert evaluator(parse(text)).span.days == pytest.approx(1332 / 24)
    monkeypatch.delenv("TRADEDECK_HOME")
    with pytest.raises(ResearchError, match="no home is named"):
        evaluator(parse(text))


CROSS = {"[account]": '[account]\nmargin_mode = "cross"\nfraction = 0.5'}
CHOSEN = {"fast": 3.0, "slow": 20.0, "rsi_window": 5.0}


def changed(folder: Path, **changes: str) -> StudyFile:
    text = STUDY.format(strategy="rsi_ema", path=folder, name="fast")
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    return parse(text)


def test_crossed_margin_is_one_wallet_over_all_symbols(folder: Path) -> None:
    library = evaluator(changed(folder, **CROSS))
    span = Span(FIRST_NS + 900 * HOUR_NS, FIRST_NS + 1400 * HOUR_NS)
    found = library.evaluate([{**CHOSEN, "leverage": 3}, {"fast": 30, "slow": 20}], span)
    assert found.shape == (2, 1)
    assert (found["equity"][1, 0], found["trades"][1, 0]) == (10_000.0, 0)
    markets, sets = [], []
    for symbol in SYMBOLS:
        series = CandleStore(folder).read(SeriesName("BINANCE-FUTURES", symbol, CandleKind.CANDLES, "1h"))
        columns = [series.columns[key] for key in ("open", "high", "low", "close", "volume")]
        model = MODELS["rsi_ema"]
        said = signals(model, Indicators(Bars.of(series.ts, columns, HOUR_NS)), checked(model, CHOSEN))
        inside = slice(*np.searchsorted(series.ts, [span.start, span.stop]))
        opened, high, low, close = (column[inside] for column in columns[:4])
        tariff = Tariff(fees=((0, 0.0004),), tiers=((0, contract_of(series.name).brackets),))
        markets.append(Market(series.ts[inside], (opened, high, low, close), tariff=tariff))
        acts = np.r_[np.uint8(0), said[:-1]][inside][None]
        sets.append(Sets(bars=np.arange(acts.size), signals=acts, fraction=0.5, leverage=3.0))
    account = Account(cash=10_000.0, slippage=0.0002, isolated=False)
    (wanted,), log = simulate_shared(Basket(markets), account, sets, trades=True)
    assert set(log["symbol"]) == {0, 1}
    for name in ("equity", "drawdown", "trades", "fees", "liquidated", "sum_2"):
        assert found[name][0, 0] == pytest.approx(wanted[name], rel=1e-12), name
    assert library.profits({**CHOSEN, "leverage": 3}, span).sum() == pytest.approx(wanted["equity"] - 10_000.0)


def test_only_the_spans_of_the_window_under_way_are_kept(folder: Path) -> None:
    library = evaluator(study(folder))
    for day in range(5):
        library.evaluate([{}], Span(FIRST_NS + (200 + 24 * day) * HOUR_NS, FIRST_NS + 1400 * HOUR_NS))
    assert [len(kept) for kept in library._markets.values()] == [2, 2]


def test_fees_and_tiers_have_dates(folder: Path) -> None:
    """The second half is dearer; its tiers allow less leverage, which bounds the entries there."""
    dated = changed(
        folder,
        **{
            "fee = 0.0004": 'fee = { "2024-02-01" = 0.002, "2019-01-01" = 0.0004 }',
            "[space]": '[account.tiers.BTCUSDT]\n"2019-01-01" = [[50_000, 0.004, 125], [250_000, 0.005, 100]]\n'
            '"2024-02-01" = [[1000, 0.01, 50], [2_000, 0.05, 10]]\n[space]',
        },
    )
    february = 1_706_745_600_000_000_000
    tariff = evaluator(dated).tariffs[0]
    assert tariff.fees == ((1_546_300_800_000_000_000, 0.0004), (february, 0.002))
    assert [stamp for stamp, _ in tariff.tiers] == [1_546_300_800_000_000_000, february]
    assert [float(row.cum) for row in tariff.tiers[0][1]] == [0.0, 50.0]
    assert [float(row.cum) for row in tariff.tiers[1][1]] == [0.0, 40.0]
    library, rules = evaluator(dated), [checked(MODELS["rsi_ema"], CHOSEN)]
    sizes = {"leverage": np.array([20.0]), "fraction": np.array([0.1])}
    ((_, _, log),) = library._simulated((0,), rules, sizes, library.span, Account(), trades=True)
    log = log[log["reason"] != BY_END]
    early, late = log[log["closed"] < february - 72 * HOUR_NS], log[log["closed"] > february + 72 * HOUR_NS]
    assert early.size > 5 < late.size
    assert np.allclose(early["fees"], 0.0004 * early["quantity"] * (early["entry"] + early["exit"]))
    assert np.allclose(late["fees"], 0.002 * late["quantity"] * (late["entry"] + late["exit"]))
    assert (early["quantity"] * early["entry"] > 1000).all()
    assert (late["quantity"] * late["entry"] < 1010).all()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"fee = 0.0004": "fee = {}"}, "fee names no day"),
        ({"fee = 0.0004": 'fee = { "2024-02-31" = 0.1 }'}, "2024-02-31 is no day"),
        ({"fee = 0.0004": 'fee = { "May" = 0.1 }'}, "May is no day"),
        (
            {"[space]": '[account.tiers.DOGEUSDT]\n"2019-01-01" = []\n[space]'},
            "tiers of DOGEUSDT: the study has BTCUSDT",
        ),
        ({"[space]": '[account.tiers.BTCUSDT]\n"2019-01-01" = []\n[space]'}, "tiers of BTCUSDT 2019-01-01: no row"),
        (
            {"[space]": '[account.tiers.BTCUSDT]\n"2019-01-01" = [[5, 0.1, 9], [4, 0.2, 5]]\n[space]'},
            r"\[4, 0.2, 5\] must have a larger cap",
        ),
    ],
)
def test_a_tariff_that_is_none_is_refused_in_words(folder: Path, change: dict[str, str], words: str) -> None:
    with pytest.raises(ResearchError, match=words):
        evaluator(changed(folder, **change))


def test_the_tiers_of_a_table_join_as_the_venues_do() -> None:
    """Binance's BTCUSDT table of March 2021: the amounts that its own announcement leads to."""
    caps = (50e3, 250e3, 1e6, 10e6, 20e6, 50e6, 100e6, 200e6, 300e6, 500e6)
    rates = (0.004, 0.005, 0.01, 0.025, 0.05, 0.10, 0.125, 0.15, 0.25, 0.50)
    leverages = (125, 100, 50, 20, 10, 5, 4, 3, 2, 1)
    made = brackets(list(zip(caps, rates, leverages, strict=True)), "BTCUSDT")
    cums = [0, 50, 1300, 16300, 266300, 1266300, 2516300, 5016300, 25016300, 100016300]
    assert [float(row.cum) for row in made] == cums
