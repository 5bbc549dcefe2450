"""What a service says to systemd: ready, alive, stopping, and how it stands (the protocol of sd_notify)."""

import contextlib
import os
import socket
import time

SOCKET_VARIABLE, WATCHDOG_VARIABLE, WATCHDOG_PID = "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"


class Notify:
    """Speak to the service manager that started this process; without one every word goes nowhere.

    The variables are taken out of the environment, so that children do not speak in our name.
    """

    def __init__(self) -> None:
        address = os.environ.pop(SOCKET_VARIABLE, "")
        usec, pid = os.environ.pop(WATCHDOG_VARIABLE, ""), os.environ.pop(WATCHDOG_PID, "")
        ours = not pid or pid == str(os.getpid())
        self._every_s = int(usec) / 2e6 if ours and usec.isdigit() else 0.0
        """Half of what systemd waits for; 0 where it does not."""
        self._alive_at = 0.0
        self._socket: socket.socket | None = None
        if address:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            self._socket.setblocking(False)  # a manager that does not read must not hold up a loop
            with contextlib.suppress(OSError):
                self._socket.connect("\0" + address[1:] if address.startswith("@") else address)

    @property
    def supervised(self) -> bool:
        """Tell whether systemd started this process, and will start it again."""
        return self._socket is not None

    def _say(self, *lines: str) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.send("\n".join(lines).encode())

    def ready(self, status: str) -> None:
        """Say that the service serves."""
        self._say("READY=1", f"STATUS={status}")

    def status(self, text: str) -> None:
        """Say how the service stands, in one line."""
        self._say(f"STATUS={text}")

    def stopping(self) -> None:
        """Say that the service ends."""
        self._say("STOPPING=1")

    def close(self) -> None:
        """Say nothing any more."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def alive(self) -> None:
        """Say that the loop goes round; called as often as one likes, it speaks when it is time."""
        if self._every_s:
            now = time.monotonic()
            if now - self._alive_at >= self._every_s:
                self._alive_at = now
                self._say("WATCHDOG=1")
