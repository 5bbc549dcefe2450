"""What a home does by itself and when: APScheduler's jobs in SQLite, and the work they leave to be done.

A job that is due does nothing but leave a note of the work, synced to the disk before its next time is stored; the note
goes when the work is done. So a kill at any point loses no run, and runs that were missed are one run.
"""

import contextlib
import fcntl
import logging
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
from apscheduler.events import EVENT_JOB_ERROR
from apscheduler.executors.debug import DebugExecutor
from apscheduler.jobstores.base import JobLookupError
from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore
from apscheduler.schedulers.base import BaseScheduler
from apscheduler.triggers.cron import CronTrigger
from sqlalchemy import create_engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from core.domain.message import Nanoseconds
from core.errors import ResearchError
from research.times import Times, read_times

TABLE = "jobs"
AGAIN = timedelta(minutes=1)
"""A note that could not be written is tried again after this."""


class Job(msgspec.Struct, frozen=True):
    """One job: what it does, when in words, and when next (0: it is paused)."""

    id: str
    when: str
    next_run: Nanoseconds = 0


class Owed(msgspec.Struct, frozen=True):
    """Work that is to be done: since when, and how often it was begun."""

    id: str
    since: Nanoseconds
    tries: int = 0


class Told(msgspec.Struct, frozen=True):
    """How a job went last: when it ended, whether well, and what it did or why not."""

    id: str
    at: Nanoseconds
    ok: bool
    words: str


class Schedule:
    """The schedule of a home, in a folder of its own. Processes take turns: each call holds the folder's lock."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._owed, self._told = folder / "owed", folder / "told"

    # --- jobs ---------------------------------------------------------------------------------------------------------

    def jobs(self) -> list[Job]:
        """Return every job, the next first.

        Raises:
            ResearchError: as every other call here, where the file cannot be used.
        """
        if not self.file.exists():
            return []
        with self._opened() as scheduler:
            return [_shown(job) for job in scheduler.get_jobs()]

    def put(self, id_: str, when: str) -> Job:
        """Have a job done at these times; it stays paused where it was."""
        times = read_times(when)
        with self._opened() as scheduler:
            before = scheduler.get_job(id_)
            job = scheduler.add_job(
                note,
                _trigger(times),
                (str(self.folder), id_),
                id=id_,
                name=times.words,
                replace_existing=True,
                coalesce=True,
                misfire_grace_time=None,  # however late: a run that was missed is made up for, once
            )
            if before is not None and before.next_run_time is None:
                job = scheduler.pause_job(id_)
            return _shown(job)

    def remove(self, id_: str) -> None:
        """Take a job off."""
        with self._opened() as scheduler, _known(id_):
            scheduler.remove_job(id_)

    def pause(self, id_: str) -> None:
        """Have a job wait until it is resumed."""
        with self._opened() as scheduler, _known(id_):
            scheduler.pause_job(id_)

    def resume(self, id_: str) -> None:
        """Have a paused job go on; what it missed meanwhile is not made up for."""
        with self._opened() as scheduler, _known(id_):
            scheduler.resume_job(id_)

    def turn(self) -> Nanoseconds:
        """Leave a note of what is due and return when to look next; 0 where nothing is scheduled."""
        if not self.file.exists():
            return 0
        with self._opened() as scheduler:
            failed = list[str]()
            scheduler.add_listener(lambda event: failed.append(event.job_id), EVENT_JOB_ERROR)
            scheduler.look()
            for id_ in failed:
                scheduler.modify_job(id_, next_run_time=datetime.now(UTC) + AGAIN)
            if failed:
                raise ResearchError(f"{', '.join(failed)} is due and no note of it can be written in {self._owed}")
            upcoming = [_shown(job).next_run for job in scheduler.get_jobs()]
            return min((moment for moment in upcoming if moment), default=0)

    @property
    def file(self) -> Path:
        """Return where the jobs are kept."""
        return self.folder / "jobs.sqlite"

    def stamp(self) -> int:
        """Return what changes whenever the jobs do."""
        try:
            return self.file.stat().st_mtime_ns
        except FileNotFoundError:
            return 0

    @contextlib.contextmanager
    def _opened(self) -> Iterator["_Looked"]:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (self.folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            engine = create_engine(f"sqlite:///{self.file}", poolclass=NullPool)
            scheduler = _Looked(
                jobstores={"default": _Kept(engine=engine, tablename=TABLE)},
                executors={"default": DebugExecutor()},
                timezone=UTC,
            )
            try:
                scheduler.start()
                yield scheduler
            except (SQLAlchemyError, _Unreadable) as error:
                words = str(getattr(error, "orig", error))
                raise ResearchError(
                    f"{self.file} cannot be used: {words}; where it is damaged, move it away and add the jobs again"
                ) from error
            finally:
                scheduler.shutdown()

    # --- what they leave to be done -----------------------------------------------------------------------------------

    def owe(self, id_: str) -> None:
        """Leave a note that a job is to be done; where there is one, nothing changes."""
        path = self._owed / id_
        if not path.exists():
            _write(path, Owed(id_, time.time_ns()))

    def owed(self) -> list[Owed]:
        """Return what is to be done, the oldest first."""
        found = list[Owed]()
        for path in self._owed.glob("[!.]*"):
            with contextlib.suppress(FileNotFoundError):
                try:
                    found.append(msgspec.json.decode(path.read_bytes(), type=Owed))
                except msgspec.DecodeError:  # what was written by hand counts all the same
                    found.append(Owed(path.name, path.stat().st_mtime_ns))
        return sorted(found, key=lambda one: (one.since, one.id))

    def begin(self, work: Owed) -> None:
        """Note that it is tried once more."""
        _write(self._owed / work.id, msgspec.structs.replace(work, tries=work.tries + 1))

    def put_back(self, work: Owed) -> None:
        """Note that it was cut short by an orderly end, which counts as no try."""
        _write(self._owed / work.id, work)

    def done(self, work: Owed, words: str, *, ok: bool) -> None:
        """Keep how it went, then drop the note."""
        _write(self._told / work.id, Told(work.id, time.time_ns(), ok, words))
        (self._owed / work.id).unlink(missing_ok=True)

    def told(self) -> dict[str, Told]:
        """Return how each job went last."""
        found = {}
        for path in self._told.glob("[!.]*"):
            with contextlib.suppress(FileNotFoundError, msgspec.DecodeError):
                found[path.name] = msgspec.json.decode(path.read_bytes(), type=Told)
        return found


def note(folder: str, id_: str) -> None:
    """Leave a note that a job is due; kept by this name in the jobs of every home."""
    Schedule(Path(folder)).owe(id_)


class _Unreadable(Exception):
    """A job that this program cannot read."""


class _Kept(SQLAlchemyJobStore):  # type: ignore[misc]  # the package has no types
    """Refuse a job that cannot be read; APScheduler would remove it without a word to anybody."""

    def _get_jobs(self, *conditions: Any) -> Any:
        table = self.jobs_t
        with self.engine.begin() as connection:
            rows = connection.execute(table.select().where(*conditions).order_by(table.c.next_run_time)).all()
        try:
            return [self._reconstitute_job(row.job_state) for row in rows]
        except Exception as error:  # task boundary: a damaged pickle may raise anything
            raise _Unreadable(f"a job in it cannot be read ({error!r})") from error


class _Looked(BaseScheduler):  # type: ignore[misc]  # the package has no types
    """A scheduler that looks when it is told to, by whoever holds the lock: nobody changes jobs meanwhile."""

    def __init__(self, **options: Any) -> None:
        logging.getLogger("apscheduler").setLevel(logging.CRITICAL)  # what fails is raised here
        super().__init__(**options)

    def wakeup(self) -> None:
        """Do nothing: it is looked at often enough."""

    def shutdown(self, wait: bool = True) -> None:
        """End; it may have failed to start."""
        if self.running:
            super().shutdown(wait)

    def look(self) -> None:
        """Run what is due and store its next time."""
        self._process_jobs()


def _trigger(times: Times) -> Any:
    days = ",".join(times.days) or None
    hour = "*" if times.hour is None else times.hour
    return CronTrigger(day_of_week=days, hour=hour, minute=times.minute, timezone=UTC)


def _shown(job: Any) -> Job:
    moment = job.next_run_time
    return Job(job.id, job.name, 0 if moment is None else int(moment.timestamp()) * 1_000_000_000)


@contextlib.contextmanager
def _known(id_: str) -> Iterator[None]:
    try:
        yield
    except JobLookupError:
        raise ResearchError(f"{id_} is not scheduled; see: tradedeck schedule ls") from None


def _write(path: Path, value: msgspec.Struct) -> None:
    """Write a small file whole and to the disk, or not at all."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with draft.open("wb") as file:
        file.write(msgspec.json.encode(value))
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
