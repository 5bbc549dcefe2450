"""Run a terminal for a browser: `python -m tui.served SOCKET SETTINGS-JSON view|control CONFIG`.

`tradedeck web` starts it. What is painted goes to the process that started this one, which hands it to the browser. It
ends with that process.
"""

import os
import signal
import sys
import threading
import time
from pathlib import Path

import msgspec
from textual.drivers.web_driver import WebDriver

from core.config.settings import TerminalSettings
from tui.app import TerminalApp
from tui.feed import Feed
from tui.viewer import Viewer

LOOK_S = 1.0


def serve(socket: Path, settings: TerminalSettings, *, control: bool, config: Path | None = None) -> int:
    """Show the engine at `socket` to a browser until it leaves; return the exit code."""
    kind = TerminalApp if control else Viewer
    feed = Feed(socket, "browser", view_only=not control)
    options = {"feed": feed, "config": config, "driver_class": WebDriver, "colourless": False}
    app = kind(socket, settings, view_only=not control, **options)
    threading.Thread(target=leave_with, args=(os.getppid(),), daemon=True).start()
    result = app.run()
    code = app.return_code or 0
    return code if result is None else result


def leave_with(parent: int) -> None:
    """End this process when its parent has gone: nobody would see it any more."""
    while os.getppid() == parent:
        time.sleep(LOOK_S)
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    wanted = msgspec.json.decode(sys.argv[2], type=TerminalSettings)
    sys.exit(serve(Path(sys.argv[1]), wanted, control=sys.argv[3] == "control", config=Path(sys.argv[4])))
