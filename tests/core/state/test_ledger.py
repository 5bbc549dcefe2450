"""The money: equity that moves with each mark is the equity that the Decimal ledger gives."""

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain import events as e
from core.domain import market as m
from core.domain.identifiers import Asset, FillId, InstrumentId
from core.domain.instrument import Instrument
from core.domain.order import Side
from core.state.state import State
from tests.core.kit import ALL, BTC_COINM, BTC_PERP, BTC_SPOT, COINM, ETH_PERP, PERP, PRICES, SPOT, T0, D, fill, quote

USDT, BTC = Asset("USDT"), Asset("BTC")
USDC_PERP = msgspec.structs.replace(
    ETH_PERP, id=ETH_PERP.id.replace("USDT", "USDC"), quote=Asset("USDC"), settle=Asset("USDC")
)
USDC = msgspec.structs.replace(BTC_SPOT, id=BTC_SPOT.id.replace("BTC", "USDC"), base=Asset("USDC"))
WORLD = (*ALL, USDC_PERP, USDC)
FROM = PRICES | {USDC_PERP.id: 3000.0, USDC.id: 1.0}


def world() -> State:
    state = State()
    for instrument in WORLD:
        state.apply(m.InstrumentDefined(instrument, T0))
    for venue, asset, total in ((SPOT, USDT, 50000), (PERP, USDT, 50000), (COINM, BTC, 1)):
        state.apply(e.BalanceSet(venue, asset, D(total), "opening", T0))
    return state


def step(state: State, number: int, instrument: Instrument, move: int, side: Side | None, lots: int) -> None:
    price = round(FROM[instrument.id] * (1 + move / 1000), 4)
    state.apply(quote(instrument, price * 0.9999, price * 1.0001, T0 + number))
    if side is not None:
        lot = "1" if instrument.inverse else "0.01"
        state.apply(fill(instrument, side, str(D(lot) * lots), f"{price:.4f}", f"f{number}", ts=T0 + number))


steps = st.lists(
    st.tuples(
        st.sampled_from(WORLD),
        st.integers(-200, 200),
        st.none() | st.sampled_from([Side.BUY, Side.SELL]),
        st.integers(1, 50),
    ),
    max_size=40,
)


@given(steps)
def test_incremental_equity_is_revalued_equity(script: list[tuple[Instrument, int, Side | None, int]]) -> None:
    state = world()
    for number, (instrument, move, side, lots) in enumerate(script):
        step(state, number, instrument, move, side, lots)
        shown = state.ledger.equity
        state.ledger.revalue()
        assert shown == pytest.approx(state.ledger.equity, abs=1e-6)


@given(steps.map(lambda script: [one for one in script if one[0] in (BTC_PERP, ETH_PERP, BTC_SPOT)]))
def test_equity_and_exposure_need_no_recomputation(script: list[tuple[Instrument, int, Side | None, int]]) -> None:
    state = world()
    for number, (instrument, move, side, lots) in enumerate(script):
        step(state, number, instrument, move, side, lots)
    shown = (state.ledger.equity, *(market.exposure for market in state.markets.values()))
    state.ledger.revalue()
    exact = (state.ledger.equity, *(market.exposure for market in state.markets.values()))
    assert shown == pytest.approx(exact, abs=1e-6)


def test_a_fill_away_from_the_mark_moves_equity_by_that_way_and_its_fee() -> None:
    state = world()
    state.apply(quote(ETH_PERP, 2_999.0, 3_001.0))
    state.apply(quote(BTC_SPOT, 59_999.0, 60_001.0))
    before = state.ledger.equity
    assert not state.ledger.unvalued
    state.apply(fill(ETH_PERP, Side.SELL, "2", "2900", "a").replace(fee=D(7)))
    assert state.ledger.equity == pytest.approx(before - 207, abs=1e-6)
    state.apply(quote(ETH_PERP, 2_989.0, 2_991.0))
    assert state.ledger.equity == pytest.approx(before - 187, abs=1e-6)


@given(steps, st.randoms(use_true_random=False))
def test_positions_are_the_sum_of_their_fills_under_any_order_and_repetition(
    script: list[tuple[Instrument, int, Side | None, int]], rng: "object"
) -> None:
    fills = [
        fill(instrument, side, str(lots), str(1000 + move), f"f{number}")
        for number, (instrument, move, side, lots) in enumerate(script)
        if side is not None
    ]
    heard = fills * 2
    rng.shuffle(heard)  # type: ignore[attr-defined]
    state = world()
    for one in heard:
        state.apply(one)
    for instrument in WORLD:
        total = sum((f.quantity * f.side.sign for f in fills if f.instrument == instrument.id), Decimal(0))
        held = state.ledger.positions.get(instrument.holding)
        assert (held.quantity if held is not None else 0) == total


def test_a_spot_trade_moves_both_wallets_and_the_fee() -> None:
    state = world()
    state.apply(fill(BTC_SPOT, Side.BUY, "0.5", "60000", "f").replace(fee=D("0.0005"), fee_asset=BTC))
    assert state.ledger.balances[SPOT] == {USDT: D(20000), BTC: D("0.4995")}
    position = state.ledger.positions[BTC_SPOT.holding]
    assert (position.quantity, position.fees) == (D("0.4995"), D(30))
    assert BTC_SPOT.id not in state.ledger.positions


def test_a_contract_settles_its_profit_and_fee() -> None:
    state = world()
    state.apply(fill(BTC_PERP, Side.BUY, "1", "60000", "a").replace(fee=D(30)))
    state.apply(fill(BTC_PERP, Side.SELL, "1", "61000", "b"))
    assert state.ledger.balances[PERP][USDT] == D(50970)
    assert state.ledger.totals() == (D(1000), D(30), D(0))


def test_an_inverse_contract_settles_in_its_base() -> None:
    state = world()
    state.apply(quote(BTC_SPOT, 49_999.0, 50_001.0))
    state.apply(fill(BTC_COINM, Side.BUY, "100", "40000", "a"))
    state.apply(fill(BTC_COINM, Side.SELL, "100", "50000", "b"))
    assert state.ledger.balances[COINM][BTC] == D("1.05")


def test_funding_counts_once_and_a_fill_of_the_same_name_counts_too() -> None:
    state = world()
    paid = e.FundingPaid(BTC_PERP.id, USDT, D("-1.5"), D("0.0001"), D(60000), FillId("7"), T0, T0)
    for message in (paid, paid, fill(BTC_PERP, Side.BUY, "1", "60000", "7")):
        state.apply(message)
    assert state.ledger.balances[PERP][USDT] == D("49998.5")
    assert state.ledger.positions[BTC_PERP.id].quantity == 1
    assert state.ledger.totals()[2] == D("-1.5")


def test_a_liquidation_takes_its_fee() -> None:
    state = world()
    state.apply(e.PositionLiquidated(BTC_PERP.id, D(1), D(1), D(25), USDT, T0, T0))
    assert state.ledger.balances[PERP][USDT] == D(49975)


def test_what_nothing_prices_is_named() -> None:
    state = world()
    state.ledger.revalue()
    assert state.ledger.unvalued == {"BTC"}
    assert state.equity == 100_000
    state.apply(fill(ETH_PERP, Side.BUY, "1", "3000", "f"))
    assert state.ledger.unvalued == {"BTC", ETH_PERP.id}
    state.apply(quote(ETH_PERP, 3009.0, 3011.0))
    state.apply(quote(BTC_SPOT, 49_999.0, 50_001.0))
    assert (state.ledger.unvalued, state.equity) == (set(), 150_010.0)
    assert state.ledger.exposure() == (3010.0, 3010.0)
    assert state.ledger.open_profit() == 10.0


def test_stable_assets_are_one_to_one_until_a_pair_says_otherwise() -> None:
    state = world()
    assert state.ledger.rate(Asset("USDC")) == 1.0
    state.apply(quote(USDC, 0.97, 0.99))
    assert state.ledger.rate(Asset("USDC")) == pytest.approx(0.98)
    assert state.ledger.rate(Asset("DOGE")) == 0.0


def test_a_rate_that_moves_carries_the_open_profit_with_it() -> None:
    state = world()
    for message in (
        quote(BTC_SPOT, 49_999.0, 50_001.0),
        quote(USDC, 0.99, 1.01),
        quote(USDC_PERP, 2999.0, 3001.0),
        fill(USDC_PERP, Side.BUY, "10", "3000", "f"),
        quote(USDC_PERP, 3999.0, 4001.0),
        quote(USDC_PERP, 3999.0, 4001.0),  # a price so far away is believed of two quotes alone
        quote(USDC, 0.8995, 0.9005),
        quote(USDC, 0.8995, 0.9005),
    ):
        state.apply(message)
    assert state.equity == pytest.approx(150_000 + 10_000 * 0.9)


def test_coin_is_valued_at_par_where_only_another_stable_currency_quotes_it() -> None:
    state = State()
    state.apply(m.InstrumentDefined(BTC_COINM, T0))
    state.apply(e.BalanceSet(COINM, BTC, D(1), "opening", T0))
    state.apply(quote(BTC_COINM, 60_000.0, 60_000.2))
    state.ledger.revalue()
    assert state.ledger.equity == pytest.approx(60_000.1)
    assert not state.ledger.unvalued
    state.apply(fill(BTC_COINM, Side.BUY, "10", "60000.1", "f1"))
    state.apply(quote(BTC_COINM, 61_000.0, 61_000.2, T0 + 1))
    kept = state.ledger.equity
    state.ledger.revalue()
    assert kept == pytest.approx(state.ledger.equity)
    assert kept == pytest.approx(61_000.1 * (1 + 1000 / 60_000.1 - 1000 / 61_000.1))


def test_a_market_in_the_reporting_currency_goes_before_one_at_par() -> None:
    state = State()
    for instrument in (BTC_COINM, BTC_SPOT):
        state.apply(m.InstrumentDefined(instrument, T0))
    state.apply(e.BalanceSet(COINM, BTC, D(1), "opening", T0))
    state.apply(quote(BTC_COINM, 60_000.0, 60_000.2))
    state.ledger.revalue()
    assert state.ledger.equity == 0  # its own market is there and has no price yet
    state.apply(quote(BTC_SPOT, 59_000.0, 59_000.2, T0 + 1))
    state.ledger.revalue()
    assert state.ledger.equity == pytest.approx(59_000.1)


# --- what nobody defined, and what is rare ----------------------------------------------------------------------------


def test_money_of_what_nobody_defined_is_refused_and_books_nothing() -> None:
    ledger = world().ledger
    stray = msgspec.structs.replace(ETH_PERP, id=ETH_PERP.id.replace("ETH", "XYZ"))
    before = ledger.equity
    with pytest.raises(KeyError, match="fill for an instrument that is not defined"):
        ledger.fill(fill(stray, Side.BUY, "1", "3000", "f"))
    with pytest.raises(KeyError, match="position in what is not defined"):
        ledger.set_position(e.PositionSet(stray.id, D(1), D(3000), "reconciled", T0))
    assert (ledger.equity, ledger.positions) == (before, {})


def test_a_bet_is_kept_as_a_bet_and_moves_no_wallet() -> None:
    bet = Instrument(
        id=InstrumentId("FOOTBALL:BETFAIR:MATCH_WINNER:ENG-PREMIER_LEAGUE:20250315T1500:ARSENAL-LIVERPOOL"),
        raw_symbol="1.1",
        base=Asset("GBP"),
        quote=Asset("GBP"),
        settle=Asset("GBP"),
        tick_size=D("0.01"),
        size_step=D("0.01"),
        min_size=D(1),
    )
    state = world()
    state.apply(m.InstrumentDefined(bet, T0))
    equity = state.ledger.equity
    state.ledger.fill(fill(bet, Side.BACK, "10", "3", "b1"))
    state.ledger.fill(fill(bet, Side.LAY, "10", "2", "b2"))
    (kept,) = state.ledger.bets.values()
    assert (kept.if_wins, kept.if_loses, kept.liability) == (D(10), D(0), D(0))
    assert (state.ledger.equity, state.ledger.positions) == (equity, {})


@pytest.mark.parametrize(("asset", "fees"), [("ETH", "3"), ("BNB", "0")])
def test_a_contracts_fee_in_another_asset_leaves_its_quantity_alone(asset: str, fees: str) -> None:
    state = world()
    paid = fill(ETH_PERP, Side.BUY, "1", "3000", "f").replace(fee=D("0.001"), fee_asset=Asset(asset))
    state.ledger.fill(paid)
    position = state.ledger.positions[ETH_PERP.id]
    assert (position.quantity, position.fees) == (D(1), D(fees)), "valued where it is the base, else kept apart"
    assert state.ledger.balances[PERP][Asset(asset)] == D("-0.001")


def test_a_fee_in_another_asset_is_summed_in_its_own_worth() -> None:
    state = world()
    bnb = msgspec.structs.replace(BTC_SPOT, id=BTC_SPOT.id.replace("BTC", "BNB"), base=Asset("BNB"))
    state.apply(m.InstrumentDefined(bnb, T0))
    state.apply(quote(ETH_PERP, 2_999.0, 3_001.0))
    for number in range(2):
        paid = fill(ETH_PERP, Side.BUY, "1", "3000", f"f{number}").replace(fee=D("0.005"), fee_asset=Asset("BNB"))
        state.apply(paid)
    position = state.ledger.positions[ETH_PERP.id]
    assert position.other_fees == {"BNB": D("0.010")}
    assert (state.ledger.totals()[1], state.ledger.rates.fees(position)) == (D(0), D(0)), "not known yet"
    state.apply(quote(bnb, 599.9, 600.1))
    assert state.ledger.totals()[1] == D("6.00")
    assert state.ledger.equity == pytest.approx(99_994.0)
    forced = e.PositionLiquidated(ETH_PERP.id, D(2), D(3000), D("0.01"), Asset("BNB"), T0, T0)
    state.apply(forced)
    assert state.ledger.totals()[1] == D("12.00")
    state.ledger.positions[ETH_PERP.id].settle = Asset("NONE")  # whose own rate is not known
    assert state.ledger.rates.fees(position) == D(0)


@pytest.mark.parametrize("quantity", ["2", "-2"])
def test_what_has_no_entry_moves_no_equity_until_it_has_one(quantity: str) -> None:
    state = world()
    state.apply(quote(ETH_PERP, 2_999.0, 3_001.0))
    state.apply(quote(BTC_SPOT, 59_999.0, 60_001.0))
    state.apply(e.PositionSet(ETH_PERP.id, D(quantity), D(0), "reconciled", T0))
    state.apply(quote(ETH_PERP, 3_049.0, 3_051.0))
    assert state.ledger.equity == 160_000.0
    state.apply(fill(ETH_PERP, Side.BUY, "1", "3000", "f"))
    shown = state.ledger.equity
    assert shown == 160_000.0 + float(D(quantity) + 1) * 50.0
    state.apply(quote(ETH_PERP, 3_059.0, 3_061.0))
    moved = state.ledger.equity
    state.ledger.revalue()
    assert moved == pytest.approx(state.ledger.equity)


def test_what_has_no_mark_or_no_entry_has_earned_nothing_yet() -> None:
    state = world()
    state.apply(e.PositionSet(ETH_PERP.id, D(1), D(0), "reconciled", T0))
    position, market = state.ledger.positions[ETH_PERP.id], state.markets[ETH_PERP.id]
    assert (state.ledger.notional(position), state.ledger.unrealised(position, market)) == (0.0, 0.0)
    state.apply(quote(ETH_PERP, 2_999.0, 3_001.0))
    assert (state.ledger.notional(position), state.ledger.unrealised(position, market)) == (3_000.0, 0.0)
    position.entry_price = D(2_900)
    assert state.ledger.unrealised(position, market) == 100.0
    state.apply(e.PositionSet(BTC_COINM.id, D(1), D(60_000), "reconciled", T0))
    assert state.ledger.notional(state.ledger.positions[BTC_COINM.id]) == 0.0, "an inverse one is divided by its mark"
