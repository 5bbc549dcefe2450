"""The safety catch of a terminal: it commands only while armed, and of several terminals only the one with control."""

from pathlib import Path
from typing import Any

from textual import events

from core.config.settings import TerminalSettings
from core.errors import ClientError
from core.session import protocol as p
from tui import trading
from tui.actions import Kind
from tui.arming import Arming
from tui.confirm import Confirm
from tui.trading import Nothing
from tui.viewer import Viewer


class Commanding(Viewer):
    """A view that can be armed, while it holds control."""

    def __init__(self, socket: Path, settings: TerminalSettings | None = None, **options: Any) -> None:
        super().__init__(socket, settings, **options)
        self.arming = Arming()

    async def on_event(self, event: events.Event) -> None:
        """Note that a hand is here."""
        if isinstance(event, events.Key):
            self.arming.touch(self.clock())
        await super().on_event(event)

    def frame(self) -> None:
        """Draw what changed; disarm after five idle minutes."""
        if self.arming.expire(self.clock()):
            self._show_arming()
            self.tell("disarmed after 5 idle minutes", "warn")
        super().frame()

    def link_up(self) -> None:
        """Disarm: what was on the screen before is not what is there now."""
        super().link_up()
        if self.disarm():
            self.tell("disarmed: the link to the engine is new", "warn")
        self._show_arming()

    def disarm(self) -> bool:
        """Disarm, and show it; tell whether it was armed."""
        was = self.arming.disarm()
        if was:
            self._show_arming()
        return was

    def on_control(self, before: p.ControlChanged | None, now: p.ControlChanged) -> None:
        """Disarm when another terminal has taken control, and say so."""
        had = self.arming.disarm() if now.holder and not now.mine else False
        if now.holder and not now.mine and (had or (before is not None and before.mine)):
            self.tell(f"{now.holder} took control: disarmed here; {{control}} takes it back", "bad")
        self._show_arming()
        super().on_control(before, now)

    def action_control(self) -> None:
        """Take control from another terminal, after a confirming key."""
        try:
            plan = trading.take_control(self.feed.control)
        except Nothing as nothing:
            self.tell(str(nothing), "warn")
            return

        def answered(yes: bool | None) -> None:
            if yes:
                _ = self.run_worker(self._take_control, group="control", exclusive=True)

        _ = self.push_screen(Confirm(plan.title, plan.lines, plan.kind, clock=self.clock), answered)

    async def _take_control(self) -> None:
        try:
            outcome = await self.feed.take_control()
        except ClientError as error:
            self.tell(f"control: {error}", "bad")
            return
        self.tell("control: this terminal" if outcome.ok else outcome.reason, "strong" if outcome.ok else "bad")

    def action_arm(self) -> None:
        """Arm or disarm; on a live account arming asks first."""
        if self.feed.elsewhere and not self.arming.armed:
            self.tell(f"control is held by {self.feed.elsewhere}; {{control}} takes it", "warn")
            return
        if self.arming.armed or self.feed.state.mode != "live":
            self.arming.toggle(self.clock())
            self._show_arming()
            return

        def answered(yes: bool | None) -> None:
            if yes and not self.arming.armed:
                self.arming.toggle(self.clock())
                self._show_arming()

        lines = ("this account is LIVE: orders go to the exchange", "it disarms itself after 5 idle minutes")
        _ = self.push_screen(Confirm("Arm", lines, Kind.ADDS, clock=self.clock), answered)

    def _show_arming(self) -> None:
        self.armed = self.arming.armed
        self.trade.ticket.set_armed(self.armed, viewing=bool(self.feed.elsewhere))
        self.draw_header()
