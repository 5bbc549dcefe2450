"""A study's trials in PostgreSQL, for workers on several machines: Optuna's own tables, one runner at a time."""

import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import ResearchError

if TYPE_CHECKING:
    from optuna.storages import RDBStorage
    from sqlalchemy import URL

FILE = "storage"
"""The file of a study's folder that names its database; without it the trials lie in the folder."""
_SCHEMES = ("postgresql", "postgres")
_WAIT_S = 10
_OPTIONS = "-c synchronous_commit=off"
"""A power cut at the server may take the last fraction of a second of trials; a trial has some twenty commits."""


def named(folder: Path) -> str:
    """Return the address of the database in which a study's trials lie; empty where they lie in its folder."""
    try:
        return (folder / FILE).read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return ""


def settle(folder: Path, address: str) -> None:
    """Have a study's trials lie in a database from its first trial on.

    Raises:
        ResearchError: the address is refused, or the study was begun elsewhere.
    """
    _url(address)
    before = named(folder)
    if before == address:
        return
    if before or (folder / "trials.sqlite").exists():
        where = before or str(folder / "trials.sqlite")
        raise ResearchError(f"{folder.name} was begun in {where}; give the study another name, or leave out --storage")
    part = folder / f".{FILE}.part"
    part.write_text(address + "\n", encoding="utf-8")
    part.replace(folder / FILE)


def opened(address: str, *, made: bool = False) -> "RDBStorage":
    """Open Optuna's storage at an address; its tables are made where there are none, unless they are ``made``.

    Raises:
        ResearchError: the address is refused, or nobody answers there.
    """
    from optuna.storages import RDBStorage
    from sqlalchemy.exc import SQLAlchemyError

    url = _url(address)
    try:
        storage = RDBStorage(
            url.render_as_string(hide_password=False),
            engine_kwargs={"pool_pre_ping": True, "connect_args": {"connect_timeout": _WAIT_S, "options": _OPTIONS}},
            skip_compatibility_check=made,
            skip_table_creation=made,
        )
    except SQLAlchemyError as error:
        raise _unreachable(address, error) from error
    weakref.finalize(storage, storage.engine.dispose)
    return storage


@contextmanager
def held(address: str, study: str) -> Iterator[None]:
    """Hold a study in its database: the lock goes with the connection, so that a killed runner leaves none.

    Raises:
        ResearchError: nobody answers, or another machine holds it.
    """
    import psycopg

    text = _url(address).set(drivername="postgresql").render_as_string(hide_password=False)
    try:
        connection = psycopg.connect(text, autocommit=True, connect_timeout=_WAIT_S)
    except psycopg.Error as error:
        raise _unreachable(address, error) from error
    with connection:
        row = connection.execute("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", (study,)).fetchone()
        if row is None or not row[0]:
            raise ResearchError(f"{study} is being run by another process that uses {address}")
        yield


def _url(address: str) -> "URL":
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        url = make_url(address)
    except ArgumentError:
        url = None
    if url is None or url.drivername not in _SCHEMES:
        raise ResearchError(
            f'storage "{address}" is no address of PostgreSQL; expected postgresql://user@host/database'
        )
    if url.password:
        raise ResearchError(
            f"the address of PostgreSQL at {url.host} has a password in it, where other users of the machine would see "
            "it: take it out and put it into ~/.pgpass, or PGPASSWORD, on every machine"
        )
    return url.set(drivername="postgresql+psycopg")


def _unreachable(address: str, error: Exception) -> ResearchError:
    why = str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
    return ResearchError(f"{address} does not answer: {why}; start PostgreSQL there, or correct the address")
