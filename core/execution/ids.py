"""The ids of our orders: whose they are; none is made twice, not even behind a journal that was put back."""

import re

from core.domain.identifiers import ClientOrderId
from core.domain.message import Nanoseconds

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_SECOND: Nanoseconds = 1_000_000_000


def born_at(now: Nanoseconds) -> str:
    """Return the part of an id that says when its run began: the second, in 19 days, in base 36: people type ids."""
    number, text = now // _SECOND, ""
    for _ in range(4):
        number, digit = divmod(number, 36)
        text = _DIGITS[digit] + text
    return f"t{text}"


class OrderIds:
    """Make ids and know our own: the home's ``prefix``, the run, when the run was ``born``, a number.

    A run number is durable before its first order; but a home that was put back from a backup gives it a second time.
    """

    def __init__(self, prefix: str = "t0", born: str = "") -> None:
        self._prefix, self._born, self._sequence = prefix, born, 0
        self._form = re.compile(rf"{re.escape(prefix)}r(\d+)(t[0-9a-z]+)?n\d+")

    def begin(self, now: Nanoseconds) -> None:
        """Begin a run, before its first id."""
        self._born = born_at(now)

    def new(self, run: int) -> ClientOrderId:
        """Return an id that no order and no bracket has had before."""
        self._sequence += 1
        return ClientOrderId(f"{self._prefix}r{run}{self._born}n{self._sequence}")

    def owns(self, id_: ClientOrderId) -> bool:
        """Tell whether an id was made by this home: its engine's, or another program's under the same prefix."""
        return id_.startswith(self._prefix)

    def is_of_forgotten_run(self, id_: ClientOrderId, run: int) -> bool:
        """Tell whether an engine of this home made an id in a run that our journal, now in ``run``, has no word of."""
        found = self._form.fullmatch(id_)
        if found is None:
            return False
        return int(found[1]) > run or (int(found[1]) == run and (found[2] or "") != self._born)
