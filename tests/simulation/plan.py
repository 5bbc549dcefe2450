"""What a seed decides before anything happens: the world, the trader's temper, and what goes wrong when."""

import random
from enum import StrEnum

import msgspec

from core.domain.message import Nanoseconds
from tests.simulation.machine import MS, S


class Fault(StrEnum):
    """What may go wrong at a moment."""

    DROP = "the link is lost"
    HALF_OPEN = "the link is half open"
    OUTAGE = "the venue cannot be reached for a while"
    LOSE_ANSWERS = "what the venue says next is lost, and the gap is noticed"
    LOSE_REQUESTS = "the next requests are lost"
    LOSE_RECEIPTS = "the next requests are carried out, and their receipts lost"
    LATE = "what the venue says of orders is late"
    REJECT = "the venue says no to the next orders"
    NO_POSITIONS = "the venue leaves positions out of its snapshots"
    FREEZE = "prices stop"
    STUCK_STAMP = "prices come under a stamp that stands still"
    CROSSED = "prices come crossed"
    SENSELESS = "prices come as NaN, negative and zero"
    CRASH = "the market falls"
    SPIKE = "the market rises"
    DISK_FULL = "the disk is full"
    DISK_ERROR = "the disk fails"
    DISK_STUCK = "the disk hangs"
    KILL = "the engine is killed"
    POWER = "the power is cut in the middle of a commit"
    STOP = "the engine is stopped and started again"
    CLOCK = "the system clock steps"
    SUSPEND = "the machine sleeps"
    SIDE = "what only shows and tells fails"
    CHECKPOINT = "a checkpoint is taken"


class Incident(msgspec.Struct, frozen=True):
    """One fault at its time."""

    at: Nanoseconds
    fault: Fault
    lasts: Nanoseconds
    venue: int


class Flow(msgspec.Struct, frozen=True):
    """Money that comes (a share of what was there at first) or, negative, leaves (a share of what is free)."""

    at: Nanoseconds
    venue: int
    share: float


class Silence(msgspec.Struct, frozen=True):
    """One pair of which nothing more is told for a while."""

    at: Nanoseconds
    lasts: Nanoseconds
    pair: int


class Mishap(StrEnum):
    """What may go wrong where a sentinel watches."""

    SENTINEL_KILLED = "the sentinel is killed"
    SENTINEL_KILLED_SOON = "the sentinel is killed between two of its steps"
    SENTINEL_FROZEN = "the sentinel is stopped and goes on"
    SENTINEL_STOPPED = "the sentinel ends in order and starts again"
    ENGINE_FROZEN = "the engine is stopped and goes on"
    BOTH_FROZEN = "engine and sentinel are stopped and go on"
    BOTH_KILLED = "engine and sentinel are killed"
    ENGINE_LOST = "the engine is killed, and for a while none can be started"
    LINE_LOST = "the sentinel loses its lines"
    LINE_SILENT = "the sentinel's lines are half open"
    POWER_CUT = "the machine loses its power"
    FILE_DAMAGED = "the machine loses its power, and the sentinel's file is damaged"


class Strike(msgspec.Struct, frozen=True):
    """One mishap at its time."""

    at: Nanoseconds
    mishap: Mishap
    lasts: Nanoseconds


class Plan(msgspec.Struct):
    """Everything that a seed decides in advance."""

    seed: int
    length: Nanoseconds
    pace: Nanoseconds
    """The mean time between two commands of the trader."""
    roomy: bool
    """The guardian's bounds are wide: positions may become so large that the venue liquidates."""
    amends: bool
    native: bool
    """The venue holds stops itself; otherwise they wait in the engine."""
    unordered: bool
    """What the venue says of orders may overtake each other."""
    twice: float
    """How often it is said twice."""
    slow_send: bool
    """A request waits for its turn before it leaves."""
    slow_answers: bool
    """Questions are answered late, behind what is said of orders meanwhile."""
    delay: tuple[Nanoseconds, Nanoseconds]
    incidents: list[Incident]
    strangers: list[Nanoseconds] = []
    """When somebody else trades in the same account."""
    flows: list[Flow] = []
    """Deposits and withdrawals."""
    guarded: bool = False
    """A sentinel watches the engine."""
    start: tuple[Nanoseconds, Nanoseconds] = (0, 1)
    """How long a start of the engine takes that the sentinel asks for, from and to."""
    strikes: list[Strike] = []
    paired: bool = False
    """A second pair trades the same coins."""
    stiff: bool = False
    """The venue says no to every change of a stop."""
    placing: bool = False
    """The guardian places a stop for what nobody protects."""
    deep: bool = False
    """Losses may be large before anything but the drawdown ladder acts."""
    crossing: bool = False
    """Another coin has its pair, and one pair trades it for the first."""
    swaps: list[Nanoseconds] = []
    """When somebody trades one coin for the other by hand."""
    silences: list[Silence] = []
    """When pairs of a coin fall silent that has several."""

    @property
    def differs(self) -> bool:
        """Tell whether something happens at the exchange that no order of ours explains."""
        return bool(self.strangers or self.flows or self.swaps)


_WEIGHTS = {Fault.KILL: 5, Fault.POWER: 2, Fault.DROP: 2, Fault.CRASH: 2, Fault.LATE: 2}


def plan_of(seed: int) -> Plan:
    """Return what a seed decides."""
    rng = random.Random(f"{seed}.plan")
    length = rng.randrange(3 * S, 8 * S)
    faults = list(Fault)
    weights = [_WEIGHTS.get(fault, 1) for fault in faults]
    chosen = rng.choices(faults, weights, k=rng.choice((0, 1, 2, 3, 3, 4, 5, 6)))
    incidents = [
        Incident(rng.randrange(500 * MS, length), fault, rng.randrange(200 * MS, 4 * S), rng.randrange(2))
        for fault in chosen
    ]
    fast = rng.random() < 0.7
    plan = Plan(
        seed,
        length,
        rng.choice((60, 120, 250)) * MS,
        roomy=rng.random() < 0.5,
        amends=rng.random() < 0.8,
        native=rng.random() < 0.7,
        unordered=rng.random() < 0.3,
        twice=rng.choice((0.0, 0.0, 0.1)),
        slow_send=rng.random() < 0.2,
        slow_answers=random.Random(f"{seed}.slow").random() < 0.15,
        delay=(1 * MS, 8 * MS) if fast else (20 * MS, 300 * MS),
        incidents=sorted(incidents, key=lambda one: one.at),
        strangers=_strangers(random.Random(f"{seed}.strangers"), length),
    )
    plan.flows = flows_of(random.Random(f"{seed}.flows"), plan)
    plan.deep = plan.roomy and random.Random(f"{seed}.ladder").random() < DEEP
    plan.stiff = random.Random(f"{seed}.no change").random() < STIFF
    plan.placing = random.Random(f"{seed}.stops").random() < PLACING
    plan.paired = random.Random(f"{seed}.second pair").random() < PAIRED
    crossed(plan, random.Random(f"{seed}.crossing pair"))
    return guarded(plan, random.Random(f"{seed}.guarded"))


_MISHAPS = {Mishap.ENGINE_LOST: 3, Mishap.ENGINE_FROZEN: 3, Mishap.SENTINEL_KILLED_SOON: 2}
DEEP = 0.2
"""In how many roomy worlds the drawdown ladder is the only bound."""
PAIRED = 0.2
"""In how many worlds a coin has two pairs."""
CROSSING = 0.2
"""In how many worlds a pair trades one coin for another."""
SILENT = 0.4
"""In how many worlds with several pairs of a coin one of them falls silent."""
STIFF = 0.1
"""In how many worlds no stop can be changed."""
PLACING = 0.15
"""In how many worlds the guardian places stops."""
GUARDED = 0.3
"""In how many worlds a sentinel watches."""
FLOWING = 0.1
"""In how many worlds money comes and goes."""
_AWAY = (Fault.DROP, Fault.HALF_OPEN, Fault.OUTAGE, Fault.KILL)


def flows_of(rng: random.Random, plan: Plan, share: float = FLOWING) -> list[Flow]:
    """Return what comes and goes, large and small: half of it soon behind a line or an engine that is lost."""
    if rng.random() >= share:
        return []
    flows = []
    for _ in range(rng.choice((1, 1, 2, 3))):
        at = rng.randrange(800 * MS, plan.length)
        away = [one for one in plan.incidents if one.fault in _AWAY]
        if away and rng.random() < 0.5:
            at = rng.choice(away).at + rng.randrange(300 * MS)
        # no deposit takes a withdrawal back to within the tolerance of a comparison
        sizes = (-0.8, -0.5, -0.2, -0.001) if rng.random() < 0.5 else (3.0, 0.6, 0.3, 0.004)
        flows.append(Flow(at, rng.randrange(2), rng.choice(sizes)))
    return sorted(flows, key=lambda one: one.at)


def crossed(plan: Plan, rng: random.Random) -> None:
    """Give a plan the pair of two coins, who swaps them, and silences: these go on for longer than most worlds."""
    plan.crossing = rng.random() < CROSSING
    if plan.crossing and rng.random() < 0.7:
        plan.swaps = sorted(rng.randrange(800 * MS, plan.length) for _ in range(rng.randrange(1, 5)))
    if (plan.crossing or plan.paired) and rng.random() < SILENT:
        one = Silence(rng.randrange(500 * MS, plan.length), rng.choice((3, 3, 6, 12, 20, 45)) * S, rng.randrange(12))
        plan.silences, plan.length = [one], max(plan.length, one.at + one.lasts + 3 * S)


def guarded(plan: Plan, rng: random.Random, share: float = GUARDED) -> Plan:
    """Return the plan with a sentinel beside the engine, or as it is."""
    if rng.random() >= share:
        return plan
    mishaps = list(Mishap)
    chosen = rng.choices(mishaps, [_MISHAPS.get(one, 1) for one in mishaps], k=rng.choice((0, 1, 1, 2, 2, 3)))
    late = int(plan.length * 0.7)
    strikes = [Strike(rng.randrange(600 * MS, late), one, rng.randrange(200 * MS, 5 * S)) for one in chosen]
    start = rng.choice(((100 * MS, 500 * MS), (500 * MS, 2 * S), (1 * S, 5 * S)))
    return msgspec.structs.replace(plan, guarded=True, start=start, strikes=sorted(strikes, key=lambda one: one.at))


def _strangers(rng: random.Random, length: Nanoseconds) -> list[Nanoseconds]:
    """Return when somebody else trades: in most worlds never."""
    return sorted(rng.randrange(500 * MS, length) for _ in range(rng.choice((0, 0, 0, 0, 0, 0, 0, 0, 1, 2))))
