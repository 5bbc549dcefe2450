"""Secrets: from the environment, systemd's credentials, a file that nobody else can read, or a keyring; never shown.

What was found is known here, so that `redact` can take it out of whatever is about to be written.
"""

import json
import os
import tomllib
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from core.errors import ConfigError

FILE_NAME = "secrets.toml"
VARIABLE = "TRADEDECK_SECRET_"
CREDENTIALS = "CREDENTIALS_DIRECTORY"
"""Where systemd puts what a unit's ``LoadCredential=alerts.phone:...`` names."""
HIDDEN = "***"
LEAST_CHARS = 4
"""A shorter text is in every second word: nothing would be left of a log without it."""
Keyring = Callable[[str, str], str | None]
"""Looks a section's secret up by its name; None where there is none."""

_known: dict[str, None] = {}
"""Every form in which a secret of this process may be written, the longest first."""


class Secret:
    """Hold a text that ``repr``, ``str`` and a format never show."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text itself; for the moment of sending alone."""
        return self._text

    def __repr__(self) -> str:
        return f"Secret({HIDDEN})"

    __str__ = __repr__

    def __bool__(self) -> bool:
        return bool(self._text)


def remember(text: str) -> Secret:
    """Take a secret into what `redact` hides, in the forms of addresses and of JSON too."""
    forms = {text, quote(text, safe=":/"), quote(text, safe=""), json.dumps(text)[1:-1], repr(text)[1:-1]}
    known = sorted({*_known, *(form for form in forms if len(form) >= LEAST_CHARS)}, key=len, reverse=True)
    _known.clear()
    _known.update(dict.fromkeys(known))
    return Secret(text)


def redact(text: str) -> str:
    """Return a text without any secret that this process has read."""
    for form in _known:
        if form in text:
            text = text.replace(form, HIDDEN)
    return text


def variable_of(section: str, name: str) -> str:
    """Return the environment variable that a secret may stand in."""
    return VARIABLE + "".join(char if char.isalnum() else "_" for char in f"{section}_{name}").upper()


def find_secret(path: Path, section: str, name: str, keyring: Keyring | None = None) -> Secret:
    """Return a secret: from the environment, else systemd's credentials, else the file, else a keyring.

    Raises:
        ConfigError: it is nowhere, or the file is readable by others or is not TOML; its contents are never shown.
    """
    variable = variable_of(section, name)
    text = os.environ.get(variable, "") or _credential(section, name) or _from_file(path, section, name)
    if not text and keyring is not None:
        text = keyring(section, name) or ""
    if not text:
        raise ConfigError(f'secret "{name}" is missing: write it into {path} under [{section}], or set {variable}')
    return remember(text)


def _credential(section: str, name: str) -> str:
    folder = os.environ.get(CREDENTIALS, "")
    if not folder:
        return ""
    path = Path(folder) / f"{section}.{name}"
    try:
        return path.read_text(encoding="utf-8").removesuffix("\n")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"credential {path} cannot be read: {type(error).__name__}") from None


def _from_file(path: Path, section: str, name: str) -> str:
    try:
        mode = path.stat().st_mode & 0o777
        if mode & 0o077:
            raise ConfigError(f"{path.name} can be read by others (mode {mode:04o}); run: chmod 600 {path}")
        tree = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return ""
    except tomllib.TOMLDecodeError:  # its message may quote the line, and the line may be a secret
        raise ConfigError(f'{path} is not TOML; expected [{section}] and lines such as {name} = "..."') from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {type(error).__name__}") from None
    table = tree.get(section)
    text = table.get(name) if isinstance(table, dict) else None
    return text if isinstance(text, str) else ""
