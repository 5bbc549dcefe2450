"""The quick look at margin never lets through what the whole look refuses."""

from decimal import Decimal
from itertools import product

import pytest

from core.domain.order import Order, Side
from tests.venues.matching.pit import ETH, FUTURES, PERP, USDT
from venues.contracts_table import contracts
from venues.matching.account import Account
from venues.matching.liquidity import Liquidity, exact
from venues.matching.settings import MatchingSettings

NONE = Decimal(0)
WALLETS = [Decimal(text) for text in ("-5", "3000.5", "60000", "100000000")]
HELD = [(Side.BUY, NONE), (Side.BUY, Decimal("0.5")), (Side.BUY, Decimal(2)), (Side.SELL, Decimal(2))]
SIZES = [Decimal(text) for text in ("0.5", "2", "20", "300")]
MARKS = [0.0, 20_000.0, 60_000.0]
PRICES = [20_000.0, 59_999.0, 130_000.0]


@pytest.mark.parametrize("leverage", [1, 20, 125])
@pytest.mark.parametrize(("other", "opened"), [(False, False), (True, False), (False, True)])
def test_what_passes_the_quick_look_passes_the_whole_one(leverage: int, other: bool, opened: bool) -> None:
    settings = MatchingSettings(leverage=leverage)
    markets = {item.id: Liquidity(item, settings) for item in contracts(FUTURES) if item.id in (PERP, ETH)}
    for wallet, held, mark in product(WALLETS, HELD, MARKS):
        account = Account({USDT: wallet}, markets, settings)
        holding = account.holdings[PERP]
        markets[PERP].last, markets[ETH].last = mark, 2_500.0
        if held[1]:
            holding.position.apply_fill(*held, Decimal(60_000), 1)
        if other:
            account.holdings[ETH].position.apply_fill(Side.BUY, Decimal(10), Decimal(3_000), 1)
        for side, size, price in product([Side.BUY, Side.SELL], SIZES, PRICES):
            holding.open = {Side.BUY: NONE, Side.SELL: NONE, side: Decimal(40_000) if opened else NONE}
            offers = [(size, exact(price), price)]
            whole = account._margin_refusal(Order(PERP, side, size), holding, offers, NONE)
            assert account.refusal(Order(PERP, side, size), holding.instrument, offers, NONE, NONE) == whole


def test_the_quick_look_answers_the_common_orders() -> None:
    settings = MatchingSettings()
    markets = {item.id: Liquidity(item, settings) for item in contracts(FUTURES) if item.id == PERP}
    account = Account({USDT: Decimal(100_000)}, markets, settings)
    holding, offer = account.holdings[PERP], (Decimal(1), Decimal(50_000), 50_000.0)
    markets[PERP].last = 50_000.0
    assert account._plain(Order(PERP, Side.BUY, Decimal(1)), holding, offer)
    holding.position.apply_fill(Side.BUY, Decimal(1), Decimal(50_000), 1)
    assert account._plain(Order(PERP, Side.SELL, Decimal(1)), holding, offer)
    assert not account._plain(Order(PERP, Side.BUY, Decimal(1)), holding, offer)
