"""What the drawdown ladder must have done: from the records and the account's value as it is reckoned beside them."""

from collections.abc import Sequence

from core.config.settings import GuardianSettings
from core.domain import events as e
from core.domain.approval import TradingState
from core.domain.identifiers import InstrumentId
from core.domain.message import Event
from core.domain.watch import DrawdownStepped, GuardianActed, LossAccepted

SLACK = 0.002
"""What a double, a spread and the last digit may make of a loss; it counts only beyond that."""
SAME = 0.0005
"""Two ways to the same sum differ by no more than this."""
OUTGROWN = 1.05 + SLACK
"""What is held may outgrow a step by so much through prices alone."""
_DEEPER = frozenset({"halt", "reduce"})
_SETTINGS = GuardianSettings()
STEPS, RECOVERY = _SETTINGS.drawdown_steps, _SETTINGS.drawdown_recovery_frac


class Ladder:
    """Follow the peak and the step in force."""

    def __init__(self) -> None:
        self.step = 0
        self._peak = 0.0
        self._most = 0.0

    def moved(self, factor: float, added: float) -> None:
        """Take that capital came or went: the peak goes with it, and what a step leaves."""
        self._most *= factor
        self._peak = self._peak * factor + added

    def take(self, event: Event, equity: float | None, most: float, *, trusted: bool = False) -> str:
        """Take a record; return what is wrong with it, or nothing. ``most``: the most that the account may be worth."""
        if isinstance(event, e.PeakRaised):
            before, self._peak = self._peak, float(event.equity)
            if before and equity is not None and not trusted:
                if self._peak < before * (1.0 - SAME):
                    return f"invariant 10: the peak goes from {before:.2f} to {self._peak:.2f}"
                if self._peak > max(before, most) * (1.0 + SAME):
                    return f"the peak is {self._peak:.2f}, and the account was worth {max(before, most):.2f} at most"
        elif isinstance(event, LossAccepted):
            self._peak, self.step = float(event.equity), 0
        elif isinstance(event, DrawdownStepped):
            before, self.step, self._most = self.step, event.step, float(event.factor * event.base)
            depth = self._depth(equity)
            if event.step < before and depth is not None and depth > STEPS[before - 1][0] - RECOVERY + SLACK:
                return f"invariant 10: step {before} of the drawdown is left at {depth:.2%}"
        return ""

    def _depth(self, equity: float | None) -> float | None:
        return None if equity is None or not self._peak else 1.0 - equity / self._peak

    def caused(self, event: GuardianActed, equity: float) -> str:
        """See that a step was entered at its depth."""
        depth = self._depth(equity)
        if event.act in _DEEPER and depth is not None and depth < STEPS[max(self.step, 1) - 1][0] - SLACK:
            return f"step {self.step} of the drawdown without a cause, at {depth:.2%}: {event}"
        return ""

    def look(self, equity: float, gross: float, trading: TradingState, left: Sequence[InstrumentId]) -> str:
        """Return what a look of the watch has left undone; ``left`` is held and neither closed nor reduced."""
        depth = self._depth(equity)
        if depth is None:
            return ""
        reached = sum(1 for bound, _ in STEPS if depth > bound + SLACK)
        if reached > self.step:
            return f"invariant 10: the drawdown is {depth:.2%}, and step {self.step} is in force"
        if self.step == len(STEPS) and trading is not TradingState.HALTED and reached == self.step:
            return f"invariant 10: the drawdown is {depth:.2%}, and trading is {trading}"
        if self.step and gross > self._most * OUTGROWN and left:
            return f"invariant 10: step {self.step} leaves {self._most:.2f}, {gross:.2f} is held, {left} is not reduced"
        return ""
