"""Where our record and the venues' differ: a dialog that lists it, and a key with a question for each word on it."""

from collections.abc import Sequence
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from core.domain.differences import Difference, DifferenceKind, Resolution, ResolveDifference
from core.domain.identifiers import symbol_of
from core.state.state import State
from tui.actions import Kind
from tui.alarms import AlertKeys
from tui.confirm import Confirm, Dialog
from tui.trading import ORIGIN, Nothing, Plan

ADOPT, CAPITAL, KEEP = "a", "m", "k"
MOVES = "↑ ↓ choose · Esc closes"
NO_MONEY = "only a wallet's difference can be money that came or went; a takes the venue's"
Word = tuple[int, str]


def about(one: Difference) -> str:
    """Return what a difference is about, short."""
    name = symbol_of(one.instrument) if one.instrument else str(one.asset)
    return f"{one.kind} of {name} at {one.venue}"


def line(one: Difference) -> str:
    """Write one difference: what, and ours against the venue's."""
    ours, theirs = f"{one.ours.normalize():f}", f"{one.theirs.normalize():f}"
    told = f"ours {ours} | venue's {theirs}"
    if one.kind is DifferenceKind.FILL:  # before the first of several and behind the last
        told = f"booked: position {ours} → {theirs}" if one.gap else f"booked: position {ours} as before"
    return f"{about(one)}\n  {told}  {_whose(one)}"


def hint(one: Difference) -> str:
    """Say which keys do something for a difference."""
    if one.kind is DifferenceKind.FILL:
        words = "a or k: you know of it"
    elif one.kind is DifferenceKind.BALANCE:
        words = "a takes the venue's · m the same, as money moved · k keeps ours"
    else:
        words = "a takes the venue's · k keeps ours"
    return f"{words}\n{MOVES}"  # a break of our own, or a narrow dialog breaks a pair of keys


def _whose(one: Difference) -> str:
    return f"kept by {one.kept}" if one.kept else "waits for a word"


def plan(state: State, number: int, word: str) -> Plan:
    """Plan to give the trader's word on a difference.

    Raises:
        Nothing: it is over, or the word does not fit it.
    """
    one = state.differences.standing.get(number)
    if one is None:
        raise Nothing("that difference is over: both agree again")
    if word == CAPITAL and one.kind is not DifferenceKind.BALANCE:
        raise Nothing(NO_MONEY)
    if one.kind is DifferenceKind.FILL:  # either word is the same: nothing is taken and nothing kept
        title, what = "Acknowledge the fill", _consequence(one, capital=False)
    elif word == KEEP:
        title, what = "Keep our record", "our record stays; entries pass again, exits by what both hold"
    else:
        title, what = "Take the venue's", _consequence(one, capital=word == CAPITAL)
    resolution = Resolution.KEPT if word == KEEP else Resolution.ADOPTED
    command = ResolveDifference(number, resolution, word == CAPITAL, "", ORIGIN)
    return Plan(title, (*line(one).splitlines(), one.what, what), (command,), Kind.ADDS, f"difference {number}")


def _consequence(one: Difference, *, capital: bool) -> str:
    if one.kind is DifferenceKind.BALANCE:
        return "it counts as money that came or went" if capital else "it counts as profit or loss"
    if one.kind is DifferenceKind.FILL:
        return "the fill is booked already; entries pass again"
    if one.kind is DifferenceKind.ORDER:
        return "the order is dealt with as proposed"
    return "no profit is realised by it: what the venue booked comes with its wallet"


class Differences(ModalScreen[Word | None]):
    """List what differs; closes with a number and a word, which is then asked about."""

    AUTO_FOCUS = "OptionList"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "close", show=False),
        *(Binding(key, f"word('{key}')", "word", show=False) for key in (ADOPT, CAPITAL, KEEP)),
    ]

    def __init__(self, found: Sequence[Difference]) -> None:
        super().__init__()
        self._found = tuple(found)
        self._marked = 0

    def compose(self) -> ComposeResult:
        """Lay out the list, what is proposed for the chosen one, and the keys."""
        with Dialog() as dialog:
            dialog.border_title = Content("Our record and the venues'")
            yield OptionList(*(Option(self._listed(place)) for place in range(len(self._found))), id="differences")
            yield Static(Content(self._found[0].what), id="proposed")
            yield Static(Content(hint(self._found[0])), id="hint", classes="dialog-hint")

    def _listed(self, place: int) -> Content:
        """Write one of the list; the chosen one has the mark that every list has, which needs no colour."""
        first, rest = line(self._found[place]).split("\n", 1)
        return Content(f"{'›' if place == self._marked else ' '} {first}\n  {rest}")

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        """Mark the chosen one, and say what is proposed for it and which keys do something."""
        before, self._marked = self._marked, event.option_index
        for place in {before, self._marked}:
            _ = event.option_list.replace_option_prompt_at_index(place, self._listed(place))
        one = self._found[self._marked]
        self.query_one("#proposed", Static).update(Content(one.what))
        self.query_one("#hint", Static).update(Content(hint(one)))

    def action_word(self, word: str) -> None:
        """Close with the word on the chosen difference; one that does not fit it closes nothing."""
        place = self.query_one(OptionList).highlighted
        if place is None:
            return
        one = self._found[place]
        if word == CAPITAL and one.kind is not DifferenceKind.BALANCE:
            self.query_one("#proposed", Static).update(Content(NO_MONEY))
        else:
            _ = self.dismiss((one.number, word))

    def on_paste(self, event: events.Paste) -> None:
        """Let a paste say nothing."""
        event.stop()


class DifferenceKeys(AlertKeys):
    """A view in which differences are shown and resolved."""

    def action_differences(self) -> None:
        """Show what differs, and ask before a word on it is given."""
        found = list(self.feed.state.differences.standing.values())
        if not found:
            self.tell("our record and the venues' agree")
            return
        _ = self.push_screen(Differences(found), self._ask_about)

    def _ask_about(self, said: Word | None) -> None:
        if said is None:
            return
        try:
            wanted = plan(self.feed.state, *said)
        except Nothing as nothing:
            self.tell(str(nothing), "warn")
            return

        def answered(yes: bool | None) -> None:
            if yes:
                self.carry_out(wanted)

        _ = self.push_screen(Confirm(wanted.title, wanted.lines, wanted.kind, clock=self.clock), answered)
