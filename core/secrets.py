"""Secrets: read from a file that nobody else can read, or from the environment; never shown, never logged."""

import os
import tomllib
from pathlib import Path

from core.errors import ConfigError

FILE_NAME = "secrets.toml"
VARIABLE = "TRADEDECK_SECRET_"


class Secret:
    """Hold a text that ``repr``, ``str`` and a format never show."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text itself; for the moment of sending alone."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__

    def __bool__(self) -> bool:
        return bool(self._text)


def variable_of(section: str, name: str) -> str:
    """Return the environment variable that a secret may stand in."""
    return VARIABLE + "".join(char if char.isalnum() else "_" for char in f"{section}_{name}").upper()


def find_secret(path: Path, section: str, name: str) -> Secret:
    """Return a secret: from the environment, else from the file.

    Raises:
        ConfigError: it is nowhere, or the file is readable by others or is not TOML; its contents are never shown.
    """
    variable = variable_of(section, name)
    given = os.environ.get(variable, "")
    if given:
        return Secret(given)
    try:
        mode = path.stat().st_mode & 0o777
        if mode & 0o077:
            raise ConfigError(f"{path.name} can be read by others (mode {mode:04o}); run: chmod 600 {path}")
        tree = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        tree = {}
    except tomllib.TOMLDecodeError:  # its message may quote the line, and the line may be a secret
        raise ConfigError(f'{path} is not TOML; expected [{section}] and lines such as {name} = "..."') from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {type(error).__name__}") from None
    table = tree.get(section)
    text = table.get(name) if isinstance(table, dict) else None
    if not isinstance(text, str) or not text:
        raise ConfigError(f'secret "{name}" is missing: write it into {path} under [{section}], or set {variable}')
    return Secret(text)
