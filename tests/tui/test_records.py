"""The orders and the journal screen: what was decided and what happened, on a running engine and a frozen moment."""

import enum
import re
import types
import typing
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from core.domain import events as e
from core.domain.alerts import AlertAcknowledged, AlertKind, AlertRaised, AlertsMuted, Severity
from core.domain.configs import ConfigAdopted, ConfigWaits, StrategyNoted
from core.domain.differences import OrderAdopted
from core.domain.identifiers import ClientOrderId, InstrumentId, VenueId, VenueOrderId
from core.domain.message import Message
from core.domain.order import Order, OrderType, Side
from core.domain.studies import ConfigStatus
from core.domain.watch import DrawdownStepped, ProtectionChanged
from core.session import wire
from core.session.protocol import RecordView
from tests.tui import research
from tests.tui.driving import buy, position, ready, until
from tests.tui.engine import House
from tests.tui.harness import picture
from tests.tui.pictures import RECORDS, draw
from tui.app import TerminalApp
from tui.records import kind_of, subject_of, text_of
from tui.screens.journal import record_lines

BTC = InstrumentId("BINANCE-SPOT:SPOT_PAIR:BTC-USDT")
PYTHON = r"\w\(|[<>\[\]{}]|\bNone\b|\bTrue\b|\bFalse\b|\(\)|b'|E\+|,\)"
"""How values look as Python writes them: ``Order(``, ``<Side.BUY``, ``(1,)``, ``b''``, ``1E+3``."""


async def test_the_orders_screen_shows_open_orders_history_and_a_life() -> None:
    _, text = await draw(200, 50, "orders")
    for words in ("orders  3 open", "d7-0115      BTC-USDT.P   SELL  STOP              0.150", "61 640.1  FILLED",
                  "life of d7-0114", "order submitted     BUY 0.08 BTC-USDT.P LIMIT at 61799.8 to BINANCE-FUTURES",
                  "11m  order denied", "at most 15 % (max_position_frac, config.toml:14)"):  # fmt: skip
        assert words in text, words


async def test_the_journal_screen_shows_records_and_the_chosen_one_in_full() -> None:
    _, text = await draw(80, 24, "journal")
    for words in ("│› 21 Nov 14:31:07  order denied          d7-0114", "engine started", "─ record 1208 ─",
                  "2025-11-21 14:31:07.000000000  order denied"):  # fmt: skip
        assert words in text, words


def test_every_kind_of_event_is_told_in_words() -> None:
    told = {kind_of(record.event): (subject_of(record.event), text_of(record.event)) for record in RECORDS}
    assert told["order accepted"] == ("d7-0114", "the venue holds it as 8841")
    assert told["engine started"] == ("", "run 7, version 0.1.0, paper")
    assert told["day started"] == ("", "equity 100 000.00")
    raised = AlertRaised(3, "k", AlertKind.FILL, Severity.INFO, InstrumentId(""), "bought", "", False, 2, False, 1)
    assert text_of(raised) == "alert 3 ×2: bought"
    compared = e.VenueReconciled(VenueId("X"), 1_795_826_055_114_000_000, 1)
    assert text_of(compared) == "our record and the venue's were compared, back to 00:34:15 UTC"
    ended = e.EngineStopped(7, "asked to", 1)
    assert (kind_of(ended), text_of(ended)) == ("engine stopped", "run 7: asked to")


def _sample(kind: Any, *, full: bool = True) -> Any:
    """Give a value of a type: with everything that it may hold, or with as little as it can."""
    kind = getattr(kind, "__supertype__", kind)
    origin, inner = typing.get_origin(kind), [one for one in typing.get_args(kind) if one is not Ellipsis]
    if origin in (typing.Union, types.UnionType):
        return _sample(inner[0], full=full) if full or type(None) not in inner else None
    if origin is tuple:
        return tuple(_sample(one, full=full) for one in inner) if full else ()
    if origin is dict:
        return {_sample(inner[0]): _sample(inner[1])} if full else {}
    if isinstance(kind, enum.EnumMeta):
        return list(kind)[0 if full else -1]
    simple = {Decimal: Decimal("1E+3"), int: 1, float: 1.0, str: BTC, bool: full, bytes: b"\x81" if full else b""}
    if kind in simple:
        return simple[kind]
    hints = {name: hint for name, hint in typing.get_type_hints(kind).items() if name in kind.__struct_fields__}
    return kind(**{name: _sample(hint, full=full) for name, hint in hints.items()})


def test_changed_limits_are_told_in_words_the_looser_ones_first() -> None:
    changes = (
        e.SettingChange("max_net_frac", "", "1.0", False),
        e.SettingChange("max_gross_frac", "2.0", "3.0", True),
        e.SettingChange("old_limit", "5", "", False),
    )
    told = text_of(e.GuardianSettingsChanged(changes, "ann", "config.toml, read at the start", 1))
    assert told == (
        "by ann, config.toml, read at the start: max_gross_frac 2.0 → 3.0, max_net_frac 1.0, old_limit 5 → gone"
    )


def test_an_amend_tells_what_changes_and_nothing_else() -> None:
    id_ = ClientOrderId("d7-1")
    assert text_of(e.AmendSubmitted(id_, None, None, Decimal("93010.0"), 1)) == "trigger 93010.0"
    assert text_of(e.AmendSubmitted(id_, Decimal(2), Decimal("0.6"), None, 1)) == "quantity 2, price 0.6"


@pytest.mark.parametrize("full", [True, False], ids=["full", "bare"])
@pytest.mark.parametrize("kind", wire.EVENTS, ids=lambda kind: kind.__name__)
def test_every_kind_of_event_has_words_and_none_is_told_as_python_writes_it(kind: type[Message], *, full: bool) -> None:
    event = _sample(kind, full=full)
    told = text_of(event)
    assert told
    assert kind_of(event)
    assert not re.search(PYTHON, told), told
    assert record_lines(RecordView(1, event), 80, local=False)


def test_an_order_of_others_is_told_like_one_of_ours() -> None:
    order = Order(
        BTC, Side.BUY, Decimal("0.50"), OrderType.LIMIT, Decimal("61000"), client_order_id=ClientOrderId("w1")
    )
    found = e.OrderFound(order, VenueId("BINANCE-SPOT"), VenueOrderId("88"), Decimal("0.10"), 1)
    assert text_of(found) == "BUY 0.5 BTC-USDT LIMIT at 61000 rests at BINANCE-SPOT, 0.1 filled"
    assert text_of(OrderAdopted(ClientOrderId("w1"), "ann", 1)) == "counts as ours from now on (ann)"


def test_what_strategies_alerts_and_the_watch_record_is_told_in_words() -> None:
    config = research.CONFIGS[0]
    ended = msgspec.structs.replace(config, status=ConfigStatus.HISTORY)
    assert text_of(ConfigAdopted(ended, 1)) == f"{config.key} is ended: what it holds is closed"
    assert text_of(ConfigWaits(config, "no bars yet", 1)) == f"{config.key}: no bars yet"
    assert text_of(StrategyNoted("trend", BTC, "", 1)) == "trend: nothing keeps it from trading any more"
    assert text_of(DrawdownStepped(0, Decimal(1), Decimal(0), 1)).startswith("no step")
    assert text_of(ProtectionChanged(BTC, "", 1)) == "its venue confirms a stop again"
    assert text_of(AlertAcknowledged((3, 4), "ann", 1)) == "seen by ann: alerts 3, 4"
    assert text_of(AlertsMuted(AlertKind.FILL, 0, "ann", 1)) == "fill alerts speak again, by ann"
    muted = AlertsMuted(AlertKind.FILL, 1_795_826_055_114_000_000, "ann", 1)
    assert text_of(muted) == "fill alerts are silent until 28 Nov 00:34 UTC, by ann"


async def test_an_order_is_followed_from_the_blotter_into_the_journal(house: House) -> None:
    app = TerminalApp(house.socket)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(app, pilot)
        await buy(app, pilot)
        await until(pilot, lambda: position(house) == 0.05)
        id_ = next(iter(house.state.blotter.orders))
        await pilot.press("3", "tab")
        await until(pilot, lambda: f"life of {id_}" in picture(app) and "order filled" in picture(app))
        assert "no open orders" in picture(app)
        await pilot.press("8")
        await until(pilot, lambda: "order submitted" in picture(app) and "balance set" in picture(app))
        await pilot.press("w", *id_, "space", *"filled", "enter")
        await until(pilot, lambda: f'with "{id_} filled"' in picture(app) and "balance set" not in picture(app))
        assert "order filled" in picture(app)
        await pilot.press("w", *["backspace"] * 40, *"nothing-holds-this", "enter")
        await until(pilot, lambda: "no record holds these words" in picture(app))
