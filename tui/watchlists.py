"""Named lists of instruments, kept in a file of the home that every terminal of it reads and changes.

The lists are not in `config.toml`: that is the trader's own text with its comments, and no program rewrites it. A
change reads the file anew under a lock before it writes, so that two terminals never undo each other's edits. A damaged
file is put aside, never written over.
"""

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from core.domain.identifiers import InstrumentId

FILE_NAME = "watchlists.json"
ALL = "all"
"""The list of every instrument; it is not in the file and cannot be changed."""
MAX_LISTS, MAX_INSTRUMENTS, MAX_NAME = 50, 500, 16
LOCK_TRIES, LOCK_PAUSE_S = 10, 0.02


class WatchList(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One list: its name, and its instruments in the order shown."""

    name: str
    instruments: tuple[InstrumentId, ...] = ()


Lists = tuple[WatchList, ...]
Edit = Callable[[Lists], Lists]


class ListError(Exception):
    """A list cannot be changed so; the text says why."""


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    lists: Lists = ()


# --- edits ------------------------------------------------------------------------------------------------------------


def find(lists: Lists, name: str) -> WatchList:
    """Look a list up.

    Raises:
        ListError: No list has this name.
    """
    for one in lists:
        if one.name == name:
            return one
    if name == ALL:
        raise ListError("'all' holds every instrument by itself; n in the editor (e) makes a list")
    raise ListError(f"there is no watchlist '{name}' any more")


def _put(lists: Lists, name: str, instruments: tuple[InstrumentId, ...]) -> Lists:
    return tuple(WatchList(name, instruments) if one.name == name else one for one in lists)


def add(lists: Lists, name: str, instrument: InstrumentId) -> Lists:
    """Add an instrument at the end of a list; one that is in it already stays where it is.

    Raises:
        ListError: The list is not there, or full.
    """
    held = find(lists, name).instruments
    if instrument in held:
        return lists
    if len(held) >= MAX_INSTRUMENTS:
        raise ListError(f"watchlist '{name}' holds {MAX_INSTRUMENTS} instruments, which is the most; remove one first")
    return _put(lists, name, (*held, instrument))


def remove(lists: Lists, name: str, instrument: InstrumentId) -> Lists:
    """Take an instrument out of a list.

    Raises:
        ListError: The list is not there.
    """
    return _put(lists, name, tuple(held for held in find(lists, name).instruments if held != instrument))


def shift(lists: Lists, name: str, instrument: InstrumentId, steps: int) -> Lists:
    """Move an instrument within a list, downwards positive; at the ends it stays.

    Raises:
        ListError: The list is not there.
    """
    held = list(find(lists, name).instruments)
    if instrument in held:
        place = held.index(instrument)
        held.insert(max(0, min(len(held) - 1, place + steps)), held.pop(place))
    return _put(lists, name, tuple(held))


def create(lists: Lists, name: str) -> Lists:
    """Add an empty list.

    Raises:
        ListError: The name cannot be used, or there are too many lists.
    """
    if len(lists) >= MAX_LISTS:
        raise ListError(f"there are {MAX_LISTS} watchlists, which is the most; delete one first")
    return (*lists, WatchList(_new_name(lists, name)))


def rename(lists: Lists, name: str, to: str) -> Lists:
    """Give a list another name.

    Raises:
        ListError: The list is not there, or the name cannot be used.
    """
    old = find(lists, name)
    if to.strip() == name:
        return lists
    new = WatchList(_new_name(lists, to), old.instruments)
    return tuple(new if one is old else one for one in lists)


def delete(lists: Lists, name: str) -> Lists:
    """Take a list away.

    Raises:
        ListError: The list is not there.
    """
    gone = find(lists, name)
    return tuple(one for one in lists if one is not gone)


def _new_name(lists: Lists, text: str) -> str:
    name = text.strip()
    if not name or len(name) > MAX_NAME or not name.isprintable():
        raise ListError(f"a name has 1 to {MAX_NAME} characters (got {len(name)})")
    if name.casefold() in {ALL, *(one.name.casefold() for one in lists)}:
        raise ListError(f"there is a watchlist '{name}' already; choose another name")
    return name


# --- the file ---------------------------------------------------------------------------------------------------------


class WatchLists:
    """The lists of a home as its file has them; without a file they are kept as long as the terminal lives."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._seen: tuple[int, int] | None = None
        self.lists: Lists = ()
        self.trouble = self._load()
        """A sentence about what was wrong with the file at the start; empty where nothing was."""

    @property
    def names(self) -> list[str]:
        """The names of all lists, the one of every instrument first."""
        return [ALL, *(one.name for one in self.lists)]

    def instruments(self, name: str) -> tuple[InstrumentId, ...] | None:
        """Give the instruments of a list; None for the list of all, and for one that is gone."""
        return next((one.instruments for one in self.lists if one.name == name), None)

    def refresh(self) -> tuple[bool, str]:
        """Take up what another terminal has changed; tell whether something was, and what was wrong."""
        if self._path is None or self._stamp() == self._seen:
            return False, ""
        before = self.lists
        words = self._load()
        return self.lists != before, words

    def change(self, edit: Edit) -> str:
        """Carry out an edit on what the file holds now; return a sentence where it could not be."""
        try:
            with self._locked():
                words = self._load()
                if words:
                    return f"{words}; nothing was changed"
                edited = edit(self.lists)
                self._write(edited)
        except ListError as error:
            return str(error)
        except OSError as error:
            return f"{FILE_NAME} cannot be written: {error.strerror or error}; nothing was changed"
        self.lists = edited
        return ""

    # -- inside ----------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the home's folder against other terminals; a lock on it leaves no file behind."""
        if self._path is None:
            yield
            return
        folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            for left in reversed(range(LOCK_TRIES)):
                try:
                    fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if not left:
                        raise ListError("another terminal is changing the watchlists; try again") from None
                    time.sleep(LOCK_PAUSE_S)
            yield
        finally:
            os.close(folder)

    def _stamp(self) -> tuple[int, int] | None:
        try:
            found = self._path.stat() if self._path is not None else None
        except OSError:
            return None
        return None if found is None else (found.st_mtime_ns, found.st_ino)

    def _load(self) -> str:
        """Read the file; return a sentence where it could not be used."""
        if self._path is None:
            return ""
        self._seen = self._stamp()
        try:
            self.lists = _decoded(self._path.read_bytes())
        except FileNotFoundError:
            self.lists = ()
        except OSError as error:
            return f"{FILE_NAME} cannot be read: {error.strerror or error}"
        except (msgspec.DecodeError, UnicodeDecodeError, ListError) as error:
            self.lists = ()
            return self._put_aside(error)
        return ""

    def _put_aside(self, error: Exception) -> str:
        assert self._path is not None
        words = f"{FILE_NAME} is damaged ({error})"
        if self._stamp() != self._seen:  # another terminal was faster, and what stands there now may be sound
            return f"{words}; another terminal has put it aside"
        kept = self._path.with_name(f"watchlists.damaged-{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}.json")
        try:
            self._path.rename(kept)
        except OSError as trouble:
            return f"{words} and cannot be put aside ({trouble.strerror}); the list of all instruments is shown"
        return f"{words}; it is kept as {kept.name}, and the list of all instruments is shown"

    def _write(self, lists: Lists) -> None:
        if self._path is None:
            return
        part = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        try:
            with part.open("wb") as file:
                file.write(msgspec.json.format(msgspec.json.encode(_File(lists)), indent=2) + b"\n")
                file.flush()
                os.fsync(file.fileno())
            part.replace(self._path)
        except OSError:
            part.unlink(missing_ok=True)
            raise
        self._seen = self._stamp()


def _decoded(data: bytes) -> Lists:
    lists = msgspec.json.decode(data, type=_File).lists
    names: Lists = ()
    for one in lists:
        if len(set(one.instruments)) != len(one.instruments):
            raise ListError(f"'{one.name}' holds an instrument twice")
        names = (*names, WatchList(_new_name(names, one.name)))
    return lists
