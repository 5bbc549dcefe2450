"""The keys that choose how the terminal is used: layout, keymap; and what the config says of them, read again."""

from collections.abc import Mapping
from pathlib import Path

from core.config.settings import TerminalSettings
from core.errors import ConfigError
from tui import keymaps
from tui.actions import keymap
from tui.confirm import Choose, Notice
from tui.lines import LineView, Pane
from tui.looking import Looking
from tui.theme import COLOURLESS, theme_id

AT_START = ("colours", "slow_link", "mouse", "local_time")
"""What a running terminal does not take from a config that has changed."""
LAYOUT_WORDS = {"auto": "wide where there is room", "narrow": "a few panes, the others by Tab", "wide": "all panes"}


class Choosing(Looking):
    """An app whose layout and keymap are chosen while it runs."""

    config_file: Path | None = None
    """The file that the settings came from; None where there is none to read again."""
    keymap_name: str

    # -- layout ----------------------------------------------------------------------------------------------

    def action_layout(self) -> None:
        """Choose another layout."""
        words = dict(LAYOUT_WORDS)
        for name, own in self.settings.layouts.items():
            columns = (own.left, own.middle, own.right)
            words[name] = " | ".join(" ".join(column) for column in columns if column)

        def chosen(name: str | None) -> None:
            if name is not None:
                self.use_layout(name)

        _ = self.push_screen(Choose("layout", _choices(words, self.layout_name)), chosen)

    def use_layout(self, name: str) -> None:
        """Show every screen in this layout."""
        self.layout_name = name
        for screen in self.deck.values():
            screen.set_layout(name)

    # -- keymap ----------------------------------------------------------------------------------------------

    def action_keymap(self) -> None:
        """Choose another keymap."""
        words = {name: keymaps.words_of(self.settings, name) for name in keymaps.names_of(self.settings)}
        if len(words) == 1:
            self.tell("there is one keymap; a table [terminal.keymaps.NAME] in config.toml makes another", "warn")
            return

        def chosen(name: str | None) -> None:
            if name is not None:
                self.use_keymap(name)
                self.tell(f"keymap {name}: {{help}} shows its keys")

        _ = self.push_screen(Choose("keymap", _choices(words, self.keymap_name)), chosen)

    def use_keymap(self, name: str) -> None:
        """Let every action have its keys of this keymap, and show them wherever keys are named."""
        self.keymap_name = name
        self.chosen_keys = keymaps.keys_of(self.settings, name)
        self.set_keymap(keymap(self.chosen_keys))
        for screen in self.deck.values():
            for pane in screen.query(Pane):
                pane.frame_anew()
        self.draw_header()

    # -- config ----------------------------------------------------------------------------------------------

    def action_reload(self) -> None:
        """Read the config again; one that cannot be used is said, and changes nothing."""
        if self.config_file is None:
            self.tell("this terminal was given no config.toml to read again", "warn")
            return
        from core.config.file import load

        try:
            settings = load(self.config_file)[0].terminal
            keymaps.check(settings, self.config_file)
        except ConfigError as error:
            _ = self.push_screen(Notice("config.toml is not taken", f"{error}\n\neverything stays as it was"))
            return
        before, self.settings = self.settings, settings
        self._take_settings()
        later = [key for key in AT_START if getattr(before, key) != getattr(settings, key)]
        words = f"config.toml is taken: keymap {self.keymap_name}, layout {self.layout_name}"
        self.tell(words + (f"; {', '.join(later)} at the next start" if later else ""))

    def _take_settings(self) -> None:
        """Use what the settings say; a layout or a keymap that is gone gives way to the first one."""
        settings = self.settings
        self.trade.layouts = settings.layouts
        self.use_layout(self.layout_name if self.layout_name in self.layouts_known() else settings.layout)
        known = self.keymap_name in keymaps.names_of(settings)
        self.use_keymap(self.keymap_name if known else settings.keymap)
        self.use_theme()

    def layouts_known(self) -> tuple[str, ...]:
        """Give the names of all layouts."""
        return (*LAYOUT_WORDS, *self.settings.layouts)

    def use_theme(self) -> None:
        """Show the theme of the settings; with few colours, the one that needs no more."""
        settings: TerminalSettings = self.settings
        sixteen = self.colourless or settings.slow_link or settings.colours == "16"
        self.theme = theme_id(COLOURLESS if sixteen else settings.theme)
        self.call_after_refresh(self._restyle)

    def _restyle(self) -> None:
        """Have every line painted in the colours of now, also where nothing else of its widget has changed."""
        for screen in self.deck.values():
            for view in screen.query(LineView):
                view.notify_style_update()
                _ = view.refresh()


def _choices(words: Mapping[str, str], now: str) -> list[tuple[str, str]]:
    return [(name, f"{name:<16} {told}{'   now' if name == now else ''}") for name, told in words.items()]
