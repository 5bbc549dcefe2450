"""Fill in an order and see what it would do before it is sent."""

import textwrap
import uuid
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any, ClassVar

import msgspec
from textual import events
from textual.binding import BindingType
from textual.message import Message

from core.domain.identifiers import symbol_of
from core.domain.instrument import Instrument
from core.domain.order import Order, OrderType, Side, TimeInForce
from core.protocol import PreviewView
from tui.actions import bindings
from tui.format import fit, number, percent, signed
from tui.lines import Line, Pane

TYPES = (OrderType.LIMIT, OrderType.MARKET, OrderType.STOP, OrderType.STOP_LIMIT, OrderType.TAKE_PROFIT)
TIFS = (TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK)
FLAGS = ("none", "post-only", "reduce-only")
TEXTS = ("quantity", "price", "trigger")


class Draft(msgspec.Struct):
    """An order as it stands in the ticket; numbers are text until it is sent."""

    side: Side = Side.BUY
    type: OrderType = OrderType.LIMIT
    quantity: str = ""
    price: str = ""
    trigger: str = ""
    tif: TimeInForce = TimeInForce.GTC
    flags: str = "none"

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields that this type of order has."""
        names = ["side", "type", "quantity"]
        if self.type in (OrderType.LIMIT, OrderType.STOP_LIMIT):
            names.append("price")
        if self.type in (OrderType.STOP, OrderType.STOP_LIMIT, OrderType.TAKE_PROFIT):
            names.append("trigger")
        return (*names, "tif", "flags")


def _value(name: str, text: str, step: Decimal) -> Decimal:
    try:
        value = Decimal(text.replace(" ", ""))
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite() or value <= 0:
        raise ValueError(f"{name} must be a number greater than 0 (got {text or 'nothing'})")
    if value % step:
        raise ValueError(f"{name} {text} is not a multiple of {step.normalize():f}")
    return value


def order_of(draft: Draft, instrument: Instrument, operation_id: str = "") -> Order:
    """Make the order that a draft describes.

    Raises:
        ValueError: naming the field that is wrong and what was expected.
    """
    names = draft.fields
    tick, market = instrument.tick_size, draft.type is OrderType.MARKET
    return Order(
        instrument=instrument.id,
        side=draft.side,
        quantity=_value("quantity", draft.quantity, instrument.size_step),
        type=draft.type,
        price=_value("price", draft.price, tick) if "price" in names else None,
        trigger=_value("trigger", draft.trigger, tick) if "trigger" in names else None,
        time_in_force=TimeInForce.GTC if market else draft.tif,
        post_only=draft.flags == "post-only" and not market,
        reduce_only=draft.flags == "reduce-only",
        operation_id=operation_id,
    )


def smallest(instrument: Instrument, price: Decimal | None) -> Decimal:
    """Give the smallest quantity that the venue takes at a price."""
    if not price or not instrument.min_notional or instrument.inverse:
        return instrument.min_size
    needed = instrument.ceil_size(instrument.min_notional / (price * instrument.contract_size))
    return max(instrument.min_size, needed)


def _cycle(choices: tuple[Any, ...], now: Any, steps: int) -> Any:
    return choices[(choices.index(now) + steps) % len(choices)]


class Ticket(Pane, can_focus=True):
    """A framed order ticket. Digits, arrows and Enter; nothing is sent here, the screen is asked to."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("ticket")

    class Edited(Message):
        """The draft changed; its effect should be asked for again."""

    class Send(Message):
        """Enter was pressed on this order."""

        def __init__(self, order: Order) -> None:
            super().__init__()
            self.order = order

    def __init__(self, title: str = "ticket", **options: Any) -> None:
        super().__init__(title, "", **options)
        self.instrument: Instrument | None = None
        self.draft = Draft()
        self.armed = False
        self.words = ""
        """What the ticket answers: why it was not sent, or what came of it."""
        self._preview: PreviewView | None = None
        self._place = 2
        self._fresh = False
        self._operation_id = ""
        self.new_id: Callable[[], str] = lambda: uuid.uuid4().hex

    # -- state -----------------------------------------------------------------------------------------------

    @property
    def open(self) -> bool:
        """Tell whether an order is being filled in."""
        return self.instrument is not None

    def start(self, instrument: Instrument, side: Side, price: Decimal | None, quantity: Decimal | None = None) -> None:
        """Open the ticket at a price; another side of the same instrument keeps the quantity."""
        kept = self.draft.quantity if self.instrument is not None and self.instrument.id == instrument.id else ""
        size = smallest(instrument, price) if quantity is None else quantity
        self.instrument = instrument
        self.draft = Draft(side, OrderType.LIMIT if price is not None else OrderType.MARKET)
        self.draft.quantity = kept or f"{size:.{instrument.size_precision}f}"
        self.draft.price = "" if price is None else f"{price:.{instrument.price_precision}f}"
        self.draft.trigger = self.draft.price
        self.words = ""
        self._place, self._fresh = 2, True
        self._changed()

    def finish(self, words: str = "") -> None:
        """Close the ticket; the words stay until the next."""
        self.instrument, self._preview, self.words = None, None, words
        self.repaint()

    def sent(self) -> None:
        """Note that this order left: the next Enter is a new instruction."""
        self._operation_id = self.new_id()

    def order(self) -> Order:
        """Give the order as it stands; the same draft keeps its operation id, so that it is never sent twice.

        Raises:
            ValueError: no order is being filled in, or a field is wrong.
        """
        if self.instrument is None:
            raise ValueError("no order is being filled in: b or s opens a ticket")
        return order_of(self.draft, self.instrument, self._operation_id)

    def set_preview(self, preview: PreviewView | None) -> None:
        """Show what the order would do."""
        self._preview = preview
        self.repaint()

    def say(self, words: str) -> None:
        """Show an answer under the order."""
        self.words = words
        self.repaint()

    def set_armed(self, armed: bool) -> None:
        """Show whether Enter sends."""
        self.armed = armed
        self.repaint()

    def _changed(self) -> None:
        self._operation_id = self.new_id()
        self._preview = None
        self.repaint()
        if self.is_attached:
            self.post_message(self.Edited())

    # -- keys ------------------------------------------------------------------------------------------------

    def on_key(self, event: events.Key) -> None:
        """Edit the field under the cursor; leave every other key to the screen."""
        if not self.open:
            return
        name = self.draft.fields[self._place]
        steps = {"up": -1, "down": 1, "tab": 1, "shift+tab": -1}.get(event.key)
        if steps is not None:
            self._place = (self._place + steps) % len(self.draft.fields)
            self._fresh = True
            self.repaint()
        elif name in TEXTS and (event.key == "backspace" or (event.character or "") in {*"0123456789."} - {""}):
            self._type(name, event.character if event.key != "backspace" else None)
        elif name not in TEXTS and event.key in ("left", "right", "space"):
            self._choose(name, -1 if event.key == "left" else 1)
        elif (event.character or "x") not in "0123456789.":  # a digit never leaves the ticket for another screen
            return
        event.stop()
        event.prevent_default()

    def _type(self, name: str, character: str | None) -> None:
        text: str = getattr(self.draft, name)
        if character is None:
            text = "" if self._fresh else text[:-1]
        else:
            text = character if self._fresh else text + character
        self._fresh = False
        if len(text) <= 16 and text.count(".") <= 1:
            setattr(self.draft, name, text)
            self._changed()

    def _choose(self, name: str, steps: int) -> None:
        draft = self.draft
        if name == "side":
            draft.side = draft.side.opposite
        elif name == "type":
            draft.type = _cycle(TYPES, draft.type, steps)
        elif name == "tif":
            draft.tif = _cycle(TIFS, draft.tif, steps)
        else:
            draft.flags = _cycle(FLAGS, draft.flags, steps)
        self._changed()

    def action_send(self) -> None:
        """Ask the screen to send the order."""
        try:
            order = self.order()
        except ValueError as error:
            self.say(str(error))
            return
        self.post_message(self.Send(order))

    # -- painting --------------------------------------------------------------------------------------------

    def repaint(self) -> None:
        """Write the order, what it would do, and what Enter does."""
        width, height = self.content_size
        if width <= 0 or height <= 0:
            return
        if not self.open:
            self.show(self._closed_lines(width)[:height])
            return
        lines = (self._order_lines(width) + self._effect_lines(width))[: height - 1]
        send = "ARMED: Enter sends" if self.armed else "not armed: A then Enter sends"
        blank: Line = ()
        lines += [blank] * (height - 1 - len(lines))
        self.show([*lines, ((fit(f" {send}", width), "halted" if self.armed else "dim"),)])

    def _closed_lines(self, width: int) -> list[Line]:
        lines: list[Line] = [((fit(" b buy · s sell", width), "dim"),)]
        return [*lines, *_wrapped(self.words, width, "")]

    def _order_lines(self, width: int) -> list[Line]:
        assert self.instrument is not None
        draft = self.draft
        style = "bid strong" if draft.side is Side.BUY else "ask strong"
        lines: list[Line] = [((f" {draft.side.value} ", style), (symbol_of(self.instrument.id), "strong"))]
        for place, name in enumerate(draft.fields):
            here = place == self._place and self.has_focus
            value = getattr(draft, name)
            text = str(getattr(value, "value", value))
            if name in TEXTS and here:
                text += "_"
            lines.append(
                (
                    ("› " if here else "  ", "strong"),
                    (f"{name:<9}", "dim"),
                    (fit(text, min(18, max(0, width - 11))), "cursor" if here else ""),
                )
            )
        return lines

    def _effect_lines(self, width: int) -> list[Line]:
        lines: list[Line] = [((f"{'─ after ':─<{width}}", "dim"),)]
        found = self._preview
        if self.words and (found is None or self.words not in found.refusals):
            lines = [*_wrapped(self.words, width, "bad"), *lines]
        if found is not None:
            after = signed(found.position_after, self.instrument.size_precision if self.instrument else 3)
            lines += [
                (("  notional ", "dim"), (number(found.notional), "")),
                (("  fee      ", "dim"), (number(found.fee), "")),
                (("  margin   ", "dim"), (number(found.margin), "")),
                (("  position ", "dim"), (f"{after}  {percent(found.position_frac, 1)}", "")),
                (("  gross    ", "dim"), (percent(found.gross_frac, 1), "")),
            ]
            more = f" (and {len(found.refusals) - 1} more)" if len(found.refusals) > 1 else ""
            for words in found.refusals[:1]:
                lines += _wrapped(f"✗ {words}{more}", width, "warn")
        return lines


def _wrapped(words: str, width: int, style: str) -> list[Line]:
    return [((f" {part}", style),) for part in textwrap.wrap(words, max(8, width - 2))]
