"""Differences from the command line: what differs, and the trader's word on it."""

from typing import Any

from core.domain.differences import DeclareFlat, Difference, DifferenceKind, Resolution, ResolveDifference
from core.domain.identifiers import InstrumentId, symbol_of
from core.domain.numbers import plain
from core.reconcile.adoption import FLAT
from core.session.client import Client
from core.state.state import State
from desk import output, session
from desk.commands.shown import clock
from desk.exits import typed_word, who
from desk.output import Refused, UsageFault
from desk.paths import Home
from desk.session import ORIGIN, talk

ALL = 0


def number_of(text: str | None, everything: bool) -> int:
    """Return the number of the difference that was named, 0 for all.

    Raises:
        UsageFault: neither or both were given, or it is no number.
    """
    if (text is None) is not everything:
        raise UsageFault("name one of: a difference's number, --all; tradedeck reconcile lists them")
    if text is None:
        return ALL
    if not (text.isascii() and text.isdecimal()) or int(text) == 0:
        raise UsageFault(f'a difference has a number such as 3 (got "{text}"); tradedeck reconcile lists them')
    return int(text)


def resolve(home: Home, number: int, resolution: Resolution, capital: bool, as_json: bool) -> None:
    """Give the trader's word and say what it settled.

    Raises:
        Refused: there is no such difference.
    """

    async def work(client: Client) -> list[Difference]:
        book = client.state.differences
        meant = book.waiting if number == ALL else [one for one in book.standing.values() if one.number == number]
        outcome = await client.send(ResolveDifference(number, resolution, capital, who(), ORIGIN))
        if not outcome.ok:
            raise Refused(outcome.reason, {"resolved": [], "reason": outcome.reason})
        return meant

    settled = talk(home, work, stream=True)
    if as_json:
        answer = [{**difference(one), "resolution": resolution.value} for one in settled]
        output.write_json({"resolved": answer, "reason": ""})
        return
    for one in settled:
        output.write(f"{one.number}: {about(one)} {resolution.value}: {said(one, resolution, capital=capital)}")


def declare_flat(home: Home, text: str, word: str | None, capital: bool, as_json: bool) -> None:
    """Give the trader's word that nothing is held of an instrument; it is asked for where it is None.

    Raises:
        Refused: the word was not given, or the engine knows better.
    """

    async def work(client: Client) -> InstrumentId:
        instrument = session.resolve(text, client.state)
        typed = word
        if typed is None:
            typed = typed_word(FLAT, f"to say that nothing is held of {instrument} ({known(client.state, instrument)})")
        outcome = await client.send(DeclareFlat(instrument, typed, who(), ORIGIN, capital=capital))
        if not outcome.ok:
            raise Refused(outcome.reason, {"instrument": instrument, "reason": outcome.reason})
        return instrument

    instrument = talk(home, work, stream=True)
    if as_json:
        output.write_json({"instrument": instrument, "reason": ""})
    else:
        output.write(f"{instrument}: nothing is held, by your word; its venue is looked at again now")


def known(state: State, instrument: InstrumentId) -> str:
    """Say what our record holds of an instrument, and when its venue was last compared with it."""
    market = state.markets[instrument]
    seen = state.venue(market.venue).compared
    when = f"{market.venue} was compared at {clock(seen)} UTC" if seen else f"{market.venue} was not compared yet"
    return f"our record says {plain(state.ledger.position_of(market).quantity)}, {when}"


def said(one: Difference, resolution: Resolution, *, capital: bool) -> str:
    """Return what a word on a difference does, in words."""
    ours, theirs = plain(one.ours), plain(one.theirs)
    if one.kind is DifferenceKind.FILL:
        return f"it stays booked ({one.what})"
    if resolution is Resolution.KEPT:
        return f"our record stays at {ours}; {one.venue} reports {theirs}"
    if one.kind is DifferenceKind.ORDER:
        return "the order is ours now" if "take it for ours" in one.what else "it is cancelled at the venue"
    how = "" if one.kind is DifferenceKind.POSITION else ", as capital" if capital else ", as profit or loss"
    return f"{ours} → {theirs}{how}"


def show(home: Home, as_json: bool) -> None:
    """Print what differs, and how long ago each venue was compared."""

    async def work(client: Client) -> State:
        return client.state

    state = talk(home, work, stream=True)
    found = list(state.differences.standing.values())
    if as_json:
        output.write_json({"differences": [difference(one) for one in found], "venues": compared(state)})
        return
    rows = [
        (
            str(one.number),
            one.kind.value,
            about(one),
            *sides(one),
            f"kept by {one.kept}" if one.kept else "waits",
            one.what,
        )
        for one in found
    ]
    if rows:
        output.table(("difference", "of", "what", "ours", "venue's", "state", "proposed"), rows, left=7)
        output.write()
        output.write("take the venue's: tradedeck reconcile accept NUMBER · keep ours: tradedeck reconcile keep NUMBER")
    else:
        output.write("our record and the venues' agree")
    for line in compared(state):
        when = f"last compared {clock(line['compared_ns'])} UTC" if line["compared_ns"] else "not compared yet"
        output.write(f"{line['venue']}: {when}")


def sides(one: Difference) -> tuple[str, str]:
    """Return what our record and the venue say; a fill of others is booked already, on both sides."""
    return ("booked", "booked") if one.kind is DifferenceKind.FILL else (plain(one.ours), plain(one.theirs))


def about(one: Difference) -> str:
    """Return what a difference is about, short."""
    name = symbol_of(one.instrument) if one.instrument else str(one.asset)
    return f"{one.venue} {name}" + (f" {one.client_order_id}" if one.client_order_id else "")


def difference(one: Difference) -> dict[str, Any]:
    """Return a difference for JSON."""
    return {
        "number": one.number,
        "kind": one.kind.value,
        "venue": one.venue,
        "instrument": one.instrument,
        "asset": one.asset,
        "client_order_id": one.client_order_id,
        "ours": plain(one.ours),
        "theirs": plain(one.theirs),
        "entry_price": plain(one.entry_price),
        "proposed": one.what,
        "since_ns": one.since,
        "kept_by": one.kept,
    }


def compared(state: State) -> list[dict[str, Any]]:
    """Return when each venue was last compared, for JSON."""
    return [{"venue": name, "compared_ns": view.compared} for name, view in state.venues.items()]
