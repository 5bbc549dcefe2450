"""Say exactly what a key would send, before it is sent: plans made from the replica, pure."""

from collections.abc import Collection, Sequence

import msgspec

from core.domain import commands as c
from core.domain.alerts import AcknowledgeAlert, AlertRule, MuteAlerts, RemoveAlert, SetAlert
from core.domain.approval import TradingState
from core.domain.identifiers import ClientOrderId, InstrumentId, holding_of, symbol_of
from core.domain.message import Command
from core.domain.order import OrderRecord, OrderType
from core.session.protocol import ControlChanged
from core.state.state import State
from tui.actions import Kind
from tui.format import number, signed
from tui.views import STOPS, open_positions, order_price, order_words

ORIGIN = "terminal"


class Plan(msgspec.Struct, frozen=True):
    """What a key would send: a title, the lines of the dialog, the commands, and the target that becomes busy."""

    title: str
    lines: tuple[str, ...]
    commands: tuple[Command, ...]
    kind: Kind = Kind.REDUCES
    target: str = ""
    closes: tuple[InstrumentId, ...] = ()
    """The instruments that are flat once it is carried out."""
    disarms: bool = False
    """Nothing that adds risk is to be sent after it: the terminal that carries it out is disarmed."""


class Nothing(Exception):
    """There is nothing to send; the text says why."""


def _words(state: State, records: Sequence[OrderRecord]) -> tuple[str, ...]:
    return tuple(order_words(record, state.markets.get(record.order.instrument), state.brackets) for record in records)


def _bared(state: State, records: Sequence[OrderRecord]) -> tuple[str, ...]:
    """Say what stands without its stop once these orders are cancelled: a cancelled stop is not placed again."""
    held = {position.instrument for position, _ in open_positions(state)}
    kinds = (*STOPS, OrderType.STOP_LIMIT)
    stops = {r.order.instrument: None for r in records if r.order.reduce_only and r.order.type in kinds}
    return tuple(f"the position in {symbol_of(id_)} then loses this stop" for id_ in stops if holding_of(id_) in held)


def cancel(state: State, ids: Sequence[ClientOrderId]) -> Plan:
    """Plan to cancel the named orders.

    Raises:
        Nothing: none of them is open.
    """
    records = [state.blotter.open[id_] for id_ in ids if id_ in state.blotter.open]
    if not records:
        raise Nothing(
            "no open order is chosen: {focus.next} goes to the orders, or put the ladder's cursor on one of yours"
        )
    commands = tuple(c.CancelOrder(record.order.client_order_id, ORIGIN) for record in records)
    title = "Cancel this order" if len(records) == 1 else f"Cancel these {len(records)} orders"
    lines = (*_words(state, records), *_bared(state, records))
    return Plan(title, lines, commands, target="cancel " + " ".join(ids))


def cancel_all(state: State, instrument: InstrumentId | None) -> Plan:
    """Plan to cancel every order, of one instrument or of all.

    Raises:
        Nothing: none is open.
    """
    records = list(state.blotter.open.values()) if instrument is None else state.blotter.of(instrument)
    where = "" if instrument is None else f" in {symbol_of(instrument)}"
    if not records:
        raise Nothing(f"no open orders{where or ' anywhere'}")
    title = f"Cancel {'the only open order' if len(records) == 1 else f'all {len(records)} open orders'}{where}"
    lines = (*_words(state, records), *_bared(state, records))
    return Plan(title, lines, (c.CancelAll(instrument, ORIGIN),), target=f"cancel {instrument}")


def flatten(state: State, instrument: InstrumentId | None) -> Plan:
    """Plan to close one position or all, cancelling what rests there.

    Raises:
        Nothing: there is neither a position nor an order.
    """
    held = {position.instrument for position, _ in open_positions(state)}
    if instrument is not None:
        market = state.markets.get(instrument)
        held &= {market.instrument.holding} if market is not None else set()
    lines, closes = [], set[InstrumentId]()
    for position, market in open_positions(state):
        if position.instrument in held:
            closes.add(market.instrument.id)
            lines.append(
                f"{'SELL' if position.quantity > 0 else 'BUY'} "
                f"{number(abs(position.quantity), market.instrument.size_precision)} "
                f"{symbol_of(market.instrument.id)} MARKET  reduce-only  "
                f"about {number(abs(state.ledger.notional(position)))} {state.currency}"
            )
    records = list(state.blotter.open.values()) if instrument is None else state.blotter.of(instrument)
    lines += [f"cancel {words}" for words in _words(state, records)]
    where = "everything" if instrument is None else symbol_of(instrument)
    if not lines:
        raise Nothing(f"{'nothing is open' if instrument is None else where + ' is flat and has no orders'}")
    closes |= {record.order.instrument for record in records}
    commands, target = (c.Flatten(instrument, ORIGIN),), f"flatten {instrument}"
    return Plan(f"Flatten {where}", tuple(lines), commands, target=target, closes=tuple(sorted(closes)))


def halt(state: State) -> Plan:
    """Plan to halt trading.

    Raises:
        Nothing: trading is halted already.
    """
    if state.trading_state is TradingState.HALTED:
        raise Nothing("trading is halted already; resume by typing RESUME ({resume})")
    held = [
        f"{signed(position.quantity, market.instrument.size_precision)} {symbol_of(market.instrument.id)} stays open"
        for position, market in open_positions(state)
    ]
    lines = ("nothing but cancels and exits passes until RESUME is typed", *held)
    command = c.SetTradingState(TradingState.HALTED, "halted by hand", "", "", ORIGIN)
    return Plan("HALT trading", lines, (command,), target="state", disarms=True)


def resume(state: State) -> Plan:
    """Plan to resume trading after a halt.

    Raises:
        Nothing: trading is active.
    """
    if state.trading_state is TradingState.ACTIVE:
        raise Nothing("trading is ACTIVE already")
    why = state.state_reason or "no reason given"
    lines = (f"{state.trading_state.value} → ACTIVE", f"it stands so because: {why}")
    command = c.SetTradingState(TradingState.ACTIVE, "resumed by hand", "RESUME", "", ORIGIN)
    return Plan("Resume trading", lines, (command,), Kind.ADDS, "state")


def take_control(now: ControlChanged | None) -> Plan:
    """Plan to take control from another terminal.

    Raises:
        Nothing: this one has it, or there is no session.
    """
    if now is None:
        raise Nothing("not connected: nobody can be asked for control")
    if now.mine:
        raise Nothing("this terminal holds control already")
    lines = (f"{now.holder} holds control: it is told, and disarmed",) if now.holder else ("no terminal holds control",)
    return Plan("Take control", (*lines, "cancel, flatten and halt need no control"), (), Kind.SAFE, "control")


def move_orders(state: State, instrument: InstrumentId, sources: Collection[float], target: float) -> Plan:
    """Plan to move the own orders at some prices to another: a limit by its price, a stop by its trigger.

    Raises:
        Nothing: no order waits there any more, or one that follows the price by itself.
    """
    market = state.markets.get(instrument)
    records = orders_at(state, instrument, sources)
    if market is None or not records:
        raise Nothing("no order of yours stands at that price any more: {ladder.own} goes to the next one")
    if any(record.order.type is OrderType.TRAILING_STOP for record in records):
        raise Nothing("a trailing stop follows the price by itself: {cancel} cancels it, then set another")
    price = market.instrument.quantise_price(type(market.instrument.tick_size)(repr(target)))
    lines = tuple(f"{words}  → {number(price, market.instrument.price_precision)}" for words in _words(state, records))
    commands = tuple(
        c.AmendOrder(record.order.client_order_id, price=price, origin=ORIGIN)
        if record.order.price is not None
        else c.AmendOrder(record.order.client_order_id, trigger=price, origin=ORIGIN)
        for record in records
    )
    return Plan("Move this order" if len(records) == 1 else "Move these orders", lines, commands, Kind.ADDS, "move")


def orders_at(state: State, instrument: InstrumentId, prices: Collection[float]) -> list[OrderRecord]:
    """List the own orders that wait at some prices."""
    waiting = ((record, order_price(record, state.brackets)) for record in state.blotter.of(instrument))
    return [record for record, price in waiting if price is not None and float(price) in prices]


def acknowledge(number: int) -> Plan:
    """Plan to say that an alert was seen; nothing to confirm, for nothing is lost by it."""
    return Plan(f"acknowledge alert {number}", (), (AcknowledgeAlert(number, ORIGIN),), Kind.SAFE, f"alert {number}")


def mute(state: State, number: int, minutes: float, now: int) -> Plan:
    """Plan to silence the kind of an alert for a while, or to let it speak again where it is silent; ``now`` in ns.

    Raises:
        Nothing: the alert is not kept any more.
    """
    alert = state.alerts.alerts.get(number)
    if alert is None:
        raise Nothing("that alert is gone")
    kind = alert.kind
    if state.alerts.is_muted(kind, now):
        return Plan(f"let {kind} alerts speak", (), (MuteAlerts(kind, 0, ORIGIN),), Kind.SAFE, f"mute {kind}")
    duration = int(minutes * 60e9)
    title = f"mute {kind} alerts for {minutes:g} min"
    return Plan(title, (), (MuteAlerts(kind, duration, ORIGIN),), Kind.SAFE, f"mute {kind}")


def rule_words(rule: AlertRule) -> str:
    """Write what a rule waits for in one line."""
    about = symbol_of(rule.instrument) if rule.instrument else "account"
    side = "above" if rule.above else "below"
    return f"{about} {rule.kind} {side} {rule.bound:f}{', again and again' if rule.again else ''}"


def set_alert(rule: AlertRule) -> Plan:
    """Plan to set a rule; nothing to confirm, for the dialog has shown it."""
    title = f"alert {rule_words(rule)}"
    return Plan(title, (), (SetAlert(rule, ORIGIN),), Kind.SAFE, f"rule {rule.id or rule_words(rule)}")


def remove_alert(state: State, rule_id: str) -> Plan:
    """Plan to take a rule away.

    Raises:
        Nothing: it is spent, or taken away already.
    """
    rule = state.alerts.rules.get(rule_id)
    if rule is None:
        raise Nothing("no rule is chosen: {focus.next} goes to the rules")
    lines = (f"{rule.id}  {rule_words(rule)}", *((rule.note,) if rule.note else ()))
    return Plan("Remove this alert rule", lines, (RemoveAlert(rule.id, ORIGIN),), Kind.SAFE, f"rule {rule.id}")
