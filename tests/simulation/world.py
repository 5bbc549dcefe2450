"""One simulation: a machine, a disk, exchanges, an engine that lives and dies there, a trader, and the audit."""

import contextlib
import random
import shutil
import tempfile
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import structlog

from core import clock as clocks
from core.digest import Digest
from core.domain.approval import Approved, TradingState
from core.domain.commands import CancelAll, Flatten, SetTradingState
from core.domain.differences import Resolution, ResolveDifference
from core.domain.identifiers import VenueId, holding_of
from core.domain.instrument import Instrument
from core.domain.order import OrderStatus
from core.errors import JournalDamaged
from core.guardian import pulse
from core.state.brackets import STOP
from tests.core.kit import BTC_PERP, BTC_SPOT, BTC_USDC, ETH_BTC, ETH_PERP, ETH_SPOT
from tests.simulation.audit import Audit
from tests.simulation.capital import Capital
from tests.simulation.disk import Disk
from tests.simulation.losses import FAR
from tests.simulation.machine import MOST_STEPS, MS, Machine, ProcessLoop, S
from tests.simulation.plan import Plan, Silence, plan_of
from tests.simulation.process import Process
from tests.simulation.protecting import Protecting
from tests.simulation.sentinel import Side
from tests.simulation.trader import Given, Trader
from tests.simulation.trouble import Trouble
from tests.simulation.venue import Exchange

UNLOCKED = frozenset({BTC_PERP.id, ETH_PERP.id})
"""Where other orders lock nothing that a stop would need."""
_NOT_THERE = frozenset({OrderStatus.APPROVED, OrderStatus.SUBMITTED})
SETTLED_WITHIN = 60 * S
LATE, SOON, COMPARED = 9, 4, 24
"""Looks (250 ms) that must find it at rest: longer than anything is on its way, after the troubles and without, and
than two comparisons take."""
DUST = Decimal("1e-15")
"""Averages are divisions: their last of 28 digits may differ where positions were added up in other steps."""
WORDS = 4
"""Times that the trader says a word on what differs, at most."""


def listed(plan: Plan) -> dict[VenueId, tuple[Instrument, ...]]:
    """Return what each venue lists."""
    pairs: tuple[Instrument, ...] = (BTC_SPOT, BTC_USDC) if plan.paired else (BTC_SPOT,)
    return {
        BTC_PERP.venue: (BTC_PERP, ETH_PERP),
        BTC_SPOT.venue: (*pairs, ETH_SPOT, ETH_BTC) if plan.crossing else pairs,
    }


def brief(value: object) -> str:
    """Return a value without what is as it always is."""
    if isinstance(value, Approved):
        return f"{'urgent ' if value.urgent else ''}{brief(value.command)}"
    if isinstance(value, msgspec.Struct):
        told = []
        for field in msgspec.structs.fields(value):
            content = getattr(value, field.name)
            if content != field.default and field.name != "ts_exchange":
                told.append(f"{field.name}={brief(content)}")
        return f"{type(value).__name__}({', '.join(told)})"
    if isinstance(value, (tuple, list)):
        return f"[{', '.join(map(brief, value))}]"
    return str(value)


class Result(msgspec.Struct):
    """What a simulation showed."""

    seed: int
    digest: str
    wrong: list[str]
    steps: int
    lives: int
    counts: dict[str, int]
    recent: list[str]


class World:
    """Everything of one seed."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        self.plan = plan
        self.machine = Machine()
        self.machine.killed = self._killed_in
        self.audit = Audit(self.machine)
        self.audit.spot = frozenset({BTC_SPOT.venue})
        self.audit.crossing = plan.crossing
        self.audit.messy = plan.unordered or plan.twice > 0
        self.digest = Digest()
        self.disk = Disk(self.machine, folder, random.Random(f"{plan.seed}.disk"))
        self.disk.durable = self.audit.written
        self.disk.failed = self.audit.disk_failed
        self.disk.is_frozen = lambda: self.process is not None and self.process.loop.frozen
        self.exchanges: dict[VenueId, Exchange] = {
            venue: Exchange(self.machine, venue, instruments, plan, self.audit)
            for venue, instruments in listed(plan).items()
        }
        self.audit.protecting = Protecting(self)
        self.audit.bounds = (0.9, 0.9) if plan.deep else self.audit.bounds
        self.trader = Trader(plan.seed, roomy=plan.roomy)
        self.capital = Capital(self)
        self.trouble = Trouble(self)
        self.process: Process | None = None
        self.side = Side(self, folder) if plan.guarded else None
        if self.side is not None:
            self.audit.guarding = self.side.guarding
        self.trading = True
        self.lives = 0

    # --- lives ------------------------------------------------------------------------------------------------------

    def boot(self) -> None:
        """Start the engine, if none runs."""
        if self.process is None and not self.audit.wrong:
            self.lives += 1
            try:
                self.process = Process(self)
            except JournalDamaged as damage:
                self.audit.fail(f"invariant 2: the journal of a crash is refused: {damage}")

    def _killed_in(self, loop: ProcessLoop | None) -> None:
        """End the process that was killed without a word; where its disk was in the middle of it, the power is gone."""
        if self.side is not None and loop is None and self.disk.is_torn:
            self.side.power_cut()
        elif self.side is not None and self.side.sentinel is not None and loop is self.side.sentinel.loop:
            self.side.end()
        else:
            self._killed()

    def _killed(self) -> None:
        if self.process is not None:
            self.end(self.process)
            if self.side is None:
                self.machine.after(self.trouble.rng.randrange(50 * MS, 2 * S), self.boot)

    def end(self, process: Process) -> None:
        """Leave behind what the disk and the exchanges have."""
        process.loop.kill()
        self.process = None
        for exchange in self.exchanges.values():
            if exchange.link is not None:
                exchange.link.drop("the engine is gone", told=False)
        self.disk.crash()
        self.audit.died()

    def restart_later(self, process: Process, delay: int) -> None:
        """Try again, as whoever started the engine would."""

        def again() -> None:
            if self.process is process:
                self.end(process)
                self.boot()

        self.machine.after(delay, again)

    # --- the trader -------------------------------------------------------------------------------------------------

    def trade(self) -> None:
        """Give the next command, and think again after a while."""
        if not self.trading:
            return
        rng = self.trader.rng
        self.machine.after(int(rng.expovariate(1) * self.plan.pace), self.trade)
        process = self.process
        if process is None or not process.up or self.machine.now < self.capital.calm_until:
            return
        command = self.trader.next(process.engine.state)
        if rng.random() < 0.2:
            command = self.trader.unanswered() or command
        if command is not None:
            given = Given(command)
            self.trader.given.append(given)
            self.trouble.commanded()
            process.give(command, given)

    def _stranger(self) -> None:
        """Have somebody else trade; what was there before our first look would be part of what we began with."""
        if BTC_PERP.venue in self.audit.opened:
            self.exchanges[BTC_PERP.venue].stranger()
        elif self.trading:
            self.machine.after(500 * MS, self._stranger)

    def _swap(self) -> None:
        """Have somebody trade one coin for the other, once there is any."""
        known = BTC_SPOT.venue in self.audit.opened
        if self.trading and not (known and self.exchanges[BTC_SPOT.venue].swap()):
            self.machine.after(300 * MS, self._swap)

    def _silence(self, silence: Silence) -> None:
        """Have nothing more be told of one pair."""
        exchange = self.exchanges[BTC_SPOT.venue]
        pair = exchange.instruments[silence.pair % len(exchange.instruments)].id
        self.audit.note("trouble", f"nothing is told of {pair} for {silence.lasts / S:g} s")
        exchange.feed[pair] = self.machine.now + silence.lasts

    # --- the whole --------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Live through it: trade with troubles, come to rest, compare, close everything, compare again."""
        machine, plan = self.machine, self.plan
        self.boot()
        machine.after(300 * MS, self.trade)
        for incident in plan.incidents:
            machine.after(incident.at, lambda one=incident: self.trouble.begin(one))  # type: ignore[misc]
        for at in plan.strangers:
            machine.after(at, self._stranger)
        for at in plan.swaps:
            machine.after(at, self._swap)
        for silence in plan.silences:
            machine.after(silence.at, lambda one=silence: self._silence(one))  # type: ignore[misc]
        self.capital.begin()
        if self.side is not None:
            self.side.begin()
        machine.run(self._over, plan.length)
        self.trading = False
        self.trouble.heal()
        if self.side is not None:
            self.side.heal()
        if not self._rest("after the troubles", COMPARED if plan.differs else LATE):
            return
        assert self.process is not None
        if plan.differs and not self._say_a_word():
            return
        self._compare()
        if self.process.engine.state.trading_state is not TradingState.ACTIVE:
            self.process.give(SetTradingState(TradingState.ACTIVE, "", "RESUME", "trader", "sim"))
        self.process.give(CancelAll(None, "sim"))
        self.process.give(Flatten(None, "sim"))
        if self._rest("after the last flatten"):
            self._compare()
            self._flat()
            self._killed()
        if self._rest("after the last restart"):
            self._compare()
            self._flat()

    def _say_a_word(self) -> bool:
        """Adopt what differs until nothing does: a slow exchange's second look comes late."""
        for _ in range(WORDS):
            assert self.process is not None
            self.capital.say()
            self.process.give(ResolveDifference(0, Resolution.ADOPTED, who="trader", origin="sim"))
            if not self._rest("after the trader's word", COMPARED):
                return False
            state = self.process.engine.state
            if not state.differences.standing and not any(one.foreign for one in state.blotter.open.values()):
                break
        return True

    def _over(self) -> bool:
        if self.machine.steps > MOST_STEPS:
            self.audit.fail("it goes round and round")
        return bool(self.audit.wrong)

    def _rest(self, when: str, looks: int = SOON) -> bool:
        """Wait until nothing goes on; tell whether all is well so far."""
        end = self.machine.now + SETTLED_WITHIN
        quiet = 0
        while self.machine.now < end and not self.audit.wrong:
            self.machine.run(self._over, 250 * MS)
            if self.side is None or self.side.needs_hand():
                self.boot()
            if self.side is not None and self.side.needs_hand():
                self.side.start()
            if self.process is None or not self.process.quiet():
                quiet = 0
            elif not self.process.busy:
                quiet += 1
            if quiet == looks:
                return not self.audit.wrong
        if not self.audit.wrong:
            self.audit.fail(f"{when}: not at rest after 60 s: {self._picture()}")
        return False

    def _picture(self) -> str:
        process = self.process
        if process is None:
            return "no engine"
        state = process.engine.state
        views = {venue: state.venue(venue) for venue in self.exchanges}
        orders = {id_: str(record.status) for id_, record in state.blotter.open.items()}
        return f"{views} {orders} closing {state.exits.flattening} journal {process.journal.complaint!r}"

    def _compare(self) -> None:
        """Hold the engine's account against what the exchanges have."""
        assert self.process is not None
        audit, state = self.audit, self.process.engine.state
        for venue, exchange in self.exchanges.items():
            snapshot = exchange.matching.snapshot(0)
            theirs = {one.client_order_id: one.order.quantity - one.filled for one in snapshot.open_orders}
            ours = {
                id_: record.remaining
                for id_, record in state.blotter.open.items()
                if record.venue == venue and record.status not in _NOT_THERE
            }
            if ours != theirs:
                audit.fail(f"invariant 2: open orders at {venue} are {theirs}, the engine has {ours}")
            for fill in audit.at_venue.get(venue, {}).values():
                if (venue, str(fill.fill_id)) not in audit.shadow.fills:
                    audit.fail(f"invariant 20: {venue} filled {fill}, the engine does not know")
            wallets = {one.asset: one.total for one in snapshot.balances if one.total}
            kept = {asset: total for asset, total in state.ledger.balances.get(venue, {}).items() if total}
            none = Decimal(0)
            off = max((abs(wallets.get(one, none) - kept.get(one, none)) for one in wallets | kept), default=none)
            if off > DUST and venue not in audit.disordered:
                audit.fail(f"wallets at {venue} are {wallets}, the engine has {kept}")
        standing = [one for one in state.differences.standing.values() if one.venue not in audit.disordered]
        if standing:
            audit.fail(f"adopted, and yet there stands {standing}")
        if audit.shadow.flattening:
            audit.fail(f"invariant 10: closing {sorted(audit.shadow.flattening)} is given up in silence")
        self._positions()
        self._entries()
        self._protected()

    def _protected(self) -> None:
        """See that every bracket's stop covers what is left of it, and that none is left behind."""
        assert self.process is not None
        state = self.process.engine.state
        for record in state.blotter.open.values():
            if record.order.strategy_intent != STOP or state.brackets.find(record.order.parent) is not None:
                continue
            held = state.ledger.positions.get(holding_of(record.order.instrument))
            if not record.found or held is None or held.quantity * record.order.side.sign >= 0:
                self.audit.fail(f"invariant 16: what {record.order} was for is over")
        for bracket in state.brackets.all():
            stops = [one for one in state.blotter.open.values() if one.order.parent == bracket.entry]
            covered = sum((one.remaining for one in stops), Decimal(0))
            smallest = state.markets[bracket.instrument].instrument.min_size
            if bracket.instrument in UNLOCKED and bracket.stop is not None and abs(bracket.left - covered) >= smallest:
                self.audit.fail(f"invariant 16: {bracket} is covered by {covered}")

    def _positions(self) -> None:
        assert self.process is not None
        state = self.process.engine.state
        for instrument in (BTC_PERP, ETH_PERP):
            position = state.ledger.positions.get(instrument.holding)
            ours = position.quantity if position is not None else 0
            theirs = self.audit.truth[instrument.id]
            if ours != theirs:
                self.audit.fail(f"invariant 2: {instrument.id} is {theirs} at the exchange, the engine has {ours}")

    def _entries(self) -> None:
        """See that coins, wherever they came from, are entered at about what they cost in dollars."""
        assert self.process is not None
        for pair in (BTC_SPOT, ETH_SPOT):
            position = self.process.engine.state.ledger.positions.get(pair.holding)
            cost = self.audit.losses.entry_of(pair.id)
            if position is not None and abs(float(position.entry_price) / cost - 1.0) > FAR:
                self.audit.fail(f"{pair.base} cost {cost:.2f}, and is entered at {position.entry_price}")

    def _flat(self) -> None:
        for exchange in self.exchanges.values():
            left = exchange.matching.snapshot(0)
            if left.open_orders or any(one.quantity for one in left.positions):
                self.audit.fail(f"invariant 10: not flat after the last flatten: {left.open_orders} {left.positions}")
            wallets = {one.asset: one.total for one in left.balances}
            for pair in [one for one in (BTC_SPOT, ETH_SPOT) if one in exchange.instruments]:
                coins = wallets.get(pair.base, Decimal(0))
                least = max(pair.min_size, pair.min_notional / Decimal(repr(exchange.dearest(pair.base))))
                if coins > least + pair.size_step:
                    held = f"{coins} {pair.base}"
                    self.audit.fail(f"invariant 10: {held} are held after the last flatten, an order takes {least}")

    def result(self) -> Result:
        """Return what was shown, with the last steps where something was wrong."""
        steps = self.audit.recent if self.audit.wrong else ()
        recent = [f"{now / S:9.4f} {kind:9} {brief(what)}" for now, kind, what in steps]
        return Result(
            self.plan.seed,
            self.digest.hex(),
            self.audit.wrong,
            self.machine.steps,
            self.lives,
            dict(self.audit.counts),
            recent,
        )


@contextlib.contextmanager
def _watched(world: World) -> Iterator[None]:
    """Give the engine's clock the machine's, and the audit every error that is logged."""
    before, real = structlog.get_config(), vars(clocks)["time"]
    timed = (vars(clocks), vars(pulse))

    def sink(logger: Any, method: str, event: Any) -> Any:
        if method in {"error", "exception", "critical"} and not world.trouble.expected(event):
            world.audit.fail(f"logged: {event}")
        raise structlog.DropEvent

    structlog.configure(processors=[structlog.processors.ExceptionRenderer(), sink], cache_logger_on_first_use=False)
    for module in timed:
        module["time"] = world.machine
    try:
        yield
    finally:
        for module in timed:
            module["time"] = real
        structlog.configure(**before)


def simulate(seed: int, plan: Plan | None = None) -> Result:
    """Run one seed."""
    shared = Path("/dev/shm")
    folder = tempfile.mkdtemp(prefix="tdsim-", dir=shared if shared.is_dir() else None)
    with contextlib.chdir(folder):  # the journal's errors name its path: it must be the same in every run
        world = World(plan or plan_of(seed), Path())
        try:
            with _watched(world):
                world.run()
            return world.result()
        finally:
            if world.process is not None:
                world.process.loop.kill()
            if world.side is not None:
                world.side.close()
            world.disk.close()
            shutil.rmtree(folder, ignore_errors=True)
