"""Coins that are found before they have a price: their entry comes with it, and nothing is realised against none."""

import pytest

from core.domain import events as e
from core.domain import market as m
from core.domain.identifiers import Asset
from core.domain.message import Event, Nanoseconds
from core.domain.order import Side
from core.domain.position import Position
from core.domain.reports import BalanceReport, VenueSnapshot
from core.engine import Engine
from core.reconcile.reconcile import reconcile
from tests.core.kit import BTC_COINM, BTC_SPOT, SPOT, T0, D, S, fill, held, of, quote


def found(strict: bool = True) -> tuple[Engine, list[Event]]:
    """Return an engine that looked twice at a wallet with coins before any price came, and what it recorded."""
    engine, events = Engine(strict=strict), list[Event]()
    script = (
        e.EngineStarted(1, "t", "paper", T0),
        m.InstrumentDefined(BTC_SPOT, T0),
        m.VenueStatus(SPOT, True, "", T0),
    )
    wallets = tuple(
        BalanceReport(Asset(name), D(total), D(total)) for name, total in (("BTC", "0.2"), ("USDT", "50000"))
    )
    for message in script:
        events += of(engine.process(message), Event)
    for _ in range(2):
        for event in reconcile(engine.state, VenueSnapshot(SPOT, T0, (), (), (), wallets), {}, T0, T0):
            events += of(engine.process(event), Event)
    return engine, events


def position(engine: Engine) -> Position:
    return engine.state.ledger.positions[BTC_SPOT.holding]


def priced(engine: Engine, middle: float, ts: Nanoseconds) -> list[Event]:
    engine.process(quote(BTC_SPOT, middle - 0.01, middle + 0.01, ts))
    return of(engine.process(m.Timer(ts)), Event)


@pytest.mark.parametrize("again", [False, True], ids=["", "after a restart"])
def test_the_entry_is_the_first_mark_and_losses_count_from_it(again: bool) -> None:
    engine, events = found()
    engine.process(m.Timer(T0 + S))
    assert (position(engine).quantity, position(engine).entry_price) == (D("0.2"), D(0))
    assert engine.state.ledger.unvalued, "not taken for worth nothing in silence"
    if again:
        engine = Engine(strict=True)
        for event in events:
            assert engine.recover(event) == ""
        engine.process(m.VenueStatus(SPOT, True, "", T0 + S))
        engine.process(e.VenueReconciled(SPOT, T0, T0 + S))
    told = of(priced(engine, 60_000.0, T0 + 2 * S), e.PositionSet)
    assert [(one.quantity, one.entry_price) for one in told] == [(D("0.2"), D("60000.0"))]
    assert not of(priced(engine, 60_010.0, T0 + 3 * S), e.PositionSet), "once"
    assert position(engine).entry_price == D("60000.0")
    for step in range(4, 8):
        priced(engine, 60_000.0 - 4_000 * (step - 3), T0 + step * S)
    assert BTC_SPOT.id in engine.state.exits.flattening, "a loss beyond the bound closes it"


def test_what_is_sold_before_a_price_came_realises_nothing() -> None:
    engine, _ = found(strict=False)
    engine.process(fill(BTC_SPOT, Side.SELL, "0.05", "60000", "f1", ts=T0 + S))
    assert (position(engine).realised, position(engine).entry_price) == (D(0), D(60000))
    engine.process(fill(BTC_SPOT, Side.SELL, "0.15", "61000", "f2", ts=T0 + S))
    assert (position(engine).realised, held(engine, BTC_SPOT)) == (D(150), D(0))
    assert not of(priced(engine, 60_000.0, T0 + 2 * S), e.PositionSet)


def test_what_is_added_to_an_unknown_entry_tells_it() -> None:
    inverse = Position.of(BTC_COINM)
    inverse.quantity = D(3)
    inverse.apply_fill(Side.BUY, D(1), D(60000), T0)
    assert (inverse.quantity, inverse.entry_price, inverse.realised) == (D(4), D(60000), D(0))


def test_a_position_whose_market_is_gone_waits() -> None:
    engine, _ = found()
    engine.state.markets.pop(BTC_SPOT.id)
    assert not of(engine.process(m.Timer(T0 + S)), e.PositionSet)
