"""What keeps secrets inside a process: nothing that it writes shows one, and it leaves no core file."""

import contextlib
import io
import resource
import sys
import traceback
from pathlib import Path
from types import TracebackType
from typing import Any

from core.config.secrets import redact

KEYRING_SERVICE = "tradedeck"


class Redacting(io.TextIOBase):
    """Write to a stream, secrets left out: log lines, warnings, tracebacks of any thread."""

    def __init__(self, stream: Any) -> None:
        super().__init__()
        self._stream = stream

    def write(self, text: str) -> int:
        """Write a text without secrets; whoever wrote it is told that all of it went."""
        self._stream.write(redact(text))
        return len(text)

    def flush(self) -> None:
        """Write what is held back."""
        self._stream.flush()

    def fileno(self) -> int:
        """Return the descriptor below, for those who ask about the file itself."""
        return int(self._stream.fileno())

    def isatty(self) -> bool:
        """Tell whether somebody looks at it."""
        return bool(self._stream.isatty())

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """The encoding below."""
        return str(self._stream.encoding)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def harden() -> None:
    """Leave no core file, also where the system pipes them to a program, and redact what goes to stderr."""
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError):  # a pipe gets its core whatever the limit: then without any memory in it
        Path("/proc/self/coredump_filter").write_text("0\n", encoding="ascii")
    if not isinstance(sys.stderr, Redacting):
        sys.stderr = Redacting(sys.stderr)


def excepthook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print a traceback of a command, secrets left out."""
    sys.stderr.write(redact("".join(traceback.format_exception(kind, error, trace))))


def from_keyring(section: str, name: str) -> str | None:
    """Return a secret of the system's keyring; None where it has none, or the package keyring is not installed."""
    try:
        import keyring
    except ImportError:
        return None
    try:
        found = keyring.get_password(KEYRING_SERVICE, f"{section}.{name}")
    except keyring.errors.KeyringError:  # no daemon on this machine, or it is locked
        return None
    return found if isinstance(found, str) else None
