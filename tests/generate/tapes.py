"""Generate tapes in the wire format of recorded stream frames, together with the truth they carry."""

import gzip
import json
import lzma
import random
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

_START_MS = 1_723_161_255_000
LEVELS = 30


@dataclass
class Truth:
    """What a reader of the tape must find."""

    trades: int = 0
    volume: Decimal = Decimal(0)
    tops: dict[int, tuple[float, float, float, float]] = field(default_factory=dict)
    """Best bid, its size, best ask, its size after the depth event with this ``u``."""
    comparable: int = 0
    """bookTicker frames whose ``u`` is a depth event's, once the book is whole."""
    deltas: int = 0


class _Book:
    """A book in exact ticks and lots that moves at random and never crosses."""

    def __init__(self, rng: random.Random, tick: str, lot: str) -> None:
        self.rng, self.tick, self.lot = rng, Decimal(tick), Decimal(lot)
        self.mid = int(Decimal("61800") / self.tick)
        self.bids = {self.mid - i: rng.randint(1, 5000) for i in range(LEVELS)}
        self.asks = {self.mid + 1 + i: rng.randint(1, 5000) for i in range(LEVELS)}

    def step(self) -> tuple[dict[int, int], dict[int, int]]:
        """Change some levels and return the changes (ticks to lots, 0 removes)."""
        changed: tuple[dict[int, int], dict[int, int]] = ({}, {})
        for side, levels, best in ((0, self.bids, max(self.bids)), (1, self.asks, min(self.asks))):
            away = -1 if side == 0 else 1
            for _ in range(self.rng.randint(1, 6)):
                price = best + away * self.rng.randint(0, LEVELS)
                size = self.rng.choice((0, self.rng.randint(1, 5000)))
                if size == 0 and (price not in levels or len(levels) < 5):
                    continue
                changed[side][price] = size
                if size:
                    levels[price] = size
                else:
                    del levels[price]
        if self.rng.random() < 0.3:  # narrow or step inside the spread
            bid, ask = max(self.bids), min(self.asks)
            if ask - bid > 1:
                self.bids[bid + 1] = changed[0][bid + 1] = self.rng.randint(1, 5000)
        return changed

    def level(self, price: int, lots: int) -> list[str]:
        return [str(price * self.tick), str(lots * self.lot)]

    def top(self) -> tuple[float, float, float, float]:
        bid, ask = max(self.bids), min(self.asks)
        values = (bid * self.tick, self.bids[bid] * self.lot, ask * self.tick, self.asks[ask] * self.lot)
        return tuple(float(value) for value in values)  # type: ignore[return-value]


@dataclass
class Generated:
    """The lines of a tape and the truth they carry."""

    lines: list[bytes]
    truth: Truth

    def write(self, path: Path) -> Path:
        """Write the lines, packed as the file's suffix says."""
        opened: Any = {".xz": lzma.open, ".gz": gzip.open}.get(path.suffix, open)
        with opened(path, "wb") as file:
            file.writelines(self.lines)
        return path


def generate(
    market: str = "usdm", steps: int = 400, seed: int = 1, offset_ms: int = 1270, gap_at: int = -1
) -> Generated:
    """Return a tape of ``steps`` depth events; ``market`` is usdm, spot or coinm.

    The recorder's clock stands ``offset_ms`` behind the exchange's. At ``gap_at`` one depth event is left out.
    The REST snapshot (USD-M only) comes after a few depth events and is older than the last of them, as in real life.
    """
    return _Writer(market, seed, offset_ms).run(steps, gap_at)


class _Writer:
    def __init__(self, market: str, seed: int, offset_ms: int) -> None:
        self.rng = random.Random(seed)
        self.market, self.offset_ms = market, offset_ms
        self.book = _Book(self.rng, *{"spot": ("0.01", "0.00001"), "coinm": ("0.1", "1")}.get(market, ("0.1", "0.001")))
        self.symbol = "BTCUSD_PERP" if market == "coinm" else "BTCUSDT"
        self.out = Generated([], Truth())
        self.now_ms, self.id, self.last_u, self.trade_id = _START_MS, 5_000_000, 4_999_990, 700
        self.whole, self.stamp = False, 0

    def run(self, steps: int, gap_at: int) -> Generated:
        held: dict[str, Any] = {}
        for step in range(steps):
            self.now_ms += self.rng.randint(1, 60)
            frame = self._depth()
            if step != gap_at:
                self._emit(f"{self.symbol.lower()}@depth@0ms", frame)
                self.out.truth.deltas += 1
            if self.market == "usdm" and step == 3:
                held = self._snapshot()
            if held and step == 6:
                self._line(held)
                held, self.whole = {}, True
            if self.rng.random() < 0.5:
                self._ticker()
            for _ in range(self.rng.randint(0, 3)):
                self._trade()
        return self.out

    def _depth(self) -> dict[str, Any]:
        bids, asks = self.book.step()
        first = self.id + 1
        self.id += self.rng.randint(1, 50)
        data: dict[str, Any] = {"e": "depthUpdate", "E": self.now_ms, "T": self.now_ms - 1, "s": self.symbol}
        if self.market == "spot":
            del data["T"]
        if self.market == "coinm":
            data["ps"] = "BTCUSD"
        data |= {"U": first, "u": self.id}
        if self.market != "spot":
            data["pu"] = self.last_u
        data["b"] = [self.book.level(*item) for item in sorted(bids.items())]
        data["a"] = [self.book.level(*item) for item in sorted(asks.items())]
        self.last_u = self.id
        self.out.truth.tops[self.id] = self.book.top()
        return data

    def _snapshot(self) -> dict[str, Any]:
        bids = [self.book.level(*item) for item in sorted(self.book.bids.items(), reverse=True)]
        asks = [self.book.level(*item) for item in sorted(self.book.asks.items())]
        return {"lastUpdateId": self.id, "E": self.now_ms, "T": self.now_ms, "bids": bids, "asks": asks}

    def _ticker(self) -> None:
        bid, ask = max(self.book.bids), min(self.book.asks)
        (b, bs), (a, asz) = self.book.level(bid, self.book.bids[bid]), self.book.level(ask, self.book.asks[ask])
        data: dict[str, Any] = {"u": self.id, "s": self.symbol, "b": b, "B": bs, "a": a, "A": asz}
        if self.market != "spot":
            data = {"e": "bookTicker", **data, "T": self.now_ms, "E": self.now_ms}
        if self.market == "coinm":
            data["ps"] = "BTCUSD"
        self.out.truth.comparable += self.whole
        self._emit(f"{self.symbol.lower()}@bookTicker", data)

    def _trade(self) -> None:
        self.trade_id += 1
        size = self.rng.randint(1, 900) * self.book.lot
        price = self.book.level(max(self.book.bids), 1)[0]
        data: dict[str, Any] = {"e": "trade", "E": self.now_ms, "T": self.now_ms, "s": self.symbol, "t": self.trade_id}
        data |= {"p": price, "q": str(size)}
        if self.market == "spot":
            data |= {"m": True, "M": True}
        else:
            data |= {"X": self.rng.choice(("MARKET", "MARKET", "INSURANCE_FUND", "NA")), "m": self.rng.random() < 0.5}
        self.out.truth.trades += 1
        self.out.truth.volume += size
        self._emit(f"{self.symbol.lower()}@trade", data)

    def _emit(self, stream: str, data: dict[str, Any]) -> None:
        self._line({"stream": stream, "data": data})

    def _line(self, frame: dict[str, Any]) -> None:
        late_us = self.rng.randint(300, 9000)
        sent = (self.now_ms - self.offset_ms) * 1_000_000
        self.stamp = stamp = max(sent + late_us * 1000, self.stamp + 1000)
        self.out.lines.append(f"{stamp} {json.dumps(frame, separators=(',', ':'))}\n".encode())
