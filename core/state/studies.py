"""What is known of studies and configs: a part of the state, changed by what the researcher tells, never journalled."""

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec.structs import replace

from core.domain import studies as s
from core.domain.message import Nanoseconds

STUDIES = 100
"""Studies kept; the one that was told of longest ago goes first."""
CONFIGS = 200
"""Versions of configs kept over all strategies; the oldest history goes first, an active one never."""


class StudyImage(msgspec.Struct, frozen=True, array_like=True):
    """Everything as one value, for a client's first picture."""

    researcher: str = ""
    attached: bool = False
    since: Nanoseconds = 0
    studies: tuple[s.Study, ...] = ()
    configs: tuple[s.Config, ...] = ()
    trouble: str = ""
    waits: str = ""


class StudyBook:
    """Hold the studies and the configs as the researcher told them last."""

    def __init__(self) -> None:
        self.researcher = ""
        self.attached = False
        self.since: Nanoseconds = 0
        """When the researcher came or went; 0 when there was none since the engine's start."""
        self.studies: dict[str, s.Study] = {}
        self.configs: dict[tuple[str, int], s.Config] = {}
        self.trouble = ""
        """Why the engine does not hear of promotions; empty where it does."""
        self.waits = ""
        """Why studies or the schedule wait for a researcher that does not come; empty where nothing does."""

    def handlers(self) -> dict[type, Callable[[Any], None]]:
        """Return what takes each message that concerns studies."""
        return {
            s.ResearcherStatus: self.status,
            s.StudyChanged: self.study,
            s.ConfigChanged: self.config,
            s.ConfigsStatus: self.told,
        }

    def status(self, status: s.ResearcherStatus) -> None:
        """Take that a researcher came, went or does not come; one that comes tells everything anew."""
        if status.attached or self.attached:
            self.since = status.ts
        self.attached, self.researcher, self.waits = status.attached, status.name, status.trouble
        if status.attached:
            self.studies.clear()
            self.configs.clear()

    def study(self, message: s.StudyChanged) -> None:
        """Take how a study stands."""
        study = message.study
        if study.id not in self.studies and len(self.studies) >= STUDIES:
            done = (id_ for id_, kept in self.studies.items() if kept.state is not s.StudyState.RUNNING)
            del self.studies[next(done, next(iter(self.studies)))]
        self.studies[study.id] = study

    def config(self, message: s.ConfigChanged) -> None:
        """Take a version of a config; of one strategy only one is active, and none behind it."""
        config = message.config
        before = self.active(config.strategy_id)
        active = config.status is s.ConfigStatus.ACTIVE
        if before is not None and (active or config.version > before.version):
            self.configs[before.strategy_id, before.version] = replace(before, status=s.ConfigStatus.HISTORY)
        self.configs[config.strategy_id, config.version] = config
        if len(self.configs) > CONFIGS:
            past = [kept for kept in self.configs.values() if kept.status is s.ConfigStatus.HISTORY]
            oldest = min(past or self.configs.values(), key=lambda kept: kept.promoted_at)
            del self.configs[oldest.strategy_id, oldest.version]

    def told(self, status: s.ConfigsStatus) -> None:
        """Take whether promotions are heard of."""
        self.trouble = status.trouble

    def active(self, strategy_id: str) -> s.Config | None:
        """Return the config that a strategy runs by."""
        for config in self.configs.values():
            if config.strategy_id == strategy_id and config.status is s.ConfigStatus.ACTIVE:
                return config
        return None

    def image(self) -> StudyImage:
        """Return everything as one value."""
        return StudyImage(
            self.researcher,
            self.attached,
            self.since,
            tuple(self.studies.values()),
            tuple(self.configs.values()),
            self.trouble,
            self.waits,
        )

    def restore(self, image: StudyImage) -> None:
        """Take over what an image holds."""
        self.researcher, self.attached, self.since = image.researcher, image.attached, image.since
        self.trouble, self.waits = image.trouble, image.waits
        self.studies = {study.id: study for study in image.studies}
        self.configs = {(config.strategy_id, config.version): config for config in image.configs}
