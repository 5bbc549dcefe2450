"""Studies as they run: real worker processes, kills, memory, and what a study may not be."""

import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from optuna.distributions import FloatDistribution, IntDistribution
from optuna.trial import TrialState

from core.domain.studies import Study, StudyState
from core.errors import ResearchError
from research.study import memory, worker
from research.study.running import Runner
from research.study.standing import is_held, read_state, write_state
from research.study.storage import SqliteJournal, storage_at
from research.study.study import Range, parse
from research.study.walkforward import Span
from research.study.worker import COUNTED
from tests.conftest import ROOT
from tests.research import crossing

FILE = """\
[study]
name = "{name}"
strategy = "crossing"
evaluator = "tests.research.crossing:evaluator"
trials = {trials}
workers = 2
batch = 4
memory_mb = {memory}
sampler = "random"
[space]
fast = {{ low = 2, high = 30 }}
slow = {{ low = 31, high = 120 }}
leverage = {{ low = 1.0, high = 20.0, step = 1.0 }}
[windows]
train_days = 60.0
test_days = 45.0
[objective]
least_trades = 5
least_days = 20.0
"""
RUN = "import sys\nfrom pathlib import Path\nfrom research.study.running import Runner\nif __name__ == '__main__':\n"
RUN += "    print(Runner(Path(sys.argv[1])).run().state.value)\n"


class Inline(Executor):
    """Does its work at once, in this process."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        future = Future[Any]()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # what a pool does
            future.set_exception(error)
        return future


def inline(_: int) -> Executor:
    return Inline()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return filled(tmp_path / "s1")


def filled(folder: Path, *, trials: int = 12, memory: int = 4000) -> Path:
    folder.mkdir()
    (folder / "study.toml").write_text(FILE.format(name=folder.name, trials=trials, memory=memory))
    return folder


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., "subprocess.Popen[str]"]]:
    """Return what runs a study in a process of its own, ended with the test."""
    script, started = tmp_path / "run.py", list[subprocess.Popen[str]]()
    script.write_text(RUN)

    def run(folder: Path, **variables: str) -> "subprocess.Popen[str]":
        environment = {**os.environ, "PYTHONPATH": str(ROOT), **variables}
        process = subprocess.Popen(
            [sys.executable, str(script), str(folder)], env=environment, stdout=subprocess.PIPE, text=True, cwd=ROOT
        )
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


def states(folder: Path) -> dict[str, int]:
    found: dict[str, int] = {}
    storage = storage_at(folder / "trials.sqlite")
    for study in storage.get_all_studies():
        for trial in storage.get_all_trials(study._study_id, deepcopy=False):
            found[trial.state.name] = found.get(trial.state.name, 0) + 1
    return found


def test_every_window_gets_its_trials_and_each_keeps_its_figures(folder: Path) -> None:
    told = list[Study]()
    runner = Runner(folder, inline)
    ended = runner.run(told.append)
    assert len(runner.windows) == 2
    assert (ended.state, ended.trials_done, ended.windows_done) == (StudyState.FINISHED, 24, 2)
    assert told[-1] == ended == read_state(folder)
    trials = [trial for search in runner.searches for trial in search.get_trials()]
    assert {trial.state for trial in trials} == set(COUNTED)
    liquidated = [trial for trial in trials if trial.user_attrs[worker.INSIDE]["liquidated"]]
    assert liquidated  # leverage up to 20 on this walk
    assert all(trial.state is TrialState.PRUNED and trial.value is None for trial in liquidated)
    scored = [trial for trial in trials if trial.value is not None]
    assert all(trial.value == pytest.approx(trial.user_attrs[worker.INSIDE]["score"]) for trial in scored)
    assert ended.best_score == max(trial.value for trial in runner.searches[-1].get_trials() if trial.value is not None)


def test_the_figures_in_sample_know_nothing_of_the_test(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = Runner(folder, inline)
    first.run()
    other = filled(folder.parent / "s2")
    end_of_train = first.windows[0].train.stop
    made = crossing.Crossing.__init__

    def changed(self: crossing.Crossing, file: Any) -> None:
        made(self, file)
        self.close = np.where(self.ts < end_of_train, self.close, self.close * 1.7)

    monkeypatch.setattr(crossing.Crossing, "__init__", changed)
    second = Runner(other, inline)
    second.run()
    figures = [
        [(trial.params, trial.user_attrs[worker.INSIDE]) for trial in runner.searches[0].get_trials()]
        for runner in (first, second)
    ]
    assert figures[0] == figures[1]


def test_a_stop_ends_after_the_batch_and_a_run_resumes(folder: Path) -> None:
    runner = Runner(folder, inline)
    evaluated = list[int]()
    evaluate = crossing.Crossing.evaluate

    def stopping(self: crossing.Crossing, *args: Any, **more: Any) -> Any:
        evaluated.append(1)
        runner.stop()
        return evaluate(self, *args, **more)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(crossing.Crossing, "evaluate", stopping)
        ended = runner.run()
    assert (ended.state, ended.trials_done) == (StudyState.STOPPED, 4)
    assert Runner(folder, inline).run().state is StudyState.FINISHED
    assert sum(states(folder).values()) == 24


def test_another_file_under_the_same_name_is_refused(folder: Path) -> None:
    Runner(folder, inline)
    path = folder / "study.toml"
    path.write_text(path.read_text().replace("high = 30", "high = 40"))
    with pytest.raises(ResearchError, match="give the study another name"):
        Runner(folder, inline)


def test_newer_data_move_no_window(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = Runner(folder, inline)
    first.run()
    made = crossing.Crossing.__init__

    def longer(self: crossing.Crossing, file: Any) -> None:
        made(self, file)
        more = np.arange(1, 301, dtype=np.int64) * crossing.HOUR_NS
        self.ts = np.append(self.ts, self.ts[-1] + more)
        self.close = np.append(self.close, np.full(300, self.close[-1]))
        self.span = Span(self.span.start, int(self.ts[-1]) + crossing.HOUR_NS)

    def shorter(self: crossing.Crossing, file: Any) -> None:
        made(self, file)
        self.span = Span(self.span.start, self.span.stop - crossing.HOUR_NS)

    monkeypatch.setattr(crossing.Crossing, "__init__", longer)
    again = Runner(folder, inline)
    assert again.windows == first.windows
    assert again.run().trials_done == 24
    monkeypatch.setattr(crossing.Crossing, "__init__", shorter)
    with pytest.raises(ResearchError, match=r"was begun on data of .* bring back what is missing"):
        Runner(folder, inline)


def test_windows_that_do_not_fit_are_refused_before_anything_is_written(folder: Path) -> None:
    path = folder / "study.toml"
    path.write_text(path.read_text().replace("train_days = 60.0", "train_days = 600.0"))
    with pytest.raises(ResearchError, match="fewer than one window takes"):
        Runner(folder, inline)
    assert not (folder / "trials.sqlite").exists()


def test_one_process_at_a_time(folder: Path) -> None:
    runner = Runner(folder, inline)

    def again(_: Study) -> None:
        assert is_held(folder)
        with pytest.raises(ResearchError, match="is being run by another process"):
            Runner(folder, inline).run()

    runner.run(again)
    assert not is_held(folder)


def test_a_batch_that_fails_says_so_and_leaves_no_trial_open(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: Any, **__: Any) -> Any:
        raise ResearchError("no bars of BTCUSDT before 2021")

    monkeypatch.setattr(crossing.Crossing, "evaluate", failing)
    ended = Runner(folder, inline).run()
    assert (ended.state, ended.reason) == (StudyState.FAILED, "no bars of BTCUSDT before 2021")
    assert set(states(folder)) == {"FAIL"}


def test_a_batch_too_large_for_the_memory_is_halved(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = list[int]()
    evaluate = crossing.Crossing.evaluate

    def bounded(self: crossing.Crossing, sets: Any, *args: Any, **more: Any) -> Any:
        sizes.append(len(sets))
        if len(sets) > 2:
            raise MemoryError
        return evaluate(self, sets, *args, **more)

    monkeypatch.setattr(crossing.Crossing, "evaluate", bounded)
    assert Runner(folder, inline).run().trials_done == 24
    assert sizes[:2] == [4, 2]


def test_no_new_trials_while_the_machine_is_short_of_memory(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free = iter([10.0, 10.0])
    monkeypatch.setattr(worker, "free_mb", lambda: next(free, 9999.0))
    paused = list[float]()
    monkeypatch.setattr("research.study.worker.time.sleep", lambda s: paused.append(s) if s else None)
    Runner(folder, inline).run()
    assert paused == [worker._PAUSE_S] * 2


def test_a_study_that_waits_for_memory_says_so(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "free_mb", lambda: 90.0)
    monkeypatch.setattr(worker, "free_mb", lambda: 9999.0)
    told = list[Study]()
    Runner(folder, inline).run(told.append)
    assert {(study.state, study.reason[:23]) for study in told[:-1]} == {(StudyState.PAUSED, "90 MB of memory left, n")}
    assert told[-1].state is StudyState.FINISHED
    write_state(folder, told[0])
    cut = read_state(folder)
    assert cut is not None
    assert cut.state is StudyState.STOPPED


def test_a_study_without_a_score_says_what_its_trials_lacked(folder: Path) -> None:
    file = folder / "study.toml"
    file.write_text(file.read_text().replace("least_trades = 5", "least_trades = 4000"))
    ended = Runner(folder, inline).run()
    assert (ended.state, ended.best_score) == (StudyState.FINISHED, None)
    assert re.fullmatch(
        r"no trial has a score; most often: (liquidated|\d+ trades, at least 4000 needed)", ended.reason
    )


def test_workers_that_are_killed_before_any_trial_end_the_study(folder: Path) -> None:
    class Broken(Inline):
        def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
            raise BrokenProcessPool("killed")

    ended = Runner(folder, lambda _: Broken()).run()
    assert ended.state is StudyState.FAILED
    assert "killed 3 times in a row" in ended.reason


def test_ranges_become_optunas() -> None:
    space = parse(FILE.format(name="a", trials=1, memory=600)).space
    made = worker.distributions(space)
    assert type(made["fast"]).__name__ == "IntDistribution"
    assert type(made["leverage"]).__name__ == "FloatDistribution"


def test_a_step_that_does_not_end_at_high_stops_short_of_it_without_a_warning() -> None:
    ranges = {"whole": Range(low=5, high=60, step=7), "part": Range(low=0.1, high=0.35, step=0.1)}
    ranges |= {"one": Range(low=5, high=60, step=500), "free": Range(low=0.5, high=1.3)}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made = worker.distributions(ranges)
    highs = {name: one.high for name, one in made.items() if isinstance(one, IntDistribution | FloatDistribution)}
    assert highs == {"whole": 54, "part": 0.3, "one": 5, "free": 1.3}


def test_a_trial_that_is_told_is_synced(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "j")
    found = []
    for code in (4, 5, 6, 8):  # a trial is made, gets a parameter, is told, gets an attribute
        journal.append_logs([{"op_code": code}])
        found.append(journal._connection().execute("PRAGMA synchronous").fetchone()[0])
    assert found == [1, 1, 2, 1]
    journal.close()


def test_the_journal_orders_writers_and_starts_where_asked(tmp_path: Path) -> None:
    one, two = SqliteJournal(tmp_path / "j"), SqliteJournal(tmp_path / "j")
    one.append_logs([{"n": 1}, {"n": 2}])
    two.append_logs([{"n": 3}])
    assert list(one.read_logs(0)) == [{"n": 1}, {"n": 2}, {"n": 3}]
    assert list(two.read_logs(2)) == [{"n": 3}]
    assert sqlite3.connect(tmp_path / "j").execute("PRAGMA journal_mode").fetchone() == ("wal",)
    one.close()
    two.close()


@pytest.mark.parametrize("damage", ["text", "page", "entry", "foreign"])
def test_a_damaged_journal_is_said_with_its_place(folder: Path, damage: str) -> None:
    path = folder / "trials.sqlite"
    if damage != "text":
        Runner(folder, inline).run()
        with sqlite3.connect(path) as base:
            base.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            if damage in {"entry", "foreign"}:
                entry = "{half" if damage == "entry" else '{"worker_id": 1}'
                base.execute("UPDATE journal SET entry = ? WHERE id = 3", (entry,))
        base.close()
    if damage in {"text", "page"}:
        for name in ("-wal", "-shm"):
            (folder / f"trials.sqlite{name}").unlink(missing_ok=True)
        whole = path.read_bytes() if damage == "page" else b""
        path.write_bytes(whole[:4096] + b"junk" * 5000)
    with pytest.raises(ResearchError, match=r"trials\.sqlite (is damaged|holds what is no study) .*move it away"):
        Runner(folder, inline)


def test_a_damaged_state_is_no_end(folder: Path) -> None:
    Runner(folder, inline).run()
    (folder / "state.json").write_text("{half")
    assert read_state(folder) is None
    assert Runner(folder, inline).run().trials_done == 24
    assert read_state(folder) is not None


# --- real processes ---------------------------------------------------------------------------------------------------


def until(holds: Callable[[], bool], seconds: float = 90.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)


def children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_kill_loses_at_most_the_batches_under_way(
    folder: Path, start: Callable[..., "subprocess.Popen[str]"]
) -> None:
    process = start(folder, CROSSING_PAUSE_S="0.3")
    journal = folder / "trials.sqlite"
    until(lambda: journal.exists() and sum(states(folder).get(state.name, 0) for state in COUNTED) >= 4)
    workers = children(process.pid)
    assert any(os.sched_getscheduler(pid) == os.SCHED_IDLE for pid in workers)
    process.send_signal(signal.SIGKILL)
    process.wait()
    until(lambda: not any(alive(pid) for pid in workers))
    cut = read_state(folder)
    assert cut is not None
    assert (cut.state, cut.reason) == (StudyState.STOPPED, "it ended without a word; run it again to resume")
    done = sum(states(folder).get(state.name, 0) for state in COUNTED)
    assert Runner(folder, inline).run().state is StudyState.FINISHED
    after = states(folder)
    assert sum(after.get(state.name, 0) for state in COUNTED) == 24
    assert after.get("FAIL", 0) <= 2 * 4  # two workers, a batch of four each
    assert "RUNNING" not in after
    assert done >= 4


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_DATA counts what a process makes its own")
@pytest.mark.parametrize(
    ("memory_mb", "limit"),
    [(300, "600 * 2**20"), (4000, "(used + memory.FREE_MB + 150) * 2**20")],
    ids=["its own bound", "what the system gives it"],
)
def test_a_worker_that_grows_ends_before_its_limit(folder: Path, memory_mb: int, limit: str) -> None:
    """It leaks 20 MB at every back-test; at the limit the next would be a MemoryError that no smaller batch mends."""
    path = folder / "study.toml"
    text = path.read_text().replace("memory_mb = 4000", f"memory_mb = {memory_mb}")
    path.write_text(text.replace("trials = 12", "trials = 200"))
    code = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "from research.study import memory\n"
        "from research.study.worker import Job, work\n"
        "from tests.research import crossing\n"
        "used = int(memory._amounts(Path('/proc/self/status'))['VmData'] / 1024)\n"
        f"resource.setrlimit(resource.RLIMIT_DATA, (({limit}),) * 2)\n"
        "text = Path(sys.argv[1], 'study.toml').read_text()\n"
        "span = (crossing.FIRST_NS, crossing.FIRST_NS + 4000 * crossing.HOUR_NS)\n"
        "done = work(Job(sys.argv[1], text, 0, {0: 200, 1: 200}, span))\n"
        "print(done.reason, done.trials)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "CROSSING_LEAK_MB": "20"}
    found = subprocess.run(
        [sys.executable, "-c", code, str(folder)],
        env=environment,
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=300,
    )
    assert found.stdout.split()[:1] == ["memory"], found.stderr[-600:]
    assert 0 < int(found.stdout.split()[1]) < 200
