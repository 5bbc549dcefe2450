"""What is known of alerts: rules, the newest alerts, what is muted. A part of the state; changed by events alone."""

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec.structs import replace

from core.domain import alerts as a
from core.domain.identifiers import InstrumentId
from core.domain.message import Nanoseconds

KEPT = 200
"""Alerts kept in the state; older ones stand in the journal."""


class AlertImage(msgspec.Struct, frozen=True, array_like=True):
    """Rules, alerts and mutes as one value, for checkpoints and a client's first picture."""

    rules: tuple[a.AlertRule, ...] = ()
    alerts: tuple[a.Alert, ...] = ()
    muted: dict[a.AlertKind, Nanoseconds] = {}
    targets: tuple[a.TargetStatus, ...] = ()
    made: int = 0
    numbered: int = 0


Priced = tuple[float, bool, str]
"""(bound, above, rule id)."""


class AlertBook:
    """Hold what was asked for and what was told."""

    def __init__(self) -> None:
        self.rules: dict[str, a.AlertRule] = {}
        self.alerts: dict[int, a.Alert] = {}
        """By number, the oldest first."""
        self.latest: dict[str, int] = {}
        """The newest alert of each key."""
        self.muted: dict[a.AlertKind, Nanoseconds] = {}
        self.targets: dict[str, a.TargetStatus] = {}
        self.priced: dict[InstrumentId, tuple[Priced, ...]] = {}
        """Price rules by instrument: all that a tick has to look at."""
        self.made = 0
        """Rules made so far; the next id counts on."""
        self.numbered = 0
        """The highest number of an alert."""

    # --- events -----------------------------------------------------------------------------------------------------

    def handlers(self) -> dict[type, Callable[[Any], None]]:
        """Return what takes each message that concerns alerts."""
        return {
            a.AlertRuleSet: self.rule_set,
            a.AlertRuleRemoved: self.rule_removed,
            a.AlertRaised: self.raised,
            a.AlertCleared: self.cleared,
            a.AlertAcknowledged: self.acknowledged,
            a.AlertsMuted: self.mute,
            a.TargetStatus: self.target,
        }

    def rule_set(self, event: a.AlertRuleSet) -> None:
        """Take a rule."""
        self.made += event.rule.id not in self.rules
        self.rules[event.rule.id] = event.rule
        self._index()

    def rule_removed(self, event: a.AlertRuleRemoved) -> None:
        """Forget a rule."""
        self.rules.pop(event.id, None)
        self._index()

    def raised(self, event: a.AlertRaised) -> None:
        """Take a new alert, or the repeat of one; a rule that speaks once is spent."""
        before = self.alerts.get(event.number)
        if before is None:
            self.alerts[event.number] = a.Alert(
                event.number,
                event.key,
                event.kind,
                event.severity,
                event.instrument,
                event.text,
                event.lasts,
                event.ts,
                event.ts,
                event.times,
                muted=event.muted,
            )
            self.latest[event.key] = event.number
            self.numbered = max(self.numbered, event.number)
            self._bound()
        else:
            self.alerts[event.number] = replace(
                before,
                severity=event.severity,
                text=event.text,
                last=event.ts,
                count=before.count + event.times,
                cleared=0,
                muted=event.muted,
            )
        rule = self.rules.get(event.rule)
        if rule is not None and not rule.again:
            del self.rules[event.rule]
            self._index()

    def cleared(self, event: a.AlertCleared) -> None:
        """Note that the cause has gone."""
        alert = self.alerts.get(event.number)
        if alert is not None:
            self.alerts[event.number] = replace(alert, cleared=event.ts)

    def acknowledged(self, event: a.AlertAcknowledged) -> None:
        """Note who saw them."""
        for number in event.numbers:
            alert = self.alerts.get(number)
            if alert is not None and not alert.acknowledged:
                self.alerts[number] = replace(alert, acknowledged=event.ts, by=event.who)

    def mute(self, event: a.AlertsMuted) -> None:
        """Silence a kind, or let it speak; what waits of it needs no answer any more."""
        if event.until <= event.ts:
            self.muted.pop(event.kind, None)
            return
        self.muted[event.kind] = event.until
        for number, alert in self.alerts.items():
            if alert.kind is event.kind and alert.waits:
                self.alerts[number] = replace(alert, muted=True)

    def target(self, status: a.TargetStatus) -> None:
        """Take how a delivery target stands."""
        self.targets[status.name] = status

    # --- views ------------------------------------------------------------------------------------------------------

    def waiting(self) -> list[a.Alert]:
        """Return the alerts that nobody has acknowledged, the newest first."""
        return [alert for alert in reversed(self.alerts.values()) if alert.waits]

    def is_muted(self, kind: a.AlertKind, now: Nanoseconds) -> bool:
        """Tell whether a kind is silent."""
        return now < self.muted.get(kind, 0)

    def of(self, key: str) -> a.Alert | None:
        """Return the newest alert of a key."""
        return self.alerts.get(self.latest.get(key, 0))

    # --- inside -----------------------------------------------------------------------------------------------------

    def _bound(self) -> None:
        """Drop the oldest: of those that need nobody, where there is one."""
        if len(self.alerts) <= KEPT:
            return
        done = (number for number, alert in self.alerts.items() if not alert.waits)
        alert = self.alerts.pop(next(done, next(iter(self.alerts))))
        if self.latest.get(alert.key) == alert.number:
            del self.latest[alert.key]

    def _index(self) -> None:
        priced: dict[InstrumentId, tuple[Priced, ...]] = {}
        for rule in self.rules.values():
            if rule.kind is a.AlertKind.PRICE:
                priced[rule.instrument] = (
                    *priced.get(rule.instrument, ()),
                    (float(rule.bound), rule.above, rule.id),
                )
        self.priced = priced

    # --- images -----------------------------------------------------------------------------------------------------

    def image(self, *, client: bool = False) -> AlertImage:
        """Return everything as one value; how targets stand is for clients alone, a restart finds out anew."""
        return AlertImage(
            tuple(self.rules.values()),
            tuple(self.alerts.values()),
            dict(self.muted),
            tuple(self.targets.values()) if client else (),
            self.made,
            self.numbered,
        )

    def restore(self, image: AlertImage) -> None:
        """Take over what an image holds."""
        self.rules = {rule.id: rule for rule in image.rules}
        self.alerts = {alert.number: alert for alert in image.alerts}
        self.latest = {alert.key: alert.number for alert in image.alerts}
        self.muted = dict(image.muted)
        self.targets = {status.name: status for status in image.targets}
        self.made, self.numbered = image.made, image.numbered
        self._index()
