"""L2 level changes and trades through the whole engine, events built beforehand (J2).

The other side is bench/peers/nautilus_replay.py on the same events: TWAP parents of ten IOC children.
"""

import sys
from decimal import Decimal

import numpy as np

from bench import common, peer
from bench.engine_latency import Road
from bench.figure import Figure, Pair, at_most, same
from bench.peers import data
from bench.setup import INSTRUMENT, raised_guardian, ready_engine
from core.domain.commands import SubmitOrder
from core.domain.market import NO_ID, BookDelta, Trade
from core.domain.order import Order, Side, TimeInForce

Events = list[BookDelta | Trade]


def build(n: int) -> Events:
    """Return the first ``n`` events of the seeded L2 feed: one changed level or one print each."""
    arrays = data.l2(n)
    events: Events = []
    kinds, prices, sizes, stamps = (arrays[key].tolist() for key in ("kind", "px", "qty", "ts"))
    for i, (kind, ticks, lots, ts) in enumerate(zip(kinds, prices, sizes, stamps, strict=True)):
        price, size = round(ticks * data.L2_TICK, 1), round(lots * data.L2_LOT, 3)
        if kind == 0:
            events.append(BookDelta(INSTRUMENT, ((price, size),), (), NO_ID, NO_ID, NO_ID, ts, ts))
        elif kind == 1:
            events.append(BookDelta(INSTRUMENT, (), ((price, size),), NO_ID, NO_ID, NO_ID, ts, ts))
        else:
            events.append(Trade(INSTRUMENT, price, size, kind == 2, i, ts, ts))
    return events


def orders(n: int, stamps: "np.ndarray[tuple[int], np.dtype[np.int64]]") -> list[tuple[int, SubmitOrder]]:
    """Return the children of the parents with their times."""
    parents = data.parents(stamps, 1000 * n // data.L2_N)
    found = []
    for ts, side, lots in zip(parents["ts"].tolist(), parents["side"].tolist(), parents["lots"].tolist(), strict=True):
        quantity = Decimal(lots).scaleb(-3)
        order = Order(INSTRUMENT, Side.BUY if side > 0 else Side.SELL, quantity, time_in_force=TimeInForce.IOC)
        found.append((ts, SubmitOrder(order, "", ts)))
    return found


COUNT, ROUNDS = 500_000, 2
FLAT_MB = 10.0


def figures() -> list[Figure]:
    """Run both sides in turns on the same events; what was traded is compared."""
    environment = {"BENCH_DATA": str(peer.data_folder())}
    theirs = (peer.nautilus_python(), peer.PEERS / "nautilus_replay.py", "replay", str(COUNT))
    pair, grown = Pair(), 0.0
    for _ in range(ROUNDS):
        a = peer.ours("bench.engine_replay", COUNT, environment=environment)
        b = peer.side(theirs, environment)
        same("replay", a, b, ("n", "volume", "position", "balance"))
        pair.add(a["events_per_s"], b["events_per_s"])
        grown = max(grown, a["second_half_mb"])
    return [
        pair.figure("L2 replay through the whole engine", "events/s of CPU", at_least=1),
        at_most("memory grown in the second half of it", grown, FLAT_MB, "MB", "what flat means here"),
    ]


def main(n: str = "500000") -> None:
    """Print events per second and what was traded."""
    count = int(n)
    began = common.perf()
    events = build(count)
    built = common.perf() - began
    children = orders(count, data.l2(count)["ts"])
    engine = ready_engine(raised_guardian(), events[0].ts)
    road = Road(engine)
    process, on_data, carry = engine.process, road.matching.on_data, road.carry
    due, at = (children[0][0] if children else 1 << 62), 0
    halves = events[: count // 2], events[count // 2 :]
    resident = [common.rss_now_mb()]
    began = common.perf()
    for half in halves:
        for event in half:
            while due <= event.ts:
                carry(process(children[at][1]), due)
                at += 1
                due = children[at][0] if at < len(children) else 1 << 62
            on_data(event)
            effects = process(event)
            if effects:
                carry(effects, event.ts)
        resident.append(common.rss_now_mb())
    spent = common.perf() - began
    cash = -sum(fill.side.sign * float(fill.quantity) * float(fill.price) for fill in road.fills)
    held = sum(fill.side.sign * float(fill.quantity) for fill in road.fills)
    volume = sum(float(fill.quantity) for fill in road.fills)
    common.emit(
        "J2",
        "tradedeck",
        n=count,
        events_per_s=count / spent,
        us_per_event=spent / count * 1e6,
        secs=spent,
        secs_build_objects=built,
        balance=cash,
        position=held,
        volume=volume,
        rss_mb=common.rss_peak_mb(),
        first_half_mb=resident[1] - resident[0],
        second_half_mb=resident[2] - resident[1],
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
