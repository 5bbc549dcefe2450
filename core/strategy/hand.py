"""One strategy in one instrument: it follows the rule's signals with orders, and holds what came of them against it."""

from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal

from core.domain.approval import TradingState
from core.domain.commands import AmendOrder, CancelOrder, SubmitOrder
from core.domain.configs import DustLeft, StrategyCompared, StrategyNoted
from core.domain.identifiers import InstrumentId, StrategyId, symbol_of
from core.domain.instrument import ONE, ZERO, Instrument, quantise
from core.domain.market import Bar, Interval
from core.domain.message import Command, Event, Nanoseconds
from core.domain.order import Order, OrderRecord, OrderStatus, OrderType, Side, StopLoss, TakeProfit
from core.state.brackets import STOP
from core.state.configs import Account
from core.state.markets import Market
from core.state.outright import is_dust, is_outright
from core.state.state import State
from core.strategy.coins import payable, sellable
from core.strategy.figures import CLOSE, long_only, wanted
from core.strategy.mind import Mind, sign
from core.strategy.rule import Contract, Shadow, Terms, size_of, stops, target_of
from core.strategy.shared import means

FRESH_NS: Nanoseconds = 60_000_000_000
"""An entry that has not left this long after its bar's close is none of the study's any more: it is left out."""
RETRY_NS: Nanoseconds = 1_000_000_000
"""The least time between two exits, so that a "no" cannot become a storm."""
ENTRY, EXIT, PASSED = "entry", "signal", "stop_passed"
"""The ``strategy_intent`` of a strategy's own orders; the last leaves where the price is beyond a stop that moves."""
_RESTING = frozenset({OrderStatus.ACCEPTED, OrderStatus.PARTIALLY_FILLED, OrderStatus.APPROVED})
_LEAVING = frozenset({OrderStatus.PENDING_CANCEL, OrderStatus.UNKNOWN})


class Hand:
    """Bring one account to what the signals ask for, and compare. Its commands are judged like anybody's."""

    def __init__(
        self,
        strategy_id: str,
        instrument: Instrument,
        interval: Interval,
        terms: Terms,
        capital: float,
        record: Callable[[Event], None],
        wallet: float = 0.0,
    ) -> None:
        """Begin with an account of ``capital``, which may be its part of a ``wallet`` that several share."""
        self.strategy_id, self.instrument, self.id = strategy_id, instrument, instrument.id
        self.interval_ns = interval.ns
        self.terms, self.contract, self.capital = terms, Contract.of(instrument), wallet or capital
        self.outright = is_outright(instrument)
        self.mind = Mind(Shadow(capital))
        self.origin = f"strategy {strategy_id}"
        self.family: Sequence[Hand] = (self,)
        """Whose accounts are one wallet: its own alone, or all of its strategy's."""
        self._record = record
        self._tried: Nanoseconds = 0
        self._why = EXIT

    @property
    def side(self) -> int:
        """Return the side that the rule holds once its last signal has acted."""
        shadow = self.mind.shadow
        turn = wanted(shadow.quantity, shadow.pending) if shadow.pending else 0
        return sign(shadow.quantity) if not turn else 0 if turn == CLOSE else turn

    # --- deciding ---------------------------------------------------------------------------------------------------

    def on_close(self, bar: Bar, signal: int, state: State, *, decide: bool) -> None:
        """Take a closed bar, over which the rule has gone on, and its signal; with ``decide`` it is what is wanted."""
        mind, account = self.mind, self._account(state)
        signal = long_only(signal) if self.outright else signal
        mind.shadow.pending, mind.decided = signal, bar.start
        if account is None:
            return
        if account.quantity and bar.start + self.interval_ns > account.opened:
            extreme = max(mind.best, bar.high) if account.quantity > ZERO else min(mind.best or bar.low, bar.low)
            mind.best = extreme
        if mind.compare(account, bar, self.interval_ns):
            self._tell(state)
        if decide and not account.liquidated:
            self._decide(account, bar, signal, state)

    def _decide(self, account: Account, bar: Bar, signal: int, state: State) -> None:
        """Want what a signal says; a close that is not done yet goes on, and what was to follow it is over."""
        mind = self.mind
        side = wanted(float(account.quantity), signal) if signal else 0
        if side:
            mind.goal, self._why = 0 if side == CLOSE else side, EXIT
        elif mind.goal is not None:
            mind.goal = 0 if account.quantity else None
        mind.bar, mind.until, mind.tries = bar.start, state.now + FRESH_NS, 0
        self.note(state, "")

    def make_up(self, state: State, before: int) -> None:
        """Behind bars that nobody decided on: close what the rule, which held the same side ``before``, has left."""
        account = self._account(state)
        if account is None or not account.quantity:
            return
        side = sign(float(account.quantity))
        if side == before and self.side != side:
            self.mind.goal, self.mind.bar, self.mind.until = 0, self.mind.decided, 0

    # --- doing ------------------------------------------------------------------------------------------------------

    def step(self, state: State) -> Iterator[Command]:
        """Yield what brings the account closer to what is wanted now; nothing where somebody else closes it."""
        mind, account = self.mind, self._account(state)
        if account is None:
            return
        if any(one.liquidated for one in self._wallet(state)):
            mind.goal = None
            self.note(state, "the venue closed it by force: promote a config to begin anew")
            return
        if self.id in state.exits.flattening:
            return
        if self.outright and account.quantity and not self._working(state, account):
            self._leave_dust(state, account, 0.0)
        held = sign(float(account.quantity))
        if not held:
            mind.best = mind.level = 0.0
        elif not mind.best:
            mind.best = float(account.entry_price)
        goal = mind.goal
        if goal is None:
            if held and (self.terms.stop or self.terms.trail):
                yield from self._move_stop(state, account, held)
        elif held and held != goal:
            yield from self._exit(state, account, held)
        elif held or not goal or any(not one.order.reduce_only for one in self._working(state, account)):
            mind.goal = None if held == goal or not goal else goal
        else:
            yield from self._begin(state, account, goal)

    def _begin(self, state: State, account: Account, side: int) -> Iterator[Command]:
        """Enter while the entry is the study's still, once what closes of the same wallet has closed."""
        fresh = state.now <= self.mind.until
        if fresh and self._awaits_room(state):
            return
        self.mind.goal = None
        if fresh:
            yield from self._enter(state, account, side)

    def _enter(self, state: State, account: Account, side: int) -> Iterator[Command]:
        """Open a position at the market, with the stop and the target that the terms give it."""
        if state.trading_state is not TradingState.ACTIVE:
            self.note(state, f"trading is {state.trading_state}: not entered")
            return
        market, instrument = state.markets[self.id], self.instrument
        position = state.ledger.positions.get(market.holding)
        if position is not None and position.quantity * side < ZERO:
            self.note(state, f"others hold the other side of {symbol_of(self.id)}: not entered")
            return
        price = market.last or market.mark
        size = self._size(state, account, price, side) if price > 0.0 else 0.0
        quantity = quantise(Decimal(repr(size)), instrument.size_step)
        if instrument.max_size is not None:
            quantity = min(quantity, instrument.max_size)
        if self.outright:
            quantity = min(quantity, payable(state, market))
            if is_dust(instrument, quantity, price):
                self.note(state, f"{instrument.venue} has too little free {instrument.quote}: not entered")
                return
        if quantity < max(instrument.min_size, instrument.size_step):
            wallet = sum((one.wallet for one in self._wallet(state)), ZERO)
            self.note(state, f"its wallet of {wallet:.2f} is too small for one {symbol_of(self.id)} order")
            return
        stop, target = self._levels(market, side)
        order = Order(
            self.id,
            Side.BUY if side > 0 else Side.SELL,
            quantity,
            operation_id=f"{self.strategy_id}:{self.id}:{self.mind.bar}",
            strategy_id=StrategyId(self.strategy_id),
            strategy_intent=ENTRY,
            stop_loss=StopLoss(stop) if stop else None,
            take_profit=(TakeProfit(target, ONE),) if target else (),
        )
        yield SubmitOrder(order, self.origin, state.now)

    def _size(self, state: State, account: Account, price: float, side: int) -> float:
        """Return an entry's contracts: out of its own wallet, or of what others leave of one that is shared."""
        if len(self.family) == 1:
            return size_of(self.terms, self.contract, float(account.wallet), price, side)
        equity, free = means(self.terms, (one.standing(state) for one in self.family))
        for hand in self.family:  # entries that are on their way are as good as filled
            leaving = hand.leaving(state)
            equity -= leaving * hand.contract.fee
            free -= leaving * (1.0 / self.terms.leverage + hand.contract.fee)
        return size_of(self.terms, self.contract, equity, price, side, max(free, 0.0))

    def standing(self, state: State) -> tuple[float, float, float, float]:
        """Return its account's wallet, the base units held, their entry price and the price now."""
        account, market = self._account(state), state.markets[self.id]
        if account is None:
            return 0.0, 0.0, 0.0, 0.0
        units = float(account.quantity) * self.contract.units
        return float(account.wallet), units, float(account.entry_price), market.last or market.mark

    def leaving(self, state: State) -> float:
        """Return the value of its entries that are not filled yet."""
        account, market = self._account(state), state.markets[self.id]
        if account is None:
            return 0.0
        working = [one for one in self._working(state, account) if not one.order.reduce_only]
        open_ = sum((one.order.quantity - one.filled for one in working), ZERO)
        return float(open_) * self.contract.units * (market.last or market.mark)

    def closes(self, state: State) -> bool:
        """Tell whether it is to close what it holds, and has not yet."""
        account, goal = self._account(state), self.mind.goal
        held = sign(float(account.quantity)) if account is not None else 0
        return goal is not None and held not in (0, goal)

    def _awaits_room(self, state: State) -> bool:
        """Tell whether another of its wallet's closes yet: what closes goes before what opens."""
        return any(one.closes(state) for one in self.family if one is not self)

    def _wallet(self, state: State) -> list[Account]:
        found = [one._account(state) for one in self.family]
        return [account for account in found if account is not None]

    def _levels(self, market: Market, side: int) -> tuple[Decimal | None, Decimal | None]:
        """Return the stop and the target of an entry, counted from the price that it is to be filled at."""
        price = (market.ask if side > 0 else market.bid) or market.last or market.mark
        found = stops(self.terms, side, price, price)
        stop = self._tick(max(found, key=lambda level: side * level)) if found else None
        target = target_of(self.terms, side, price)
        return stop, self._tick(target) if target else None

    def _tick(self, price: float) -> Decimal:
        return self.instrument.quantise_price(Decimal(repr(price)))

    def _exit(self, state: State, account: Account, held: int) -> Iterator[Command]:
        """Close what the account holds, and no more: its resting exits are taken away first."""
        venue = state.venues.get(self.instrument.venue)
        if venue is None or not venue.connected or not venue.reconciled:
            return
        for record in self._working(state, account):
            if record.status not in _LEAVING and record.order.type is not OrderType.MARKET:
                yield CancelOrder(record.order.client_order_id, self.origin, state.now)
        if self._working(state, account) or state.now - self._tried < RETRY_NS:
            return
        if self.outright and self._leave_dust(state, account, state.markets[self.id].bid):
            self.mind.goal = None
            return
        quantity = self.instrument.floor_size(abs(account.quantity))
        if self.outright:
            quantity = self.instrument.floor_size(sellable(state, state.markets[self.id], quantity))
            if quantity < self.instrument.min_size:
                base = self.instrument.base
                self.note(state, f"others' orders hold its {base}, or {self.instrument.venue} has less: not sold yet")
                return
        if quantity < self.instrument.min_size:
            self.mind.goal = None  # dust: nothing could close it
            return
        if self.instrument.max_size is not None:
            quantity = min(quantity, self.instrument.max_size)
        self._tried = state.now
        self.mind.tries += 1
        order = Order(
            self.id,
            Side.SELL if held > 0 else Side.BUY,
            quantity,
            reduce_only=True,
            operation_id=f"{self.strategy_id}:{self.id}:{self.mind.bar}:{EXIT}{state.run}.{self.mind.tries}",
            strategy_id=StrategyId(self.strategy_id),
            strategy_intent=self._why,
            parent=account.entry,
        )
        yield SubmitOrder(order, self.origin, state.now)

    def _leave_dust(self, state: State, account: Account, price: float) -> bool:
        """Give up coins that no order can sell: less than a lot, or where a price is given worth too little."""
        if not is_dust(self.instrument, account.quantity, price):
            return False
        self._record(DustLeft(self.strategy_id, InstrumentId(self.id), account.quantity, state.now))
        return True

    def _move_stop(self, state: State, account: Account, side: int) -> Iterator[Command]:
        """Bring the bracket's stop to where the terms have it now: from the fill's price, and behind the best price.

        A stop that a trader moved stays where it is until the trailing one is nearer.
        """
        mind = self.mind
        found = stops(self.terms, side, float(account.entry_price), mind.best)
        level = max(found, key=lambda one: side * one)
        if level == mind.level:
            return
        trigger, market = self._tick(level), state.markets[self.id]
        price = market.last or (market.bid if side > 0 else market.ask)
        for record in self._working(state, account):
            order = record.order
            if order.strategy_intent != STOP or order.trigger is None:
                continue
            if record.status not in _RESTING:
                return  # it is on its way: looked at again with its answer
            moves = order.trigger != trigger if not mind.level else (trigger - order.trigger) * side > ZERO
            mind.level = level
            if moves and price and side * (price - float(trigger)) <= 0.0:
                mind.goal, self._why = 0, PASSED  # no venue takes a stop that the price has met: it is closed now
                yield from self._exit(state, account, side)
            elif moves:
                yield AmendOrder(order.client_order_id, None, None, trigger, self.origin, state.now)

    def _working(self, state: State, account: Account) -> list[OrderRecord]:
        """Return the open orders that are this account's, its bracket's exits among them."""
        found = []
        for record in state.blotter.of(self.id):
            order = record.order
            if order.strategy_id == self.strategy_id or (order.parent and order.parent == account.entry):
                found.append(record)
        return found

    # --- words ------------------------------------------------------------------------------------------------------

    def _tell(self, state: State) -> None:
        mind = self.mind
        entry = mind.entry_bps / mind.matched if mind.matched else 0.0
        figures = (mind.matched, mind.missed, mind.extra, round(entry, 3), round(mind.profit / self.capital * 1e4, 3))
        self._record(StrategyCompared(self.strategy_id, self.id, *figures, state.now))

    def note(self, state: State, text: str) -> None:
        """Say what keeps the strategy from trading here, once; an empty text says that nothing does."""
        told = state.configs.notes.get(self.id)
        if text != (told.text if told is not None else ""):
            self._record(StrategyNoted(self.strategy_id, self.id, text, state.now))

    def _account(self, state: State) -> Account | None:
        account = state.configs.accounts.get(InstrumentId(self.id))
        return account if account is not None and account.strategy_id == self.strategy_id else None
