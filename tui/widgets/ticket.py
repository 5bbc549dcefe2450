"""Fill in an order and see what it would do before it is sent."""

import uuid
from collections import deque
from collections.abc import Callable
from decimal import Decimal
from typing import Any, ClassVar

from msgspec.structs import replace
from textual import events
from textual.binding import BindingType
from textual.message import Message

from core.domain.identifiers import symbol_of
from core.domain.instrument import Instrument
from core.domain.order import Order, OrderType, Side
from core.session.protocol import PreviewView
from tui.actions import bindings
from tui.format import fit, number, percent
from tui.keys import BURST_KEYS, BURST_SECONDS
from tui.lines import Line, Pane, line_width
from tui.widgets.draft import (
    LONGEST,
    TEXTS,
    UNITS,
    Context,
    Draft,
    Unit,
    entry_price,
    in_unit,
    order_of,
    propose_trigger,
    quantity_of,
    smallest,
    targets_of,
    unit_risk,
)
from tui.widgets.effect import WIDE, effect_lines, fraction_words, limit_lines, quantity_words, wrapped

LABELS = {"stop_trail": "trail"}
HINTS = {
    "stop": "a price: exits all that fills",
    "stop_trail": "follows at this distance",
    "targets": "62400:1/2 63000:1/2",
    "expires": "15m 2h or 18:30 UTC",
    "trail": "distance",
}
_LABEL = 12
TOGETHER_S = BURST_SECONDS / BURST_KEYS
"""Keys that come faster than this come from no hand: what they leave was not seen before Enter."""
_WORDS = 4
"""The most lines that a refusal takes from the picture of the order."""


def catch_words(armed: bool, viewing: bool) -> str:
    """Say what Enter does, or what has to come before it: control that another terminal holds, then arming."""
    if armed:
        return "ARMED: {ticket.send} sends"
    if viewing:
        return "no control here: {control} takes it first"
    return "not armed: {arm} then {ticket.send} sends"


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
        self.viewing = False
        """Another terminal has control: it must be taken before this one can be armed."""
        self.words = ""
        """What the ticket answers: why it was not sent, or what came of it."""
        self.look: Callable[[], Context] = Context
        """Gives prices, equity and time as they are now; the screen sets it."""
        self.new_id: Callable[[], str] = lambda: uuid.uuid4().hex
        self._preview: PreviewView | None = None
        self._field = "quantity"
        self._fresh = False
        self._operation_id = ""
        self._pressed_at, self._typed_at = 0.0, float("-inf")
        self._before: deque[tuple[float, Draft, str, bool]] = deque(maxlen=2 * BURST_KEYS)
        """How the draft and its cursor stood before each of the last keys, and when that was pressed (s)."""

    # -- state -----------------------------------------------------------------------------------------------

    @property
    def open(self) -> bool:
        """Tell whether an order is being filled in."""
        return self.instrument is not None

    def start(
        self,
        instrument: Instrument,
        side: Side,
        price: Decimal | None,
        quantity: Decimal | None = None,
        *,
        chosen: bool = False,
    ) -> None:
        """Open the ticket at a price; another side of the same instrument keeps the quantity, any keeps its unit.

        A price that was ``chosen``, not the market's own, is where a stop may wait as well.
        """
        before, same = self.draft, self.instrument is not None and self.instrument.id == instrument.id
        size = smallest(instrument, price) if quantity is None else quantity
        unit = before.unit if quantity is None else Unit.AMOUNT
        self.instrument = instrument
        self.draft = Draft(side, OrderType.LIMIT if price is not None else OrderType.MARKET, unit=unit)
        kept = before.quantity if unit is before.unit and (same or unit is not Unit.AMOUNT) else ""
        self.draft.quantity = kept or (f"{size:.{instrument.size_precision}f}" if unit is Unit.AMOUNT else "")
        self.draft.price = "" if price is None else f"{price:.{instrument.price_precision}f}"
        self.draft.trigger = self.draft.price if chosen else ""
        self.words = ""
        self._field, self._fresh = "quantity", True
        self._before.clear()
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
        return order_of(self.draft, self.instrument, self._operation_id, self.look())

    def set_preview(self, preview: PreviewView | None) -> None:
        """Show what the order would do."""
        self._preview = preview
        self.repaint()

    def say(self, words: str) -> None:
        """Show an answer under the order."""
        self.words = words
        self.repaint()

    def set_armed(self, armed: bool, *, viewing: bool = False) -> None:
        """Show whether Enter sends, and whether another terminal has control."""
        if armed and self.words.startswith("not armed"):
            self.words = ""  # what was asked for is done; any other answer, above all about a send, stays
        self.armed, self.viewing = armed, viewing
        self.repaint()

    def _changed(self) -> None:
        self._operation_id = self.new_id()
        self._preview = None
        self.words = ""
        if self._field not in self.draft.fields:
            self._field = "quantity"
        self.repaint()
        if self.is_attached:
            self.post_message(self.Edited())

    # -- keys ------------------------------------------------------------------------------------------------

    def on_key(self, event: events.Key) -> None:
        """Edit the field under the cursor; leave every other key to the screen."""
        if not self.open:
            return
        self._pressed_at = event.time
        self._before.append((event.time, replace(self.draft), self._field, self._fresh))
        name, character = self._field, event.character or ""
        steps = {"up": -1, "down": 1, "tab": 1, "shift+tab": -1}.get(event.key)
        if steps is not None:
            fields = self.draft.fields
            self._field = fields[(fields.index(name) + steps) % len(fields)]
            self._fresh = True
            self.repaint()
        elif name in TEXTS and (event.key == "backspace" or character in TEXTS[name]) and event.key != "enter":
            self._typed_at = event.time
            self._type(name, character if event.key != "backspace" else None)
        elif name not in TEXTS and event.key in ("left", "right", "space"):
            self.draft.choose(name, -1 if event.key == "left" else 1)
            if name in ("side", "type") and self.instrument is not None:
                propose_trigger(self.draft, self.instrument, self.look())
            self._typed_at = event.time
            self._changed()
        elif (character or "x") not in "0123456789.":  # a digit never leaves the ticket for another screen
            return
        event.stop()
        event.prevent_default()

    def on_paste(self, event: events.Paste) -> None:
        """Let a paste fill in nothing: what is sent was typed."""
        event.stop()

    def take_back(self, since: float) -> None:
        """Be as before the first key since then (s, as events count)."""
        found = next((kept for kept in self._before if kept[0] >= since), None)
        if found is not None and self.open:
            _, self.draft, self._field, self._fresh = found
            self._before.clear()
            self._changed()
            self.say("a paste fills in nothing: type it")

    def _type(self, name: str, character: str | None) -> None:
        text: str = getattr(self.draft, name)
        if character is None:
            text = "" if self._fresh else text[:-1]
        else:
            text = character if self._fresh else text + character
        self._fresh = False
        if len(text) <= LONGEST.get(name, 16) and (name == "targets" or text.count(".") <= 1):
            setattr(self.draft, name, text)
            self._changed()

    def action_unit(self) -> None:
        """Count the quantity by the next unit, and say the same quantity in it where that can be worked out."""
        if self.instrument is None:
            return
        draft, context = self.draft, self.look()
        try:
            quantity = quantity_of(draft, self.instrument, context)
        except ValueError:
            quantity = Decimal(0)
        draft.unit = UNITS[(UNITS.index(draft.unit) + 1) % len(UNITS)]
        draft.quantity = in_unit(quantity, draft, self.instrument, context)
        self._field, self._fresh = "quantity", True
        self._changed()

    def action_send(self) -> None:
        """Ask the screen to send the order; what the guardian would refuse is said here, in its words."""
        if self._pressed_at - self._typed_at < TOGETHER_S:
            self.say("Enter came together with what was typed: look at the order, then press it again")
            return
        try:
            order = self.order()
        except ValueError as error:
            self.say(str(error))
            return
        if self._preview is not None and self._preview.refusals and not order.reduce_only:
            self.say(self._preview.refusals[0])
            return
        self.post_message(self.Send(order))

    # -- painting --------------------------------------------------------------------------------------------

    def repaint(self) -> None:
        """Write the order, what it would do, and what Enter does."""
        width, height = self.content_size
        if width <= 0 or height <= 0:
            return
        if self.instrument is None:
            head: Line = ((fit(self.keyed(" {ticket.buy} buy · {ticket.sell} sell"), width), "dim"),)
            self.show([head, *wrapped(self.words, width, "")][:height])
            return
        lines = [*self._order_lines(width), *self._answer_lines(width)]
        found = self._preview
        if found is not None and found.notional is not None:
            lines.append(((f"{'─ after ':─<{width}}", "dim"),))
            lines += effect_lines(found, self.instrument, width)
            lines += limit_lines(found.limits, width)
        lines = lines[: height - 1]
        blank: Line = ()
        lines += [blank] * (height - 1 - len(lines))
        catch = self.keyed(catch_words(self.armed, self.viewing))
        self.show([*lines, ((fit(f" {catch}", width), "halted" if self.armed else "dim"),)])

    def _answer_lines(self, width: int) -> list[Line]:
        """Write what is against this order: an answer, a field that is wrong, or the guardian's refusal."""
        if self.words:
            return wrapped(self.words, width, "bad")[:_WORDS]
        found = self._preview
        if found is not None and found.refusals:
            count = f"1 of {len(found.refusals)} " if len(found.refusals) > 1 else ""
            return wrapped(f"✗ {count}{found.refusals[0]}", width, "warn")[:_WORDS]
        try:
            self.order()
        except ValueError as error:
            return wrapped(str(error), width, "dim")[:_WORDS]
        return []

    def _order_lines(self, width: int) -> list[Line]:
        assert self.instrument is not None
        draft, symbol = self.draft, symbol_of(self.instrument.id)
        style = "bid strong" if draft.side is Side.BUY else "ask strong"
        here = self._field == "side" and self.has_focus
        head = ("› " if here else "  ", "strong")
        side = (f"{draft.side.value:<5}", f"{style} cursor" if here else style)
        return [(head, side, (symbol, "strong")), *(self._field_line(name, width) for name in draft.fields[1:])]

    def _field_line(self, name: str, width: int) -> Line:
        here = name == self._field and self.has_focus
        room = max(1, width - _LABEL)
        text, tail = self._value(name, here), self._tail(name, width)
        style = "cursor" if here else ""
        if not text and here:
            text, tail, style = "_", HINTS.get(name, ""), "cursor"
        elif not text:
            text, style = "–", "dim"
        if len(text) > room:
            text = "…" + text[-(room - 1) :] if here else fit(text, room)
        label = LABELS.get(name, name)
        line: Line = (("› " if here else "  ", "strong"), (f"{label:<10}", "dim"), (text, style))
        left = width - line_width(line)
        while len(tail) > left - 2 and " = " in tail:
            tail = tail.rpartition(" = ")[0]
        return (*line, (fit(f"  {tail}", left), "dim")) if tail and left > 3 else line

    def _value(self, name: str, here: bool) -> str:
        draft, instrument = self.draft, self.instrument
        assert instrument is not None
        value = getattr(draft, name)
        text = str(getattr(value, "value", value))
        if here:
            return f"{text}_" if name in TEXTS and text else text
        try:
            if name == "targets" and text:
                found = targets_of(text, instrument.tick_size)
                digits = instrument.price_precision
                return "  ".join(f"{number(one.price, digits)} × {fraction_words(one.fraction)}" for one in found)
            if name in ("price", "trigger", "stop"):
                return number(Decimal(text), instrument.price_precision) if text else ""
        except (ValueError, ArithmeticError):
            return text
        return "–" if text == "none" else text

    def _tail(self, name: str, width: int) -> str:
        """Say beside a value what it means now: worth, distance, risk."""
        draft, instrument, context = self.draft, self.instrument, self.look()
        assert instrument is not None
        if name == "quantity":
            return quantity_words(draft, instrument, context, width)
        price = entry_price(draft, context)
        if name == "price" and price:
            for side, at in (("bid", context.bid), ("ask", context.ask)):
                if price == at:
                    return side
            return percent(price / context.ask - 1.0, sign=True) if context.ask else ""
        if name == "stop" and draft.stop.strip(".") and price:
            try:
                quantity = quantity_of(draft, instrument, context)
            except ValueError:
                return ""
            risk = float(quantity) * unit_risk(instrument, price, float(draft.stop), context)
            share = percent(risk / context.equity) if context.equity > 0.0 else ""
            return f"risk {number(risk)} = {share}" if width >= WIDE else f"-{number(risk)} {share}"
        return ""
