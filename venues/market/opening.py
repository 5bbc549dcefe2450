"""Open a recorded file as the tape it is."""

from pathlib import Path

from core.domain.identifiers import InstrumentId
from core.errors import TapeError
from venues.market.candles import CandleTape
from venues.market.parse import Market
from venues.market.raw import RawTape
from venues.market.tape import Tape


def open_tape(path: str | Path, market: Market | None = None, instrument: InstrumentId | None = None) -> Tape:
    """Open a recorded file; its kind is seen from its first bytes.

    ``market`` names the market of raw frames that do not tell, ``instrument`` the one of a candle file.

    Raises:
        TapeError: for a file that is missing, empty, or none of the known kinds.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            head = file.read(8)
    except OSError as error:
        raise TapeError(str(path), 0, f"cannot be opened: {error.strerror or error}") from None
    if not head:
        raise TapeError(str(path), 1, "the file is empty; expected lines of <ns> <frame>, or candle Parquet")
    if head.startswith(b"PAR1"):
        return CandleTape(path, instrument)
    return RawTape(path, market)
