"""A strategy's own account beside others': its fills, fees and funding, and never more than there is."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain import configs as d
from core.domain import events as e
from core.domain.identifiers import ClientOrderId, FillId, StrategyId
from core.domain.order import Order, OrderRecord, OrderStatus, Side
from core.state.configs import ConfigBook
from core.state.state import State
from tests.core.kit import BTC_PERP, ETH_PERP, T0, D, S, fill
from tests.core.strategy.street import config

ME = StrategyId("ema")


def book(**changes: Any) -> ConfigBook:
    """Return a book in which one strategy runs on BTC."""
    made = ConfigBook()
    made.adopted(d.ConfigAdopted(config(**changes), T0))
    return made


def record(id_: str, side: Side, quantity: str = "1", **changes: Any) -> OrderRecord:
    order = Order(BTC_PERP.id, side, D(quantity), client_order_id=ClientOrderId(id_), **changes)
    return OrderRecord(order, OrderStatus.FILLED, BTC_PERP.venue, T0, T0)


def take(made: ConfigBook, side: Side, quantity: str, price: str, position: str, **order: Any) -> None:
    """Take a fill; of the strategy where an order is described."""
    id_ = order.pop("id_", "")
    event = fill(BTC_PERP, side, quantity, price, f"f{id_}{price}{quantity}", id_).replace(fee=D(2))
    made.filled(event, record(id_, side, **order) if id_ else None, BTC_PERP, D(position))


def test_a_round_trip_is_booked_with_its_costs() -> None:
    made = book()
    take(made, Side.BUY, "0.5", "100", "0.5", id_="a", strategy_id=ME)
    take(made, Side.BUY, "0.5", "110", "1", id_="a", strategy_id=ME)
    made.paid(e.FundingPaid(BTC_PERP.id, BTC_PERP.settle, D(-4), D(0), D(0), FillId("f"), T0, T0), D(2))
    take(made, Side.SELL, "1", "120", "0", id_="b", parent=ClientOrderId("a"), strategy_intent="stop_loss")
    (account,) = made.of("ema")
    (trade,) = account.trades
    assert (trade.side, trade.quantity, trade.entry, trade.exit) == (1, D(1), D(105), D(120))
    assert (trade.fees, trade.funding, trade.profit) == (D(6), D(-2), D(7))
    assert trade.reason == "stop_loss"
    assert account.wallet == D(10_000) + trade.profit
    assert (account.quantity, account.entry, account.closed) == (D(0), "", 1)


def test_what_others_do_beside_it_is_theirs() -> None:
    made = book()
    take(made, Side.BUY, "1", "100", "3", id_="a", strategy_id=ME)  # two are the trader's
    take(made, Side.SELL, "2", "90", "1")
    (account,) = made.of("ema")
    assert (account.quantity, account.closed) == (D(1), 0)
    take(made, Side.SELL, "0.5", "80", "0.5")
    assert account.quantity == D("0.5")  # only so much is left of it
    take(made, Side.SELL, "2", "70", "-1.5")
    assert account.quantity == D(0)
    assert account.trades[-1].reason == "others"
    assert account.realised == D("0.5") * -20 + D("0.5") * -30
    assert account.fees == D(2)  # of its own order alone


def test_a_liquidation_takes_its_part_of_the_fee() -> None:
    made = book()
    take(made, Side.BUY, "1", "100", "4", id_="a", strategy_id=ME)
    made.liquidated(e.PositionLiquidated(BTC_PERP.id, D(4), D(50), D(8), BTC_PERP.settle, T0, T0))
    take(made, Side.SELL, "4", "50", "0")
    (account,) = made.of("ema")
    assert account.liquidated == T0
    assert (account.trades[-1].reason, account.trades[-1].profit) == ("liquidation", D(-54))


def test_a_position_put_to_the_venues_word_is_gone_without_profit() -> None:
    made = book()
    take(made, Side.SELL, "1", "100", "-1", id_="a", strategy_id=ME)
    made.held(BTC_PERP, D("-0.25"), T0 + S)
    (account,) = made.of("ema")
    assert (account.quantity, account.realised) == (D("-0.25"), D(0))
    made.held(ETH_PERP, D(0), T0 + S)  # nobody's
    assert account.quantity == D("-0.25")


def test_an_account_goes_on_with_a_new_version_and_begins_anew_after_an_end() -> None:
    made = book()
    take(made, Side.BUY, "1", "100", "1", id_="a", strategy_id=ME)
    take(made, Side.SELL, "1", "150", "0", id_="b", strategy_id=ME)
    made.adopted(d.ConfigAdopted(config(version=2, capital=99.0), T0 + S))
    (account,) = made.of("ema")
    assert (account.capital, account.closed) == (D(10_000), 1)
    made.ended(d.ConfigEnded("ema", 2, T0 + S))
    assert made.runner(BTC_PERP.id) == ""
    made.adopted(d.ConfigAdopted(config(version=3, capital=99.0), T0 + 2 * S))
    (account,) = made.of("ema")
    assert (account.capital, account.closed) == (D(99), 0)


@given(
    st.lists(
        st.tuples(st.sampled_from(list("omx")), st.sampled_from([Side.BUY, Side.SELL]), st.integers(1, 40)), max_size=30
    )
)
def test_an_account_never_holds_more_than_there_is(steps: list[tuple[str, Side, int]]) -> None:
    """Whoever trades (o: others, m: the strategy, x: its exits): own and held have one side, own is the smaller."""
    made, position = book(), Decimal(0)
    (account,) = made.of("ema")
    for number, (who, side, size) in enumerate(steps):
        quantity = Decimal(size) / 10
        if who != "o":
            if account.quantity * side.sign > 0 or (not account.quantity and position * side.sign < 0):
                continue
            quantity = min(quantity, abs(account.quantity)) if account.quantity else quantity
        position += side.sign * quantity
        order = {"id_": f"n{number}", "strategy_id": ME} if who != "o" else {}
        take(made, side, str(quantity), str(100 + number), str(position), **order)
        assert account.quantity * position >= 0
        assert abs(account.quantity) <= abs(position)
        open_net = account.gained - account.open_fees + account.open_funding
        closed = sum((one.profit for one in account.trades), Decimal(0))
        if account.closed <= 20:
            assert abs(account.wallet - account.capital - closed - open_net) < Decimal("1e-9")


def test_an_image_is_the_same_book_and_shares_nothing() -> None:
    state = State()
    state.apply(d.ConfigAdopted(config(), T0))
    state.apply(d.ConfigWaits(config(strategy_id="w"), "later", T0))
    state.apply(d.ConfigRefused("r", 4, "no", T0))
    state.apply(d.StrategyCompared("ema", BTC_PERP.id, 1, 2, 3, 0.5, -1.5, T0))
    state.apply(d.StrategyNoted("ema", BTC_PERP.id, "waits for bars", T0))
    image = state.image().configs
    again = ConfigBook()
    again.restore(image)
    assert again.image() == image
    take(again, Side.BUY, "1", "100", "1", id_="a", strategy_id=ME)
    assert next(state.configs.of("ema")).quantity == D(0)
    assert image.accounts[0].quantity == D(0)


@pytest.mark.parametrize("count", [60])
def test_refusals_kept_are_bounded(count: int) -> None:
    made = ConfigBook()
    for number in range(count):
        made.refuse(d.ConfigRefused(f"s{number}", 1, "no", T0))
    assert len(made.refused) == 50
    assert "s59" in made.refused
