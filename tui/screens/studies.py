"""The studies screen: what is studied, the best trials of the chosen study, and the chosen trial at a glance."""

import asyncio
import time
from collections.abc import Mapping
from textwrap import wrap
from typing import Any, ClassVar

from textual.app import ComposeResult

from core.domain import studies as s
from core.errors import ClientError
from core.session.frames import AskTrial, AskTrials
from tui import plots, studying
from tui.feed import STUDIES, Dirty, Feed
from tui.format import fit, number
from tui.grid import Grid
from tui.lines import Line
from tui.screens.base import DeckScreen
from tui.screens.report import (
    beside,
    difference_screen,
    equity_lines,
    figure_lines,
    gate_lines,
    growth,
    report_screen,
)
from tui.widgets.plot import PlotPane
from tui.widgets.studies import StudyGrid, Wanted

NO_STUDIES = "no researcher is running: n and a study's name or file start one"
TRIALS_S = 2.0
"""How often the trials of a study that goes on are asked for."""
REST_S = 0.15
"""How long the cursor rests on a trial before its report is asked for."""
GATES_WIDE = 46
PLATEAU_WIDE = 34


class StudiesScreen(DeckScreen):
    """Follow studies, compare trials, promote one."""

    CSS_PATH = "studies.tcss"
    AUTO_FOCUS = "#studies"
    NAME = "studies"
    TAB_ORDER = ("studies", "trials", "trial")
    SCOPES: ClassVar[Mapping[str, str]] = {"studies": "studies", "trials": "studies"}

    def __init__(self, feed: Feed, **options: Any) -> None:
        super().__init__(feed, **options)
        self.report: s.TrialReport | None = None
        self._found = s.Trials((), 0)
        self._of = ""
        """The study whose trials are shown."""
        self._seen = -1
        """How many trials it had when they were asked for."""
        self._asked_at = -TRIALS_S
        self._trouble = ""
        self._no_report = ""
        """Why the report of the trial under the cursor did not come."""
        self._attached = False

    def body(self) -> ComposeResult:
        """Place studies above their trials above one trial."""
        self.studies = StudyGrid(
            studying.STUDY_COLUMNS,
            "studies",
            "{studies.new} new · {studies.stop} stop · {studies.schedule} schedule",
            empty=NO_STUDIES,
            id="studies",
        )
        self.trials = StudyGrid(
            studying.TRIAL_COLUMNS,
            "trials",
            "{studies.promote} promote · {studies.diff} diff",
            empty="no study is chosen",
            id="trials",
        )
        self.trial = PlotPane("trial", "{studies.report} report", drawing=self._glance, id="trial")
        yield self.studies
        yield self.trials
        yield self.trial

    @property
    def study(self) -> s.Study | None:
        """The study under the cursor."""
        return self.feed.state.studies.studies.get(self.studies.cursor or "")

    @property
    def active(self) -> s.Config | None:
        """What the strategy of the chosen trial runs by now."""
        return None if self.report is None else self.feed.state.studies.active(self.report.strategy_id)

    # -- drawing -----------------------------------------------------------------------------------------------

    def draw(self, dirty: Dirty, now: int, slow: bool) -> None:
        """Draw what changed, and ask for trials where there are new ones."""
        if not (slow or STUDIES in dirty.topics):
            return
        book = self.feed.state.studies
        absent = studying.told_by(book.attached, book.since, now)
        self.studies.set_rows(studying.study_row(study, now, stale=bool(absent)) for study in book.studies.values())
        self.studies.empty = "no study yet: n starts one" if book.attached else NO_STUDIES
        running = sum(study.state is s.StudyState.RUNNING for study in book.studies.values())
        said = absent or (f"{running} running" if running else "")
        self.studies.set_title(f"studies  {said}".rstrip())
        if book.attached is not self._attached:
            self._attached, self._seen = book.attached, -1
            self._draw_trials()
        self._follow()

    def _follow(self) -> None:
        """Ask for the trials of the chosen study where it is another one, or goes on."""
        study = self.study
        if study is None or study.id != self._of:
            self._of, self._seen, self._found, self.report = (study.id if study else ""), -1, s.Trials((), 0), None
            self._asked_at, self._trouble = -TRIALS_S, ""
            self._draw_trials()
            self.trial.want()
        due = time.monotonic() - self._asked_at >= TRIALS_S
        if study is not None and study.trials_done != self._seen and due and self.feed.state.studies.attached:
            self._seen, self._asked_at = study.trials_done, time.monotonic()
            _ = self.run_worker(self._ask_trials, group="trials", exclusive=True)

    async def _ask_trials(self) -> None:
        wanted = self._of
        try:
            found = await self.feed.ask_trials(AskTrials(wanted))
        except ClientError as error:
            if wanted == self._of:
                self._trouble, self._seen = str(error), -1
                self._draw_trials()
            return
        if wanted == self._of:
            self._found, self._trouble = found, ""
            self._draw_trials()

    def _draw_trials(self) -> None:
        gone = not self.feed.state.studies.attached
        found, name = self._found, self._of
        empty = self._trouble or ("its trials are not known: no researcher is running" if gone else "no trial yet")
        self.trials.empty = empty if name else "no study is chosen"
        self.trials.set_rows(studying.trial_row(trial, stale=gone) for trial in found.trials)
        part = f"  best {len(found.trials)} of {number(found.total, 0)}" if found.total > len(found.trials) else ""
        self.trials.set_title(f"trials of {name}{part}" if name else "trials")

    def on_grid_moved(self, event: Grid.Moved) -> None:
        """Ask for what the cursor came to."""
        if event.grid is self.studies:
            self._follow()
        elif event.grid is self.trials:
            self._want_report(event.key)

    def _want_report(self, key: str | None) -> None:
        """Ask for the report of this trial; nothing stands below until it has come."""
        self.report, self._no_report = None, ""
        self.trial.set_title(f"trial {key}" if key else "trial")
        self.trial.want()
        if key is not None and self.feed.state.studies.attached:
            _ = self.run_worker(self._ask_report, group="report", exclusive=True)

    async def _ask_report(self) -> None:
        await asyncio.sleep(REST_S)
        study, key = self._of, self.trials.cursor
        if key is None:
            return
        try:
            report = await self.feed.ask_trial(AskTrial(study, int(key)))
        except ClientError as error:
            if (study, key) == (self._of, self.trials.cursor):
                self._no_report = str(error)
                self.trial.want()
            return
        if (study, key) == (self._of, self.trials.cursor):
            self.report = report
            self.trial.set_title(f"trial {key}  {growth(report)}".rstrip())
            self.trial.want()

    def _glance(self, width: int, height: int) -> list[Line]:
        """Draw the chosen trial in the room there is: its equity, the plateau, and with more room gates and figures."""
        report = self.report
        if report is None and self._no_report:
            again = self.trial.keyed("{studies.report} asks again")
            return [((fit(f" {part}", width), "warn"),) for part in wrap(f"{self._no_report}; {again}", width - 2)]
        if report is None:
            known = self.trials.cursor is not None and self.feed.state.studies.attached
            return [((fit(" its report is asked for" if known else " no trial is chosen", width), "dim"),)]
        wide = width >= 2 * GATES_WIDE + PLATEAU_WIDE
        right = plots.plateau_lines(report.plateau, report.parameters, PLATEAU_WIDE, height)
        left = width - PLATEAU_WIDE - (GATES_WIDE if wide else 0) - 1
        if report.trial.liquidated:
            curve = figure_lines(report, left)[-1:] + equity_lines(report, left, height - 1, axes=False)
        else:
            curve = equity_lines(report, left, height, axes=wide)
        if wide:
            right = beside(right, gate_lines(report.gates, GATES_WIDE), PLATEAU_WIDE, height)
        return beside(curve, right, left + 1, height)

    # -- keys --------------------------------------------------------------------------------------------------

    def on_wanted(self, event: Wanted) -> None:
        """Show what a key asks to see; what it asks to be done goes on to the app."""
        if event.what == "report" and event.grid is self.studies:
            self.trials.focus()
        elif event.what in {"report", "diff"} and self.report is None:
            key, again = self.trials.cursor, bool(self._no_report)
            if key is None:
                words = "no trial is chosen"
            else:
                words = f"the figures of trial {key} " + ("are asked for again" if again else "have not come yet")
            self.post_message(self.Said(words))
            if again:
                self._want_report(key)
        elif event.what == "report" and self.report is not None:
            _ = self.app.push_screen(report_screen(self.report))
        elif event.what == "diff" and self.report is not None:
            lines = studying.difference_lines(self.active, self.report, min(100, self.app.size.width - 6))
            _ = self.app.push_screen(difference_screen(lines, f"what trial {self.report.trial.number} would change"))
