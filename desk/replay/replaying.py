"""Back-test from the command line: tapes through the whole engine, orders from a file, one thread, no clock."""

import heapq
import itertools
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from core.config.file import load
from core.config.settings import Settings
from core.digest import Digest
from core.domain import events as e
from core.domain.commands import CancelOrder, SubmitOrder
from core.domain.identifiers import ClientOrderId, InstrumentId, VenueId, venue_of
from core.domain.instrument import Instrument
from core.domain.market import Bar, Quote
from core.domain.message import Command, Message
from core.domain.numbers import plain
from core.domain.studies import AdoptConfig, Config
from core.engine import Engine
from core.guardian.guardian import Guardian
from core.outbox import PastWanted
from core.session import views
from core.session.protocol import FillView
from core.session.strategies import strategies
from core.state.state import State
from core.strategy.past import PastBars
from desk import answers, output
from desk.commands.shown import short
from desk.matching import matching_settings, replay_balances
from desk.output import UsageFault, money
from desk.paths import Home
from desk.replay.input import NEVER, OrderLine, Span, order_of, promoted, read_config, read_orders
from desk.replay.tapes import open_any
from venues.contracts_table import contracts
from venues.market.tape import Tape
from venues.replay import ReplayDriver

MS_NS = 1_000_000
ORIGIN = "replay"
Past = Callable[[Instrument, PastWanted], Sequence[Bar]]
"""What brings bars of before the tape."""


class Replayer:
    """Run one replay and collect what is told of it."""

    def __init__(
        self,
        settings: Settings,
        tapes: Sequence[Tape],
        lines: Sequence[OrderLine],
        equity: Decimal | None = None,
        configs: Sequence[Config] = (),
        *,
        span: Span = (0, NEVER),
        past: Past | None = None,
    ) -> None:
        """Take what is to be played: of the tapes what lies in ``span``; ``past`` brings strategies bars of before."""
        self._tapes, self._lines, self._configs = tapes, lines, configs
        self._span, self._past_bars = span, past
        self._quoted: dict[int, Message] = {}
        """By identity, what was put between the tapes' messages and not played yet."""
        self._put = 0
        self._ids: dict[str, ClientOrderId] = {}
        self._names: dict[ClientOrderId, str] = {}
        self._fills: list[answers.Json] = []
        self._digest = Digest()
        self._first = self._last = 0
        self.unmatched = 0
        self.engine = Engine(Guardian(settings.guardian), State(mode="replay"))
        venues = self._venues()
        self._start = replay_balances(settings, venues, settings.paper.replay_equity if equity is None else equity)
        self._driver = ReplayDriver(
            self.engine, venues, matching_settings(settings), self._start, self._observe, past=self._past
        )

    def _venues(self) -> dict[VenueId, list[Instrument]]:
        found: dict[VenueId, list[Instrument]] = {}
        for id_ in dict.fromkeys(id_ for tape in self._tapes for id_ in tape.instruments):
            listed = next((item for item in contracts(venue_of(id_)) if item.id == id_), None)
            if listed is None:
                raise UsageFault(f"{id_} is on the tape, and no contract data of it ship with this program")
            found.setdefault(listed.venue, []).append(listed)
        return found

    def run(self) -> answers.Json:
        """Play everything and return the answer.

        Raises:
            UsageFault: nothing of the tapes lies in the days that were asked for.
        """
        self._driver.run(self._messages(), self._commands())
        if not self._first and self._span != (0, NEVER):
            raise UsageFault("nothing of the tapes lies in these --days: look at their times, and name others")
        self._driver.finish(self._last)
        return self._answer()

    def _messages(self) -> Iterator[Message]:
        take, quoted = self._digest.message, self._quoted
        streams: list[Iterator[Any]] = [self._stream(tape) for tape in self._tapes]
        merged = streams[0] if len(streams) == 1 else heapq.merge(*streams, key=lambda message: message.ts)
        start, end = self._span
        for message in merged:
            if message.ts < start:
                continue
            if message.ts >= end:
                return
            if quoted and quoted.pop(id(message), None) is not None:
                yield message
                continue
            self._last = message.ts
            self._first = self._first or message.ts
            take(message)
            yield message

    def _stream(self, tape: Tape) -> Iterator[Message]:
        """Return a tape's messages; a price that stands between candle points is quoted again before each order."""
        times = deque(line.ts_ns for line in self._lines if line.instrument in tape.instruments)
        return self._standing(tape, times) if tape.hold_ns and times else iter(tape)

    def _standing(self, tape: Tape, times: deque[int]) -> Iterator[Message]:
        last: Quote | None = None
        for message in itertools.chain(tape, (None,)):
            while times and (message is None or times[0] <= message.ts):
                at = times.popleft() - 1
                if last is not None and last.ts < at <= last.ts + tape.hold_ns:
                    yield self._between(last.replace(ts_exchange=at, ts=at))
            if message is None:
                return
            if type(message) is Quote:
                last = message
            yield message

    def _between(self, message: Message) -> Message:
        self._quoted[id(message)] = message
        self._put += 1
        return message

    def _commands(self) -> Iterator[Command]:
        """Yield configs, then each order when the one before has been carried out: a cancel finds what it ends."""
        yield from (AdoptConfig(config, ORIGIN) for config in self._configs)
        for line in self._lines:
            if line.action == "submit":
                yield SubmitOrder(order_of(line), ORIGIN, line.ts_ns)
            elif line.client_order_id in self._ids:
                yield CancelOrder(self._ids[line.client_order_id], ORIGIN, line.ts_ns)
            else:
                self.unmatched += 1

    def _past(self, wanted: PastWanted) -> Message:
        state = self.engine.state
        bars: Sequence[Bar] = ()
        if self._past_bars is not None:
            bars = self._past_bars(state.markets[wanted.instrument].instrument, wanted)
        return PastBars(wanted.instrument, wanted.interval, tuple(bars), state.now)

    def _observe(self, effects: Sequence[Any]) -> None:
        self._digest.update(effects)
        for effect in effects:
            if isinstance(effect, e.OrderSubmitted | e.OrderApproved | e.OrderDenied):
                order = effect.order
                self._ids[order.operation_id] = order.client_order_id
                self._names[order.client_order_id] = order.operation_id
            elif isinstance(effect, e.OrderFilled):
                self._fills.append(answers.fill(self._fill(effect)))

    def _fill(self, event: e.OrderFilled) -> FillView:
        name = ClientOrderId(self._names.get(event.client_order_id, event.client_order_id))
        return msgspec.structs.replace(FillView.of(event), ts=event.ts, client_order_id=name)

    def _answer(self) -> answers.Json:
        state = self.engine.state
        gaps: dict[InstrumentId, int] = {}
        volume: dict[InstrumentId, Decimal] = {}
        trades = 0
        for tape in self._tapes:
            trades += sum(tape.stats.trades.values())
            for id_, size in tape.stats.volume.items():
                volume[id_] = volume.get(id_, Decimal(0)) + size
            for id_, count in tape.stats.gaps.items():
                gaps[id_] = gaps.get(id_, 0) + count
        cash = {venue: {asset: money(total) for asset, total in wallet.items()} for venue, wallet in self._wallets()}
        held = [answers.position(view) for view in views.positions(state)]
        self._digest.answer((held, cash))
        records = sorted(state.blotter.orders.values(), key=lambda record: record.created)
        return {
            "events": self._driver.played - self._put,
            "trades": trades,
            "volume": {id_: plain(size) for id_, size in volume.items()},
            "gaps": sum(gaps.values()),
            "gaps_by_instrument": gaps,
            "fills": self._fills,
            "orders": [
                answers.order(record) | {"client_order_id": self._names.get(record.order.client_order_id)}
                for record in records
            ],
            "unmatched_cancels": self.unmatched,
            "positions": held,
            "strategies": [answers.strategy(item) for item in strategies(state.configs, state.markets)],
            "start_cash": {
                venue: {asset: money(amount) for asset, amount in wallet.items()}
                for venue, wallet in self._start.items()
            },
            "cash": cash,
            "equity": money(views.money(state.equity)),
            "clock_offset_ms": {tape.path: round(tape.clock_offset_ns / MS_NS, 3) for tape in self._tapes},
            "first_ts_ns": self._first,
            "last_ts_ns": self._last,
            "digest": self._digest.hex(),
        }

    def _wallets(self) -> Iterator[tuple[VenueId, dict[Any, Decimal]]]:
        yield from self.engine.state.ledger.balances.items()


def replay(
    home: Home,
    paths: Sequence[Path],
    orders: Path | None,
    equity: Decimal | None = None,
    configs: Sequence[Path] = (),
    *,
    span: Span = (0, NEVER),
    strategies: bool = False,
) -> answers.Json:
    """Play tapes against a file of orders, and with strategies by configs, and return what came of it.

    With ``strategies`` those that are promoted in the home run too.

    Raises:
        TapeError: naming the line of a tape that cannot be played.
        UsageFault: naming the line of the file of orders, or the config, that cannot be read.
    """
    lines = read_orders(orders) if orders is not None else []
    settings = load(home.config)[0] if home.config.exists() else Settings()
    chosen = [*(read_config(path) for path in configs), *(promoted(home, settings) if strategies else ())]
    tapes = [open_any(home, settings, path) for path in paths]
    replayer = Replayer(settings, tapes, lines, equity, chosen, span=span, past=partial(_imported, home))
    return replayer.run()


def _imported(home: Home, instrument: Instrument, wanted: PastWanted) -> Sequence[Bar]:
    from desk.research.imported import bars_of  # DuckDB: only where a strategy warms up

    return bars_of(home, instrument.venue, instrument.raw_symbol, wanted)


def show(answer: answers.Json) -> None:
    """Print the answer for people."""
    output.write(f"{answer['events']} events, {answer['trades']} trades, {answer['gaps']} gaps")
    for id_, size in answer["volume"].items():
        output.write(f"volume {id_} {size}")
    for order in answer["orders"]:
        said = order["reason"]
        if order["average_price"]:
            said = f"filled {order['filled']} at {plain(short(Decimal(order['average_price'])))}"
        what = f"{order['side']} {order['quantity']} {order['instrument']}"
        output.write(f"{order['client_order_id']} {order['status']}: {what} {said}")
    for item in answer["strategies"]:
        _show_strategy(item)
    for item in answer["positions"]:
        output.write(f"position {item['instrument']} {item['quantity']}, unrealised {item['unrealised_pnl']}")
    for venue, wallet in answer["cash"].items():
        output.write(f"cash {venue} " + " ".join(f"{total} {asset}" for asset, total in wallet.items()))
    output.write(f"equity {answer['equity']}")
    output.write(f"digest {answer['digest']}")


def _show_strategy(item: answers.Json) -> None:
    reason = f": {item['reason']}" if item["reason"] else ""
    output.write(f"{item['strategy_id']} v{item['version']} {item['state']}{reason}")
    for one in item["accounts"]:
        against = f"{one['profit_bps']:+g} bps, {one['missed']} missed, {one['extra']} extra"
        note = f"; {one['note']}" if one["note"] else ""
        made = f"wallet {one['wallet']} of {one['capital']}, {one['trades']} trades"
        output.write(f"  {one['instrument']} {made}; against its study {against}{note}")
