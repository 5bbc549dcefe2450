"""What a schedule can do: search a study anew, bring data in, compact ticks, look for drift; in processes that end."""

import re
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from core.config.file import line_numbers, load
from core.config.settings import TicksSettings
from core.domain.message import Nanoseconds
from core.errors import ResearchError, TradedeckError
from desk.paths import Home
from desk.research.studying import folder_of
from desk.research.wanted import is_wanted, want

SETTLED_S = 60.0
"""A file that changed within this time may still be on its way."""
DONE = "done"
_DATED = re.compile(r"-\d{8}\.\d{4}$")
_STEM = 49
"""A study's name has at most 63 letters; 14 of them say when it was due."""


class Did(msgspec.Struct, frozen=True):
    """How a chore went, and what it did or why not."""

    ok: bool
    words: str
    """A line, or one for each that it tells of."""


def refresh(home: Home) -> Did:
    """Import every file of the incoming folder, then fetch what is newer; neither waits for the other to go well.

    A file that was taken moves to ``done``; one that has a fault stays.
    """
    from desk.research.fetching import fetch_newer

    came = _files(home)
    newer = fetch_newer(home)
    words = "; ".join(filter(None, (came.words, newer.words)))
    return Did(came.ok and not newer.failed, words)


def _files(home: Home) -> Did:
    from research.data.dataset import bring_in
    from research.data.naming import name_of
    from store.candles import CandleStore

    store, rows, taken, faults = CandleStore(home.data), 0, 0, list[str]()
    home.incoming.mkdir(mode=0o700, exist_ok=True)
    for path in _incoming(home.incoming):
        where = path.relative_to(home.incoming)
        try:
            done = bring_in(store, path, name_of(where))
        except TradedeckError as error:
            faults.append(f"{where}: {str(error).splitlines()[0]}")
            continue
        kept = home.incoming / DONE / where
        kept.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.replace(kept)
        rows, taken = rows + done.new, taken + 1
    if faults:
        return Did(False, f"{len(faults)} of {taken + len(faults)} files have a fault; {faults[0]}")
    return Did(True, f"{taken} files, {rows} rows new" if taken else f"nothing came into {home.incoming}")


def _incoming(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        done = path.is_relative_to(folder / DONE)
        if path.is_file() and not hidden and not done and time.time() - path.stat().st_mtime >= SETTLED_S:
            yield path


def compact(home: Home) -> Did:
    """Move ticks that wait into their day files, and days that are over into Parquet."""
    from store.recorder import tidy
    from store.ticks.paths import TickPaths, day_of

    if not home.ticks.is_dir():
        return Did(True, "nothing was recorded here")
    settings = load(home.config)[0].ticks if home.config.exists() else TicksSettings()
    waiting = tidy(home.root, settings)
    if waiting is None:  # a recorder works here: it closes a day within minutes, so a day older than one is stuck
        today = day_of(time.time_ns())
        waiting = [day for day in TickPaths(home.root).day_files() if (today - day).days > 1]
        if not waiting:
            return Did(True, "the recorder runs and keeps up")
    if waiting:
        return Did(False, f"{len(waiting)} days are not Parquet yet, the oldest {min(waiting)}; see logs/recorder.log")
    return Did(True, "every day that is over is Parquet")


def drift(home: Home) -> Did:
    """Hold live strategies against their studies; it fails where one is beyond its bound."""
    from desk.research.drifting import drift_of

    return Did(*drift_of(home))


CHORES: Mapping[str, tuple[str, Callable[[Home], Did]]] = {
    "refresh": ("refresh data", refresh),
    "compact": ("compact ticks", compact),
    "drift": ("drift check", drift),
}
"""By its id: what it is called on the screen (no study has a blank in its name), and what does it."""


def job_id(home: Home, what: str) -> str:
    """Return the id of a job as it is called anywhere: a chore's id or name, or a study's name.

    Raises:
        ResearchError: there is no such chore and no such study.
    """
    for id_, (name, _) in CHORES.items():
        if what in (id_, name):
            return id_
    try:
        return folder_of(home, what).name
    except ResearchError:
        raise ResearchError(f"{what} is neither a study of this home nor one of {', '.join(CHORES)}") from None


def name_of_job(id_: str) -> str:
    """Return what a job is called on the screen."""
    return CHORES[id_][0] if id_ in CHORES else id_


def carry_out(root: str, id_: str, since: Nanoseconds) -> Did:
    """Do a job that is due ``since``; called in a process of its own."""
    home = Home(Path(root))
    try:
        return CHORES[id_][1](home) if id_ in CHORES else search_anew(home, id_, since)
    except (TradedeckError, OSError) as error:
        return Did(False, str(error))
    except Exception as error:  # task boundary: whatever a chore fails on is told
        return Did(False, f"failed: {error!r}")


def search_anew(home: Home, name: str, since: Nanoseconds) -> Did:
    """Ask for a study on the data there are now, as a study of its own: trials on other data cannot be compared.

    Raises:
        ResearchError: the study's file or data are refused.
        StoreError: its data cannot be read.
    """
    from research.study.evaluator import factory
    from research.study.standing import is_held
    from research.study.storage import storage_of
    from research.study.study import load as load_study
    from research.study.study import parse
    from research.study.worker import begun_on

    folder = folder_of(home, name)
    newest = _newest(home, name)
    if newest is None:
        want(folder)
        return Did(True, f"{name} begins")
    if is_wanted(newest) or is_held(newest):
        return Did(True, f"{newest.name} is still under way; not begun anew")
    file = load_study(folder / "study.toml")
    there = factory(file.study.evaluator)(file).span
    begun = begun_on(storage_of(newest), load_study(newest / "study.toml"))
    if begun is not None and there.stop <= begun.stop:
        return Did(True, f"no data since {begun.words[-10:]}, up to which {newest.name} has searched")
    due = datetime.fromtimestamp(since / 1e9, UTC).strftime("%Y%m%d.%H%M")
    made = home.studies / f"{_stem(name)}-{due}"
    text = renamed((folder / "study.toml").read_text(encoding="utf-8"), made.name)
    parse(text)
    made.mkdir(mode=0o700, exist_ok=True)
    if not (made / "study.toml").exists():
        part = made / ".study.toml"
        part.write_text(text, encoding="utf-8")
        part.replace(made / "study.toml")
    want(made)
    return Did(True, f"{made.name} begins on data of {there.words}")


def renamed(text: str, name: str) -> str:
    """Return a study's file under another name.

    Raises:
        ResearchError: the name cannot be found in it.
    """
    lines = text.splitlines(keepends=True)
    place = line_numbers(text).get("study.name", 0)
    if not place:
        raise ResearchError("its study.toml must give name on a line of its own under [study]")
    lines[place - 1] = f'name = "{name}"\n'
    return "".join(lines)


def _stem(name: str) -> str:
    return _DATED.sub("", name)[:_STEM]


def _newest(home: Home, name: str) -> Path | None:
    """Return the folder of the last search of a study that was begun or asked for; None where there is none."""
    stem = _stem(name)
    dated = [path for path in home.studies.glob(f"{stem}-*") if _DATED.fullmatch(path.name, len(stem))]
    order = (*sorted(dated, reverse=True), home.studies / name)
    return next((path for path in order if (path / "trials.sqlite").exists() or is_wanted(path)), None)
