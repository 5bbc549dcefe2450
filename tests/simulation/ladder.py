"""What the drawdown ladder must have done: from the records and the account's value as it is reckoned beside them."""

from collections.abc import Sequence

from core.config.settings import GuardianSettings
from core.domain import events as e
from core.domain.approval import TradingState
from core.domain.identifiers import InstrumentId
from core.domain.message import Event
from core.domain.watch import DrawdownStepped, LossAccepted

SLACK = 0.002
"""What a double, a spread and the last digit may make of a loss; it counts only beyond that."""
OUTGROWN = 1.05 + SLACK
"""What is held may outgrow a step by so much through prices alone."""
_SETTINGS = GuardianSettings()
STEPS, RECOVERY = _SETTINGS.drawdown_steps, _SETTINGS.drawdown_recovery_frac


class Ladder:
    """Follow the peak and the step in force."""

    def __init__(self) -> None:
        self.step = 0
        self._peak = 0.0
        self._most = 0.0

    def take(self, event: Event, equity: float | None) -> str:
        """Take a record; return what is wrong with it, or nothing."""
        if isinstance(event, e.PeakRaised):
            self._peak = float(event.equity)
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
