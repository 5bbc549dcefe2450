"""Whether a screen can be shown here, in words."""

import io
import os
import pty
import re
import subprocess
import sys

import pytest

from tui.fit import too_small, unfit

ASK = "from tui.fit import unfit; import sys; sys.stdout.write(unfit() or 'fit')"


def asked_in_terminal(width: int, height: int, environment: dict[str, str]) -> str:
    import fcntl
    import struct
    import termios

    ours, theirs = pty.openpty()
    try:
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
        env = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "LINES")} | environment
        # The size is asked of stdout, as a terminal program does; its answer comes back through the terminal.
        subprocess.run([sys.executable, "-c", ASK], stdin=theirs, stdout=theirs, stderr=theirs, env=env, check=True)
        return os.read(ours, 4096).decode()
    finally:
        os.close(ours)
        os.close(theirs)


def test_without_a_terminal_it_names_the_commands_that_work() -> None:
    done = subprocess.run([sys.executable, "-c", ASK], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert done.stdout == "stdin is not a terminal, so no screen can be shown; use `tradedeck watch` for plain lines"


def test_a_terminal_that_is_too_small_says_both_sizes() -> None:
    assert "needs 80×24, this terminal has 60×20: enlarge it. " in asked_in_terminal(60, 20, {"TERM": "xterm"})


def test_a_dumb_terminal_is_answered_with_words() -> None:
    assert asked_in_terminal(80, 24, {"TERM": "dumb"}).startswith("TERM=dumb cannot show a screen")


def test_the_smallest_terminal_fits() -> None:
    assert asked_in_terminal(80, 24, {"TERM": "linux"}) == "fit"


class _Tty(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("environment", "size", "words"),
    [
        ({"TERM": "dumb"}, (80, 24), "TERM=dumb"),
        ({}, (80, 24), r"TERM=\(unset\)"),
        ({"TERM": "xterm"}, (79, 24), "80×24, this terminal has 79×24"),
        ({"TERM": "xterm"}, (79, 24), "enlarge it. Without a screen: `tradedeck halt`, `tradedeck flatten --all`$"),
        ({"TERM": "xterm"}, (200, 5), "has 200×5: enlarge it. Without a screen: `tradedeck halt`, `tradedeck flatten"),
    ],
)
def test_an_unfit_terminal_is_answered_in_words(environment: dict[str, str], size: tuple[int, int], words: str) -> None:
    answer = unfit(_Tty(), _Tty(), environment, size)
    assert answer is not None
    assert re.search(words, answer)


def test_a_pipe_is_answered_in_words() -> None:
    assert "stdin is not a terminal" in str(unfit(io.StringIO(), _Tty(), {"TERM": "xterm"}, (80, 24)))
    assert "stderr is not a terminal" in str(unfit(_Tty(), io.StringIO(), {"TERM": "xterm"}, (80, 24)))
    assert unfit(_Tty(), _Tty(), {"TERM": "xterm"}, (80, 24)) is None
    assert too_small(200, 50) is None
