"""J5, the other side of studies.py: Optuna on its default SQLite storage, worker processes, an objective of 5 ms of CPU."""
import multiprocessing as mp
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import common as C
import optuna
from optuna.storages import RDBStorage

optuna.logging.set_verbosity(optuna.logging.ERROR)


def value(p):
    return sum(p[f"x{i}"] ** 2 for i in range(3)) + p["k"]


def objective(t):
    p = {f"x{i}": t.suggest_float(f"x{i}", -5.0, 5.0) for i in range(3)}
    p["k"] = t.suggest_int("k", 5, 50)
    end = time.process_time() + 0.005
    while time.process_time() < end:
        pass
    return value(p)


def storage(d):
    return RDBStorage(f"sqlite:///{d}/s.db", engine_kwargs={"connect_args": {"timeout": 60}})


def sampler(name, seed):
    return optuna.samplers.RandomSampler(seed) if name == "random" else optuna.samplers.TPESampler(seed=seed)


def worker(d, smp, n, seed):
    optuna.load_study(study_name="s", storage=storage(d), sampler=sampler(smp, seed)).optimize(objective, n_trials=n)


def main(smp="tpe", workers="1", n="200"):
    workers, n = int(workers), int(n)
    with tempfile.TemporaryDirectory(prefix="bench-optuna-") as d:
        optuna.create_study(study_name="s", storage=storage(d), sampler=sampler(smp, 1))
        ps = [mp.get_context("spawn").Process(target=worker, args=(d, smp, n // workers, i + 2)) for i in range(workers)]
        [p.start() for p in ps]; [p.join() for p in ps]
        trials = optuna.load_study(study_name="s", storage=storage(d)).trials
    took = max(t.datetime_complete for t in trials) - min(t.datetime_start for t in trials)
    C.emit("J5", "optuna_sqlite", trials=len(trials), per_s=len(trials) / took.total_seconds(), sampler=smp, workers=workers,
           wrong=sum(t.state.name != "COMPLETE" or abs(t.value - value(t.params)) > 1e-9 for t in trials))


if __name__ == "__main__":
    main(*sys.argv[1:])
