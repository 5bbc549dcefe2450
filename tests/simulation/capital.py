"""Money that comes and goes beside trading, and the trader who says that it is capital."""

import random
from decimal import Decimal
from typing import TYPE_CHECKING

from core.domain.differences import DifferenceKind, Resolution, ResolveDifference
from tests.simulation.machine import MS, S
from tests.simulation.plan import Flow

if TYPE_CHECKING:
    from tests.simulation.world import World


class Capital:
    """Move what the plan moves, once the account there is on record, and say a word on what then differs."""

    def __init__(self, world: "World") -> None:
        self.world, self.machine = world, world.machine
        self.rng = random.Random(f"{world.plan.seed}.capital")
        self.calm_until = 0
        """The trader gives nothing before: two looks agree only where nothing is booked between them."""

    def begin(self) -> None:
        """Have everything flow at its time."""
        for flow in self.world.plan.flows:
            self.machine.after(flow.at, lambda one=flow: self._flow(one))  # type: ignore[misc]
        if self.world.plan.flows:
            self._look()

    def _flow(self, flow: Flow) -> None:
        audit = self.world.audit
        exchange = list(self.world.exchanges.values())[flow.venue]
        if exchange.id not in audit.opened:  # it would be part of what we began with
            if self.world.trading:
                self.machine.after(500 * MS, lambda: self._flow(flow))
            return
        amount = exchange.flow(flow.share)
        if not amount:
            return
        audit.note("capital", (exchange.id, amount))
        audit.counts["capital flows"] += 1
        audit.flows[exchange.id].append(float(amount))
        self.calm_until = self.machine.now + self.rng.randrange(4 * S)

    def _look(self) -> None:
        self.say()
        self.machine.after(self.rng.randrange(100 * MS, 600 * MS), self._look)

    def say(self) -> None:
        """Say of every wallet that differs that it is capital; not where fills that came late make it differ."""
        process, audit = self.world.process, self.world.audit
        if process is None or not process.up:
            return
        for one in process.engine.state.differences.standing.values():
            if one.kind is DifferenceKind.BALANCE and one.venue not in audit.disordered and one.gap != Decimal(0):
                process.give(
                    ResolveDifference(one.number, Resolution.ADOPTED, capital=True, who="trader", origin="sim")
                )
