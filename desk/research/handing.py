"""Hand a study to the researcher of a home, and follow it from the shell."""

import time
from pathlib import Path

from core.domain.studies import Study, StudyState
from core.errors import ResearchError
from desk.output import say
from desk.paths import Home, Role
from desk.research.studying import Progress
from desk.research.summoning import bring, can_research
from desk.research.wanted import is_wanted, want, wanted
from desk.roles import services
from research.study.standing import read_state

LOOK_S = 0.5
GONE_S = 60.0
"""A researcher that is not seen for so long does not come back soon: systemd or an engine had started one."""


def has_researcher(home: Home) -> bool:
    """Tell whether a researcher does this home's studies: one runs, or an engine does, beside which one is started."""
    if services.running(home, Role.RESEARCHER) is not None:
        return True
    return can_research() and services.running(home, Role.ENGINE) is not None


def hand_over(home: Home, folder: Path, *, quiet: bool) -> Study:
    """Ask for a study and follow it until it is over; an interrupt leaves it to the researcher.

    Raises:
        StoreError: no researcher can be started.
        ResearchError: it went away and did not come back; the study stays asked for.
    """
    want(folder)
    bring(home)
    name = folder.name
    say(f"{name} is the researcher's now; Ctrl-C leaves it running, tradedeck study stop {name} ends it")
    before = [one.name for one in wanted(home) if one != folder]
    if before and not quiet:
        say(f"asked for before it: {', '.join(before)}")
    shown = Progress(quiet)
    try:
        return _followed(home, folder, shown)
    finally:
        shown.end()


def _followed(home: Home, folder: Path, shown: Progress) -> Study:
    seen = time.monotonic()
    while is_wanted(folder):
        stands = read_state(folder)
        if stands is not None and stands.state in (StudyState.RUNNING, StudyState.PAUSED):
            shown.show(stands)
        if services.running(home, Role.RESEARCHER) is not None:
            seen = time.monotonic()
        elif time.monotonic() - seen > GONE_S:
            raise ResearchError(
                f"the researcher has gone; {folder.name} stays asked for and goes on when one runs again: "
                f"{home.line()}, or see {home.log(Role.RESEARCHER)}"
            )
        time.sleep(LOOK_S)
    stands = read_state(folder)
    if stands is None:
        raise ResearchError(f"{folder.name} was given up before it began; see {home.log(Role.RESEARCHER)}")
    return stands
