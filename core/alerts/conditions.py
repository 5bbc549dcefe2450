"""What is judged once a second: causes that last. Each finding is true now; when it is told is the watch's business."""

from collections.abc import Callable, Iterator
from decimal import Decimal

from core.alerts.words import Finding, joined
from core.config.settings import AlertSettings
from core.domain.alerts import AlertKind, AlertRule, Severity
from core.domain.identifiers import InstrumentId, VenueId, symbol_of
from core.domain.market import Health
from core.domain.message import Nanoseconds
from core.guardian.guardian import Guardian
from core.session import views
from core.state.account import day_return
from core.state.markets import Market
from core.state.state import State

SECOND_NS: Nanoseconds = 1_000_000_000
EASE = 0.9
"""A bound that was passed counts as passed until the value is back under this part of it."""
PRICE_EASE = 0.001
"""A price rule that stays speaks again only after the price was this fraction back behind its bound."""
_SOUND = frozenset({Health.LIVE, Health.PARTIAL})
_WARNING, _CRITICAL = Severity.WARNING, Severity.CRITICAL
IsOn = Callable[[str], bool]
"""Tells whether the alert of a key stands already."""


def price_of(market: Market) -> float:
    """Return the price that price rules are about: the last print, the mark where nothing prints; 0.0 is unknown."""
    return market.last or market.mark


def beyond(value: float, bound: float, above: bool) -> bool:
    """Tell whether a value has reached its bound."""
    return value >= bound if above else value <= bound


def eased(bound: float, above: bool, part: float) -> float:
    """Return the bound that a value has to come back behind."""
    return bound - abs(bound) * part if above else bound + abs(bound) * part


class Conditions:
    """Judge the state."""

    def __init__(self, settings: AlertSettings | None, guardian: Guardian) -> None:
        self._settings, self._guardian = settings, guardian
        self._sick: dict[str, Nanoseconds] = {}
        """Since when a feed or a venue has not been sound."""
        self._blind: Nanoseconds = 0
        """Since when the account cannot be valued."""

    def look(self, state: State, now: Nanoseconds, is_on: IsOn) -> Iterator[Finding]:
        """Yield every cause that is there now."""
        yield from _rules(state, is_on)
        settings = self._settings
        if settings is None:
            return
        if state.store_trouble:
            yield Finding("store", AlertKind.STORE, _CRITICAL, f"the journal: {state.store_trouble}", lasts=True)
        if settings.feed_after_s:
            yield from self._feeds(state, int(settings.feed_after_s * SECOND_NS), now)
            yield from self._unvalued(state, int(settings.feed_after_s * SECOND_NS), now)
            yield from _not_compared(state, int(settings.feed_after_s * SECOND_NS), now)
        yield from self._unknown_bounds(state)
        yield from _differences(state)
        yield from _targets(state)
        if state.studies.trouble:
            yield Finding("configs", AlertKind.STORE, _WARNING, f"promotions: {state.studies.trouble}", lasts=True)
        if state.studies.waits:
            text = f"studies and the schedule wait: {state.studies.waits}"
            yield Finding("researcher", AlertKind.STORE, _WARNING, text, lasts=True)
        yield from _sentinel(state, now)
        yield from self._losses(state, settings, is_on)
        if settings.limit_used_frac:
            yield from self._limits(state, settings.limit_used_frac, now, is_on)

    def _feeds(self, state: State, patience: Nanoseconds, now: Nanoseconds) -> Iterator[Finding]:
        """Tell of a venue's feeds together: a lost link is one alert, not one an instrument."""
        sick: dict[str, Nanoseconds] = {}
        late: dict[VenueId, list[Market]] = {}
        for name, view in state.venues.items():
            if not view.connected:
                sick[name] = self._sick.get(name, now)
        for id_, market in state.markets.items():
            if market.health not in _SOUND:
                since = sick[id_] = self._sick.get(id_, now)
                if now - since >= patience:
                    late.setdefault(market.venue, []).append(market)
        self._sick = sick
        for venue, view in state.venues.items():
            key = f"feed:{venue}"
            if not view.connected and now - sick[venue] >= patience:
                yield Finding(key, AlertKind.FEED, _CRITICAL, f"{venue} is down: {view.reason}", lasts=True)
            elif view.connected and venue in late:
                yield _late(key, venue, late[venue])

    def _unvalued(self, state: State, patience: Nanoseconds, now: Nanoseconds) -> Iterator[Finding]:
        """Tell that the guardian cannot judge the account: a held instrument has no price."""
        unvalued = state.ledger.unvalued
        missing = state.capital.missing(unvalued)
        self._blind = (self._blind or now) if missing else 0
        if missing and now - self._blind >= patience:
            known = not state.capital.unpriced(unvalued)
            how = "counted as nothing" if known else "day's loss and drawdown are not judged"
            text = f"no price for {joined(sorted(missing))}: {how}, entries denied"
            yield Finding("unvalued", AlertKind.FEED, _CRITICAL, text, lasts=True)

    def _unknown_bounds(self, state: State) -> Iterator[Finding]:
        """Tell of bounds that bind nothing: the settings name an instrument that no venue has."""
        if not state.venues or not all(view.reconciled for view in state.venues.values()):
            return  # what a venue has is known when it has been looked at
        unknown = sorted(set(self._guardian.settings.max_order_quantity) - state.markets.keys())
        if unknown:
            text = f"max_order_quantity bounds nothing for {joined(unknown)}: no venue has such an instrument"
            hint = "correct its id in config.toml as tradedeck instruments writes it, then restart"
            yield Finding("bounds", AlertKind.LIMIT, _WARNING, f"{text}; {hint}", lasts=True)

    def _losses(self, state: State, settings: AlertSettings, is_on: IsOn) -> Iterator[Finding]:
        equity = state.equity
        if blind(state):
            return
        bound = settings.drawdown_frac
        if bound and state.drawdown >= _bound(bound, is_on("drawdown")):
            text = f"drawdown {state.drawdown:.2%} from the peak {float(state.peak):,.2f} (alert at {bound:.2%})"
            yield Finding("drawdown", AlertKind.DRAWDOWN, _CRITICAL, text, lasts=True)
        bound = settings.day_loss_frac
        lost = -day_return(state, equity)
        if bound and lost >= _bound(bound, is_on("day")):
            text = f"the day's loss is {-state.day_profit:,.2f}, {lost:.2%} of its start (alert at {bound:.2%})"
            yield Finding("day", AlertKind.PROFIT, _CRITICAL, text, lasts=True)
        bound = settings.position_loss_frac
        if bound and equity > 0:
            for instrument, profit in _profits(state):
                key = f"position:{instrument}"
                if -profit / equity >= _bound(bound, is_on(key)):
                    text = f"{symbol_of(instrument)} loses {-profit:,.2f}, {-profit / equity:.2%} of equity"
                    yield Finding(
                        key, AlertKind.PROFIT, _WARNING, f"{text} (alert at {bound:.2%})", instrument, lasts=True
                    )

    def _limits(self, state: State, bound: float, now: Nanoseconds, is_on: IsOn) -> Iterator[Finding]:
        for view in views.limits(state, self._guardian, now):
            key = f"limit:{view.name}"
            if view.used is not None and view.used >= _bound(bound, is_on(key)):
                text = f"{view.name.replace('_', ' ')} is {view.used:.0%} used: {view.value} of {view.bound}"
                yield Finding(key, AlertKind.LIMIT, _WARNING, text, lasts=True)


def _not_compared(state: State, patience: Nanoseconds, now: Nanoseconds) -> Iterator[Finding]:
    """Tell of a venue whose link is up and that does not say what it holds: our record may be behind it."""
    for venue, view in state.venues.items():
        if view.trouble and now - view.troubled >= patience:
            text = f"our record cannot be compared with {venue}'s since {(now - view.troubled) / SECOND_NS:.0f} s"
            why = f"{text}, orders and positions there may be others: {view.trouble}"
            yield Finding(f"compare:{venue}", AlertKind.FEED, _CRITICAL, why, lasts=True)


def _late(key: str, venue: VenueId, markets: list[Market]) -> Finding:
    names = joined(f"{symbol_of(market.instrument.id)} {market.health}" for market in markets)
    why = f": {markets[0].reason}" if len(markets) == 1 and markets[0].reason else ""
    parts = frozenset(str(market.instrument.id) for market in markets)
    text = f"{venue} feeds: {names}{why}"
    return Finding(key, AlertKind.FEED, _WARNING, text, markets[0].instrument.id, lasts=True, parts=parts)


def blind(state: State) -> bool:
    """Tell whether the account cannot be valued now: nothing is known of its losses, neither way."""
    unvalued = state.ledger.unvalued
    return not state.ledger.balances or bool(unvalued and state.capital.unpriced(unvalued))


def _bound(bound: float, on: bool) -> float:
    return bound * EASE if on else bound


# --- the sentinel -----------------------------------------------------------------------------------------------------


def _sentinel(state: State, now: Nanoseconds) -> Iterator[Finding]:
    status = state.guard.status
    if status is None:
        return
    missing = state.guard.missing(now)
    parts = {"silent"} if missing else set()
    if status.trouble:
        parts.add("does not start")  # told behind the silence: it is known some seconds later
    if status.holds:
        text = f"the sentinel holds the lease, nothing is sent: {status.holds}" + (f"; {missing}" if missing else "")
        parts.add(_letters(status.holds))  # each phase is told, each further second of it is not
        yield Finding(
            "sentinel:lease", AlertKind.SENTINEL, _CRITICAL, text, lasts=True, parts=frozenset(parts), news=True
        )
    elif missing:
        yield Finding(
            "sentinel:silent", AlertKind.SENTINEL, _CRITICAL, missing, lasts=True, parts=frozenset(parts), news=True
        )


def _letters(text: str) -> str:
    """Return a text without its figures."""
    return "".join(sign for sign in text if not sign.isdigit())


# --- delivery ---------------------------------------------------------------------------------------------------------


def _differences(state: State) -> Iterator[Finding]:
    """Tell of all that waits for the trader's word together; another one that joins is told anew."""
    waiting = state.differences.waiting
    if waiting:
        names = joined(f"{one.kind} of {symbol_of(one.instrument) if one.instrument else one.asset}" for one in waiting)
        count = f"{len(waiting)} difference{'' if len(waiting) == 1 else 's'}"
        text = f"{count} to the venues' records: {names}; entries there are denied: r, or tradedeck reconcile"
        parts = frozenset(str(one.number) for one in waiting)
        yield Finding("differences", AlertKind.DIFFERENCE, _CRITICAL, text, lasts=True, parts=parts)


def _targets(state: State) -> Iterator[Finding]:
    for status in state.alerts.targets.values():
        if status.trouble:
            text = f"alerts do not reach {status.name}: {status.trouble}"
            yield Finding(f"delivery:{status.name}", AlertKind.DELIVERY, _WARNING, text, lasts=True)


# --- the trader's rules -----------------------------------------------------------------------------------------------


def _profits(state: State) -> Iterator[tuple[InstrumentId, float]]:
    ledger = state.ledger
    for position in ledger.positions.values():
        market = ledger.mark_of(position.instrument) if position.quantity else None
        if market is not None:
            yield market.instrument.id, ledger.unrealised(position, market) * ledger.rate(position.settle)


def value_of(state: State, rule: AlertRule) -> float | None:
    """Return what a rule compares with its bound, or None where it is not known."""
    if rule.kind is AlertKind.PRICE:
        market = state.markets.get(rule.instrument)
        return (price_of(market) or None) if market is not None else None
    if blind(state):
        return None
    if rule.kind is AlertKind.DRAWDOWN:
        return state.drawdown
    if rule.instrument:
        return next((profit for instrument, profit in _profits(state) if instrument == rule.instrument), None)
    return state.day_profit if state.day_start else None


def _rules(state: State, is_on: IsOn) -> Iterator[Finding]:
    for rule in state.alerts.rules.values():
        value = value_of(state, rule)
        if value is None:
            continue
        bound = float(rule.bound)
        if is_on(f"rule:{rule.id}"):
            bound = eased(bound, rule.above, PRICE_EASE if rule.kind is AlertKind.PRICE else 1 - EASE)
        if beyond(value, bound, rule.above):
            yield rule_met(rule, value)


def rule_met(rule: AlertRule, value: float) -> Finding:
    """Describe a rule that is met."""
    side = "above" if rule.above else "below"
    what = {AlertKind.PRICE: "at", AlertKind.PROFIT: "makes"}.get(rule.kind, "is")
    name = (
        "drawdown" if rule.kind is AlertKind.DRAWDOWN else symbol_of(rule.instrument) if rule.instrument else "the day"
    )
    text = f"{name} {what} {amount(rule, value)}, {side} {rule.bound.normalize():f}"
    note = f" – {rule.note}" if rule.note else ""
    return Finding(f"rule:{rule.id}", rule.kind, _WARNING, text + note, rule.instrument, rule.id, lasts=rule.again)


def amount(rule: AlertRule, value: float) -> str:
    """Return what a rule looks at, as people write it: a price as it was parsed, money with its sign."""
    if rule.kind is AlertKind.PRICE:
        return f"{Decimal(repr(value)):f}".removesuffix(".0")
    return f"{value:+,.2f}".replace(",", " ") if rule.kind is AlertKind.PROFIT else f"{value:.4f}"
