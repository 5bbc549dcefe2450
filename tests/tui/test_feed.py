"""The terminal's session with the engine: whatever goes wrong on this side is said and tried again."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from core.domain import events as e
from core.domain.approval import TradingState
from core.domain.identifiers import Asset, ClientOrderId
from core.state.state import State
from tests.tui.engine import House
from tests.tui.pictures import StillFeed
from tui.feed import Feed


async def until(true: Callable[[], object]) -> None:
    """Wait until something holds."""
    async with asyncio.timeout(30):
        while not true():  # noqa: ASYNC110 -- what is waited for has no event of its own
            await asyncio.sleep(0.02)


def test_a_cancel_that_is_refused_again_and_again_is_one_event_with_the_newest_time() -> None:
    """A venue that is away refuses the same cancels each second: what comes between must still be seen."""
    feed = StillFeed(State(Asset("USDT")))
    halt = e.TradingStateChanged(TradingState.HALTED, "ann", "t", "lunch", 1)
    for ts in range(1, 500):
        for id_ in ("n1", "n2"):
            feed._event(e.CancelRejected(ClientOrderId(id_), "not sent: away", ts, ts))
        if ts == 3:
            feed._event(halt)
    feed._event(e.AmendRejected(ClientOrderId("n1"), "not sent: away", 500, 500))
    feed._event(e.CancelRejected(ClientOrderId("n1"), "another reason", 501, 501))
    assert list(feed.events) == [
        halt,
        *(e.CancelRejected(ClientOrderId(id_), "not sent: away", 499, 499) for id_ in ("n1", "n2")),
        e.AmendRejected(ClientOrderId("n1"), "not sent: away", 500, 500),
        e.CancelRejected(ClientOrderId("n1"), "another reason", 501, 501),
    ]


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
