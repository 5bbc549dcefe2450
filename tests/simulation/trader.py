"""A trader who tries everything, drawn from a seed: all types of order, brackets, changes, flattens, halts, repeats."""

import random
from collections.abc import Awaitable, Callable
from decimal import Decimal

import msgspec

from core.domain.approval import TradingState
from core.domain.commands import AmendOrder, CancelAll, CancelOrder, Flatten, SetTradingState, SubmitOrder
from core.domain.instrument import Instrument
from core.domain.message import Command
from core.domain.order import Order, OrderRecord, OrderType, Side, StopLoss, TakeProfit, TimeInForce
from core.session.protocol import Outcome
from core.state.state import State

Send = Callable[[Command], Awaitable[Outcome]]


class Given(msgspec.Struct):
    """One command and what the engine said to it; None while (or because) no answer came."""

    command: Command
    outcome: Outcome | None = None


class Trader:
    """Think of the next command."""

    def __init__(self, seed: int, *, roomy: bool) -> None:
        self.rng = random.Random(f"{seed}.trader")
        self.given: list[Given] = []
        self._roomy = roomy
        self._sent = 0

    def next(self, state: State) -> Command | None:
        """Return what the trader wants now, if anything."""
        rng, dice = self.rng, self.rng.random()
        resting = [record for record in state.blotter.open.values() if record.order.price or record.order.trigger]
        if dice < 0.10 and resting:
            return CancelOrder(rng.choice(resting).order.client_order_id, "sim")
        if dice < 0.22 and resting:
            return self._amend(state, rng.choice(resting))
        markets = [market for market in state.markets.values() if market.bid and market.ask]
        if not markets:
            return None
        market = rng.choice(markets)
        if dice < 0.27:
            return Flatten(market.instrument.id if rng.random() < 0.8 else None, "sim")
        if dice < 0.29:
            return CancelAll(None, "sim")
        if dice < 0.32 or (dice < 0.6 and state.trading_state is not TradingState.ACTIVE):
            return self._state(state)
        self._sent += 1
        operation = f"op{self._sent}"
        held = state.ledger.positions.get(market.instrument.holding)
        if dice < 0.42 and held is not None and held.quantity:
            side = Side.SELL if held.quantity > 0 else Side.BUY
            share = Decimal(rng.choice(("1", "1", "0.5", "0.25", "1.5")))
            quantity = max(market.instrument.floor_size(abs(held.quantity) * share), market.instrument.min_size)
            return SubmitOrder(
                Order(market.instrument.id, side, quantity, reduce_only=True, operation_id=operation), "sim"
            )
        return SubmitOrder(self._order(market.instrument, market.bid, market.ask, operation), "sim")

    def unanswered(self) -> Command | None:
        """Return an instruction that was never answered, to be given again as it was."""
        for given in self.given:
            if given.outcome is None and isinstance(given.command, SubmitOrder):
                given.outcome = Outcome(ok=False, reason="given again")
                return given.command
        return None

    def _state(self, state: State) -> Command:
        rng = self.rng
        wanted = TradingState.ACTIVE
        if state.trading_state is TradingState.ACTIVE:
            wanted = rng.choice((TradingState.REDUCING, TradingState.HALTED))
        word = "RESUME" if rng.random() < 0.9 else "please"
        return SetTradingState(wanted, "because", word, "trader", "sim")

    def _order(self, item: Instrument, bid: float, ask: float, operation: str) -> Order:
        rng = self.rng
        side = rng.choice((Side.BUY, Side.BUY, Side.SELL))
        low = max(item.min_size, item.ceil_size(item.min_notional * 2 / Decimal(repr(bid))))
        quantity = low * rng.randrange(1, 12) * (rng.choice((1, 10, 60)) if self._roomy else 1)
        dice, touch = rng.random(), bid if side is Side.BUY else ask

        def at(away: float) -> Decimal:
            return item.quantise_price(Decimal(repr(touch * (1 + side.sign * away))))

        def made(**fields: object) -> Order:
            return Order(item.id, side, quantity, operation_id=operation, **fields)  # type: ignore[arg-type]

        near = rng.choice((0.0002, 0.0005, 0.002))
        if dice < 0.25:
            trail = item.quantise_price(Decimal(repr(touch * near))) if rng.random() < 0.3 else None
            parts = rng.choice((("0.5", "0.5"), ("1",), ("0.3",), ()))
            return made(
                stop_loss=StopLoss(at(-near), trail),
                take_profit=tuple(TakeProfit(at(near * (1 + n)), Decimal(part)) for n, part in enumerate(parts)),
            )
        if dice < 0.45:
            return made()
        if dice < 0.65:
            return made(type=OrderType.LIMIT, price=at(-rng.choice((0, near, near))), post_only=rng.random() < 0.3)
        if dice < 0.78:
            tif = rng.choice((TimeInForce.IOC, TimeInForce.FOK))
            return made(type=OrderType.LIMIT, price=at(rng.choice((0.002, -0.001))), time_in_force=tif)
        if dice < 0.86:
            return made(type=OrderType.STOP, trigger=at(near))
        if dice < 0.91:
            return made(type=OrderType.STOP_LIMIT, trigger=at(near), price=at(2 * near))
        if dice < 0.95:
            return made(type=OrderType.TAKE_PROFIT, trigger=at(-near))
        trail = item.quantise_price(Decimal(repr(touch * near)))
        return made(type=OrderType.TRAILING_STOP, trigger=at(near), trail=trail)

    def _amend(self, state: State, record: OrderRecord) -> Command:
        item, order, rng = state.markets[record.order.instrument].instrument, record.order, self.rng
        quantity = order.quantity + item.size_step * rng.choice((0, 1, 5, -1, 200))
        ticks = item.tick_size * rng.choice((-50, -5, 5, 50))
        price = order.price + ticks if order.price is not None else None
        trigger = order.trigger + ticks if order.trigger is not None and order.price is None else None
        return AmendOrder(order.client_order_id, quantity, price, trigger, "sim")
