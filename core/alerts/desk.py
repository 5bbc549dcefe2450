"""What a trader does with alerts: sets and removes rules, acknowledges, mutes."""

from collections.abc import Callable

from msgspec.structs import replace

from core.alerts.conditions import SECOND_NS, amount, beyond, value_of
from core.domain import alerts as a
from core.domain import events as e
from core.domain.identifiers import ClientOrderId
from core.outbox import Outbox
from core.state.state import State

MAX_RULES = 500
MAX_NOTE = 200


class AlertDesk:
    """Carry out the commands; ``forget`` is told of each rule that was changed or taken away."""

    def __init__(self, outbox: Outbox, forget: Callable[[str], None]) -> None:
        self._outbox, self._forget = outbox, forget

    def set_rule(self, command: a.SetAlert) -> None:
        """Take a trader's rule, or say what is wrong with it."""
        rule, state = command.rule, self._outbox.state
        wrong = flaw(state, rule)
        if wrong:
            self._refuse(wrong)
            return
        if not rule.id:
            rule = replace(rule, id=f"a{state.alerts.made + 1}")
        self._forget(rule.id)
        self._outbox.record(a.AlertRuleSet(rule, command.origin, state.now))

    def remove_rule(self, command: a.RemoveAlert) -> None:
        """Take a rule away."""
        if command.id not in self._outbox.state.alerts.rules:
            self._refuse(f"alert rule {command.id} is not known; tradedeck alerts lists them")
            return
        self._forget(command.id)
        self._outbox.record(a.AlertRuleRemoved(command.id, command.origin, self._outbox.state.now))

    def acknowledge(self, command: a.AcknowledgeAlert) -> None:
        """Note that alerts were seen; one that was seen before stays as it is."""
        book = self._outbox.state.alerts
        if command.number and command.number not in book.alerts:
            self._refuse(f"alert {command.number} is not known; tradedeck alerts lists them")
            return
        chosen = [book.alerts[command.number]] if command.number else book.waiting()
        numbers = tuple(alert.number for alert in chosen if not alert.acknowledged)
        if numbers:
            self._outbox.record(a.AlertAcknowledged(numbers, command.origin, self._outbox.state.now))

    def mute(self, command: a.MuteAlerts) -> None:
        """Silence a kind for a while, or let it speak."""
        now = self._outbox.state.now
        if command.duration < 0:
            self._refuse(f"a mute lasts 0 s or longer (got {command.duration / SECOND_NS:g} s)")
            return
        self._outbox.record(a.AlertsMuted(command.kind, now + command.duration, command.origin, now))

    def _refuse(self, reason: str) -> None:
        self._outbox.put(e.CommandRefused("alert", ClientOrderId(""), reason, self._outbox.state.now))


def flaw(state: State, rule: a.AlertRule) -> str:
    """Return why a rule cannot stand, empty where it can."""
    if rule.kind not in a.RULE_KINDS:
        return f"a rule is for price, profit or drawdown (got {rule.kind}); other kinds are set under [alerts]"
    if not rule.bound.is_finite() or (rule.kind is not a.AlertKind.PROFIT and rule.bound <= 0):
        return f"the bound must be a number greater than 0 (got {rule.bound})"
    if len(rule.note) > MAX_NOTE or not rule.note.isprintable():
        return f"a note is one line of at most {MAX_NOTE} characters (got {len(rule.note)})"
    return _misplaced(state, rule) or _met_already(state, rule)


def _misplaced(state: State, rule: a.AlertRule) -> str:
    if rule.id and rule.id not in state.alerts.rules:
        return f"alert rule {rule.id} is not known; tradedeck alerts lists them"
    if not rule.id and len(state.alerts.rules) >= MAX_RULES:
        return f"{MAX_RULES} alert rules stand already; remove one first"
    if rule.kind is a.AlertKind.DRAWDOWN and rule.instrument:
        return "drawdown is the account's: leave the instrument out"
    if rule.kind is a.AlertKind.PRICE and not rule.instrument:
        return "a price rule needs an instrument; tradedeck instruments lists what is"
    if rule.instrument and rule.instrument not in state.markets:
        return f"instrument {rule.instrument} is not known here; tradedeck instruments lists what is"
    return ""


def _met_already(state: State, rule: a.AlertRule) -> str:
    """Refuse what would speak at once: the trader meant the other side, or sees it already."""
    value = value_of(state, rule)
    if value is None or not beyond(value, float(rule.bound), rule.above):
        return ""
    side = "above" if rule.above else "below"
    return f"the {rule.kind} is {amount(rule, value)}, {side} {rule.bound.normalize():f} already; choose another bound"
