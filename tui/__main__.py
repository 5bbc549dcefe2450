"""Run the terminal alone: `python -m tui SOCKET SETTINGS-JSON [WORDS [MEMORY]]`.

Whoever starts terminals may replace its own process by this one: a terminal that carries no command line with it is a
quarter smaller. WORDS are printed when the reader has left; MEMORY is the file of how it was.
"""

import sys
from pathlib import Path

import msgspec

from core.config import TerminalSettings
from tui.start import attach


def main(arguments: list[str]) -> int:
    """Attach, and say the last words."""
    if not 2 <= len(arguments) <= 4:
        sys.stderr.write("usage: python -m tui SOCKET SETTINGS-JSON [WORDS [MEMORY]]\n")
        return 2
    settings = msgspec.json.decode(arguments[1], type=TerminalSettings)
    code = attach(Path(arguments[0]), settings, memory=Path(arguments[3]) if len(arguments) == 4 else None)
    if code == 0 and len(arguments) >= 3:
        sys.stderr.write(f"{arguments[2]}\n")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
