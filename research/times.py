"""When something is done by itself, in words: ``mon 02:00``, ``mon thu 02:00``, ``daily 03:00``, ``hourly``; UTC."""

import re

import msgspec

from core.errors import ResearchError

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)", re.ASCII)
_PAST = re.compile(r":([0-5]\d)", re.ASCII)


class Times(msgspec.Struct, frozen=True):
    """The minutes of a week: these days (none: all of them), this hour (None: each), this minute."""

    days: tuple[str, ...] = ()
    hour: int | None = None
    minute: int = 0

    @property
    def words(self) -> str:
        """Say it, always in the same way."""
        if self.hour is None:
            return f"hourly :{self.minute:02}" if self.minute else "hourly"
        return f"{' '.join(self.days) or 'daily'} {self.hour:02}:{self.minute:02}"


def read_times(text: str) -> Times:
    """Read times in words.

    Raises:
        ResearchError: it says no times.
    """
    words = text.lower().replace(",", " ").split()
    if words[:1] == ["hourly"]:
        past = _PAST.fullmatch(words[1]) if len(words) == 2 else None
        if len(words) == 1 or past:
            return Times(minute=int(past[1]) if past else 0)
    elif len(words) > 1 and (clock := _CLOCK.fullmatch(words[-1])):
        named = words[:-1]
        days = tuple(day for day in DAYS if any(_is(word, day) for word in named))
        if named == ["daily"] or len(days) == len(named):
            return Times(days, int(clock[1]), int(clock[2]))
    raise ResearchError(
        f'"{text}" says no times; write mon 02:00, mon thu 02:00, daily 03:00, hourly or hourly :15 (UTC)'
    )


def _is(word: str, day: str) -> bool:
    """Tell whether a word names a day: ``mon``, ``monday``."""
    return len(word) >= 3 and f"{_FULL[day]}day".startswith(word)


_FULL = {"mon": "mon", "tue": "tues", "wed": "wednes", "thu": "thurs", "fri": "fri", "sat": "satur", "sun": "sun"}
