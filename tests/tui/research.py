"""What a researcher would tell: studies, trials, configs, and a lab that answers like one."""

import asyncio
import math
from pathlib import Path
from typing import Any

from core.domain import studies as s
from core.domain.identifiers import InstrumentId
from core.errors import ClientError
from core.session import protocol as p
from core.session.frames import AskTrial, AskTrials
from core.session.researcher import Researcher

BTC = InstrumentId("BINANCE-FUTURES:PERPETUAL:BTC-USDT@LIN")
ETH = InstrumentId("BINANCE-FUTURES:PERPETUAL:ETH-USDT@LIN")
MINUTE, DAY = 60_000_000_000, 86_400_000_000_000
T0 = 1_763_735_527_000_000_000  # 2025-11-21 14:32:07 UTC
GATES = (
    s.Gate("no liquidation", "0", "0", True),
    s.Gate("enough trades", "418", "≥ 100", True),
    s.Gate("walk-forward efficiency", "0.71", "≥ 0.50", True),
    s.Gate("deflated Sharpe", "0.94", "≥ 0.95", False),
    s.Gate("overfitting (PBO)", "0.18", "≤ 0.20", True),
    s.Gate("parameter plateau", "0.83", "≥ 0.70", True),
    s.Gate("slippage ×3", "0.61", "≥ 0.50", True),
    s.Gate("trade bootstrap p5", "0.12", "> 0.00", True),
)
TRIALS = (
    s.Trial(812, 1.22, 2.44, 0.489, 0.200, 2.0, 418, 0.71, 0.94, 0.18, 7, 8),
    s.Trial(790, 0.97, 2.91, 0.612, 0.210, 3.0, 402, 0.69, 0.93, 0.19, 7, 8),
    s.Trial(1103, 0.87, 2.60, 0.550, 0.211, 3.0, 377, 0.74, 0.95, 0.16, 8, 8),
    s.Trial(21, 0.41, 0.82, -0.082, 0.2, 2.0, 96, None, None, None, 3, 8),
    s.Trial(655, None, None, 1.31, 0.62, 10.0, 120, None, None, None, 0, 8, T0 - 1_257 * DAY, ETH),
)
CONFIGS = (
    s.Config("rsi-ema", 6, s.ConfigStatus.ACTIVE, (BTC, ETH), {"rsi_window": 21, "ema_long": 100}, 2.0, "isolated",
             10_000.0, 0.91, "rsi-ema 4×1h", 655, T0 - 9 * DAY, "anna", {"calmar": 2.1, "total_return": 0.41},
             T0 - 1_800 * DAY, T0 - 10 * DAY, "0.1.0", "9f2c41d07be6a3155c0e"),
    s.Config("rsi-ema", 5, s.ConfigStatus.HISTORY, (BTC,), {"rsi_window": 14, "ema_long": 200}, 1.0, "isolated",
             5_000.0, 0.72, "rsi-ema 4×1h", 118, T0 - 40 * DAY, "anna", {"calmar": 1.4}, T0 - 1_800 * DAY,
             T0 - 41 * DAY, "0.1.0", "77aa09c1"),
    s.Config("donchian", 2, s.ConfigStatus.ACTIVE, (BTC,), {"window": 55}, 1.0, "cross", 0.0, 0.66,
             "donchian 4×15m", 9, T0 - 3 * DAY, "weekly reopt", {"calmar": 1.2}, 0, 0, "0.1.0", "c0ffee"),
)  # fmt: skip


def studies(now: int = T0) -> tuple[s.Study, ...]:
    """List the studies of the drawing."""
    state = s.StudyState
    return (
        s.Study("rsi-ema 4×1h", "rsi-ema", state.RUNNING, 1240, 4000, 3, 8, 1.22, 460.0, 360.0),
        s.Study("donchian 4×15m", "donchian", state.QUEUED, 0, 2000, 0, 8),
        s.Study("weekly reopt", "rsi-ema", state.SCHEDULED, schedule="Mon 02:00", next_run=now + 2 * DAY),
        s.Study("keltner 1h", "keltner", state.FAILED, 12, 500, 0, 4, reason="a gap of 3 h at line 88 210 of data"),
    )  # fmt: skip


def equity(count: int, drift: float, start: float = 100.0) -> tuple[float, ...]:
    """Give an equity curve that goes up and down."""
    steps = (drift * i / count + 0.06 * math.sin(i / 9) + 0.02 * math.sin(i / 2.3) for i in range(count))
    return tuple(start * (1 + step) for step in steps)


def report(study: str, number: int) -> s.TrialReport:
    """Give everything of a trial.

    Raises:
        ClientError: the study has no such trial.
    """
    trial = next((trial for trial in TRIALS if trial.number == number), None)
    if trial is None:
        raise ClientError(f"study {study} has no trial {number}")
    xs, ys = (7.0, 14.0, 21.0, 28.0, 35.0, 42.0, 49.0, 56.0), (50.0, 100.0, 150.0, 200.0)
    scores = tuple(tuple(round(1.2 - ((x - 28) / 40) ** 2 - ((y - 100) / 160) ** 2, 3) for x in xs) for y in ys)
    first = equity(160, 0.5)
    return s.TrialReport(
        study, "rsi-ema", trial, GATES if trial.gates_passed == 7 else GATES[:3],
        {"rsi_window": 28, "ema_long": 100, "rsi_low": 31.5, "exit": "trail"}, first, equity(60, 0.15, first[-1]),
        s.Plateau("rsi_window", "ema_long", xs, ys, scores), (BTC, ETH), "isolated", 10_000.0, T0 - 1_800 * DAY, T0,
        "0.1.0",
    )  # fmt: skip


class Lab:
    """A researcher's mind: it answers what is asked, and carries out what is wanted of it."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.refuses = ""
        self.reportless = ""
        """Why no report of a trial can be given."""
        self.researcher: Researcher | None = None

    async def open(self, socket: Path) -> Researcher:
        """Attach to an engine and tell everything."""
        self.researcher = await Researcher.attach(socket, "lab", self.answer)
        for study in studies():
            self.researcher.publish(study)
        for config in CONFIGS:
            self.researcher.publish_config(config)
        return self.researcher

    async def answer(self, work: Any) -> object:
        """Answer a question or a command."""
        self.asked.append(work)
        await asyncio.sleep(0)
        if isinstance(work, AskTrials):
            return s.Trials(TRIALS[: work.limit], 1240)
        if isinstance(work, AskTrial) and self.reportless:
            raise ClientError(self.reportless)
        if isinstance(work, AskTrial):
            return report(work.study, work.trial)
        if self.refuses:
            return p.Outcome(False, reason=self.refuses)
        if isinstance(work, s.PromoteTrial) and self.researcher is not None:
            self.researcher.publish_config(promoted(work))
        return p.Outcome(True)


def promoted(command: s.PromoteTrial) -> s.Config:
    """Give the config that a trial becomes."""
    found = report(command.study, command.trial)
    return s.Config(
        found.strategy_id, command.over + 1, s.ConfigStatus.ACTIVE, found.instruments, found.parameters,
        found.trial.leverage, found.margin_mode, found.max_position_size or 0.0, found.trial.score, found.study,
        found.trial.number, T0, "terminal",
    )  # fmt: skip
