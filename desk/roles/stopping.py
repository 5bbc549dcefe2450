"""End the roles of a home, and refuse while something is at risk."""

from core.domain.commands import Flatten, StopEngine
from core.domain.identifiers import InstrumentId
from core.errors import ClientError, NoEngine
from core.session.client import Client
from desk.exits import held, wait_flat
from desk.output import Refused
from desk.paths import Home, Role
from desk.roles import services
from desk.roles.fallen import words_of_a_fallen
from desk.session import ORIGIN, require, talk
from store.lease import read_lease
from store.postgres import PostgresServer

FLATTEN_SECONDS = 30.0


def stop(home: Home, *, leave: bool, flatten: bool, keep_market: bool) -> list[str]:
    """End what runs and return its names; the sentinel is disarmed first, then the engine while the market answers.

    The home's own PostgreSQL, which the engine may need, is the last.

    Raises:
        Refused: something is open, or an engine fell and nobody knows what is, and neither ``leave`` nor ``flatten``
            was said; or the sentinel holds the lease.
        ClientError: the positions could not be closed; everything still runs.
        StoreError: a role or PostgreSQL does not end.
    """
    asked = [Role.SENTINEL, Role.ENGINE, Role.RESEARCHER, Role.RECORDER, *([] if keep_market else [Role.MARKET])]
    there = [role for role in asked if services.running(home, role) is not None]
    if Role.ENGINE in there:
        try:
            _dismiss(home, leave=leave, flatten=flatten)
        except NoEngine as error:
            if not leave:
                raise NoEngine(f"{_found(home) or error}; --leave ends it without asking what is open") from error
    elif set(there) - {Role.RESEARCHER} and not leave:
        _refuse_unknown(home, there)
    # Each is looked for anew: until it ended, the engine may have started a researcher.
    ended = [role.value for role in asked if services.stop(home, role) or role in there]
    if PostgresServer(home.postgres, home.reach / home.postgres.name).stop():
        ended.append("postgres")
    return ended


def _dismiss(home: Home, *, leave: bool, flatten: bool) -> None:
    async def work(client: Client) -> None:
        if flatten:
            require(await client.send(Flatten(None, ORIGIN)))
            left = await wait_flat(client, None, FLATTEN_SECONDS)
            if left:
                raise ClientError(f"not flat after {FLATTEN_SECONDS:g} s: {', '.join(left)}; nothing was stopped")
        left = held(client.state, None)
        if left and not leave:
            raise _open_risk(left)
        watched = services.stop(home, Role.SENTINEL)  # disarmed: the engine's end is wanted
        outcome = await client.send(StopEngine(leave, ORIGIN))
        if not outcome.ok:
            if watched:
                services.start(home, Role.SENTINEL)
            raise Refused(outcome.reason, {"stopped": [], "reason": outcome.reason})

    talk(home, work, stream=True)


def _found(home: Home) -> str:
    """Say of an engine that only its heartbeat tells of it: its socket went with its lock."""
    there = services.running(home, Role.ENGINE)
    if there is None or there.detail != services.LOCK_GONE:
        return ""
    return (
        f"an engine runs (pid {there.pid}): it beats, but its lock and its socket in {home.engine_socket.parent} were "
        "removed, so that nobody can ask it; nothing was stopped"
    )


def _refuse_unknown(home: Home, there: list[Role]) -> None:
    """Refuse where an engine fell: what it held may still be open, and only an engine or the sentinel knows."""
    lease = read_lease(home.lease)
    if lease.held and Role.SENTINEL in there:
        what = f"the engine is dead and the sentinel holds the lease ({lease.reason})"
        advice = f"start the engine ({home.line()}) to see what is open, or --leave to end the sentinel too"
    elif what := words_of_a_fallen(home):
        advice = f"start the engine ({home.line()}) to see what is, or --leave to end the rest without asking"
    else:
        return
    reason = f"{what}: nothing was stopped; {advice}"
    raise Refused(reason, {"stopped": [], "reason": reason})


def _open_risk(left: list[InstrumentId]) -> Refused:
    reason = (
        f"open positions or orders in {', '.join(left)}: nothing was stopped; "
        "--flatten closes them first, --leave leaves them as they are"
    )
    return Refused(reason, {"stopped": [], "open": left, "reason": reason})
