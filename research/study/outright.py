"""What a study may ask of the kinds of its instruments: nothing is borrowed on spot, and inverse ones are none."""

from collections.abc import Sequence

import numpy as np

from core.domain.instrument import Instrument
from core.errors import ResearchError
from core.state.outright import is_outright
from core.strategy.figures import LONG_ENTRY, LONG_EXIT, SHORT_ENTRY, SHORT_EXIT, long_only
from research.study.study import StudyFile, ends_of

LONG_ONLY = np.array(
    [long_only(signal) for signal in range((LONG_ENTRY | LONG_EXIT | SHORT_ENTRY | SHORT_EXIT) + 1)], np.uint8
)
"""What each signal says where nothing can be sold short: ``LONG_ONLY[signals]``."""


def refuse_kinds(file: StudyFile, instruments: Sequence[Instrument]) -> None:
    """Refuse what the instruments of a study are not, or cannot be asked.

    Raises:
        ResearchError: an inverse contract, or leverage, crossed margin or tiers of spot.
    """
    for instrument in instruments:
        if instrument.inverse:
            raise ResearchError(
                f"{instrument.id} is an inverse contract, settled in {instrument.base}; a study counts in the quote "
                'asset: study the linear contract ([data] venue = "BINANCE-FUTURES") or the coin itself '
                '("BINANCE-SPOT")'
            )
        if is_outright(instrument):
            _refuse_margin(file, instrument)


def _refuse_margin(file: StudyFile, instrument: Instrument) -> None:
    spot = f"{instrument.id} is spot, bought outright"
    for section, part in (("space", file.space), ("fixed", file.fixed)):
        if any(one != 1 for one in ends_of(part.get("leverage", 1))):
            raise ResearchError(
                f"[{section}] leverage: {spot}: its leverage is 1; take the line out, or study a contract: "
                '[data] venue = "BINANCE-FUTURES"'
            )
    if file.account.margin_mode == "cross":
        raise ResearchError(
            f'[account] margin_mode: {spot}: there is no margin to share; expected "isolated", a wallet for each symbol'
        )
    if instrument.raw_symbol in file.account.tiers:
        raise ResearchError(f"[account] tiers of {instrument.raw_symbol}: {spot}: it has none; take them out")
