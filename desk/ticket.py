"""Send and change orders from the command line."""

import asyncio
import uuid
from collections.abc import Callable, Collection, Iterable
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from core.domain.commands import AmendOrder, CancelAll, CancelOrder, SubmitOrder
from core.domain.identifiers import ClientOrderId, InstrumentId, holding_of, symbol_of
from core.domain.instrument import ONE
from core.domain.message import Message
from core.domain.numbers import LONGEST, cited, plain, plain_decimal
from core.domain.order import (
    CLOSED,
    Order,
    OrderRecord,
    OrderStatus,
    OrderType,
    Side,
    StopLoss,
    TakeProfit,
    TimeInForce,
)
from core.errors import ClientError
from core.guardian.watch.protection import STOPS
from core.session.client import Client
from core.session.protocol import Outcome
from core.state.state import State
from desk import answers, output, times
from desk.commands.shown import short
from desk.output import Answered, Refused, UsageFault
from desk.paths import Home
from desk.session import ORIGIN, require, resolve, talk

LONGEST_OPERATION_ID = 64
_ANSWERED = CLOSED | {OrderStatus.APPROVED, OrderStatus.ACCEPTED, OrderStatus.PARTIALLY_FILLED}
"""Where an order stands once a change of it is answered; an outcome that is not known is none."""
_FIXED = ("instrument", "side", "type", "reduce_only")
_TYPED = (*_FIXED, "quantity", "price", "trigger")


class Ticket(msgspec.Struct, frozen=True, kw_only=True):
    """An order as it was typed."""

    side: str
    instrument: str
    quantity: str
    limit: str | None = None
    stop: str | None = None
    trail: str | None = None
    take_profit: tuple[str, ...] = ()
    stop_loss: str | None = None
    tif: str = "GTC"
    expires: str | None = None
    reduce_only: bool = False
    post_only: bool = False
    operation_id: str = ""


def number(name: str, text: str | None) -> Decimal | None:
    """Return a positive number as it was typed, None where nothing was.

    Raises:
        UsageFault: if it is not one.
    """
    if text is None:
        return None
    value = plain_decimal(text)
    if value is None or value <= 0:
        raise UsageFault(f'{name} must be a number greater than 0 (got "{cited(text)}"){_form(text)}')
    return value


def _form(text: str) -> str:
    """Say how a number is written, where one was meant and written in another way."""
    try:
        meant = Decimal(text).is_finite() and plain_decimal(text) is None
    except InvalidOperation:
        return ""
    return f"; write plain digits, at most {LONGEST} of them, such as 0.001" if meant else ""


def order_type(ticket: Ticket) -> OrderType:
    """Return the type that the named prices make of an order.

    Raises:
        UsageFault: if they do not go together.
    """
    if ticket.trail is not None and ticket.stop_loss is not None:
        return OrderType.LIMIT if ticket.limit is not None else OrderType.MARKET
    alone = ticket.take_profit if ticket.reduce_only else ()
    if len(alone) > 1:
        raise UsageFault("a reduce-only order takes one --take-profit, its own trigger; send one order a part")
    triggers = [ticket.stop, ticket.trail, alone[0] if alone else None]
    if sum(value is not None for value in triggers) > 1:
        raise UsageFault("--stop, --trail and --take-profit are different orders: name one")
    if ticket.trail is not None or alone:
        if ticket.limit is not None:
            raise UsageFault("--limit goes with --stop, not with --trail or --take-profit")
        return OrderType.TRAILING_STOP if ticket.trail is not None else OrderType.TAKE_PROFIT
    if ticket.stop is not None:
        return OrderType.STOP if ticket.limit is None else OrderType.STOP_LIMIT
    return OrderType.MARKET if ticket.limit is None else OrderType.LIMIT


def targets(texts: tuple[str, ...]) -> tuple[TakeProfit, ...]:
    """Return take profits as they were typed: ``PRICE`` or ``PRICE:FRACTION``; without fractions, equal parts of all.

    Raises:
        UsageFault: naming the one that is none.
    """
    pairs = [text.partition(":") for text in texts]
    if len({bool(colon) for _, colon, _ in pairs}) > 1:
        raise UsageFault("--take-profit: name the fraction of every part, or of none")
    found, rest = [], ONE
    for place, (price, colon, fraction) in enumerate(pairs):
        part = number("--take-profit fraction", fraction) if colon else None
        equal = (ONE / len(pairs)).quantize(Decimal("0.0001")) if place < len(pairs) - 1 else rest
        value = number("--take-profit", price)
        assert value is not None
        found.append(TakeProfit(value, part or equal))
        rest -= found[-1].fraction
    return tuple(found)


def build(ticket: Ticket) -> Order:
    """Return the order that was typed, its instrument still as typed.

    Raises:
        UsageFault: naming what is wrong.
    """
    side = {"buy": Side.BUY, "sell": Side.SELL}.get(ticket.side.lower())
    if side is None:
        raise UsageFault(f'side must be buy or sell (got "{ticket.side}")')
    quantity = number("quantity", ticket.quantity)
    assert quantity is not None
    tif = TimeInForce.__members__.get(ticket.tif.upper())
    if tif is None:
        raise UsageFault(f'--tif must be one of {", ".join(TimeInForce.__members__)} (got "{ticket.tif}")')
    if (tif is TimeInForce.GTD) != (ticket.expires is not None):
        raise UsageFault("--tif GTD and --expires go together")
    if len(ticket.operation_id) > LONGEST_OPERATION_ID:
        raise UsageFault(f"--operation-id may be {LONGEST_OPERATION_ID} characters long")
    if ticket.stop_loss is not None and ticket.reduce_only:
        raise UsageFault("--stop-loss protects what an entry opens; a reduce-only order opens nothing: use --stop")
    kind, attached = order_type(ticket), not ticket.reduce_only
    protects = ticket.stop_loss is not None
    stop = number("--stop-loss", ticket.stop_loss)
    trail = number("--trail", ticket.trail)
    alone = ticket.take_profit[0] if ticket.take_profit and not attached else None
    return Order(
        instrument=ticket.instrument,  # type: ignore[arg-type] # resolved with the engine's list at hand
        side=side,
        quantity=quantity,
        type=kind,
        price=number("--limit", ticket.limit),
        trigger=number("--stop", ticket.stop) or number("--take-profit", alone),
        trail=None if protects else trail,
        time_in_force=tif,
        post_only=ticket.post_only,
        reduce_only=ticket.reduce_only,
        expires=times.future("--expires", ticket.expires) if ticket.expires is not None else 0,
        operation_id=ticket.operation_id or str(uuid.uuid4()),
        take_profit=targets(ticket.take_profit) if attached else (),
        stop_loss=StopLoss(stop, trail) if stop is not None else None,
    )


def send(home: Home, ticket: Ticket, wait: float, as_json: bool) -> None:
    """Send an order, wait for a final state, and say what came of it.

    Raises:
        Refused: the guardian said no.
        Answered: the venue said no.
    """
    typed = build(ticket)

    async def work(client: Client) -> tuple[Outcome, OrderRecord | None]:
        order = msgspec.structs.replace(typed, instrument=resolve(ticket.instrument, client.state))
        outcome = await client.send(SubmitOrder(order, ORIGIN))
        if outcome.limit == "operation_id":
            outcome = _taken_before(client, order) or outcome
        require(outcome)
        if not outcome.orders:
            raise ClientError("the engine took the order and gave no id of it; see tradedeck orders")
        return outcome, await settle(client, outcome.orders[0], lambda record: not record.is_open, wait)

    outcome, record = talk(home, work, stream=True)
    _tell(outcome, record, as_json)


def _taken_before(client: Client, repeated: Order) -> Outcome | None:
    """Return the outcome of an instruction that is repeated: the order it made the first time; None if it was another.

    An order that was changed since is known by what no change touches.
    """
    for record in client.state.blotter.orders.values():
        order = record.order
        if order.operation_id == repeated.operation_id and record.status is not OrderStatus.DENIED:
            fixed = _FIXED if record.amended else _TYPED
            if all(getattr(repeated, name) in (None, getattr(order, name)) for name in fixed):
                return Outcome(True, (order.client_order_id,), record.status)
    return None


def change(
    home: Home, command: AmendOrder | CancelOrder, settled: Callable[[OrderRecord], bool], wait: float, as_json: bool
) -> None:
    """Amend or cancel one order, wait until that is settled, and say what came of it.

    Raises:
        Refused: the guardian said no.
        Answered: the venue said no.
        ClientError: the venue refused the change, or it came too late.
    """

    async def work(client: Client) -> tuple[Outcome, OrderRecord | None]:
        before = client.state.blotter.orders.get(command.client_order_id)
        stamp, held = before.updated if before is not None else 0, positions(client.state)
        outcome = await client.send(command)
        if not outcome.ok and (before is None or not before.is_open):
            raise ClientError(outcome.reason)
        require(outcome)
        if isinstance(command, CancelOrder) and before is not None:
            warn_of_bare([before], held)
        return outcome, await settle(
            client, command.client_order_id, lambda record: record.updated != stamp and settled(record), wait
        )

    outcome, record = talk(home, work, stream=True)
    id_ = command.client_order_id
    if record is not None and isinstance(command, AmendOrder):
        refusal = unchanged(command, record)
        if refusal:
            raise ClientError(refusal)
    _tell(outcome if outcome.orders else Outcome(True, (id_,), outcome.status), record, as_json)


def unchanged(command: AmendOrder, record: OrderRecord) -> str:
    """Return in words that an order did not take a change that has been answered; empty where it did, or may yet."""
    order = record.order
    asked = {
        "quantity": (command.quantity, order.quantity),
        "limit": (command.price, order.price),
        "stop": (command.trigger, order.trigger),
    }
    kept = {name: now for name, (wanted, now) in asked.items() if wanted is not None and wanted != now}
    if not kept or record.status not in _ANSWERED:
        return ""
    if not record.is_open:
        return f"the change came too late: {sentence(record)}"
    stays = ", ".join(f"its {name} stays {plain(now) if now is not None else 'none'}" for name, now in kept.items())
    if not record.reason and order.parent:
        return f"the change did not last: the bracket of {order.parent} says what this order is; {stays}"
    return f"{record.venue} refused the change: {record.reason or 'no reason given'}; {stays}"


def cancel_all(home: Home, instrument: str | None, wait: float, as_json: bool) -> None:
    """Cancel every open order, of one instrument or of all, and say what became of each."""

    async def work(client: Client) -> list[OrderRecord]:
        named = resolve(instrument, client.state) if instrument is not None else None
        held = positions(client.state)
        outcome = require(await client.send(CancelAll(named, ORIGIN)))
        orders = client.state.blotter.orders
        warn_of_bare([orders[id_] for id_ in outcome.orders if id_ in orders], held)
        asked = [
            id_
            for id_, record in client.state.blotter.open.items()
            if record.status is OrderStatus.PENDING_CANCEL and named in (None, record.order.instrument)
        ]  # their venue has not answered yet: they are not closed
        until = asyncio.get_running_loop().time() + wait
        found = []
        for id_ in dict.fromkeys((*outcome.orders, *asked)):
            left = until - asyncio.get_running_loop().time()
            record = await settle(client, id_, lambda record: not record.is_open, max(left, 0.0))
            if record is not None:
                found.append(record)
        return found

    records = talk(home, work, stream=True)
    if as_json:
        output.write_json({"orders": [answers.order(record) for record in records]})
        return
    for record in records:
        output.write(sentence(record))
    if not records:
        output.write("no open orders")


def positions(state: State) -> frozenset[InstrumentId]:
    """Return of what something is held."""
    return frozenset(one.instrument for one in state.ledger.positions.values() if one.quantity)


def warn_of_bare(cancelled: Iterable[OrderRecord], held: Collection[InstrumentId]) -> None:
    """Say whose stop goes: a stop that is cancelled by hand is not placed again."""
    going = {
        record.order.instrument: None
        for record in cancelled
        if record.order.reduce_only and record.order.type in STOPS and holding_of(record.order.instrument) in held
    }
    for instrument in going:
        output.say(f"the position in {symbol_of(instrument)} loses this stop, it is not placed again")


def wake_by(client: Client, changed: asyncio.Event) -> None:
    """Set an event whenever the client's picture changes or its session ends."""

    def wake(_: Message | str) -> None:
        changed.set()

    client.on_message, client.on_lost, client.on_snapshot = wake, wake, changed.set


async def settle(
    client: Client, id_: ClientOrderId, settled: Callable[[OrderRecord], bool], wait: float
) -> OrderRecord | None:
    """Return an order as it stands when it is settled or time is up; None if the engine does not show it."""
    changed = asyncio.Event()
    wake_by(client, changed)
    loop = asyncio.get_running_loop()
    until = loop.time() + wait
    while True:
        record = client.state.blotter.orders.get(id_)
        left = until - loop.time()
        if client.lost or left <= 0 or (record is not None and settled(record)):
            return record
        changed.clear()
        try:
            await asyncio.wait_for(changed.wait(), left)
        except TimeoutError:
            continue


def _tell(outcome: Outcome, record: OrderRecord | None, as_json: bool) -> None:
    answer: dict[str, Any] = (
        answers.order(record) if record else {"client_order_id": outcome.orders[0], "status": outcome.status}
    )
    if record is not None and record.status is OrderStatus.DENIED:
        raise Refused(record.reason, answer)
    if record is not None and record.status is OrderStatus.REJECTED:
        raise Answered(f"{record.venue} rejected the order: {record.reason}", answer)
    if as_json:
        output.write_json(answer)
    elif record is not None:
        output.write(sentence(record))
    else:
        output.write(f"{answer['client_order_id']} {answer['status']}")


def sentence(record: OrderRecord) -> str:
    """Say of an order in a line how it stands."""
    order = record.order
    average = f" at {plain(short(record.average_price))}" if record.average_price is not None else ""
    reason = f" ({record.reason})" if record.reason else ""
    trigger = record.stands_at
    at = f" limit {plain(order.price)}" if order.price is not None else ""
    at += f" stop {plain(trigger)}" if trigger is not None else ""
    return (
        f"{order.client_order_id} {record.status}: {order.side} {plain(order.quantity)} {order.instrument}{at}, "
        f"filled {plain(record.filled)}{average}{reason}"
    )
