"""Promote, roll back and retire configs of a home: for the command line, and for a researcher who is asked to."""

import asyncio
import contextlib
from typing import TYPE_CHECKING

import msgspec

from core.config.settings import Settings
from core.domain import studies as s
from core.errors import ConfigDamaged, PromotionRefused, TradedeckError
from core.session.protocol import Outcome
from desk.exits import who
from desk.paths import Home
from desk.research.configs import in_use, opened, settings_of
from desk.research.studying import folder_of

if TYPE_CHECKING:
    from research.promote import Candidate
    from store.configs import ConfigStore

Promotion = s.PromoteTrial | s.RollBackConfig


class Offer(msgspec.Struct, frozen=True):
    """A trial beside what it would take the place of: ``over`` is its version, 0 for none."""

    candidate: "Candidate"
    over: int = 0
    active: s.Config | None = None
    damage: str = ""
    """Why what is active cannot be shown: it is not what was promoted."""


async def answer(home: Home, work: Promotion) -> Outcome:
    """Carry out what a terminal asks a researcher for; what is refused is an outcome too."""
    try:
        await asyncio.to_thread(_carry_out, home, work)
    except TradedeckError as error:
        return Outcome(False, reason=str(error))
    return Outcome(True)


def configs(home: Home) -> list[s.Config]:
    """Return every version of every config, the newest last; a home that never promoted any starts no PostgreSQL.

    Raises:
        StoreAway: it cannot be reached.
    """
    settings = settings_of(home)
    if not in_use(home, settings):
        return []
    with opened(home, settings) as store:
        return list(reversed(store.history().configs))


def offer(home: Home, study: str, trial: int | None = None) -> Offer:
    """Look at a trial, by default the best of its study, beside what is active; takes some back-tests.

    Raises:
        ResearchError: there is no such study or trial.
        PromotionRefused: no strategy of the library could run it.
        StoreAway: what is active cannot be read.
    """
    from research.promote import candidate

    found = candidate(folder_of(home, study), trial)
    settings, strategy_id = settings_of(home), found.config.strategy_id
    if not in_use(home, settings):
        return Offer(found)
    with opened(home, settings) as store:
        over = store.active_version(strategy_id)
        try:
            return Offer(found, over, store.active(strategy_id))
        except ConfigDamaged as error:
            return Offer(found, over, damage=str(error))


def promote(home: Home, candidate: "Candidate", over: int, *, despite_gates: bool = False) -> s.Config:
    """Make a trial's config active and return it as it was kept; the home's PostgreSQL is made with the first one.

    Raises:
        PromotionRefused: by its gates, another one is active than ``over``, or it is what runs already.
        StoreError: it cannot be kept.
    """
    candidate.allow(despite_gates=despite_gates)
    with opened(home, settings_of(home), create=True) as store:
        with contextlib.suppress(ConfigDamaged):  # what is damaged is not run: any promotion mends it
            refuse_same(store.active(candidate.config.strategy_id) if over else None, candidate.config)
        return store.promote(candidate.config, over, who())


def refuse_same(active: s.Config | None, made: s.Config) -> None:
    """Refuse a config that changes nothing in what its strategy runs by.

    Raises:
        PromotionRefused: it is what is active.
    """
    from store.config_hash import content_hash

    if active is not None and active.hash == content_hash(made):
        raise PromotionRefused(
            f"trial {made.trial} of {made.study} is what {made.strategy_id} runs by already "
            f"(version {active.version}); nothing was promoted. To begin anew, or to have the engine judge "
            f"again what it refused: tradedeck configs retire {made.strategy_id}, then promote"
        )


def _carry_out(home: Home, work: Promotion) -> None:
    if isinstance(work, s.PromoteTrial):
        from research.promote import candidate

        promote(home, candidate(folder_of(home, work.study), work.trial), work.over)
        return
    with existing(home) as store:
        store.roll_back(work.strategy_id, work.version, work.over, who())


def existing(home: Home) -> "ConfigStore":
    """Open the configs of a home that has some.

    Raises:
        PromotionRefused: nothing was ever promoted here.
        StoreAway: they cannot be reached.
    """
    settings: Settings = settings_of(home)
    if not in_use(home, settings):
        raise PromotionRefused("nothing was promoted in this home yet; see: tradedeck promote --help")
    return opened(home, settings)
