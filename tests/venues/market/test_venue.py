"""The engine's side of the practice exchange: requests, lost links and silence."""

import asyncio
import contextlib
import signal
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import uvloop

from core.domain.events import OrderAccepted, OrderFilled, OrderUnknown
from core.domain.market import Feed, VenueStatus
from core.errors import VenueError
from tests.venues.market.process import BTC, FUTURES, MarketProcess, Trader


async def test_without_a_market_nothing_leaves_and_the_reason_is_said(tmp_path: Path) -> None:
    trader = Trader(tmp_path / "market.sock", FUTURES, answer_s=0.2)
    await trader.venue.start(trader.got.append)
    await trader.until(lambda: trader.of(VenueStatus))
    with pytest.raises(VenueError, match=r"not connected: practice market at .*No such file"):
        await trader.submit("a", "1")
    with pytest.raises(VenueError, match="not connected"):
        await trader.venue.snapshot(0)
    await trader.venue.subscribe(BTC, Feed.QUOTE)
    await asyncio.sleep(0.5)
    assert [m.connected for m in trader.of(VenueStatus)] == [False]  # said once, not at every attempt
    await trader.venue.stop()


async def test_no_answer_is_unknown_and_settled_by_a_question(manual: MarketProcess) -> None:
    async with Trader(manual) as trader:
        await trader.prices(100.0, 100.1)
        manual.send(signal.SIGSTOP)
        patience, trader.venue.answer_s = trader.venue.answer_s, 0.3
        await trader.submit("a", "1")
        await trader.until(lambda: trader.of(OrderUnknown, "a"))
        assert "no answer within 0.3 s" in trader.of(OrderUnknown)[0].reason
        with pytest.raises(VenueError, match="no answer within"):
            await trader.venue.order("a")  # type: ignore[arg-type]
        trader.venue.answer_s = patience
        manual.send(signal.SIGCONT)
        await trader.until(lambda: trader.of(OrderFilled, "a"))
        assert await trader.venue.order("a") is not None  # type: ignore[arg-type]


async def test_a_link_lost_before_the_answer_is_unknown(manual: MarketProcess) -> None:
    async with Trader(manual) as trader:
        await trader.prices(100.0, 100.1)
        manual.send(signal.SIGSTOP)
        await trader.submit("a", "1")
        await trader.cancel("b")
        asked = asyncio.create_task(trader.venue.snapshot(0))
        await asyncio.sleep(0.05)
        manual.kill()
        await trader.until(lambda: len(trader.of(OrderUnknown)) == 2)
        assert [m.client_order_id for m in trader.of(OrderUnknown)] == ["a", "b"]
        with pytest.raises(VenueError, match="link was lost"):
            await asked
        assert [m.connected for m in trader.of(VenueStatus)][-1] is False


async def test_a_market_that_starts_later_is_found(tmp_path: Path, start_market: Callable[..., MarketProcess]) -> None:
    trader = Trader(tmp_path / "market.sock")
    await trader.venue.start(trader.got.append)
    await trader.venue.subscribe(BTC, Feed.QUOTE)
    asked = asyncio.create_task(trader.venue.instruments())
    await asyncio.sleep(0.3)
    await asyncio.to_thread(start_market)
    assert len(await asked) == 4
    await trader.until(lambda: trader.of(VenueStatus)[-1].connected)
    await trader.venue.stop()
    heard = len(trader.got)
    await asyncio.sleep(0.1)
    assert len(trader.got) == heard


async def test_stamps_are_of_our_clock(manual: MarketProcess) -> None:
    async with Trader(manual) as trader:
        await trader.prices(100.0, 100.1)
        before = trader.venue.clock.now()
        await trader.submit("a", "1")
        await trader.until(lambda: trader.of(OrderAccepted, "a"))
        (accepted,) = trader.of(OrderAccepted, "a")
        assert before <= accepted.ts_exchange <= accepted.ts <= trader.venue.clock.now()


async def test_answers_come_soon(manual: MarketProcess) -> None:
    async with Trader(manual) as trader:
        await trader.prices(100.0, 100.1)
        waits = []
        for n in range(20):
            began = time.perf_counter()
            await trader.submit(f"{n}", "2", price="90.0")
            await trader.until(lambda key=f"{n}": trader.of(OrderAccepted, key))  # type: ignore[misc]
            waits.append(time.perf_counter() - began)
        # A durable write each. Half of them: a machine that stands still now and then makes some slow, not most.
        assert sorted(waits)[10] < 1.0, waits


def test_the_engine_side_is_light(fresh_python: Callable[[str], str]) -> None:
    root = Path(__file__).resolve().parents[3]
    code = f"import sys; sys.path.insert(0, {str(root)!r})\nimport venues.market.venue\nprint(*sys.modules)"
    loaded = set(fresh_python(code).split())
    heavy = {
        "duckdb",
        "pyarrow",
        "textual",
        "pandas",
        "lzma",
        "venues.market.flow",
        "venues.matching.matching",
        "numpy",
    }
    assert not heavy & loaded


class Doorkeeper:
    """Let everybody in and close the door behind them at once, as a market does that is just ending."""

    def __init__(self, path: Path) -> None:
        self.visits = 0
        self._door = socket.socket(socket.AF_UNIX)
        self._door.bind(str(path))
        self._door.listen(64)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                visitor, _ = self._door.accept()
                visitor.close()
                self.visits += 1

    def close(self) -> None:
        self._door.shutdown(socket.SHUT_RDWR)
        self._door.close()
        self._thread.join(10)


def test_a_market_that_ends_while_the_engine_logs_in_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the engine's own loop the close overtakes the login."""
    monkeypatch.setattr("venues.market.venue.RETRY_S", (0.001, 0.001))

    async def work() -> None:
        door = Doorkeeper(tmp_path / "market.sock")
        trader = Trader(tmp_path / "market.sock", FUTURES)
        await trader.venue.start(trader.got.append)
        async with asyncio.timeout(30):
            while door.visits < 50:  # noqa: ASYNC110 -- another thread counts
                await asyncio.sleep(0.01)
        await trader.venue.stop()
        door.close()
        assert not any(status.connected for status in trader.of(VenueStatus))

    uvloop.run(work())
