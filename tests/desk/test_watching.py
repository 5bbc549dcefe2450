"""Plain lines of what changes: orders, fills, alerts, trading state; and how feeds, venues and the journal stand."""

import asyncio
import json
from decimal import Decimal

import pytest

from core.domain import alerts as a
from core.domain import events as e
from core.domain import market as m
from core.domain.approval import TradingState
from core.domain.identifiers import ClientOrderId, FillId, InstrumentId, VenueId, VenueOrderId
from core.domain.message import Message
from core.domain.order import Liquidity, Order, OrderType, Side
from core.session.client import Replica
from core.state.state import State
from desk.watching import Watcher, _held_words

BTC = InstrumentId("BINANCE-FUTURES:PERPETUAL:BTC-USDT@LIN")
ETH = InstrumentId("BINANCE-FUTURES:PERPETUAL:ETH-USDT@LIN")
VENUE = VenueId("BINANCE-FUTURES")
ORDER = Order(BTC, Side.BUY, Decimal("0.05"), OrderType.LIMIT, Decimal(61_000), client_order_id=ClientOrderId("d7-1"))
FILLED = e.OrderFilled(
    ClientOrderId("d7-1"), FillId("f1"), BTC, Side.BUY, Decimal("0.05"), Decimal(61_000), Decimal("0.61"),
    State().currency, Liquidity.MAKER, VenueOrderId("v1"), 3, 3,
)  # fmt: skip
RAISED = a.AlertRaised(1, "k", a.AlertKind.FILL, a.Severity.INFO, BTC, "bought 0.05", "", False, 1, False, 4)
HALTED = e.TradingStateChanged(TradingState.HALTED, "trader", "terminal", "halted by hand", 5)


class Session(Replica):
    """What the watcher needs of a client: a state and a place to listen."""

    def __init__(self) -> None:
        super().__init__()
        self.on_message = lambda _: None


def told(
    capsys: pytest.CaptureFixture[str],
    *messages: Message,
    as_json: bool = False,
    chosen: tuple[InstrumentId, ...] = (),
) -> list[str]:
    """Give the lines that messages lead to."""
    watcher = Watcher(Session(), chosen, as_json, asyncio.Event())  # type: ignore[arg-type]
    for message in messages:
        watcher.message(message)
    out, err = capsys.readouterr()
    assert err == ""
    assert "\x1b" not in out
    return out.splitlines()


def test_orders_fills_alerts_and_the_trading_state_are_lines(capsys: pytest.CaptureFixture[str]) -> None:
    lines = told(capsys, e.OrderSubmitted(ORDER, VENUE, 2), FILLED, RAISED, HALTED)
    for line, words in zip(lines, (
        "OrderSubmitted client_order_id=d7-1", "OrderFilled client_order_id=d7-1", "text=bought 0.05", "state=HALTED",
    ), strict=True):  # fmt: skip
        assert words in line
        assert line[2] == line[5] == ":"


def test_feeds_venues_and_the_journal_are_lines_when_they_change_and_not_before(
    capsys: pytest.CaptureFixture[str],
) -> None:
    down = m.FeedReport(BTC, m.Health.DOWN, 3, 0, "the link was lost", 2)
    lines = told(
        capsys, down, down, m.FeedReport(BTC, m.Health.LIVE, 3, 0, "", 3), m.VenueStatus(VENUE, False, "refused", 4),
        m.VenueStatus(VENUE, True, "", 5), m.StoreStatus("", 6), m.StoreStatus("disk full", 7), m.StoreStatus("", 8),
    )  # fmt: skip
    assert [line[9:] for line in lines] == [
        "feed BTC-USDT.P of BINANCE-FUTURES is down: the link was lost",
        "feed BTC-USDT.P of BINANCE-FUTURES is live",
        "venue BINANCE-FUTURES is not connected: refused",
        "venue BINANCE-FUTURES is connected",
        "journal is in trouble: disk full",
        "journal is ok",
    ]


def test_only_the_chosen_instruments_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    reports = [m.FeedReport(id_, m.Health.DOWN, 0, 0, "", 2) for id_ in (BTC, ETH)]
    lines = told(capsys, *reports, FILLED, HALTED, chosen=(ETH,))
    assert ["ETH-USDT.P" in line for line in lines] == [True, False]
    assert "HALTED" in lines[1]


def test_states_are_json_too(capsys: pytest.CaptureFixture[str]) -> None:
    (line,) = told(capsys, m.VenueStatus(VENUE, False, "refused", 4), as_json=True)
    assert json.loads(line) == {
        "kind": "state", "of": "venue BINANCE-FUTURES", "state": "not connected", "reason": "refused", "ts_ns": 4,
    }  # fmt: skip


def test_the_account_line_names_what_is_held_by_its_short_name() -> None:
    coin = InstrumentId("BINANCE-SPOT:SPOT_ASSET:BTC")
    assert _held_words(((BTC, "-0.050"), (coin, "0.00999000"))) == "holds BTC-USDT.P -0.05, BTC 0.00999"
    elsewhere = InstrumentId("OTHER:SPOT_ASSET:BTC")
    assert _held_words(((coin, "100"), (elsewhere, "2"))) == "holds BTC (BINANCE-SPOT) 100, BTC (OTHER) 2"
    assert _held_words(()) == "flat"


def test_the_account_is_one_line_and_told_again_when_it_changes(capsys: pytest.CaptureFixture[str]) -> None:
    session = Session()
    watcher = Watcher(session, (), False, asyncio.Event())  # type: ignore[arg-type]
    watcher.prices()
    watcher.prices()
    session.state.apply(HALTED)
    watcher.prices()
    lines = [line[9:] for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        "account ACTIVE  equity 0.00  day +0.00  0 open orders  flat",
        "account HALTED  equity 0.00  day +0.00  0 open orders  flat",
    ]
