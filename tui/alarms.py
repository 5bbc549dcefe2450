"""What the two keys of an alert send."""

from tui import trading
from tui.commanding import Commanding
from tui.trading import Nothing, Plan
from tui.widgets.alerts import AlertGrid


class AlertKeys(Commanding):
    """A view whose alerts can be acknowledged and muted; who carries out a plan is said by a subclass."""

    def carry_out(self, plan: Plan) -> None:
        """Send what a plan holds."""
        raise NotImplementedError

    def on_alert_grid_acknowledge(self, event: AlertGrid.Acknowledge) -> None:
        """Tell the engine that an alert was seen."""
        self.carry_out(trading.acknowledge(event.number))

    def on_alert_grid_mute(self, event: AlertGrid.Mute) -> None:
        """Silence the kind of an alert for a while, or let it speak again."""
        try:
            plan = trading.mute(self.feed.state, event.number, self.settings.mute_minutes, self.wall())
        except Nothing as nothing:
            self.tell(str(nothing), "warn")
            return
        self.carry_out(plan)
