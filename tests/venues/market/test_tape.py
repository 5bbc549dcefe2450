"""Whole tapes: the rebuilt book, the counts, the clock, and every way a file can be broken."""

import tracemalloc
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path

import pytest

from core.domain.identifiers import InstrumentId
from core.domain.market import BookDelta, BookSnapshot, FeedReport, Health, Quote, Trade
from core.domain.message import Data
from core.errors import TapeError
from core.state.book import Book, Sync
from tests.generate.tapes import generate
from venues.market.opening import open_tape
from venues.market.player import PAUSE_NS, play, play_all
from venues.market.tape import RecordedTape, Tape

USDM = InstrumentId("BINANCE-FUTURES:PERPETUAL:BTC-USDT@LIN")
START = 1_800_000_000_000_000_000
MS = 1_000_000


def rebuild(messages: Iterable[Data]) -> tuple[int, int, Book]:
    """Rebuild the book and return how many quotes were comparable, how many not, and the book.

    A quote is comparable when its update id is that of a depth event; it may come before or after that event.
    """
    book, tops = Book(), dict[int, object]()
    quotes: list[Quote] = []
    for message in messages:
        if isinstance(message, BookDelta):
            assert book.apply_delta(message)
            if book.sync is Sync.SYNCED:
                tops[book.last_id] = (book.best_bid, book.best_ask)
        elif isinstance(message, BookSnapshot):
            book.apply_snapshot(message)
        elif isinstance(message, Quote):
            quotes.append(message)
    comparable = [quote for quote in quotes if quote.update_id in tops]
    for quote in comparable:
        assert tops[quote.update_id] == ((quote.bid, quote.bid_size), (quote.ask, quote.ask_size)), quote
    return len(comparable), len(quotes) - len(comparable), book


def test_the_recorded_book_equals_every_comparable_quote(recorded_data: Path) -> None:
    tape = open_tape(recorded_data / "l2" / "binance-usdm-btcusdt-20240808.xz")
    comparable, others, book = rebuild(play(tape, START))
    assert comparable >= 600, f"{comparable} comparable, {others} not comparable"
    assert comparable + others == 66089
    assert (book.sync, book.gaps, tape.stats.gaps) == (Sync.SYNCED, 0, {})
    assert tape.stats.trades == {USDM: 21313}
    assert tape.stats.volume == {USDM: Decimal("2429.366")}


def test_the_generated_book_equals_every_comparable_quote(tmp_path: Path) -> None:
    made = generate("usdm", steps=800)
    tape = open_tape(made.write(tmp_path / "tape.xz"))
    comparable, _, book = rebuild(play(tape, START))
    assert comparable >= made.truth.comparable > 300
    assert (book.sync, book.gaps, tape.stats.gaps) == (Sync.SYNCED, 0, {})
    assert (tape.stats.trades, tape.stats.volume) == ({USDM: made.truth.trades}, {USDM: made.truth.volume})
    assert (*(book.best_bid or ()), *(book.best_ask or ())) == made.truth.tops[book.last_id]


COUNTS = [
    ("l2/binance-spot-btcusdt-20240809.xz", "BINANCE-SPOT:SPOT_PAIR:BTC-USDT", 10147, "225.88237"),
    ("l2/binance-coinm-btcusd-20240809.xz", "BINANCE-COINM:PERPETUAL:BTC-USD@INV", 2949, "98942"),
]


@pytest.mark.parametrize(("name", "instrument", "trades", "volume"), COUNTS)
def test_recorded_counts_without_a_snapshot(
    name: str, instrument: InstrumentId, trades: int, volume: str, recorded_data: Path
) -> None:
    tape = open_tape(recorded_data / name)
    book = rebuild(play(tape, START))[2]
    assert book.sync is Sync.PARTIAL
    assert tape.stats.trades == {instrument: trades}
    assert tape.stats.volume == {instrument: Decimal(volume)}
    assert tape.stats.gaps == {}


@pytest.mark.parametrize("market", ["spot", "coinm"])
def test_generated_counts_without_a_snapshot(market: str, tmp_path: Path) -> None:
    made = generate(market)
    tape = open_tape(made.write(tmp_path / "tape.gz"))
    book = rebuild(play(tape, START))[2]
    assert book.sync is Sync.PARTIAL
    assert [*tape.stats.trades.values(), *tape.stats.volume.values()] == [made.truth.trades, made.truth.volume]


@pytest.mark.parametrize("market", ["usdm", "spot"])
def test_a_missing_depth_event_is_one_gap(market: str, tmp_path: Path) -> None:
    tape = open_tape(generate(market, gap_at=100).write(tmp_path / "tape"))
    assert sum(1 for _ in tape) > 400
    assert list(tape.stats.gaps.values()) == [1]


@pytest.mark.parametrize(("behind_ms", "found_ms"), [(1270, 1270), (0, 0), (-3, 0), (-5000, -5000)])
def test_the_clock_offset_is_found_and_corrected(behind_ms: int, found_ms: int, tmp_path: Path) -> None:
    tape = open_tape(generate(offset_ms=behind_ms).write(tmp_path / "tape"))
    assert tape.clock_offset_ns == pytest.approx(found_ms * MS, abs=MS)
    stamped = [m for m in tape if isinstance(m, Quote | Trade | BookDelta)]
    delays = [m.ts - m.ts_exchange for m in stamped]
    assert min(delays) >= 0
    assert max(delays) < 20 * MS
    assert [m.ts for m in stamped] == sorted(m.ts for m in stamped)


def test_the_recorded_clock_offset(recorded_data: Path) -> None:
    tape = open_tape(recorded_data / "l2" / "binance-usdm-btcusdt-20240808.xz")
    assert tape.clock_offset_ns == pytest.approx(1270 * MS, abs=5 * MS)


def test_the_player_moves_stamps_and_keeps_differences_and_order(tmp_path: Path) -> None:
    tape = open_tape(generate().write(tmp_path / "tape"))
    for speed in (1.0, 10.0):
        before = [m for m in tape if isinstance(m, Quote | Trade | BookDelta)]
        after = [m for m in play(tape, START, speed) if isinstance(m, Quote | Trade | BookDelta)]
        assert [type(m) for m in before] == [type(m) for m in after]
        for old, new in zip(before, after, strict=True):
            assert new.ts - START == pytest.approx((old.ts - before[0].ts) / speed, abs=1)
            assert new.ts - new.ts_exchange == old.ts - old.ts_exchange
        assert [m.replace(ts=0, ts_exchange=0) for m in before] == [m.replace(ts=0, ts_exchange=0) for m in after]


def test_a_tape_says_what_it_is_and_that_it_has_ended(tmp_path: Path) -> None:
    played = list(play(open_tape(generate(gap_at=50).write(tmp_path / "tape")), START))
    first, last = played[0], played[-1]
    assert isinstance(first, FeedReport)
    assert isinstance(last, FeedReport)
    assert first.clock_offset_ns == pytest.approx(1270 * MS, abs=MS)
    assert "+1.2" in first.reason
    assert (last.health, last.gaps, last.reason) == (Health.DOWN, 1, "tape tape has ended")
    assert last.ts > first.ts


@pytest.mark.parametrize("market", ["usdm", "spot"])
def test_a_loop_goes_on_in_time_and_ids_and_the_book_comes_back(market: str, tmp_path: Path) -> None:
    made = generate(market, steps=120)
    tape = open_tape(made.write(tmp_path / "tape"))
    once = [m for m in play(tape, START) if not isinstance(m, FeedReport)]
    looped, player = list[Data](), play(tape, START, loop=True)
    while sum(isinstance(m, Trade) for m in looped) < 3 * made.truth.trades:
        looped.append(next(player))
    stamps = [m.ts for m in looped if isinstance(m, Quote | Trade | BookDelta | BookSnapshot | FeedReport)]
    assert stamps == sorted(stamps)
    ids = [m.trade_id for m in looped if isinstance(m, Trade)]
    assert len(set(ids)) == len(ids)
    updates = [m.last_id for m in looped if isinstance(m, BookDelta)]
    assert updates == sorted(set(updates))
    book = Book()
    for message in looped[: 3 * len(once)]:
        if isinstance(message, BookSnapshot):
            book.apply_snapshot(message)
        elif isinstance(message, BookDelta):
            assert book.apply_delta(message)
    assert book.gaps == 0
    assert not book.crossed
    assert stamps[-1] - START > 2 * PAUSE_NS


def test_several_tapes_begin_together_and_come_in_order(tmp_path: Path) -> None:
    tapes = [open_tape(generate(m, seed=s).write(tmp_path / m)) for s, m in enumerate(("usdm", "spot", "coinm"))]
    stamps = [m.ts for m in play_all(tapes, START) if isinstance(m, Quote | Trade | BookDelta | FeedReport)]
    assert stamps == sorted(stamps)
    assert stamps[0] == START
    assert all(tape.stats.trades for tape in tapes)


def test_recorded_days_play_like_a_tape(tmp_path: Path) -> None:
    source = list(open_tape(generate().write(tmp_path / "tape")))
    tape: Tape = RecordedTape("day 2024-08-08", [USDM], lambda: iter(source))
    assert list(tape) == source
    assert tape.stats.trades == {USDM: sum(isinstance(m, Trade) for m in source)}


def _whole(path: Path) -> TapeError:
    with pytest.raises(TapeError) as caught:
        list(open_tape(path))
    return caught.value


@pytest.mark.parametrize("suffix", [".xz", ".gz"])
def test_a_truncated_packed_tape_names_the_line(suffix: str, tmp_path: Path) -> None:
    path = generate(steps=3000).write(tmp_path / f"tape{suffix}")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    error = _whole(path)
    assert error.line > 1
    assert "truncated" in error.why
    assert str(error).startswith(f"{path}:{error.line}: ")


def test_a_damaged_packed_tape_names_the_line(tmp_path: Path) -> None:
    path = generate(steps=3000).write(tmp_path / "tape.xz")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    error = _whole(path)
    assert error.line > 1
    assert "damaged" in error.why or "not a usable stream frame" in error.why


def test_a_tape_cut_inside_its_last_line(tmp_path: Path) -> None:
    lines = generate().lines
    path = tmp_path / "tape"
    path.write_bytes(b"".join(lines[:50]) + lines[50][:70])
    error = _whole(path)
    assert (error.line, "truncated" in error.why) == (51, True)


@pytest.mark.parametrize("garbage", [b"garbage\n", b"\x00\xff\xfe\n", b"123 {}\n", b"\n", b"1723161255030314667 {}\n"])
def test_a_garbage_line_is_named(garbage: bytes, tmp_path: Path) -> None:
    lines = generate().lines
    path = tmp_path / "tape"
    path.write_bytes(b"".join([*lines[:30], garbage, *lines[30:]]))
    assert _whole(path).line == 31


def test_a_late_garbage_line_ends_the_play_with_its_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("venues.market.raw.SCAN_LINES", 50)
    lines = generate().lines
    path = tmp_path / "tape"
    path.write_bytes(b"".join([*lines[:300], b"garbage\n"]))
    last = list(play(open_tape(path), START, loop=True))[-1]
    assert isinstance(last, FeedReport)
    assert last.health is Health.DOWN
    assert f"{path}:301:" in last.reason


WRONG = [
    (b"", 1, "empty"),
    (b"PNG\r\n rubbish", 1, "19 digits"),
    (b"date,open,high\n2024,1,2\n", 1, "19 digits"),
    (b'1723161255030314667 {"topic":"orderbook.500.XRPUSDT","type":"snapshot"}\n', 1, "not a frame of this exchange"),
    (b'1723161255030314667 {"result":null,"id":1}\n', 1, "no market data"),
    (b"PAR1 but not really", 0, "Parquet"),
]


@pytest.mark.parametrize(("content", "line", "why"), WRONG)
def test_the_wrong_file_is_refused(content: bytes, line: int, why: str, tmp_path: Path) -> None:
    path = tmp_path / "BTCUSDT-perp-15m.parquet"
    path.write_bytes(content)
    error = _whole(path)
    assert error.line == line
    assert why in error.why


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert "cannot be opened" in _whole(tmp_path / "nothing").why


def test_memory_stays_flat(tmp_path: Path) -> None:
    path = generate(steps=200).write(tmp_path / "short")
    long = tmp_path / "long"
    with long.open("wb") as file:
        for _ in range(40):
            file.write(path.read_bytes())

    def peak(of: Path) -> int:
        tracemalloc.start()
        for _ in play(open_tape(of), START):
            pass
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size

    assert peak(long) < peak(path) + 200_000
