"""Positions and bets: what the fills add up to, against plain arithmetic."""

import itertools
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.identifiers import Asset, InstrumentId
from core.domain.order import Side
from core.domain.position import BetPosition, Position, market_liability
from tests.core.kit import BTC_COINM, BTC_PERP, BTC_SPOT, T0, D

Fills = list[tuple[Side, Decimal, Decimal]]
sides = st.sampled_from([Side.BUY, Side.SELL])
sizes = st.integers(1, 5000).map(lambda n: Decimal(n) / 1000)
contracts = st.integers(1, 500).map(Decimal)
prices = st.integers(100_000, 900_000).map(lambda n: Decimal(n) / 10)


def applied(position: Position, fills: Fills) -> Position:
    for side, quantity, price in fills:
        position.apply_fill(side, quantity, price, T0)
    return position


def signed(side: Side, quantity: Decimal) -> Decimal:
    return quantity if side is Side.BUY else -quantity


@given(st.lists(st.tuples(sides, sizes, prices), max_size=30), st.randoms(use_true_random=False))
def test_the_quantity_is_the_sum_of_the_fills_in_any_order(fills: Fills, rng: "object") -> None:
    total = sum((signed(side, quantity) for side, quantity, _ in fills), D(0))
    shuffled = list(fills)
    rng.shuffle(shuffled)  # type: ignore[attr-defined]
    for order in (fills, shuffled):
        assert applied(Position.of(BTC_PERP), order).quantity == total


@given(st.lists(st.tuples(sides, sizes, prices), min_size=1, max_size=30), prices)
def test_linear_realised_and_unrealised_are_the_cash_flow(fills: Fills, mark: Decimal) -> None:
    position = applied(Position.of(BTC_PERP), fills)
    cash = sum((-signed(side, quantity) * price for side, quantity, price in fills), D(0))
    worth = cash + position.quantity * mark
    assert abs(position.realised + position.unrealised(mark) - worth) < D("1e-15")


@given(st.lists(st.tuples(sides, contracts, prices), min_size=1, max_size=30), prices)
def test_inverse_realised_and_unrealised_are_the_cash_flow(fills: Fills, mark: Decimal) -> None:
    position = applied(Position.of(BTC_COINM), fills)
    worth = sum(
        (
            Fraction(signed(side, quantity)) * 100 * (1 / Fraction(price) - 1 / Fraction(mark))
            for side, quantity, price in fills
        ),
        Fraction(0),
    )
    assert abs(Fraction(position.realised + position.unrealised(mark)) - worth) < Fraction(1, 10**15)


@given(st.lists(st.tuples(sides, sizes, prices), max_size=30))
def test_a_flat_position_has_no_entry_and_an_open_one_has(fills: Fills) -> None:
    position = applied(Position.of(BTC_PERP), fills)
    assert bool(position.quantity) == bool(position.entry_price) == bool(position.opened)
    if not position.quantity:
        assert position.unrealised(D(1)) == 0


def test_a_flip_realises_the_old_side_and_enters_at_the_fill() -> None:
    position = applied(Position.of(BTC_PERP), [(Side.BUY, D(2), D(100)), (Side.SELL, D(5), D(110))])
    assert (position.quantity, position.entry_price, position.realised) == (D(-3), D(110), D(20))
    assert position.apply_fill(Side.BUY, D(1), D(100), T0 + 5) == D(10)
    assert (position.entry_price, position.opened, position.updated) == (D(110), T0, T0 + 5)


def test_the_entry_of_an_inverse_contract_is_the_harmonic_mean() -> None:
    position = applied(Position.of(BTC_COINM), [(Side.BUY, D(1), D(10_000)), (Side.BUY, D(1), D(20_000))])
    assert round(position.entry_price, 6) == round(Decimal(40_000) / 3, 6)
    assert round(position.unrealised(D(20_000)), 10) == D(100) / D(10_000) - D(100) / D(20_000)


def test_an_inverse_contract_without_an_entry_price_earns_nothing_that_is_known() -> None:
    position = Position.of(BTC_COINM)
    position.quantity = D(2)
    assert position.unrealised(D(20_000)) == 0
    position.entry_price = D(20_000)
    assert position.unrealised(D(0)) == 0
    assert position.unrealised(D(10_000)) == 2 * BTC_COINM.contract_size * (D(1) / D(20_000) - D(1) / D(10_000))


def test_what_is_held_after_a_spot_trade_is_the_asset() -> None:
    position = Position.of(BTC_SPOT)
    assert (position.instrument, position.settle) == ("BINANCE-SPOT:SPOT_ASSET:BTC", "USDT")


# --- bets -------------------------------------------------------------------------------------------------------------

MATCH = InstrumentId("FOOTBALL:BETFAIR:MATCH_WINNER:ENG-PREMIER_LEAGUE:20250315T1500:ARSENAL-LIVERPOOL")
SELECTIONS = ("home", "draw", "away")
stakes = st.integers(1, 10_000).map(lambda n: Decimal(n) / 100)
odds = st.integers(101, 5000).map(lambda n: Decimal(n) / 100)
Bets = list[tuple[str, Side, Decimal, Decimal]]
bets = st.lists(
    st.tuples(st.sampled_from(SELECTIONS), st.sampled_from([Side.BACK, Side.LAY]), stakes, odds), max_size=12
)


def payout(matched: Bets, winner: str) -> Decimal:
    """Return what all bets earn together where one selection wins."""
    total = D(0)
    for selection, side, stake, price in matched:
        earned = stake * (price - 1) if selection == winner else -stake
        total += earned if side is Side.BACK else -earned
    return total


def matched(placed: Bets) -> list[BetPosition]:
    found: dict[str, BetPosition] = {}
    for selection, side, stake, price in placed:
        bet = found.setdefault(selection, BetPosition(MATCH, selection))
        bet.apply_fill(side, stake, price, T0)
    return list(found.values())


@given(bets)
def test_the_liability_of_a_market_is_its_worst_outcome(placed: Bets) -> None:
    worst = min(payout(placed, winner) for winner in SELECTIONS)
    assert market_liability(matched(placed), outcomes=len(SELECTIONS)) == max(D(0), -worst)


@given(bets)
def test_without_knowing_the_selections_an_outsider_may_win(placed: Bets) -> None:
    worst = min(payout(placed, winner) for winner in (*SELECTIONS, "somebody else"))
    assert market_liability(matched(placed)) == max(D(0), -worst)


@given(st.lists(st.tuples(st.sampled_from([Side.BACK, Side.LAY]), stakes, odds), min_size=1, max_size=8), odds)
def test_one_selection_and_its_green(placed: list[tuple[Side, Decimal, Decimal]], price: Decimal) -> None:
    bet = BetPosition(MATCH, "home")
    for side, stake, at in placed:
        bet.apply_fill(side, stake, at, T0)
    assert bet.liability == max(D(0), -min(bet.if_wins, bet.if_loses))
    stake = bet.green(price)
    bet.apply_fill(Side.LAY, stake, price, T0)  # a negative stake to lay is a stake to back
    assert abs(bet.if_wins - bet.if_loses) < D("1e-20")


@pytest.mark.parametrize(("side", "wins", "loses", "liability"), [(Side.BACK, 15, -10, 10), (Side.LAY, -15, 10, 15)])
def test_back_and_lay(side: Side, wins: int, loses: int, liability: int) -> None:
    bet = BetPosition(MATCH, "home")
    bet.apply_fill(side, D(10), D("2.5"), T0)
    assert (bet.if_wins, bet.if_loses, bet.liability, bet.updated) == (D(wins), D(loses), D(liability), T0)


def test_a_market_without_bets_can_lose_nothing() -> None:
    assert market_liability([]) == 0


@pytest.mark.parametrize(("mine", "yours"), list(itertools.product(SELECTIONS, repeat=2)))
def test_backing_two_of_three_can_lose_both_stakes(mine: str, yours: str) -> None:
    placed: Bets = [(mine, Side.BACK, D(10), D(2)), (yours, Side.BACK, D(10), D(3))]
    assert market_liability(matched(placed), outcomes=3) == D(20)


def test_settle_asset() -> None:
    assert Position.of(BTC_COINM).settle == Asset("BTC")
