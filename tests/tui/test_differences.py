"""Differences on the screen: the header says how many, D lists them, a key and a question give the word on each."""

from decimal import Decimal

import msgspec
import pytest

from core.domain.differences import Difference, DifferenceFound, DifferenceKind, Resolution, ResolveDifference
from core.domain.identifiers import Asset, ClientOrderId, InstrumentId
from core.session.protocol import VenueReport
from core.state.state import State
from tests.tui.driving import asked, ready, until
from tests.tui.engine import BTC, ETH, FUTURES, House
from tests.tui.harness import picture, screen_lines
from tui.app import TerminalApp
from tui.differing import ADOPT, CAPITAL, KEEP, Differences, hint, line, plan
from tui.grid import Cell
from tui.screens.venues import venue_row
from tui.trading import Nothing

NO_ASSET, NO_ORDER, NOWHERE = Asset(""), ClientOrderId(""), InstrumentId("")


def found(
    kind: DifferenceKind, instrument: InstrumentId = BTC, asset: Asset = NO_ASSET, theirs: str = "2"
) -> DifferenceFound:
    return DifferenceFound(
        0, kind, FUTURES, instrument, asset, NO_ORDER, Decimal(1), Decimal(theirs), Decimal(60_000), "take it", 1
    )


async def test_each_difference_is_resolved_by_a_key_and_a_confirmation(house: House) -> None:
    app = TerminalApp(house.socket)
    async with app.run_test(size=(100, 30)) as pilot:
        await ready(app, pilot)
        await pilot.press("r")
        await until(pilot, lambda: "our record and the venues' agree" in picture(app))
        house.runtime.take(found(DifferenceKind.POSITION))
        house.runtime.take(found(DifferenceKind.POSITION, ETH))
        house.runtime.take(found(DifferenceKind.BALANCE, NOWHERE, Asset("USDT"), "49000"))
        await until(pilot, lambda: " 3 differences " in screen_lines(app)[1])
        await pilot.press("r")
        await until(pilot, lambda: isinstance(app.screen, Differences))
        await until(pilot, lambda: "position of BTC-USDT.P at BINANCE-FUTURES" in picture(app))
        assert "ours 1 | venue's 2  waits for a word" in picture(app)
        assert "a takes the venue's · k keeps ours" in picture(app)
        await pilot.press("down", "m")  # a position is no money
        await until(pilot, lambda: "only a wallet's difference" in picture(app))
        assert isinstance(app.screen, Differences), "a key that is not offered closes nothing"
        await pilot.press("down")
        await until(pilot, lambda: "a takes the venue's · m the same, as money moved · k keeps ours" in picture(app))
        await pilot.press("up", KEEP)
        await asked(app, pilot)
        await pilot.press("enter")  # confirms nothing
        assert len(house.state.differences.waiting) == 3
        await pilot.press("y")
        await until(pilot, lambda: len(house.state.differences.waiting) == 2)
        await pilot.press("r")
        await until(pilot, lambda: isinstance(app.screen, Differences))
        await pilot.press(ADOPT)
        await asked(app, pilot)
        await pilot.press("y")
        await until(pilot, lambda: " 1 difference " in screen_lines(app)[1])
        assert house.state.ledger.positions[BTC].quantity == 1
        await pilot.press("r", "escape")
        await until(pilot, lambda: not isinstance(app.screen, Differences))


async def test_the_chosen_difference_has_the_mark_of_every_list(house: House) -> None:
    app = TerminalApp(house.socket, colourless=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(app, pilot)
        house.runtime.take(found(DifferenceKind.POSITION))
        house.runtime.take(found(DifferenceKind.FILL, ETH))
        await until(pilot, lambda: " 2 differences " in screen_lines(app)[1])
        await pilot.press("r")
        await until(pilot, lambda: "› position of BTC-USDT.P" in picture(app) and "  fill of ETH" in picture(app))
        assert any("↑ ↓ choose · Esc closes" in line for line in screen_lines(app)), "a pair of keys is not broken"
        await pilot.press("down")
        await until(pilot, lambda: "  position of BTC-USDT.P" in picture(app) and "› fill of ETH" in picture(app))
        assert "a or k: you know of it" in picture(app)


def test_a_fill_is_told_as_booked_and_offers_what_it_takes() -> None:
    fill = standing(DifferenceKind.FILL)
    assert line(fill).splitlines()[1] == "  booked: position 1 → 2  waits for a word"
    undone = msgspec.structs.replace(fill, theirs=Decimal(1))
    assert line(undone).splitlines()[1] == "  booked: position 1 as before  waits for a word"
    assert hint(fill).splitlines()[0] == "a or k: you know of it"
    for word in (ADOPT, KEEP):
        made = plan(state_with(DifferenceKind.FILL), 1, word)
        assert made.title == "Acknowledge the fill"
        assert made.lines[-2:] == ("take it", "the fill is booked already; entries pass again")
    offers = [kind for kind in DifferenceKind if "m the same" in hint(standing(kind))]
    assert offers == [DifferenceKind.BALANCE]


def standing(kind: DifferenceKind) -> Difference:
    (one,) = state_with(kind).differences.standing.values()
    return one


def state_with(kind: DifferenceKind) -> State:
    state = State()
    state.apply(found(kind).replace(number=1))
    return state


@pytest.mark.parametrize(
    ("kind", "word", "says"),
    [
        (DifferenceKind.POSITION, ADOPT, "no profit is realised"),
        (DifferenceKind.BALANCE, ADOPT, "profit or loss"),
        (DifferenceKind.BALANCE, CAPITAL, "money that came or went"),
        (DifferenceKind.FILL, ADOPT, "booked already"),
        (DifferenceKind.ORDER, ADOPT, "dealt with as proposed"),
        (DifferenceKind.ORDER, KEEP, "our record stays"),
        (DifferenceKind.FILL, KEEP, "booked already"),
    ],
)
def test_a_plan_says_what_a_word_does(kind: DifferenceKind, word: str, says: str) -> None:
    made = plan(state_with(kind), 1, word)
    assert says in made.lines[-1]
    (command,) = made.commands
    assert isinstance(command, ResolveDifference)
    assert command.capital is (word == CAPITAL)
    assert command.resolution is (Resolution.KEPT if word == KEEP else Resolution.ADOPTED)


def test_a_word_on_what_is_over_is_not_sent() -> None:
    with pytest.raises(Nothing, match="both agree again"):
        plan(State(), 1, ADOPT)


@pytest.mark.parametrize(
    ("differences", "says", "style"),
    [(0, "agrees 12s", ""), (2, "2 differ 12s", "bad")],
)
def test_the_venues_screen_says_when_both_were_compared(differences: int, says: str, style: str) -> None:
    now = 100_000_000_000
    report = VenueReport("X", "ready", 1, 1, 1, 5, 0, 0, 0, 0, 0, None, None, now - 12_000_000_000, differences)
    cell = venue_row(report, now).cells[2]
    assert isinstance(cell, Cell)
    assert (cell.text, cell.style) == (says, style)
