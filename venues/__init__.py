"""Connect the engine to places of trading, one folder a family.

``VENUES`` names the class of each kind of connection; ``load`` imports one of them and none of the others.
"""

from importlib import import_module
from typing import Any

from core.errors import ConfigError

VENUES: dict[str, str] = {
    "market": "venues.market.venue:MarketVenue",
    "paper": "venues.paper:Paper",
    "replay": "venues.replay:Replay",
}


def load(name: str) -> type[Any]:
    """Return the class of a kind of venue; it satisfies ``core.ports.Venue``, its constructor is its own.

    Raises:
        ConfigError: for a name that is not in ``VENUES``.
    """
    place = VENUES.get(name)
    if place is None:
        raise ConfigError(f'venue kind "{name}" is not known; expected one of {", ".join(sorted(VENUES))}')
    module, _, attribute = place.partition(":")
    found: type[Any] = getattr(import_module(module), attribute)
    return found
