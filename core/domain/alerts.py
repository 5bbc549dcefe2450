"""Alerts: what a trader wants to be told, what was told, and the messages that carry both."""

from decimal import Decimal
from enum import IntEnum, StrEnum

import msgspec

from core.domain.identifiers import InstrumentId
from core.domain.message import Command, Data, Event, Nanoseconds


class AlertKind(StrEnum):
    """What an alert is about; kinds are muted and routed as a whole."""

    PRICE = "price"
    PROFIT = "profit"
    DRAWDOWN = "drawdown"
    LIMIT = "limit"
    FEED = "feed"
    GAP = "gap"
    FILL = "fill"
    REFUSED = "refused"
    STATE = "state"
    EXIT = "exit"
    STORE = "store"
    DIFFERENCE = "difference"
    """Our record and a venue's differ, and wait for the trader's word."""
    DELIVERY = "delivery"
    """An alert could not be handed to a target outside."""
    SENTINEL = "sentinel"
    STRATEGY = "strategy"
    """A config was refused, a strategy cannot trade, or it trades otherwise than its study would."""


class Severity(IntEnum):
    """How soon a human should look."""

    INFO = 1
    WARNING = 2
    CRITICAL = 3


RULE_KINDS = frozenset({AlertKind.PRICE, AlertKind.PROFIT, AlertKind.DRAWDOWN})
"""What a trader may set a rule for; the other kinds come from the settings."""


class AlertRule(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """What a trader asked to be told.

    PRICE: the instrument's last price. PROFIT: the open profit of the instrument's position, or the day's profit where
    the instrument is empty, in the reporting currency. DRAWDOWN: the fraction lost from the peak. With ``again`` the
    rule stays after it has spoken and speaks anew once the value has been back; otherwise it is spent.
    """

    kind: AlertKind
    instrument: InstrumentId
    above: bool
    bound: Decimal
    again: bool = False
    note: str = ""
    id: str = ""
    """Made by the engine; empty in a command that sets a new rule."""


class Alert(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One alert as it stands; ``acknowledged`` and ``cleared`` are 0 until it was seen and its cause has gone."""

    number: int
    key: str
    """What is told once: a repeat of the same key is counted in the same alert until it is acknowledged."""
    kind: AlertKind
    severity: Severity
    instrument: InstrumentId
    text: str
    lasts: bool
    """Its cause stands until it is cleared; otherwise it is something that happened."""
    raised: Nanoseconds
    last: Nanoseconds
    count: int = 1
    acknowledged: Nanoseconds = 0
    by: str = ""
    cleared: Nanoseconds = 0
    muted: bool = False

    @property
    def waits(self) -> bool:
        """Tell whether somebody should still look at it."""
        return not self.acknowledged and not self.muted


# --- commands ---------------------------------------------------------------------------------------------------------


class SetAlert(Command, frozen=True):
    """Add a rule, or put another in the place of the one with its id."""

    rule: AlertRule
    origin: str = ""
    ts: Nanoseconds = 0


class RemoveAlert(Command, frozen=True):
    """Take a rule away."""

    id: str
    origin: str = ""
    ts: Nanoseconds = 0


class AcknowledgeAlert(Command, frozen=True):
    """Say that an alert was seen; number 0 is all that wait."""

    number: int = 0
    origin: str = ""
    ts: Nanoseconds = 0


class MuteAlerts(Command, frozen=True):
    """Keep a kind of alert silent for so long; 0 lets it speak again. Muted alerts stand in the history alone."""

    kind: AlertKind
    duration: Nanoseconds = 0
    origin: str = ""
    ts: Nanoseconds = 0


# --- events -----------------------------------------------------------------------------------------------------------


class AlertRuleSet(Event, frozen=True):
    """A rule stands from now on."""

    rule: AlertRule
    origin: str
    ts: Nanoseconds


class AlertRuleRemoved(Event, frozen=True):
    """A rule stands no more."""

    id: str
    origin: str
    ts: Nanoseconds


class AlertRaised(Event, frozen=True):
    """Something a trader should know. ``times`` tells how often since the last telling; ``rule`` is the rule, if any.

    The number of an alert that still waits makes this a repeat of it.
    """

    number: int
    key: str
    kind: AlertKind
    severity: Severity
    instrument: InstrumentId
    text: str
    rule: str
    lasts: bool
    times: int
    muted: bool
    ts: Nanoseconds


class AlertCleared(Event, frozen=True):
    """The cause of an alert has gone."""

    number: int
    ts: Nanoseconds


class AlertAcknowledged(Event, frozen=True):
    """Somebody saw these alerts."""

    numbers: tuple[int, ...]
    who: str
    ts: Nanoseconds


class AlertsMuted(Event, frozen=True):
    """A kind of alert is silent until then; not in the future lets it speak."""

    kind: AlertKind
    until: Nanoseconds
    who: str
    ts: Nanoseconds


# --- data -------------------------------------------------------------------------------------------------------------


class TargetStatus(Data, frozen=True):
    """How delivery to one target outside stands; ``trouble`` is empty while it works."""

    name: str
    trouble: str
    waiting: int
    sent: int
    lost: int
    """Alerts given up: too old, or pushed out of a full queue."""
    ts: Nanoseconds
