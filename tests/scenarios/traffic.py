"""Order traffic as a busy desk makes it: several sessions, every kind of command, every answer kept."""

import asyncio
import contextlib
import random
from decimal import Decimal

import msgspec

from core.domain.commands import AmendOrder, CancelAll, CancelOrder, Flatten, SubmitOrder
from core.domain.instrument import Instrument
from core.domain.message import Command
from core.domain.order import Order, OrderRecord, OrderType, Side, StopLoss, TakeProfit, TimeInForce
from core.errors import ClientError, NoEngine
from core.session.client import Client
from core.session.protocol import Outcome
from tests.scenarios.house import House

PAUSE_S = 0.02


class Given(msgspec.Struct):
    """One command and what the engine said to it; None while (or because) no answer came."""

    command: Command
    outcome: Outcome | None = None


class Traffic:
    """Send random commands from several sessions until stopped; a lost engine only pauses it."""

    def __init__(self, house: House, seed: int, traders: int = 3) -> None:
        self.given: list[Given] = []
        self._house = house
        self._seed, self._traders = seed, traders
        self._tasks: list[asyncio.Task[None]] = []
        self._sent = 0
        self._stopping = False

    async def start(self) -> None:
        """Open the sessions and begin."""
        clients = [await self._house.client(f"trader{number}") for number in range(self._traders)]
        for number, client in enumerate(clients):
            rng = random.Random(f"{self._seed}.{number}")
            self._tasks.append(asyncio.create_task(self._trade(client, rng)))

    @property
    def answered(self) -> int:
        """Return how many commands were answered."""
        return sum(given.outcome is not None for given in self.given)

    async def stop(self) -> None:
        """Let the commands that are out be answered or lost, and close the sessions."""
        self._stopping = True  # not by cancelling: an answer that comes just then would swallow it
        await asyncio.gather(*self._tasks)
        self._tasks.clear()

    async def _trade(self, client: Client, rng: random.Random) -> None:
        try:
            while not client.lost and not self._stopping:
                command = self._command(client, rng)
                if command is not None:
                    given = Given(command)
                    self.given.append(given)
                    with contextlib.suppress(NoEngine, ClientError):
                        given.outcome = await client.send(command)
                await asyncio.sleep(rng.random() * PAUSE_S)
        finally:
            await client.close()

    def _command(self, client: Client, rng: random.Random) -> Command | None:
        state = client.state
        dice = rng.random()
        resting = [r for r in state.blotter.open.values() if r.order.price is not None]
        if dice < 0.14 and resting:
            return CancelOrder(rng.choice(resting).order.client_order_id, "scenario")
        if dice < 0.26 and resting:
            return self._amend(client, rng.choice(resting), rng)
        market = rng.choice(list(state.markets.values()))
        if dice < 0.29:
            return Flatten(market.instrument.id, "scenario")
        if dice < 0.30 or (dice < 0.40 and len(state.blotter.open) > 60):
            return CancelAll(None, "scenario")
        if not market.bid or not market.ask:
            return None
        self._sent += 1
        operation = f"{self._seed}-{self._sent}"
        return SubmitOrder(self._order(market.instrument, market.bid, market.ask, operation, rng), "scenario")

    def _order(self, item: Instrument, bid: float, ask: float, operation: str, rng: random.Random) -> Order:
        side = rng.choice((Side.BUY, Side.SELL))
        low = max(item.min_size, item.ceil_size(item.min_notional * 2 / Decimal(repr(bid))))
        quantity = low + item.size_step * rng.randrange(20)
        dice, touch = rng.random(), bid if side is Side.BUY else ask
        if dice < 0.15:
            return self._bracketed(item, side, quantity, touch, operation)
        if dice < 0.4:
            return Order(item.id, side, quantity, operation_id=operation)
        away = rng.choice((0.0, 0.0, 0.0001, 0.0005, 0.004))
        price = item.quantise_price(Decimal(repr(touch * (1 - side.sign * away))))
        if dice < 0.85:
            post = rng.random() < 0.3
            return Order(item.id, side, quantity, OrderType.LIMIT, price, post_only=post, operation_id=operation)
        if dice < 0.92:
            cross = item.quantise_price(Decimal(repr(touch * (1 + side.sign * 0.002))))
            tif = rng.choice((TimeInForce.IOC, TimeInForce.FOK))
            return Order(item.id, side, quantity, OrderType.LIMIT, cross, time_in_force=tif, operation_id=operation)
        stop = item.quantise_price(Decimal(repr(touch * (1 + side.sign * 0.0001))))
        return Order(item.id, side, quantity, OrderType.STOP, trigger=stop, operation_id=operation)

    def _bracketed(self, item: Instrument, side: Side, quantity: Decimal, touch: float, operation: str) -> Order:
        """Return a market order that brings a near target for half of it and a stop that is not far."""

        def at(away: float) -> Decimal:
            return item.quantise_price(Decimal(repr(touch * (1 + side.sign * away))))

        return Order(
            item.id,
            side,
            quantity,
            operation_id=operation,
            take_profit=(TakeProfit(at(0.0004), Decimal("0.5")),),
            stop_loss=StopLoss(at(-0.001)),
        )

    def _amend(self, client: Client, record: OrderRecord, rng: random.Random) -> AmendOrder:
        item = client.state.markets[record.order.instrument].instrument
        assert record.order.price is not None
        price = record.order.price + item.tick_size * rng.choice((-5, -1, 1, 5))
        quantity = record.order.quantity + item.size_step * rng.randrange(3)
        return AmendOrder(record.order.client_order_id, quantity, price, None, "scenario")
