"""The ticket with a real engine behind it: keys in, orders out."""

from decimal import Decimal

from core.domain.order import OrderRecord, OrderType, StopLoss
from tests.tui.driving import armed, opened, position, ready, until
from tests.tui.engine import BTC, House
from tests.tui.harness import picture
from tui.app import TerminalApp


def exits(house: House) -> list[OrderRecord]:
    return [record for record in house.state.blotter.open.values() if record.order.parent]


async def test_an_entry_with_a_stop_and_a_target_is_bought_by_keys_and_protected(house: House) -> None:
    app = TerminalApp(house.socket)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(app, pilot)
        market = house.state.markets[BTC]
        stop, target = f"{market.mark * 0.9:.0f}", f"{market.mark * 1.1:.0f}"
        await armed(app, pilot)
        await opened(app, pilot, "b", *"0.05", "up", "space", "down", "down", *stop, "down", "down", *target)
        await until(pilot, lambda: "margin" in app.trade.ticket.text)
        assert "after" in picture(app)
        await pilot.press("enter")
        await until(pilot, lambda: position(house) == 0.05)
        await until(pilot, lambda: [record.status.value for record in exits(house)] == ["ACCEPTED"])
        (rests,) = exits(house)
        entry = house.state.blotter.orders[rests.order.parent].order
        assert entry.stop_loss == StopLoss(Decimal(stop))
        assert [(one.price, one.fraction) for one in entry.take_profit] == [(Decimal(target), Decimal(1))]
        assert (rests.order.type, rests.order.quantity, rests.order.trigger) == (
            OrderType.STOP,
            Decimal("0.050"),
            Decimal(stop),
        )
        await until(pilot, lambda: "stop" in app.trade.position.text)


async def test_a_quantity_in_percent_of_equity_is_sent_in_coins(house: House) -> None:
    app = TerminalApp(house.socket)
    async with app.run_test(size=(200, 50)) as pilot:
        await ready(app, pilot)
        await armed(app, pilot)
        await opened(app, pilot, "b", "up", "space", "down", "u", "u", *"2")
        await until(pilot, lambda: "% of equity" in app.trade.ticket.text)
        await pilot.press("enter")
        await until(pilot, lambda: position(house) > 0)
        worth = position(house) * house.state.markets[BTC].mark
        assert 0.018 < worth / house.state.equity < 0.0201


async def test_what_the_guardian_would_refuse_is_told_in_its_words_and_never_sent(house: House) -> None:
    app = TerminalApp(house.socket)
    async with app.run_test(size=(200, 50)) as pilot:
        await ready(app, pilot)
        await armed(app, pilot)
        await opened(app, pilot, "b", *"5")
        await until(pilot, lambda: "✗ order" in app.trade.ticket.text)
        await pilot.press("enter")
        await until(pilot, lambda: "max_order_notional" in app.trade.ticket.words)
        assert app.trade.ticket.words.startswith("refused: notional ")
        assert not house.state.blotter.orders
