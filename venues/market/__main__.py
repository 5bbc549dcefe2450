"""Run the market process alone: ``python -m venues.market SETTINGS.json``. The command line proper is in ``desk``."""

import sys
from pathlib import Path

import msgspec

from venues.market.server import MarketSettings, run


def main() -> None:
    """Read the settings and run."""
    text = Path(sys.argv[1]).read_bytes()
    run(msgspec.json.decode(text, type=MarketSettings, dec_hook=lambda kind, value: kind(value)))


if __name__ == "__main__":
    main()
