"""What a rule reduces by less than its venue's least order: one order is sold, and nothing is aimed at for ever."""

from collections import Counter
from typing import Any

import pytest
from msgspec.structs import replace

from core.domain import events as e
from core.domain import watch as w
from core.domain.identifiers import Asset
from core.domain.instrument import Instrument, MarginBracket
from core.domain.order import Side
from core.engine import Engine
from core.execution.flatten import attainable
from core.state.markets import Market
from core.state.outright import least_order
from tests.core.guardian.watch.kit import ABLE, QUIET, acted, exits, timer
from tests.core.kit import BTC_PERP, BTC_SPOT, MS, PERP, SPOT, T0, D, S, fill, held, opened, quote

LOTS = replace(BTC_PERP, size_step=D("0.1"), min_size=D(1), max_size=None)
"""A contract of which no order may be smaller than ten steps."""
COINS = replace(BTC_SPOT, min_notional=D(10))
RECORDS = {e.FlattenStarted, e.FlattenEnded, w.GuardianActed}


def holding(instrument: Instrument, quantity: str, factor: float, cash: str = "100000") -> Engine:
    """Return an engine that holds so much, with one step of the ladder at 5 %."""
    settings = replace(QUIET, drawdown_steps=((0.05, factor),))
    engine = opened(instruments=(instrument,), settings=settings, abilities={PERP: ABLE, SPOT: ABLE}, cash=cash)
    engine.process(fill(instrument, Side.BUY, quantity, "60000", "f0"))
    timer(engine, T0)
    return engine


def lose(engine: Engine, instrument: Instrument, cash: str) -> list[Any]:
    """Have so much of the wallet left, and return what comes of it."""
    return list(engine.process(e.BalanceSet(instrument.venue, Asset("USDT"), D(cash), "adopted by me", T0 + S)))


def settle(
    engine: Engine, instrument: Instrument, effects: list[Any], seconds: int = 10
) -> tuple[list[Any], list[Any]]:
    """Fill every exit at once, let the timer come ten times a second, and return (all effects, the exits)."""
    seen, sold, now = list(effects), list[Any](), T0 + S
    for number in range(seconds * 10):
        for one in exits(effects):
            sold.append(one)
            id_ = one.client_order_id
            seen += engine.process(
                fill(instrument, one.side, str(one.quantity), "60000", f"x{id_}", id_, ts=engine.state.now)
            )
        now += 100 * MS
        tick = float(instrument.tick_size)
        effects = list(engine.process(quote(instrument, 60_000.0 - tick, 60_000.0 + tick, now)))
        effects += timer(engine, now)
        if number == 5:  # asked, the venue says what is held
            effects += engine.process(e.VenueReconciled(instrument.venue, now, now, now, (instrument.holding,)))
        seen += effects
    return seen, sold


@pytest.mark.parametrize(
    ("instrument", "quantity", "factor", "cash", "lost", "left"),
    [
        (LOTS, "1.5", 0.67, "1000000", "940000", "0"),  # 0.5 too much, and less than a lot would be left
        (LOTS, "2.6", 0.8, "1000000", "940000", "1.6"),  # 0.52 too much: a lot is sold
        (LOTS, "4", 0.5, "1000000", "940000", "2.0"),  # as ever: its part
        (BTC_SPOT, "0.00016", 0.5, "180", "160", "0"),  # 4.80 of 9.60 too much, and none of 5 would be left
        (COINS, "0.00080", 0.9, "1000", "880", "0.00062"),  # 4.80 of 48: 10.26 are sold, 10 at least at the collar
        (BTC_PERP, "0.010", 0.95, "10000", "9000", "0.009"),  # what closes a contract may be worth less than an entry
    ],
)
def test_a_step_sells_an_order_at_least_and_then_holds_no_more_than_it_leaves(
    instrument: Instrument, quantity: str, factor: float, cash: str, lost: str, left: str
) -> None:
    engine = holding(instrument, quantity, factor, cash)
    before, _ = engine.state.ledger.exposure()
    effects, sold = settle(engine, instrument, lose(engine, instrument, lost))
    assert acted(effects) == [("drawdown", "reduce")]
    assert (len(sold), held(engine, instrument)) == (1, D(left))
    assert engine.state.ledger.exposure()[0] <= before * factor * 1.0001
    records = Counter(type(one) for one in effects if type(one) in RECORDS)
    assert records == {e.FlattenStarted: 1, e.FlattenEnded: 1, w.GuardianActed: 1}, "and not with each timer"


def test_what_no_order_could_sell_is_left_in_peace() -> None:
    """Dust alone outgrows the step: 3 of 10 000 USDT, and the step leaves half."""
    engine = holding(BTC_SPOT, "0.00005", 0.5, "10000")
    effects, sold = settle(engine, BTC_SPOT, lose(engine, BTC_SPOT, "9000"))
    assert (sold, engine.state.exits.flattening) == ([], {})
    assert engine.state.ledger.exposure()[0] > engine.state.watched.most
    assert not [one for one in effects if isinstance(one, e.FlattenStarted)]


def test_a_step_that_leaves_all_sells_nothing() -> None:
    engine = holding(BTC_SPOT, "0.0100033", 1.0, "10000")
    effects, sold = settle(engine, BTC_SPOT, lose(engine, BTC_SPOT, "8500"), seconds=1)
    assert (acted(effects), sold) == ([("drawdown", "reduce")], [])


def test_a_position_near_its_liquidation_is_reduced_by_an_order_at_least() -> None:
    """2.2 would be far enough away; of 3 no order sells 0.8."""
    tiered = replace(LOTS, brackets=(MarginBracket(D(0), D(10**9), D("0.004"), D(0), 125),))
    settings = replace(QUIET, min_liquidation_distance_frac=0.10)
    engine = opened(instruments=(tiered,), settings=settings, abilities={PERP: ABLE}, cash="15000")
    effects, sold = settle(engine, tiered, list(engine.process(fill(tiered, Side.BUY, "3", "60000", "f0"))))
    assert acted(effects) == [("min_liquidation_distance", "reduce")]
    assert ([one.quantity for one in sold], held(engine, tiered)) == ([D("1.0")], D("2.0"))


def test_the_least_order_of_a_coin_without_a_price_is_a_lot() -> None:
    unpriced = Market(BTC_SPOT)
    assert least_order(unpriced, 0.05) == BTC_SPOT.min_size
    assert attainable(unpriced, D("0.5"), D("0.4"), 0.05) == D("0.4")


def test_of_less_than_an_order_nothing_is_left() -> None:
    market = holding(COINS, "0.000001", 0.5).state.markets[COINS.id]
    assert attainable(market, D("0.000001"), D("0.0000005"), 0.05) == 0
