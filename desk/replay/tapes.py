"""What may stand behind ``--tape``: a recorded file, or a day that a recorder kept."""

import re
from collections.abc import Iterable
from datetime import date
from functools import partial
from pathlib import Path
from typing import cast

from core.config.settings import Settings
from core.domain.identifiers import InstrumentId
from core.errors import TapeError
from desk.paths import Home
from desk.roles.launch import DAY
from venues.market.opening import open_tape
from venues.market.parse import MarketData
from venues.market.tape import RecordedTape, Tape

_DAY_FILE = re.compile(r"ticks-(\d{4}-\d{2}-\d{2})\.duckdb")
_SEEN = (
    "SELECT instrument FROM trades UNION SELECT instrument FROM quotes UNION SELECT instrument FROM book_deltas "
    "ORDER BY 1"
)


def open_any(home: Home, settings: Settings, path: Path) -> Tape:
    """Open a tape: a recorded file; ``YYYY-MM-DD``, a day of this home; or another home's ``ticks-YYYY-MM-DD.duckdb``.

    Raises:
        TapeError: it cannot be played.
    """
    if DAY.fullmatch(str(path)):
        return _recorded(home.root, date.fromisoformat(path.name), settings.ticks.target)
    other = _DAY_FILE.fullmatch(path.name)
    if other is not None:
        return _recorded(path.absolute().parents[2], date.fromisoformat(other[1]), "")
    return open_tape(path)


def _recorded(root: Path, day: date, target: str) -> Tape:
    from store.ticks import reader, tape  # DuckDB: only where a day is asked for

    found = reader.query(_SEEN, root, target=target, days=[day])
    instruments = [InstrumentId(row[0]) for row in found.rows]
    if not instruments:
        raise TapeError(f"{root}/ticks", 0, f"nothing was recorded on {day}; tradedeck ticks days lists what was")
    play = cast("partial[Iterable[MarketData]]", partial(tape.read_day, root, day, target=target))
    return RecordedTape(str(day), instruments, play)
