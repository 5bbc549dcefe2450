"""Studies, their trials and the configs that came of them: what a researcher tells, and what a trader asks of it.

The meaning of the figures stands in the research pages: score = total return / (maximum drawdown × leverage factor);
fractions are fractions (0.2 is 20 %), drawdowns positive.
"""

from decimal import ROUND_DOWN, Decimal
from enum import StrEnum

import msgspec

from core.domain.identifiers import InstrumentId
from core.domain.message import Command, Data, Nanoseconds

NO_RESEARCHER = "no researcher is running: start one with `tradedeck study run FILE`"
_CENT = Decimal("0.01")
Parameter = bool | int | float | str
"""One value of a strategy's parameter."""


class StudyState(StrEnum):
    """Where a study stands."""

    SCHEDULED = "scheduled"
    """It waits for its time."""
    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPED = "stopped"
    FINISHED = "finished"
    FAILED = "failed"


class Study(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One study at a glance. ``best_score`` is None before a trial counted; ``rate`` is trials a minute."""

    id: str
    strategy_id: str
    state: StudyState
    trials_done: int = 0
    trials_total: int = 0
    windows_done: int = 0
    windows_total: int = 0
    best_score: float | None = None
    rate: float | None = None
    seconds_left: float | None = None
    schedule: str = ""
    """When it runs by itself, in words (``Mon 02:00``); empty where nobody scheduled it."""
    next_run: Nanoseconds = 0
    started: Nanoseconds = 0
    reason: str = ""
    """Why it paused, stopped or failed."""


class Gate(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One gate before promotion: its figure, what it had to be, and whether it was passed."""

    name: str
    value: str
    bound: str
    passed: bool


class Trial(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One trial's figures; None where a figure does not exist.

    ``efficiency`` is the trial's own, in its window: annualised out-of-sample return over in-sample return (the gate's
    walk-forward efficiency is that of the best trials of every window); ``dsr`` the deflated Sharpe ratio, ``pbo`` the
    probability of backtest overfitting. A liquidated trial has no score.
    """

    number: int
    score: float | None
    calmar: float | None
    total_return: float | None
    max_drawdown: float | None
    leverage: float
    trades: int
    efficiency: float | None = None
    dsr: float | None = None
    pbo: float | None = None
    gates_passed: int = 0
    gates_total: int = 0
    liquidated: Nanoseconds = 0
    """When it was liquidated first; 0 where it never was."""
    liquidated_in: InstrumentId = InstrumentId("")


class Trials(msgspec.Struct, frozen=True):
    """The best trials of a study, the best first, the liquidated last; ``total`` counts all of them."""

    trials: tuple[Trial, ...]
    total: int


class Plateau(msgspec.Struct, frozen=True, gc=False):
    """The score over two parameters around a trial: a row for each ``y``, a column for each ``x``; None: not tried."""

    x: str
    y: str
    xs: tuple[float, ...]
    ys: tuple[float, ...]
    scores: tuple[tuple[float | None, ...], ...]


class Held(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One trade on the picture of a price: the points at which it began and ended, at which prices, what it earned."""

    opened: int
    closed: int
    entry: float
    exit: float
    profit: float


class TrialReport(msgspec.Struct, frozen=True):
    """One trial whole. The two equity series are of the same step and follow each other; at most some 500 points."""

    study: str
    strategy_id: str
    trial: Trial
    gates: tuple[Gate, ...] = ()
    parameters: dict[str, Parameter] = {}
    equity_in: tuple[float, ...] = ()
    equity_out: tuple[float, ...] = ()
    plateau: Plateau | None = None
    instruments: tuple[InstrumentId, ...] = ()
    margin_mode: str = ""
    max_position_size: float | None = None
    data_from: Nanoseconds = 0
    data_to: Nanoseconds = 0
    code_version: str = ""
    prices: tuple[float, ...] = ()
    """Closes of the first instrument at the points of both equity series; NaN before it had any."""
    held: tuple[Held, ...] = ()
    """Its trades on them, the newest 200."""
    months: tuple[tuple[str, float], ...] = ()
    """What each month brought (``2024-03``, a fraction); a month of both stretches stands twice."""
    strategy: str = ""
    """The library's strategy that takes the parameters."""
    capital: float = 0.0
    """What each instrument's wallet began with, or the one that all share; 0 is not told."""
    interval: str = ""


class ConfigStatus(StrEnum):
    """Whether a strategy runs by this config."""

    ACTIVE = "active"
    HISTORY = "history"


class Config(msgspec.Struct, frozen=True, gc=False):
    """One promoted config: one is active for each strategy, the others are history."""

    strategy_id: str
    version: int
    status: ConfigStatus
    instruments: tuple[InstrumentId, ...]
    parameters: dict[str, Parameter]
    leverage: float
    margin_mode: str
    max_position_size: float
    """The largest notional of a position, in its quote asset; 0 is none."""
    score: float | None
    study: str
    trial: int
    promoted_at: Nanoseconds
    promoted_by: str
    metrics: dict[str, float] = {}
    data_from: Nanoseconds = 0
    data_to: Nanoseconds = 0
    code_version: str = ""
    hash: str = ""
    strategy: str = ""
    """The library's strategy that takes the parameters."""
    interval: str = ""
    """The bars it is decided on, such as ``1h``."""
    capital: float = 0.0
    """What each instrument's own account began with in the study, in its quote asset: what a live one begins with.

    Of one wallet that several share it is all of it.
    """

    @property
    def key(self) -> str:
        """Return what names this version of this strategy's config."""
        return f"{self.strategy_id} v{self.version}"

    @property
    def shares_wallet(self) -> bool:
        """Tell whether its instruments stand behind each other with one wallet."""
        return self.margin_mode == "cross" and len(self.instruments) > 1

    def capitals(self) -> tuple[Decimal, ...]:
        """Return what each instrument's account begins with: the capital, or its part of a wallet that is shared."""
        capital, count = Decimal(repr(self.capital)), len(self.instruments)
        if not self.shares_wallet:
            return (capital,) * count
        part = (capital / count).quantize(_CENT, ROUND_DOWN)
        return (capital - part * (count - 1), *(part,) * (count - 1))


# --- commands, which the researcher carries out -----------------------------------------------------------------------


class PromoteTrial(Command, frozen=True):
    """Make a trial the active config of its strategy. ``over`` is the version it was compared with, 0 for none."""

    study: str
    trial: int
    over: int = 0
    origin: str = ""
    ts: Nanoseconds = 0


class RollBackConfig(Command, frozen=True):
    """Make an earlier version of a strategy's config active again, as a new version. ``over``: what was active."""

    strategy_id: str
    version: int
    over: int = 0
    origin: str = ""
    ts: Nanoseconds = 0


class AdoptConfig(Command, frozen=True):
    """Have a strategy run by this config from the next bar on, if the guardian allows it; the engine's own.

    One that is history ends its strategy: what it holds is closed and nothing takes its place.
    """

    config: Config
    origin: str = ""
    ts: Nanoseconds = 0


class StartStudy(Command, frozen=True):
    """Start the study that a file describes."""

    file: str
    origin: str = ""
    ts: Nanoseconds = 0


class StopStudy(Command, frozen=True):
    """Stop a study; what its trials found stays."""

    study: str
    origin: str = ""
    ts: Nanoseconds = 0


class ScheduleJob(Command, frozen=True):
    """Have a study searched anew, or a chore done, by itself.

    ``when`` is a time in words (``mon 02:00``, ``daily 03:00``, ``hourly``), ``off``, ``pause``, ``resume`` or ``now``.
    """

    job: str
    when: str
    origin: str = ""
    ts: Nanoseconds = 0


FOR_RESEARCHER = (PromoteTrial, RollBackConfig, StartStudy, StopStudy, ScheduleJob)
"""Commands that the engine hands on and does not carry out."""


# --- data -------------------------------------------------------------------------------------------------------------


class ResearcherStatus(Data, frozen=True):
    """A researcher came (``attached``) or went; what it told before is what it knew until then.

    ``trouble`` says why work waits for one that does not come.
    """

    attached: bool
    name: str
    ts: Nanoseconds
    trouble: str = ""


class StudyChanged(Data, frozen=True):
    """How one study stands now; replaces what was told of it before."""

    study: Study
    ts: Nanoseconds


class ConfigsStatus(Data, frozen=True):
    """Whether the engine hears of promotions: ``trouble`` says why not and what strategies run by; empty is well."""

    trouble: str
    ts: Nanoseconds


class ConfigChanged(Data, frozen=True):
    """How one version of a strategy's config stands now. A newer one makes the one that was active history."""

    config: Config
    ts: Nanoseconds
