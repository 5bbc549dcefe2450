"""Events of the guardian's watch: what it did by itself, and what it must not forget."""

from decimal import Decimal

from core.domain.events import SettingChange
from core.domain.identifiers import ClientOrderId, InstrumentId
from core.domain.message import Event, Nanoseconds
from core.domain.order import Side


class ExitEscalated(Event, frozen=True):
    """An exit of the guardian's has not done within its time; it goes on, and a human is needed."""

    instrument: InstrumentId
    reason: str
    ts: Nanoseconds


class GuardianActed(Event, frozen=True):
    """A rule of the watch acted by itself: what was seen, its bound, and file:line of the setting.

    ``act`` is exit, reduce, halt, hold, deny or place; ``instrument`` is empty where the whole account is meant.
    """

    rule: str
    act: str
    instrument: InstrumentId
    value: str
    bound: str
    setting: str
    reason: str
    ts: Nanoseconds


class DrawdownStepped(Event, frozen=True):
    """A step of the drawdown ladder is in force (0: none): at most ``factor`` times ``base`` may be held, gross.

    ``base`` is what was held when the first step was entered (reporting currency).
    """

    step: int
    factor: Decimal
    base: Decimal
    ts: Nanoseconds


class LossAccepted(Event, frozen=True):
    """A human let trading go on behind a loss: the day's loss and the drawdown count from this equity."""

    equity: Decimal
    who: str
    ts: Nanoseconds


class ProtectionChanged(Event, frozen=True):
    """A position has no stop that its venue confirms, and why; an empty ``missing`` says that it has again."""

    instrument: InstrumentId
    missing: str
    ts: Nanoseconds


class BracketBegun(Event, frozen=True):
    """The guardian protects a position that nobody protected, as a bracket of its own with a fixed stop.

    Or it closes what a stop by hand covers: under that one's id, its part is known until the last of it is closed.
    """

    client_order_id: ClientOrderId
    instrument: InstrumentId
    side: Side
    quantity: Decimal
    trigger: Decimal
    ts: Nanoseconds


class LooserLimitsHeldBack(Event, frozen=True):
    """The settings that the engine started with loosen limits without the typed word: not in force. Empty: none do."""

    changes: tuple[SettingChange, ...]
    ts: Nanoseconds
