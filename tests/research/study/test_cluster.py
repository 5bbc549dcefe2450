"""A study on a cluster: two dask workers, trials in PostgreSQL, stops, locks and what is refused."""

import itertools
import warnings
from collections.abc import Iterator
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import msgspec
import pytest

from core.domain.studies import Study, StudyState
from core.errors import ResearchError
from research.provenance import code_version
from research.study import database, worker
from research.study.cluster import cluster
from research.study.running import Runner
from research.study.standing import read_state
from research.study.worker import Job, counted, work
from research.validation.findings import Findings
from store.postgres import PostgresServer
from tests.research.study.test_running import filled, inline

NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real PostgreSQL."""
    server = PostgresServer(tmp_path_factory.mktemp("pg") / "data")
    server.start(create=True)
    known = server.conninfo
    yield f"postgresql://{known['user']}@/{known['dbname']}?host={known['host']}&port={known['port']}"
    server.stop(now=True)


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    """Two workers, each a process of its own."""
    from distributed import LocalCluster

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        local: Any = LocalCluster(  # type: ignore[no-untyped-call]
            n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=50
        )
        with local:
            yield local.scheduler_address


@pytest.fixture
def folder(tmp_path: Path, address: str) -> Path:
    """A study of its own name in the one database."""
    folder = filled(tmp_path / f"far-{next(NUMBERS)}", trials=4)
    database.settle(folder, address)
    return folder


@pytest.mark.filterwarnings("ignore")
def test_two_workers_share_the_trials_of_one_database(folder: Path, scheduler: str) -> None:
    told = list[Study]()
    with cluster(scheduler) as pool:
        runner = Runner(folder, pool, lasting=True)
        ended = runner.run(told.append)
    assert (ended.state, ended.reason) == (StudyState.FINISHED, "")
    assert [counted(search) for search in runner.searches] == [4, 4]
    assert told[-1] == ended == read_state(folder)
    assert not (folder / "trials.sqlite").exists()
    assert Findings(folder).trials(1).trials[0].score == pytest.approx(ended.best_score)


def test_a_shared_study_is_run_here_too_and_resumes(folder: Path) -> None:
    runner = Runner(folder, inline)
    assert runner.run().trials_done == 8
    assert Runner(folder, inline).run().trials_done == 8


def test_a_job_that_is_done_twice_brings_no_trial_too_many(folder: Path) -> None:
    """A scheduler gives a lost worker's job to another one, from its beginning."""
    runner = Runner(folder, inline, lasting=True)
    text = (folder / "study.toml").read_text()
    job = runner._job(text, 0, {0: 4, 1: 3})
    assert work(job).trials == 7
    assert work(job).trials == 1
    assert [counted(search) for search in runner.searches] == [4, 4]


def test_workers_elsewhere_hear_that_they_are_to_stop(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runner = Runner(folder, inline)
    runner.run()
    jobs = list[Job]()

    class Stopping(Executor):
        def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
            runner.stop()
            runner._pass_on_stop()
            # As on another machine: without the folder.
            jobs.append(msgspec.structs.replace(args[0], folder="/nowhere"))
            return inline(1).submit(fn, jobs[-1])

    path = folder / "study.toml"
    path.write_text(path.read_text().replace("trials = 4", "trials = 6"))
    runner = Runner(folder, lambda _: Stopping(), lasting=True)
    ended = runner.run()
    assert (ended.state, ended.trials_done) == (StudyState.STOPPED, 8)
    assert Runner(folder, inline).run().trials_done == 12  # the word to stop is taken back


def test_one_machine_at_a_time(folder: Path, address: str) -> None:
    runner = Runner(folder, inline)
    with (
        database.held(address, folder.name),
        pytest.raises(ResearchError, match="is being run by another"),
    ):
        runner.run()
    with database.held(address, "another"):
        assert runner.run().state is StudyState.FINISHED


def test_other_code_or_data_on_a_worker_are_refused(folder: Path) -> None:
    runner = Runner(folder, inline)
    job = runner._job((folder / "study.toml").read_text(), 0, {0: 4, 1: 0})
    with pytest.raises(ResearchError, match="install the same version there"):
        work(msgspec.structs.replace(job, code="0.0.1+abc"))
    assert job.code == code_version()
    later = (job.span[0], job.span[1] + 1)
    with pytest.raises(ResearchError, match="has other data than the study was begun with"):
        work(msgspec.structs.replace(job, span=later))


def test_the_memory_of_a_lasting_worker_is_not_ours(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "resident_mb", lambda: 1e6)
    runner = Runner(folder, inline)
    text = (folder / "study.toml").read_text()
    assert work(runner._job(text, 0, {0: 4, 1: 0})).reason == "memory"
    assert work(msgspec.structs.replace(runner._job(text, 0, {0: 4, 1: 0}), lasting=True)).reason == "done"


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("sqlite:///a", "is no address of PostgreSQL; expected postgresql://"),
        ("what?", "is no address of PostgreSQL"),
        ("postgresql://anna:secret@db/x", r"at db has a password in it.*~/\.pgpass"),
    ],
)
def test_an_address_that_cannot_be(tmp_path: Path, address: str, words: str) -> None:
    folder = filled(tmp_path / "s1")
    with pytest.raises(ResearchError, match=words) as refused:
        database.settle(folder, address)
    assert "secret" not in str(refused.value)
    assert database.named(folder) == ""


def test_a_database_that_does_not_answer(tmp_path: Path) -> None:
    folder = filled(tmp_path / "s1")
    database.settle(folder, "postgresql://nobody@127.0.0.1:1/x")
    with pytest.raises(ResearchError, match=r"127\.0\.0\.1:1/x does not answer: .*; start PostgreSQL there"):
        Runner(folder, inline)


def test_a_study_stays_where_it_was_begun(tmp_path: Path, address: str) -> None:
    folder = filled(tmp_path / "s1")
    Runner(folder, inline)
    with pytest.raises(ResearchError, match=r"was begun in .*trials\.sqlite; give the study another name"):
        database.settle(folder, address)
    other = filled(tmp_path / "s2")
    database.settle(other, address)
    database.settle(other, address)
    with pytest.raises(ResearchError, match="s2 was begun in postgresql://"):
        database.settle(other, "postgresql://db/x")


def test_a_cluster_needs_a_storage_and_somebody_who_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ResearchError, match="needs a storage that every machine reaches: give --storage"):
        Runner(filled(tmp_path / "s1"), inline, lasting=True)
    monkeypatch.setattr("research.study.cluster._WAIT_S", 0.5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(ResearchError, match="no scheduler answers at tcp://127"), cluster("tcp://127.0.0.1:1"):
            pass
