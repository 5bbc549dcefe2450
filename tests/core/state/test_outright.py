"""Coins of a strategy: what a fee leaves of a fill, what cannot be sold, and a wallet that others share."""

from typing import Any

import msgspec
import pytest

from core.domain import configs as d
from core.domain import events as e
from core.domain import market as m
from core.domain.identifiers import Asset, ClientOrderId, InstrumentId, StrategyId
from core.domain.order import Order, OrderRecord, OrderStatus, Side
from core.state.configs import Account, ConfigBook
from core.state.markets import Market
from core.state.outright import is_dust, is_unsellable, moved
from core.state.state import State
from tests.core.kit import BTC_PERP, BTC_SPOT, T0, D, S, fill
from tests.core.strategy.street import config

BTC, USDT = Asset("BTC"), Asset("USDT")


def book() -> ConfigBook:
    made = ConfigBook()
    made.adopted(d.ConfigAdopted(config(instruments=(BTC_SPOT.id,)), T0))
    return made


def take(made: ConfigBook, side: Side, quantity: str, price: str, there: str, **what: Any) -> Account:
    """Take a fill of the strategy's; \"there\" is what the wallet has after it."""
    fee, asset, status = what.get("fee", "0"), what.get("asset", USDT), what.get("status", OrderStatus.FILLED)
    id_ = ClientOrderId(f"{side}{quantity}{price}")
    order = Order(BTC_SPOT.id, side, D(quantity), client_order_id=id_, strategy_id=StrategyId("ema"))
    event = fill(BTC_SPOT, side, quantity, price, f"f{id_}", id_).replace(fee=D(fee), fee_asset=asset)
    made.filled(event, OrderRecord(order, status, BTC_SPOT.venue, T0, T0), BTC_SPOT, D(there))
    return made.accounts[BTC_SPOT.id]


@pytest.mark.parametrize(("side", "change"), [(Side.BUY, "0.999"), (Side.SELL, "1.001")])
def test_a_fee_in_coins_comes_off_what_arrives(side: Side, change: str) -> None:
    event = fill(BTC_SPOT, side, "1", "100", "f").replace(fee=D("0.001"), fee_asset=BTC)
    assert moved(event, BTC_SPOT) == D(change)
    assert moved(event.replace(fee_asset=USDT), BTC_SPOT) == D(1)
    assert moved(event.replace(instrument=BTC_PERP.id), BTC_PERP) == D(1), "a contract is no coin"


def test_a_fee_in_coins_is_counted_once() -> None:
    """100 of money bought 1 less 0.001; what it is sold for is all that there is."""
    made = book()
    account = take(made, Side.BUY, "1", "100", "5.999", fee="0.001", asset=BTC)
    assert (account.quantity, account.entry_price) == (D("0.999"), D(100))
    account = take(made, Side.SELL, "0.999", "110", "5", fee="0.10989")
    assert (account.quantity, account.wallet) == (D(0), D(10_000) - 100 + D("109.89") - D("0.10989"))
    (trade,) = account.trades
    assert (trade.quantity, trade.profit) == (D("0.999"), account.wallet - 10_000)


def test_what_cannot_be_sold_is_lost_and_ends_the_trade() -> None:
    made = book()
    take(made, Side.BUY, "1", "100", "6.000001", fee="-0.000001", asset=BTC)
    account = take(made, Side.SELL, "0.99", "110", "5.010001", status=OrderStatus.PARTIALLY_FILLED)
    assert account.quantity == D("0.010001"), "the order may fill more"
    account = take(made, Side.SELL, "0.005", "110", "5.005001")  # 0.005001 at 110 is below the least order of 5
    assert account.quantity == 0
    (trade,) = account.trades
    assert (trade.quantity, trade.exit, trade.reason) == (D("0.995"), D(110), "signal")
    assert account.wallet == D(10_000) - 100 + D("0.995") * 110


def test_a_sale_of_what_an_account_does_not_have_opens_nothing() -> None:
    account = take(book(), Side.SELL, "1", "100", "4", fee="0.1")
    assert (account.quantity, account.wallet, account.closed) == (D(0), D(10_000), 0)


@pytest.mark.parametrize(
    ("quantity", "price", "dust"),
    [("0.000009", 9e9, True), ("0.00001", 0.0, False), ("0.0499", 100.0, True), ("0.05", 100.0, False)],
)
def test_dust_is_less_than_a_lot_or_than_the_least_order(quantity: str, price: float, dust: bool) -> None:
    assert is_dust(BTC_SPOT, D(quantity), price) is dust


def test_coins_count_at_the_dearest_price_and_contracts_by_their_lots() -> None:
    spot, perp = Market(BTC_SPOT), Market(BTC_PERP)
    assert not is_unsellable(spot, D("0.00008")), "no price is known"
    spot.bid, spot.mark = 60_000.0, 60_001.0
    assert is_unsellable(spot, D("0.00008"))
    spot.last = 62_500.0
    assert not is_unsellable(spot, D("0.00008"))
    perp.bid = perp.mark = 60_000.0
    assert [is_unsellable(perp, D(size)) for size in ("-0.001", "0.0009")] == [False, True]


def test_left_coins_end_with_the_strategy_and_are_no_runners() -> None:
    made = book()
    take(made, Side.BUY, "1", "100", "1")
    made.ended(d.ConfigEnded("ema", 1, T0 + S))
    assert made.runner(BTC_SPOT.id) == ""
    assert made.accounts[BTC_SPOT.id].trades[-1].reason == "dust"


def test_another_pair_that_spends_the_coins_takes_them_from_the_account() -> None:
    """The wallet's coins bound it, whichever pair moved them."""
    twin_id = InstrumentId("BINANCE-SPOT:SPOT_PAIR:BTC-USDC")
    state, twin = State(), msgspec.structs.replace(BTC_SPOT, id=twin_id, quote=Asset("USDC"))
    for instrument in (BTC_SPOT, twin):
        state.apply(m.InstrumentDefined(instrument, T0))
    state.apply(e.BalanceSet(BTC_SPOT.venue, USDT, D(10_000), "opening", T0))
    state.apply(d.ConfigAdopted(config(instruments=(BTC_SPOT.id,)), T0))
    take(state.configs, Side.BUY, "1", "100", "1")
    state.ledger.balances[BTC_SPOT.venue][BTC] = D(1)
    state.apply(fill(twin, Side.SELL, "0.4", "100", "other").replace(fee=D(0)))
    assert state.configs.accounts[BTC_SPOT.id].quantity == D("0.6")
