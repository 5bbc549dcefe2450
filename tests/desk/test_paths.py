"""Where the files of a home lie."""

import os
import shutil
import socket
import stat
from pathlib import Path

import pytest

from core.errors import StoreError
from desk.paths import SOCKET_PATH_MAX, Home, Role, home_at


def test_the_option_wins_over_the_variable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TRADEDECK_HOME", str(tmp_path / "b"))
    assert home_at(tmp_path / "a").root == tmp_path / "a"
    assert home_at().root == tmp_path / "b"


def test_without_either_the_home_is_where_data_belong(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("TRADEDECK_HOME", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert home_at().root == tmp_path / "tradedeck"
    monkeypatch.setenv("XDG_DATA_HOME", "relative")  # by the XDG rules, to be ignored
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    assert home_at().root == tmp_path / "me" / ".local" / "share" / "tradedeck"


def test_a_relative_home_is_made_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert home_at(Path("x")).root == tmp_path / "x"


def test_the_folders_are_for_their_owner_alone(tmp_path: Path) -> None:
    home = Home(tmp_path / "h").create()
    for folder in (home.root, home.journal.parent, home.segments, home.market, home.log(Role.ENGINE).parent):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    home.create()  # again changes nothing


def test_a_long_home_is_reached_by_a_short_way_of_its_own(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    home, other = Home(deep / "a").create(), Home(deep / "b")
    folder = home.reach.parent
    try:
        assert len(os.fsencode(home.engine_socket)) <= SOCKET_PATH_MAX
        assert home.engine_socket.parent.resolve() == deep / "a" / "run"
        assert folder != other.reach.parent
        assert Home(deep / "a").create().engine_socket == home.engine_socket
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(home.engine_socket))
        assert (deep / "a" / "run" / "engine.sock").is_socket()
        folder.chmod(0o755)
        with pytest.raises(StoreError, match="mode 0700"):
            home.create()
    finally:
        shutil.rmtree(folder)


def test_a_home_that_cannot_be_made_says_why(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="name another by --home"):
        Home(tmp_path / "file" / "home").create()


def test_a_home_makes_its_mark_once(tmp_path: Path) -> None:
    first, second = Home(tmp_path / "a").create(), Home(tmp_path / "b").create()
    assert first.mark() == first.mark()
    assert len(first.mark()) == 4
    assert second.mark().isalnum()


@pytest.mark.parametrize("text", ["", "ab", "ab-d", "abcde"])
def test_a_damaged_mark_is_refused(tmp_path: Path, text: str) -> None:
    home = Home(tmp_path / "a").create()
    (home.root / "id").write_text(text, encoding="ascii")
    with pytest.raises(StoreError, match="four letters or digits"):
        home.mark()
