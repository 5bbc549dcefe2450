"""Ask and command the engine over the session there is now, or say that there is none."""

from core.domain.message import Command
from core.domain.risk import RiskView
from core.domain.studies import TrialReport, Trials
from core.errors import NoEngine
from core.session import protocol as p
from core.session.client import Client
from core.session.frames import AskEquity, AskRisk, AskTrial, AskTrials
from core.state.curve import EquityPoint


class Asking:
    """What a screen asks of the engine; whoever follows it keeps the session."""

    def __init__(self) -> None:
        self._client: Client | None = None
        self.trouble = "connecting"
        self.control: p.ControlChanged | None = None
        """Who commands, as the engine said last; None without a session."""

    async def send(self, command: Command) -> p.Outcome:
        """Give a command.

        Raises:
            NoEngine: there is no session, or it was lost before the answer.
        """
        if self._client is None:
            raise NoEngine(f"not connected: {self.trouble}; nothing was sent")
        return await self._client.send(command)

    async def take_control(self) -> p.Outcome:
        """Take control from whichever terminal has it.

        Raises:
            NoEngine: there is no session, or it was lost before the answer.
        """
        return await self._there().take_control()

    @property
    def elsewhere(self) -> str:
        """Name the other terminal that holds control; empty where none does."""
        return "" if self.control is None or self.control.mine else self.control.holder

    async def ask(self, question: p.AskRecords) -> p.Records:
        """Ask for records of the journal.

        Raises:
            ClientError: the engine could not answer.
        """
        return await self._there().ask(question)

    async def ask_equity(self, question: AskEquity) -> tuple[EquityPoint, ...]:
        """Ask what the account was worth over time.

        Raises:
            ClientError: the engine could not answer.
        """
        found: tuple[EquityPoint, ...] = await self._there().ask(question)
        return found

    async def ask_preview(self, question: p.AskPreview) -> p.PreviewView:
        """Ask what an order would cost and whether the guardian would let it pass.

        Raises:
            ClientError: the engine could not answer.
        """
        return await self._there().ask(question)

    async def ask_trials(self, question: AskTrials) -> Trials:
        """Ask for the best trials of a study.

        Raises:
            ClientError: there is no researcher, or it could not answer.
        """
        found: Trials = await self._there().ask(question)
        return found

    async def ask_trial(self, question: AskTrial) -> TrialReport:
        """Ask for everything of one trial.

        Raises:
            ClientError: there is no researcher, or it could not answer.
        """
        found: TrialReport = await self._there().ask(question)
        return found

    async def ask_risk(self, question: AskRisk) -> RiskView:
        """Ask what the whole book risks.

        Raises:
            ClientError: the engine could not answer.
        """
        return await self._there().ask(question)

    def _there(self) -> Client:
        if self._client is None:
            raise NoEngine(f"not connected: {self.trouble}")
        return self._client
