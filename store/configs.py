"""Promoted configs in PostgreSQL: one active row a strategy, a history that stays, one transaction a change."""

import contextlib
import time
from collections.abc import Iterator
from typing import Any, Protocol, Self

import msgspec
import psycopg
from msgspec.structs import replace
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import class_row, dict_row

from core.config.secrets import Secret
from core.domain.studies import Config, ConfigStatus
from core.errors import ConfigDamaged, ConfigError, DiskFull, PromotionRefused, StoreAway, StoreError
from store.config_hash import content_hash, flaw, verified
from store.config_rows import COLUMNS, Row, values
from store.config_schema import CHANNEL, MIGRATIONS
from store.postgres import BEGINS

CONNECT_S = 5
STARTING_S = 30.0
LOCK_WAIT = "10s"


class Place(Protocol):
    """Where a PostgreSQL is."""

    @property
    def words(self) -> str:
        """Name it in a sentence, without any secret."""
        ...

    @property
    def conninfo(self) -> dict[str, str]:
        """Return how to connect."""
        ...

    @property
    def passing(self) -> tuple[str, ...]:
        """Return what is said where it answers soon: one that begins or ends, or that we start again."""
        ...

    def start(self, *, create: bool = False) -> None:
        """Have it listen, where that is ours to do."""
        ...


class NamedServer:
    """A PostgreSQL that somebody else runs, by its DSN; the password comes from the secrets."""

    def __init__(self, dsn: str, password: Secret | None = None) -> None:
        try:
            self._info = {key: str(value) for key, value in conninfo_to_dict(dsn).items()}
        except psycopg.ProgrammingError as error:
            raise ConfigError(
                f"[configs] dsn is not understood: {_first(error)}; expected postgresql://USER@HOST/DATABASE or "
                "host=HOST dbname=DATABASE user=USER"
            ) from None
        self._password = password

    @property
    def words(self) -> str:
        """Name it in a sentence."""
        shown = " ".join(f"{key}={self._info[key]}" for key in ("host", "port", "dbname", "user") if key in self._info)
        return f"PostgreSQL at {shown or 'its default place'}"

    @property
    def conninfo(self) -> dict[str, str]:
        """Return how to connect; a peer that is gone without a word is noticed within some 15 s."""
        found = {"tcp_user_timeout": "15000", "keepalives_idle": "10", "keepalives_interval": "5", **self._info}
        return {**found, "password": self._password.reveal()} if self._password else found

    @property
    def passing(self) -> tuple[str, ...]:
        """Return what is said where it answers soon."""
        return BEGINS

    def start(self, *, create: bool = False) -> None:
        """Do nothing: it runs elsewhere."""


class Found(msgspec.Struct, frozen=True):
    """What was read; ``damaged`` says of each row that was refused which one it is, why, and what to do."""

    configs: tuple[Config, ...] = ()
    damaged: tuple[str, ...] = ()


class ConfigStore:
    """One connection to the configs; ``open`` it, and close it soon, except to listen."""

    def __init__(self, connection: "psycopg.Connection[Any]", words: str) -> None:
        self._connection, self.words = connection, words

    @classmethod
    def open(cls, place: Place, *, create: bool = False) -> Self:
        """Connect; a server of ours is started first, and with ``create`` made where there is none.

        Raises:
            StoreAway: it cannot be reached, does not start, or refuses.
        """
        deadline = time.monotonic() + STARTING_S
        while True:
            place.start(create=create)
            try:
                info = {"connect_timeout": CONNECT_S, "application_name": "tradedeck", **place.conninfo}
                return cls(psycopg.connect(**info, autocommit=True, row_factory=dict_row), place.words)  # type: ignore[arg-type]
            except psycopg.OperationalError as error:
                if time.monotonic() > deadline or not any(words in str(error) for words in place.passing):
                    raise StoreAway(f"{place.words} cannot be reached: {_first(error)}") from None
            time.sleep(0.1)

    def close(self) -> None:
        """End the session."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- reading ------------------------------------------------------------------------------------------------------

    def newest(self) -> Found:
        """Return the newest version of each strategy: what it runs by; where that one is history, it was retired."""
        return self._read("SELECT DISTINCT ON (strategy_id) {} FROM active_configs ORDER BY strategy_id, version DESC")

    def history(self, strategy_id: str = "") -> Found:
        """Return every version of a strategy, or of all, the newest first."""
        if strategy_id:
            query = "SELECT {} FROM active_configs WHERE strategy_id = %s ORDER BY version DESC"
            return self._read(query, strategy_id)
        return self._read("SELECT {} FROM active_configs ORDER BY strategy_id, version DESC")

    def active(self, strategy_id: str) -> Config | None:
        """Return what a strategy runs by; None where it runs by nothing.

        Raises:
            ConfigDamaged: it is not what was promoted.
        """
        return self._one("SELECT {} FROM active_configs WHERE strategy_id = %s AND status = 'active'", strategy_id)

    def active_version(self, strategy_id: str) -> int:
        """Return which version is active, sound or not; 0 where none is."""
        with self._saying():
            if not self._is_there():
                return 0
            query = "SELECT version FROM active_configs WHERE strategy_id = %s AND status = 'active'"
            row = self._connection.execute(query, (strategy_id,)).fetchone()
        return int(row["version"]) if row is not None else 0

    def version(self, strategy_id: str, version: int) -> Config:
        """Return one version.

        Raises:
            PromotionRefused: there is none such.
            ConfigDamaged: it is not what was promoted.
        """
        found = self._one("SELECT {} FROM active_configs WHERE strategy_id = %s AND version = %s", strategy_id, version)
        if found is None:
            raise PromotionRefused(f"there is no {strategy_id} v{version}; see: tradedeck configs ls {strategy_id}")
        return found

    def _one(self, query: str, *given: object) -> Config | None:
        found = self._read(query, *given)
        if found.damaged:
            raise ConfigDamaged(found.damaged[0])
        return found.configs[0] if found.configs else None

    def _read(self, query: str, *given: object) -> Found:
        with self._saying():
            if not self._is_there():
                return Found()
            with self._connection.cursor(row_factory=class_row(Row)) as cursor:
                rows = cursor.execute(query.format(", ".join(COLUMNS)).encode(), given).fetchall()
        configs, damaged = [], []
        for row in rows:
            try:
                configs.append(verified(row.config(), f"{self.words}, table active_configs"))
            except ConfigDamaged as error:
                damaged.append(str(error))
        return Found(tuple(configs), tuple(damaged))

    def _is_there(self) -> bool:
        """Tell whether anything was ever promoted here.

        Raises:
            StoreError: by a newer program.
        """
        row = self._connection.execute("SELECT to_regclass('tradedeck_schema') IS NOT NULL AS there").fetchone()
        if row is None or not row["there"]:
            return False
        found = self._connection.execute("SELECT coalesce(max(version), 0) AS version FROM tradedeck_schema").fetchone()
        if found is not None and found["version"] > len(MIGRATIONS):
            raise StoreError(f"the configs in {self.words} were written by a newer tradedeck: update this one")
        return found is not None and found["version"] == len(MIGRATIONS)

    # --- listening ----------------------------------------------------------------------------------------------------

    def listen(self) -> None:
        """Be told of changes from now on."""
        with self._saying():
            self._connection.execute(f"LISTEN {CHANNEL}".encode())

    def wait(self, seconds: float) -> bool:
        """Wait so long at most; tell whether something was promoted, rolled back or retired.

        Raises:
            StoreAway: the server went away.
        """
        with self._saying():
            return any(True for _ in self._connection.notifies(timeout=seconds, stop_after=1))

    # --- changing -----------------------------------------------------------------------------------------------------

    def promote(self, config: Config, over: int, who: str) -> Config:
        """Make a config active as the next version and return it so; ``over`` is the version it was compared with.

        ``who`` is the name of the person it is promoted by.

        Raises:
            PromotionRefused: another one is active by now, or it holds a number that is none.
            StoreAway: the server went away; the sentence says where that leaves the outcome open.
            DiskFull: it has no room.
        """
        wrong = flaw(config)
        if wrong:
            raise PromotionRefused(f"{config.strategy_id} cannot be promoted: {wrong}")
        return self._change(config, over, who, ConfigStatus.ACTIVE)

    def roll_back(self, strategy_id: str, version: int, over: int, who: str) -> Config:
        """Make an earlier version active again, as a new one.

        Raises:
            PromotionRefused: there is none such, it is active, or another one is active than ``over``.
            ConfigDamaged: it is not what was promoted.
        """
        earlier = self.version(strategy_id, version)
        if earlier.status is ConfigStatus.ACTIVE:
            raise PromotionRefused(f"{earlier.key} is active already: choose an earlier version")
        return self._change(earlier, over, who, ConfigStatus.ACTIVE)

    def retire(self, strategy_id: str, over: int, who: str) -> Config:
        """End a strategy: a new row, which is history from the start, says that nothing is active any more.

        Raises:
            PromotionRefused: nothing is active, or another version than ``over``.
        """
        if not over:
            raise PromotionRefused(f"nothing of {strategy_id} is active: there is nothing to retire")
        last = self._one_of(self.history(strategy_id), over)
        return self._change(last, over, who, ConfigStatus.HISTORY)

    @staticmethod
    def _one_of(found: Found, version: int) -> Config:
        """Return a version, else the newest that is sound: a damaged row must be possible to retire."""
        named = [config for config in found.configs if config.version == version]
        for config in (*named, *found.configs):
            return config
        raise ConfigDamaged(" ".join(found.damaged) or "nothing was ever promoted under this name")

    def _change(self, config: Config, over: int, who: str, status: ConfigStatus) -> Config:
        with self._saying():
            self._connection.autocommit = False
        try:
            with self._saying():
                changed = self._put(config, over, who, status)
            with self._saying("whether it counts is not known, look before again: tradedeck configs ls"):
                self._connection.commit()
        finally:
            with contextlib.suppress(psycopg.Error):
                self._connection.rollback()
                self._connection.autocommit = True
        return changed

    def _put(self, config: Config, over: int, who: str, status: ConfigStatus) -> Config:
        execute, strategy_id = self._connection.execute, config.strategy_id
        execute(f"SET LOCAL lock_timeout = '{LOCK_WAIT}'".encode())
        self._migrate()
        execute("LOCK TABLE active_configs IN SHARE ROW EXCLUSIVE MODE")  # one change at a time; nobody's reading waits
        seen = execute(
            "SELECT coalesce(max(version), 0) AS last, coalesce(max(version) FILTER (WHERE status = 'active'), 0) AS "
            "active FROM active_configs WHERE strategy_id = %s",
            (strategy_id,),
        ).fetchone()
        assert seen is not None
        if seen["active"] != over:
            raise PromotionRefused(
                f"{strategy_id} runs by {_version(seen['active'])} now, and this was compared with {_version(over)}: "
                f"look at the difference again; nothing was changed"
            )
        whole = replace(
            config,
            version=seen["last"] + 1,
            status=status,
            promoted_at=time.time_ns() // 1000 * 1000,
            promoted_by=who,
        )
        whole = replace(whole, hash=content_hash(whole))
        execute(
            "UPDATE active_configs SET status = 'history' WHERE strategy_id = %s AND status = 'active'", (strategy_id,)
        )
        names, marks = ", ".join(COLUMNS), ", ".join(f"%({name})s" for name in COLUMNS)
        execute(f"INSERT INTO active_configs ({names}) VALUES ({marks})".encode(), values(whole))  # noqa: S608
        execute(f"NOTIFY {CHANNEL}".encode())
        return whole

    def _migrate(self) -> None:
        if self._is_there():
            return
        execute = self._connection.execute
        execute("SELECT pg_advisory_xact_lock(hashtext('tradedeck_schema'))")  # two that begin at once
        execute("CREATE TABLE IF NOT EXISTS tradedeck_schema (version integer PRIMARY KEY)")
        row = execute("SELECT coalesce(max(version), 0) AS version FROM tradedeck_schema").fetchone()
        for number, script in enumerate(MIGRATIONS, 1):
            if row is not None and number > row["version"]:
                execute(script.encode())
                execute("INSERT INTO tradedeck_schema VALUES (%s)", (number,))

    @contextlib.contextmanager
    def _saying(self, left: str = "") -> Iterator[None]:
        """Turn what the server complains about into a sentence of ours; ``left`` says what is open then."""
        behind = f"; {left}" if left else ""
        try:
            yield
        except psycopg.errors.DiskFull as error:
            raise DiskFull(f"{self.words} has no room: {_first(error)}; nothing was changed") from None
        except psycopg.errors.LockNotAvailable:
            raise PromotionRefused(
                f"another promotion has been under way in {self.words} for {LOCK_WAIT}: try again in a moment; "
                "nothing was changed"
            ) from None
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            raise StoreAway(f"{self.words} went away: {_first(error)}{behind}") from None
        except psycopg.Error as error:
            raise StoreError(f"{self.words} refuses: {_first(error)}{behind}") from None


def _version(number: int) -> str:
    return f"v{number}" if number else "nothing"


def _first(error: Exception) -> str:
    """Return what an error says, without where in a query of ours it happened."""
    told = error.diag.message_primary if isinstance(error, psycopg.Error) else None
    text = str(error).partition("This probably means")[0]
    return told or " ".join(text.split())[:300] or type(error).__name__
