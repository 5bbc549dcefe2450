"""The schedule: kept over restarts, missed runs made up for once, and no run lost to a kill, a full disk or damage."""

import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest
import time_machine

from core.errors import ResearchError
from research import scheduler
from research.scheduler import Job, Schedule, note

MONDAY = datetime(2026, 11, 30, 1, 0, tzinfo=UTC)


def ns(*when: int) -> int:
    return int(datetime(*when, tzinfo=UTC).timestamp()) * 1_000_000_000  # type: ignore[misc,arg-type]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "schedule"


def test_a_job_is_owed_when_it_is_due_and_not_before(folder: Path) -> None:
    schedule = Schedule(folder)
    with time_machine.travel(MONDAY, tick=False) as clock:
        assert schedule.turn() == 0
        assert not folder.exists(), "looking makes nothing"
        assert schedule.put("ema", "mon 02:00") == Job("ema", "mon 02:00", ns(2026, 11, 30, 2))
        assert schedule.turn() == ns(2026, 11, 30, 2)
        assert schedule.owed() == []
        clock.move_to(datetime(2026, 11, 30, 2, 0, 1, tzinfo=UTC))
        assert Schedule(folder).turn() == ns(2026, 12, 7, 2), "another process finds the same jobs"
        assert [work.id for work in schedule.owed()] == ["ema"]
        schedule.done(schedule.owed()[0], "searched", ok=True)
        assert schedule.turn() == ns(2026, 12, 7, 2)
        assert schedule.owed() == []
        assert schedule.told()["ema"].words == "searched"


def test_runs_missed_over_a_downtime_are_one_run(folder: Path) -> None:
    schedule = Schedule(folder)
    with time_machine.travel(MONDAY, tick=False) as clock:
        schedule.put("drift", "hourly")
        schedule.put("ema", "mon 02:00")
        clock.move_to(datetime(2027, 1, 15, 12, 30, tzinfo=UTC))
        assert schedule.turn() == ns(2027, 1, 15, 13)
        assert sorted(work.id for work in schedule.owed()) == ["drift", "ema"]
        for work in schedule.owed():
            schedule.done(work, "", ok=True)
        schedule.turn()
        assert schedule.owed() == []


def test_what_is_due_again_before_it_is_done_stays_one_piece_of_work(folder: Path) -> None:
    schedule = Schedule(folder)
    with time_machine.travel(MONDAY, tick=False) as clock:
        schedule.put("refresh", "hourly")
        clock.move_to(datetime(2026, 11, 30, 2, 1, tzinfo=UTC))
        schedule.turn()
        (first,) = schedule.owed()
        schedule.begin(first)
        clock.move_to(datetime(2026, 11, 30, 3, 1, tzinfo=UTC))
        schedule.turn()
        (again,) = schedule.owed()
        assert (again.since, again.tries) == (first.since, 1), "a kill leaves the note, and how often it was tried"
        schedule.put_back(first)
        assert schedule.owed() == [first]


def test_a_paused_job_is_not_due_and_keeps_its_pause_through_a_change(folder: Path) -> None:
    schedule = Schedule(folder)
    with time_machine.travel(MONDAY, tick=False) as clock:
        schedule.put("ema", "mon 02:00")
        schedule.pause("ema")
        assert schedule.put("ema", "daily 04:00") == Job("ema", "daily 04:00", 0)
        clock.move_to(datetime(2026, 12, 3, tzinfo=UTC))
        assert schedule.turn() == 0
        assert schedule.owed() == []
        schedule.resume("ema")
        assert schedule.jobs() == [Job("ema", "daily 04:00", ns(2026, 12, 3, 4))]
        schedule.remove("ema")
        assert schedule.jobs() == []
        for call in (schedule.remove, schedule.pause, schedule.resume):
            with pytest.raises(ResearchError, match="ema is not scheduled"):
                call("ema")


def test_a_note_that_cannot_be_written_is_written_later(folder: Path) -> None:
    schedule = Schedule(folder)
    with time_machine.travel(MONDAY, tick=False) as clock:
        schedule.put("ema", "mon 02:00")
        (folder / "owed").write_text("in the way")
        clock.move_to(datetime(2026, 11, 30, 2, 0, 5, tzinfo=UTC))
        with pytest.raises(ResearchError, match="ema is due and no note of it can be written"):
            schedule.turn()
        (folder / "owed").unlink()
        clock.move_to(datetime(2026, 11, 30, 2, 2, tzinfo=UTC))
        assert schedule.turn() == ns(2026, 12, 7, 2)
        assert [work.id for work in schedule.owed()] == ["ema"]


def test_a_damaged_file_or_job_is_named_and_nothing_is_taken_off(folder: Path) -> None:
    schedule = Schedule(folder)
    schedule.put("ema", "mon 02:00")
    with sqlite3.connect(schedule.file) as base:
        base.execute("UPDATE jobs SET job_state = x'80056e'")
    base.close()
    for call in (schedule.jobs, schedule.turn):
        with pytest.raises(ResearchError, match=r"jobs\.sqlite cannot be used: a job in it cannot be read"):
            call()
    with sqlite3.connect(schedule.file) as base:
        assert base.execute("SELECT count(*) FROM jobs").fetchone() == (1,)
    base.close()
    schedule.file.write_bytes(b"no database" * 200)
    with pytest.raises(ResearchError, match="move it away and add the jobs again"):
        schedule.jobs()


def test_notes_and_results_written_by_hand_or_cut_short_do_no_harm(folder: Path) -> None:
    schedule = Schedule(folder)
    note(str(folder), "ema")
    (folder / "owed" / "refresh").write_text("")
    (folder / "owed" / ".draft").write_text("")
    (folder / "told").mkdir()
    (folder / "told" / "ema").write_text("{")
    assert sorted(work.id for work in schedule.owed()) == ["ema", "refresh"]
    assert schedule.told() == {}


class Killed(BaseException):
    """The end of a process, at one place."""


def test_a_kill_between_the_note_and_its_next_time_runs_it_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two steps make a run: the note, then the job's next time; whoever dies between them has lost nothing."""
    schedule = Schedule(folder)

    def killed(*_: object) -> None:
        raise Killed

    with time_machine.travel(MONDAY, tick=False) as clock:
        schedule.put("ema", "hourly :30")
        clock.move_to(datetime(2026, 11, 30, 1, 30, tzinfo=UTC))
        with monkeypatch.context() as patched:
            patched.setattr(scheduler._Kept, "update_job", killed)
            with pytest.raises(Killed):
                schedule.turn()
        (work,) = schedule.owed()
        schedule.done(work, "", ok=True)
        schedule.turn()
        assert [again.id for again in schedule.owed()] == ["ema"]


def test_jobs_name_a_function_that_must_keep_its_name() -> None:
    assert f"{note.__module__}:{note.__qualname__}" == "research.scheduler:note", "jobs of every home name it so"
    assert scheduler.TABLE == "jobs", "desk.research.summoning reads it"
