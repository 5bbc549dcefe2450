"""What every frame is, and the frames between engine and researcher.

A researcher is a client that says so in its ``Hello``. It publishes how studies and configs stand. What a trader asks
of it, a question or a command, the engine hands on as a ``Request`` and takes the ``Reply`` back, unread, to who asked.
"""

import msgspec

from core.domain import studies as s
from core.domain.identifiers import InstrumentId
from core.domain.market import Interval
from core.domain.message import Nanoseconds

HISTORY_BARS = 1500
"""The most bars that one question for a venue's history may span: an answer stays below 200 kB."""


class Frame(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Carry one thing that engine or client says."""


class Question(Frame, frozen=True):
    """Ask the engine something; it changes nothing."""


class AskTrials(Question, frozen=True):
    """Ask the researcher for a study's best trials, the best first; answered by ``studies.Trials``."""

    study: str
    limit: int = 200


class AskTrial(Question, frozen=True):
    """Ask the researcher for everything of one trial; answered by ``studies.TrialReport``."""

    study: str
    trial: int


class AskRisk(Question, frozen=True):
    """Ask what the whole book risks, on request with its sample of profits; answered by ``RiskView``."""

    with_profits: bool = False


class AskEquity(Question, frozen=True):
    """Ask what the account was worth over time: by minutes for a day, or by hours for a year.

    Answered by points (``core.state.curve.EquityPoint``), the oldest first.
    """

    hours: bool = False


class AskHistory(Question, frozen=True):
    """Ask a venue, through the engine, for its closed bars with ``start <= bar.start < end``, the oldest first.

    They are the venue's own words: the engine neither keeps nor mixes them with bars that it made of prints, as it does
    for ``AskBars``. A span of more than ``HISTORY_BARS`` bars is refused. Answered by ``Bars``.
    """

    instrument: InstrumentId
    interval: Interval
    start: Nanoseconds
    end: Nanoseconds


OfResearcher = AskTrials | AskTrial
ForResearcher = s.PromoteTrial | s.RollBackConfig | s.StartStudy | s.StopStudy | s.ScheduleJob


class Publish(Frame, frozen=True):
    """Tell how a study or a config stands now; only the newest of each counts."""

    message: s.StudyChanged | s.ConfigChanged


class Request(Frame, frozen=True):
    """Hand a question or a command to the researcher; it says ``Reply`` with the same id."""

    id: int
    work: OfResearcher | ForResearcher


class Reply(Frame, frozen=True):
    """Answer a ``Request``: the answer of a question, an ``Outcome`` for a command, or a sentence in ``error``."""

    id: int
    body: msgspec.Raw = msgspec.Raw(b"\xc0")
    error: str = ""
