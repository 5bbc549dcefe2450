"""What an engine does with records that another version of the program wrote."""

from typing import Any

import msgspec
import pytest
from structlog.testing import capture_logs

from core.clock import LiveClock
from core.config.settings import AlertSettings
from core.domain import commands as c
from core.domain import events as e
from core.domain import market as m
from core.domain.alerts import AlertRaised
from core.domain.approval import TradingState
from core.domain.identifiers import ClientOrderId, VenueOrderId
from core.domain.message import Event
from core.domain.order import Side
from core.engine import Engine
from core.errors import JournalDamaged, JournalTooNew
from core.ports import Record
from core.recording import SAID
from core.runtime import Runtime
from core.session import views, wire
from core.session.answers import AHEAD_NS, fills_of
from core.session.protocol import AskRecords
from core.session.records import records_of
from store.memory import MemoryJournal, MemoryTickStore
from tests.core.kit import BTC_PERP, MS, T0, S, fill

PUT_BACK = "the journal was lost or put back: look at positions and orders, then RESUME"
ACCEPTED = e.OrderAccepted(ClientOrderId("t0r1n1"), VenueOrderId("v1"), T0 - MS, T0)


def changed(event: Event, **at: Any) -> bytes:
    """Encode an event as a list, some places of it filled otherwise; ``more`` follows behind."""
    fields = msgspec.msgpack.decode(wire.encode(event))
    more = at.pop("more", [])
    for place, value in at.items():
        fields[int(place[1:])] = value
    return msgspec.msgpack.encode([*fields, *more])


def recovered(*payloads: bytes) -> Engine:
    """Recover an engine from these records."""
    journal = MemoryJournal()
    journal.append(payloads, lambda error: None)
    engine = Engine()
    Runtime(engine, journal, MemoryTickStore(), [], LiveClock()).recover()
    return engine


def test_a_kind_nobody_knows_is_said_to_be_newer_and_named() -> None:
    started = wire.encode(e.EngineStarted(1, "9", "paper", T0))
    with pytest.raises(JournalTooNew, match=r"^journal record 2 is of the kind OrderTeleported, which this program"):
        recovered(started, changed(ACCEPTED, _0="OrderTeleported"))


@pytest.mark.parametrize(
    "payload",
    [changed(ACCEPTED, _3="soon"), msgspec.msgpack.encode(["OrderAccepted", "t0r1n1"]), b"", b"\xc1", b"\x91\xa1\xff"],
)
def test_a_record_of_another_form_refuses_trading_and_is_named(payload: bytes) -> None:
    with pytest.raises(JournalDamaged, match=r"^journal record 1 \((OrderAccepted|no event)\).*trading refused; start"):
        recovered(payload)


def test_a_checkpoint_of_another_form_refuses_trading() -> None:
    journal = MemoryJournal()
    journal.append([wire.encode(ACCEPTED)], lambda error: None)
    journal.checkpoint(1, msgspec.msgpack.encode({"now": "noon"}))
    with pytest.raises(JournalDamaged, match="the checkpoint after journal record 1 has not the form"):
        Runtime(Engine(), journal, MemoryTickStore(), [], LiveClock()).recover()


def test_what_a_newer_program_added_behind_the_time_is_left_out() -> None:
    payload = changed(ACCEPTED, more=["north", 7])
    assert wire.recorded(Record(1, payload)) == ACCEPTED
    assert wire.event_time(payload) == T0
    assert wire.event_time(wire.encode(ACCEPTED)) == T0


@pytest.mark.parametrize("payload", [b"", b"\xc1", b"\x90", b"a", msgspec.msgpack.encode(["OrderAccepted", 1])])
def test_what_is_no_event_has_no_time(payload: bytes) -> None:
    assert wire.event_time(payload) is None


def test_records_that_do_not_fit_are_named_and_counted() -> None:
    defined = wire.encode(m.InstrumentDefined(BTC_PERP, T0))
    stray = [fill(BTC_PERP, Side.BUY, "1", "60000", "f1"), *[ACCEPTED] * (SAID + 5)]
    with capture_logs() as logs:
        engine = recovered(*map(wire.encode, stray), defined)
    said = [line for line in logs if line["log_level"] == "warning"]
    assert [line["record"] for line in said[:-1]] == list(range(1, SAID + 1))
    assert "instrument that nobody has defined" in said[0]["why"]
    assert "t0r1n1" in said[1]["why"]
    assert said[-1]["records"] == len(stray)
    assert views.status(engine.state, T0, "ok", 0).unfit == len(stray)
    assert views.status(recovered(defined).state, T0, "ok", 0).unfit == 0


def test_fills_are_read_from_their_time_on_only() -> None:
    class Watched(MemoryJournal):
        read_after = -1

        def read(self, after: int = 0) -> Any:
            self.read_after = after
            return super().read(after)

    journal = Watched()
    hour = 3_600 * S
    made = [fill(BTC_PERP, Side.BUY, "1", "60000", f"f{hours}", ts=T0 + hours * hour) for hours in range(100)]
    ahead = fill(BTC_PERP, Side.BUY, "1", "60000", "ahead", ts=T0 + 98 * hour).replace(ts_exchange=T0 + 99 * hour)
    made.insert(99, ahead)  # of a venue whose clock is before ours
    journal.append([wire.encode(event) for event in made], lambda error: None)
    assert [view.fill_id for view in fills_of(journal, T0 + 99 * hour, 10)] == ["ahead", "f99"]
    assert journal.read_after == 98
    assert hour == AHEAD_NS
    assert len(fills_of(journal, 0, 1_000)) == 101
    assert journal.read_after == 0
    assert [view.fill_id for view in fills_of(journal, T0 + 200 * hour, 10)] == []


@pytest.mark.parametrize("before", [TradingState.ACTIVE, TradingState.HALTED])
async def test_behind_a_journal_that_was_put_back_an_engine_begins_halted_and_only_once(before: TradingState) -> None:
    journal = MemoryJournal()
    journal.append([wire.encode(e.TradingStateChanged(before, "anna", "t", "yesterday's", T0))], lambda error: None)
    engine = Engine()
    for put_back in (False, True, False):
        journal.put_back = put_back
        engine = Engine(alerts=AlertSettings())
        runtime = Runtime(engine, journal, MemoryTickStore(), [], LiveClock())
        durable = journal.durable
        await runtime.start()
        runtime.take(m.Timer(LiveClock().now()))
        events = [wire.recorded(record) for record in journal.read(durable)]
        changed = [event for event in events if isinstance(event, e.TradingStateChanged)]
        assert [event.state for event in changed] == [TradingState.HALTED] * put_back
        told = [event.text for event in events if isinstance(event, AlertRaised)]
        assert told == [f"trading is HALTED: {PUT_BACK} (guardian)"] * put_back
        halt = engine.process(c.SetTradingState(TradingState.ACTIVE, "", "", "anna", "t", LiveClock().now()))
        refused = any(isinstance(one, e.CommandRefused) for one in halt)
        assert refused is (engine.state.trading_state is TradingState.HALTED), "out of it leads the typed word alone"
        runtime._timer.cancel()  # type: ignore[union-attr]
        runtime.recording.checkpoint()
        journal = journal.crash()
    assert engine.state.state_reason == PUT_BACK


def test_whoever_reads_the_journal_is_told_which_record_is_too_new() -> None:
    journal = MemoryJournal()
    journal.append([wire.encode(ACCEPTED), changed(ACCEPTED, _0="OrderTeleported")], lambda error: None)
    with pytest.raises(JournalTooNew, match="journal record 2 is of the kind OrderTeleported"):
        records_of(journal, AskRecords())
