"""From a study's trial to the config that its strategy would run by; what may not be promoted is refused here."""

import math
from pathlib import Path

import msgspec

from core.domain.studies import Config, ConfigStatus, Gate, TrialReport
from core.errors import ConfigError, PromotionRefused
from core.strategy.library import MODELS, checked
from research.simulator.features import SIZES
from research.study.strategies import evaluator
from research.study.study import StudyFile
from research.validation.findings import Findings
from research.validation.gates import NO_LIQUIDATION

_FIGURES = (
    "calmar",
    "total_return",
    "max_drawdown",
    "efficiency",
    "dsr",
    "pbo",
    "trades",
    "gates_passed",
    "gates_total",
)
_MONEY = frozenset({"notional", "max_size"})
"""Parameters that are amounts of money."""
_POSITION = SIZES | {"slippage"}
"""Parameters that say what a position is, and are none of a strategy's own."""


class Candidate(msgspec.Struct, frozen=True):
    """A trial as a config that is not promoted yet: its version is 0, and it has no hash."""

    config: Config
    report: TrialReport

    @property
    def failed(self) -> list[Gate]:
        """Return the gates that it did not pass."""
        return [gate for gate in self.report.gates if not gate.passed]

    def funded(self, capital: float) -> "Candidate":
        """Return it with so much capital in all, equal parts for its instruments where each has a wallet of its own.

        Every bound in money grows along.

        Raises:
            PromotionRefused: it is no money.
        """
        if not (math.isfinite(capital) and capital > 0.0):
            raise PromotionRefused(f"a strategy begins with capital above 0 (got {capital:g})")
        made = self.config
        each = capital if made.shares_wallet else capital / max(1, len(made.instruments))
        times = each / made.capital
        bounds = {name: float(value) * times for name, value in made.parameters.items() if name in _MONEY}
        changed = msgspec.structs.replace(
            made,
            capital=each,
            max_position_size=made.max_position_size * times,
            parameters={**made.parameters, **bounds},
        )
        return msgspec.structs.replace(self, config=changed)

    def allow(self, *, despite_gates: bool = False) -> None:
        """Let a trial pass that passed every gate, or any but one with ``despite_gates``: a liquidated one never.

        Raises:
            PromotionRefused: it is not let pass.
        """
        name = f"trial {self.report.trial.number} of {self.report.study}"
        if self.report.trial.liquidated or any(gate.name == NO_LIQUIDATION for gate in self.failed):
            raise PromotionRefused(f"{name} was liquidated: such a trial is never promoted")
        if not self.report.gates:
            raise PromotionRefused(f"{name} was not judged by any gate: it is not promoted")
        if self.failed and not despite_gates:
            words = "; ".join(f"{gate.name} {gate.value} (needed {gate.bound})" for gate in self.failed)
            raise PromotionRefused(
                f"{name} failed {len(self.failed)} of {len(self.report.gates)} gates: {words}. Promote another trial, "
                f"or this one knowingly: tradedeck promote {self.report.study} --trial {self.report.trial.number} "
                "--despite-gates"
            )


def candidate(folder: Path, number: int | None = None) -> Candidate:
    """Return a trial of a study, by default the best, as a config; takes some back-tests.

    Raises:
        ResearchError: there is no such trial, or the study cannot be read, or is not what its trials were run by.
        PromotionRefused: no strategy of the library could run it.
    """
    findings = Findings(folder)
    findings.refuse_another()
    report = findings.report(findings.trials(1).trials[0].number if number is None else number)
    return Candidate(config_of(findings.file, report), report)


def config_of(file: StudyFile, report: TrialReport) -> Config:
    """Return what a strategy would run by to trade as the trial did.

    Raises:
        PromotionRefused: it is no strategy of the library, or a set that the strategy does not take.
    """
    name, values = file.study.strategy, report.parameters
    model = MODELS.get(name)
    if model is None or file.study.evaluator != f"{evaluator.__module__}:{evaluator.__name__}":
        raise PromotionRefused(
            f"{file.study.name} searches {name} by {file.study.evaluator}: the engine runs strategies of the library "
            f"alone ({', '.join(sorted(MODELS))})"
        )
    try:
        checked(model, {key: float(value) for key, value in values.items() if key not in _POSITION})
    except ConfigError as error:
        raise PromotionRefused(f"trial {report.trial.number} of {file.study.name} cannot be run: {error}") from None
    figures = {name: getattr(report.trial, name) for name in _FIGURES}
    return Config(
        strategy_id=file.strategy_id,
        version=0,
        status=ConfigStatus.ACTIVE,
        instruments=report.instruments,
        parameters=values,
        leverage=float(values.get("leverage", 1.0)),
        margin_mode=file.account.margin_mode,
        max_position_size=float(values.get("max_size", file.account.max_position_size)),
        score=report.trial.score,
        study=file.study.name,
        trial=report.trial.number,
        promoted_at=0,
        promoted_by="",
        metrics={key: float(value) for key, value in figures.items() if value is not None and math.isfinite(value)},
        data_from=report.data_from,
        data_to=report.data_to,
        code_version=report.code_version,
        strategy=name,
        interval=file.data.timeframe,
        capital=file.account.cash,
    )
