"""Coins that are found before they have a price: their entry comes with it, and nothing is realised against none."""

import pytest
from msgspec.structs import replace

from core.domain import commands as c
from core.domain import events as e
from core.domain import market as m
from core.domain.identifiers import Asset, InstrumentId
from core.domain.message import Event, Nanoseconds
from core.domain.order import Side
from core.domain.position import Position
from core.domain.reports import BalanceReport, VenueSnapshot
from core.engine import Engine
from core.reconcile.reconcile import reconcile, spot_position
from tests.core.kit import BTC_COINM, BTC_SPOT, SPOT, T0, D, S, fill, held, of, opened, quote


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


@pytest.mark.parametrize(
    ("total", "entry"),
    [("0.4", "75000.0"), ("0.1", "90000"), ("-0.1", "0"), ("0", "0")],
    ids=["came", "went", "more than all went", "all went"],
)
def test_what_came_beside_trading_is_entered_at_its_mark_of_now(total: str, entry: str) -> None:
    engine, _ = found()
    position(engine).entry_price = D(90_000)
    engine.process(quote(BTC_SPOT, 59_999.99, 60_000.01, T0 + S))
    moved(engine, total)
    assert (held(engine, BTC_SPOT), position(engine).entry_price) == (max(D(total), D(0)), D(entry))


@pytest.mark.parametrize("entry", ["90000", "0"])
def test_where_either_price_is_not_known_what_came_takes_the_entry_of_before(entry: str) -> None:
    engine, _ = found()
    position(engine).entry_price = D(entry)
    if entry == "0":
        engine.process(quote(BTC_SPOT, 59_999.99, 60_000.01, T0 + S))
    moved(engine, "0.4")
    assert (held(engine, BTC_SPOT), position(engine).entry_price) == (D("0.4"), D(entry))


def moved(engine: Engine, total: str) -> None:
    """Have the wallet's coins change as by a deposit, and what is held be brought to them."""
    engine.process(e.BalanceSet(SPOT, Asset("BTC"), D(total), "deposit", T0 + S))
    for event in spot_position(engine.state, SPOT, Asset("BTC"), T0 + S):
        engine.process(event)


def test_a_position_whose_market_is_gone_waits() -> None:
    engine, _ = found()
    engine.state.markets.pop(BTC_SPOT.id)
    assert not of(engine.process(m.Timer(T0 + S)), e.PositionSet)


def test_cash_that_a_pair_calls_its_base_is_no_position() -> None:
    """A flatten of all would sell the account's money for another."""
    usdt = replace(BTC_SPOT, id=InstrumentId("BINANCE-SPOT:SPOT_PAIR:USDT-EUR"), base=Asset("USDT"), quote=Asset("EUR"))
    engine = opened(instruments=(BTC_SPOT,))
    engine.process(m.InstrumentDefined(usdt, T0))
    engine.process(quote(usdt, 0.9199, 0.9201))
    assert not list(spot_position(engine.state, SPOT, Asset("USDT"), T0))
    engine.process(c.Flatten(None, "me", T0))
    assert not engine.state.exits.flattening
