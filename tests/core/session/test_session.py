"""Server and client over a real socket: snapshot, then a stream without gaps, and who may not come in."""

import asyncio
import os
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec
import pytest

from core.domain import commands as c
from core.domain import events as e
from core.domain import market as m
from core.domain.approval import TradingState
from core.domain.identifiers import Asset, ClientOrderId
from core.domain.message import Command, Data, Event, Message
from core.domain.order import Side
from core.engine import Engine
from core.errors import ClientError, NoEngine, ProtocolMismatch
from core.session import protocol as p
from core.session import wire
from core.session.client import Client
from core.session.outcome import outcome_of
from core.session.server import CUT_BYTES, Backend, Server
from tests.core.kit import BTC_PERP, ETH_PERP, PERP, SPOT, T0, D, fill, opened, order, quote


class Desk:
    """An engine behind a server, without venues or journal: what is published is what the engine says."""

    def __init__(self, path: Path) -> None:
        self.engine: Engine = opened()
        backend = Backend(self.engine.state, self.command, self.answer, lambda _: [], self.welcome, self.tell)
        self.server = Server(path, backend)

    async def command(self, command: Command) -> p.Outcome:
        effects = self.engine.process(command)
        for effect in effects:
            if isinstance(effect, Event):
                self.server.publish(effect)
        return outcome_of(effects)

    async def answer(self, question: p.Question) -> object:
        if isinstance(question, p.AskBars):
            raise LookupError("a bug")  # noqa: TRY004 -- stands for any bug
        if isinstance(question, p.AskLimits):
            raise ClientError("no limits here")
        return ()

    def welcome(self) -> p.Welcome:
        return p.Welcome(p.PROTOCOL, "t", os.getpid(), 1, "paper", T0)

    def tell(self, message: Message) -> None:
        """Process a message as the runtime does: data are published, events with the effects."""
        effects = self.engine.process(message)
        if isinstance(message, Data):
            self.server.publish(message)
        for effect in effects:
            if isinstance(effect, Message):
                self.server.publish(effect)


MINUTE, DAY = m.Interval.M1.ns, 86_400 * 10**9
YESTERDAY = T0 - DAY - T0 % MINUTE


def closed(start: int, price: float) -> m.Bar:
    """Return a minute's bar that is over and stood at one price."""
    return m.Bar(BTC_PERP.id, m.Interval.M1, start, price, price, price, price, 1.0, 1, True, 0, T0)


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    """Give a desk that listens."""
    made = Desk(tmp_path / "s.sock")
    await made.server.start()
    yield made
    await made.server.stop("test over")


async def until(true: Callable[[], bool]) -> None:
    """Wait until something holds."""
    async with asyncio.timeout(60):
        while not true():  # noqa: ASYNC110 -- what is waited for has no event of its own
            await asyncio.sleep(0.01)


async def raw(path: Path, *pieces: bytes) -> list[object]:
    """Send bytes and return the frames that came before the engine closed."""
    reader, writer = await asyncio.open_unix_connection(str(path))
    for piece in pieces:
        writer.write(piece)
    frames = wire.FrameReader().feed(await asyncio.wait_for(reader.read(), 60))
    writer.close()
    return [p.decode_server_frame(body) for body in frames]


HELLO = wire.frame(p.Hello(p.PROTOCOL, "t"))


async def test_the_replica_is_the_engines_state_after_any_traffic(desk: Desk) -> None:
    client = await Client.connect(desk.server.path, "t")
    seen: list[int] = []
    client.on_message = lambda _: seen.append(client.replica.sequence)
    for number in range(300):
        price = 60_000.0 + number % 17
        desk.tell(quote(BTC_PERP, price, price + 0.1, T0 + number))
        side = Side.BUY if number % 3 else Side.SELL
        desk.tell(fill(BTC_PERP, side, "0.001", str(price), f"f{number}", ts=T0 + number))
        if number % 50 == 0:
            await asyncio.sleep(0.01)
    desk.tell(e.TradingStateChanged(TradingState.REDUCING, "t", "t", "t", T0))
    await until(lambda: client.state.trading_state is TradingState.REDUCING)
    await until(lambda: client.state.markets[BTC_PERP.id].bid == desk.engine.state.markets[BTC_PERP.id].bid)
    ours, theirs = desk.engine.state, client.state
    assert theirs.ledger.positions == ours.ledger.positions
    assert theirs.ledger.balances == ours.ledger.balances
    assert theirs.blotter.orders == ours.blotter.orders
    assert theirs.equity == pytest.approx(ours.equity)
    assert seen == list(range(1, len(seen) + 1))
    await client.close()


async def test_quotes_are_conflated_and_events_never(desk: Desk) -> None:
    client = await Client.connect(desk.server.path, "t")
    got: list[Message] = []
    client.on_message = got.append
    for number in range(500):
        desk.tell(quote(BTC_PERP, 60_000.0 + number, 61_000.0, T0 + number))
        desk.tell(e.BalanceSet(SPOT, Asset("USDT"), D(number), "reconciled", T0))
    await until(lambda: sum(isinstance(message, e.BalanceSet) for message in got) == 500)
    await until(lambda: any(isinstance(message, m.Quote) for message in got))
    quotes = [message for message in got if isinstance(message, m.Quote)]
    assert len(quotes) < 10
    assert quotes[-1].bid == 60_499.0
    await client.close()


async def test_a_client_sees_how_the_sentinel_stands(desk: Desk) -> None:
    client = await Client.connect(desk.server.path, "t")
    desk.tell(m.SentinelStatus(True, "", T0, "watches", "", T0))
    await until(lambda: client.state.guard.status is not None)
    desk.tell(m.SentinelStatus(True, "the engine is silent", T0, "watches", "", T0 + 1))
    await until(lambda: client.state.guard.holds == "the engine is silent")
    await client.close()


async def test_a_client_hears_what_the_price_was_a_day_ago_minute_by_minute(desk: Desk) -> None:
    for place, price in enumerate((100.0, 200.0)):
        desk.tell(closed(YESTERDAY + place * MINUTE, price))
    desk.tell(m.Trade(BTC_PERP.id, 300.0, 1.0, True, 1, T0, T0))
    client = await Client.connect(desk.server.path, "t")
    market = client.state.markets[BTC_PERP.id]
    assert market.day_open == 100.0
    client.watch((BTC_PERP.id,))
    await until(lambda: any(session.watched for session in desk.server.sessions))
    desk.tell(closed(YESTERDAY + MINUTE + DAY, 300.0))
    await until(lambda: market.day_open == 200.0)
    assert market.last == 300.0
    await client.close()


async def test_the_price_of_a_day_ago_is_not_lost_where_the_same_moment_begins_to_watch(desk: Desk) -> None:
    for place, price in enumerate((100.0, 200.0)):
        desk.tell(closed(YESTERDAY + place * MINUTE, price))
    desk.tell(m.Trade(BTC_PERP.id, 300.0, 1.0, True, 1, T0, T0))
    client = await Client.connect(desk.server.path, "t")
    market = client.state.markets[BTC_PERP.id]
    (session,) = desk.server.sessions
    desk.tell(closed(YESTERDAY + MINUTE + DAY, 300.0))  # from here to the next flush nothing else is read or sent
    session.data_received(wire.frame(p.Watch((BTC_PERP.id,), 20)))
    desk.tell(m.Trade(BTC_PERP.id, 301.0, 1.0, True, 2, T0 + 1, T0 + 1))
    await until(lambda: len(market.trades) == 2 and market.day_open == 200.0)
    assert market.last == 301.0, "the last price of before is not told over a newer print"
    await client.close()


async def test_books_and_prints_come_only_where_they_are_watched(desk: Desk) -> None:
    client = await Client.connect(desk.server.path, "t")
    got: list[Message] = []
    client.on_message = got.append
    client.watch((BTC_PERP.id,), depth=1)
    await client.ask(p.AskOrders())  # what was said before is heard when this is answered
    for instrument in (BTC_PERP, ETH_PERP):
        levels = ((59_000.0, 1.0), (58_999.0, 1.0))
        desk.tell(m.BookSnapshot(instrument.id, levels, ((60_001.0, 1.0),), 5, True, T0, T0))
        desk.tell(m.Trade(instrument.id, 60_000.0, 1.0, True, 1, T0, T0))
    await until(lambda: any(isinstance(message, m.Trade) for message in got))
    books = [message for message in got if isinstance(message, m.BookSnapshot)]
    assert {book.instrument for book in books} == {BTC_PERP.id}
    assert (books[-1].bids, books[-1].complete) == (((59_000.0, 1.0),), False)
    assert {message.instrument for message in got if isinstance(message, m.Trade)} == {BTC_PERP.id}
    await client.close()


async def test_a_view_only_client_cannot_command_and_cannot_change_its_mind(desk: Desk) -> None:
    client = await Client.connect(desk.server.path, "t", view_only=True)
    outcome = await client.send(c.SubmitOrder(order(BTC_PERP, Side.BUY, "0.01")))
    assert not outcome.ok
    assert "view-only" in outcome.reason
    client._write(p.Hello(p.PROTOCOL, "t", view_only=False))
    with pytest.raises(NoEngine, match="Hello was said already"):
        await client.send(c.CancelAll())
    assert not desk.engine.state.blotter.orders
    await client.close()


async def test_commands_and_questions_are_answered_each_to_its_own(desk: Desk) -> None:
    first, second = (
        await Client.connect(desk.server.path, "a"),
        await Client.connect(desk.server.path, "b", stream=False),
    )
    submitted, refused = await asyncio.gather(
        first.send(c.SubmitOrder(order(BTC_PERP, Side.BUY, "0.01"))), second.send(c.CancelOrder(ClientOrderId("x")))
    )
    assert (submitted.ok, submitted.orders) == (True, ("t0r1n1",))
    assert (refused.ok, refused.reason) == (False, "order x is not known; tradedeck orders lists them")
    await until(lambda: bool(first.state.blotter.open))
    assert await second.ask(p.AskOrders()) == ()
    with pytest.raises(ClientError, match="no limits here"):
        await second.ask(p.AskLimits())
    with pytest.raises(ClientError, match="could not answer"):
        await second.ask(p.AskBars(BTC_PERP.id, m.Interval.M1, 0, 1))
    for client in (first, second):
        await client.close()
    await until(lambda: not desk.server.sessions)


async def test_a_gap_leads_to_a_new_picture(desk: Desk) -> None:
    client = await Client.connect(desk.server.path, "t")
    snapshots: list[int] = []
    client.on_snapshot = lambda: snapshots.append(1)
    client.replica.sequence -= 1
    desk.tell(e.BalanceSet(PERP, Asset("USDT"), D(7), "reconciled", T0))
    await until(lambda: bool(snapshots))
    assert client.state.ledger.balances[PERP][Asset("USDT")] == 7
    desk.tell(e.BalanceSet(PERP, Asset("USDT"), D(8), "reconciled", T0))
    await until(lambda: client.state.ledger.balances[PERP][Asset("USDT")] == 8)
    assert len(snapshots) == 1
    await client.close()


async def test_another_version_is_told(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = await raw(desk.server.path, wire.frame(p.Hello(99, "t")))
    assert [type(frame) for frame in frames] == [p.Welcome, p.Bye]
    assert "protocol 99" in frames[1].reason  # type: ignore[attr-defined]
    other = p.Welcome(p.PROTOCOL + 1, "9", 1, 1, "paper", T0)
    monkeypatch.setattr(desk.server.backend, "welcome", lambda: other)
    with pytest.raises(ProtocolMismatch, match="restart the engine"):
        await Client.connect(desk.server.path, "t")


@pytest.mark.parametrize(
    "pieces",
    [
        (b"GET / HTTP/1.1\r\n\r\n",),
        (b"\x03\x00\x00\x00abc",),
        (wire.frame(p.Resync()),),
        (HELLO, b"\x05\x00\x00\x00\x93\xa4Send"),
        (b"\x00\x00\x00\x00",),
    ],
)
async def test_garbage_is_told_and_cut_and_harms_nobody(desk: Desk, pieces: tuple[bytes, ...]) -> None:
    other = await Client.connect(desk.server.path, "t")
    frames = await raw(desk.server.path, *pieces)
    assert isinstance(frames[-1], p.Bye)
    assert await other.ask(p.AskOrders()) == ()
    await other.close()


async def test_a_client_that_does_not_read_is_cut_and_others_go_on(desk: Desk) -> None:
    _, writer = await asyncio.open_unix_connection(str(desk.server.path), limit=1024)
    writer.write(HELLO)
    other = await Client.connect(desk.server.path, "t")
    await until(lambda: len(desk.server.sessions) == 2)
    big = "x" * 100_000
    for number in range(CUT_BYTES // 100_000 + 40):
        desk.tell(e.BalanceSet(PERP, Asset("USDT"), D(number), big, T0))
        await asyncio.sleep(0)
    await until(lambda: len(desk.server.sessions) == 1)
    await until(lambda: other.state.ledger.balances[PERP] == desk.engine.state.ledger.balances[PERP])
    writer.close()
    await other.close()


async def test_the_socket_is_ours_alone_and_goes_with_the_engine(tmp_path: Path) -> None:
    made = Desk(tmp_path / "s.sock")
    made.server.path.write_text("left over")
    await made.server.start()
    assert made.server.path.stat().st_mode & 0o777 == 0o600
    client = await Client.connect(made.server.path, "t")
    reasons: list[str] = []
    client.on_lost = reasons.append
    await made.server.stop("enough")
    await until(lambda: bool(reasons))
    assert reasons == ["enough"]
    assert not made.server.path.exists()
    with pytest.raises(NoEngine, match="not connected: enough"):
        await client.ask(p.AskOrders())
    with pytest.raises(NoEngine, match="no engine answers"):
        await Client.connect(made.server.path, "t")
    await client.close()


async def test_a_connect_that_is_cancelled_leaves_no_connection(tmp_path: Path) -> None:
    heard, gone = asyncio.Event(), asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.set()
        await reader.read()
        writer.close()
        gone.set()

    server = await asyncio.start_unix_server(silent, str(tmp_path / "silent"))
    connecting = asyncio.create_task(Client.connect(tmp_path / "silent", "t"))
    await asyncio.wait_for(heard.wait(), 60)
    connecting.cancel()
    await asyncio.gather(connecting, return_exceptions=True)
    await asyncio.wait_for(gone.wait(), 10)
    server.close()
    await asyncio.sleep(0.05)


async def test_nonsense_from_the_other_side_is_an_error_in_words(tmp_path: Path) -> None:
    gone = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"\x03\x00\x00\x00abc")
        await reader.read()
        writer.close()
        gone.set()

    server = await asyncio.start_unix_server(talk, str(tmp_path / "odd"))
    with pytest.raises(ClientError):
        await Client.connect(tmp_path / "odd", "t")
    server.close()
    await asyncio.wait_for(gone.wait(), 60)
    await asyncio.sleep(0.05)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
async def test_another_user_is_refused(desk: Desk) -> None:
    for folder in (desk.server.path, *list(desk.server.path.parents)[:-1]):
        if folder != Path("/tmp"):
            folder.chmod(0o777)
    code = """
        import os, socket, sys
        os.setuid(65534)
        s = socket.socket(socket.AF_UNIX)
        s.connect(sys.argv[1])
        s.settimeout(60)
        print(s.recv(1000))
    """
    run = [sys.executable, "-c", textwrap.dedent(code), str(desk.server.path)]
    done = await asyncio.to_thread(subprocess.run, run, capture_output=True, text=True, timeout=120)
    assert "another user (your uid is 65534)" in done.stdout, done.stderr
    assert not desk.server.sessions


async def test_a_client_that_fails_on_a_message_says_that_it_is_lost(desk: Desk) -> None:
    """Its picture stands still from there on: whoever looks at it must be told."""
    client, lost = await Client.connect(desk.server.path, "t"), list[str]()

    def fail(message: Message) -> None:
        raise LookupError("a bug")

    client.on_message, client.on_lost = fail, lost.append
    desk.tell(e.TradingStateChanged(TradingState.REDUCING, "t", "t", "t", T0))
    await until(lambda: bool(lost))
    assert "this side failed on what the engine said: LookupError('a bug')" in client.lost
    with pytest.raises(NoEngine, match="not connected"):
        await client.send(c.CancelAll())
    await client.close()


async def test_a_cancellation_is_heard_also_when_the_answer_comes_at_that_moment(desk: Desk) -> None:
    client = await Client.connect(desk.server.path, "t")
    asking = asyncio.create_task(client.ask(p.AskOrders()))
    await asyncio.sleep(0)  # it has asked, and cannot have been answered yet
    (future,) = client._waiting.values()
    future.set_result(p.Answer(1, msgspec.Raw(b"\x90")))
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    await client.close()


async def test_a_removed_socket_is_made_again_and_sessions_go_on(desk: Desk) -> None:
    before = await Client.connect(desk.server.path, "t")
    desk.server.path.unlink()
    await until(desk.server.path.exists)
    assert desk.server.path.stat().st_mode & 0o777 == 0o600
    after = await Client.connect(desk.server.path, "t2")
    desk.tell(e.TradingStateChanged(TradingState.REDUCING, "t", "t", "t", T0))
    await until(lambda: before.state.trading_state is TradingState.REDUCING)
    await until(lambda: after.state.trading_state is TradingState.REDUCING)
    await before.close()
    await after.close()
