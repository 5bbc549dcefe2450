"""Nothing is said before it is durable: a slow, a failing and a recovering disk under a running market."""

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from core.domain.events import OrderAccepted, OrderFilled, OrderUnknown
from core.domain.identifiers import ClientOrderId
from core.domain.market import VenueStatus
from core.domain.order import Side
from tests.venues.market.process import BTC, FUTURES, Trader
from venues.market.flow import Flow
from venues.market.history import KEPT_NS, History, backfill
from venues.market.keep import LatestFile, RecordFile
from venues.market.memory import BarFile
from venues.market.server import MarketServer, MarketSettings
from venues.matching.settings import LatencySettings


class Disk:
    """Stand between the market and its file."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.open.set()
        self.full = False
        self.errors = 0
        self.written = 0

    def over(self, file: LatestFile) -> None:
        write = file.put

        def put(values: dict[str, bytes], sync: bool) -> None:
            assert self.open.wait(60)
            if self.full and sync:
                self.errors += 1
                raise OSError(28, "No space left on device")
            write(values, sync)
            self.written += sync

        file.put = put  # type: ignore[method-assign]


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[MarketServer]:
    server = MarketServer(MarketSettings(tmp_path, manual=(BTC,), latency=LatencySettings()))
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
def disk(server: MarketServer, monkeypatch: pytest.MonkeyPatch) -> Disk:
    monkeypatch.setattr("venues.market.memory.RETRY_S", 0.05)
    disk = Disk()
    disk.over(server.memory._file)
    return disk


async def test_an_answer_waits_for_the_disk(server: MarketServer, disk: Disk, tmp_path: Path) -> None:
    async with Trader(server.settings.socket) as trader:
        await trader.prices(100.0, 100.1)
        disk.open.clear()
        await trader.submit("a", "2")
        asked = asyncio.create_task(trader.venue.snapshot(0))
        await asyncio.sleep(0.3)
        assert not trader.of(OrderAccepted)
        assert not trader.of(OrderFilled)
        assert not asked.done()  # it would tell of a fill that could still be lost
        disk.open.set()
        assert [fill.client_order_id for fill in (await asked).fills] == ["a"]
        assert trader.of(OrderFilled, "a")


async def test_a_fill_whose_answer_is_on_its_way_is_durable_before_a_snapshot_tells_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = LatencySettings(request_ns=20_000_000, answer_ns=60_000_000_000)
    server = MarketServer(MarketSettings(tmp_path, manual=(BTC,), latency=slow))
    await server.start()
    disk = Disk()
    disk.over(server.memory._file)
    try:
        async with Trader(server.settings.socket) as trader:
            await trader.prices(100.0, 100.1)
            await trader.submit("a", "2")
            await trader.until(lambda: not server.memory.busy)
            await asyncio.sleep(0.3)  # carried out by now; nothing of it was told
            disk.open.clear()
            snapshot = asyncio.create_task(trader.venue.snapshot(0))
            order = asyncio.create_task(trader.venue.order(ClientOrderId("a")))
            await asyncio.sleep(0.3)
            assert not trader.of(OrderFilled)
            assert not snapshot.done()
            assert not order.done()
            disk.open.set()
            assert [fill.client_order_id for fill in (await snapshot).fills] == ["a"]
            assert await order is not None
    finally:
        await server.stop()


async def test_a_full_disk_holds_answers_back_until_it_has_room(server: MarketServer, disk: Disk) -> None:
    async with Trader(server.settings.socket) as trader:
        await trader.prices(100.0, 100.1)
        disk.full = True
        trader.venue.answer_s = 0.15
        await trader.submit("a", "2")
        await trader.until(lambda: trader.of(OrderUnknown, "a"))
        await trader.until(lambda: disk.errors > 2)
        assert not trader.of(OrderAccepted)
        disk.full = False
        await trader.until(lambda: trader.of(OrderFilled, "a"))


async def test_requests_of_one_moment_share_a_write(server: MarketServer, disk: Disk) -> None:
    async with Trader(server.settings.socket) as trader:
        await trader.prices(100.0, 100.1)
        before = disk.written
        disk.open.clear()  # a slow write: whatever comes meanwhile goes into the next one
        for n in range(50):
            await trader.submit(f"{n}", "2", price="90.0")
        account = server.accounts.by_venue[FUTURES].matching
        await trader.until(lambda: len(account.snapshot(0).open_orders) == 50)
        disk.open.set()
        await trader.until(lambda: len(trader.of(OrderAccepted)) == 50)
        assert disk.written - before < 5


async def test_a_bound_on_what_an_account_carries(server: MarketServer) -> None:
    account = server.accounts.by_venue["BINANCE-FUTURES"]  # type: ignore[index]
    async with Trader(server.settings.socket) as trader:
        await trader.prices(100.0, 100.1)
        for n in range(60):
            await trader.submit(f"{n}", "1", (Side.BUY, Side.SELL)[n % 2])
        await trader.until(lambda: len(trader.of(OrderFilled)) >= 60)
        assert len(account.matching.image(market=False)) / 60 < 600  # bytes an order with its fill


async def test_another_user_is_turned_away(server: MarketServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("venues.market.session.peer_uid", lambda connection: 4_000_000)
    trader = Trader(server.settings.socket, answer_s=0.2)
    await trader.venue.start(trader.got.append)
    await trader.until(lambda: trader.of(VenueStatus))
    await trader.venue.stop()
    assert "belongs to another user (your uid is 4000000)" in trader.of(VenueStatus)[0].reason


async def test_a_stumble_does_not_stop_prices(server: MarketServer, monkeypatch: pytest.MonkeyPatch) -> None:
    async with Trader(server.settings.socket) as trader:
        await trader.prices(100.0, 100.1)
        with monkeypatch.context() as broken:
            broken.setattr(server.accounts, "on_data", lambda message, instrument: 1 / 0)
            await trader.prices(90.0, 90.1)
        await trader.prices(101.0, 101.1)
        await trader.submit("a", "2")
        await trader.until(lambda: trader.of(OrderFilled, "a"))


def test_bars_are_kept_for_a_week_and_a_new_market_begins_anew(tmp_path: Path) -> None:
    flow_bars = backfill(Flow(1, 1_800_000_000_000_000_000), hours=2)
    file = BarFile(tmp_path / "bars", 0, fresh=True)
    file.append(flow_bars[:100])
    file.append(flow_bars[100:])
    file.close()
    again = BarFile(tmp_path / "bars", flow_bars[-1].start, fresh=False)
    assert again.take() == flow_bars
    assert again.take() == []
    again.close()
    later = BarFile(tmp_path / "bars", flow_bars[-1].start + KEPT_NS, fresh=False)
    assert later.take() == []
    later.close()
    fresh = BarFile(tmp_path / "bars", 0, fresh=True)
    fresh.close()
    assert RecordFile(tmp_path / "bars").records == []


def test_the_bars_on_disk_are_a_week_and_at_most_another(tmp_path: Path) -> None:
    first = backfill(Flow(1, 1_800_000_000_000_000_000), hours=1)[0]
    hour, folder = 3_600 * 10**9, tmp_path
    file, sizes, hours = BarFile(folder / "bars", 0, fresh=True), [], 24 * 7 * 5
    for at in range(hours):
        file.append([first.replace(start=first.start + at * hour)])
        sizes.append(sum(path.stat().st_size for path in folder.iterdir()))
    file.close()
    assert max(sizes) == max(sizes[: 24 * 7 * 2])  # what two weeks take
    assert {path.name for path in folder.iterdir()} == {"bars", "bars.before"}
    again = BarFile(folder / "bars", first.start + (hours - 1) * hour, fresh=False)
    assert [bar.start for bar in again.take()] == [first.start + at * hour for at in range(hours - 24 * 7, hours)]
    again.append([first.replace(start=first.start + hours * hour)])
    again.close()
    BarFile(folder / "bars", 0, fresh=True).close()
    assert {path.name for path in folder.iterdir()} == {"bars"}


def test_minutes_older_than_a_week_go_even_after_a_pause() -> None:
    history, minute = History(), 60 * 10**9
    first = backfill(Flow(1, 1_800_000_000_000_000_000), hours=1)[0]
    history.add(first.replace(start=first.start + at * minute) for at in range(120))
    later = first.start + KEPT_NS + 100 * minute
    assert len(list(history._keep([first.replace(start=later)]))) == 1
    assert history._bars[first.instrument].starts[0] == first.start + 101 * minute


async def test_what_was_noted_is_written_when_the_disk_has_room_again(server: MarketServer, disk: Disk) -> None:
    async with Trader(server.settings.socket) as trader:
        await trader.prices(100.0, 100.1)
        disk.full = True
        disk.open.clear()
        server.memory.note("one", b"old")
        server.memory.note("two", b"kept")
        server.memory.changed(FUTURES)
        await trader.until(lambda: server.memory._writing)
        server.memory.note("one", b"new")  # while the older one is being refused
        disk.open.set()
        await trader.until(lambda: disk.errors > 1)
        disk.full = False
        values = server.memory._file.values
        await trader.until(lambda: (values.get("one"), values.get("two")) == (b"new", b"kept"))


async def test_an_answer_that_cannot_be_given_does_not_hold_up_the_others(server: MarketServer) -> None:
    server.memory.changed("BINANCE-FUTURES", lambda: 1 / 0)  # type: ignore[arg-type]
    async with Trader(server.settings.socket) as trader:
        await trader.prices(100.0, 100.1)
        await trader.submit("a", "2")
        await trader.until(lambda: trader.of(OrderFilled, "a"))


async def test_an_account_that_cannot_be_written_is_tried_again(
    server: MarketServer, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    matching = server.accounts.by_venue["BINANCE-FUTURES"].matching  # type: ignore[index]
    image, failures = matching.image, iter(range(3))

    def failing(*, market: bool) -> bytes:
        if next(failures, None) is not None:
            raise LookupError("a bug")
        return image(market=market)

    monkeypatch.setattr(matching, "image", failing)
    async with Trader(server.settings.socket) as trader:
        await trader.prices(100.0, 100.1)
        await trader.submit("a", "2")
        await trader.until(lambda: trader.of(OrderFilled, "a"))
    assert next(failures, None) is None
    assert disk.written
