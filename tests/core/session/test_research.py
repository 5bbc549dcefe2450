"""A researcher over a real socket: what it tells reaches every client, what it is asked comes back, and it may go."""

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from core.config.settings import AlertSettings
from core.domain import market as m
from core.domain import studies as s
from core.domain.studies import NO_RESEARCHER
from core.engine import Engine
from core.errors import ClientError
from core.session import protocol as p
from core.session import research, views
from core.session.client import Client
from core.session.frames import AskTrial, AskTrials
from core.session.research import PUBLISH_S, Research
from core.session.researcher import Researcher
from core.state.state import State, StateImage
from core.state.studies import CONFIGS, STUDIES, StudyBook
from tests.core.session.test_session import Desk, until

RUNNING = s.StudyState.RUNNING
STUDY = s.Study("rsi-ema", "rsi-ema", RUNNING, 1240, 4000, 3, 8, 1.22, 40.0, 360.0)
TRIAL = s.Trial(812, 1.22, 2.44, 0.489, 0.2, 2.0, 418, 0.71, 0.94, 0.18, 7, 8)
CONFIG = s.Config(
    "rsi-ema", 6, s.ConfigStatus.ACTIVE, (), {"rsi": 14}, 2.0, "isolated", 0.1, 0.9, "rsi-ema", 655, 1, "anna"
)


class Lab:
    """What a researcher answers, and what it was asked."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.hold = asyncio.Event()
        self.hold.set()

    async def answer(self, work: Any) -> object:
        self.asked.append(work)
        await self.hold.wait()
        if isinstance(work, AskTrials):
            return s.Trials((TRIAL,) * min(work.limit, 3), 1240)
        if isinstance(work, AskTrial):
            if work.trial != TRIAL.number:
                raise ClientError(f"trial {work.trial} is not known")
            return s.TrialReport(
                work.study, "rsi-ema", TRIAL, parameters={"rsi": 14, "on": True, "kind": "x", "q": 0.5}
            )
        if isinstance(work, s.StartStudy):
            raise LookupError("a bug")  # noqa: TRY004 -- stands for any bug
        return p.Outcome(True) if isinstance(work, s.PromoteTrial) else TRIAL


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    """Give a desk that listens."""
    made = Desk(tmp_path / "s.sock")
    await made.server.start()
    yield made
    await made.server.stop("test over")


async def test_what_a_researcher_tells_reaches_every_client_and_is_kept_for_the_next(desk: Desk) -> None:
    lab = Lab()
    early = await Client.connect(desk.server.path, "early")
    researcher = await Researcher.attach(desk.server.path, "lab", lab.answer)
    for done in range(1, 301):
        researcher.publish(replace(STUDY, trials_done=done))
    researcher.publish_config(CONFIG)
    await until(lambda: early.state.studies.active("rsi-ema") == CONFIG)
    await until(lambda: early.state.studies.studies["rsi-ema"].trials_done == 300)
    late = await Client.connect(desk.server.path, "late")
    for client in (early, late):
        book = client.state.studies
        assert (book.attached, book.researcher) == (True, "lab")
        assert book.studies["rsi-ema"].trials_done == 300
        assert list(book.configs.values()) == [CONFIG]
    await researcher.close()
    await until(lambda: not early.state.studies.attached and not late.state.studies.attached)
    assert early.state.studies.studies["rsi-ema"].trials_done == 300, "what was known stays, as what was known"
    await early.close()
    await late.close()


def test_of_many_tellings_between_two_looks_only_the_newest_goes_on() -> None:
    told: list[Any] = []
    now = [100.0]
    desk = Research(told.append, lambda: now[0])
    session = type("Session", (), {"name": "lab", "say": lambda self, frame: None})()
    assert desk.join(session) == ""
    desk.publish()
    for done in range(50):
        desk.told(session, s.StudyChanged(replace(STUDY, trials_done=done), 0))
        desk.publish()
    assert [message.study.trials_done for message in told[1:]] == [0]
    now[0] += PUBLISH_S
    desk.publish()
    assert [message.study.trials_done for message in told[1:]] == [0, 49]
    desk.told(object(), s.StudyChanged(STUDY, 0))
    desk.told(session, s.StudyChanged(replace(STUDY, trials_done=77), 0))
    desk.leave(session)
    assert told[3].study.trials_done == 77
    assert told[-1] == s.ResearcherStatus(False, "lab", 0)


async def test_questions_and_commands_go_to_the_researcher_and_its_answer_comes_back(desk: Desk) -> None:
    lab = Lab()
    researcher = await Researcher.attach(desk.server.path, "lab", lab.answer)
    client = await Client.connect(desk.server.path, "me")
    assert (await client.ask(AskTrials("rsi-ema", 2))) == s.Trials((TRIAL, TRIAL), 1240)
    report = await client.ask(AskTrial("rsi-ema", 812))
    assert report.parameters == {"rsi": 14, "on": True, "kind": "x", "q": 0.5}
    with pytest.raises(ClientError, match="trial 5 is not known"):
        await client.ask(AskTrial("rsi-ema", 5))
    assert (await client.send(s.PromoteTrial("rsi-ema", 812, 6, "terminal"))).ok
    assert lab.asked[-1] == s.PromoteTrial("rsi-ema", 812, 6, "terminal")
    outcome = await client.send(s.StopStudy("rsi-ema"))
    assert not outcome.ok
    assert "not understood" in outcome.reason
    outcome = await client.send(s.StartStudy("x.toml"))
    assert outcome.reason == "the researcher failed on it: LookupError('a bug')"
    await client.close()
    await researcher.close()


async def test_without_a_researcher_everything_says_so(desk: Desk) -> None:
    client = await Client.connect(desk.server.path, "me")
    for command in (
        s.PromoteTrial("a", 1), s.RollBackConfig("a", 1), s.StartStudy("a.toml"), s.StopStudy("a"),
        s.ScheduleJob("a", "off"),
    ):  # fmt: skip
        outcome = await client.send(command)
        assert (outcome.ok, outcome.reason) == (False, NO_RESEARCHER)
    with pytest.raises(ClientError, match="no researcher is running: start one with `tradedeck study run FILE`"):
        await client.ask(AskTrials("a"))
    await client.close()


async def test_a_command_has_one_started_and_waits_until_it_is_here(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab, summoned, refused = Lab(), list[Researcher](), ["the extra is not installed"]
    client = await Client.connect(desk.server.path, "me")

    async def summon() -> str:
        if not refused[0]:
            summoned.append(await Researcher.attach(desk.server.path, "lab", lab.answer))
        return refused[0]

    desk.server.research.summon = summon
    assert (await client.send(s.PromoteTrial("a", 1))).reason == "the extra is not installed"
    with pytest.raises(ClientError, match="no researcher is running"):
        await client.ask(AskTrials("a"))  # who only looks starts nothing
    refused[0] = ""
    both = await asyncio.gather(client.send(s.PromoteTrial("a", 1)), client.send(s.PromoteTrial("a", 2)))
    assert all(outcome.ok for outcome in both)
    assert len(summoned) == 1, "two commands at once start one"
    await summoned[0].close()
    await until(lambda: not client.state.studies.attached and not desk.engine.state.studies.attached)
    monkeypatch.setattr(research, "COMES_S", 0.05)
    desk.server.research.summon = _nobody_comes
    assert "did not come within 0.05 s; try again" in (await client.send(s.PromoteTrial("a", 1))).reason
    await client.close()


async def _nobody_comes() -> str:
    return ""


async def test_a_researcher_that_goes_or_is_slow_leaves_nobody_waiting(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = Lab()
    lab.hold.clear()
    researcher = await Researcher.attach(desk.server.path, "lab", lab.answer)
    client = await Client.connect(desk.server.path, "me")
    asking = asyncio.ensure_future(client.send(s.PromoteTrial("rsi-ema", 812)))
    await until(lambda: len(lab.asked) == 1)
    await researcher.close()
    assert "went away; what became of it is not known" in (await asking).reason
    monkeypatch.setattr(research, "ANSWER_S", 0.05)
    again = await Researcher.attach(desk.server.path, "lab", lab.answer)
    assert "did not answer within 0.05 s" in (await client.send(s.PromoteTrial("rsi-ema", 812))).reason
    lab.hold.set()
    await again.close()
    await client.close()


async def test_an_answer_that_would_cut_the_terminal_is_refused(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(research, "MAX_BODY", 150)
    lab = Lab()
    researcher = await Researcher.attach(desk.server.path, "lab", lab.answer)
    client = await Client.connect(desk.server.path, "me")
    assert len((await client.ask(AskTrials("rsi-ema", 1))).trials) == 1
    with pytest.raises(ClientError, match="at most 150 are handed on: ask for less"):
        await client.ask(AskTrials("rsi-ema", 3))
    await client.close()
    await researcher.close()


async def test_a_second_researcher_is_told_who_is_there(desk: Desk) -> None:
    first = await Researcher.attach(desk.server.path, "lab", Lab().answer)
    second = await Researcher.attach(desk.server.path, "other", Lab().answer)
    await until(lambda: bool(second.lost))
    assert second.lost == "a researcher is attached already (lab): end that one first"
    assert not first.lost
    await second.close()
    assert desk.engine.state.studies.attached
    await first.close()


async def test_a_terminal_without_control_promotes_nothing(desk: Desk) -> None:
    lab = Lab()
    researcher = await Researcher.attach(desk.server.path, "lab", lab.answer)
    holder = await Client.connect(desk.server.path, "a", terminal=True)
    other = await Client.connect(desk.server.path, "b", terminal=True)
    looker = await Client.connect(desk.server.path, "c", view_only=True)
    for command in (s.PromoteTrial("a", 1), s.RollBackConfig("a", 1)):
        assert "control is held by" in (await other.send(command)).reason
        assert "view-only" in (await looker.send(command)).reason
    assert not lab.asked
    assert "not understood" in (await other.send(s.StopStudy("a"))).reason  # it was asked: stopping adds no risk
    for client in (holder, other, looker, researcher):
        await client.close()


# --- the book ---------------------------------------------------------------------------------------------------------


def test_the_book_is_bounded_and_keeps_what_matters() -> None:
    book = StudyBook()
    book.study(s.StudyChanged(replace(STUDY, id="first"), 0))
    for number in range(STUDIES + 5):
        book.study(s.StudyChanged(replace(STUDY, id=f"s{number}", state=s.StudyState.FINISHED), 0))
    assert len(book.studies) == STUDIES
    assert "first" in book.studies, "what runs is kept"
    assert "s0" not in book.studies
    assert f"s{STUDIES + 4}" in book.studies
    book.config(s.ConfigChanged(replace(CONFIG, strategy_id="old"), 0))
    for version in range(CONFIGS + 5):
        book.config(s.ConfigChanged(replace(CONFIG, version=version, promoted_at=2 + version), 0))
    assert len(book.configs) == CONFIGS
    assert book.active("old") is not None
    active = book.active("rsi-ema")
    assert active is not None
    assert active.version == CONFIGS + 4
    assert sum(config.status is s.ConfigStatus.ACTIVE for config in book.configs.values()) == 2


def test_a_newer_version_makes_the_active_one_history_whatever_it_is() -> None:
    book = StudyBook()
    book.config(s.ConfigChanged(replace(CONFIG, version=2), 0))
    book.config(s.ConfigChanged(replace(CONFIG, version=1, status=s.ConfigStatus.HISTORY), 0))
    assert book.active("rsi-ema") is not None, "an older one says nothing of it"
    book.config(s.ConfigChanged(replace(CONFIG, version=3, status=s.ConfigStatus.HISTORY), 0))
    assert book.active("rsi-ema") is None, "it was retired"
    book.config(s.ConfigChanged(replace(CONFIG, version=4), 0))
    book.config(s.ConfigChanged(replace(CONFIG, version=4), 0))
    active = book.active("rsi-ema")
    assert active is not None
    assert active.version == 4


def test_promotions_that_are_not_heard_of_are_told_and_over_when_they_are() -> None:
    engine = Engine(alerts=AlertSettings())
    second = 1_000_000_000

    def alerts(trouble: str | None, at: int) -> list[tuple[str, int]]:
        if trouble is not None:
            engine.process(s.ConfigsStatus(trouble, at))
        for step in range(30):
            engine.process(m.Timer(at + step * second))
        found = [one for one in engine.state.alerts.alerts.values() if one.key == "configs"]
        return [(one.text, one.cleared) for one in found]

    assert alerts("", second) == []
    ((text, cleared),) = alerts("PostgreSQL is away; v1 runs on", 100 * second)
    assert (text, cleared) == ("promotions: PostgreSQL is away; v1 runs on", 0)
    assert views.status(engine.state, 0, journal="ok", clients=0).configs == "PostgreSQL is away; v1 runs on"
    ((_, cleared),) = alerts("", 200 * second)
    assert cleared


def test_a_researcher_that_comes_tells_everything_anew() -> None:
    state = State()
    state.apply(s.StudyChanged(STUDY, 1))
    state.apply(s.ConfigChanged(CONFIG, 1))
    state.apply(s.ResearcherStatus(False, "lab", 2))
    assert state.studies.studies
    state.apply(s.ResearcherStatus(True, "lab", 3))
    assert not state.studies.studies
    assert not state.studies.configs
    assert (state.studies.attached, state.studies.since) == (True, 3)


def test_progress_is_in_a_clients_picture_and_in_no_checkpoint() -> None:
    state = State()
    state.apply(s.ResearcherStatus(True, "lab", 3))
    state.apply(s.StudyChanged(STUDY, 3))
    state.apply(s.ConfigChanged(CONFIG, 3))
    state.day_start = Decimal(1)
    wire = msgspec.msgpack.decode(msgspec.msgpack.encode(state.image(client=True)), type=StateImage)
    copy = State.from_image(wire)
    assert copy.studies.image() == state.studies.image()
    assert copy.studies.studies == {"rsi-ema": STUDY}
    assert State.from_image(state.image()).studies.image() == StudyBook().image()
