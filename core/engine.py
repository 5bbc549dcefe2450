"""The engine: ``process(message) -> effects``, synchronous, without I/O, clock reads or awaits."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import structlog

from core.alerts.desk import AlertDesk
from core.alerts.watch import AlertWatch
from core.config.settings import AlertSettings
from core.defining import Definitions
from core.domain import alerts as a
from core.domain import commands as c
from core.domain import events as e
from core.domain import market as m
from core.domain import studies as s
from core.domain.identifiers import ClientOrderId, InstrumentId, VenueId
from core.domain.message import Event, Message, Nanoseconds
from core.domain.numbers import plain
from core.errors import IllegalTransition
from core.execution.brackets import Protection
from core.execution.exits import Exits
from core.execution.guard import Guard
from core.execution.ids import OrderIds
from core.execution.orders import Orders
from core.execution.typed_word import TypedWord
from core.guardian.guardian import Guardian
from core.outbox import Effect, Outbox
from core.ports import Abilities
from core.reconcile.adoption import Adoption, beside
from core.reconcile.reconcile import first_entries
from core.session.wire import EVENTS
from core.state.account import book, count_capital, mark_account
from core.state.bars import BarBuilder
from core.state.book import Sync
from core.state.feeds import FeedDesk
from core.state.flaws import booking_flaw, flaw
from core.state.state import State, StateImage
from core.strategy.base import Strategy
from core.strategy.desk import StrategyDesk
from core.strategy.memory import keep
from core.strategy.past import PastBars

log = structlog.get_logger()
NOTHING: tuple[Effect, ...] = ()
_TOLD = (
    *(m.VenueStatus, m.VenueCompared, m.StoreStatus, m.SentinelStatus, a.TargetStatus),
    *(s.ResearcherStatus, s.StudyChanged, s.ConfigChanged, s.ConfigsStatus),
)
"""Data that the state takes, and strategies hear of."""
_STRATEGIC: tuple[type, ...] = (c.SubmitOrder, c.AmendOrder, c.CancelOrder, c.CancelAll, c.Flatten, c.SaveStrategyState)
"""What a strategy may ask for: to trade, and to remember. Whatever else is a human's to say, with a word typed."""


class Engine:
    """Apply a message, ask strategies, let the guardian judge, and say what is to be done.

    ``strict`` raises on an event that an order's life does not allow; otherwise it is recorded and not applied.
    """

    def __init__(
        self,
        guardian: Guardian | None = None,
        state: State | None = None,
        *,
        ids: OrderIds | None = None,
        abilities: Mapping[VenueId, Abilities] | None = None,
        strategies: Sequence[Strategy] = (),
        strict: bool = False,
        day_start: Nanoseconds = 0,
        alerts: AlertSettings | None = None,
    ) -> None:
        self.guardian = guardian or Guardian()
        self.bars: dict[InstrumentId, BarBuilder] = {}
        self._outbox = Outbox(state or State(), strict)
        self.ids = ids or OrderIds()
        self._orders = Orders(self._outbox, self.guardian, self.ids, abilities)
        self._protection = Protection(self._outbox, self._orders)
        self._exits = Exits(self._outbox, self._orders)
        self._guard = Guard(self._outbox, self._orders, self._exits, self._protection, strategies)
        self._desk = StrategyDesk(self._outbox, self._orders, self._exits)
        self._own, self._day_start = tuple(strategies), day_start
        self._strategies: tuple[Strategy, ...] = self._own
        """How long after 00:00 UTC the account's day begins."""
        self._feeds, self._definitions = FeedDesk(self._outbox), Definitions(self._outbox, self.guardian.terms)
        self._alerts = AlertWatch(self._outbox, self.guardian, alerts)
        self._wanted = self._alerts.wanted
        desk = AlertDesk(self._outbox, self._alerts.forget)
        self._handlers: dict[type, Callable[[Any], None]] = {
            **dict.fromkeys(EVENTS, self._event),
            **dict.fromkeys(_TOLD, self._data),
            e.OrderFilled: self._fill,
            **dict.fromkeys((e.BalanceSet, e.FundingPaid, e.PositionLiquidated, e.PositionSet), self._booking),
            m.Quote: self._price,
            m.MarkPrice: self._price,
            m.Trade: self._trade,
            m.BookDelta: self._delta,
            m.BookSnapshot: self._snapshot,
            m.InstrumentDefined: self._define,
            m.FeedReport: self._feeds.claim,
            m.Bar: self._history,
            m.Timer: self._timer,
            c.SubmitOrder: self._orders.submit,
            c.AmendOrder: self._orders.amend,
            c.CancelOrder: self._orders.cancel,
            c.CancelAll: self._orders.cancel_all,
            c.Flatten: self._exits.flatten,
            c.StopEngine: self._stop,
            c.SaveStrategyState: partial(keep, self._outbox),
            s.AdoptConfig: self._adopt,
            PastBars: self._ask,
            **Adoption(self._outbox, self._orders).handlers(),
            **TypedWord(self._outbox, self.guardian, self._guard.resumed).handlers(),
            a.SetAlert: desk.set_rule,
            a.RemoveAlert: desk.remove_rule,
            a.AcknowledgeAlert: desk.acknowledge,
            a.MuteAlerts: desk.mute,
        }
        self._strategic = {one: self._handlers[one] for one in _STRATEGIC} | {c.SubmitOrder: self._orders.want}
        self._orders.hold_waiting()

    @property
    def state(self) -> State:
        """Return everything known."""
        return self._outbox.state

    def process(self, message: Message) -> Sequence[Effect]:
        """Take one message and return what is to be done about it, in order.

        Raises:
            IllegalTransition: in strict mode, for an event that an order's life does not allow.
        """
        outbox = self._outbox
        state = outbox.state
        ts: Nanoseconds = message.ts  # type: ignore[attr-defined]
        if ts > state.now:  # noqa: PLR1730  a call of max on every message
            state.now = ts
        handler = self._handlers.get(type(message))
        if handler is not None:
            handler(message)
        if state.capital.waiting:
            count_capital(outbox, ts)
        effects = outbox.effects
        if not effects:
            return NOTHING
        wanted = self._wanted
        for effect in effects:
            if type(effect) in wanted:  # most effects are worth no alert: the watch is not called for them
                self._alerts.seen(effects)
                break
        outbox.effects = []
        return effects

    def decided(self) -> Sequence[Effect]:
        """Return what a message that failed had decided before: it is applied, so it must be carried out."""
        self._alerts.seen(self._outbox.effects)
        effects, self._outbox.effects = self._outbox.effects, []
        return effects

    # --- data -------------------------------------------------------------------------------------------------------

    def _data(self, message: Message) -> None:
        self.state.apply(message)
        if self._strategies:
            self._ask(message)

    def _define(self, message: m.InstrumentDefined) -> None:
        if self._definitions.take(message) and self._strategies:
            self._ask(message)

    def _history(self, bar: m.Bar) -> None:
        """Take a bar of a venue's history: the minutes of the growing hour come from there after a start."""
        if bar.interval is m.Interval.M1:
            self.bars.setdefault(bar.instrument, BarBuilder(bar.instrument)).seed(bar)
        self._outbox.publish(bar)

    def _price(self, message: m.Quote | m.MarkPrice) -> None:
        self._outbox.state.handlers[type(message)](message)
        self._moved(message)

    def _moved(self, message: m.Quote | m.MarkPrice | m.Trade | m.BookDelta | m.BookSnapshot) -> None:
        """Wake what waits for a price, however it came, then ask strategies."""
        guard = self._guard
        if message.instrument in guard.held:  # the guardian first
            self._outbox.guarded(guard.moved, message.instrument)
        elif self._outbox.state.ledger.equity <= guard.watch.floor:
            self._outbox.guarded(guard.worth_less, message.instrument)
        if self._protection.watched and message.instrument in self._protection.watched:
            self._outbox.guarded(self._protection.moved, message.instrument)
        if self._orders.held and message.instrument in self._orders.held:
            self._outbox.guarded(self._orders.release, message.instrument)
        if self._strategies:
            self._ask(message)

    def _trade(self, trade: m.Trade) -> None:
        state = self._outbox.state
        market = state.markets.get(trade.instrument)
        before = market.mark if market else 0.0
        state.apply(trade)
        if not market or not market.trades or market.trades[-1] is not trade:
            return  # dropped as senseless, or told before: no bar may know of it
        builder = self.bars.get(trade.instrument) or BarBuilder(trade.instrument)
        self.bars[trade.instrument] = builder
        for bar in builder.on_trade(trade):
            self._emit(bar)
        if trade.instrument in state.alerts.priced:
            self._alerts.price(trade.instrument, trade.price)
        if market.mark != before:
            self._moved(trade)
        elif self._strategies:
            self._ask(trade)

    def _delta(self, delta: m.BookDelta) -> None:
        state = self._outbox.state
        state.apply(delta)
        market = state.markets.get(delta.instrument)
        if market is not None and market.book.sync is Sync.GAP and delta.instrument not in self._feeds.resyncing:
            self._feeds.resync(market, delta.ts)
        self._moved(delta)

    def _snapshot(self, snapshot: m.BookSnapshot) -> None:
        self._feeds.resyncing.pop(snapshot.instrument, None)
        self._outbox.state.apply(snapshot)
        self._moved(snapshot)

    def _timer(self, timer: m.Timer) -> None:
        """Watch, go on with exits and keep stops, each whatever happens to the others; the rest comes behind."""
        self.state.apply(timer)
        guarded = self._outbox.guarded
        for duty in (self._guard.timer, self._exits.go_on, self._orders.expire, self._protection.timer):
            guarded(duty)
        for side in (self._definitions.go_on, self._grow_bars, self._feeds.timer, self._mark, self._alerts.look):
            guarded(side, timer.ts)
        if self.state.configs.is_busy or len(self._strategies) > len(self._own):
            guarded(self._desk.timer, timer.ts)
            self._strategies = (*self._own, *self._desk.strategies)
        self._ask(timer)

    def _grow_bars(self, now: Nanoseconds) -> None:
        for builder in self.bars.values():
            for bar in builder.on_time(now):
                self._emit(bar)

    def _mark(self, now: Nanoseconds) -> None:
        self.guardian.returns.look(self.state, now)
        for event in first_entries(self.state, now):
            self._event(event)
        mark_account(self._outbox, now, self._day_start)

    # --- commands ---------------------------------------------------------------------------------------------------

    def _adopt(self, command: s.AdoptConfig) -> None:
        self._desk.adopt(command)
        self._strategies = (*self._own, *self._desk.strategies)

    def _stop(self, command: c.StopEngine) -> None:
        """Refuse to end with open risk unless it is to be left; the runtime ends when nothing was refused."""
        if command.leave or all(self._exits.is_flat(instrument) for instrument in self._exits.at_risk()):
            return
        reason = "positions or orders are open: stop with --flatten to close them or --leave to leave them"
        self._outbox.put(e.CommandRefused("stop", ClientOrderId(""), reason, self.state.now))

    # --- events -----------------------------------------------------------------------------------------------------

    def _event(self, event: Event) -> None:
        self._outbox.record(event)
        self._follow(event)

    def _fill(self, fill: e.OrderFilled) -> None:
        """Take a fill once, and only if its numbers can be money."""
        outbox = self._outbox
        state = outbox.state
        if state.blotter.knows_fill(fill.instrument, fill.fill_id):
            return
        wrong = flaw(fill)
        if wrong:
            outbox.reject(fill, wrong)
            return
        outbox.record(fill)
        beside(outbox, fill)
        record = state.blotter.orders.get(fill.client_order_id)
        if record is not None and record.is_overfilled:
            most = plain(record.order.quantity)
            outbox.reject(fill, f"{plain(record.filled)} of {most} are filled, the position counts all of it")
        if state.exits.flattened:
            self._exits.late_fill(fill)
        self._follow(fill)

    def _booking(self, event: e.BalanceSet | e.FundingPaid | e.PositionLiquidated | e.PositionSet) -> None:
        """Take what moves money or a position without a fill, only if its numbers can be."""
        wrong = booking_flaw(event)
        if wrong:
            self._outbox.reject(event, wrong)
            return
        book(self._outbox, event)
        self._follow(event)

    def _follow(self, event: Event) -> None:
        """Do what an event may call for: the guardian's answer first, the next step of a flatten, a strategy's."""
        self._outbox.guarded(self._guard.follow, event)
        state = self._outbox.state
        flattening = state.exits.flattening
        if flattening:
            instrument = _instrument_of(event, state)
            if instrument in flattening:
                self._exits.step(instrument)
        protection = self._protection
        if protection.watched or state.brackets.by_instrument or type(event) is e.VenueReconciled:
            protection.follow(event)
        if self._strategies:
            self._ask(event)

    def restore(self, image: StateImage) -> None:
        """Begin from a checkpoint."""
        self._outbox.state = State.from_image(image)
        self._orders.hold_waiting()

    def recover(self, event: Event) -> str:
        """Apply an event from the journal as live, with nothing to send; return why it did not fit, or nothing."""
        state, wrong = self.state, ""
        before = state.illegal
        try:
            state.apply(event)
        except (IllegalTransition, KeyError) as error:
            state.illegal += 1
            wrong = str(error) if isinstance(error, IllegalTransition) else f"nothing is known of {error}"
        if not wrong and state.illegal > before:
            wrong = f"{type(event).__name__} of an instrument that nobody has defined"
        if isinstance(event, e.OrderApproved):
            self._orders.held.add(event.order.instrument)
        return wrong

    # --- inside -----------------------------------------------------------------------------------------------------

    def _emit(self, bar: m.Bar) -> None:
        self._outbox.publish(bar)
        if self._strategies:
            self._ask(bar)

    def _ask(self, message: Message) -> None:
        state = self._outbox.state
        for strategy in self._strategies:
            for command in strategy.on_message(message, state):
                handler = self._strategic.get(type(command)) or partial(_forbid, self._outbox, strategy)
                handler(command)


def _forbid(outbox: Outbox, strategy: Strategy, command: Message) -> None:
    """Refuse what no strategy may ask for."""
    kind = type(command).__name__
    log.error("a strategy asked for what only a human may", strategy=strategy.id, command=kind)
    reason = f"strategy {strategy.id} may not send {kind}: strategies submit, amend, cancel and flatten alone"
    outbox.put(e.CommandRefused("strategy", ClientOrderId(""), reason, outbox.state.now))


def _instrument_of(event: Event, state: State) -> InstrumentId:
    record = state.blotter.orders.get(getattr(event, "client_order_id", ClientOrderId("")))
    return record.order.instrument if record is not None else getattr(event, "instrument", InstrumentId(""))
