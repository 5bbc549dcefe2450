"""The last promoted set on disk, for when PostgreSQL is away: written whole or not at all, and proven when read."""

import contextlib
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from core.domain.studies import Config
from core.errors import ConfigDamaged, StoreError
from store.config_hash import verified

FORMAT = 1


class _File(msgspec.Struct, frozen=True):
    """``digest`` is the SHA-256 of the configs' canonical JSON: status and versions count here as well."""

    format: int
    digest: str
    configs: tuple[Config, ...]


class ConfigCache:
    """Keep the newest config of each strategy in one file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> tuple[Config, ...]:
        """Return what was kept last; nothing where nothing was.

        Raises:
            ConfigDamaged: the file is not as it was written.
            StoreError: it cannot be read, or is of a newer program.
        """
        try:
            kept = msgspec.json.decode(self.path.read_bytes(), type=_File)
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise StoreError(f"{self.path} cannot be read: {error}") from error
        except msgspec.DecodeError as error:
            raise ConfigDamaged(f"{self.path} is damaged ({error}): {_REMEDY}") from error
        if kept.format > FORMAT:
            raise StoreError(f"{self.path} was written by a newer tradedeck: update this one, or remove the file")
        if _digest(kept.configs) != kept.digest:
            raise ConfigDamaged(f"{self.path} is damaged (its contents do not match its hash): {_REMEDY}")
        return tuple(verified(config, str(self.path)) for config in kept.configs)

    def write(self, configs: Sequence[Config]) -> None:
        """Keep these, durable on return; what was there stays until they are whole.

        Raises:
            StoreError: the disk is full or the file cannot be written.
        """
        configs = tuple(sorted(configs, key=lambda config: config.strategy_id))
        text = msgspec.json.format(msgspec.json.encode(_File(FORMAT, _digest(configs), configs)), indent=1)
        part = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        try:
            with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            part.replace(self.path)
            folder = os.open(self.path.parent, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
            raise StoreError(f"{self.path} cannot be written: {error}; it is as before") from error


_REMEDY = "none of it is run; it is written anew when PostgreSQL answers, or remove it"


def _digest(configs: tuple[Config, ...]) -> str:
    return hashlib.sha256(msgspec.json.encode(configs, order="deterministic")).hexdigest()
