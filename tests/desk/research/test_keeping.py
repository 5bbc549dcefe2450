"""A researcher that nobody commands: it comes for work that waits, ever less often while none stays."""

import asyncio
import itertools
from collections.abc import Callable
from pathlib import Path

import pytest

from core.alerts.conditions import Conditions
from core.config.settings import AlertSettings
from core.domain import studies as s
from core.domain.message import Data
from core.engine import Engine
from core.session import views
from core.session.research import Research
from core.state.state import State
from desk.paths import Home
from desk.research.keeping import AWAY_S, LOOK_S, MOST_S, STAYED_S, Keeper, Pauses
from desk.research.summoning import EXTRA, Summoner

DAY_S = 86_400


def tries(day: Callable[[float, Pauses], bool]) -> list[float]:
    """Look at pauses for a day and return when one was started; ``day`` tells whether one is here then."""
    pauses, found = Pauses(0.0), list[float]()
    now = 0.0
    while now < DAY_S:
        now += LOOK_S
        if pauses.is_over(day(now, pauses), now):
            pauses.tried(now)
            found.append(now)
    return found


def test_one_that_never_stays_is_started_ever_less_often() -> None:
    found = tries(lambda now, pauses: False)
    assert found[:4] == [AWAY_S, 3 * AWAY_S, 7 * AWAY_S, 15 * AWAY_S]
    gaps = [later - before for before, later in itertools.pairwise(found)]
    assert gaps == sorted(gaps)
    assert max(gaps) == MOST_S
    assert len(found) < 35, "no storm, and no day without"


def test_one_that_dies_as_soon_as_it_was_seen_makes_no_storm_either() -> None:
    came = [0.0]

    def here(now: float, pauses: Pauses) -> bool:
        if pauses.tries and came[0] < pauses.tries:
            came[0] = pauses.tries
            return True
        return False

    assert 8 < len(tries(here)) < 35


def test_one_that_stayed_is_started_again_at_once() -> None:
    pauses = Pauses(0.0)
    for now in (30.0, 90.0, 210.0):
        assert pauses.is_over(False, now)
        pauses.tried(now)
    assert not pauses.is_over(True, 220.0)
    assert not pauses.is_over(True, 220.0 + STAYED_S - 1)
    assert pauses.pause == 8 * AWAY_S
    assert not pauses.is_over(True, 220.0 + STAYED_S)
    gone = 230.0 + STAYED_S
    assert not pauses.is_over(False, gone)
    assert not pauses.is_over(False, gone + AWAY_S - 1)
    assert pauses.is_over(False, gone + AWAY_S)


class House:
    """What an engine knows of its researcher, on a clock of the test's."""

    def __init__(self, *, work: bool = True) -> None:
        self.now, self.work, self.looked = 0.0, work, 0
        self.told = list[Data]()
        self.state = State()
        self.research = Research(self.tell, lambda: self.now)
        self.keeper = Keeper(self.research, self.has_work, lambda: self.now)

    def tell(self, data: Data) -> None:
        self.told.append(data)
        self.state.apply(data.replace(ts=int(self.now)))

    def has_work(self) -> bool:
        self.looked += 1
        return self.work

    async def goes_on(self, seconds: float) -> None:
        until = self.now + seconds
        while self.now < until:
            self.now += LOOK_S
            await self.keeper.look()


class Here:
    """A researcher that is attached."""

    name = "lab"

    def say(self, frame: object) -> None:
        """Hear nothing."""


async def test_why_none_comes_is_said_once_and_over_when_one_is_here() -> None:
    house = House()
    asked = [0]

    async def refuses() -> str:
        asked[0] += 1
        return EXTRA

    house.research.summon = refuses
    await house.goes_on(AWAY_S - LOOK_S)
    assert (asked[0], house.looked, house.told) == (0, 0, []), "one that only starts late is left time"
    await house.goes_on(7200)
    assert 5 < asked[0] < 12
    assert [one.trouble for one in house.told if isinstance(one, s.ResearcherStatus)] == [EXTRA]
    assert house.state.studies.waits == EXTRA
    assert views.status(house.state, 0, journal="ok", clients=0).research == EXTRA
    assert State.from_image(house.state.image(client=True)).studies.waits == EXTRA
    found = [one.text for one in Conditions(AlertSettings(), Engine().guardian).look(house.state, 1, lambda _: False)]
    assert found == [f"studies and the schedule wait: {EXTRA}"]
    assert house.research.join(Here()) == ""
    assert house.state.studies.waits == ""


async def test_one_that_comes_and_goes_is_told_of_and_files_are_looked_at_only_while_none_is_here() -> None:
    house, here, started = House(), Here(), list[float]()

    async def comes() -> str:
        assert house.research.join(here) == ""
        started.append(house.now)
        return ""

    house.research.summon = comes
    await house.goes_on(AWAY_S)
    assert started == [AWAY_S]
    looked = house.looked
    await house.goes_on(5 * LOOK_S)
    assert house.looked == looked == 1
    house.research.leave(here)
    came = house.state.studies.since
    await house.goes_on(LOOK_S)
    assert house.state.studies.waits == "a researcher was started once and does not stay; the next try after 60 s"
    assert house.state.studies.since == came, "it went when it went"
    assert house.state.studies.researcher == "lab"
    house.work = False
    await house.goes_on(LOOK_S)
    assert house.state.studies.waits == "", "nobody waits any more"
    await house.goes_on(DAY_S / 10)
    assert len(started) == 1
    house.work = True
    await house.goes_on(LOOK_S)
    assert len(started) == 2


async def test_without_work_none_is_started() -> None:
    house = House(work=False)

    async def comes() -> str:
        pytest.fail("nothing waits for it")

    house.research.summon = comes
    await house.goes_on(600)
    assert house.told == []


async def test_an_engine_that_ends_waits_for_no_researcher_that_starts(tmp_path: Path) -> None:
    summoner = Summoner(Home(tmp_path / "home").create(), supervised=False)
    summoner.keep(Research(lambda _: None, lambda: 0.0))
    coming = asyncio.ensure_future(summoner())
    summoner.end()
    assert "was given up" in await asyncio.wait_for(coming, 60)
    assert summoner._keeping is not None
    await asyncio.wait({summoner._keeping}, timeout=60)
    assert summoner._keeping.cancelled()
