"""Live strategies: what came of a promoted config, and how live trades stand against its study's rule. Journalled."""

from decimal import Decimal

from core.domain.identifiers import InstrumentId
from core.domain.message import Event, Nanoseconds
from core.domain.studies import Config


class ConfigAdopted(Event, frozen=True):
    """A strategy runs by this config from its next bar on; one that is history ends it: what it holds is closed."""

    config: Config
    ts: Nanoseconds


class ConfigWaits(Event, frozen=True):
    """A config cannot be judged or may not begin yet, and why; it is judged again until it is adopted or refused."""

    config: Config
    reason: str
    ts: Nanoseconds


class ConfigRefused(Event, frozen=True):
    """A config is not run, and why; what the strategy ran by before stays."""

    strategy_id: str
    version: int
    reason: str
    ts: Nanoseconds


class ConfigEnded(Event, frozen=True):
    """A strategy that was ended holds nothing any more, and runs no more."""

    strategy_id: str
    version: int
    ts: Nanoseconds


class DustLeft(Event, frozen=True):
    """What a strategy's account has left of a spot pair, base coins, cannot be sold: it is the account's no more."""

    strategy_id: str
    instrument: InstrumentId
    quantity: Decimal
    ts: Nanoseconds


class StrategyCompared(Event, frozen=True):
    """How a strategy's live trades in one instrument stand against its study's rule on the same bars, since it began.

    ``matched`` trades were entered on the same bar and side, ``missed`` are the rule's alone, ``extra`` the strategy's
    alone. ``entry_bps`` is how much worse the matched entries were on average, ``profit_bps`` live profit less the
    rule's, without funding, of the capital.
    """

    strategy_id: str
    instrument: InstrumentId
    matched: int
    missed: int
    extra: int
    entry_bps: float
    profit_bps: float
    ts: Nanoseconds


class StrategyNoted(Event, frozen=True):
    """What keeps a strategy from trading in an instrument; an empty ``text`` says that nothing does any more."""

    strategy_id: str
    instrument: InstrumentId
    text: str
    ts: Nanoseconds
