"""End the roles of a home, and refuse while something is at risk."""

from core.client import Client
from core.domain.commands import Flatten, StopEngine
from core.domain.identifiers import InstrumentId
from core.errors import ClientError, NoEngine
from desk import services
from desk.exits import held, wait_flat
from desk.output import Refused
from desk.paths import Home, Role
from desk.session import ORIGIN, require, talk

FLATTEN_SECONDS = 30.0


def stop(home: Home, *, leave: bool, flatten: bool, keep_market: bool) -> list[str]:
    """End what runs and return its names; the engine first, while the market still answers it.

    Raises:
        Refused: positions or orders are open and neither ``leave`` nor ``flatten`` was said.
        ClientError: the positions could not be closed; everything still runs.
    """
    asked = [Role.ENGINE, Role.RECORDER, *([] if keep_market else [Role.MARKET])]
    there = [role for role in asked if services.running(home, role) is not None]
    if Role.ENGINE in there:
        try:
            _dismiss(home, leave=leave, flatten=flatten)
        except NoEngine as error:
            if not leave:
                raise NoEngine(f"{error}; --leave ends it without asking what is open") from error
    for role in there:
        services.stop(home, role)
    return [role.value for role in there]


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
        outcome = await client.send(StopEngine(leave, ORIGIN))
        if not outcome.ok:
            raise Refused(outcome.reason, {"stopped": [], "reason": outcome.reason})

    talk(home, work, stream=True)


def _open_risk(left: list[InstrumentId]) -> Refused:
    reason = (
        f"open positions or orders in {', '.join(left)}: nothing was stopped; "
        "--flatten closes them first, --leave leaves them as they are"
    )
    return Refused(reason, {"stopped": [], "open": left, "reason": reason})
