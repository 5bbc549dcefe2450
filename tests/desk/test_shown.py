"""What a person reads of the account: no figure that is a guess."""

import pytest

from core.domain import events as e
from core.domain.identifiers import Asset, InstrumentId, VenueId
from core.domain.order import Order, OrderRecord, OrderStatus, OrderType, Side
from core.engine import Engine
from core.session import views
from core.state.state import State
from desk import answers
from desk.commands.shown import named, show_orders, show_status
from tests.core.kit import BTC_PERP, SPOT, T0, D, S, fill, opened

OTHER = InstrumentId("OKX-FUTURES:PERPETUAL:BTC-USDT@LIN")


def line(state: State, capsys: pytest.CaptureFixture[str]) -> str:
    """Return the line about money."""
    show_status(views.status(state, T0, "ok", 0))
    return next(row for row in capsys.readouterr().out.splitlines() if row.startswith("equity"))


def test_behind_a_restart_without_prices_nothing_is_told_that_is_not_known(capsys: pytest.CaptureFixture[str]) -> None:
    engine = opened(instruments=(BTC_PERP,))
    engine.process(fill(BTC_PERP, Side.BUY, "0.1", "60000", "f", ts=T0 + S))
    assert line(engine.state, capsys) == "equity 50 000.00  day +0.00  drawdown 0.00%  gross 6 000.00  net +6 000.00"
    again = Engine(engine.guardian, State.from_image(engine.state.image()))
    assert line(again.state, capsys) == (
        "equity ~50 000.00  (not everything could be valued)  day –  drawdown –  gross –  net –"
    )


def test_what_never_had_a_price_hides_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    engine = opened(instruments=(BTC_PERP,))
    engine.process(e.BalanceSet(SPOT, Asset("JUNK"), D(1), "deposit", T0))
    told = line(engine.state, capsys)
    assert told.startswith("equity ~50 000.00  (not everything could be valued)  day +0.00  drawdown 0.00%")


def test_a_trailing_stop_is_shown_where_it_has_come(capsys: pytest.CaptureFixture[str]) -> None:
    trails = Order(BTC_PERP.id, Side.SELL, D(1), OrderType.TRAILING_STOP, trigger=D(100), trail=D(10))
    record = OrderRecord(trails, OrderStatus.ACCEPTED, VenueId("V"), 1, 1, trigger_now=D(120))
    show_orders([record])
    assert capsys.readouterr().out.splitlines()[-1].split()[-1] == "120"
    told = answers.order(record)
    assert (told["trigger"], told["trigger_now"]) == ("100", "120")


def test_one_amount_is_one_text_however_many_fills_it_came_in(capsys: pytest.CaptureFixture[str]) -> None:
    order = Order(BTC_PERP.id, Side.BUY, D("0.01"), OrderType.MARKET)
    record = OrderRecord(order, OrderStatus.FILLED, VenueId("V"), 1, 1, filled=D("0.004") + D("0.006"))
    show_orders([record])
    assert capsys.readouterr().out.splitlines()[-1].split()[4:6] == ["0.01", "0.01"]
    assert answers.order(record)["filled"] == "0.01"
    engine = opened(instruments=(BTC_PERP,))
    for number, part in enumerate(("0.004", "0.006")):
        engine.process(fill(BTC_PERP, Side.BUY, part, "60000", f"f{number}", ts=T0 + S + number))
    held = views.status(engine.state, T0, "ok", 0).positions
    assert [answers.position(one)["quantity"] for one in held] == ["0.01"]


@pytest.mark.parametrize(
    ("columns", "ids", "names"),
    [
        (80, [BTC_PERP.id, BTC_PERP.id], ["BTC-USDT.P", "BTC-USDT.P"]),
        (80, [BTC_PERP.id, OTHER], [BTC_PERP.id, OTHER]),
        (120, [BTC_PERP.id], [BTC_PERP.id]),
        (0, [BTC_PERP.id], [BTC_PERP.id]),
    ],
    ids=["narrow", "not told apart", "wide", "no terminal"],
)
def test_a_narrow_terminal_shows_symbols(
    columns: int, ids: list[InstrumentId], names: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: columns > 0, raising=False)
    monkeypatch.setenv("COLUMNS", str(columns or 80))
    assert named(ids) == names
