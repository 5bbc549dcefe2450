"""The researcher: it comes back to its engine, does study after study, gives way, and loses nothing to a kill."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from core.domain import studies as s
from core.domain.approval import TradingState
from core.errors import ClientError, ResearchError
from core.guardian.pulse import boottime
from core.session.client import Client
from core.session.frames import AskTrials
from desk.paths import Home, Role
from desk.research import handing, keeping, laboratory, reporting
from desk.research.easing import lateness
from desk.research.laboratory import Laboratory
from desk.research.studying import Progress
from desk.research.summoning import Summoner, waits
from desk.research.wanted import is_wanted, want
from desk.roles import services
from desk.roles.launch import bring_researcher
from desk.roles.pulses import open_pulse, page
from desk.roles.stopping import stop as stop_house
from research.scheduler import Owed, Schedule, _write
from research.study import running
from research.study.pause import hold, why_paused
from research.study.standing import held, read_state
from tests.conftest import ROOT
from tests.core.session.test_session import Desk
from tests.research.study.test_running import FILE

STATE = s.StudyState


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setattr(running, "processes", ThreadPoolExecutor)
    monkeypatch.setattr(laboratory, "processes", ThreadPoolExecutor)
    monkeypatch.setenv("CROSSING_PAUSE_S", "0.02")
    made = Home(tmp_path / "home").create()
    made.studies.mkdir()
    return made


def file(home: Home, name: str, trials: int = 8, train_days: float = 60.0) -> str:
    path = home.root.parent / f"{name}.toml"
    text = FILE.format(name=name, trials=trials, memory=8000).replace("workers = 2", "workers = 1")
    path.write_text(text.replace("train_days = 60.0", f"train_days = {train_days}"))
    return str(path)


@contextlib.asynccontextmanager
async def at_work(home: Home) -> AsyncIterator[Laboratory]:
    """Give a laboratory that works until it is told to stop."""
    made, stop, serves = Laboratory(home, 20.0), asyncio.Event(), asyncio.Event()
    work = asyncio.ensure_future(made.run(stop, serves.set))
    try:
        await asyncio.wait_for(serves.wait(), 60)
        yield made
    finally:
        stop.set()
        await asyncio.wait_for(work, 300)


@contextlib.asynccontextmanager
async def engine(home: Home) -> AsyncIterator[tuple[Desk, Client]]:
    """Give an engine that listens, and a terminal at it."""
    desk = Desk(home.engine_socket)
    await desk.server.start()
    client = await Client.connect(home.engine_socket, "terminal", terminal=True)
    try:
        yield desk, client
    finally:
        await client.close()
        await desk.server.stop("test over")


async def until(true: Callable[[], bool]) -> None:
    """Wait until something holds; long, for what is waited for runs only when nobody else wants the machine."""
    async with asyncio.timeout(300):
        while not true():  # noqa: ASYNC110 -- what is waited for has no event of its own
            await asyncio.sleep(0.01)


def state_of(client: Client, name: str) -> s.Study:
    return client.state.studies.studies.get(name, s.Study(name, "", STATE.STOPPED))


def stands(home: Home, name: str) -> s.Study:
    return read_state(home.studies / name) or s.Study(name, "", STATE.STOPPED)


# --- in this process --------------------------------------------------------------------------------------------------


async def test_a_terminal_starts_queues_and_stops_studies(home: Home) -> None:
    async with engine(home) as (_, client), at_work(home):
        assert (await client.send(s.StartStudy(file(home, "one", 4000)))).ok
        await until(lambda: state_of(client, "one").state is STATE.RUNNING and state_of(client, "one").trials_done > 4)
        assert (await client.send(s.StartStudy(file(home, "two", 4000)))).ok
        assert (await client.send(s.StartStudy(file(home, "three")))).ok
        await until(lambda: state_of(client, "three").state is STATE.QUEUED)
        assert state_of(client, "two").state is STATE.QUEUED
        first = (await client.ask(AskTrials("one"))).total
        assert first > 0
        await until(lambda: state_of(client, "one").trials_done > 2 * first)
        assert (await client.ask(AskTrials("one"))).total > first, "its trials are read anew each time"
        again = await client.send(s.StartStudy("one"))
        assert again.reason == "one is under way, or waits for its turn, already"
        for wrong, words in (
            ("a.toml", "give the whole path"),
            ("none", "no study none"),
            ("/x/none.toml", "there is no file /x/none.toml"),
        ):
            assert words in (await client.send(s.StartStudy(wrong))).reason
        assert (await client.send(s.StopStudy("two"))).ok
        await until(lambda: state_of(client, "two").state is STATE.STOPPED)
        assert "taken from the queue" in state_of(client, "two").reason
        assert (await client.send(s.StopStudy("two"))).reason == "two is not running"
        assert (await client.send(s.StopStudy("one"))).ok
        await until(lambda: state_of(client, "three").state is STATE.FINISHED)
        assert state_of(client, "one").state is STATE.STOPPED
        assert not any(is_wanted(folder) for folder in home.studies.iterdir())


async def test_a_study_that_cannot_run_is_told_and_keeps_no_other_from_it(home: Home) -> None:
    async with engine(home) as (_, client), at_work(home):
        await client.send(s.StartStudy(file(home, "one", train_days=6000.0)))
        await client.send(s.StartStudy(file(home, "two")))
        await until(lambda: state_of(client, "two").state is STATE.FINISHED)
        assert state_of(client, "one").state is STATE.FAILED
        assert "windows over" in state_of(client, "one").reason


async def test_it_comes_back_to_an_engine_that_was_away_and_tells_everything_anew(home: Home) -> None:
    async with at_work(home):
        reporting.start(home, file(home, "one"))
        await until(lambda: stands(home, "one").state is STATE.FINISHED)  # no engine is needed for that
        for _ in range(2):
            await _told_of_one(home)


async def _told_of_one(home: Home) -> None:
    async with engine(home) as (_, client):
        await until(lambda: state_of(client, "one").state is STATE.FINISHED)
        assert client.state.studies.researcher == "researcher"


async def test_an_orderly_end_in_the_middle_leaves_the_study_asked_for(home: Home) -> None:
    async with at_work(home):
        reporting.start(home, file(home, "one", 40))
        await until(lambda: stands(home, "one").trials_done > 4)
    assert is_wanted(home.studies / "one")
    assert waits(home)
    before = stands(home, "one").trials_done
    assert 4 < before < 80
    async with at_work(home):
        await until(lambda: stands(home, "one").state is STATE.FINISHED)
    assert not waits(home)


async def test_the_schedule_is_set_from_a_terminal_and_a_job_is_done(home: Home) -> None:
    async with engine(home) as (_, client), at_work(home):
        await client.send(s.StartStudy(file(home, "one")))
        await until(lambda: state_of(client, "one").state is STATE.FINISHED)
        assert (await client.send(s.ScheduleJob("one", "Mon 2:00"))).ok
        await until(lambda: state_of(client, "one").schedule == "mon 02:00" and state_of(client, "one").next_run > 0)
        assert state_of(client, "one").state is STATE.FINISHED
        assert "says no times" in (await client.send(s.ScheduleJob("one", "soon"))).reason
        assert (await client.send(s.ScheduleJob("one", "now"))).ok
        await until(lambda: state_of(client, "one").reason.startswith("no data since"))
        assert (await client.send(s.ScheduleJob("refresh", "hourly"))).ok
        assert (await client.send(s.ScheduleJob("refresh data", "now"))).ok
        await until(lambda: state_of(client, "refresh data").reason.startswith("nothing came"))
        assert (await client.send(s.ScheduleJob("one", "off"))).ok
        await until(lambda: not state_of(client, "one").schedule)


async def test_a_schedule_that_cannot_be_read_is_told_and_holds_up_no_study(home: Home) -> None:
    schedule = Schedule(home.schedule)
    schedule.put("refresh", "hourly")
    schedule.file.rename(home.root / "kept")
    schedule.file.write_bytes(b"no database" * 200)
    reporting.start(home, file(home, "one"))
    (home.studies / "one" / "state.json").write_text("{")
    async with engine(home) as (_, client), at_work(home):
        await until(lambda: state_of(client, "one").state is STATE.FINISHED)
        assert state_of(client, "the schedule").state is STATE.FAILED
        assert "move it away and add the jobs again" in state_of(client, "the schedule").reason
        (home.root / "kept").rename(schedule.file)
        await until(lambda: state_of(client, "the schedule").state is STATE.FINISHED)
        await until(lambda: state_of(client, "refresh data").schedule == "hourly")


async def test_work_that_was_cut_short_is_done_again_but_not_for_ever(home: Home) -> None:
    schedule = Schedule(home.schedule)
    _write(home.schedule / "owed" / "refresh", Owed("refresh", 1, tries=1))
    _write(home.schedule / "owed" / "compact", Owed("compact", 2, tries=laboratory.TRIES))
    async with at_work(home):
        await until(lambda: len(schedule.told()) == 2)
    assert schedule.owed() == []
    assert schedule.told()["refresh"].words.startswith("nothing came")
    assert "ended 3 times in the middle" in schedule.told()["compact"].words


async def test_studies_wait_while_the_engines_loop_is_late_and_go_on_by_themselves(home: Home) -> None:
    pulse, late = open_pulse(home), [0]

    async def beats() -> None:
        while True:
            pulse.late(late[0])
            pulse.beat(1, 1, TradingState.ACTIVE, boottime(), reconciled=True)
            await asyncio.sleep(0.02)

    beating = asyncio.ensure_future(beats())
    try:
        await until(lambda: lateness(home) < 60_000_000)
        async with at_work(home):
            reporting.start(home, file(home, "one", 40_000))
            await until(lambda: stands(home, "one").state is STATE.RUNNING and stands(home, "one").trials_done > 4)
            late[0] = 60_000_000
            await until(lambda: stands(home, "one").state is STATE.PAUSED)
            assert "the engine's loop is" in stands(home, "one").reason
            done = stands(home, "one").trials_done
            await asyncio.sleep(1.5)
            assert stands(home, "one").state is STATE.PAUSED, "for as long as it is late"
            assert stands(home, "one").trials_done <= done + 4, "the batch under way, and no other"
            late[0] = 0
            await until(lambda: stands(home, "one").trials_done > done + 8)
            late[0] = 60_000_000
            await until(lambda: stands(home, "one").state is STATE.PAUSED)
            reporting.stop(home, "one")
            late[0] = 0
            await until(lambda: stands(home, "one").state is STATE.STOPPED)
    finally:
        beating.cancel()
        pulse.close()
        page(home).unlink()


def test_an_engine_that_is_dead_is_given_no_way(home: Home) -> None:
    assert lateness(home) == 0
    pulse = open_pulse(home)
    try:
        pulse.begin(1)
        assert lateness(home) == 0, "it starts"
        pulse.late(9_000_000)
        pulse.beat(1, 1, TradingState.ACTIVE, boottime(), reconciled=True)
        assert lateness(home) >= 9_000_000
        pulse._words[2] = boottime() - 3_000_000_000
        assert lateness(home) >= 2_900_000_000, "a loop that stands still is late now"
        pulse._words[2] = 1
        assert lateness(home) == 0
        pulse.end()
        assert lateness(home) == 0
    finally:
        pulse.close()
        page(home).unlink()


def test_a_pause_that_was_left_behind_ends_by_itself(home: Home) -> None:
    hold(home.studies, 60.0, "late")
    assert why_paused(home.studies) == "late"
    hold(home.studies, 0.0, "late")
    assert why_paused(home.studies) == ""
    (home.studies / "pause").write_text("{")
    assert why_paused(home.studies) == ""


def test_only_what_waits_brings_a_researcher(home: Home) -> None:
    assert not waits(home)
    assert bring_researcher(home) == []
    schedule = Schedule(home.schedule)
    schedule.put("refresh", "hourly")
    assert waits(home)
    schedule.pause("refresh")
    assert not waits(home)
    schedule.owe("refresh")
    assert waits(home)
    schedule.done(schedule.owed()[0], "", ok=True)
    (home.studies / "one").mkdir()
    want(home.studies / "one")
    assert waits(home)


async def test_without_the_extra_it_says_so(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("desk.research.summoning.find_spec", lambda _: None)
    assert "extra research" in await Summoner(home, supervised=False)()
    assert not waits(home)


async def test_beside_systemd_it_starts_none_in_the_engines_unit(home: Home) -> None:
    assert "start tradedeck-researcher" in await Summoner(home, supervised=True)()


# --- real processes ---------------------------------------------------------------------------------------------------


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    """Give a home whose researcher is a real process, ended with the test."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("CROSSING_PAUSE_S", "0.3")
    made = Home(tmp_path / "home").create()
    made.studies.mkdir()
    yield made
    there = services.running(made, Role.RESEARCHER)
    if there is not None:
        os.kill(there.pid, signal.SIGKILL)


@pytest.mark.skipif(sys.platform != "linux", reason="reads scheduling policies")
async def test_a_command_brings_it_a_kill_loses_nothing_and_stop_ends_it(alone: Home) -> None:
    desk = Desk(alone.engine_socket)
    desk.server.research.summon = Summoner(alone, supervised=False)
    await desk.server.start()
    client = await Client.connect(alone.engine_socket, "terminal")
    try:
        path = file(alone, "one", 12)
        outcome = await client.send(s.StartStudy(path))
        while not outcome.ok and "already" not in outcome.reason:
            passing = ("try again", "not ready after", "did not answer")  # the machine stood still
            assert any(words in outcome.reason for words in passing), outcome.reason
            outcome = await client.send(s.StartStudy(path))
        there = services.running(alone, Role.RESEARCHER)
        assert there is not None
        await until(lambda: state_of(client, "one").trials_done >= 4)
        assert os.sched_getscheduler(there.pid) == os.SCHED_IDLE
        with pytest.raises(ResearchError, match="run by another process"), held(alone.studies / "one"):
            pass
        os.kill(there.pid, signal.SIGKILL)
        await asyncio.to_thread(services.wait_gone, alone, Role.RESEARCHER)
        await until(lambda: not client.state.studies.attached)
        assert is_wanted(alone.studies / "one")
        added = json.loads((await shell(alone, "schedule", "add", "refresh", "daily", "03:00")).stdout)
        assert [(job["job"], job["when"], job["paused"]) for job in added] == [("refresh", "daily 03:00", False)]
        assert services.running(alone, Role.RESEARCHER) is not None, "a job brings it"
        done = await shell(alone, "study", "run", "one")
        assert '"state":"finished"' in done.stdout, done.stderr
        assert "the researcher's now" in done.stderr
        await until(lambda: state_of(client, "one").state is STATE.FINISHED)
        assert state_of(client, "one").trials_done == 24
    finally:
        await client.close()
        await desk.server.stop("test over")
    assert stop_house(alone, leave=False, flatten=False, keep_market=False) == ["researcher"]
    assert services.running(alone, Role.RESEARCHER) is None


async def test_one_that_is_killed_while_nobody_commands_comes_back_and_ends_the_study(
    alone: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "LOOK_S", 0.1)
    monkeypatch.setattr(keeping, "AWAY_S", 0.5)
    desk, summoner = Desk(alone.engine_socket), Summoner(alone, supervised=False)
    desk.server.research.summon = summoner
    await desk.server.start()
    try:
        reporting.start(alone, file(alone, "one", 12))  # it waits, and nobody has sent a command
        summoner.keep(desk.server.research)
        await until(lambda: stands(alone, "one").trials_done >= 4)
        there = services.running(alone, Role.RESEARCHER)
        assert there is not None
        os.kill(there.pid, signal.SIGKILL)
        await until(lambda: stands(alone, "one").state is STATE.FINISHED)
        assert stands(alone, "one").trials_done == 24
        again = services.running(alone, Role.RESEARCHER)
        assert again is not None
        assert again.pid != there.pid
        await asyncio.to_thread(services.stop, alone, Role.RESEARCHER)
        await until(lambda: not is_wanted(alone.studies / "one") and not desk.engine.state.studies.attached)
        await asyncio.sleep(2.0)
        assert services.running(alone, Role.RESEARCHER) is None, "nothing waits any more"
    finally:
        summoner.end()
        await desk.server.stop("test over")


async def shell(home: Home, *words: str) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end."""
    line = [sys.executable, "-m", "desk", *words, "--json", "--home", str(home.root)]
    return await asyncio.to_thread(subprocess.run, line, capture_output=True, text=True, timeout=600)


async def test_an_answer_for_no_study_is_a_sentence(home: Home) -> None:
    async with engine(home) as (_, client), at_work(home):
        await until(lambda: client.state.studies.attached)
        with pytest.raises(ClientError, match="no study refresh data"):
            await client.ask(AskTrials("refresh data"))
        began = time.monotonic()
        assert not (await client.send(s.PromoteTrial("none", 1))).ok
        assert time.monotonic() - began < 60


def test_whoever_follows_a_study_hears_that_its_researcher_has_gone(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = reporting.start(home, file(home, "one"))
    monkeypatch.setattr(handing, "GONE_S", 0.0)
    with pytest.raises(ResearchError, match="one stays asked for and goes on when one runs again"):
        handing._followed(home, folder, Progress(True))
    assert is_wanted(folder)
    reporting.stop(home, "one")
    assert handing._followed(home, folder, Progress(True)).state is STATE.STOPPED
    assert not handing.has_researcher(home)


async def test_a_study_that_the_shell_runs_is_left_to_it_and_stays_asked_for(home: Home) -> None:
    folder = reporting.start(home, file(home, "one"))
    with held(folder):
        async with at_work(home):
            assert Laboratory(home, 0.0)._to_its_end(folder, lambda _: None).state is STATE.FAILED
            await asyncio.sleep(0)
        assert is_wanted(folder)
        assert read_state(folder) is None
