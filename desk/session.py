"""One session with the engine, for the length of a command."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TypeVar

from core.domain.identifiers import InstrumentId, InstrumentType, parse_id, symbol_of
from core.domain.instrument import Instrument
from core.errors import ClientError, InvalidInstrumentId, NoEngine, StoreError
from core.session.client import Client
from core.session.protocol import Outcome
from core.state.state import State
from desk.output import Refused, UsageFault
from desk.paths import Home, Role
from desk.roles import services
from desk.roles.fallen import words_of_a_fallen
from store.lease import read_lease

T = TypeVar("T")
ORIGIN = "cli"
_STARTS = "; start it with: tradedeck engine"
"""How the client ends: it knows no home, and an engine alone has neither market nor sentinel."""


def talk(home: Home, work: Callable[[Client], Awaitable[T]], *, stream: bool = False) -> T:
    """Open a session, do the work and return its result; with ``stream`` the client holds the engine's picture.

    Raises:
        NoEngine: nobody answers.
    """

    async def session() -> T:
        try:
            client = await Client.connect(home.engine_socket, ORIGIN, stream=stream)
        except NoEngine as error:
            raise unanswered(home, error) from None
        try:
            return await work(client)
        finally:
            await client.close()

    return asyncio.run(session())


def unanswered(home: Home, error: NoEngine) -> NoEngine:
    """Return an error of the client's with what this home knows of its engine, and the line that starts it."""
    said = str(error).removesuffix(_STARTS)
    if said == str(error):
        return NoEngine(f"{error}{lease_words(home)}")
    there = services.running(home, Role.ENGINE)
    if there is not None:
        pid = f" (pid {there.pid})" if there.pid else ""
        return NoEngine(f"{said}, though one runs{pid}: try again in a moment, or see {home.log(Role.ENGINE)}")
    return NoEngine(f"{said}{missing_engine(home)}")


def missing_engine(home: Home) -> str:
    """Say what an engine that does not run left behind, and what starts all that is missing."""
    held, fell = lease_words(home), ""
    if not held:  # whoever holds the lease says what it did
        with contextlib.suppress(StoreError):
            fell = words_of_a_fallen(home)
    return f"{f'; {fell}' if fell else ''}; start what is missing with: {home.line()}{held}"


def lease_words(home: Home) -> str:
    """Say what the sentinel did where it holds the lease: whoever misses an engine may miss a position too."""
    try:
        lease = read_lease(home.lease)
    except StoreError:
        return ""
    since = datetime.fromtimestamp(lease.since_ns / 1e9, UTC).strftime("%Y-%m-%d %H:%M:%S")
    return f". The sentinel holds the lease since {since} UTC: {lease.reason}" if lease.held else ""


def known_instruments(state: State) -> list[Instrument]:
    """Return what the engine trades, in its order."""
    return [market.instrument for market in state.markets.values()]


def resolve(text: str, state: State) -> InstrumentId:
    """Return the instrument that an id, a held asset's id or a short symbol names.

    Raises:
        UsageFault: nothing or more than one thing fits.
        InvalidInstrumentId: the text has the form of an id and breaks its grammar.
    """
    known = known_instruments(state)
    if ":" not in text:
        return _by_symbol(text, known)
    key = parse_id(text)
    if key.type is InstrumentType.SPOT_ASSET:
        pair = next((item.id for item in known if item.holding == key.id), None)
        if pair is not None:
            return pair
    return key.id


def _by_symbol(text: str, known: list[Instrument]) -> InstrumentId:
    fits = [item.id for item in known if symbol_of(item.id) == text.upper()]
    if len(fits) == 1:
        return fits[0]
    if fits:
        raise UsageFault(f'"{text}" fits {" and ".join(fits)}; write the whole id')
    example = known[0].id if known else "BINANCE-SPOT:SPOT_PAIR:BTC-USDT"
    raise InvalidInstrumentId(
        text, "the form", "must be [ASSET_CLASS:]VENUE:TYPE:PAYLOAD[@SUFFIX] or a listed symbol", example
    )


def require(outcome: Outcome) -> Outcome:
    """Return an outcome that went well.

    Raises:
        Refused: the guardian said no.
        ClientError: the engine could not do it.
    """
    if outcome.ok:
        return outcome
    if not outcome.limit and not outcome.orders:
        raise ClientError(outcome.reason)
    answer = {
        "client_order_id": outcome.orders[0] if outcome.orders else None,
        "status": outcome.status,
        "limit": outcome.limit,
        "value": outcome.value,
        "bound": outcome.bound,
        "reason": outcome.reason,
        "setting": outcome.setting,
    }
    raise Refused(outcome.reason, answer)
