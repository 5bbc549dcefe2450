"""Coins whose sale is known before what brought them: a deposit that waits for a word, a purchase not told yet."""

from decimal import Decimal

import pytest

from core.domain import commands as c
from core.domain import events as e
from core.domain import market as m
from core.domain.approval import Approved
from core.domain.differences import DifferenceFound, DifferenceKind, Resolution, ResolveDifference
from core.domain.identifiers import Asset, ClientOrderId, InstrumentId
from core.domain.order import OrderStatus, Side, StopLoss
from core.domain.reports import BalanceReport, OrderReport, VenueSnapshot
from core.engine import Engine
from core.reconcile.reconcile import reconcile
from tests.core.guardian.test_guardian import WIDE
from tests.core.kit import (
    BTC_SPOT,
    ETH_BTC,
    ETH_SPOT,
    PRICES,
    SPOT,
    T0,
    D,
    S,
    accept,
    fill,
    held,
    of,
    opened,
    order,
    quote,
    sent,
)

BTC, ETH = Asset("BTC"), Asset("ETH")


@pytest.fixture(autouse=True)
def _prices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PRICES, ETH_SPOT.id, 3_000.0)
    monkeypatch.setitem(PRICES, ETH_BTC.id, 0.05)


def account() -> tuple[Engine, ClientOrderId]:
    """Return an engine with money and one bitcoin, and its resting entry of 2 ETH with a stop at 2 800."""
    engine = opened(instruments=(ETH_BTC, BTC_SPOT, ETH_SPOT), settings=WIDE, cash="200000")
    engine.process(e.BalanceSet(SPOT, BTC, D(1), "deposit", T0))
    engine.process(m.Timer(T0))
    entry = sent(engine, order(ETH_SPOT, Side.BUY, "2", "3000", stop_loss=StopLoss(D(2_800))))
    accept(engine, entry)
    return engine, entry


def waits(engine: Engine, ours: int, theirs: int, ts: int = T0) -> None:
    """Have coins of a deposit wait for a word."""
    what = DifferenceKind.BALANCE, SPOT, InstrumentId(""), ETH, ClientOrderId("")
    engine.process(DifferenceFound(0, *what, D(ours), D(theirs), D(0), "no booking explains it", ts))


def look(engine: Engine, coins: Decimal, ts: int) -> list[object]:
    """Look at the venue, which has so many ETH and else what our record says."""
    rests = tuple(
        OrderReport(
            one.order.client_order_id, one.venue_order_id, one.order, OrderStatus.ACCEPTED, one.filled, None, ts
        )
        for one in engine.state.blotter.open.values()
    )
    wallet = engine.state.ledger.balances[SPOT]
    balances = tuple(BalanceReport(asset, coins if asset == ETH else has, D(0)) for asset, has in wallet.items())
    effects: list[object] = []
    for event in reconcile(engine.state, VenueSnapshot(SPOT, ts, rests, (), (), balances), {}, ts, ts):
        effects += engine.process(event)
    return effects


@pytest.mark.parametrize("kept", [True, False])
def test_a_look_takes_no_stop_of_coins_away_while_others_that_came_wait_for_a_word(kept: bool) -> None:
    engine, entry = account()
    waits(engine, 0, 3)
    if kept:
        engine.process(ResolveDifference(1, Resolution.KEPT, who="ann", ts=T0))
    engine.process(fill(ETH_BTC, Side.SELL, "3", "0.05", "phone", ts=T0 + S))
    engine.process(fill(ETH_SPOT, Side.BUY, "2", "3000", "ours", entry, ts=T0 + 2 * S))
    (stop,) = engine.state.blotter.of(ETH_SPOT.id)
    accept(engine, stop.order.client_order_id)
    assert not of(look(engine, D(2), T0 + 6 * S), e.CancelSubmitted)  # type: ignore[arg-type]
    assert (held(engine, ETH_SPOT), stop.remaining, stop.status) == (D(2), D(2), OrderStatus.ACCEPTED)
    assert [one.left for one in engine.state.brackets.all()] == [D(2)]


def test_coins_of_a_deposit_that_waits_are_there_while_an_entry_fills_in_parts() -> None:
    engine, entry = account()
    waits(engine, 0, 3)
    engine.process(fill(ETH_BTC, Side.SELL, "2", "0.05", "phone", ts=T0 + S))
    for part in (1, 2):
        engine.process(fill(ETH_SPOT, Side.BUY, "1", "3000", f"part {part}", entry, ts=T0 + (1 + part) * S))
    assert engine.state.ledger.balances[SPOT][ETH] == D(0), "3 are at the venue"
    assert (held(engine, ETH_SPOT), [one.left for one in engine.state.brackets.all()]) == (D(2), [D(2)])


def test_a_bracket_of_coins_that_are_gone_does_not_sell_what_is_bought_behind_it() -> None:
    """It was not cut while coins were owed; the word on the deposit brings the wallet to nothing, and cuts it."""
    engine, entry = account()
    engine.process(fill(ETH_SPOT, Side.BUY, "2", "3000", "ours", entry, ts=T0 + S))
    (stop,) = engine.state.blotter.of(ETH_SPOT.id)
    waits(engine, 2, 3, T0 + 2 * S)
    engine.process(e.OrderCancelled(stop.order.client_order_id, "by phone", T0 + 3 * S, T0 + 3 * S))
    engine.process(fill(ETH_BTC, Side.SELL, "3", "0.05", "phone", ts=T0 + 3 * S))
    for record in engine.state.blotter.of(ETH_SPOT.id):
        id_ = record.order.client_order_id
        engine.process(e.OrderRejected(id_, "insufficient balance", T0 + 3 * S, T0 + 3 * S))
    engine.process(ResolveDifference(1, Resolution.ADOPTED, who="ann", ts=T0 + 4 * S))
    assert (held(engine, ETH_SPOT), engine.state.brackets.all()) == (D(0), [])
    for second in range(5, 9):
        engine.process(quote(ETH_SPOT, 2_499.99, 2_500.01, T0 + second * S))
        engine.process(quote(BTC_SPOT, 59_999.99, 60_000.01, T0 + second * S))
    again = sent(engine, order(ETH_SPOT, Side.BUY, "1", "2500.01"))
    effects = list(engine.process(fill(ETH_SPOT, Side.BUY, "1", "2500", "new", again, ts=T0 + 9 * S)))
    effects += engine.process(m.Timer(T0 + 11 * S))
    assert not of(effects, Approved)


def test_when_all_is_told_what_is_held_is_what_the_wallet_has() -> None:
    engine, _ = account()
    engine.process(fill(ETH_SPOT, Side.SELL, "1", "3000", "2nd", ts=T0 + S))
    engine.process(fill(ETH_BTC, Side.BUY, "0.7", "0.05", "3rd", ts=T0 + S))
    engine.process(fill(ETH_SPOT, Side.BUY, "1", "3000", "1st", ts=T0 + S))
    assert (held(engine, ETH_SPOT), engine.state.ledger.balances[SPOT][ETH]) == (D("0.7"), D("0.7"))
    effects = engine.process(c.Flatten(ETH_SPOT.id, "test", T0 + 2 * S))
    left = [one.command.order for one in of(effects, Approved) if isinstance(one.command, c.SubmitOrder)]
    assert [(one.side, one.quantity) for one in left] == [(Side.SELL, D("0.7"))]
