"""A row of the table ``active_configs`` as a config, and a config as a row."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from core.domain.message import Nanoseconds
from core.domain.studies import Config
from core.errors import ConfigDamaged

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Row(msgspec.Struct, kw_only=True):
    """A row as it stands in the table."""

    strategy_id: str
    version: int
    status: str
    strategy: str
    interval: str
    instruments: list[str]
    parameters: Any
    leverage: float
    margin_mode: str
    max_position_size: float
    capital: float
    score: float | None
    metrics: Any
    study: str
    trial: int
    data_from: datetime | None
    data_to: datetime | None
    code_version: str
    content_hash: str
    promoted_at: datetime
    promoted_by: str

    def config(self) -> Config:
        """Return it as a config.

        Raises:
            ConfigDamaged: it holds what no config can.
        """
        found = {name: getattr(self, name) for name in self.__struct_fields__ if name != "content_hash"}
        times = {name: _nanoseconds(found[name]) for name in ("data_from", "data_to", "promoted_at")}
        try:
            return msgspec.convert({**found, **times, "hash": self.content_hash}, Config)
        except msgspec.ValidationError as error:
            raise ConfigDamaged(
                f"{self.strategy_id} v{self.version} in table active_configs cannot be read ({error}): it is not run; "
                f"roll back to another version (tradedeck configs rollback {self.strategy_id} VERSION) or promote again"
            ) from None


COLUMNS = Row.__struct_fields__


def values(config: Config) -> dict[str, Any]:
    """Return the values of a row by column."""
    found: dict[str, Any] = {name: getattr(config, name) for name in COLUMNS if name != "content_hash"}
    texts = {name: msgspec.json.encode(found[name]).decode() for name in ("parameters", "metrics")}
    times = {name: _datetime(found[name]) for name in ("data_from", "data_to", "promoted_at")}
    return {**found, **texts, **times, "instruments": list(config.instruments), "content_hash": config.hash}


def _datetime(ts: Nanoseconds) -> datetime | None:
    return _EPOCH + timedelta(microseconds=ts // 1000) if ts else None


def _nanoseconds(moment: datetime | None) -> Nanoseconds:
    return (moment - _EPOCH) // _MICROSECOND * 1000 if moment is not None else 0
