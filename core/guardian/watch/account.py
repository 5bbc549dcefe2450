"""Rules of the whole account: the day's loss, and the drawdown ladder with its hysteresis."""

from collections.abc import Iterator

from core.config.settings import GuardianSettings
from core.guardian.watch.rule import ROUNDING, AccountRule, Act, Scene, Use, Verdict
from core.state.state import State


def day_base(state: State) -> float:
    """Return the equity that the day's loss counts from: the day's start, less what a human has accepted of it."""
    watched = state.watched
    accepted = watched.accepted if watched.accepted_day == state.day_started else 0
    return float(watched.base_of(state.day_start) - accepted)


class DailyLoss(AccountRule):
    """A loss since the day's start closes everything and halts, early enough that closing it stays within the bound."""

    name = "max_daily_loss"
    key = "max_daily_loss_frac"

    def judge(self, scene: Scene) -> Verdict | None:
        """Return that all is to be closed, or None."""
        base, bound = day_base(scene.state), self.settings.max_daily_loss_frac
        if scene.blind or base <= 0.0:
            return None
        lost = (base - scene.equity + scene.closing) / base
        if lost < bound - ROUNDING:
            return None
        reason = f"the day's loss is {lost:.2%} of {base:,.2f} (bound {bound:.2%})"
        if scene.closing:
            reason += f", {scene.closing / base:.2%} of it what closing costs"
        return Verdict(self.name, self.key, self.act, lost, bound, reason)

    def floor(self, scene: Scene) -> float:
        """Return the equity at which the day's loss is reached."""
        return day_base(scene.state) * (1.0 - self.settings.max_daily_loss_frac + ROUNDING) + scene.closing

    def uses(self, scene: Scene) -> Iterator[Use]:
        """Yield the day's loss."""
        base, bound = day_base(scene.state), self.settings.max_daily_loss_frac
        if base > 0.0 and not scene.blind:
            lost = max(0.0, (base - scene.equity + scene.closing) / base)
            yield Use(lost, bound, f"{lost:.1%}", f"{bound:.1%}")


class Drawdown(AccountRule):
    """The deeper below its peak, the less may be held; a step is left only when the account has come back for good."""

    name = "drawdown"
    key = "drawdown_steps"
    act = Act.REDUCE

    def __init__(self, settings: GuardianSettings) -> None:
        super().__init__(settings)
        self.steps = settings.drawdown_steps

    def judge(self, scene: Scene) -> Verdict | None:
        """Return the step that is to be in force where it is another, or None."""
        if scene.blind or scene.state.peak <= 0:
            return None
        depth, now = self.depth(scene), scene.state.watched.step
        step = self.step_at(depth, now)
        if step == now:
            return None
        peak = float(scene.state.peak)
        if step < now:
            reason = f"the drawdown is back to {depth:.2%} of the peak {peak:,.2f}: step {step} of {len(self.steps)}"
            return Verdict(self.name, self.key, Act.EASE, depth, self._bound(now), reason, step=step)
        bound, factor = self.steps[step - 1]
        act = self.act if factor else Act.HALT
        what = f"{factor:g} of what was held" if factor else "flat and HALTED"
        reason = f"drawdown {depth:.2%} from the peak {peak:,.2f} (step {step} at {bound:.2%}): {what}"
        return Verdict(self.name, self.key, act, depth, bound, reason, step=step)

    def step_at(self, depth: float, now: int) -> int:
        """Return the step in force at a drawdown, ``now`` being in force: entered at once, left with a margin."""
        reached = sum(1 for bound, _ in self.steps if depth >= bound - ROUNDING)
        margin = self.settings.drawdown_recovery_frac
        kept = sum(1 for bound, _ in self.steps[:now] if depth > bound - margin + ROUNDING)
        return max(reached, kept)

    def floor(self, scene: Scene) -> float:
        """Return the equity at which the next step is reached."""
        step = scene.state.watched.step
        if step >= len(self.steps):
            return 0.0
        return float(scene.state.peak) * (1.0 - self.steps[step][0] + ROUNDING)

    def _bound(self, step: int) -> float:
        return self.steps[min(step, len(self.steps)) - 1][0]

    def depth(self, scene: Scene) -> float:
        """Return the fraction lost from the peak."""
        peak = max(float(scene.state.peak), scene.equity)
        return 1.0 - scene.equity / peak
