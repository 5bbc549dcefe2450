"""Streams that are missing, or that cannot show a letter: what was carried out is told as carried out."""

import io
import json
import subprocess
import sys

import pytest

from desk import output, streams
from tests.desk.conftest import Desk


def shell(desk: Desk, line: str, *words: str, **environment: str) -> "subprocess.CompletedProcess[bytes]":
    """Run a command through a line of the shell, in which ``"$@"`` stands for it."""
    return subprocess.run(
        ["sh", "-c", line, "sh", sys.executable, "-m", "desk", *words],
        env={**desk.environment, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=300,
        check=False,
    )


def test_what_is_carried_out_without_a_stdout_ends_well(running: Desk) -> None:
    before = len(running.json("fills"))
    bought = shell(running, 'exec "$@" >&-', "order", "buy", "XRP-USDT.P", "10", "--wait", "60")
    closed = shell(running, 'exec "$@" >&-', "flatten", "--all", "--wait", "60")
    assert [(one.returncode, one.stderr) for one in (bought, closed)] == [(0, b""), (0, b"")]
    assert len(running.json("fills")) >= before + 2
    assert shell(running, 'exec "$@" <&- >&- 2>&-', "status").returncode == 0


def test_a_word_that_nobody_can_type_is_none(running: Desk) -> None:
    running.ok("halt")
    try:
        done = shell(running, 'exec "$@" <&-', "resume")
        assert (done.returncode, b"Traceback" in done.stderr) == (3, False), done.stderr
    finally:
        running.ok("resume", "--word", "RESUME")


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"PYTHONIOENCODING": "ascii"}, b"HALTED: gr??e ?\n"),
        ({"PYTHONIOENCODING": "latin-1"}, b"HALTED: gr\xfc\xdfe ?\n"),
        ({"LC_ALL": "C", "PYTHONUTF8": "0"}, b"HALTED: gr??e ?\n"),
    ],
)
def test_letters_that_cannot_be_shown_hold_nothing_up(running: Desk, environment: dict[str, str], said: bytes) -> None:
    try:
        done = shell(running, 'exec "$@"', "halt", "--reason", "grüße €", **environment)
        assert (done.returncode, done.stdout, done.stderr) == (0, said, b"")
        assert running.json("status")["state_reason"] == "grüße €"
        told = shell(running, 'exec "$@"', "status", "--json", **environment)
        assert json.loads(told.stdout.decode("latin-1"))["state_reason"] == "grüße €", "JSON loses no letter"
        assert shell(running, 'exec "$@"', "status", **environment).returncode == 0
        assert b"Traceback" not in shell(running, 'exec "$@"', "doctor", **environment).stderr
    finally:
        running.ok("resume", "--word", "RESUME")


def test_an_argument_that_is_no_text_halts_all_the_same(running: Desk) -> None:
    try:
        done = shell(running, 'exec "$@" --reason "$(printf \'x\\377\')"', "halt")
        assert (done.returncode, done.stdout.decode()) == (0, "HALTED: x\N{REPLACEMENT CHARACTER}\n")
    finally:
        running.ok("resume", "--word", "RESUME")


def test_a_letter_beyond_the_first_plane_is_escaped_in_two(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", out)
    output.write_json({"said": "é🙂"})
    assert out.buffer.getvalue() == b'{"said":"\\u00e9\\ud83d\\ude42"}\n'


def test_streams_that_are_there_are_kept() -> None:
    kept = sys.stdin, sys.stdout, sys.stderr
    streams.mend()
    assert (sys.stdin, sys.stdout, sys.stderr) == kept
