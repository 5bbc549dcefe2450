"""Carry out what the watch decides: exits first, then the record of why, with value, bound and the setting's place."""

from collections.abc import Sequence
from decimal import Decimal
from functools import partial

import structlog
from msgspec.structs import replace

from core.domain import commands as c
from core.domain import events as e
from core.domain import watch as w
from core.domain.approval import TradingState
from core.domain.identifiers import ClientOrderId, InstrumentId, VenueId
from core.domain.instrument import ONE, ZERO
from core.domain.message import Event, Nanoseconds
from core.domain.numbers import exact
from core.domain.order import Side
from core.execution.brackets import Protection
from core.execution.exits import Exits
from core.execution.flatten import attainable
from core.execution.orders import Orders
from core.guardian.watch.rule import ROUNDING, SECOND_NS, Act, Verdict
from core.outbox import Confirm, Outbox
from core.state.exiting import GUARDIAN
from core.state.state import State
from core.strategy.base import Strategy

log = structlog.get_logger()
SLACK = 1.05
"""What is held may outgrow a drawdown step by this factor through prices alone before it is reduced again."""


class Guard:
    """Wake the watch and act on its verdicts; every exit goes the way of all exits, through the gate."""

    def __init__(
        self,
        outbox: Outbox,
        orders: Orders,
        exits: Exits,
        protection: Protection,
        strategies: Sequence[Strategy] = (),
    ) -> None:
        self._outbox, self._orders, self._exits, self._protection = outbox, orders, exits, protection
        self._guardian, self.watch = orders.guardian, orders.guardian.watch
        self.watch.ours, self.watch.protection.abilities = orders.ours, orders.abilities
        self.watch.horizons.update({one.id: getattr(one, "horizon", "") for one in strategies})
        self.held = self.watch.held
        """What a price is looked at for; empty while nothing is held."""
        self._asked: dict[VenueId, Nanoseconds] = {}

    @property
    def state(self) -> State:
        """Return the engine's state."""
        return self._outbox.state

    # --- what wakes it ----------------------------------------------------------------------------------------------

    def moved(self, instrument: InstrumentId) -> None:
        """Take a price of something held: most leave everything as calm as it was."""
        held, state = self.held[instrument], self._outbox.state
        if held.is_calm() and state.ledger.equity > self.watch.floor:
            return
        verdicts = self.watch.price(state, instrument)
        if verdicts:
            self._carry_out(verdicts)
        if state.ledger.equity <= self.watch.floor:
            self._carry_out(self.watch.account_verdicts(state))

    def worth_less(self, instrument: InstrumentId) -> None:
        """Take the price of what no position stands for where equity is at a bound: coins of a wallet move it too."""
        market = self._outbox.state.markets.get(instrument)
        if market is not None and (market.exposure or market.nonlinear) and self.watch.floor > 0.0:
            self._carry_out(self.watch.account_verdicts(self._outbox.state))

    def follow(self, event: Event) -> None:
        """Take a fill, an order's event or a balance: what is held is seen anew."""
        state, kind = self._outbox.state, type(event)
        if kind is e.OrderFilled:
            self._seen(event.instrument)  # type: ignore[attr-defined]
        elif kind is e.VenueReconciled:
            self.watch.confirmed(event, state)  # type: ignore[arg-type]
            self._exits.confirmed(event)  # type: ignore[arg-type]
            self._refresh()
        elif kind in _WALLETS:
            self._refresh()
            self._carry_out(self.watch.all_verdicts(state))
        elif self.held:
            record = state.blotter.orders.get(getattr(event, "client_order_id", ClientOrderId("")))
            if record is not None and record.order.reduce_only:  # of any pair of what is held
                self._seen(record.order.instrument)

    def timer(self) -> None:
        """Judge everything: what no price wakes any more is woken here."""
        self._refresh()
        state = self.state
        if not self.held and not state.ledger.balances:
            return
        self._carry_out(self.watch.all_verdicts(state))
        if state.watched.step and state.ledger.exposure()[0] > SLACK * state.watched.most:
            self._fit(self.watch.drawdown.name)
        for venue in self.watch.protection.asks:
            if state.now - self._asked.get(venue, -SECOND_NS) >= SECOND_NS:
                self._asked[venue] = state.now
                self._outbox.put(Confirm(venue))
        self.watch.protection.asks.clear()

    def _seen(self, instrument: InstrumentId) -> None:
        """See one position anew and judge it."""
        state = self._outbox.state
        market = state.markets.get(instrument)
        if market is None:
            return
        market = state.ledger.mark_of(market.holding) or market  # what its price means is one pair's to say
        instrument = market.instrument.id
        if self.watch.look(state, market):
            if not self.held[instrument].is_calm():
                self._carry_out(self.watch.filled(state, instrument))
            if state.ledger.equity <= self.watch.floor:
                self._carry_out(self.watch.account_verdicts(state))
        elif instrument in state.watched.unprotected:
            self._outbox.record(w.ProtectionChanged(instrument, "", state.now))

    def _refresh(self) -> None:
        state = self.state
        self.watch.refresh(state)
        for instrument in [one for one in state.watched.unprotected if one not in self.held]:
            self._outbox.record(w.ProtectionChanged(instrument, "", state.now))

    # --- what it does -----------------------------------------------------------------------------------------------

    def _carry_out(self, verdicts: list[Verdict]) -> None:
        for verdict in verdicts:
            try:
                self._act(verdict)
            except Exception:  # task boundary: one verdict that fails is none that holds up the others
                log.exception("verdict of the watch not carried out", rule=verdict.rule, instrument=verdict.instrument)

    def _act(self, verdict: Verdict) -> None:
        if verdict.act is Act.HALT:
            self._halt(verdict)
        elif verdict.rule == self.watch.drawdown.name:
            self._step(verdict)
        elif verdict.act in (Act.EXIT, Act.REDUCE):
            closing = self.state.exits.flattening.get(verdict.instrument)
            target = self._attainable(verdict.instrument, verdict.target)
            if closing is None or target < closing.target or not closing.guarded:
                if target:
                    self._take_in(verdict.entry)
                self._exits.bring(verdict.instrument, target, f"{GUARDIAN} {verdict.rule}", verdict.entry)
                self._tell(replace(verdict, target=target))
        elif verdict.act is Act.PLACE:
            self._place(verdict)
        elif verdict.act in (Act.DENY, Act.EASE):
            missing = verdict.reason if verdict.act is Act.DENY else ""
            self._tell(verdict)
            self._outbox.record(w.ProtectionChanged(verdict.instrument, missing, self.state.now))
        else:
            self._tell(verdict)

    def _take_in(self, stop: ClientOrderId) -> None:
        """Make a stop by hand a bracket before what it covers is closed: whatever else closes, its part is not lost."""
        state = self.state
        record = state.blotter.open.get(stop)
        if record is None or not record.order.reduce_only or state.brackets.find(stop) is not None:
            return
        order, trigger = record.order, record.stands_at
        if trigger is not None:
            event = w.BracketBegun(
                stop, order.instrument, order.side.opposite, record.remaining, trigger, self.state.now
            )
            self._outbox.record(event)
            self._protection.watched.add(order.instrument)

    def _tell(self, verdict: Verdict) -> None:
        """Record what was done and why."""
        act = verdict.act.value
        if verdict.act is Act.REDUCE and verdict.instrument and not verdict.target:
            act = Act.EXIT.value
        event = w.GuardianActed(
            verdict.rule,
            act,
            verdict.instrument,
            exact(verdict.value),
            exact(verdict.bound),
            self._guardian.place(verdict.key),
            verdict.reason,
            self.state.now,
        )
        self._outbox.record(event)

    def _halt(self, verdict: Verdict) -> None:
        """Close everything and halt; done again for what has come in behind it.

        One instrument that fails keeps neither the others from being closed nor the halt from being recorded.
        """
        state, now, guarded = self.state, self.state.now, self._outbox.guarded
        open_ = [one for one in self._exits.at_risk() if self._is_open(one)]
        if verdict.step and verdict.step != state.watched.step:
            self._record_step(verdict.step)
        elif state.trading_state is TradingState.HALTED and not open_:
            return
        self._cancel_entries(verdict.rule)
        for instrument in open_:
            guarded(self._exits.bring, instrument, ZERO, f"{GUARDIAN} {verdict.rule}")
        if state.trading_state is not TradingState.HALTED:
            reason = f"{verdict.reason} ({self._guardian.place(verdict.key)})"
            origin = f"{GUARDIAN} {verdict.rule}"
            self._outbox.record(e.TradingStateChanged(TradingState.HALTED, GUARDIAN, origin, reason, now))
        self._tell(verdict)

    def _is_open(self, instrument: InstrumentId) -> bool:
        """Tell whether something is to be closed that nothing closes yet; where that cannot be told, it is."""
        closing = self.state.exits.flattening.get(instrument)
        if closing is not None and closing.guarded and not closing.target:
            return False
        try:
            return not self._exits.is_flat(instrument)
        except Exception:  # task boundary: what cannot be judged is closed, and the others with it
            log.exception("not known whether it is flat", instrument=instrument)
            return True

    def _step(self, verdict: Verdict) -> None:
        """Enter a step of the drawdown ladder, or leave one."""
        self._record_step(verdict.step)
        if verdict.act is Act.REDUCE:
            self._fit(verdict.rule)
        self._tell(verdict)

    def _record_step(self, step: int) -> None:
        """Put a step in force; its base is what was held when the first one was entered."""
        state, watched = self.state, self.state.watched
        factor = Decimal(repr(self.watch.drawdown.steps[step - 1][1])) if step else ONE
        base = watched.base
        if not step:
            base = ZERO
        elif not watched.step:
            gross, _ = state.ledger.exposure()
            settings = self._guardian.settings
            base = Decimal(repr(round(gross or settings.max_gross_frac * max(state.equity, 0.0), 8)))
        self._outbox.record(w.DrawdownStepped(step, factor, base, state.now))

    def _fit(self, rule: str) -> None:
        """Bring what is held to what the step in force leaves: all in proportion, the biggest risk first."""
        state = self.state
        gross, _ = state.ledger.exposure()
        most = state.watched.most
        if gross <= most * (1.0 + ROUNDING):
            return
        self._cancel_entries(rule)
        ratio = Decimal(repr(most / gross * (1.0 + ROUNDING)))
        for instrument in self._exits.at_risk():
            self._outbox.guarded(self._shrink, instrument, ratio, rule)

    def _shrink(self, instrument: InstrumentId, ratio: Decimal, rule: str) -> None:
        """Bring one position to its part of what a step leaves."""
        market = self.state.markets[instrument]
        position = self.state.ledger.positions.get(market.holding)
        if position is None or not position.quantity:
            return
        if not self._exits.is_flat(instrument):
            target = self._attainable(instrument, abs(position.quantity) * ratio)
            self._exits.bring(instrument, target, f"{GUARDIAN} {rule}")

    def _attainable(self, instrument: InstrumentId, target: Decimal) -> Decimal:
        """Return a target that exits can bring a position to: one between two orders would be aimed at for ever."""
        market = self.state.markets[instrument]
        held = abs(self.state.ledger.position_of(market).quantity)
        return attainable(market, held, target, self._guardian.settings.price_collar_frac)

    def _cancel_entries(self, rule: str) -> None:
        """Cancel what would add risk; what reduces stays until its exit."""
        for record in list(self.state.blotter.open.values()):
            if self._orders.ours(record) and not record.order.reduce_only:
                command = c.CancelOrder(record.order.client_order_id, f"{GUARDIAN} {rule}", self.state.now)
                self._outbox.guarded(partial(self._orders.cancel, urgent=True), command)

    def _place(self, verdict: Verdict) -> None:
        """Protect what nobody protected: as a bracket, so that its stop follows fills and restarts.

        A bracket of take profits alone gets it: what it holds is not counted twice.
        """
        held = self.held[verdict.instrument]
        side = Side.BUY if held.sign > 0 else Side.SELL
        brackets = self.state.brackets.over(held.market.holding)
        bare = next((one for one in brackets if one.stop is None and one.left and one.side is side), None)
        id_ = self._orders.new_id() if bare is None else bare.entry
        quantity = verdict.target if bare is None else bare.left
        instrument = verdict.instrument if bare is None else bare.instrument
        event = w.BracketBegun(id_, instrument, side, quantity, verdict.price, self.state.now)
        self._outbox.record(event)
        self._protection.watched.add(instrument)
        self._protection.step(instrument)
        self._tell(verdict)

    # --- a human lets it go on --------------------------------------------------------------------------------------

    def resumed(self, who: str) -> None:
        """Count losses from here where a rule of the account has halted, or would at once: the human accepts them."""
        state = self.state
        scene = self.watch.revalue(state)
        breached = any(rule.judge(scene) is not None for rule in self.watch.account)
        if scene.blind or not (breached or state.watched.step or state.watched.halted):
            return
        equity = Decimal(repr(round(scene.equity, 8)))
        self._outbox.record(w.LossAccepted(equity, who, state.now))


_WALLETS = frozenset({e.BalanceSet, e.FundingPaid, e.PositionSet, e.PositionLiquidated})
