"""The positions screen: what it shows, and that its keys act on the row under the cursor."""

from decimal import Decimal

from core.domain.order import Order, OrderType, Side
from tests.tui.driving import buy, position, ready, until
from tests.tui.engine import BTC, House
from tests.tui.harness import picture, screen_lines
from tests.tui.pictures import draw, moment
from tui.app import TerminalApp
from tui.views import open_risk


async def test_its_numbers_are_those_of_the_ledger() -> None:
    _, text = await draw(200, 50, "positions")
    for words in ("positions  1 open  gross 9.2%", "+0.150", "61 640.1", "▲ +24.03", "+0.26%", "9 270.05", "61 200.0",
                  "62 400.0", "12m", "results  in USDT", "▲ +19.41", "14:20:07",
                  "4.6200  USDT", "d7-0110"):  # fmt: skip
        assert words in text, words


async def test_keys_act_on_the_chosen_position_and_enter_shows_it_in_depth(house: House) -> None:
    app = TerminalApp(house.socket)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(app, pilot)
        await buy(app, pilot)
        await until(pilot, lambda: position(house) == 0.05)
        await pilot.press("2")
        await until(pilot, lambda: "1 open" in picture(app) and "+0.050" in picture(app))
        await until(pilot, lambda: screen_lines(app)[0].startswith(" PAPER ACTIVE"))
        await pilot.press("f")
        await until(pilot, lambda: "SELL 0.050 BTC-USDT.P MARKET  reduce-only" in picture(app))
        await pilot.press("escape")
        await pilot.press("s")  # a ticket opens where the ladder is, for the instrument under the cursor
        await until(pilot, lambda: app.here is app.trade and app.trade.ticket.open)
        assert app.trade.instrument == BTC
        await pilot.press("escape", "2")
        await until(pilot, lambda: app.here.NAME == "positions" and "1 open" in picture(app))
        await pilot.press("enter")
        await until(pilot, lambda: app.here is app.trade)


async def test_without_a_position_keys_say_that_nothing_is_chosen(house: House) -> None:
    app = TerminalApp(house.socket)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(app, pilot)
        await pilot.press("2", "f")
        await until(pilot, lambda: "no instrument is chosen here: F flattens everything" in picture(app))
        await pilot.press("C")
        await until(pilot, lambda: "no instrument is chosen here: X cancels every order" in picture(app))


def test_open_risk_is_the_way_to_the_stops_and_all_of_what_has_none() -> None:
    state = moment().state
    held = state.ledger.positions[BTC]
    assert abs(open_risk(state) - 0.150 * (61800.3 - 61200.0)) < 0.01
    stop = next(r for r in state.blotter.of(BTC) if r.order.type is OrderType.STOP)
    half = Order(BTC, Side.SELL, Decimal("0.075"), OrderType.STOP, trigger=Decimal("61200"), reduce_only=True)
    stop.order = half
    expected = 0.075 * (61800.3 - 61200.0) + 0.075 * 61800.3
    assert held.quantity == Decimal("0.150")
    assert abs(open_risk(state) - expected) < 0.01
