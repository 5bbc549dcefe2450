"""Changes as plain lines: for screen readers, logs and places without a terminal."""

import asyncio
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec

from core.domain import events as e
from core.domain import market as m
from core.domain.identifiers import InstrumentId, symbol_of, venue_of
from core.domain.message import Event, Message
from core.errors import NoEngine
from core.session.client import Client
from core.state.markets import Market
from desk import output
from desk.paths import Home
from desk.session import resolve, unanswered

SECOND_NS = 1_000_000_000
_HIDDEN = frozenset({"ts", "ts_exchange", "order"})


class Watcher:
    """Print one session's changes: prices at intervals, what concerns us at once."""

    def __init__(self, client: Client, chosen: Sequence[InstrumentId], as_json: bool, wake: asyncio.Event) -> None:
        self._client, self._chosen, self._json, self._wake = client, set(chosen), as_json, wake
        self.unread: BrokenPipeError | None = None
        """Whoever read our lines has gone."""
        self._seen: dict[InstrumentId, tuple[float, float, float]] = {}
        self._account: tuple[Any, ...] = ()
        self._stands: dict[str, tuple[str, str]] = {}
        client.on_message = self.message

    def message(self, message: Message) -> None:
        """Print an event of ours, and what a feed, a venue or the journal became."""
        try:
            self._event(message)
            self._standing(message)
        except BrokenPipeError as error:  # raised here, it would be taken for the end of the session
            self.unread = error
            self._wake.set()

    def _event(self, message: Message) -> None:
        if not isinstance(message, Event) or isinstance(message, e.PeakRaised | e.EquityNoted):
            return
        fields = _fields(message)
        if self._chosen and fields.get("instrument") not in (None, *self._chosen):
            return
        name = type(message).__name__
        if self._json:
            output.write_json({"kind": "event", "event": name, "ts_ns": message.ts, **fields})  # type: ignore[attr-defined]
        else:
            said = " ".join(f"{key}={value}" for key, value in fields.items() if value not in ("", None))
            output.write(f"{_now()} {name} {said}")

    def _standing(self, message: Message) -> None:
        """Print how a feed, a venue or the journal stands, where that is not as it was."""
        found = _standing_of(message)
        if found is None:
            return
        subject, state, reason = found
        if self._chosen and isinstance(message, m.FeedReport) and message.instrument not in self._chosen:
            return
        if self._stands.get(subject, ("ok", "")) == (state, reason):
            return
        self._stands[subject] = (state, reason)
        if self._json:
            line = {"kind": "state", "of": subject, "state": state, "reason": reason, "ts_ns": message.ts}  # type: ignore[attr-defined]
            output.write_json(line)
            return
        output.write(f"{_now()} {subject} is {state}{f': {reason}' if reason else ''}")

    def prices(self) -> None:
        """Print the markets that moved since the last look, and the account when it did."""
        for id_, market in self._client.state.markets.items():
            if self._chosen and id_ not in self._chosen:
                continue
            now = (market.bid, market.ask, market.last)
            if now != self._seen.get(id_) and any(now):
                self._seen[id_] = now
                self._price(market)
        self._totals()

    def _price(self, market: Market) -> None:
        item, digits = market.instrument, market.instrument.price_precision
        if self._json:
            line = {"kind": "price", "instrument": item.id, "ts_ns": market.ts, "health": market.health}
            output.write_json(line | {name: getattr(market, name) for name in ("bid", "ask", "last", "mark")})
            return
        change = f"  {market.mark / market.day_open - 1:+.2%}" if market.day_open and market.mark else ""
        health = "" if market.health == "live" else f"  [{market.health} {market.reason}]"
        last = f"{market.last:.{digits}f}" if market.last else "-"
        top = f"{market.bid:.{digits}f} / {market.ask:.{digits}f}"
        output.write(f"{_now()} {symbol_of(item.id):<12} {top}  last {last}{change}{health}")

    def _totals(self) -> None:
        state = self._client.state
        held = tuple(sorted((key, str(item.quantity)) for key, item in state.ledger.positions.items() if item.quantity))
        now = (
            f"{state.equity:.2f}",
            f"{state.day_profit:+.2f}",
            state.trading_state.value,
            held,
            len(state.blotter.open),
        )
        if now == self._account:
            return
        self._account = now
        equity, day, trading, _, orders = now
        if self._json:
            line = {"kind": "account", "ts_ns": state.now, "equity": equity, "day_pnl": day, "state": trading}
            output.write_json(line | {"positions": dict(held), "open_orders": orders})
            return
        open_ = f"{orders} open order{'s' * (orders != 1)}"
        output.write(f"{_now()} account {trading}  equity {equity}  day {day}  {open_}  {_held_words(held)}")


def _held_words(held: Sequence[tuple[InstrumentId, str]]) -> str:
    """Say what is held by short names; where two venues hold what is called alike, the venue stands behind."""
    names = [symbol_of(id_) for id_, _ in held]
    words = [
        f"{name}{f' ({venue_of(id_)})' if names.count(name) > 1 else ''} {Decimal(quantity).normalize():f}"
        for name, (id_, quantity) in zip(names, held, strict=True)
    ]
    return f"holds {', '.join(words)}" if words else "flat"


def _standing_of(message: Message) -> tuple[str, str, str] | None:
    """Give what a message says of a feed, a venue or the journal: of what, how it stands, why."""
    match message:
        case m.FeedReport(instrument=id_, health=health, reason=reason):
            return f"feed {symbol_of(id_)} of {venue_of(id_)}", health.value, reason
        case m.VenueStatus(venue=venue, connected=connected, reason=reason):
            return f"venue {venue}", "connected" if connected else "not connected", reason
        case m.StoreStatus(trouble=trouble):
            return "journal", "in trouble" if trouble else "ok", trouble
        case _:
            return None


def _fields(message: Event) -> dict[str, Any]:
    fields = {name: getattr(message, name) for name in message.__struct_fields__ if name not in _HIDDEN}
    order = getattr(message, "order", None)
    if order is not None:
        names = ("client_order_id", "instrument", "side", "quantity", "type", "price", "trigger")
        fields = {name: getattr(order, name) for name in names} | fields
    plain: dict[str, Any] = msgspec.to_builtins(fields)
    return plain


def _now() -> str:
    return datetime.fromtimestamp(time.time(), UTC).strftime("%H:%M:%S")


async def watch(
    home: Home,
    names: Sequence[str],
    every: float,
    seconds: float | None,
    as_json: bool,
    stop: asyncio.Event | None = None,
) -> None:
    """Print changes until time is up, ``stop`` is set or the engine goes.

    Raises:
        NoEngine: nobody answers, or the engine went away.
    """
    try:
        client = await Client.connect(home.engine_socket, "watch", view_only=True)
    except NoEngine as error:
        raise unanswered(home, error) from None
    wake = asyncio.Event()
    client.on_lost = lambda _: wake.set()
    told = asyncio.ensure_future(stop.wait()) if stop is not None else None
    if told is not None:
        told.add_done_callback(lambda _: wake.set())
    try:
        chosen = [resolve(name, client.state) for name in names]
        client.watch(tuple(chosen or client.state.markets))
        watcher = Watcher(client, chosen, as_json, wake)
        until = None if seconds is None else time.monotonic() + seconds
        while not wake.is_set():
            watcher.prices()
            left = every if until is None else min(every, until - time.monotonic())
            if left <= 0:
                break
            try:
                await asyncio.wait_for(wake.wait(), left)
            except TimeoutError:
                continue
        if watcher.unread is not None:
            raise watcher.unread
        if client.lost:
            raise NoEngine(client.lost)
    finally:
        if told is not None:
            told.cancel()
        await client.close()
