"""Contract data that change: what is held keeps the terms it was bought by, what is bought next has those of now."""

from decimal import Decimal

import pytest
from msgspec.structs import replace

from core.domain import events as e
from core.domain import market as m
from core.domain.identifiers import Asset
from core.domain.order import Side
from core.engine import Engine
from tests.core.kit import BTC_PERP, BTC_SPOT, BTC_USDC, SPOT, T0, D, S, denied, fill, of, opened, order, quote, submit

SMALL = replace(BTC_PERP, contract_size=D("0.01"))


def traded(engine: Engine, side: Side, quantity: str, second: int) -> None:
    engine.process(fill(BTC_PERP, side, quantity, "60000", f"f{second}", ts=T0 + second * S))


def size(engine: Engine) -> Decimal:
    return engine.state.ledger.positions[BTC_PERP.id].contract_size


@pytest.mark.parametrize("fee_asset", ["USDT", "BNB"])
def test_what_is_bought_from_flat_has_the_terms_of_now(fee_asset: str) -> None:
    engine = opened(instruments=(BTC_PERP,))
    traded(engine, Side.BUY, "0.1", 1)
    traded(engine, Side.SELL, "0.1", 2)
    assert of(engine.process(m.InstrumentDefined(SMALL, T0 + 3 * S)), m.InstrumentDefined)
    bought = fill(BTC_PERP, Side.BUY, "10", "60000", "f4", ts=T0 + 4 * S)
    engine.process(bought.replace(fee_asset=Asset(fee_asset)))
    engine.process(quote(BTC_PERP, 60_599.9, 60_600.1, T0 + 5 * S))
    assert size(engine) == D("0.01")
    shown = engine.state.equity
    assert shown == pytest.approx(50_060.0)
    engine.state.ledger.revalue()
    assert engine.state.equity == pytest.approx(shown)
    assert engine.state.ledger.exposure()[0] == pytest.approx(6_060.0)


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        (SMALL, "contract_size 0.01 instead of 1"),
        (replace(BTC_PERP, settle=Asset("USDC")), "settle USDC instead of USDT"),
    ],
)
def test_terms_do_not_change_under_what_is_held_and_are_taken_once_it_is_flat(changed: object, what: str) -> None:
    engine = opened(instruments=(BTC_PERP,))
    traded(engine, Side.BUY, "0.1", 1)
    told = m.InstrumentDefined(changed, T0 + 2 * S)  # type: ignore[arg-type]
    effects = engine.process(told)
    assert not of(effects, m.InstrumentDefined)
    (seen,) = of(effects, e.IllegalEventSeen)
    assert f"{BTC_PERP.id}: {what} while 0.1 are held; taken once it is flat" in seen.what
    assert not of(engine.process(m.Timer(T0 + 3 * S)), m.InstrumentDefined)
    assert engine.state.markets[BTC_PERP.id].instrument == BTC_PERP
    traded(engine, Side.SELL, "0.1", 4)
    assert of(engine.process(m.Timer(T0 + 5 * S)), m.InstrumentDefined) == [told.replace(ts=T0 + 5 * S)]
    assert not of(engine.process(m.Timer(T0 + 6 * S)), m.InstrumentDefined)
    assert engine.state.markets[BTC_PERP.id].instrument == changed


def test_nothing_is_entered_until_the_new_terms_count() -> None:
    engine = opened(instruments=(BTC_PERP,))
    traded(engine, Side.BUY, "0.1", 1)
    engine.process(m.InstrumentDefined(SMALL, T0 + 2 * S))
    refused = denied(engine, order(BTC_PERP, Side.BUY, "0.1"))
    assert (refused.limit, "contract_size 0.01 instead of 1 while 0.1 are held" in refused.reason) == ("terms", True)
    assert not of(submit(engine, order(BTC_PERP, Side.SELL, "0.1", reduce_only=True)), e.OrderDenied)
    traded(engine, Side.SELL, "0.1", 4)
    engine.process(quote(BTC_PERP, 59_999.9, 60_000.1, T0 + 4 * S))
    assert denied(engine, order(BTC_PERP, Side.BUY, "0.1")).limit == "terms", "they count from the next timer"
    engine.process(m.Timer(T0 + 5 * S))
    assert not of(submit(engine, order(BTC_PERP, Side.BUY, "1")), e.OrderDenied)


def test_what_is_told_last_is_what_is_taken() -> None:
    engine = opened(instruments=(BTC_PERP,))
    traded(engine, Side.BUY, "0.1", 1)
    engine.process(m.InstrumentDefined(SMALL, T0 + 2 * S))
    wide = replace(BTC_PERP, tick_size=D("0.5"))
    assert of(engine.process(m.InstrumentDefined(wide, T0 + 3 * S)), m.InstrumentDefined), "its terms are the same"
    traded(engine, Side.SELL, "0.1", 4)
    assert not of(engine.process(m.Timer(T0 + 5 * S)), m.InstrumentDefined)


@pytest.mark.parametrize("size", ["1", "0.01"])
def test_steps_told_with_other_money_are_those_of_now_unless_they_are_of_other_contracts(size: str) -> None:
    engine = opened(instruments=(BTC_PERP,))
    traded(engine, Side.BUY, "0.1", 1)
    both = replace(BTC_PERP, settle=Asset("USDC"), contract_size=D(size), tick_size=D("0.5"))
    engine.process(m.InstrumentDefined(both, T0 + 2 * S))
    now = replace(BTC_PERP, tick_size=D("0.5")) if size == "1" else BTC_PERP
    assert engine.state.markets[BTC_PERP.id].instrument == now
    assert not of(engine.process(m.InstrumentDefined(both, T0 + 3 * S)), m.InstrumentDefined)
    traded(engine, Side.SELL, "0.1", 4)
    engine.process(m.Timer(T0 + 5 * S))
    assert engine.state.markets[BTC_PERP.id].instrument == both


def test_a_coins_pairs_have_one_position_whose_money_stays() -> None:
    engine = opened(instruments=(BTC_SPOT,))
    engine.process(m.InstrumentDefined(BTC_USDC, T0))
    for number, side in enumerate((Side.BUY, Side.SELL)):
        engine.process(fill(BTC_SPOT, side, "0.1", "60000", f"f{number}"))
    engine.process(fill(BTC_USDC, Side.BUY, "0.1", "60000", "f2"))
    assert engine.state.ledger.positions[BTC_SPOT.holding].settle == "USDT"
    assert engine.state.ledger.balances[SPOT][BTC_USDC.quote] == D(-6_000)
