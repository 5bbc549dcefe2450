"""The researcher's side of its session with the engine: tell how studies stand, answer what is asked."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Self

import msgspec

from core.domain import studies as s
from core.errors import TradedeckError
from core.session import wire
from core.session.client import Client
from core.session.frames import Publish, Reply, Request
from core.session.research import Work

Answering = Callable[[Work], Awaitable[object]]


async def _no_answer(work: Work) -> object:
    raise TradedeckError(f"this researcher has no answer to {type(work).__name__}")


class Researcher(Client):
    """A client that is the engine's researcher.

    ``answer`` is called for each question and command: it returns a ``Trials``, a ``TrialReport`` or an ``Outcome``, or
    raises a ``TradedeckError`` whose sentence the trader reads.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        super().__init__(reader, writer)
        self.answer: Answering = _no_answer
        self._answering: set[asyncio.Task[None]] = set()

    @classmethod
    async def attach(cls, path: Path, name: str, answer: Answering) -> Self:
        """Open the session.

        Raises:
            NoEngine: nobody answers there.
        """
        client = await cls.connect(path, name, stream=False, researcher=True)
        assert isinstance(client, cls)
        client.answer = answer
        return client

    def publish(self, study: s.Study) -> None:
        """Tell how a study stands; as often as one likes, the engine passes on the newest."""
        self._write(Publish(s.StudyChanged(study, 0)))

    def publish_config(self, config: s.Config) -> None:
        """Tell how a version of a config stands."""
        self._write(Publish(s.ConfigChanged(config, 0)))

    def _take(self, frame: Any) -> None:
        if not isinstance(frame, Request):
            super()._take(frame)
            return
        task = asyncio.get_running_loop().create_task(self._respond(frame))
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    async def _respond(self, request: Request) -> None:
        try:
            body = msgspec.Raw(wire.encode(await self.answer(request.work)))
        except TradedeckError as error:
            self._write(Reply(request.id, error=str(error) or type(error).__name__))
        except Exception as error:  # task boundary: whoever asked must hear of it
            self._write(Reply(request.id, error=f"the researcher failed on it: {error!r}"))
        else:
            self._write(Reply(request.id, body))

    async def close(self) -> None:
        """End the session, and what is being answered."""
        for task in tuple(self._answering):
            task.cancel()
        await asyncio.gather(*self._answering, return_exceptions=True)
        await super().close()
