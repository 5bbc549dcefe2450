"""What an old journal or the other side says is never misread: layouts only grow, or a number is raised."""

import msgspec
import pytest

from core.session import wire
from tests.house.layouts import Group, Layout, broken, current, judged, released, version

RUN = ".venv/bin/python -m tests.house.layouts"
OLD = Layout(True, False, ("instrument: InstrumentId = required", "price: Decimal | None = None"))
NAMED = Layout(False, False, OLD.fields)


def test_nothing_is_laid_out_otherwise_than_in_the_last_release_under_the_same_number() -> None:
    wrong = judged(released().groups, current())
    assert not wrong, f"{wrong}; the rule stands in docs/decisions/030-layouts.md"


def test_a_release_writes_its_layouts_down() -> None:
    assert released().version == version(), f"this is another version: {RUN}"


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ((*OLD.fields, "note: str = ''"), ""),
        ((OLD.fields[0], "price: Decimal | None | int = None"), ""),
        ((OLD.fields[0], "note: str = ''", OLD.fields[1]), "note stands where price stood"),
        ((OLD.fields[1], OLD.fields[0]), "price stands where instrument stood"),
        ((OLD.fields[0], "limit: Decimal | None = None"), "limit stands where price stood"),
        (OLD.fields[:1], "price is gone"),
        ((*OLD.fields, "note: str = required"), "note is new and has no default"),
        ((OLD.fields[0], "price: float | None = None"), "price was Decimal | None"),
        ((OLD.fields[0], "price: Decimal | None = 0"), "the default of price was None"),
    ],
)
def test_a_layout_by_place_only_grows_at_its_end_and_with_defaults(fields: tuple[str, ...], says: str) -> None:
    found = broken(Group(1, {"Order": OLD}), Group(1, {"Order": msgspec.structs.replace(OLD, fields=fields)}))
    assert found == ([f"Order: {says}"] if says else [])


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        (OLD.fields[::-1], ""),
        (("note: str = ''", *OLD.fields), ""),
        (OLD.fields[:1], "price is gone"),
        ((*OLD.fields, "note: str = required"), "note is new and has no default"),
    ],
)
def test_a_layout_by_name_may_be_told_in_any_order(fields: tuple[str, ...], says: str) -> None:
    found = broken(Group(1, {"Status": NAMED}), Group(1, {"Status": msgspec.structs.replace(NAMED, fields=fields)}))
    assert found == ([f"Status: {says}"] if says else [])


def test_an_enum_grows_and_never_loses_a_value() -> None:
    two = Layout(False, False, ("BUY: value = required", "SELL: value = required"))
    one = Layout(False, False, two.fields[:1])
    assert broken(Group(1, {"Side": one}), Group(1, {"Side": two})) == []
    assert broken(Group(1, {"Side": two}), Group(1, {"Side": one})) == ["Side: SELL is gone"]


def test_a_raised_number_allows_what_the_old_one_did_not() -> None:
    number, gone = "store.journal.format.FORMAT", Group(1, {})
    before = {number: Group(1, {"Order": OLD})}
    assert judged(before, {number: gone}) == [f"raise {number} above 1: Order is gone"]
    assert judged(before, {number: Group(2, {})}) == []


def test_a_kind_nobody_knew_needs_a_new_protocol_but_no_new_journal() -> None:
    tagged = msgspec.structs.replace(OLD, tagged=True)
    for number, raised in (("core.session.protocol.PROTOCOL", True), ("store.journal.format.FORMAT", False)):
        found = judged({number: Group(1, {})}, {number: Group(1, {"AskMore": tagged})})
        assert bool(found) is raised


@pytest.mark.parametrize("event", wire.EVENTS, ids=lambda event: event.__name__)
def test_an_event_has_its_time_before_everything_it_grew(event: type) -> None:
    fields = msgspec.structs.fields(event)
    at = [field.name for field in fields].index("ts")
    assert all(field.required for field in fields[: at + 1]), "what an event was made with has no default"
    assert not any(field.required for field in fields[at + 1 :]), "what it grew has one"
