"""What the tick commands need of settings and options."""

from collections.abc import Sequence
from datetime import date

from core.config.file import load
from core.config.settings import TicksSettings
from core.errors import StoreError
from desk.output import UsageFault
from desk.paths import Home


def settings_of(home: Home) -> TicksSettings:
    """Return the tick settings of a home.

    Raises:
        StoreError: there is no such home.
    """
    if not home.ticks.is_dir():
        raise StoreError(f"no ticks in {home.root}: nothing was recorded there; name the data directory by --home")
    return load(home.config)[0].ticks if home.config.exists() else TicksSettings()


def days_named(texts: Sequence[str] | None) -> set[date]:
    """Return the days that were typed.

    Raises:
        UsageFault: one of them is not a day.
    """
    try:
        return {date.fromisoformat(text) for text in texts or ()}
    except ValueError:
        raise UsageFault(f'--day must be YYYY-MM-DD (got "{", ".join(texts or ())}")') from None
