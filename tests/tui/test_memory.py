"""A terminal begins where the last one was left; a file that cannot be read is said and ignored."""

from pathlib import Path

import pytest

from core.domain.market import Interval
from tests.tui.driving import ready, until
from tests.tui.engine import ETH, House
from tests.tui.harness import picture
from tui.app import TerminalApp
from tui.confirm import Choose
from tui.memory import Memory, keep, recall


def test_what_was_kept_is_recalled_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "terminal.json"
    memory = Memory("risk", "wide", ETH, "1h", True)
    assert keep(path, memory) == ""
    assert recall(path) == (memory, "")
    assert list(tmp_path.iterdir()) == [path]
    assert recall(tmp_path / "none") == (Memory(), "")


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"screen": 7}', b"\xff\xfe", b"\x00" * 100])
def test_a_damaged_file_is_said_and_ignored(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "terminal.json"
    path.write_bytes(damage)
    memory, words = recall(path)
    assert memory == Memory()
    assert words.startswith("terminal.json is not used: ")


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    assert "cannot be written" in keep(tmp_path / "missing" / "terminal.json", Memory("risk"))


async def test_the_next_terminal_begins_where_the_last_was_left(house: House, tmp_path: Path) -> None:
    path = tmp_path / "terminal.json"
    first = TerminalApp(house.socket, memory=path)
    async with first.run_test(size=(200, 50)) as pilot:
        await ready(first, pilot)
        first.trade.choose(ETH)
        first.trade.next_interval()
        await pilot.press("t", "L")
        await until(pilot, lambda: isinstance(first.screen, Choose) and first.screen.is_mounted)
        await pilot.press(*"narrow", "enter")
        await until(pilot, lambda: first.trade.has_class("-narrow"))
        await pilot.press("4")
        await until(pilot, lambda: first.here.NAME == "risk")
        await until(pilot, lambda: recall(path)[0].screen == "risk")  # written while it runs: a killed one keeps it too
    left = recall(path)[0]
    assert (left.layout, left.instrument, left.local_time) == ("narrow", ETH, True)
    assert left.interval == first.trade.interval.value != Interval.M15.value
    second = TerminalApp(house.socket, memory=path)
    async with second.run_test(size=(200, 50)) as pilot:
        await until(pilot, lambda: second.here.NAME == "risk" and "limits" in picture(second))
        await pilot.press("1")
        await until(pilot, lambda: second.trade.instrument == ETH and second.trade.has_class("-narrow"))
        assert second.trade.interval is first.trade.interval
        assert second.here.local_time


async def test_a_memory_of_what_is_gone_begins_at_the_beginning(house: House, tmp_path: Path) -> None:
    path = tmp_path / "terminal.json"
    keep(path, Memory("gone", "gone", "GONE:SPOT_PAIR:A-B", "gone"))
    app = TerminalApp(house.socket, memory=path)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(app, pilot)
    path.write_text("{")
    again = TerminalApp(house.socket, memory=path)
    async with again.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "terminal.json is not used" in picture(again))
