"""What the keys of alerts send: seen, silent, a rule set or taken away."""

from collections.abc import Callable

from core.domain.alerts import AlertRule
from tui import trading
from tui.alerting import AskAlert, new_rule
from tui.commanding import Commanding
from tui.screens.alerts import RuleGrid
from tui.trading import Nothing, Plan
from tui.widgets.alerts import AlertGrid


class AlertKeys(Commanding):
    """A view whose alerts can be acknowledged and muted; who carries out a plan is said by a subclass."""

    def carry_out(self, plan: Plan) -> None:
        """Send what a plan holds."""
        raise NotImplementedError

    def confirm(self, make: Callable[[], Plan]) -> None:
        """Ask about a plan, and carry it out when it is confirmed."""
        raise NotImplementedError

    def action_price_alert(self) -> None:
        """Ask at which price to speak; in the ladder its cursor's price is there already."""
        here = self.here
        market = None if here.instrument is None else self.feed.state.markets.get(here.instrument)
        if market is None:
            self.tell("no instrument is chosen: {find} finds one", "warn")
            return
        at_cursor = here is self.trade and here.focused is self.trade.ladder
        self._ask_alert(new_rule(market, self.trade.ladder.cursor_price if at_cursor else None))

    def _ask_alert(self, rule: AlertRule) -> None:
        market = self.feed.state.markets.get(rule.instrument)

        def answered(asked: AlertRule | None) -> None:
            if asked is not None:
                self.carry_out(trading.set_alert(asked))

        _ = self.push_screen(AskAlert(rule, market), answered)

    def on_rule_grid_edit(self, event: RuleGrid.Edit) -> None:
        """Change a rule."""
        rule = self.feed.state.alerts.rules.get(event.rule)
        if rule is not None:
            self._ask_alert(rule)

    def on_rule_grid_remove(self, event: RuleGrid.Remove) -> None:
        """Take a rule away, after a confirming key."""
        self.confirm(lambda: trading.remove_alert(self.feed.state, event.rule))

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
