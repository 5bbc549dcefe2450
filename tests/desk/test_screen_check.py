"""Whether a screen can be shown here, in words."""

import os
import pty
import subprocess
import sys

ASK = "from desk.screen_check import unfit; import sys; sys.stdout.write(unfit() or 'fit')"


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
    assert done.stdout == "no terminal here: use tradedeck status, watch, flatten, halt"


def test_a_terminal_that_is_too_small_says_both_sizes() -> None:
    assert asked_in_terminal(60, 20, {"TERM": "xterm"}) == "needs a terminal of 80x24 (this is 60x20)"


def test_a_dumb_terminal_is_answered_with_words() -> None:
    assert asked_in_terminal(80, 24, {"TERM": "dumb"}).startswith("TERM=dumb cannot show a screen")


def test_the_smallest_terminal_fits() -> None:
    assert asked_in_terminal(80, 24, {"TERM": "linux"}) == "fit"
