"""What the keys of studies and configs send: plans that are asked about, for the researcher to carry out."""

from collections.abc import Callable

from core.domain.studies import Study
from tui import studying
from tui.alarms import AlertKeys
from tui.confirm import AskText
from tui.screens.configs import ConfigsScreen
from tui.screens.studies import StudiesScreen
from tui.trading import Nothing, Plan
from tui.widgets.studies import Wanted

PATH_ROOM = 1024


class PromotionKeys(AlertKeys):
    """A view that promotes and rolls back, armed and after a confirming key; starting and stopping adds no risk."""

    def on_wanted(self, event: Wanted) -> None:
        """Do what a key of the studies or the configs screen asks for."""
        here = self.here
        if isinstance(here, StudiesScreen):
            if event.what == "promote":
                self._armed(lambda: studying.promote(here.report, here.active), "p promotes; d shows what would change")
            elif event.what == "new":
                self._start()
            elif event.what == "stop":
                self.confirm(lambda: studying.stop(here.study))
            elif event.what == "schedule":
                self._schedule(here.study)
        elif isinstance(here, ConfigsScreen) and event.what == "rollback":
            self._armed(lambda: studying.roll_back(here.config, here.active), "R rolls back; d shows what would change")

    def _armed(self, make: Callable[[], Plan], then: str) -> None:
        if self.arming.armed:
            self.confirm(make)
        else:
            words = self.to_arm(then)
            self.tell(words if self.feed.elsewhere else f"not armed: {words}", "warn")

    def to_arm(self, then: str) -> str:
        """Say which keys come before what needs an armed terminal: control that another holds is taken first."""
        if self.feed.elsewhere:
            return f"control is held by {self.feed.elsewhere}; {{control}} takes it, {{arm}} arms, then {then}"
        return f"{{arm}} arms, then {then}"

    def _schedule(self, study: Study | None) -> None:
        if study is None:
            self.tell("no study is chosen", "warn")
            return

        def answered(when: str | None) -> None:
            if when is None:
                return
            try:
                self.carry_out(studying.schedule(study, when))
            except Nothing as nothing:
                self.tell(str(nothing), "warn")

        text = study.schedule.removesuffix(studying.PAUSED)
        _ = self.push_screen(AskText(f"{study.id} by itself: when", text, studying.SCHEDULE_HINT), answered)

    def _start(self) -> None:
        def answered(file: str | None) -> None:
            if file is None:
                return
            try:
                self.carry_out(studying.start(file))
            except Nothing as nothing:
                self.tell(str(nothing), "warn")

        hint = "a study's name, or the whole path of its file · Enter starts · Esc cancels"
        _ = self.push_screen(
            AskText("start a study, or bring one here that is over", "", hint, room=PATH_ROOM), answered
        )
