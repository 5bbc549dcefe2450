"""The terminal's session with the engine: whatever goes wrong on this side is said and tried again."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.tui.engine import House
from tui.feed import Feed


async def until(true: Callable[[], object]) -> None:
    """Wait until something holds."""
    async with asyncio.timeout(30):
        while not true():  # noqa: ASYNC110 -- what is waited for has no event of its own
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("where", ["on_up", "_message"])
async def test_a_view_that_fails_says_so_and_attaches_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    house = await House(tmp_path).start()
    feed, failures, told = Feed(house.socket, "t"), iter(range(1)), list[str]()
    good = getattr(feed, where)

    def failing(*arguments: object) -> None:
        if next(failures, None) is not None:
            raise LookupError("a bug")
        good(*arguments)

    monkeypatch.setattr(feed, where, failing)
    monkeypatch.setattr(feed, "on_down", told.append)
    task = asyncio.create_task(feed.run())
    await until(lambda: "LookupError('a bug')" in feed.trouble + "".join(told))
    await until(lambda: feed.connects >= 2 and feed.connected)
    server = house.runtime.server
    assert server is not None
    await until(lambda: len(server.sessions) == 1)  # the session whose view failed is closed
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await feed.stop()
    await house.stop()
