"""The gate: every order of every origin passes the same ordered limits, or is denied in the limit's own words."""

from collections.abc import Iterator

import msgspec

from core.config.settings import GuardianSettings, Places
from core.domain.approval import Approved, TradingState, reason_of
from core.domain.commands import AmendOrder, CancelOrder, LoosenLimits, SetTradingState, SubmitOrder
from core.domain.events import ChangeDenied, GuardianSettingsChanged, OrderDenied, SettingChange, TradingStateChanged
from core.domain.identifiers import ClientOrderId
from core.domain.instrument import ZERO
from core.domain.message import Nanoseconds
from core.domain.numbers import plain
from core.domain.order import Order, OrderRecord
from core.guardian import limits as rules
from core.guardian.able import Able
from core.guardian.barred import Lease
from core.guardian.differing import Differing
from core.guardian.limits import Breach, Limit, exposure
from core.guardian.loosening import loosened
from core.guardian.proposal import Proposal, reference_price
from core.guardian.sanity import positive, sanity, too_small, tradable, unknown
from core.guardian.sizing import Sizing
from core.guardian.watch.gate import Closing, DrawdownLimit, Unprotected
from core.guardian.watch.watch import Watch
from core.risk.returns import Returns
from core.session.protocol import LimitChange, LimitView
from core.state.markets import Market
from core.state.state import State

_ORDER = [TradingState.ACTIVE, TradingState.REDUCING, TradingState.HALTED]
RESUME, LOOSEN = "RESUME", "LOOSEN"


class Guardian:
    """Judge orders against the limits; the only maker of ``Approved``."""

    def __init__(
        self,
        settings: GuardianSettings | None = None,
        places: Places | None = None,
        held_back: tuple[SettingChange, ...] = (),
    ) -> None:
        """Judge by settings; ``held_back`` are looser ones that were asked for without the typed word."""
        self.settings = settings = settings or GuardianSettings()
        self.held_back = held_back
        self._places = places or Places()
        self._duplicates = rules.Duplicates(settings)
        self._rate = rules.OrderRate(settings)
        self._amends = rules.AmendRate(settings)
        self.able, self.terms = Able(settings), rules.Terms(settings)
        self.returns = Returns()
        self.sizing = Sizing(settings, self.returns)
        self.settings = settings
        self.limits = (
            rules.Supported(settings),
            self.able,
            rules.TradingStateLimit(settings),
            rules.VenueReady(settings),
            Differing(settings),
            rules.StoresReady(settings),
            Lease(settings),
            rules.ReduceOnly(settings),
            rules.Owned(settings),
            rules.Stale(settings),
            rules.Valued(settings),
            self.terms,
            rules.ClockOffset(settings),
            rules.PriceCollar(settings),
            self._duplicates,
            self._rate,
            rules.OpenOrders(settings),
            rules.OrderNotional(settings),
            rules.OrderQuantity(settings),
            exposure.PositionSize(settings),
            exposure.SectorSize(settings),
            exposure.Leverage(settings),
            exposure.Gross(settings),
            exposure.Net(settings),
            Closing(settings),
            DrawdownLimit(settings),
            Unprotected(settings),
            rules.EffectiveBets(settings, self.returns),
        )
        self.watch = Watch(settings)

    @property
    def limits(self) -> tuple[Limit, ...]:
        """Return the limits in the order in which they are asked."""
        return self._limits

    @limits.setter
    def limits(self, limits: tuple[Limit, ...]) -> None:
        self._limits = limits
        self._exit_limits = tuple(limit for limit in limits if limit.covers_exits)
        self._judges = tuple(limit.breach for limit in limits)
        """The same as bound methods: the gate asks each of them of every order."""
        self._exit_judges = tuple(limit.breach for limit in self._exit_limits)

    # --- the gate ---------------------------------------------------------------------------------------------------

    def check(
        self, state: State, command: SubmitOrder, now: Nanoseconds, *, urgent: bool = False
    ) -> Approved[SubmitOrder] | OrderDenied:
        """Let an order pass, or deny it with the first limit it breaks; only what reduces can be ``urgent``."""
        order = command.order
        proposal = self._propose(state, order, now)
        if not isinstance(proposal, Proposal):
            return self._denied(order, proposal, now)
        for judge in self._exit_judges if proposal.reduces else self._judges:
            breach = judge(proposal)
            if breach is not None:
                return self._denied(order, breach, now)
        if not urgent:  # exits have a budget of their own
            self._rate.passed(now)
        if self._duplicates.window and not order.reduce_only:
            self._duplicates.passed(order, now)
        return Approved(command, urgent and order.reduce_only)

    def breaches(self, state: State, order: Order, now: Nanoseconds) -> Iterator[Breach]:
        """Yield every limit that an order breaks, in their order; what cannot be valued ends the list."""
        proposal = self._propose(state, order, now)
        if isinstance(proposal, Breach):
            yield proposal
            return
        for limit in self._asked(proposal):
            breach = limit.breach(proposal)
            if breach is not None:
                yield breach

    def _propose(self, state: State, order: Order, now: Nanoseconds) -> Proposal | Breach:
        """See an order against the account, or return why it is no order that limits could judge."""
        market = state.markets.get(order.instrument)
        if market is None:
            return unknown(order)
        wrong = tradable(market, order) or sanity(order, market)
        if wrong is not None:
            return wrong
        proposal = Proposal(state, order, market, now)
        wrong = too_small(order, market, proposal.quantity, proposal.price)
        if wrong is not None:
            return wrong
        if order.operation_id and order.operation_id in state.blotter.operations:
            return Breach("operation_id", order.operation_id, "new", "this instruction was taken before; nothing sent")
        return proposal

    def _asked(self, proposal: Proposal) -> tuple[Limit, ...]:
        """Return the limits that judge a proposal."""
        return self._exit_limits if proposal.reduces else self.limits

    def check_amend(
        self,
        state: State,
        command: AmendOrder,
        record: OrderRecord,
        now: Nanoseconds,
        *,
        follows: bool = False,
        urgent: bool = False,
    ) -> Approved[AmendOrder] | Breach:
        """Let an amend pass when the order it leads to would pass, and when there are not too many of them.

        An exit that ``follows`` its bracket's fills has no rate: protection is not late because somebody is busy. Only
        what makes room for an exit is ``urgent``.
        """
        order = record.order
        market = state.markets[order.instrument]
        for name, value in (("quantity", command.quantity), ("price", command.price), ("trigger", command.trigger)):
            wrong = positive(name, value) if value is not None else None
            if wrong is not None:
                return wrong
        quantity = order.quantity if command.quantity is None else command.quantity
        if quantity <= record.filled:
            filled = plain(record.filled)
            text = f"quantity {plain(quantity)} is not above what is filled already ({filled}); cancel instead"
            return Breach("order", plain(quantity), filled, text)
        changed = Order(
            order.instrument,
            order.side,
            quantity,
            order.type,
            command.price if command.price is not None else order.price,
            command.trigger if command.trigger is not None else order.trigger,
            order.trail,
            order.time_in_force,
            order.post_only,
            order.reduce_only,
            order.expires,
            take_profit=order.take_profit,
            stop_loss=order.stop_loss,
        )
        wrong = (
            sanity(changed, market)
            or too_small(changed, market, float(quantity), reference_price(changed, market))
            or self._grown(state, changed, record, now)
        )
        if wrong is None and not (follows and order.reduce_only):
            wrong = self._amends.at(now)
            if wrong is None:
                self._amends.passed(now)
        return wrong if wrong is not None else Approved(command, urgent and order.reduce_only)

    def _grown(self, state: State, changed: Order, record: OrderRecord, now: Nanoseconds) -> Breach | None:
        """Judge the amended order as if the working one were not there: it takes its place."""
        replaced = record.order.client_order_id
        changed = msgspec.structs.replace(changed, quantity=changed.quantity - record.filled)
        proposal = Proposal(state, changed, state.markets[changed.instrument], now, replaced)
        for limit in self._asked(proposal):
            breach = limit.breach(proposal) if limit not in (self._duplicates, self._rate) else None
            if breach is not None:
                return breach
        return None

    def approve_cancel(self, command: CancelOrder, *, urgent: bool = False) -> Approved[CancelOrder]:
        """Let a cancel pass: it always may."""
        return Approved(command, urgent)

    def size(self, state: State, order: Order, now: Nanoseconds) -> Order | OrderDenied:
        """Return a strategy's order at the size that the volatility target allows, or its refusal; exits stay whole."""
        proposal = self._propose(state, order, now)
        if isinstance(proposal, Breach) or proposal.reduces:
            return order  # what is wrong with it the gate says
        sized = self.sizing.size(state, order, proposal.market)
        return self._denied(order, sized, now) if isinstance(sized, Breach) else sized

    def _denied(self, order: Order, breach: Breach, now: Nanoseconds) -> OrderDenied:
        setting = self._places.of("guardian", breach.key) if breach.key else ""
        reason = f"refused: {breach.reason} ({setting})" if setting else breach.reason
        return OrderDenied(order, breach.limit, breach.value, breach.bound, setting, reason, now)

    def words(self, breach: Breach) -> str:
        """Return a breach in the words a denied order gets."""
        setting = self._places.of("guardian", breach.key) if breach.key else ""
        return f"refused: {breach.reason} ({setting})" if setting else breach.reason

    def denied_change(self, what: str, order: ClientOrderId, breach: Breach, now: Nanoseconds) -> ChangeDenied:
        """Return the refusal of a change of a working order, with the bound that it breaks."""
        setting = self._places.of("guardian", breach.key) if breach.key else ""
        return ChangeDenied(what, order, breach.limit, breach.value, breach.bound, setting, self.words(breach), now)

    # --- trading state ----------------------------------------------------------------------------------------------

    def change_state(self, state: State, command: SetTradingState, now: Nanoseconds) -> TradingStateChanged | str:
        """Change the trading state, or return why not: loosening takes the typed word, tightening nothing."""
        loosens = self.loosens(state, command)
        if loosens and command.word != RESUME:
            return f"leaving {state.trading_state} takes the typed word {RESUME}"
        reason = reason_of(command.reason, "resumed" if loosens else "asked for")
        who, origin = reason_of(command.who, ""), reason_of(command.origin, "")
        return TradingStateChanged(command.state, who, origin, reason, now)

    def loosen(self, state: State, command: LoosenLimits, now: Nanoseconds) -> GuardianSettingsChanged | str:
        """Let looser settings be in force from the next start, or return why not."""
        if command.word != LOOSEN:
            return f"loosening a limit takes the typed word {LOOSEN}"
        return loosened(state.limits.settings, command.settings, command.who, now)

    def loosens(self, state: State, command: SetTradingState) -> bool:
        """Tell whether a command would let more through than passes now."""
        return _ORDER.index(command.state) < _ORDER.index(state.trading_state)

    def place(self, key: str) -> str:
        """Return file:line of a setting of the guardian's."""
        return self._places.of("guardian", key)

    # --- views ------------------------------------------------------------------------------------------------------

    def changes(self, state: State, order: Order, market: Market, now: Nanoseconds) -> Iterator[LimitChange]:
        """Yield every limit that judges an order and has a measure: before, after, its bound, and whether it passes."""
        after = Proposal(state, order, market, now)
        before = Proposal(state, msgspec.structs.replace(order, quantity=ZERO), market, now)
        for limit in self._exit_limits if after.reduces else self.limits:
            use, was = limit.use(after), limit.use(before)
            if use is None or was is None:
                continue
            value, bound = use
            yield LimitChange(
                limit.name,
                limit.text(was[0]),
                limit.text(value),
                limit.text(bound),
                limit.used(after, value, bound),
                limit.breach(after) is None,
                self._places.of("guardian", limit.key) if limit.key else "",
            )

    def watch_views(self, state: State, now: Nanoseconds) -> Iterator[LimitView]:
        """Yield each rule of the watch with the highest use of all positions."""
        for name, key, act, use in self.watch.uses(state, now):
            used = abs(use.value / use.bound) if use is not None and use.bound else None
            value, bound = (use.text, use.bound_text) if use is not None else ("–", "–")
            yield LimitView(name, used, value, bound, act, self.place(key))

    def views(self, state: State, market: Market, order: Order, now: Nanoseconds) -> Iterator[LimitView]:
        """Yield each limit with its use, an order proposed."""
        proposal = Proposal(state, order, market, now)
        for limit in self.limits:
            use = limit.use(proposal)
            if use is None:
                continue
            value, bound = use
            yield LimitView(
                limit.name,
                limit.used(proposal, value, bound),
                limit.text(value),
                limit.text(bound),
                limit.act,
                self._places.of("guardian", limit.key) if limit.key else "",
            )
