"""The terminal: a view of an engine, and the keys that send, behind their safety rules."""

from collections.abc import Callable
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from textual.binding import BindingType
from textual.timer import Timer

from core.config.settings import TerminalSettings
from core.domain.commands import SetTradingState, SubmitOrder
from core.domain.identifiers import InstrumentId, symbol_of
from core.domain.message import Command
from core.domain.order import Order, Side
from core.errors import ClientError
from core.session import protocol as p
from tui import trading
from tui.actions import Kind, bindings, with_keys
from tui.closing import Closing, Turning
from tui.confirm import Confirm, TypeWord
from tui.differing import DifferenceKeys
from tui.keys import LATCH_SECONDS, Latch
from tui.promoting import PromotionKeys
from tui.trading import ORIGIN, Nothing, Plan
from tui.widgets.ladder import Ladder
from tui.widgets.ticket import Ticket

NOTHING_CHOSEN = "no instrument is chosen here"
PRICE_AGE_LIMIT_S = 1.0
PREVIEW_DELAY_S = 0.15
PREVIEW_EVERY_S = 1.0


class TerminalApp(PromotionKeys, DifferenceKeys):
    """A view that can trade: what reduces risk in two keys, what adds risk armed and by ticket."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("app", Kind.SAFE, Kind.REDUCES, Kind.ADDS)
    KINDS: ClassVar[tuple[Kind, ...]] = tuple(Kind)

    def __init__(
        self,
        socket: Path,
        settings: TerminalSettings | None = None,
        **options: Any,
    ) -> None:
        super().__init__(socket, settings, **options)
        self.latch, self.closing, self.turning = Latch(), Closing(), Turning()
        self._preview_timer: Timer | None = None
        self._preview_at = 0.0
        self._ticket_at = 0.0

    def frame(self) -> None:
        """Draw what changed, and keep the ticket's preview fresh."""
        if self.trade.ticket.open and self.clock() - self._preview_at >= PREVIEW_EVERY_S:
            self._ask_preview()
        super().frame()
        if self.feed.ended:
            words = self.closing.ended(self.feed.ended)
            self.feed.ended.clear()
            if words is not None:
                self.tell(*words)
        self._tell_state()

    def _tell_state(self) -> None:
        """Put the state that stands in the place of the words that it was asked for."""
        stands = self.turning.stands(self.feed.state.trading_state)
        if stands is not None:
            for screen in self.deck.values():
                if screen.is_mounted:
                    screen.hints.correct(stands[0], *stands[1])

    # -- ticket ----------------------------------------------------------------------------------------------

    def action_ticket(self, side: str) -> None:
        """Open a ticket at the ladder's cursor, or at the best price of its side."""
        if self.here is not self.trade:
            if self.here.instrument is not None:
                self.trade.choose(self.here.instrument)
            self.action_screen("trade")
        market = self.trade.market
        if market is None:
            self.tell("no instrument is chosen: {find} finds one", "warn")
            return
        wanted = Side.BUY if side == "buy" else Side.SELL
        price = self.trade.ladder.cursor_price if self.trade.focused is self.trade.ladder else None
        chosen = price is not None
        if price is None:
            price = market.bid if wanted is Side.BUY else market.ask
        exact = market.instrument.quantise_price(Decimal(repr(price))) if price else None
        self._ticket_at = self.clock()
        self.trade.ticket.start(market.instrument, wanted, exact, chosen=chosen)
        self.trade.show_ticket(True)

    def burst_refused(self, began: float) -> None:
        """Take back what the first keys of a paste have typed: a part of it is another order than was meant."""
        ticket = self.trade.ticket
        if ticket.open:
            _ = ticket.call_later(ticket.take_back, began)  # behind the keys that are on their way to it

    def on_ticket_edited(self) -> None:
        """Ask for the effect of the order a moment after the last edit."""
        if self._preview_timer is not None:
            self._preview_timer.stop()
        self._preview_timer = self.set_timer(PREVIEW_DELAY_S, self._ask_preview)

    def _ask_preview(self) -> None:
        self._preview_at = self.clock()
        try:
            order = self.trade.ticket.order()
        except ValueError:
            self.trade.ticket.set_preview(None)
            return
        _ = self.run_worker(partial(self._preview, order), group="preview", exclusive=True)

    async def _preview(self, order: Order) -> None:
        try:
            found = await self.feed.ask_preview(p.AskPreview(order))
        except ClientError as error:
            self.trade.ticket.say(str(error))
            return
        if self.trade.ticket.open:
            self.trade.ticket.set_preview(found)

    def on_ticket_send(self, event: Ticket.Send) -> None:
        """Send the order of the ticket, unless a safety rule is against it."""
        ticket, now = self.trade.ticket, self.clock()
        against = self._against_sending(event.order, now)
        if against:
            ticket.say(against)
        elif self.latch.take("ticket", now):
            _ = self.run_worker(partial(self._send_order, event.order), group="send")

    def _against_sending(self, order: Order, now: float) -> str:
        """Say which rule is against sending this order now; empty when none is."""
        just_now = not self.arming.settled(now) or now - self._ticket_at < LATCH_SECONDS
        if self.arming.armed and just_now:
            return "armed or opened only just now: press Enter again"
        return self._against_adding(order.instrument, "Enter sends", "order not sent")

    def _against_adding(self, instrument: InstrumentId, key: str, left: str) -> str:
        """Say which rule is against adding risk now, what would do it and what was left undone; empty when none is."""
        if not self.arming.armed:
            return f"not armed: {with_keys(self.to_arm(key), self.chosen_keys)}"
        seen = self.trade.price_age(instrument, self.wall())
        if seen is None:
            return f"no price is on the screen; {left}"
        if seen > PRICE_AGE_LIMIT_S:
            return f"price on screen is {seen:.1f} s old (limit {PRICE_AGE_LIMIT_S:.1f} s); {left}"
        return ""

    async def _send_order(self, order: Order) -> None:
        ticket = self.trade.ticket
        try:
            outcome = await self.feed.send(SubmitOrder(order, ORIGIN))
        except ClientError as error:  # the operation id stays: the same order is never carried out twice
            ticket.say(f"{error}; the same Enter asks again and never sends twice")
            return
        finally:
            self.latch.free("ticket")
        ticket.sent()
        if not outcome.ok:
            ticket.say(outcome.reason)
            self.tell(outcome.reason, "bad")
            return
        words = f"sent {' '.join(outcome.orders)}: {order.side.value} {order.quantity} {symbol_of(order.instrument)}"
        ticket.finish(words)
        self.trade.show_ticket(False)
        self.tell(words)

    def action_step_back(self) -> None:
        """Close what is open: the ticket, then what the view has open."""
        if self.trade.ticket.open:
            self.trade.ticket.finish()
            self.trade.show_ticket(False)
        else:
            super().action_step_back()

    # -- plans -----------------------------------------------------------------------------------------------

    def confirm(self, make: Callable[[], Plan], against: Callable[[], str] = str) -> None:
        """Ask about a plan, and carry it out when it is confirmed and no rule is ``against`` it by then."""
        try:
            plan = make()
        except Nothing as nothing:
            self.tell(str(nothing), "warn")
            return

        def answered(yes: bool | None) -> None:
            words = against() if yes else ""
            if words:
                self.tell(words, "warn")
            elif yes:
                self.carry_out(plan)

        _ = self.push_screen(Confirm(plan.title, plan.lines, plan.kind, clock=self.clock), answered)

    def carry_out(self, plan: Plan) -> None:
        """Send what a plan holds, once."""
        if plan.disarms:  # before it is sent: it holds also where the engine does not answer
            self.disarm()
        if self.latch.take(plan.target, self.clock()):
            _ = self.run_worker(partial(self._send_all, plan), group="send")
        else:
            self.tell(f"{plan.title}: already on its way", "warn")

    async def _send_all(self, plan: Plan) -> None:
        try:
            for command in plan.commands:
                await self._send_one(plan, command)
        finally:
            self.latch.free(plan.target)

    async def _send_one(self, plan: Plan, command: Command) -> None:
        self.closing.asked(plan.closes)
        try:
            outcome = await self.feed.send(command)
        except ClientError as error:
            self.tell(f"{plan.title}: {error}", "bad")
            return
        if not outcome.ok:
            self.closing.refused(plan.closes)
            self.tell(f"{plan.title}: {outcome.reason}", "bad")
        elif not plan.closes:
            words = f"{plan.title}: sent" + (f" ({' '.join(outcome.orders)})" if outcome.orders else "")
            self.tell(words)
            if isinstance(command, SetTradingState):
                self.turning.asked(command.state, words)
        elif self.closing.waits(plan.closes):
            self.tell(f"{plan.title}: sent, closing")

    def action_cancel(self) -> None:
        """Cancel the chosen orders, after a confirming key."""
        ids = [record.order.client_order_id for record in self.here.chosen_orders()]
        self.confirm(lambda: trading.cancel(self.feed.state, ids))

    def action_cancel_all(self, reach: str) -> None:
        """Cancel every order of the instrument in depth, or of all, after a confirming key."""
        instrument = self.here.instrument
        if reach == "everything":
            self.confirm(lambda: trading.cancel_all(self.feed.state, None))
        elif instrument is not None:
            self.confirm(lambda: trading.cancel_all(self.feed.state, instrument))
        else:
            self.tell(f"{NOTHING_CHOSEN}: {self._key_of('cancel.everything')} cancels every order", "warn")

    def action_flatten(self, reach: str) -> None:
        """Close the position in the instrument in depth, or all of them, after a confirming key."""
        instrument = self.here.instrument
        if reach == "everything":
            self.confirm(lambda: trading.flatten(self.feed.state, None))
        elif instrument is not None:
            self.confirm(lambda: trading.flatten(self.feed.state, instrument))
        else:
            self.tell(f"{NOTHING_CHOSEN}: {self._key_of('flatten.everything')} flattens everything", "warn")

    def _key_of(self, action_id: str) -> str:
        return with_keys(f"{{{action_id}}}", self.chosen_keys)

    def action_halt(self) -> None:
        """Halt trading, after a confirming key."""
        self.confirm(lambda: trading.halt(self.feed.state))

    def action_resume(self) -> None:
        """Resume trading, after the word RESUME."""
        try:
            plan = trading.resume(self.feed.state)
        except Nothing as nothing:
            self.tell(str(nothing), "warn")
            return

        def answered(yes: bool | None) -> None:
            if yes:
                self.carry_out(plan)

        _ = self.push_screen(TypeWord(plan.title, plan.lines, "RESUME", plan.kind, clock=self.clock), answered)

    def on_ladder_order_move(self, event: Ladder.OrderMove) -> None:
        """Move own orders to another price, armed, at a fresh price and after a confirming key."""
        instrument = self.trade.instrument
        if instrument is None:
            return
        against = partial(self._against_adding, instrument, "m moves an order", "order not moved")
        words = against()
        if words:
            self.tell(words, "warn")
            return
        state, sources, target = self.feed.state, event.sources, event.target
        self.confirm(lambda: trading.move_orders(state, instrument, sources, target), against)

    def on_ladder_refused(self, event: Ladder.Refused) -> None:
        """Say why a key of the ladder did nothing."""
        self.tell(event.words, "warn")
