"""A small app that shows given widgets with the real style sheet, and answers questions about the picture."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from textual.app import ComposeResult
from textual.widget import Widget

import tui
from tui.terminal import GuardedApp
from tui.theme import load_themes, theme_id

STYLE = Path(tui.__file__).parent / "app.tcss"


class Harness(GuardedApp):
    """Show widgets side by side."""

    CSS_PATH = STYLE

    def __init__(self, *widgets: Widget, theme: str = "dark", **options: Any) -> None:
        self._shown: Sequence[Widget] = widgets
        self._theme_name = theme
        self.heard: list[Any] = []
        super().__init__(**options)

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """Give the variables that our style sheet needs before a theme of ours is chosen."""
        return dict(load_themes()[0].variables)

    def compose(self) -> ComposeResult:
        """Show the widgets."""
        yield from self._shown

    def on_mount(self) -> None:
        """Choose the theme."""
        super().on_mount()
        for theme in load_themes():
            self.register_theme(theme)
        self.theme = theme_id(self._theme_name)


def screen_lines(app: GuardedApp) -> list[str]:
    """Give the picture as lines of text."""
    width, height = app.size
    lines = ["".join(segment.text for segment in strip) for strip in app.screen._compositor.render_strips(app.size)]
    assert len(lines) == height
    assert width
    return lines


def picture(app: GuardedApp) -> str:
    """Give the picture as one text."""
    return "\n".join(screen_lines(app))
