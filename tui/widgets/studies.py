"""Lists of studies, trials and configs: grids whose keys ask for something to be done with the chosen row."""

from typing import ClassVar

from textual.binding import BindingType
from textual.message import Message

from tui.actions import bindings
from tui.grid import Grid


class Wanted(Message):
    """A key asks for something: ``promote``, ``diff``, ``report``, ``new``, ``stop``, ``schedule``, ``rollback``."""

    def __init__(self, what: str, grid: Grid) -> None:
        super().__init__()
        self.what = what
        self.grid = grid


class StudyGrid(Grid):
    """A grid of studies or of trials."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("studies")

    def action_promote(self) -> None:
        """Ask to promote the trial."""
        self.post_message(Wanted("promote", self))

    def action_diff(self) -> None:
        """Ask for the difference between the trial and what is active."""
        self.post_message(Wanted("diff", self))

    def action_report(self) -> None:
        """Ask for the report of the trial; on a study, for its trials."""
        self.post_message(Wanted("report", self))

    def action_new_study(self) -> None:
        """Ask to start a study."""
        self.post_message(Wanted("new", self))

    def action_stop_study(self) -> None:
        """Ask to stop the study."""
        self.post_message(Wanted("stop", self))

    def action_schedule(self) -> None:
        """Ask when the study is searched anew, or the chore done."""
        self.post_message(Wanted("schedule", self))


class ConfigGrid(Grid):
    """A grid of configs."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("configs")

    def action_roll_back(self) -> None:
        """Ask to return to the config."""
        self.post_message(Wanted("rollback", self))

    def action_diff(self) -> None:
        """Ask for the difference between the config and the active one."""
        self.post_message(Wanted("diff", self))
