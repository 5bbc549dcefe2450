"""The ticket: what is typed is what is sent, once."""

from decimal import Decimal

import msgspec
import pytest
from textual import events

from core.domain.instrument import Instrument
from core.domain.order import Order, OrderType, Side, StopLoss, TimeInForce
from core.session.protocol import LimitChange, PreviewView
from tests.tui.engine import BTC, FUTURES
from tests.tui.harness import Harness, picture
from tui.lines import plain
from tui.widgets.draft import TYPES, Context, Draft, Unit, order_of, smallest
from tui.widgets.effect import effect_lines
from tui.widgets.ticket import Ticket
from venues.contracts_table import contracts


def _btc() -> Instrument:
    return next(item for item in contracts(FUTURES) if item.id == BTC)


HERE = Context(93_499.9, 93_500.0, 100_000.0, 1.0, 1.0, "USDT", 1_763_735_527_000_000_000)


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
        await pilot.press("down", "down", "down", "right", "down", "space", "space")
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


EFFECT = PreviewView(
    Decimal("15450.05"), Decimal("3.09"), Decimal("772.5"), Decimal("-0.25"), 0.154, 0.3, (),
    maker=True, leverage=0.154, liquidation=Decimal("131118.4"), risk=Decimal("150.05"), risk_frac=0.0015,
    equity=Decimal(100_000),
    limits=(
        LimitChange("max_gross", "14.6%", "30.0%", "200.0%", 0.15, True, "config.toml:17"),
        LimitChange("max_position", "9.2%", "24.6%", "15.0%", 1.64, False, "config.toml:14"),
        LimitChange("net", "+3.9%", "+19.4%", "+100.0%", 0.19, True, "config.toml:18"),
    ),
)  # fmt: skip
REFUSED = msgspec.structs.replace(
    EFFECT, refusals=("refused: max position 24.6% of equity > 15.0%", "refused: another")
)


@pytest.mark.parametrize("width", [34, 54])
def test_the_size_by_volatility_stands_first_where_it_is_another(width: int) -> None:
    scaled = msgspec.structs.replace(EFFECT, scaled=Decimal("0.083"))
    words = [plain(line) for line in effect_lines(scaled, _btc(), width)]
    assert "0.083 by target" in words[0] + words[-1]
    assert not any("by vol" in plain(line) for line in effect_lines(EFFECT, _btc(), width))


@pytest.mark.parametrize("width", [34, 54])
async def test_the_ticket_restates_the_order_and_its_effect(width: int) -> None:
    ticket = Ticket()
    app = Listener(ticket)
    async with app.run_test(size=(width, 26)) as pilot:
        await pilot.pause()
        assert "b buy · s sell" in picture(app)
        ticket.start(_btc(), Side.SELL, Decimal("93500.0"))
        ticket.set_preview(REFUSED)
        await pilot.pause()
        text = " ".join(picture(app).split())
        for words in ("SELL BTC-USDT.P", "type LIMIT", "price 93 500.0", "tif GTC", "notional 15 450.05",
                      "fee 3.09 maker", "margin 772.50", "position -0.250 15.4%", "liq 131 118.4 0.15×",
                      "24.6% over 15.0%", "30.0% of 200.0%", "24.6% of equity > 15.0%",
                      "not armed: A then Enter sends"):  # fmt: skip
            assert words in text.replace("│ │ ", ""), words
        assert text.index("24.6% over") < text.index("30.0% of")  # what is broken stands first
        ticket.say("not armed: A arms, then Enter sends")
        ticket.set_armed(True)
        await pilot.pause()
        assert "ARMED: Enter sends" in picture(app)
        assert "not armed" not in picture(app)
        ticket.say("nothing was sent; the same Enter asks again")
        ticket.set_armed(False)
        ticket.set_armed(True)
        await pilot.pause()
        assert "nothing was sent" in picture(app)


async def test_every_line_fits_and_the_first_effects_are_seen_where_room_is_short() -> None:
    ticket = Ticket()
    app = Listener(ticket)
    async with app.run_test(size=(40, 21)) as pilot:
        ticket.look = lambda: HERE
        ticket.start(_btc(), Side.BUY, Decimal("93500.0"))
        ticket.focus()
        await pilot.press("down", "down", *"92000", "down", "down", *"94000", "space", *"95000")
        ticket.set_preview(EFFECT)
        await pilot.pause()
        lines = picture(app).splitlines()
        assert all(len(line) == 40 for line in lines)
        assert any("✗ position" in line for line in lines)


async def test_what_would_be_refused_is_not_sent_and_exits_are_never_held_back() -> None:
    ticket = Ticket()
    app = Listener(ticket)
    async with app.run_test(size=(54, 26)) as pilot:
        ticket.start(_btc(), Side.BUY, Decimal("93500.0"))
        ticket.focus()
        ticket.set_preview(REFUSED)
        await pilot.press("enter")
        await pilot.pause()
        assert app.heard == []
        assert ticket.words == REFUSED.refusals[0]
        await pilot.press("up", "up", "up", "right", "right")  # side, then flags: reduce-only
        assert ticket.draft.flags == "reduce-only"
        ticket.set_preview(REFUSED)
        await pilot.press("enter")
        await pilot.pause()
        assert [order.reduce_only for order in app.heard] == [True]


async def test_a_bracket_is_typed_and_sent() -> None:
    ticket = Ticket()
    app = Listener(ticket)
    async with app.run_test(size=(54, 26)) as pilot:
        ticket.look = lambda: HERE
        ticket.start(_btc(), Side.BUY, Decimal("93500.0"))
        ticket.focus()
        await pilot.press(*"0.1", "down", "down", *"92000", "down", *"500", "down")
        await pilot.press(
            *"94000", "colon", *"1", "slash", *"2", "space", *"95000", "colon", *"5", *"0", "percent_sign"
        )
        await pilot.pause()
        assert ticket.draft.targets == "94000:1/2 95000:50%"
        await pilot.press("down")
        await pilot.pause()
        text = " ".join(picture(app).split())
        assert "targets 94 000.0 × ½ 95 000.0 × ½" in text
        assert "risk 150.00 = 0.15%" in text
        assert "= 9 350.00 = 9.3% of equity" in text
        await pilot.press("enter")
        await pilot.pause()
        (order,) = app.heard
        assert order.stop_loss == StopLoss(Decimal(92000), Decimal(500))
        assert [(one.price, one.fraction) for one in order.take_profit] == [
            (Decimal(94000), Decimal("0.5")),
            (Decimal(95000), Decimal("0.5")),
        ]


async def test_a_key_changes_what_the_quantity_counts() -> None:
    ticket = Ticket()
    app = Listener(ticket)
    async with app.run_test(size=(54, 26)) as pilot:
        ticket.look = lambda: HERE
        ticket.start(_btc(), Side.BUY, Decimal("93500.0"))
        ticket.focus()
        await pilot.press(*"0.1", "u")
        assert (ticket.draft.unit, ticket.draft.quantity) == (Unit.NOTIONAL, "9350.00")
        await pilot.press("u")
        assert (ticket.draft.unit, ticket.draft.quantity) == (Unit.EQUITY, "9.3500")
        await pilot.press(*"1", "enter")
        await pilot.pause()
        assert [order.quantity for order in app.heard] == [Decimal("0.010")]
        await pilot.press("u")
        assert (ticket.draft.unit, ticket.draft.quantity) == (Unit.RISK, "")
        await pilot.press(*"1", "enter")
        await pilot.pause()
        assert ticket.words.startswith("quantity by risk needs a stop")
        ticket.start(_btc(), Side.SELL, Decimal("93500.0"))
        assert (ticket.draft.unit, ticket.draft.quantity) == (Unit.RISK, "1")  # the next ticket counts alike


async def test_every_type_and_time_in_force_can_be_chosen() -> None:
    ticket = Ticket()
    app = Listener(ticket)
    async with app.run_test(size=(54, 26)) as pilot:
        ticket.look = lambda: HERE
        ticket.start(_btc(), Side.BUY, Decimal("93500.0"))
        ticket.focus()
        await pilot.press("up")
        seen = []
        for _ in TYPES:
            await pilot.press("right")
            seen.append(ticket.draft.type)
        assert set(seen) == set(TYPES)
        assert seen[-1] is OrderType.LIMIT
        while ticket._field != "tif":
            await pilot.press("down")
        await pilot.press("right", "right", "right")
        assert ticket.draft.tif is TimeInForce.GTD
        await pilot.press("down", *"2h", "enter")
        await pilot.pause()
        assert [order.expires for order in app.heard] == [HERE.now + 7_200_000_000_000]


async def test_a_stop_waits_away_from_the_market_or_where_the_ladder_stood() -> None:
    ticket = Ticket()
    app = Listener(ticket)
    async with app.run_test(size=(54, 26)) as pilot:
        ticket.look = lambda: HERE
        for chosen, trigger in ((False, "94440.0"), (True, "93900.0")):
            ticket.start(_btc(), Side.BUY, Decimal("93900.0"), chosen=chosen)
            ticket.focus()
            await pilot.press("up", "right", "right")
            assert (ticket.draft.type, ticket.draft.trigger) == (OrderType.STOP, trigger)
        await pilot.press("up", "right")
        assert (ticket.draft.side, ticket.draft.trigger) == (Side.SELL, "92560.0")


async def test_a_paste_fills_in_nothing() -> None:
    ticket = Ticket()
    app = Listener(ticket)
    async with app.run_test(size=(54, 26)) as pilot:
        ticket.start(_btc(), Side.BUY, Decimal("93500.0"))
        ticket.focus()
        before = msgspec.structs.asdict(ticket.draft)
        for text in ("99999", "\x1b[200~9\r\n", "💥" * 500, "'; drop\n\n\n"):
            ticket.post_message(events.Paste(text))
        await pilot.pause()
        assert msgspec.structs.asdict(ticket.draft) == before
        assert app.heard == []


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
