"""The session with the engine of whoever runs studies: it tells how they stand, answers about trials and configs."""

import asyncio
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any

from core.domain import studies as s
from core.errors import TradedeckError
from core.session.frames import AskTrial, AskTrials
from core.session.protocol import Outcome
from core.session.research import Work
from core.session.researcher import Researcher
from desk.paths import Home
from desk.research import promoting
from desk.research.studying import folder_of


class StudySession(ABC):
    """Hold one session at most; without one nothing is told. ``say`` is given what keeps configs from being shown."""

    def __init__(self, home: Home, say: Callable[[str], object]) -> None:
        self._home, self._say = home, say
        self._session: Researcher | None = None
        self._finding = threading.Lock()
        self._found_in: tuple[tuple[Path, int], Any] | None = None
        """The study that was asked about last: its data are read once, its trials each time."""

    async def attach(self, name: str) -> Researcher:
        """Open the session.

        Raises:
            NoEngine: nobody answers there.
        """
        self._session = await Researcher.attach(self._home.engine_socket, name, self.answer)
        return self._session

    @property
    def is_heard(self) -> bool:
        """Whether the engine hears what is told."""
        return self._session is not None and not self._session.lost

    async def close(self) -> None:
        """End the session, where there is one."""
        if self._session is not None:
            await self._session.close()

    def publish(self, study: s.Study) -> None:
        """Tell how a study stands."""
        if self._session is not None and not self._session.lost:
            self._session.publish(study)

    async def tell_configs(self) -> None:
        """Tell every version of every config."""
        try:
            configs = await asyncio.to_thread(promoting.configs, self._home)
        except TradedeckError as error:
            self._say(f"the configs are not shown: {error}")
            return
        for config in configs:
            if self._session is not None and not self._session.lost:
                self._session.publish_config(config)

    async def answer(self, work: Work) -> object:
        """Answer a terminal's question or carry out its command.

        Raises:
            ResearchError: there is no such study or trial, or what was commanded cannot be.
        """
        if isinstance(work, AskTrials | AskTrial):
            return await asyncio.to_thread(self._found, work)
        if isinstance(work, s.PromoteTrial | s.RollBackConfig):
            outcome = await promoting.answer(self._home, work)
            await self.tell_configs()
            return outcome
        return await self.carry_out(work)

    @abstractmethod
    async def carry_out(self, work: s.StartStudy | s.StopStudy | s.ScheduleJob) -> Outcome:
        """Carry out what concerns studies and their schedule."""

    def _found(self, work: AskTrials | AskTrial) -> s.Trials | s.TrialReport:
        from research.validation.findings import Findings

        folder = folder_of(self._home, work.study)
        with self._finding:  # one back-test at a time beside the workers
            key = (folder, (folder / "study.toml").stat().st_mtime_ns)
            if self._found_in is None or self._found_in[0] != key:
                self._found_in = (key, Findings(folder))  # a trader looks at one study, every two seconds
            findings: Findings = self._found_in[1]
            return findings.trials(work.limit) if isinstance(work, AskTrials) else findings.report(work.trial)
