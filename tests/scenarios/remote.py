"""A way in from elsewhere: an SSH server of the test's own, and a terminal on it whose picture can be read."""

import asyncio
import contextlib
import getpass
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
PATIENCE_S = 60.0
_CONFIG = """
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host
AuthorizedKeysFile {folder}/user.pub
PidFile {folder}/sshd.pid
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
StrictModes no
UsePAM no
"""


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class Sshd:
    """An SSH server with its own port, host key, user key and configuration; the machine's own is not touched."""

    def __init__(self, folder: Path, sshd: str, keygen: str) -> None:
        self.folder, self.port = folder, free_port()
        for name in ("host", "user"):
            subprocess.run([keygen, "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
        (folder / "config").write_text(_CONFIG.format(port=self.port, folder=folder), encoding="utf-8")
        if os.getuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # it refuses to start as root without
        self._log = (folder / "log").open("wb")
        self._process = subprocess.Popen(
            [sshd, "-D", "-e", "-f", str(folder / "config")],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
        )
        end = time.monotonic() + PATIENCE_S
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 5):
                return
            assert self._process.poll() is None, self.log()
            assert time.monotonic() < end, self.log()
            time.sleep(0.1)

    def log(self) -> str:
        """Return what it has said."""
        return (self.folder / "log").read_text(encoding="utf-8", errors="replace")[-3000:]

    def command(self, ssh: str, *words: str) -> str:
        """Return the shell command that runs words in a terminal over this server."""
        options = ("-F", "/dev/null", "-tt", "-p", str(self.port), "-i", str(self.folder / "user"))
        known = ("-o", f"UserKnownHostsFile={self.folder}/known", "-o", "StrictHostKeyChecking=accept-new")
        return shlex.join([ssh, *options, *known, f"{getpass.getuser()}@127.0.0.1", shlex.join(words)])

    def end(self) -> None:
        """Stop listening."""
        self._process.terminate()
        self._process.wait()
        self._log.close()


class Window:
    """A window of 80×24 in a tmux server of its own, in which one command runs."""

    def __init__(self, tmux: str, folder: Path, command: str) -> None:
        self._tmux = [tmux, "-S", str(folder / "tmux"), "-f", "/dev/null"]
        self._run("new-session", "-d", "-x", "80", "-y", "24", f"exec {command}")
        self.pid = int(self._run("display-message", "-p", "#{pane_pid}"))

    def _run(self, *words: str) -> str:
        done = subprocess.run([*self._tmux, *words], capture_output=True, text=True, timeout=PATIENCE_S)
        assert done.returncode == 0 or words[0] == "kill-server", (words, done.stderr)
        return done.stdout

    def picture(self) -> str:
        """Return what stands in the window."""
        return self._run("capture-pane", "-p")

    async def shows(self, *wanted: str) -> str:
        """Wait until every one of these texts stands there, and return the picture."""
        end = time.monotonic() + PATIENCE_S
        while not all(text in (seen := self.picture()) for text in wanted):
            assert time.monotonic() < end, f"{wanted} is not shown:\n{seen}"
            await asyncio.sleep(0.2)
        return seen

    async def press(self, *keys: str) -> None:
        """Press keys as a hand does, one after the other."""
        for key in keys:
            self._run("send-keys", key)
            await asyncio.sleep(0.1)

    def cut(self) -> None:
        """Kill what runs in it without a word: the link is gone."""
        os.kill(self.pid, signal.SIGKILL)

    def end(self) -> None:
        """Close it for certain."""
        self._run("kill-server")


def terminals_on(engine_socket: Path) -> list[int]:
    """List the processes that show this engine."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                words = (entry / "cmdline").read_bytes().split(b"\0")
                if b"tui" in words and os.fsencode(engine_socket) in words:
                    found.append(int(entry.name))
    return found


def desk_words(home: Path) -> tuple[str, ...]:
    """Return the words that open the screen of a home, whatever folder and environment the login gives."""
    return ("env", "-C", str(ROOT), f"TRADEDECK_HOME={home}", "TERM=xterm-256color", sys.executable, "-m", "desk")
