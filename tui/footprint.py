"""Keep the terminal's memory flat: what is closed goes soon, and what stays is not looked at again.

A closed dialog is a knot of widgets that point at each other. Python looks for such knots when a quarter of all that it
keeps is new, so that megabytes of them wait meanwhile, at another level each time. What has been built once for good is
taken out of that search, which makes it short enough to be done after every dialog.
"""

import gc
from collections.abc import Callable

TIDY_S = 2.0
"""Between two searches, in seconds."""
FORGET_S = 60.0
"""How long painted lines are kept, in seconds: a line that never changes gathers its parts that were painted anew."""


class Footprint:
    """When to look for what can go. Times are seconds of ``clock``.

    Looking concerns the whole process: it is ``active`` where that is the terminal's own.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.active = False
        self._littered = 0
        self._built = False
        self._tidied_at = float("-inf")
        self._forgot_at = clock()

    def forgets(self) -> bool:
        """Tell, once in a while, that painted lines are to be forgotten."""
        due = self._clock() - self._forgot_at >= FORGET_S
        if due:
            self._forgot_at = self._clock()
        return due

    def built(self) -> None:
        """Take note that something was built for good: the program, or a screen."""
        self._built = True

    def litter(self) -> None:
        """Take note that something was closed: at the first look it may still be going, so a second one follows."""
        self._littered = 2

    def tidy(self) -> bool:
        """Let go of what was closed, not too often, and keep for good what was built; tell whether it was looked for.

        To be asked for while no dialog is open: what is kept for good is never looked at again.
        """
        if not self.active or not (self._littered or self._built) or self._clock() - self._tidied_at < TIDY_S:
            return False
        self._tidied_at = self._clock()
        _ = gc.collect()
        if self._littered:
            self._littered -= 1
        else:
            self._built = False
            gc.freeze()
        return True
