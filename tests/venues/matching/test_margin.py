"""Margin arithmetic against published and hand-computed vectors, and its identities."""

from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import margin
from core.domain.identifiers import VenueId
from core.domain.instrument import MarginBracket
from core.margin import Backing, Contract
from venues.contracts_table import contracts

TIGHT = Decimal("1e-9")
CENT = Decimal("0.005")
BTC_2024 = contracts(VenueId("BINANCE-FUTURES"))[0].brackets
COIN_M = contracts(VenueId("BINANCE-COINM"))[0].brackets


def one_tier(rate: str, cum: str) -> MarginBracket:
    return MarginBracket(Decimal(0), Decimal("Infinity"), Decimal(rate), Decimal(cum), 125)


def in_one_tier(side: int, size: str, entry: str, backing: Backing, rate: str, cum: str) -> Decimal:
    price = margin.liquidation_in_tier(Contract(()), side, Decimal(size), Decimal(entry), backing, one_tier(rate, cum))
    assert price is not None
    return price


WALLET = Decimal("1535443.01")


@pytest.mark.parametrize(
    ("size", "entry", "rate", "cum", "others", "expected"),
    [
        ("3683.979", "1456.84", "0.10", "135365", ("0", "0"), "1114.78"),
        ("109.488", "32481.98", "0.025", "16300", ("0", "0"), "18778.73"),
        ("3683.979", "1456.84", "0.10", "135365", ("71200.81144", "-56354.57"), "1153.26"),
        ("109.488", "32481.98", "0.025", "16300", ("356512.508", "-448192.89"), "26316.89"),
    ],
)
def test_the_venues_own_calculator(
    size: str, entry: str, rate: str, cum: str, others: tuple[str, str], expected: str
) -> None:
    backing = Backing(WALLET, Decimal(others[0]), Decimal(others[1]))
    assert abs(in_one_tier(1, size, entry, backing, rate, cum) - Decimal(expected)) < CENT


def test_at_the_liquidation_price_the_margin_balance_is_the_maintenance() -> None:
    other_maintenance, other_profit = Decimal("356512.508"), Decimal("-448192.885")
    size, entry = Decimal("109.488"), Decimal("32481.98")
    backing = Backing(WALLET, other_maintenance, other_profit)
    price = in_one_tier(1, str(size), str(entry), backing, "0.025", "16300")
    balance = WALLET + other_profit + size * (price - entry)
    needed = other_maintenance + size * price * Decimal("0.025") - 16300
    assert abs(balance - needed) < TIGHT
    assert abs(balance - Decimal("412247.1084")) < CENT


@pytest.mark.parametrize(
    ("side", "leverage", "entry", "size", "expected"),
    [
        (-1, 5, "10", "1", "11.89108910891089"),
        (-1, 3, "10", "1", "13.211221122079207"),
        (-1, 5, "8", "1", "9.514851485148514"),
        (-1, 5, "10", "0.6", "11.897689768976898"),
        (1, 5, "10", "1", "8.070707070707071"),
        (1, 5, "8", "1", "6.454545454545454"),
        (1, 3, "10", "1", "6.723905723905723"),
        (1, 5, "10", "0.6", "8.063973063973064"),
    ],
)
def test_isolated_prices_of_a_published_suite(side: int, leverage: int, entry: str, size: str, expected: str) -> None:
    wallet = Decimal(size) * Decimal(entry) / leverage
    assert abs(in_one_tier(side, size, entry, Backing(wallet), "0.01", "0.01") - Decimal(expected)) < TIGHT


@pytest.mark.parametrize(
    ("side", "size", "entry", "leverage", "entry_tier", "by_entry_tier", "expected"),
    [
        (1, "12.5", "50000", 20, 2, "47734.2728", "47734.6734"),
        (-1, "1.1", "45000", 10, 0, "49302.7888", "49298.9598"),
    ],
)
def test_the_tier_is_the_one_at_the_liquidation_price(
    side: int, size: str, entry: str, leverage: int, entry_tier: int, by_entry_tier: str, expected: str
) -> None:
    contract, backing = Contract(BTC_2024), Backing(Decimal(size) * Decimal(entry) / leverage)
    wrong = margin.liquidation_in_tier(contract, side, Decimal(size), Decimal(entry), backing, BTC_2024[entry_tier])
    assert wrong is not None
    assert abs(wrong - Decimal(by_entry_tier)) < Decimal("0.0001")
    price = margin.liquidation_price(contract, side, Decimal(size), Decimal(entry), backing)
    assert price is not None
    assert abs(price - Decimal(expected)) < Decimal("0.0001")


def test_liquidation_and_bankruptcy_of_one_bitcoin() -> None:
    contract, backing = Contract(BTC_2024), Backing(Decimal(5000))
    assert round(
        margin.liquidation_price(contract, 1, Decimal(1), Decimal(50000), backing) or Decimal(0), 4
    ) == Decimal("45180.7229")
    assert round(
        margin.liquidation_price(contract, -1, Decimal(1), Decimal(50000), backing) or Decimal(0), 4
    ) == Decimal("54776.1194")
    fee = Decimal("0.0004")
    for side, bare, with_fee in ((1, "45000", "45018.0072"), (-1, "55000", "54978.0088")):
        assert margin.bankruptcy_price(contract, side, Decimal(1), Decimal(50000), Decimal(5000)) == Decimal(bare)
        price = margin.bankruptcy_price(contract, side, Decimal(1), Decimal(50000), Decimal(5000), fee)
        assert price is not None
        assert round(price, 4) == Decimal(with_fee)


def test_a_wallet_that_covers_everything_has_no_liquidation_price() -> None:
    assert margin.liquidation_price(Contract(BTC_2024), 1, Decimal(1), Decimal(50000), Backing(Decimal(60000))) is None
    assert margin.bankruptcy_price(Contract(BTC_2024), 1, Decimal(1), Decimal(50000), Decimal(60000)) is None
    inverse = Contract(COIN_M, Decimal(100), inverse=True)
    assert margin.liquidation_price(inverse, -1, Decimal(500), Decimal(50000), Backing(Decimal(1))) is None


def test_the_announced_table_gives_the_announced_cums() -> None:
    caps = [50_000, 250_000, 1_000_000, 10_000_000, 20_000_000, 50_000_000, 100_000_000, 200_000_000, 300_000_000]
    rates = ["0.004", "0.005", "0.01", "0.025", "0.05", "0.10", "0.125", "0.15", "0.25", "0.50"]
    floors = [0, *caps]
    cums = margin.rebuild_cums([(Decimal(floor), Decimal(rate)) for floor, rate in zip(floors, rates, strict=True)])
    assert cums == [
        Decimal(value) for value in (0, 50, 1300, 16300, 266300, 1266300, 2516300, 5016300, 25016300, 100016300)
    ]


@pytest.mark.parametrize("brackets", [BTC_2024, COIN_M])
def test_maintenance_is_continuous_at_every_edge(brackets: tuple[MarginBracket, ...]) -> None:
    for lower, upper in pairwise(brackets):
        edge = lower.cap
        assert margin.tier_of(brackets, edge) is lower
        assert edge * lower.maintenance_rate - lower.cum == edge * upper.maintenance_rate - upper.cum


@pytest.mark.parametrize(
    ("side", "quantity", "mark", "rate", "expected"),
    [
        (-1, "30", "2.77", "-0.000008", "-0.0006648"),
        (1, "30", "2.77", "-0.000008", "0.0006648"),
        (-1, "30", "2.77", "-0.000003", "-0.0002493"),
        (-1, "10", "2.0", "0.0001", "0.002"),
        (1, "30", "NaN", "0.0001", "0"),
    ],
)
def test_funding(side: int, quantity: str, mark: str, rate: str, expected: str) -> None:
    assert margin.funding_payment(Contract(()), side, Decimal(quantity), Decimal(mark), Decimal(rate)) == Decimal(
        expected
    )


def test_funding_of_an_inverse_contract_is_paid_in_coin() -> None:
    inverse = Contract(COIN_M, Decimal(100), inverse=True)
    assert margin.funding_payment(inverse, 1, Decimal(600), Decimal(60000), Decimal("0.0001")) == Decimal("-0.0001")


sizes = st.decimals("0.001", "2000", places=3)
prices = st.decimals("1000", "200000", places=1)


@given(side=st.sampled_from([1, -1]), size=sizes, entry=prices, leverage=st.integers(1, 50))
def test_the_identity_holds_for_every_linear_position(side: int, size: Decimal, entry: Decimal, leverage: int) -> None:
    contract, wallet = Contract(BTC_2024), size * entry / leverage
    price = margin.liquidation_price(contract, side, size, entry, Backing(wallet))
    if price is None:
        return
    balance = wallet + margin.profit(contract, side, size, entry, price)
    assert abs(balance - margin.maintenance(BTC_2024, margin.notional(contract, size, price))) < Decimal("1e-6")


@given(side=st.sampled_from([1, -1]), size=st.integers(1, 200_000), entry=prices, leverage=st.integers(1, 50))
def test_the_identity_holds_for_every_inverse_position(side: int, size: int, entry: Decimal, leverage: int) -> None:
    contract = Contract(COIN_M, Decimal(100), inverse=True)
    wallet = margin.notional(contract, Decimal(size), entry) / leverage
    price = margin.liquidation_price(contract, side, Decimal(size), entry, Backing(wallet))
    if price is None:
        return
    balance = wallet + margin.profit(contract, side, Decimal(size), entry, price)
    assert abs(balance - margin.maintenance(COIN_M, margin.notional(contract, Decimal(size), price))) < Decimal("1e-9")


@given(side=st.sampled_from([1, -1]), size=sizes, entry=prices, leverage=st.integers(2, 20))
def test_never_two_tiers_fit_their_own_price(side: int, size: Decimal, entry: Decimal, leverage: int) -> None:
    contract, backing = Contract(BTC_2024), Backing(size * entry / leverage)
    fitting = []
    for tier in BTC_2024:
        price = margin.liquidation_in_tier(contract, side, size, entry, backing, tier)
        if price is not None and tier.floor < size * price <= tier.cap:
            fitting.append(price)
    assert len(fitting) <= 1
