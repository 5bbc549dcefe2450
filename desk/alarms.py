"""Alerts from the command line: what was typed becomes a command, the answer a sentence or JSON."""

from collections.abc import Iterable
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from core.domain import alerts as a
from core.domain.identifiers import InstrumentId, symbol_of
from core.domain.message import Command
from core.domain.numbers import plain
from core.session.client import Client
from core.session.protocol import Outcome
from core.state.state import State
from desk import answers, output, times
from desk.commands.shown import clock
from desk.output import UsageFault
from desk.paths import Home
from desk.session import ORIGIN, require, resolve, talk

ACCOUNT = "account"
_SIDES = {"above": True, "below": False}
_NOBODY = InstrumentId("")


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """A rule as it was typed."""

    what: str
    side: str
    value: str
    profit: bool = False
    drawdown: bool = False
    again: bool = False
    note: str = ""
    id: str = ""


def rule_of(wish: Wish, state: State) -> a.AlertRule:
    """Return the rule that was typed.

    Raises:
        UsageFault: words that do not go together, or a value that is no number.
        InvalidInstrumentId: see ``resolve``.
    """
    if wish.side not in _SIDES:
        raise UsageFault(f'the side must be above or below (got "{wish.side}")')
    if wish.profit and wish.drawdown:
        raise UsageFault("--profit or --drawdown, not both")
    try:
        bound = Decimal(wish.value)
    except InvalidOperation:
        raise UsageFault(f'the value must be a number (got "{wish.value}")') from None
    account = wish.what.lower() == ACCOUNT
    kind = a.AlertKind.DRAWDOWN if wish.drawdown else a.AlertKind.PROFIT if wish.profit else a.AlertKind.PRICE
    if account and kind is a.AlertKind.PRICE:
        raise UsageFault("the account has no price: name an instrument, or --profit or --drawdown")
    if not account and kind is a.AlertKind.DRAWDOWN:
        raise UsageFault(f"--drawdown is the account's: write {ACCOUNT} instead of an instrument")
    instrument = _NOBODY if account else resolve(wish.what, state)
    return a.AlertRule(kind, instrument, _SIDES[wish.side], bound, wish.again, wish.note, wish.id)


def add(home: Home, wish: Wish, as_json: bool) -> None:
    """Set a rule and say its id.

    Raises:
        ClientError: the engine would not take it, and why.
    """

    async def work(client: Client) -> a.AlertRule:
        made = rule_of(wish, client.state)
        outcome = require(await client.send(a.SetAlert(made, ORIGIN)))
        return msgspec.structs.replace(made, id=outcome.alert)

    made = talk(home, work, stream=True)
    if as_json:
        output.write_json(rule(made))
    else:
        output.write(f"{made.id}: {said(made)}")


def send(home: Home, command: Command, words: str, as_json: bool) -> None:
    """Give a command and say that it is done.

    Raises:
        ClientError: the engine would not take it, and why.
    """

    async def work(client: Client) -> Outcome:
        return require(await client.send(command))

    talk(home, work)
    if as_json:
        output.write_json({"ok": True})
    else:
        output.write(words)


def kind_of(text: str) -> a.AlertKind:
    """Return the kind of alert that was named.

    Raises:
        UsageFault: there is no such kind.
    """
    try:
        return a.AlertKind(text.lower())
    except ValueError:
        raise UsageFault(f'no kind of alert is "{text}"; there are: {", ".join(a.AlertKind)}') from None


def number_of(text: str) -> int:
    """Return the number of an alert.

    Raises:
        UsageFault: it is none.
    """
    if not text.isdecimal() or int(text) == 0:
        raise UsageFault(f'an alert has a number such as 17 (got "{text}"); tradedeck alerts lists them')
    return int(text)


# --- showing ----------------------------------------------------------------------------------------------------------


def show(home: Home, everything: bool, as_json: bool) -> None:
    """Print the alerts that wait, or all that are kept, with rules, mutes and targets."""

    async def work(client: Client) -> State:
        return client.state

    state = talk(home, work, stream=True)
    book = state.alerts
    found = by_time(book.alerts.values() if everything else book.waiting())
    muted = {kind: until for kind, until in book.muted.items() if until > state.now}
    if as_json:
        output.write_json(
            {
                "alerts": [alert(item) for item in reversed(found)],
                "rules": [rule(item) for item in book.rules.values()],
                "muted": [{"kind": kind, "until_ns": until} for kind, until in muted.items()],
                "targets": [target(item) for item in book.targets.values()],
            }
        )
        return
    _show_alerts(found)
    for kind, until in muted.items():
        output.write(f"{kind} alerts are muted until {clock(until)} UTC")
    for status in book.targets.values():
        how = f"in trouble: {status.trouble}" if status.trouble else "works"
        output.write(f"target {status.name} {how}; sent {status.sent}, waiting {status.waiting}, lost {status.lost}")
    if book.rules:
        output.write()
        output.table(("rule", "tells when"), ((item.id, said(item)) for item in book.rules.values()), left=2)


def by_time(alerts: Iterable[a.Alert]) -> list[a.Alert]:
    """Return alerts by when each was last told, the newest last; a repeat keeps its number, not its place."""
    return sorted(alerts, key=lambda item: (item.last, item.number))


def _show_alerts(found: Iterable[a.Alert]) -> None:
    rows = [
        (
            str(item.number),
            clock(item.last),
            item.severity.name.lower(),
            item.kind.value,
            standing(item),
            item.text + (f" (×{item.count})" if item.count > 1 else ""),
        )
        for item in found
    ]
    if rows:
        output.table(("alert", "time (UTC)", "weight", "kind", "state", "what"), rows, left=6)
    else:
        output.write("no alert waits")


def standing(item: a.Alert) -> str:
    """Return how an alert stands, in words: ``lasts`` while its cause does, ``over`` when that has gone."""
    cause = " over" if item.cleared else " lasts" if item.lasts else ""
    return ("muted" if item.muted else f"seen by {item.by}" if item.acknowledged else "new") + cause


def said(item: a.AlertRule) -> str:
    """Return a rule as a sentence."""
    name = symbol_of(item.instrument) if item.instrument else "account"
    side = "above" if item.above else "below"
    every = ", every time" if item.again else ", once"
    note = f" – {item.note}" if item.note else ""
    return f"{name} {item.kind} {side} {plain(item.bound)}{every}{note}"


def alert(item: a.Alert) -> answers.Json:
    """Return one alert for JSON."""
    return {
        "number": item.number,
        "kind": item.kind,
        "severity": item.severity.name.lower(),
        "instrument": item.instrument or None,
        "text": item.text,
        "count": item.count,
        "raised_ns": item.raised,
        "last_ns": item.last,
        "acknowledged_ns": item.acknowledged or None,
        "by": item.by or None,
        "lasts": item.lasts,
        "cleared_ns": item.cleared or None,
        "muted": item.muted,
    }


def rule(item: a.AlertRule) -> answers.Json:
    """Return one rule for JSON."""
    return {
        "id": item.id,
        "kind": item.kind,
        "instrument": item.instrument or None,
        "side": "above" if item.above else "below",
        "value": plain(item.bound),
        "again": item.again,
        "note": item.note,
    }


def target(item: a.TargetStatus) -> dict[str, Any]:
    """Return how one target stands, for JSON."""
    return {
        "name": item.name,
        "trouble": item.trouble or None,
        "sent": item.sent,
        "waiting": item.waiting,
        "lost": item.lost,
        "ts_ns": item.ts,
    }


def mute(home: Home, kind: str, duration: str | None, as_json: bool) -> None:
    """Silence a kind of alert for a while, or let it speak again (None).

    Raises:
        UsageFault: no such kind, or no length of time.
    """
    chosen = kind_of(kind)
    length = 0 if duration is None else times.length("--for", duration)
    words = f"{chosen} alerts speak again" if duration is None else f"{chosen} alerts are muted for {duration}"
    send(home, a.MuteAlerts(chosen, length, ORIGIN), words, as_json)
