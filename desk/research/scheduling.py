"""The schedule of a home for people: changes in words, and how studies and chores stand by it."""

from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from core.domain import studies as s
from core.errors import ResearchError
from desk.output import table, write
from desk.paths import Home
from desk.research.chores import CHORES, job_id, name_of_job
from desk.research.studying import UNDER_WAY, standings
from research.scheduler import Job, Schedule, Told
from research.times import read_times

COMMANDS = ("off", "pause", "resume", "now")
"""What may stand where a time in words does."""


def change(home: Home, schedule: Schedule, what: str, when: str) -> str:
    """Change one job and say what came of it; ``when`` is a time in words or one of ``COMMANDS``.

    Raises:
        ResearchError: there is no such job or study, or ``when`` says nothing.
    """
    id_, word = job_id(home, what), when.strip().lower()
    name = name_of_job(id_)
    if word == "off":
        schedule.remove(id_)
        return f"{name} is not done by itself any more"
    if word == "pause":
        schedule.pause(id_)
        return f"{name} waits until it is resumed"
    if word == "resume":
        schedule.resume(id_)
        return f"{name} goes on"
    if word == "now":
        schedule.owe(id_)
        return f"{name} is done as soon as the researcher is free"
    read_times(when)
    return f"{name}: {schedule.put(id_, when).when}, UTC"


def require_there(home: Home, schedule: Schedule, what: str, there: bool | None) -> None:
    """Refuse to add what is scheduled, and to change what is not; None takes both.

    Raises:
        ResearchError: it is as it must not be, or there is no such job or study.
    """
    id_ = job_id(home, what)
    job = next((one for one in schedule.jobs() if one.id == id_), None)
    if there is False and job is not None:
        raise ResearchError(f"{what} is scheduled already, {job.when}; change it: tradedeck schedule edit {what} WHEN")
    if there and job is None:
        raise ResearchError(f"{what} is not scheduled; tradedeck schedule add {what} WHEN does it")


def listed(schedule: Schedule) -> list[dict[str, object]]:
    """Return every job, and every chore that was ever done, for programs; times in ns, null where there is none."""
    jobs, told = schedule.jobs(), schedule.told()
    waits = {work.id for work in schedule.owed()}
    names = [*(job.id for job in jobs), *sorted({*told, *waits} - {job.id for job in jobs})]
    by_id = {job.id: job for job in jobs}
    return [_facts(name, by_id.get(name), told.get(name), waits=name in waits) for name in names]


def _facts(id_: str, job: Job | None, last: Told | None, *, waits: bool) -> dict[str, object]:
    return {
        "job": id_,
        "when": job.when if job is not None else None,
        "paused": job is not None and not job.next_run,
        "next_ns": job.next_run or None if job is not None else None,
        "due": waits,
        "last_ns": last.at if last is not None else None,
        "ok": last.ok if last is not None else None,
        "result": last.words if last is not None else None,
    }


def show(found: Sequence[dict[str, object]]) -> None:
    """Print jobs for people."""
    if not found:
        write("nothing is scheduled; tradedeck schedule add NAME mon 02:00 searches a study anew every Monday")
        return
    table(("job", "when", "next", "last", "result"), [line for one in found for line in _lines(one)], left=5)


def _lines(one: dict[str, object]) -> list[tuple[str, ...]]:
    """Return a job's line, and more where its result has more than one."""
    result, *more = str(one["result"] or "").split("\n")
    first = (
        name_of_job(str(one["job"])),
        str(one["when"] or "–") + (" (paused)" if one["paused"] else ""),
        "due now" if one["due"] else _moment(one["next_ns"]),
        _moment(one["last_ns"]),
        ("" if one["ok"] is not False else "FAILED: ") + result,
    )
    return [first, *(("", "", "", "", line) for line in more)]


def _moment(ts: object) -> str:
    return datetime.fromtimestamp(ts / 1e9, UTC).strftime("%Y-%m-%d %H:%M") if isinstance(ts, int) else "–"


def rows(home: Home, schedule: Schedule, jobs: Sequence[Job], doing: str) -> list[s.Study]:
    """Return how every study and every chore stands, with what the schedule says of it; ``doing`` is done now."""
    by_id, told = {job.id: job for job in jobs}, schedule.told()
    owed = {work.id for work in schedule.owed()}
    found = []
    for study in standings(home):
        last = told.get(study.id)
        if last is not None and not study.reason and study.state not in UNDER_WAY:
            found.append(_timed(msgspec.structs.replace(study, reason=_last(last)), by_id.get(study.id)))
        else:
            found.append(_timed(study, by_id.get(study.id)))
    known = [id_ for id_ in CHORES if id_ in by_id or id_ in owed or id_ in told]
    return found + [
        _chore(id_, by_id.get(id_), told.get(id_), running=id_ == doing, waits=id_ in owed) for id_ in known
    ]


def _chore(id_: str, job: Job | None, last: Told | None, *, running: bool, waits: bool) -> s.Study:
    state = s.StudyState.STOPPED if job is None else s.StudyState.SCHEDULED
    if running:
        state = s.StudyState.RUNNING
    elif waits:
        state = s.StudyState.QUEUED
    elif last is not None and not last.ok:
        state = s.StudyState.FAILED
    elif job is not None and not job.next_run:
        state = s.StudyState.PAUSED
    study = s.Study(name_of_job(id_), "", state, reason=_last(last) if last is not None else "")
    return _timed(study, job)


def _timed(study: s.Study, job: Job | None) -> s.Study:
    if job is None:
        return study
    words = job.when if job.next_run else f"{job.when} (paused)"
    return msgspec.structs.replace(study, schedule=words, next_run=job.next_run)


def _last(last: Told) -> str:
    words = last.words.replace("\n", "; ")
    return words if last.ok else f"failed: {words}"
