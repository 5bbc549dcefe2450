"""A matching with a tape of its own: short words for tests."""

from decimal import Decimal
from typing import Any, TypeVar

from core.domain.commands import AmendOrder, CancelOrder, SubmitOrder
from core.domain.events import OrderFilled
from core.domain.identifiers import Asset, ClientOrderId, InstrumentId, VenueId
from core.domain.instrument import Instrument
from core.domain.market import NO_ID, BookDelta, BookSnapshot, Levels, MarkPrice, Quote, Trade
from core.domain.message import Event, Message
from core.domain.order import Order, OrderStatus, OrderType, Side
from core.domain.reports import BalanceReport, PositionReport
from venues.contracts_table import contracts
from venues.matching.matching import Matching
from venues.matching.settings import MatchingSettings

FUTURES, SPOT, COINM = VenueId("BINANCE-FUTURES"), VenueId("BINANCE-SPOT"), VenueId("BINANCE-COINM")
PERP = InstrumentId("BINANCE-FUTURES:PERPETUAL:BTC-USDT@LIN")
ETH = InstrumentId("BINANCE-FUTURES:PERPETUAL:ETH-USDT@LIN")
PAIR = InstrumentId("BINANCE-SPOT:SPOT_PAIR:BTC-USDT")
COIN = InstrumentId("BINANCE-COINM:PERPETUAL:BTC-USD@INV")
USDT, BTC = Asset("USDT"), Asset("BTC")
T0 = 1_728_950_400_000_000_000
"""2024-10-15 00:00 UTC: a funding stamp."""
SECOND = 1_000_000_000
E = TypeVar("E", bound=Event)


def dec(value: str | float) -> Decimal:
    return Decimal(str(value))


class Pit:
    """One matching, a clock that moves by hand, and what was answered."""

    def __init__(
        self,
        venue: VenueId = FUTURES,
        balances: dict[Asset, str] | None = None,
        settings: MatchingSettings | None = None,
        instruments: tuple[Instrument, ...] | None = None,
    ) -> None:
        self.now = T0 + SECOND
        self.events: list[Event] = []
        self.settings = settings or MatchingSettings()
        self.instruments = instruments or contracts(venue)
        self.main = self.instruments[0].id
        wallets = {asset: Decimal(text) for asset, text in (balances or {USDT: "100000"}).items()}
        self.matching = Matching(venue, self.instruments, wallets, self.settings, self._take)
        self._orders = 0

    def _take(self, message: Message) -> None:
        assert isinstance(message, Event)
        self.events.append(message)

    # --- time and data ---

    def step(self, nanoseconds: int = 1) -> int:
        self.now += nanoseconds
        return self.now

    def wait(self, nanoseconds: int) -> None:
        self.matching.advance(self.step(nanoseconds))

    def book(self, bids: Levels, asks: Levels, instrument: InstrumentId | None = None, last_id: int = 1) -> None:
        now = self.step()
        self.matching.on_data(BookSnapshot(instrument or self.main, bids, asks, last_id, True, now, now))

    def delta(self, bids: Levels = (), asks: Levels = (), instrument: InstrumentId | None = None) -> None:
        now = self.step()
        self.matching.on_data(BookDelta(instrument or self.main, bids, asks, NO_ID, NO_ID, NO_ID, now, now))

    def quote(self, bid: float, ask: float, size: float = 10.0, instrument: InstrumentId | None = None) -> None:
        now = self.step()
        self.matching.on_data(Quote(instrument or self.main, bid, size, ask, size, NO_ID, now, now))

    def print(self, price: float, size: float, buyer: bool = True, instrument: InstrumentId | None = None) -> None:
        now = self.step()
        self.matching.on_data(Trade(instrument or self.main, price, size, buyer, NO_ID, now, now))

    def mark(self, price: float, rate: float = 0.0, following: int = 0, instrument: InstrumentId | None = None) -> None:
        now = self.step()
        self.matching.on_data(MarkPrice(instrument or self.main, price, price, rate, following, now, now))

    # --- orders ---

    def send(
        self, side: Side, quantity: str | float, price: str | float | None = None, name: str = "", **fields: Any
    ) -> ClientOrderId:
        self._orders += 1
        id_ = ClientOrderId(name or f"o{self._orders}")
        if price is not None:
            fields.setdefault("type", OrderType.LIMIT)
            fields["price"] = dec(price)
        fields.setdefault("instrument", self.main)
        order = Order(side=side, quantity=dec(quantity), client_order_id=id_, **fields)
        self.matching.submit(SubmitOrder(order), self.step())
        return id_

    def buy(self, quantity: str | float, price: str | float | None = None, **fields: Any) -> ClientOrderId:
        return self.send(Side.BUY, quantity, price, **fields)

    def sell(self, quantity: str | float, price: str | float | None = None, **fields: Any) -> ClientOrderId:
        return self.send(Side.SELL, quantity, price, **fields)

    def amend(self, id_: ClientOrderId, **values: str | float) -> None:
        changes: dict[str, Any] = {name: dec(value) for name, value in values.items()}
        self.matching.amend(AmendOrder(id_, **changes), self.step())

    def cancel(self, id_: ClientOrderId) -> None:
        self.matching.cancel(CancelOrder(id_), self.step())

    # --- answers ---

    def of(self, kind: type[E]) -> list[E]:
        return [event for event in self.events if isinstance(event, kind)]

    def last(self, kind: type[E]) -> E:
        return self.of(kind)[-1]

    def fills(self, id_: ClientOrderId) -> list[tuple[str, str]]:
        return [
            (plain(fill.quantity), plain(fill.price)) for fill in self.of(OrderFilled) if fill.client_order_id == id_
        ]

    def status(self, id_: ClientOrderId) -> OrderStatus:
        report = self.matching.order(id_)
        assert report is not None
        return report.status

    def reason(self, id_: ClientOrderId) -> str:
        reasons = [
            str(getattr(event, "reason", "")) for event in self.events if getattr(event, "client_order_id", None) == id_
        ]
        return reasons[-1]

    def words(self, id_: ClientOrderId) -> list[str]:
        return [type(event).__name__ for event in self.events if getattr(event, "client_order_id", None) == id_]

    def position(self, instrument: InstrumentId | None = None) -> PositionReport | None:
        reports = self.matching.snapshot(0).positions
        return next((report for report in reports if report.instrument == (instrument or self.main)), None)

    def held(self, instrument: InstrumentId | None = None) -> Decimal:
        report = self.position(instrument)
        return report.quantity if report is not None else Decimal(0)

    def wallet(self, asset: Asset = USDT) -> BalanceReport:
        return next(report for report in self.matching.snapshot(0).balances if report.asset == asset)


def waiting(kind: OrderType, trigger: float, **fields: Any) -> dict[str, Any]:
    return {"type": kind, "trigger": dec(trigger), **fields}


def plain(value: Decimal) -> str:
    return f"{value.normalize():f}"


BIDS: Levels = ((59999.9, 1.0), (59999.8, 2.0), (59999.5, 5.0), (59998.0, 10.0))
ASKS: Levels = ((60000.1, 1.0), (60000.2, 2.0), (60000.5, 5.0), (60002.0, 10.0))


def pit_with_book(**fields: Any) -> Pit:
    pit = Pit(**fields)
    pit.book(BIDS, ASKS)
    return pit
