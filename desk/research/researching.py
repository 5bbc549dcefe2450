"""The researcher's role: a process at idle priority that outlives whoever started it."""

import asyncio
import os

from core.errors import ResearchError
from desk.paths import HOME_VARIABLE, Home, Role
from desk.research.summoning import EXTRA, can_research
from desk.roles import services
from desk.roles.roles import role, serve


def run_researcher(home: Home) -> None:
    """Run the researcher until it is told to stop.

    Raises:
        ResearchError: the extra is not installed.
    """
    if not can_research():
        raise ResearchError(EXTRA)
    from desk.research.laboratory import Laboratory
    from research.study.idling import give_way

    os.environ[HOME_VARIABLE] = str(home.root)  # the workers find the imported candles by it
    with role(home, Role.RESEARCHER) as (settings, _):
        home.studies.mkdir(mode=0o700, exist_ok=True)

        def ready() -> None:
            services.ready()
            give_way()  # only now: whoever started it waits for that word

        async def work(stop: asyncio.Event) -> None:
            await Laboratory(home, settings.research.pause_late_ms).run(stop, ready)

        serve(work, fast=False)
