"""What a schedule does: studies searched anew on newer data, files brought in, ticks compacted; changes in words."""

import os
import time
from pathlib import Path

import numpy as np
import pytest

from core.errors import ResearchError
from desk.paths import Home
from desk.research import chores, studying
from desk.research.chores import Did, carry_out, compact, refresh, renamed, search_anew
from desk.research.scheduling import change, listed, rows
from desk.research.wanted import drop, is_wanted, wanted
from research.scheduler import Job, Schedule
from research.study.running import Runner
from research.study.study import load
from research.study.walkforward import Span
from store.recorder import tidy
from tests.research import crossing
from tests.research.study.test_running import FILE, inline

DUE = 1_796_004_000_000_000_000  # Monday 2026-11-30 02:00 UTC
BARS = (
    "1700000100000,1,2,0.5,1.5,10,1700000999999,0,1,0,0,0\n",
    "1700001000000,1.5,2,0.5,1.7,10,1700001899999,0,1,0,0,0\n",
)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path / "home").create()
    made.studies.mkdir()
    return made


@pytest.fixture
def study(home: Home) -> Path:
    folder = home.studies / "one"
    folder.mkdir()
    (folder / "study.toml").write_text(FILE.format(name="one", trials=4, memory=4000))
    return folder


def grown(monkeypatch: pytest.MonkeyPatch, bars: int) -> None:
    """Have the study's data reach further, as after an import."""
    made = crossing.Crossing.__init__

    def further(self: crossing.Crossing, file: object) -> None:
        made(self, file)  # type: ignore[arg-type]
        self.close = np.concatenate([self.close, self.close[:bars]])
        self.ts = crossing.FIRST_NS + np.arange(self.close.size, dtype=np.int64) * crossing.HOUR_NS
        self.span = Span(int(self.ts[0]), int(self.ts[-1]) + crossing.HOUR_NS)

    monkeypatch.setattr(crossing.Crossing, "__init__", further)


# --- studies ----------------------------------------------------------------------------------------------------------


def test_a_study_is_searched_anew_on_newer_data_under_a_name_of_its_own(
    home: Home, study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert search_anew(home, "one", DUE) == Did(True, "one begins")
    assert wanted(home) == [study]
    assert "still under way" in search_anew(home, "one", DUE).words
    first = Runner(study, inline)
    first.run()
    drop(study)
    assert search_anew(home, "one", DUE).words == "no data since 2021-02-26, up to which one has searched"
    with monkeypatch.context() as patched:
        grown(patched, 24 * 60)
        assert search_anew(home, "one", DUE).words == "one-20261130.0200 begins on data of 2020-09-13 to 2021-04-27"
        (made,) = wanted(home)
        assert load(made / "study.toml").study.name == made.name == "one-20261130.0200"
        assert "still under way" in search_anew(home, "one", DUE + 1).words
        second = Runner(made, inline)
        assert second.run().trials_done > first.standing(first.run().state).trials_done
        drop(made)
        again = search_anew(home, made.name, DUE + 7 * 86_400 * 10**9)
        assert again.words == "no data since 2021-04-27, up to which one-20261130.0200 has searched"


def test_a_kill_while_it_is_begun_anew_makes_no_second_one(
    home: Home, study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Runner(study, inline).run()
    grown(monkeypatch, 24 * 60)
    with monkeypatch.context() as patched:
        patched.setattr(chores, "want", _killed)
        with pytest.raises(KeyboardInterrupt):
            search_anew(home, "one", DUE)
    assert search_anew(home, "one", DUE).words.startswith("one-20261130.0200 begins")
    assert sorted(path.name for path in home.studies.iterdir()) == ["one", "one-20261130.0200"]


def _killed(_: Path) -> None:
    raise KeyboardInterrupt


def test_a_study_keeps_to_the_data_it_began_with(home: Home, study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = Runner(study, inline)
    before.run()
    with monkeypatch.context() as patched:
        grown(patched, 24 * 60)
        assert Runner(study, inline).windows == before.windows, "trials on other windows cannot be compared"
    short = crossing.Crossing.__init__

    def shorter(self: crossing.Crossing, file: object) -> None:
        short(self, file)  # type: ignore[arg-type]
        self.span = Span(self.span.start, self.span.stop - crossing.HOUR_NS * 48)

    monkeypatch.setattr(crossing.Crossing, "__init__", shorter)
    with pytest.raises(ResearchError, match="one was begun on data of 2020-09-13 to 2021-02-26, and there are"):
        Runner(study, inline)


def test_a_name_is_found_where_it_stands_and_missed_where_it_does_not() -> None:
    text = FILE.format(name="one", trials=1, memory=600)
    assert renamed(text, "two").splitlines()[1] == 'name = "two"'
    with pytest.raises(ResearchError, match="on a line of its own"):
        renamed('study = { name = "one" }', "two")


# --- data and ticks ---------------------------------------------------------------------------------------------------


def come_in(home: Home, name: str, text: str, *, age_s: float = 3600.0) -> Path:
    path = home.incoming / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.utime(path, (time.time() - age_s,) * 2)
    return path


def test_what_came_in_is_taken_once_and_what_has_a_fault_stays(home: Home) -> None:
    assert refresh(home) == Did(True, f"nothing came into {home.incoming}")
    good = come_in(home, "um/BTCUSDT-15m-2023-11.csv", "".join(BARS))
    late = come_in(home, "um/ETHUSDT-15m-2023-11.csv", BARS[0], age_s=5.0)
    left = "not fetched: BINANCE-FUTURES/BTCUSDT-15m-candles (no engine runs)"
    assert refresh(home) == Did(True, f"1 files, 2 rows new; {left}")
    assert not good.exists()
    assert (home.incoming / "done" / "um" / good.name).exists()
    assert late.exists(), "it may still be on its way"
    assert refresh(home).words.startswith("nothing came")
    bad = come_in(home, "um/BTCUSDT-15m-2023-12.csv", BARS[1].replace(",1.5,", ",-1.5,"))
    come_in(home, "LTCUSDT-1h-2023-12.csv", BARS[0])
    did = refresh(home)
    assert not did.ok
    assert did.words.startswith("2 of 2 files have a fault; LTCUSDT-1h-2023-12.csv: ")
    assert bad.exists()


def test_ticks_are_compacted_where_no_recorder_does(home: Home) -> None:
    assert compact(home) == Did(True, "every day that is over is Parquet")
    from core.config.settings import TicksSettings
    from store.recorder import _alone

    with _alone(home.ticks):
        assert tidy(home.root, TicksSettings()) is None
        assert compact(home) == Did(True, "the recorder runs and keeps up")
        (home.ticks / "days" / "ticks-2020-01-01.duckdb").write_bytes(b"")
        assert compact(home).words.startswith("1 days are not Parquet yet, the oldest 2020-01-01")
    assert compact(Home(home.root / "none")) == Did(True, "nothing was recorded here")


def test_whatever_a_chore_fails_on_is_told(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(_: Home) -> Did:
        raise LookupError("a bug")

    monkeypatch.setattr(chores, "CHORES", {"refresh": ("refresh data", failing)})
    assert carry_out(str(home.root), "refresh", 0) == Did(False, "failed: LookupError('a bug')")
    assert carry_out(str(home.root), "gone", 0) == Did(False, "no study gone; see: tradedeck study ls")


# --- changes, and how it stands ---------------------------------------------------------------------------------------


def test_changes_in_words_and_what_they_say(home: Home, study: Path) -> None:
    schedule = Schedule(home.schedule)
    for what, when, said in (
        ("one", "Monday 2:00", "one: mon 02:00, UTC"),
        ("refresh data", "daily 03:00", "refresh data: daily 03:00, UTC"),
        ("refresh", "pause", "refresh data waits until it is resumed"),
        ("one", "now", "one is done as soon as the researcher is free"),
    ):
        assert change(home, schedule, what, when) == said
    for what, when, wrong in (
        ("two", "mon 02:00", "two is neither a study of this home nor one of refresh, compact"),
        ("../one", "mon 02:00", "is neither a study"),
        ("one", "soon", '"soon" says no times'),
        ("compact", "off", "compact is not scheduled"),
    ):
        with pytest.raises(ResearchError, match=wrong):
            change(home, schedule, what, when)
    found = {str(one["job"]): one for one in listed(schedule)}
    assert (found["one"]["due"], found["one"]["when"], found["refresh"]["paused"]) == (True, "mon 02:00", True)
    assert change(home, schedule, "refresh", "resume") == "refresh data goes on"
    assert change(home, schedule, "refresh", "off") == "refresh data is not done by itself any more"


def test_rows_say_what_runs_waits_failed_and_when_next(home: Home, study: Path) -> None:
    schedule = Schedule(home.schedule)
    for id_, ok in (("one", True), ("refresh", False)):
        schedule.owe(id_)
        schedule.done(schedule.owed()[0], "did this", ok=ok)
    schedule.owe("compact")
    jobs = [Job("one", "mon 02:00", DUE), Job("refresh", "daily 03:00", 0)]
    one, refreshed, compacted = rows(home, schedule, jobs, "")
    assert (one.state.value, one.schedule, one.next_run, one.reason) == ("stopped", "mon 02:00", DUE, "not run yet")
    assert (refreshed.id, refreshed.state.value, refreshed.reason) == ("refresh data", "failed", "failed: did this")
    assert refreshed.schedule == "daily 03:00 (paused)"
    assert (compacted.id, compacted.state.value, compacted.reason) == ("compact ticks", "queued", "")
    assert rows(home, schedule, jobs, "compact")[2].state.value == "running"
    Runner(study, inline).run()
    assert rows(home, schedule, jobs, "")[0].reason == "did this"
    (study / "wanted").touch()
    assert is_wanted(study)
    assert rows(home, schedule, jobs, "")[0].state.value == "queued"


def test_a_chore_that_is_only_scheduled_waits_for_its_time(home: Home) -> None:
    (row,) = rows(home, Schedule(home.schedule), [Job("compact", "daily 04:00", DUE)], "")
    assert (row.state.value, row.next_run) == ("scheduled", DUE)
    assert studying.standings(home) == []
