"""Say how studies, trials and configs stand, and what promoting would change: rows, lines and plans, pure."""

from collections.abc import Mapping, Sequence
from textwrap import wrap

from core.domain import studies as s
from core.domain.identifiers import InstrumentId, symbol_of
from core.errors import InvalidInstrumentId
from tui.actions import Kind
from tui.format import NOTHING, age, clock, fit, gain_class, number, percent
from tui.grid import Cell, Column, Row
from tui.lines import Line
from tui.trading import ORIGIN, Nothing, Plan

WORDS_WIDE = 66
"""The cells of a line in a dialog."""
STUDY_COLUMNS = (
    Column("study", "study", 18, best=30),
    Column("state", "state", 9),
    Column("trials", "trials", 12, align="right"),
    Column("windows", "windows", 7, align="right"),
    Column("score", "best score", 10, align="right"),
    Column("left", "left", 10, best=14, align="right"),
    Column("rate", "trials/min", 10, align="right", drop=1),
    Column("schedule", "schedule", 12, best=16, drop=2),
    Column("reason", "why", 20, flex=1, drop=3),
)
TRIAL_COLUMNS = (
    Column("trial", "trial", 5, best=6, align="right"),
    Column("score", "score", 5, best=7, align="right"),
    Column("calmar", "calmar", 6, align="right"),
    Column("return", "return", 6, best=9, align="right"),
    Column("dd", "dd", 5, best=7, align="right"),
    Column("leverage", "lev", 4, align="right"),
    Column("trades", "trades", 6, align="right"),
    Column("efficiency", "oos/is", 6, align="right"),
    Column("dsr", "dsr", 4, best=6, align="right"),
    Column("pbo", "pbo", 4, best=6, align="right"),
    Column("gates", "gates", 5, align="right"),
    Column("end", "liquidated", 40, flex=1, drop=1),
)
CONFIG_COLUMNS = (
    Column("config", "config", 18, best=26),
    Column("status", "status", 7),
    Column("score", "score", 6, align="right"),
    Column("leverage", "lev", 4, align="right"),
    Column("margin", "margin", 8),
    Column("size", "max size", 8, align="right", drop=2),
    Column("promoted", "promoted", 16),
    Column("by", "by", 8, best=14, drop=1),
    Column("source", "study and trial", 20, best=30, drop=3),
    Column("instruments", "instruments", 20, flex=1, drop=4),
)
PAUSED = " (paused)"
"""What stands behind the times of a job that waits until it is resumed."""
SCHEDULE_HINT = (
    "mon 02:00 · mon thu 02:00 · daily 03:00 · hourly (UTC)\noff · pause · resume · now · Enter takes it · Esc cancels"
)
_STATES = {
    s.StudyState.RUNNING: "ok",
    s.StudyState.FAILED: "bad",
    s.StudyState.STOPPED: "warn",
    s.StudyState.PAUSED: "warn",
    s.StudyState.SCHEDULED: "dim",
}
_DATE = "%Y-%m-%d %H:%M"


def symbol(instrument: InstrumentId) -> str:
    """Write an instrument short; what a researcher calls by another name stands as it is."""
    try:
        return symbol_of(instrument)
    except InvalidInstrumentId:
        return str(instrument)


def remaining(seconds: float | None) -> str:
    """Write how long is left, roughly: ``40 s``, ``6 min``, ``3 h``, ``2 d``."""
    if seconds is None:
        return NOTHING
    for limit, scale, unit in ((90, 1, "s"), (5_400, 60, "min"), (129_600, 3_600, "h")):
        if seconds < limit:
            return f"{max(0, round(seconds / scale))} {unit}"
    return f"{round(seconds / 86_400)} d"


def of(done: int, total: int) -> str:
    """Write a part of a whole: ``1 240/4 000``."""
    return f"{number(done, 0)}/{number(total, 0)}" if total else NOTHING


def study_row(study: s.Study, now: int, *, stale: bool) -> Row:
    """Build the row of one study; ``stale`` where nobody tells how it goes on."""
    waits = study.next_run > now and study.state is not s.StudyState.RUNNING
    left = f"in {remaining((study.next_run - now) / 1e9)}" if waits else remaining(study.seconds_left)
    left = NOTHING if stale else left
    return Row(
        study.id,
        (
            study.id,
            Cell(study.state.value, _STATES.get(study.state, "")),
            Cell(of(study.trials_done, study.trials_total), "", study.trials_done),
            of(study.windows_done, study.windows_total),
            Cell(number(study.best_score), "", study.best_score),
            Cell(left, "dim" if waits else "", study.seconds_left),
            Cell(number(study.rate, 0), "", study.rate),
            study.schedule or NOTHING,
            Cell(study.reason, "warn" if study.reason else ""),
        ),
        stale=stale,
    )


def end_of(trial: s.Trial) -> str:
    """Say where a trial was liquidated; empty where it was not."""
    if not trial.liquidated:
        return ""
    where = f"  {symbol(trial.liquidated_in)}" if trial.liquidated_in else ""
    return f"{clock(trial.liquidated, pattern=_DATE)}{where}"


def trial_row(trial: s.Trial, *, stale: bool = False) -> Row:
    """Build the row of one trial."""
    whole = trial.gates_total > 0 and trial.gates_passed == trial.gates_total
    gates = f"{trial.gates_passed}/{trial.gates_total}" if trial.gates_total else NOTHING
    return Row(
        str(trial.number),
        (
            Cell(str(trial.number), "", trial.number),
            Cell(number(trial.score), "strong", trial.score),
            Cell(number(trial.calmar), "", trial.calmar),
            Cell(percent(trial.total_return, 1), gain_class(trial.total_return), trial.total_return),
            Cell(percent(trial.max_drawdown, 1), "", trial.max_drawdown),
            Cell(number(trial.leverage, 1), "", trial.leverage),
            Cell(number(trial.trades, 0), "", trial.trades),
            Cell(number(trial.efficiency), "", trial.efficiency),
            Cell(number(trial.dsr), "", trial.dsr),
            Cell(number(trial.pbo), "", trial.pbo),
            Cell("LIQ", "bad", -1) if trial.liquidated else Cell(gates, "ok" if whole else "", trial.gates_passed),
            Cell(end_of(trial), "bad"),
        ),
        style="dim" if trial.liquidated else "",
        stale=stale,
    )


def config_row(config: s.Config, *, stale: bool, local: bool) -> Row:
    """Build the row of one version of a config."""
    active = config.status is s.ConfigStatus.ACTIVE
    return Row(
        config.key,
        (
            Cell(config.key, "strong" if active else ""),
            Cell(config.status.value, "ok" if active else "dim"),
            Cell(number(config.score), "", config.score),
            Cell(number(config.leverage, 1), "", config.leverage),
            config.margin_mode,
            Cell(size(config.max_position_size), "", config.max_position_size),
            Cell(clock(config.promoted_at, local=local, pattern=_DATE), "", config.promoted_at),
            config.promoted_by,
            Cell(f"{config.study} {config.trial}", "dim"),
            Cell(" ".join(symbol(id_) for id_ in config.instruments), "dim"),
        ),
        stale=stale,
    )


# --- differences ------------------------------------------------------------------------------------------------------

Facts = dict[str, str]
"""What a strategy runs by, in words."""


def shown(value: s.Parameter | None) -> str:
    """Write a parameter."""
    if value is None:
        return NOTHING
    return f"{value:g}" if isinstance(value, float) else str(value)


def size(notional: float | None) -> str:
    """Write the largest notional of a position, in its quote asset; without a bound there is none."""
    return number(notional, 0) if notional else "none"


def size_words(notional: float) -> str:
    """Say how large a position may become."""
    return f"positions up to {size(notional)}" if notional else "positions of any size"


UNTOLD = "the study's"
"""What a trial's report does not tell: it may be the same as before, and is never said to be."""


def facts(found: s.Config | s.TrialReport) -> Facts:
    """Say what a strategy would run by, or runs by."""
    kept = found if isinstance(found, s.Config) else None
    leverage = kept.leverage if kept is not None else found.trial.leverage  # type: ignore[union-attr]
    return {
        **{name: shown(value) for name, value in found.parameters.items()},
        "leverage": shown(leverage),
        "margin": found.margin_mode or NOTHING,
        "max size": size(found.max_position_size),
        "instruments": " ".join(symbol(id_) for id_ in found.instruments) or NOTHING,
        "capital": capital_words(found) if found.capital else UNTOLD if kept is None else NOTHING,
        "interval": found.interval or (UNTOLD if kept is None else NOTHING),
        "strategy": found.strategy or NOTHING,
    }


def capital_words(found: s.Config | s.TrialReport) -> str:
    """Say what a strategy begins with: each instrument's own, or one wallet for all."""
    count = len(found.instruments)
    if count < 2:
        return number(found.capital)
    return f"{number(found.capital)} {'for all' if found.margin_mode == 'cross' else 'each'}"


def changes(before: Facts | None, after: Facts) -> list[tuple[str, str, str]]:
    """List what differs, or may: name, before, after; without a config before, everything is new."""
    old = before or {}
    names = [*after, *(name for name in old if name not in after)]
    found = [(name, old.get(name, NOTHING), after.get(name, NOTHING)) for name in names]
    return [(name, was, now) for name, was, now in found if was != now]


def change_words(before: Facts | None, after: Facts) -> list[str]:
    """Write what differs, some on a line."""
    found = changes(before, after)
    words = [f"{name} {now}" if before is None else f"{name} {was} → {now}" for name, was, now in found]
    return _joined(words) if words else ["nothing differs from what is active"]


def gate_words(gates: Sequence[s.Gate]) -> list[str]:
    """Write each gate with its figure, what it asks for, and whether it was passed; those that failed first."""
    ordered = sorted(gates, key=lambda gate: gate.passed)
    return _joined([f"{'✓' if gate.passed else '✗'} {gate.name} {gate.value} ({gate.bound})" for gate in ordered])


def _joined(words: Sequence[str]) -> list[str]:
    """Set short pieces on as few lines as they need; no piece is broken unless it is longer than a line."""
    lines: list[str] = []
    for piece in words:
        if lines and len(lines[-1]) + 3 + len(piece) <= WORDS_WIDE:
            lines[-1] += f" · {piece}"
        else:
            lines += wrap(piece, WORDS_WIDE) or [""]
    return lines


def difference_lines(before: s.Config | None, after: s.Config | s.TrialReport, width: int) -> list[Line]:
    """Set what is active beside what would be, value by value; what differs stands out."""
    old = facts(before) if before is not None else {}
    new = facts(after)
    name_width = max((len(name) for name in (*new, *old)), default=0)
    each = max(8, (width - name_width - 8) // 2)
    head = "nothing is active" if before is None else before.key
    title = f"trial {after.trial.number}" if isinstance(after, s.TrialReport) else after.key
    lines: list[Line] = [((f" {'':{name_width}}  {fit(head, each)}  {fit(title, each)}", "head"),)]
    for name in (*new, *(name for name in old if name not in new)):
        was, now = old.get(name, NOTHING), new.get(name, NOTHING)
        differs = was != now
        mark = "? " if now == UNTOLD else "→ " if differs else "  "
        text = f" {name:{name_width}}  {fit(was, each)}{mark}{fit(now, each)}"
        lines.append(((text, "strong" if differs else "dim"),))
    return lines


# --- plans ------------------------------------------------------------------------------------------------------------


def promote(report: s.TrialReport | None, active: s.Config | None) -> Plan:
    """Plan to make a trial the active config; the dialog holds the difference and every gate.

    Raises:
        Nothing: no trial is chosen, or it was liquidated.
    """
    if report is None:
        raise Nothing("no trial is chosen whose figures stand below: {focus.next} goes to the trials")
    trial = report.trial
    if trial.liquidated:
        raise Nothing(f"trial {trial.number} was liquidated {end_of(trial)}: such a trial is never promoted")
    failed = trial.gates_total - trial.gates_passed
    over = active.version if active is not None else 0
    lines = (
        f"{report.strategy_id} would run by trial {trial.number} of study {report.study}",
        f"instead of v{over}:" if active is not None else "nothing is active yet; it would run by:",
        *change_words(facts(active) if active is not None else None, facts(report)),
        f"gates passed {trial.gates_passed} of {trial.gates_total}:" if trial.gates_total else "no gate was looked at",
        *gate_words(report.gates),
    )
    title = f"Promote trial {trial.number}" + (f": {failed} gate{'s' * (failed > 1)} FAILED" if failed else "")
    command = s.PromoteTrial(report.study, trial.number, over, ORIGIN)
    return Plan(title, lines, (command,), Kind.ADDS, f"config {report.strategy_id}")


def roll_back(config: s.Config | None, active: s.Config | None) -> Plan:
    """Plan to make an earlier config active again, as a new version.

    Raises:
        Nothing: none is chosen, or it is the active one.
    """
    if config is None:
        raise Nothing("no config is chosen")
    if config.status is s.ConfigStatus.ACTIVE:
        raise Nothing(f"{config.key} is active already: choose an earlier version")
    over = active.version if active is not None else 0
    lines = (
        f"{config.strategy_id} would run by v{config.version} again, as a new version",
        f"promoted {clock(config.promoted_at, pattern=_DATE)} UTC by {config.promoted_by}",
        f"instead of v{over}:" if active is not None else "nothing is active now; it would run by:",
        *change_words(facts(active) if active is not None else None, facts(config)),
    )
    command = s.RollBackConfig(config.strategy_id, config.version, over, ORIGIN)
    return Plan(f"Roll back to {config.key}", lines, (command,), Kind.ADDS, f"config {config.strategy_id}")


def start(file: str) -> Plan:
    """Plan to start the study that a file describes.

    Raises:
        Nothing: no file is named.
    """
    if not file.strip():
        raise Nothing("no study was started: name the file that describes it")
    return Plan(f"start {file.strip()}", (), (s.StartStudy(file.strip(), ORIGIN),), Kind.SAFE, f"start {file.strip()}")


def stop(study: s.Study | None) -> Plan:
    """Plan to stop a study.

    Raises:
        Nothing: none is chosen, or it is over.
    """
    if study is None:
        raise Nothing("no study is chosen")
    if study.state in {s.StudyState.FINISHED, s.StudyState.STOPPED, s.StudyState.FAILED}:
        raise Nothing(f"{study.id} is {study.state.value} already")
    lines = (f"{of(study.trials_done, study.trials_total)} trials done; what they found stays",)
    return Plan(f"Stop study {study.id}", lines, (s.StopStudy(study.id, ORIGIN),), Kind.SAFE, f"stop {study.id}")


def schedule(study: s.Study, when: str) -> Plan:
    """Plan to have a study searched anew, or a chore done, at the times that were typed.

    Raises:
        Nothing: nothing was typed.
    """
    words = when.strip().lower()
    if not words:
        raise Nothing(f"{study.id} stays as it was: type a time, or off to take it off")
    return Plan(
        f"{study.id}: {words}", (), (s.ScheduleJob(study.id, words, ORIGIN),), Kind.SAFE, f"schedule {study.id}"
    )


def told_by(attached: bool, since: int, now: int) -> str:
    """Say who tells of studies where nobody does; empty while a researcher is attached."""
    if attached:
        return ""
    return f"the researcher has gone {age((now - since) / 1e9)} ago" if since else "no researcher is running"


def parameter_words(parameters: Mapping[str, s.Parameter]) -> str:
    """Write all parameters in one text."""
    return " · ".join(f"{name} {shown(value)}" for name, value in parameters.items()) or "no parameters"
