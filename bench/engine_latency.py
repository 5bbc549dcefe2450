"""Tick and order through the whole engine: state, book, guardian, journal encode, paper match, fill applied (J3).

The other side is bench/peers/nautilus_latency.py on the same quotes. The journal's sync is apart; limits are
raised, all are evaluated. ``every`` 100 is the cold road (one order in a hundred ticks), ``every`` 2 the hot one.
``python -m bench.engine_latency N EVERY HOLD`` runs our side alone.
"""

import sys
from collections.abc import Iterable
from decimal import Decimal

import numpy as np

from bench import common, peer
from bench.figure import Figure, Pair, same
from bench.setup import INSTRUMENT, VENUE, contract, raised_guardian, ready_engine
from core.domain.approval import Approved
from core.domain.commands import SubmitOrder
from core.domain.events import OrderFilled
from core.domain.identifiers import StrategyId
from core.domain.market import Quote
from core.domain.message import Command, Event, Message
from core.domain.order import Order, Side
from core.engine import Engine
from core.outbox import Effect
from core.session import wire
from core.state.state import State
from venues.matching.matching import Matching
from venues.matching.settings import MatchingSettings

START_NS = 1_577_836_800_000_000_000
SMALL, LARGE = Decimal("0.010"), Decimal("1.000")


class Ticker:
    """Send one market order every N quotes, sides in turn; with ``hold`` take a position on the first."""

    id = StrategyId("ticker")

    def __init__(self, every: int, hold: bool) -> None:
        self._every, self._hold, self.count = every, hold, 0

    def on_message(self, message: Message, state: State) -> Iterable[Command]:
        """Count quotes and answer with an order when it is time."""
        if type(message) is not Quote:
            return ()
        self.count = count = self.count + 1
        if self._hold and count == 1:
            return (SubmitOrder(Order(INSTRUMENT, Side.BUY, LARGE)),)
        if self._every and count % self._every == 0:
            side = Side.BUY if count % (2 * self._every) else Side.SELL
            return (SubmitOrder(Order(INSTRUMENT, side, SMALL)),)
        return ()


class Road:
    """Carry effects the way the runtime does, without its disk and sockets."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.answers: list[Message] = []
        self.fills: list[OrderFilled] = []
        self.matching = Matching(
            VENUE, [contract()], {contract().settle: Decimal(20_000_000)}, MatchingSettings(impact_ns=0), self._answer
        )

    def _answer(self, message: Message) -> None:
        self.answers.append(message)

    def carry(self, effects: Iterable[Effect], now: int) -> None:
        """Encode records, hand orders to the matching, and take its answers until there are none."""
        for effect in effects:
            if isinstance(effect, Approved):
                self.matching.submit(effect.command, now)
            elif isinstance(effect, Event):
                wire.encode(effect)
        while self.answers:
            answers, self.answers = self.answers, []
            for answer in answers:
                if type(answer) is OrderFilled:
                    self.fills.append(answer)
                self.carry(self.engine.process(answer), now)


def quotes(n: int) -> list[Quote]:
    """Return the quotes that the peer gets: a random walk on the tick, one a millisecond."""
    walk = np.random.Generator(np.random.PCG64(7))
    mid = 60000 + np.cumsum(walk.integers(-3, 4, n)) * 0.1
    return [
        Quote(
            INSTRUMENT,
            round(price - 0.1, 1),
            5.0,
            round(price, 1),
            5.0,
            i,
            START_NS + i * 1_000_000,
            START_NS + i * 1_000_000,
        )
        for i, price in enumerate(mid.tolist())
    ]


ROUNDS = 3
PAIRS = (
    ("tick, no position", 100_000, 0, 0, "tick_p50_us", 1 / 2),
    ("tick, position held and mark moving", 100_000, 0, 1, "tick_p50_us", 3 / 4),
    ("order road, cold: one order in 100 ticks", 100_000, 100, 0, "order_p50_us", 1 / 6),
    ("order road, hot: one order in 2 ticks", 100_000, 2, 0, "order_p50_us", 1 / 10),
)
"""What, quotes, an order every so many, with a position, the figure compared, and at most how much of the peer's."""


def figures() -> list[Figure]:
    """Run each pair in turns, fills and cash compared, CPU p50."""
    theirs = (peer.nautilus_python(), peer.PEERS / "nautilus_latency.py")
    found = []
    for what, n, every, hold, key, bound in PAIRS:
        pair = Pair()
        for _ in range(ROUNDS):
            a = peer.ours("bench.engine_latency", n, every, hold)
            b = peer.side([*theirs, str(n), str(every), str(hold)])
            same(what, a, b, ("n", "fills", "cash", "position"))
            pair.add(a[key], b[key])
        found.append(pair.figure(what, "µs, CPU p50", at_most=bound))
    return found


def main(n: str = "100000", every: str = "100", hold: str = "0") -> None:
    """Print the median time of a tick and of a tick with an order, in µs."""
    count, gap = int(n), int(every)
    engine = ready_engine(raised_guardian(), START_NS, strategies=[Ticker(gap, hold == "1")])
    road = Road(engine)
    feed = quotes(count)
    spent = np.zeros(count, np.int64)
    ns, process, on_data = common.nanoseconds(), engine.process, road.matching.on_data
    for i, quote in enumerate(feed):
        began = ns()
        on_data(quote)
        effects = process(quote)
        if effects:
            road.carry(effects, quote.ts)
        spent[i] = ns() - began
    at = np.arange(gap - 1, count, gap) if gap else np.arange(0)
    row = {f"tick_{key}_us": value for key, value in common.pct(np.delete(spent, at)).items()}
    if gap:
        row |= {f"order_{key}_us": value for key, value in common.pct(spent[at]).items()}
    cash = -sum(fill.side.sign * float(fill.quantity) * float(fill.price) for fill in road.fills)
    held = sum(fill.side.sign * float(fill.quantity) for fill in road.fills)
    common.emit(
        "J3",
        "tradedeck",
        n=count,
        every=gap,
        hold=int(hold),
        fills=len(road.fills),
        cash=round(cash, 6),
        position=round(held, 6),
        rss_mb=common.rss_peak_mb(),
        **row,
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
