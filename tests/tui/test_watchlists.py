"""Watchlists are kept whole: edits of two terminals add up, and a damaged file is put aside, never written over."""

import fcntl
import os
import threading
from pathlib import Path

import pytest

from core.domain.identifiers import InstrumentId
from tui import watchlists as w
from tui.watchlists import ALL, ListError, Lists, WatchList, WatchLists

BTC, ETH, XRP = (InstrumentId(f"BINANCE-SPOT:SPOT_PAIR:{base}-USDT") for base in ("BTC", "ETH", "XRP"))
MAJORS: Lists = (WatchList("majors", (BTC, ETH)), WatchList("alts", (XRP,)))


def _kept(tmp_path: Path) -> Path:
    path = tmp_path / w.FILE_NAME
    assert WatchLists(path).change(lambda _: MAJORS) == ""
    return path


def test_edits_change_one_list_and_nothing_else() -> None:
    assert w.add(MAJORS, "majors", XRP)[0].instruments == (BTC, ETH, XRP)
    assert w.add(MAJORS, "majors", BTC) == MAJORS
    assert w.remove(MAJORS, "majors", BTC) == (WatchList("majors", (ETH,)), MAJORS[1])
    assert w.shift(MAJORS, "majors", BTC, 1)[0].instruments == (ETH, BTC)
    assert w.shift(MAJORS, "majors", BTC, -1) == MAJORS
    assert w.shift(MAJORS, "majors", XRP, 1) == MAJORS
    assert w.create(MAJORS, " new ")[2] == WatchList("new")
    assert w.rename(MAJORS, "alts", "others") == (MAJORS[0], WatchList("others", (XRP,)))
    assert w.rename(MAJORS, "alts", "alts") == MAJORS
    assert w.delete(MAJORS, "majors") == MAJORS[1:]


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda: w.add(MAJORS, ALL, BTC), "'all' holds every instrument by itself"),
        (lambda: w.add(MAJORS, "gone", BTC), "there is no watchlist 'gone' any more"),
        (lambda: w.create(MAJORS, "Majors"), "there is a watchlist 'Majors' already"),
        (lambda: w.create(MAJORS, "ALL"), "already"),
        (lambda: w.create(MAJORS, "  "), "1 to 16 characters"),
        (lambda: w.create(MAJORS, "x" * 17), r"\(got 17\)"),
        (lambda: w.rename(MAJORS, "alts", "majors"), "already"),
        (lambda: w.delete(MAJORS, ALL), "by itself"),
        (lambda: w.create(tuple(WatchList(f"l{n}") for n in range(50)), "more"), "there are 50 watchlists"),
        (lambda: w.add((WatchList("f", tuple(InstrumentId(f"{n}") for n in range(500))),), "f", BTC), "500 instr"),
    ],
)
def test_what_cannot_be_is_refused_in_words(edit: object, words: str) -> None:
    with pytest.raises(ListError, match=words):
        edit()  # type: ignore[operator]


def test_lists_are_there_for_the_next_terminal_and_nothing_is_left_beside_them(tmp_path: Path) -> None:
    path = _kept(tmp_path)
    assert WatchLists(path).lists == MAJORS
    assert WatchLists(path).names == [ALL, "majors", "alts"]
    assert WatchLists(path).instruments("alts") == (XRP,)
    assert WatchLists(path).instruments(ALL) is None
    assert list(tmp_path.iterdir()) == [path]


def test_a_terminal_without_a_home_keeps_its_lists_while_it_lives() -> None:
    lists = WatchLists(None)
    assert lists.change(lambda now: w.create(now, "mine")) == ""
    assert lists.names == [ALL, "mine"]
    assert lists.refresh() == (False, "")


def test_two_terminals_see_and_never_undo_each_others_edits(tmp_path: Path) -> None:
    path = _kept(tmp_path)
    one, other = WatchLists(path), WatchLists(path)
    assert one.change(lambda now: w.add(now, "majors", XRP)) == ""
    assert other.change(lambda now: w.add(now, "alts", BTC)) == ""  # knows nothing of the first edit
    assert other.lists == (WatchList("majors", (BTC, ETH, XRP)), WatchList("alts", (XRP, BTC)))
    assert one.refresh() == (True, "")
    assert one.lists == other.lists
    assert one.refresh() == (False, "")


def test_edits_at_the_same_time_all_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(w, "LOCK_TRIES", 5_000)
    path = _kept(tmp_path)
    refused: list[str] = []

    def edit(first: int) -> None:
        mine = WatchLists(path)
        for number in range(first, first + 20):
            words = mine.change(lambda now, n=number: w.add(now, "majors", InstrumentId(f"X:SPOT_PAIR:A{n}-B")))  # type: ignore[misc]
            refused.append(words)

    threads = [threading.Thread(target=edit, args=(start,)) for start in (0, 100, 200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(refused) == {""}
    assert len(WatchLists(path).lists[0].instruments) == 2 + 60


def test_a_lock_that_is_held_is_said(tmp_path: Path) -> None:
    path = _kept(tmp_path)
    folder = os.open(tmp_path, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        assert "another terminal is changing" in WatchLists(path).change(lambda now: w.delete(now, "alts"))
    finally:
        os.close(folder)
    assert WatchLists(path).lists == MAJORS


@pytest.mark.parametrize(
    "damage",
    [b"", b"{", b"[]", b'{"lists": [{"name": 7}]}', b"\xff\xfe", b"\x00" * 64, b'{"lists": [{"name": "all"}]}',
     b'{"lists": [{"name": "a"}, {"name": "A"}]}', b'{"lists": [{"name": "a", "instruments": ["x", "x"]}]}',
     b'{"list": []}'],
)  # fmt: skip
def test_a_damaged_file_is_said_put_aside_and_replaced_by_the_list_of_all(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / w.FILE_NAME
    path.write_bytes(damage)
    lists = WatchLists(path)
    assert lists.names == [ALL]
    assert lists.trouble.startswith("watchlists.json is damaged (")
    (aside,) = tmp_path.iterdir()
    assert aside.name in lists.trouble
    assert aside.name.startswith("watchlists.damaged-")
    assert aside.read_bytes() == damage
    assert lists.change(lambda now: w.create(now, "new")) == ""
    assert WatchLists(path).names == [ALL, "new"]
    assert aside.read_bytes() == damage


def test_a_file_that_is_damaged_while_a_terminal_runs_changes_nothing_at_first(tmp_path: Path) -> None:
    path = _kept(tmp_path)
    lists = WatchLists(path)
    path.write_bytes(b"{")
    words = lists.change(lambda now: w.delete(now, "alts"))
    assert words.startswith("watchlists.json is damaged")
    assert words.endswith("nothing was changed")
    assert len(list(tmp_path.glob("watchlists.damaged-*"))) == 1


def test_a_file_that_cannot_be_read_is_never_written_over(tmp_path: Path) -> None:
    path = tmp_path / w.FILE_NAME
    path.mkdir()
    lists = WatchLists(path)
    assert lists.trouble.startswith("watchlists.json cannot be read: ")
    assert "nothing was changed" in lists.change(lambda now: w.create(now, "new"))
    assert path.is_dir()


def test_a_home_that_is_gone_is_said(tmp_path: Path) -> None:
    lists = WatchLists(tmp_path / "gone" / w.FILE_NAME)
    assert lists.trouble == ""
    assert "cannot be written" in lists.change(lambda now: w.create(now, "new"))
    assert lists.names == [ALL]
