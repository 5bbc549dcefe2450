"""The configs screen: what every strategy runs by, what it ran by before, and where each of them came from."""

from collections.abc import Mapping, Sequence
from textwrap import wrap
from typing import ClassVar

from textual.app import ComposeResult

from core.domain import studies as s
from core.domain.studies import NO_RESEARCHER
from core.session.strategies import strategies, strategy_words
from tui import studying
from tui.feed import STUDIES, Dirty
from tui.format import clock, number
from tui.grid import Grid
from tui.lines import Line, Pane
from tui.screens.base import DeckScreen
from tui.screens.report import difference_screen
from tui.widgets.studies import ConfigGrid, Wanted

NONE_YET = "nothing was promoted yet: p on a trial of the studies screen does"


def provenance_lines(config: s.Config | None, width: int, live: Sequence[str] = (), *, local: bool) -> list[Line]:
    """Say everything of a config: what runs of its strategy now, what it runs by, its figures, where it came from."""
    if config is None or width < 20:
        return [((" no config is chosen", "dim"),)]

    def at(ts: int, pattern: str = "%Y-%m-%d") -> str:
        return clock(ts, local=local, pattern=pattern) if ts else "–"

    metrics = " · ".join(f"{name} {value:.4g}" for name, value in config.metrics.items()) or "no figures"
    parts = (
        *(("now" if not index else "", line, "strong") for index, line in enumerate(live)),
        ("parameters", studying.parameter_words(config.parameters), "strong"),
        ("runs", f"leverage {config.leverage:g} {config.margin_mode} · "
                 f"{studying.size_words(config.max_position_size)} · "
                 + " ".join(studying.symbol(id_) for id_ in config.instruments), ""),
        ("figures", f"score {number(config.score)} · {metrics}", ""),
        ("from", f"trial {config.trial} of {config.study} · data {at(config.data_from)} to {at(config.data_to)} · "
                 f"code {config.code_version or '–'} · {config.hash[:16] or 'no hash'}", "dim"),
        ("promoted", f"{at(config.promoted_at, '%Y-%m-%d %H:%M:%S')} by {config.promoted_by}", "dim"),
    )  # fmt: skip
    lines: list[Line] = []
    for name, words, style in parts:
        for index, line in enumerate(wrap(words, max(10, width - 13))):
            lines.append(((f" {name if not index else '':11}", "dim"), (line, style)))
    return lines


class ConfigsScreen(DeckScreen):
    """Compare configs, and return to an earlier one."""

    CSS_PATH = "configs.tcss"
    AUTO_FOCUS = "#configs"
    NAME = "configs"
    TAB_ORDER = ("configs",)
    SCOPES: ClassVar[Mapping[str, str]] = {"configs": "configs"}

    def body(self) -> ComposeResult:
        """Place the list above what belongs to one config."""
        self.configs = ConfigGrid(
            studying.CONFIG_COLUMNS,
            "configs",
            "{configs.rollback} roll back · {configs.diff} diff",
            empty=NO_RESEARCHER,
            id="configs",
        )
        self.provenance = Pane("config", "", id="provenance")
        yield self.configs
        yield self.provenance

    @property
    def config(self) -> s.Config | None:
        """The config under the cursor."""
        found = self.feed.state.studies.configs.values()
        return next((config for config in found if config.key == self.configs.cursor), None)

    @property
    def active(self) -> s.Config | None:
        """What the chosen config's strategy runs by now."""
        return None if self.config is None else self.feed.state.studies.active(self.config.strategy_id)

    def draw(self, dirty: Dirty, now: int, slow: bool) -> None:
        """Draw what changed."""
        if not (slow or STUDIES in dirty.topics):
            return
        book = self.feed.state.studies
        absent = studying.told_by(book.attached, book.since, now)
        ordered = sorted(book.configs.values(), key=_order)
        self.configs.set_rows(
            studying.config_row(config, stale=bool(absent), local=self.local_time) for config in ordered
        )
        self.configs.empty = NONE_YET if book.attached else NO_RESEARCHER
        active = sum(config.status is s.ConfigStatus.ACTIVE for config in ordered)
        said = absent or (f"{active} active" if ordered else "")
        self.configs.set_title(f"configs  {said}".rstrip())
        self._draw_config()

    def _draw_config(self) -> None:
        width, height = self.provenance.content_size
        config = self.config
        live: list[str] = []
        if config is not None:
            state = self.feed.state
            seen = [one for one in strategies(state.configs, state.markets) if one.strategy_id == config.strategy_id]
            live = strategy_words(seen, lambda ts: clock(ts, local=self.local_time, pattern="%Y-%m-%d %H:%M"))
        self.provenance.show(provenance_lines(config, width, live, local=self.local_time)[:height])
        self.provenance.set_title("config" if config is None else config.key)

    def on_grid_moved(self, event: Grid.Moved) -> None:
        """Say everything of the config under the cursor."""
        self._draw_config()

    def on_wanted(self, event: Wanted) -> None:
        """Show what differs; what a key asks to be done goes on to the app."""
        if event.what != "diff":
            return
        if self.config is None or self.config.status is s.ConfigStatus.ACTIVE:
            self.post_message(self.Said("choose an earlier version: this one is active, nothing differs"))
            return
        lines = studying.difference_lines(self.active, self.config, min(100, self.app.size.width - 6))
        _ = self.app.push_screen(difference_screen(lines, f"what {self.config.key} would change"))


def _order(config: s.Config) -> tuple[str, bool, int]:
    """Sort by strategy, the active version first, then the newest."""
    return config.strategy_id, config.status is not s.ConfigStatus.ACTIVE, -config.version
