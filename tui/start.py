"""Attach a terminal to an engine: the one entry for whoever starts it."""

import os
import sys
from pathlib import Path

from core.config.settings import TerminalSettings
from core.errors import ConfigError

_COLOUR_SYSTEMS = {"truecolor": "truecolor", "256": "256", "16": "standard"}
UNKNOWN = "no engine answered: tradedeck status says what runs, tradedeck starts an engine"
"""What is said at the end where nobody can tell that the engine runs."""


def attach(
    socket: Path,
    settings: TerminalSettings,
    *,
    view_only: bool = False,
    memory: Path | None = None,
    config: Path | None = None,
    farewell: str = "",
) -> int:
    """Show the engine at `socket` until the reader leaves; return the exit code.

    Where no screen can be shown, or the settings cannot be used, say why on stderr and return 2. Textual is imported
    only when it is needed, after the wanted colours are set in its environment. ``memory`` is the file that says how
    the last terminal was left, ``config`` the one that the settings came from. ``farewell`` is said at the end,
    unless the link to the engine was lost then.
    """
    if settings.colours in _COLOUR_SYSTEMS:
        os.environ["TEXTUAL_COLOR_SYSTEM"] = _COLOUR_SYSTEMS[settings.colours]
    elif settings.slow_link:
        os.environ["TEXTUAL_COLOR_SYSTEM"] = "standard"
    from tui.fit import unfit

    words = unfit()
    if words is not None:
        sys.stderr.write(f"{words}\n")
        return 2
    from tui.app import TerminalApp
    from tui.viewer import Viewer

    kind = Viewer if view_only else TerminalApp
    try:
        app = kind(socket, settings, view_only=view_only, memory=memory, config=config)
    except ConfigError as error:
        sys.stderr.write(f"tradedeck: {error}\n")
        return 2
    result = app.run(mouse=settings.mouse)
    code = (app.return_code or 0) if result is None else result
    if code == 0 and farewell:
        sys.stderr.write(f"{UNKNOWN if app.left_unknown else farewell}\n")
    return code
