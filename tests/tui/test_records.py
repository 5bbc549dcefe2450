"""The orders and the journal screen: what was decided and what happened, on a running engine and a frozen moment."""

import enum
import types
import typing
from decimal import Decimal
from typing import Any

import pytest

from core.domain import events as e
from core.domain.alerts import AlertKind, AlertRaised, Severity
from core.domain.identifiers import ClientOrderId, InstrumentId, VenueId
from core.domain.message import Message
from core.session import wire
from core.session.protocol import RecordView
from tests.tui.driving import buy, position, ready, until
from tests.tui.engine import House
from tests.tui.harness import picture
from tests.tui.pictures import RECORDS, draw
from tui.app import TerminalApp
from tui.records import kind_of, subject_of, text_of
from tui.screens.journal import record_lines


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


def _sample(kind: Any) -> Any:
    """Give a value of a type, as simple as it can be."""
    origin = typing.get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        return _sample(typing.get_args(kind)[0])
    if origin is tuple:
        return ()
    if origin is dict:
        return {}
    if isinstance(kind, enum.EnumMeta):
        return next(iter(kind))
    simple = {Decimal: Decimal(1), int: 1, float: 1.0, str: "BINANCE-SPOT:SPOT_PAIR:BTC-USDT", bool: True}
    if kind in simple:
        return simple[kind]
    hints = {name: hint for name, hint in typing.get_type_hints(kind).items() if name in kind.__struct_fields__}
    return kind(**{name: _sample(getattr(hint, "__supertype__", hint)) for name, hint in hints.items()})


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


@pytest.mark.parametrize("kind", wire.EVENTS, ids=lambda kind: kind.__name__)
def test_no_kind_of_event_is_left_without_words(kind: type[Message]) -> None:
    event = _sample(kind)
    assert text_of(event)
    assert kind_of(event)
    assert record_lines(RecordView(1, event), 80, local=False)


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
