"""The ticket: what is typed is what is sent, once."""

from decimal import Decimal

import pytest

from core.domain.instrument import Instrument
from core.domain.order import Order, OrderType, Side, TimeInForce
from core.protocol import PreviewView
from tests.tui.engine import BTC, FUTURES
from tests.tui.harness import Harness, picture
from tui.widgets.ticket import Draft, Ticket, order_of, smallest
from venues.contracts_table import contracts


def _btc() -> Instrument:
    return next(item for item in contracts(FUTURES) if item.id == BTC)


class Listener(Harness):
    """An app that notes what the ticket asks for."""

    def on_ticket_send(self, event: Ticket.Send) -> None:
        """Note the order."""
        self.heard.append(event.order)


def test_a_draft_becomes_the_order_it_describes() -> None:
    draft = Draft(Side.SELL, OrderType.STOP_LIMIT, "0.250", "61 200.0", "61250.1", TimeInForce.IOC, "reduce-only")
    order = order_of(draft, _btc(), "op")
    assert order == Order(
        BTC, Side.SELL, Decimal("0.250"), OrderType.STOP_LIMIT, Decimal("61200.0"), Decimal("61250.1"),
        time_in_force=TimeInForce.IOC, reduce_only=True, operation_id="op",
    )  # fmt: skip


def test_a_market_order_carries_neither_price_nor_post_only() -> None:
    order = order_of(Draft(Side.BUY, OrderType.MARKET, "1", "5", "6", TimeInForce.FOK, "post-only"), _btc())
    assert (order.price, order.trigger, order.post_only, order.time_in_force) == (None, None, False, TimeInForce.GTC)


@pytest.mark.parametrize(
    ("quantity", "price", "words"),
    [
        ("", "61200", "quantity must be a number greater than 0"),
        ("0", "61200", "quantity must be a number"),
        ("1..2", "61200", "quantity must be a number"),
        ("0.0001", "61200", "quantity 0.0001 is not a multiple of 0.001"),
        ("1", "61200.05", "price 61200.05 is not a multiple of 0.1"),
        ("1", "", "price must be a number"),
    ],
)
def test_a_wrong_field_is_named(quantity: str, price: str, words: str) -> None:
    with pytest.raises(ValueError, match=words.replace(".", r"\.")):
        order_of(Draft(Side.BUY, OrderType.LIMIT, quantity, price), _btc())


def test_the_first_quantity_is_one_that_the_venue_takes() -> None:
    instrument = _btc()
    size = smallest(instrument, Decimal(93500))
    assert size * 93500 >= instrument.min_notional
    assert (size - instrument.size_step) * 93500 < instrument.min_notional
    assert smallest(instrument, None) == instrument.min_size


async def test_typing_replaces_the_field_then_edits_it() -> None:
    ticket = Ticket()
    app = Listener(ticket)
    async with app.run_test(size=(44, 22)) as pilot:
        ticket.start(_btc(), Side.BUY, Decimal("93500.0"))
        ticket.focus()
        await pilot.press(*"0.25", "backspace", "7")
        assert ticket.draft.quantity == "0.27"
        await pilot.press("down", "backspace", *"93501.5")
        assert ticket.draft.price == "93501.5"
        await pilot.press("down", "right", "down", "space", "space")
        await pilot.press("enter")
        await pilot.pause()
        (order,) = app.heard
        assert (order.quantity, order.price) == (Decimal("0.27"), Decimal("93501.5"))
        assert (order.time_in_force, order.reduce_only) == (TimeInForce.IOC, True)
        assert order.operation_id


async def test_the_same_draft_keeps_its_operation_and_an_edit_makes_a_new_one() -> None:
    ticket = Ticket()
    app = Listener(ticket)
    async with app.run_test(size=(44, 22)) as pilot:
        ticket.start(_btc(), Side.BUY, Decimal("93500.0"))
        ticket.focus()
        await pilot.press("enter", "enter", *"0.5", "enter")
        await pilot.pause()
        first, again, edited = (order.operation_id for order in app.heard)
        assert first == again != edited
        ticket.sent()
        assert ticket.order().operation_id != edited


async def test_the_ticket_restates_the_order_and_its_effect() -> None:
    ticket = Ticket()
    app = Listener(ticket)
    async with app.run_test(size=(44, 24)) as pilot:
        await pilot.pause()
        assert "b buy · s sell" in picture(app)
        ticket.start(_btc(), Side.SELL, Decimal("93500.0"))
        effect = PreviewView(
            Decimal("15450.05"), Decimal("3.09"), Decimal("772.5"), Decimal("-0.25"), 0.154, 0.3,
            ("refused: max position 24.6% of equity > 15.0%", "refused: another"),
        )  # fmt: skip
        ticket.set_preview(effect)
        await pilot.pause()
        text = picture(app)
        for words in ("SELL BTC-USDT.P", "93500.0", "GTC", "notional 15 450.05", "fee      3.09", "margin   772.50",
                      "position -0.250  15.4%", "gross    30.0%", "24.6% of equity", "(and 1 more)",
                      "not armed: A then Enter sends"):  # fmt: skip
            assert words in text, words
        ticket.set_armed(True)
        await pilot.pause()
        assert "ARMED: Enter sends" in picture(app)


async def test_digits_stay_in_the_ticket_and_letters_leave_it() -> None:
    class Outside(Listener):
        BINDINGS = [("1", "note('1')", ""), ("A", "note('A')", "")]  # noqa: RUF012

        def action_note(self, key: str) -> None:
            self.heard.append(key)

    ticket = Ticket()
    app = Outside(ticket)
    async with app.run_test(size=(44, 22)) as pilot:
        ticket.start(_btc(), Side.BUY, None)
        ticket.focus()
        await pilot.press("up", "1", "A")
        await pilot.pause()
        assert app.heard == ["A"]
        ticket.finish("sent")
        await pilot.press("1")
        await pilot.pause()
        assert app.heard == ["A", "1"]
        assert "sent" in picture(app)
