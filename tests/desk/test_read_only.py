"""A disk that takes nothing, such as a dying card: what is wrong, where, and what to do; nothing sound is put away."""

import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from core.config.file import load_or_create
from core.errors import StoreError
from desk import cli, drilling
from desk.paths import Home, Role
from desk.roles import services
from desk.roles.sitter import DrillResult
from desk.troubles import words_of
from tests.desk.conftest import Desk

RESULT = DrillResult("2026-11-20", 0.02, 0.94, 3.61)


class Card:
    """Run commands where one folder can only be read, in a view of the file system of their own."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def run(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """Run a command of the command line."""
        return self.shell(sys.executable, "-m", "desk", *words, "--home", str(self.home))

    def shell(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """Run any command there."""
        line = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"'
        return subprocess.run(
            ["unshare", "--map-root-user", "--mount", "sh", "-c", line, str(self.home), *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )


@pytest.fixture
def card(tmp_path: Path) -> Card:
    """Give a folder on such a disk; where the machine allows no such view, its tests are skipped."""
    (tmp_path / "home").mkdir(mode=0o700, exist_ok=True)
    found = Card(tmp_path / "home")
    if shutil.which("unshare") is None or found.shell("true").returncode:
        pytest.skip("no file system of one's own can be had here")
    return found


def test_a_home_that_can_only_be_read_is_named_and_its_journal_kept(desk: Desk, card: Card) -> None:
    demo = desk.demo()
    demo.terminate()
    demo.wait(120)
    started = card.run("demo", "--headless")
    assert started.returncode == 1
    assert started.stderr == (
        f"tradedeck: {card.home}/logs/market.log cannot be written: Read-only file system; "
        f"a data directory must be writable; tradedeck --home {card.home} doctor tells more\n"
    )
    looked = card.run("doctor", "--json")
    found = {finding["name"]: finding for finding in json.loads(looked.stdout)}
    assert looked.returncode == 1
    assert found["home"]["detail"] == f"{card.home} cannot be written: its disk can only be read"
    assert "findmnt -T " in found["home"]["advice"]
    assert found["journal"]["verdict"] == "ok" or "restore nothing" in found["journal"]["advice"]


def test_a_drill_on_it_shows_what_it_measured(card: Card) -> None:
    load_or_create(Home(card.home).create().config)
    done = card.run("drill", "--json")
    assert (done.returncode, set(json.loads(done.stdout))) == (1, {"date", "exit_s", "flat_s", "sentinel_flat_s"})
    assert done.stderr.splitlines()[-1].startswith("tradedeck: what was measured is not kept: ")
    assert "Traceback" not in done.stderr


def test_a_result_that_cannot_be_kept_is_an_error_in_words(tmp_path: Path) -> None:
    home = Home(tmp_path).create()
    home.drill.with_suffix(".new").mkdir()
    with pytest.raises(StoreError, match=r"what was measured is not kept: .*drill\.json cannot be written"):
        drilling.keep(home, RESULT)


def test_a_log_that_cannot_be_written_starts_nothing(tmp_path: Path) -> None:
    home = Home(tmp_path).create()
    home.log(Role.MARKET).mkdir()
    with pytest.raises(StoreError, match=r"market\.log cannot be written: .*; a data directory must be writable"):
        services.start(home, Role.MARKET)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (errno.EROFS, "/x y cannot be used: Read-only file system; the disk can only be read"),
        (errno.EIO, "/x y cannot be used: Input/output error; the disk fails"),
        (errno.EACCES, "/x y cannot be used: Permission denied; it belongs to somebody else, or its mode forbids it"),
        (errno.EPERM, "look with: ls -ld '/x y'"),
        (errno.EISDIR, "a folder is where a file is expected"),
        (errno.ENOSPC, "the disk is full"),
    ],
)
def test_a_file_that_cannot_be_used_is_told_in_words(code: int, said: str) -> None:
    assert said in words_of(OSError(code, os.strerror(code), "/x y"))


@pytest.mark.parametrize(
    "error",
    [
        FileNotFoundError(errno.ENOENT, "No such file or directory", "/x"),
        ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"),
        PermissionError(errno.EPERM, "Operation not permitted"),
        OSError("a fault of ours"),
    ],
)
def test_what_may_be_a_fault_of_ours_is_seen_whole(error: OSError) -> None:
    assert words_of(error) == ""


def test_a_command_ends_in_words_and_in_json(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(**_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", "/x")

    monkeypatch.setattr(cli, "app", refused)
    monkeypatch.setattr(sys, "argv", ["tradedeck", "status", "--json"])
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    said = capsys.readouterr()
    assert ended.value.code == 1
    assert said.err.startswith("tradedeck: /x cannot be used: Permission denied; ")
    assert said.err.startswith(f"tradedeck: {json.loads(said.out)['error']}")
