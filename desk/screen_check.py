"""Whether a screen can be shown here, in words; decided before anything heavy is loaded."""

import os
import shutil
import sys

MIN_WIDTH, MIN_HEIGHT = 80, 24


def unfit() -> str:
    """Return why no screen can be shown here, empty where one can; the screen is written to stderr."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return "no terminal here: use tradedeck status, watch, flatten, halt"
    term = os.environ.get("TERM", "")
    if term in ("", "dumb"):
        return f"TERM={term or '(not set)'} cannot show a screen: use tradedeck watch, status, flatten, halt"
    width, height = shutil.get_terminal_size()
    if width < MIN_WIDTH or height < MIN_HEIGHT:
        return f"needs a terminal of {MIN_WIDTH}x{MIN_HEIGHT} (this is {width}x{height})"
    return ""
