"""Commands: what a trader, a script, a strategy or the guardian wants."""

from decimal import Decimal

from core.domain.approval import TradingState
from core.domain.identifiers import ClientOrderId, InstrumentId, StrategyId
from core.domain.message import Command, Nanoseconds
from core.domain.order import Order


class SubmitOrder(Command, frozen=True):
    """Send an order. ``order.operation_id`` makes it safe to repeat: the same id is never sent twice."""

    order: Order
    origin: str = ""
    ts: Nanoseconds = 0


class AmendOrder(Command, frozen=True):
    """Change a working order; None leaves a value as it is."""

    client_order_id: ClientOrderId
    quantity: Decimal | None = None
    price: Decimal | None = None
    trigger: Decimal | None = None
    origin: str = ""
    ts: Nanoseconds = 0


class CancelOrder(Command, frozen=True):
    """Cancel one order."""

    client_order_id: ClientOrderId
    origin: str = ""
    ts: Nanoseconds = 0


class CancelAll(Command, frozen=True):
    """Cancel every open order, of one instrument or of all (None)."""

    instrument: InstrumentId | None = None
    origin: str = ""
    ts: Nanoseconds = 0


class Flatten(Command, frozen=True):
    """Cancel what would open and close the position by reduce-only market orders; of one instrument or all (None)."""

    instrument: InstrumentId | None = None
    origin: str = ""
    ts: Nanoseconds = 0


class SetTradingState(Command, frozen=True):
    """Ask for a trading state; loosening needs ``word`` to be RESUME."""

    state: TradingState
    reason: str = ""
    word: str = ""
    who: str = ""
    origin: str = ""
    ts: Nanoseconds = 0


class LoosenLimits(Command, frozen=True):
    """Let looser settings of the guardian, as text by key, be in force from the next start; ``word`` is LOOSEN."""

    settings: dict[str, str]
    word: str = ""
    who: str = ""
    origin: str = ""
    ts: Nanoseconds = 0


class StopEngine(Command, frozen=True):
    """Ask the engine to end; refused with open risk unless ``leave`` is set."""

    leave: bool = False
    origin: str = ""
    ts: Nanoseconds = 0


class SaveStrategyState(Command, frozen=True):
    """Have what a strategy wants to know again after a restart journalled; the newest counts."""

    strategy_id: StrategyId
    payload: bytes
    ts: Nanoseconds = 0
