"""The engine's side of the researcher: who it is, what it tells, and what is handed to it.

The engine trades; studies run elsewhere. It keeps the newest of what the researcher tells and hands questions and
commands on: it reads neither, so that a report of any size costs it one copy.
"""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from typing import Protocol

import msgspec
import structlog

from core.domain import studies as s
from core.domain.message import Data
from core.domain.studies import NO_RESEARCHER
from core.errors import ClientError
from core.session import protocol as p
from core.session.frames import ForResearcher, OfResearcher, Reply, Request

log = structlog.get_logger()
PUBLISH_S = 0.5
"""How often what the researcher told goes on: a study tells of every trial, a trader reads twice a second."""
ANSWER_S = 25.0
"""How long a researcher may take; a client waits a little longer for its answer."""
COMES_S = 4.0
"""How long one that was started, and says it serves, may take until it is here."""
MAX_BODY = 4 * 1024 * 1024
"""The largest answer that is handed on, in bytes: half of what a client may leave unread."""
Work = OfResearcher | ForResearcher
Summon = Callable[[], Awaitable[str]]
"""Starts a researcher and returns why it could not, or nothing."""


class Session(Protocol):
    """A session that said it is the researcher."""

    name: str

    def say(self, frame: object) -> None:
        """Send a frame."""


class Research:
    """Keep which session is the researcher, pass on what it tells, and hand it what it is asked."""

    def __init__(self, tell: Callable[[Data], None], clock: Callable[[], float]) -> None:
        self._tell, self._clock = tell, clock
        self._session: Session | None = None
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[msgspec.Raw]] = {}
        self._told: dict[tuple[str, ...], Data] = {}
        self._published = -PUBLISH_S
        self.summon: Summon | None = None
        self._came, self._summoning = asyncio.Event(), asyncio.Lock()
        self._last, self._trouble = "", ""
        """Who was here last, and why work waits for one, as it was told."""

    # --- who it is --------------------------------------------------------------------------------------------------

    @property
    def attached(self) -> bool:
        """Whether a researcher is here."""
        return self._session is not None

    def join(self, session: Session) -> str:
        """Take a session as the researcher; return why not, or nothing."""
        if self._session is not None:
            return f"a researcher is attached already ({self._session.name}): end that one first"
        self._session = session
        self._last, self._trouble = session.name, ""
        self._came.set()
        self._tell(s.ResearcherStatus(True, session.name, 0))
        return ""

    def leave(self, session: object) -> None:
        """Take note that a session has gone; what only the researcher could answer is answered so."""
        if self._session is None or self._session is not session:
            return
        self.publish(now=True)
        self._tell(s.ResearcherStatus(False, self._session.name, 0))
        self._session = None
        self._came.clear()
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(ClientError("the researcher went away; what became of it is not known"))
        self._waiting.clear()

    def lacks(self, trouble: str) -> None:
        """Tell once why work waits for a researcher that does not come; an empty text: none waits."""
        if self._session is not None or trouble == self._trouble:
            return
        self._trouble = trouble
        if trouble:
            log.warning("studies and the schedule wait for a researcher", reason=trouble)
        self._tell(s.ResearcherStatus(False, self._last, 0, trouble))

    # --- what it tells ----------------------------------------------------------------------------------------------

    def told(self, session: object, message: s.StudyChanged | s.ConfigChanged) -> None:
        """Take what the researcher tells; only the newest of each study and config goes on."""
        if session is not self._session:
            return
        if isinstance(message, s.StudyChanged):
            self._told["study", message.study.id] = message
        else:
            key = ("config", message.config.strategy_id, str(message.config.version))
            self._told.pop(key, None)  # of two that are active the later one counts: it must also go last
            self._told[key] = message

    def publish(self, *, now: bool = False) -> None:
        """Pass on what was told, at most twice a second unless it must be now."""
        if not self._told or (not now and self._clock() - self._published < PUBLISH_S):
            return
        self._published = self._clock()
        told, self._told = self._told, {}
        for message in told.values():
            self._tell(message)

    # --- what it is asked -------------------------------------------------------------------------------------------

    async def ask(self, work: Work) -> msgspec.Raw:
        """Hand a question or a command on, and return the researcher's answer as it came.

        Raises:
            ClientError: there is no researcher, it refused, it went away, or it took too long.
        """
        if self._session is None:
            raise ClientError(NO_RESEARCHER)
        id_ = next(self._ids)
        future: asyncio.Future[msgspec.Raw] = asyncio.get_running_loop().create_future()
        self._waiting[id_] = future
        self._session.say(Request(id_, work))
        try:
            async with asyncio.timeout(ANSWER_S):
                return await future
        except TimeoutError:
            words = f"the researcher did not answer within {ANSWER_S:g} s; what became of it is not known"
            raise ClientError(words) from None
        finally:
            self._waiting.pop(id_, None)

    async def command(self, command: ForResearcher) -> p.Outcome:
        """Hand a command on and return its outcome; where no researcher can be had that is a refusal."""
        refused = await self.fetch()
        if refused:
            return p.Outcome(False, reason=refused)
        try:
            return msgspec.msgpack.decode(await self.ask(command), type=p.Outcome)
        except ClientError as error:
            return p.Outcome(False, reason=str(error))
        except msgspec.DecodeError as error:
            return p.Outcome(False, reason=f"the researcher's answer was not understood ({error}); look before again")

    async def fetch(self) -> str:
        """See that a researcher is here, started if need be; return why there is none, or nothing."""
        async with self._summoning:
            if self._session is not None:
                return ""
            if self.summon is None:
                return NO_RESEARCHER
            refused = await self.summon()
            if refused:
                return refused
            try:
                async with asyncio.timeout(COMES_S):
                    await self._came.wait()
            except TimeoutError:
                return f"a researcher was started and did not come within {COMES_S:g} s; try again in a moment"
            return ""

    def reply(self, session: object, reply: Reply) -> None:
        """Take the researcher's answer to whoever waits for it."""
        future = self._waiting.get(reply.id)
        if session is not self._session or future is None or future.done():
            return
        if reply.error:
            future.set_exception(ClientError(reply.error))
        elif len(bytes(reply.body)) > MAX_BODY:
            words = f"the researcher's answer has {len(bytes(reply.body))} bytes, at most {MAX_BODY} are handed on"
            future.set_exception(ClientError(f"{words}: ask for less"))
        else:
            future.set_result(reply.body)
