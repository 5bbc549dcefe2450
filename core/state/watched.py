"""What the guardian's watch has decided and must not forget: a part of the state, changed by events alone."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec

from core.domain.events import DayStarted
from core.domain.identifiers import InstrumentId, StrategyId
from core.domain.instrument import ONE, ZERO
from core.domain.message import Nanoseconds
from core.domain.watch import DrawdownStepped, GuardianActed, LossAccepted, ProtectionChanged


class Watched(msgspec.Struct):
    """Keep the drawdown step in force, the losses a human has accepted, and who holds what without a stop."""

    step: int = 0
    """The drawdown step in force, from 1; 0 is none."""
    factor: Decimal = ONE
    base: Decimal = ZERO
    """What was held, gross, when the first step was entered (reporting currency); it goes with capital."""
    since: Nanoseconds = 0
    accepted: Decimal = ZERO
    """What the account had lost since the day's start when a human let it go on; it goes with capital."""
    accepted_day: Nanoseconds = 0
    """The day that was."""
    unprotected: dict[InstrumentId, str] = {}
    """Positions without a confirmed stop that should have one, and why."""
    owners: dict[InstrumentId, tuple[StrategyId, ...]] = {}
    """The strategies whose orders opened or enlarged what is held."""
    halted: bool = False
    """A loss of the account has halted, and no human has accepted it yet. Closed in time, it is within its bound."""
    day_base: Decimal = ZERO
    """What the day's loss counts from: the day's start, capital that came or went since as a factor; 0 is as it was."""
    gone: Decimal = ZERO
    """The equity that left where all of it was withdrawn; 0 is none. No fraction lost moves until money is back."""

    def handlers(self) -> dict[type, Callable[[Any], None]]:
        """Return what takes each event that concerns the watch alone."""
        return {
            DrawdownStepped: self.stepped,
            ProtectionChanged: self.protection_changed,
            GuardianActed: self.acted,
        }

    @property
    def most(self) -> float:
        """Return what may be held, gross, while a step is in force (reporting currency)."""
        return float(self.factor * self.base)

    def stepped(self, event: DrawdownStepped) -> None:
        """Another step of the drawdown ladder is in force."""
        self.step, self.factor, self.base, self.since = event.step, event.factor, event.base, event.ts

    def acted(self, event: GuardianActed) -> None:
        """The guardian has acted: a halt is remembered until a human resumes."""
        self.halted = self.halted or event.act == "halt"

    def accept(self, event: LossAccepted, day_start: Decimal, day: Nanoseconds) -> None:
        """A human lets trading go on: what was lost so far counts no more."""
        self.accepted, self.accepted_day = self.base_of(day_start) - event.equity, day
        self.step, self.factor, self.base, self.since = 0, ONE, ZERO, event.ts
        self.halted = False

    def base_of(self, day_start: Decimal) -> Decimal:
        """Return what the day's loss counts from, before what a human has accepted of it."""
        return self.day_base or day_start

    def day_begun(self, event: DayStarted, day: Nanoseconds, day_start: Decimal) -> None:
        """Another day begins, or capital has come or gone in this one: what was accepted stays the fraction it was."""
        before = self.base_of(day_start)
        self.gone = event.gone
        if event.ts < day:  # the clock went back: what was accepted goes along
            self.accepted_day, self.accepted = event.ts, self.accepted if self.accepted_day == day else ZERO
        if event.ts != day:
            self.day_base = event.base or event.equity
        elif event.base and before:
            factor = event.base / before
            self.accepted *= factor
            self.base *= factor
            self.day_base = event.base
        else:
            self.day_base = before + event.equity - day_start

    def protection_changed(self, event: ProtectionChanged) -> None:
        """A position has lost its stop, or has one again."""
        if event.missing:
            self.unprotected[event.instrument] = event.missing
        else:
            self.unprotected.pop(event.instrument, None)

    def filled(self, holding: InstrumentId, strategy: StrategyId, quantity: Decimal) -> None:
        """Remember whose order has filled, for as long as anything is held."""
        if not quantity:
            self.owners.pop(holding, None)
        elif strategy and strategy not in self.owners.get(holding, ()):
            self.owners[holding] = (*self.owners.get(holding, ()), strategy)

    def copy(self) -> "Watched":
        """Return the same in dicts of its own."""
        return msgspec.structs.replace(self, unprotected=dict(self.unprotected), owners=dict(self.owners))

    def restore(self, image: "Watched") -> None:
        """Take what an image holds."""
        theirs = image.copy()
        for name in self.__struct_fields__:
            setattr(self, name, getattr(theirs, name))
