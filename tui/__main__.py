"""Run the terminal alone: `python -m tui SOCKET SETTINGS-JSON [WORDS [MEMORY [CONFIG]]]`.

Whoever starts terminals may replace its own process by this one: a terminal that carries no command line with it is a
quarter smaller. WORDS are printed when the reader has left, unless the link to the engine was lost then; MEMORY is the
file of how it was, CONFIG that of the settings.
"""

import sys
from pathlib import Path

import msgspec

from core.config.settings import TerminalSettings
from tui.start import attach


def main(arguments: list[str]) -> int:
    """Attach, and say the last words."""
    if not 2 <= len(arguments) <= 5:
        sys.stderr.write("usage: python -m tui SOCKET SETTINGS-JSON [WORDS [MEMORY [CONFIG]]]\n")
        return 2
    settings = msgspec.json.decode(arguments[1], type=TerminalSettings)
    memory, config = (Path(arguments[place]) if len(arguments) > place else None for place in (3, 4))
    farewell = arguments[2] if len(arguments) > 2 else ""
    return attach(Path(arguments[0]), settings, memory=memory, config=config, farewell=farewell)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
