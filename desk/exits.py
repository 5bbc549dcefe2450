"""Exits and the trading state from the command line."""

import asyncio
import os
import pwd
import sys
from typing import Any

from core.domain.approval import TradingState, reason_of
from core.domain.commands import Flatten, SetTradingState
from core.domain.identifiers import InstrumentId
from core.session.client import Client
from core.session.protocol import AskStatus
from core.state.outright import is_unsellable
from core.state.state import State
from desk import answers, output
from desk.output import Refused
from desk.paths import Home
from desk.session import ORIGIN, require, resolve, talk
from desk.streams import typed
from desk.ticket import wake_by

WORD = "RESUME"


def who() -> str:
    """Return the name of the person at the keyboard, for the journal."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def typed_word(word: str = WORD, what: str = "to let every order pass again") -> str:
    """Ask for a word that is not said by accident."""
    if sys.stdin.isatty():
        output.say(f"type {word} {what}:")
    return sys.stdin.readline().strip()


def set_state(home: Home, state: TradingState, reason: str, word: str, as_json: bool) -> None:
    """Ask for a trading state and say what it is now.

    Raises:
        Refused: loosening without the typed word.
    """
    reason, word = typed(reason), typed(word)
    command = SetTradingState(state, reason, word, who(), ORIGIN)

    async def work(client: Client) -> None:
        outcome = await client.send(command)
        if not outcome.ok:
            stands = (await client.ask(AskStatus())).state
            raise Refused(outcome.reason, {"state": stands, "reason": outcome.reason})

    talk(home, work)
    told = reason_of(reason, "resumed" if state is TradingState.ACTIVE else "asked for")
    if as_json:
        output.write_json({"state": state, "reason": told})
    else:
        output.write(f"{state}: {told}")


def held(state: State, instrument: InstrumentId | None) -> list[InstrumentId]:
    """Return what is still held or working, of one instrument or of all; dust is not held, as in the engine."""
    found: dict[InstrumentId, None] = {}
    for market in state.markets.values():
        id_ = market.instrument.id
        if instrument not in (None, id_):
            continue
        position = state.ledger.positions.get(market.holding)
        if state.blotter.of(id_) or (position is not None and not is_unsellable(market, position.quantity)):
            found[id_] = None
    return list(found)


async def wait_flat(client: Client, instrument: InstrumentId | None, wait: float) -> list[InstrumentId]:
    """Wait until nothing is held or works, and return what still does."""
    changed = asyncio.Event()
    wake_by(client, changed)
    loop = asyncio.get_running_loop()
    until = loop.time() + wait
    while (left := held(client.state, instrument)) and loop.time() < until and not client.lost:
        changed.clear()
        try:
            await asyncio.wait_for(changed.wait(), until - loop.time())
        except TimeoutError:
            break
    return left


def flatten(home: Home, text: str | None, wait: float, as_json: bool) -> bool:
    """Close one position or all, wait until that is done, say what came of it, and return whether all is flat.

    Raises:
        Refused: the engine said no.
    """

    async def work(client: Client) -> dict[str, Any]:
        instrument = resolve(text, client.state) if text is not None else None
        outcome = require(await client.send(Flatten(instrument, ORIGIN)))
        left = await wait_flat(client, instrument, wait)
        records = [client.state.blotter.orders.get(id_) for id_ in outcome.orders]
        return {
            "flat": not left,
            "remaining": left,
            "orders": [answers.order(record) for record in records if record is not None],
        }

    answer = talk(home, work, stream=True)
    if as_json:
        output.write_json(answer)
        return bool(answer["flat"])
    for order in answer["orders"]:
        average = f" at {order['average_price']}" if order["average_price"] else ""
        output.write(
            f"{order['client_order_id']} {order['status']}: {order['side']} {order['quantity']} "
            f"{order['instrument']}, filled {order['filled']}{average}"
        )
    output.write("flat" if answer["flat"] else f"not flat yet: {', '.join(answer['remaining'])}; the engine goes on")
    return bool(answer["flat"])
