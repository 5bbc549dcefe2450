"""Studies of a home: their folders, how each stands, and what the shell shows of them."""

import re
import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from core.domain import studies as s
from core.errors import ResearchError
from desk.output import table, terminal_width, write, write_json
from desk.paths import Home
from desk.research.wanted import is_wanted

if TYPE_CHECKING:
    from research.validation.findings import Case

UNDER_WAY = (s.StudyState.RUNNING, s.StudyState.PAUSED)
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")


def folder_of(home: Home, name: str) -> Path:
    """Return the folder of a study.

    Raises:
        ResearchError: there is no such study.
    """
    folder = home.root / "studies" / name
    if not _NAME.fullmatch(name) or not (folder / "study.toml").exists():
        raise ResearchError(f"no study {name}; see: tradedeck study ls")
    return folder


def folder_for(home: Home, what: str) -> Path:
    """Return the folder to run: of a study by its name, or of a file, which is copied there.

    Raises:
        ResearchError: there is no such study or file, or it is refused.
    """
    path = Path(what)
    if path.suffix != ".toml":
        return folder_of(home, what)
    from research.study.study import load

    folder = home.root / "studies" / load(path).study.name
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    kept = folder / "study.toml"
    if kept.exists() and (folder / "trials.sqlite").exists() and load(kept).digest != load(path).digest:
        raise ResearchError(
            f"{folder.name} was begun with another file ({kept}); give the study another name, or undo the change"
        )
    if not (kept.exists() and kept.samefile(path)):
        shutil.copyfile(path, kept)
    return folder


def standings(home: Home) -> list[s.Study]:
    """Return how every study stands."""
    from research.study.standing import read_state

    found = []
    for path in sorted(home.studies.glob("*/study.toml")):
        folder = path.parent
        stands = read_state(folder) or s.Study(folder.name, "", s.StudyState.STOPPED, reason="not run yet")
        if is_wanted(folder) and stands.state not in UNDER_WAY:
            stands = msgspec.structs.replace(stands, state=s.StudyState.QUEUED, reason="")
        found.append(stands)
    return found


class Progress:
    """A bar in a terminal, nothing elsewhere."""

    def __init__(self, quiet: bool) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._bar = Progress(*columns, console=Console(stderr=True), disable=quiet or not sys.stderr.isatty())
        self._bar.start()
        self._task = self._bar.add_task("study", total=None)

    def show(self, study: s.Study) -> None:
        best = "–" if study.best_score is None else f"{study.best_score:.3f}"
        rate = "–" if study.rate is None else f"{study.rate:.0f}"
        words = f"{study.id}  window {study.windows_done}/{study.windows_total}  best {best}  {rate}/min"
        self._bar.update(self._task, description=words, completed=study.trials_done, total=study.trials_total)

    def end(self) -> None:
        self._bar.stop()


def show_studies(found: list[s.Study]) -> None:
    """Print how studies stand."""
    rows = [
        (
            one.id,
            one.state.value,
            f"{one.trials_done}/{one.trials_total}",
            f"{one.windows_done}/{one.windows_total}",
            _figure(one.best_score),
            one.reason,
        )
        for one in found
    ]
    table(("study", "state", "trials", "windows", "best", "why"), rows, left=2, width=terminal_width())


def show_trials(found: s.Trials) -> None:
    """Print trials, the best first."""
    rows = [
        (
            str(one.number),
            _figure(one.score),
            _figure(one.calmar),
            _percent(one.total_return),
            _percent(one.max_drawdown),
            f"{one.leverage:g}",
            str(one.trades),
            _figure(one.efficiency),
        )
        for one in found.trials
    ]
    table(("trial", "score", "Calmar", "return", "drawdown", "leverage", "trades", "window's OOS/IS"), rows)
    write(f"{len(found.trials)} of {found.total} trials of the newest window")


def show_report(report: s.TrialReport) -> None:
    """Print one trial whole."""
    show_trials(s.Trials((report.trial,), 1))
    write()
    table(("parameter", "value"), [(name, str(value)) for name, value in report.parameters.items()])
    write()
    rows = [("passed" if one.passed else "FAILED", one.name, one.value, one.bound) for one in report.gates]
    table(("", "gate", "figure", "needed"), rows, left=2)
    _draw(report)


def _draw(report: s.TrialReport) -> None:
    """Draw what the studies screen draws of a trial, as text."""
    from tui.lines import plain
    from tui.screens.report import pictures

    write()
    for line in pictures(report, min(120, shutil.get_terminal_size().columns), 36):
        write(plain(line).rstrip())


def write_report(home: Home, case: "Case", *, as_json: bool) -> None:
    """Write a trial's page and its JSON, and say where they are."""
    from research.report.report import write as write_files

    page, data = write_files(case, home.reports, time.time_ns())
    if as_json:
        write_json({"page": str(page), "data": str(data)})
    else:
        write(f"{page} written; open it in a browser, it needs no network")
        write(f"{data} has every trade")


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f} %"
