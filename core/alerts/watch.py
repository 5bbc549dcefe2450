"""When an alert is raised: with the next timer where something happened, later where it must last, never in a storm."""

import structlog

from core.alerts import words
from core.alerts.conditions import PRICE_EASE, SECOND_NS, Conditions, beyond, blind, eased, rule_met
from core.alerts.words import Finding
from core.config.settings import AlertSettings
from core.domain import alerts as a
from core.domain.identifiers import InstrumentId
from core.domain.market import FeedReport
from core.domain.message import Nanoseconds
from core.guardian.guardian import Guardian
from core.outbox import Effect, Outbox

log = structlog.get_logger()
LOOK_NS = SECOND_NS
"""How often lasting causes are judged."""
BURST = 20
"""New alerts of one kind within the repeat window; what comes beyond is counted in one alert for all of it."""
MOST_LATER = 1000
"""What waits for the next timer at most; where none comes, memory stays flat all the same."""
_AT_ONCE = frozenset({a.AlertKind.STORE, a.AlertKind.FEED, a.AlertKind.SENTINEL})
"""Kinds that need no second look: feeds have been given their time already."""
_VALUED = frozenset({a.AlertKind.PROFIT, a.AlertKind.DRAWDOWN, a.AlertKind.LIMIT})
"""Kinds that nothing can be said of while the account cannot be valued."""
_BY_EVENT = frozenset({a.AlertKind.STATE, a.AlertKind.EXIT, a.AlertKind.STRATEGY})
"""Kinds that an event clears, and no look."""


class Signal:
    """Remember one key: whether its cause stands, and what was not told since the last telling."""

    __slots__ = ("bad_since", "good_since", "kind", "missed", "newest", "on", "parts", "quiet_until", "severity")

    def __init__(self, kind: a.AlertKind, *, on: bool = False) -> None:
        self.kind, self.on = kind, on
        self.bad_since: Nanoseconds = 0
        self.good_since: Nanoseconds = 0
        self.quiet_until: Nanoseconds = 0
        self.missed = 0
        self.newest: Finding | None = None
        self.parts: frozenset[str] = frozenset()
        self.severity = a.Severity.INFO


class AlertWatch:
    """Raise, repeat and clear alerts. Settings of None leave the trader's rules alone."""

    def __init__(self, outbox: Outbox, guardian: Guardian, settings: AlertSettings | None) -> None:
        self._outbox = outbox
        self._conditions = Conditions(settings, guardian)
        self._built_in = settings is not None
        settings = settings or AlertSettings(fills=False, refusals=False, gaps=False)
        self._described = words.chosen(settings) if self._built_in else {}
        self.wanted = frozenset({*self._described, FeedReport} if settings.gaps else self._described)
        """The kinds of effects that ``seen`` notes."""
        self._gaps: dict[InstrumentId, int] | None = {} if settings.gaps else None
        self._repeat_ns = int(settings.repeat_s * SECOND_NS)
        self._clear_ns = int(settings.clear_after_s * SECOND_NS)
        self._signals: dict[str, Signal] = {}
        self._fresh: dict[a.AlertKind, int] = {}
        self._window_ends: Nanoseconds = 0
        self._looked: Nanoseconds = 0
        self._later: list[Effect] = []
        """What was decided since the last timer."""

    # --- what happened ----------------------------------------------------------------------------------------------

    def seen(self, effects: list[Effect]) -> None:
        """Note what the engine decided; the next timer puts it into words: no order and no exit waits for them."""
        for effect in effects:
            if type(effect) in self.wanted:
                self._later.append(effect)
        if len(self._later) > MOST_LATER:
            self._judge()

    def _judge(self) -> None:
        effects, self._later = self._later, []
        for effect in effects:
            try:
                finding = self._finding(effect)
                if finding is not None:
                    self._happened(finding)
            except Exception:  # task boundary: one alert that fails is none that hides the others
                log.exception("alert not raised", kind=type(effect).__name__)

    def _finding(self, effect: Effect) -> Finding | None:
        describe = self._described.get(type(effect))  # type: ignore[arg-type]
        if describe is not None:
            return describe(self._outbox.state, effect)
        if isinstance(effect, FeedReport):
            return self._gap(effect)
        return None

    def _gap(self, report: FeedReport) -> Finding | None:
        if self._gaps is None:
            return None
        seen = self._gaps.get(report.instrument, 0)
        self._gaps[report.instrument] = report.gaps
        return words.gap(report.instrument, report.gaps, seen) if report.gaps > seen else None

    def _happened(self, finding: Finding) -> None:
        signal = self._signal(finding)
        if finding.over:
            self._gone(finding.key, signal)
            return
        signal.on = finding.lasts
        self._tell(finding, signal)

    def price(self, instrument: InstrumentId, price: float) -> None:
        """Hold a print against the price rules of its instrument."""
        try:
            book = self._outbox.state.alerts
            for bound, above, id_ in book.priced[instrument]:
                key = f"rule:{id_}"
                signal = self._signals.get(key)
                if signal is not None and signal.on:
                    if not beyond(price, eased(bound, above, PRICE_EASE), above):
                        self._gone(key, signal)
                elif beyond(price, bound, above):
                    self._happened(rule_met(book.rules[id_], price))
        except Exception:  # task boundary: no alert may stop the tick that met it
            log.exception("price alert not raised")

    def forget(self, rule: str) -> None:
        """Let a rule that was changed speak anew."""
        self._signals.pop(f"rule:{rule}", None)

    # --- what lasts -------------------------------------------------------------------------------------------------

    def look(self, now: Nanoseconds) -> None:
        """Tell what happened since the last timer; once a second judge what lasts, and tell what was held back."""
        if self._later:
            self._judge()
        if now - self._looked < LOOK_NS:
            return
        try:
            if not self._looked:
                self._take_up()
            self._looked = now
            found = {finding.key: finding for finding in self._conditions.look(self._outbox.state, now, self._is_on)}
            for finding in found.values():
                self._lasting(finding, now)
            self._settle(found, now)
        except Exception:  # task boundary: the next timer looks again
            log.exception("alerts not judged")

    def _take_up(self) -> None:
        """Know again, after a restart, which causes stood."""
        book = self._outbox.state.alerts
        for key, number in book.latest.items():
            alert = book.alerts[number]
            if alert.lasts and not alert.cleared and key not in self._signals:
                signal = self._signals[key] = Signal(alert.kind, on=True)
                signal.severity = alert.severity

    def _lasting(self, finding: Finding, now: Nanoseconds) -> None:
        signal = self._signal(finding)
        signal.good_since = 0
        if signal.on:
            joined = bool(finding.parts - signal.parts) and bool(signal.parts)
            signal.parts = finding.parts
            if joined or finding.severity > signal.severity:
                self._tell(finding, signal)
            return
        signal.bad_since = signal.bad_since or now
        if finding.rule or finding.kind in _AT_ONCE or now - signal.bad_since >= LOOK_NS:
            signal.parts = finding.parts
            self._happened(finding)

    def _settle(self, found: dict[str, Finding], now: Nanoseconds) -> None:
        dark = blind(self._outbox.state)
        for key, signal in list(self._signals.items()):
            unknown = signal.kind in _BY_EVENT or (dark and signal.kind in _VALUED)
            if key not in found and not unknown:
                signal.bad_since = 0
                if signal.on:
                    signal.good_since = signal.good_since or now
                    if key.startswith("rule:") or now - signal.good_since >= self._clear_ns:
                        self._gone(key, signal)
            if now < signal.quiet_until:
                continue
            if signal.missed:
                self._flush(signal)
                if not signal.on:
                    self._clear(key)
            elif not signal.on and not signal.bad_since:
                del self._signals[key]

    def _gone(self, key: str, signal: Signal) -> None:
        """Take a cause for gone."""
        if signal.on:
            signal.on, signal.bad_since, signal.good_since, signal.parts = False, 0, 0, frozenset()
            if not signal.missed:
                self._clear(key)

    def _clear(self, key: str) -> None:
        alert = self._outbox.state.alerts.of(key)
        if alert is not None and alert.lasts and not alert.cleared:
            self._outbox.record(a.AlertCleared(alert.number, self._outbox.state.now))

    # --- telling ----------------------------------------------------------------------------------------------------

    def _is_on(self, key: str) -> bool:
        signal = self._signals.get(key)
        return signal is not None and signal.on

    def _signal(self, finding: Finding) -> Signal:
        signal = self._signals.get(finding.key)
        if signal is None:
            signal = self._signals[finding.key] = Signal(finding.kind)
        return signal

    def _tell(self, finding: Finding, signal: Signal) -> None:
        """Raise an alert, or count it where the same was told a moment ago and has not become worse."""
        signal.newest = finding
        signal.missed += 1
        if self._outbox.state.now >= signal.quiet_until or finding.severity > signal.severity or finding.news:
            self._flush(signal)

    def _flush(self, signal: Signal) -> None:
        """Tell what was not told yet."""
        finding, now = signal.newest, self._outbox.state.now
        assert finding is not None
        times, signal.missed = signal.missed, 0
        signal.quiet_until = now + self._repeat_ns
        signal.severity = finding.severity
        book = self._outbox.state.alerts
        muted = book.is_muted(finding.kind, now)
        before = book.of(finding.key)
        if before is not None and not before.acknowledged and before.muted == muted:
            number = before.number
        elif self._storms(finding, now):
            return
        else:
            number = book.numbered + 1
        event = a.AlertRaised(
            number,
            finding.key,
            finding.kind,
            finding.severity,
            finding.instrument,
            finding.text,
            finding.rule,
            finding.lasts,
            times,
            muted,
            now,
        )
        self._outbox.record(event)

    def _storms(self, finding: Finding, now: Nanoseconds) -> bool:
        """Count what comes too fast in one alert for all of its kind, and tell whether this was."""
        if now >= self._window_ends:
            self._window_ends = now + self._repeat_ns
            self._fresh.clear()
        fresh = self._fresh[finding.kind] = self._fresh.get(finding.kind, 0) + 1
        if fresh <= BURST or finding.lasts or finding.rule or finding.key.startswith("many:"):
            return False
        text = f"more than {BURST} {finding.kind} alerts at once; the newest: {finding.text}"
        many = Finding(f"many:{finding.kind}", finding.kind, finding.severity, text, finding.instrument)
        self._tell(many, self._signal(many))
        return True
