"""The rule of a study's trades, bar by bar, against the margin simulator's kernel."""

from decimal import Decimal
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from core.domain.identifiers import InstrumentId
from core.domain.market import Bar, Interval
from core.domain.studies import Config, ConfigStatus
from core.errors import ConfigError
from core.strategy.rule import Contract, RuleTrade, Shadow, Terms, split
from core.strategy.shared import SharedRule
from research.simulator.records import BY_END, BY_LIQUIDATION, BY_SIGNAL, BY_STOP, BY_TARGET
from research.simulator.shared import Basket, simulate_shared
from research.simulator.simulator import Account, Market, Sets, Tariff, simulate
from tests.core.kit import BTC_PERP
from venues.contracts_table import contracts

HOUR_NS = Interval.H1.ns
WHY = {BY_SIGNAL: "signal", BY_STOP: "stop", BY_TARGET: "target", BY_LIQUIDATION: "liquidation"}
LISTED = msgspec.structs.replace(
    next(one for one in contracts(BTC_PERP.venue) if one.id == BTC_PERP.id), min_notional=Decimal(5)
)


def walk(seed: int, size: int, wild: float) -> tuple[np.ndarray[Any, Any], ...]:
    """Return open, high, low and close of a random walk with wide ranges."""
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(rng.normal(0, wild, size)))
    opened = np.r_[100.0, close[:-1]] * np.exp(rng.normal(0, wild / 4, size))
    high = np.maximum(opened, close) * np.exp(np.abs(rng.normal(0, wild / 2, size)))
    low = np.minimum(opened, close) * np.exp(-np.abs(rng.normal(0, wild / 2, size)))
    return opened, high, low, close


def by_rule(
    rows: tuple[np.ndarray[Any, Any], ...], acts: dict[int, int], terms: Terms, contract: Contract
) -> tuple[list[RuleTrade], Shadow]:
    """Return what the rule trades; ``acts`` are signals by the bar at whose open they act."""
    shadow, ended = Shadow(10_000.0), []
    for t, (opened, high, low, close) in enumerate(zip(*rows, strict=True)):
        shadow.pending = acts.get(t, 0)
        bar = Bar(BTC_PERP.id, Interval.H1, t * HOUR_NS, opened, high, low, close, 1.0, 1, True, 0, t)
        ended += shadow.on_bar(bar, terms, contract)
    return ended, shadow


TERMS = st.builds(
    Terms,
    leverage=st.sampled_from([1.0, 3.0, 10.0, 20.0]),
    notional=st.sampled_from([0.0, 0.0, 9_000.0]),
    fraction=st.sampled_from([0.1, 0.9, 1.0]),
    max_size=st.sampled_from([0.0, 40_000.0]),
    stop=st.sampled_from([0.0, 0.01, 0.05]),
    target=st.sampled_from([0.0, 0.01, 0.08]),
    trail=st.sampled_from([0.0, 0.015, 0.05]),
    slippage=st.sampled_from([0.0, 0.001]),
    isolated=st.booleans(),
)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.002, 0.02, 0.08]), st.sampled_from([0.05, 0.3, 1.0]), TERMS)
def test_the_rule_trades_what_the_simulator_trades(seed: int, wild: float, often: float, terms: Terms) -> None:
    rows = walk(seed, 90, wild)
    rng = np.random.default_rng(seed + 1)
    acts = {int(t): int(rng.integers(0, 16)) for t in np.flatnonzero(rng.random(90) < often)}
    contract = Contract.of(LISTED)
    stamps = np.arange(90, dtype=np.int64) * HOUR_NS
    market = Market(stamps, rows, tariff=Tariff(fees=((0, contract.fee),), tiers=((0, LISTED.brackets),)))  # type: ignore[arg-type]
    account = Account(
        cash=10_000.0, slippage=terms.slippage, size_step=0.001, min_notional=5.0, isolated=terms.isolated
    )
    when = np.array(sorted(acts), np.int64)
    chosen = {name: getattr(terms, name) for name in ("leverage", "notional", "fraction", "max_size")}
    levels = {name: getattr(terms, name) for name in ("stop", "target", "trail")}
    sets = Sets(bars=when, signals=np.array([[acts[int(t)] for t in when]], np.uint8), **chosen, **levels)
    runs, log = simulate(market, account, sets, trades=True)
    ours, shadow = by_rule(rows, acts, terms, contract)
    theirs = [one for one in log if one["reason"] != BY_END]
    assert len(ours) == len(theirs)
    for own, other in zip(ours, theirs, strict=True):
        seen = (own.side, own.opened // HOUR_NS, own.closed // HOUR_NS, own.reason)
        assert seen == (other["side"], other["opened"], other["closed"], WHY[int(other["reason"])])
        figures = (own.quantity, own.entry, own.exit, own.fees, own.profit)
        told = [float(other[name]) for name in ("quantity", "entry", "exit", "fees", "profit")]
        assert figures == pytest.approx(told, rel=1e-9, abs=1e-7)
    assert shadow.liquidated == (runs["liquidated"][0] >= 0)


def several(seed: int, wild: float, gaps: float) -> list[tuple[np.ndarray[Any, Any], ...]]:
    """Return stamps and prices of three contracts; the later ones lack bars, and one begins late."""
    rng, made = np.random.default_rng(seed), []
    for number in range(3):
        rows = walk(seed + number, 90, wild)
        keep = rng.random(90) >= gaps * number
        keep[: 7 * (number == 2 and gaps > 0.0)] = False
        made.append((np.arange(90, dtype=np.int64)[keep], *(row[keep] for row in rows)))
    return made


HARD = Terms(leverage=20.0, fraction=0.3, stop=0.05, slippage=0.02, isolated=False)
STOPPED = Terms(leverage=10.0, fraction=0.9, stop=0.01, slippage=0.001, isolated=False)


@settings(deadline=None, max_examples=120)
@example(889325585, 0.06, 0.3, 0.1, HARD)  # liquidated behind a stop of the same bar
@example(1713023724, 0.06, 0.05, 0.1, STOPPED)  # liquidated at a time at which one has no bar
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([0.002, 0.02, 0.06]),
    st.sampled_from([0.05, 0.3, 1.0]),
    st.sampled_from([0.0, 0.1]),
    TERMS,
)
def test_a_shared_wallet_trades_what_the_simulator_trades(
    seed: int, wild: float, often: float, gaps: float, terms: Terms
) -> None:
    markets, contract = several(seed % 2**31, wild, gaps), Contract.of(LISTED)
    tariff = Tariff(fees=((0, contract.fee),), tiers=((0, LISTED.brackets),))
    rng = np.random.default_rng(seed + 1)
    chosen = {name: getattr(terms, name) for name in ("leverage", "notional", "fraction", "max_size")}
    levels = {name: getattr(terms, name) for name in ("stop", "target", "trail")}
    sets, acts = [], []
    for bars, *_ in markets:
        when = np.flatnonzero(rng.random(bars.size) < often).astype(np.int64)
        signals = rng.integers(0, 16, when.size).astype(np.uint8)
        sets.append(Sets(bars=when, signals=signals[None, :], **chosen, **levels))
        acts.append({int(bars[t]): int(one) for t, one in zip(when, signals, strict=True)})
    basket = Basket([Market(bars * HOUR_NS, tuple(rows), tariff=tariff) for bars, *rows in markets])  # type: ignore[arg-type]
    account = Account(cash=10_000.0, slippage=terms.slippage, size_step=0.001, min_notional=5.0, isolated=False)
    runs, log = simulate_shared(basket, account, sets, trades=True)
    shadows = [Shadow(10_000.0 / 4), Shadow(10_000.0 / 4), Shadow(10_000.0 / 2)]
    rule = SharedRule(terms, [contract] * 3)
    ours: list[tuple[int, RuleTrade]] = []
    rows_of = [dict(zip(bars.tolist(), zip(*rows, strict=True), strict=True)) for bars, *rows in markets]
    for t in range(90):
        bars_now = []
        for shadow, rows, act in zip(shadows, rows_of, acts, strict=True):
            shadow.pending = act.get(t, shadow.pending)
            row = rows.get(t)
            bar = (
                None
                if row is None
                else Bar(BTC_PERP.id, Interval.H1, t * HOUR_NS, row[0], row[1], row[2], row[3], 1.0, 1, True, 0, t)
            )
            bars_now.append(bar)
        ended = rule.on_bars(shadows, bars_now)
        ours += [(place, trade) for place, trades in enumerate(ended) for trade in trades]
    times = (basket.ts // HOUR_NS).tolist()
    told = [(place, one.side, one.opened // HOUR_NS, one.closed // HOUR_NS, one.reason) for place, one in ours]
    theirs = [one for one in log if one["reason"] != BY_END]
    seen = [
        (int(one["symbol"]), int(one["side"]), times[one["opened"]], times[one["closed"]], WHY[int(one["reason"])])
        for one in theirs
    ]
    assert sorted(told) == sorted(seen)
    by_key = dict(zip(seen, theirs, strict=True))
    for key, (_, own) in zip(told, ours, strict=True):
        figures = (own.quantity, own.entry, own.exit, own.fees, own.profit)
        assert figures == pytest.approx(
            [float(by_key[key][name]) for name in ("quantity", "entry", "exit", "fees", "profit")], rel=1e-9, abs=1e-6
        )
    assert all(shadow.liquidated for shadow in shadows) == (runs["liquidated"][0] >= 0)


def config(**changes: Any) -> Config:
    """Return a config of an RSI and EMA cross on hours."""
    fields: dict[str, Any] = {
        "strategy_id": "ema",
        "version": 1,
        "status": ConfigStatus.ACTIVE,
        "instruments": (InstrumentId(BTC_PERP.id),),
        "parameters": {"fast": 5, "slow": 9, "stop": 0.02, "fraction": 0.5},
        "leverage": 2.0,
        "margin_mode": "isolated",
        "max_position_size": 0.0,
        "score": None,
        "study": "s",
        "trial": 1,
        "promoted_at": 0,
        "promoted_by": "me",
        "strategy": "rsi_ema",
        "interval": "1h",
        "capital": 10_000.0,
    }
    return Config(**{**fields, **changes})


def test_parameters_are_the_strategys_own_or_the_positions() -> None:
    values, terms = split(config(max_position_size=900.0, margin_mode="cross"))
    assert values == {"fast": 5.0, "slow": 9.0}
    assert terms == Terms(leverage=2.0, fraction=0.5, max_size=900.0, stop=0.02, isolated=False)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"parameters": {"fast": "quick"}}, "parameter fast is 'quick'"),
        ({"parameters": {"stop": 1.5}}, "stop is 1.5"),
        ({"parameters": {"fraction": 0.0}}, "no size"),
        ({"leverage": 0.5}, "leverage is 0.5"),
        ({"parameters": {"target": float("nan")}}, "parameter target is nan"),
    ],
)
def test_terms_that_no_position_can_have_are_named(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        split(config(**changes))
