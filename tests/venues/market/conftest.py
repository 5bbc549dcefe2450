"""Market processes for the tests of this folder."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.venues.market.process import MANUAL, MarketProcess


@pytest.fixture
def start_market(tmp_path: Path) -> Iterator[Callable[..., MarketProcess]]:
    """Give a function that starts a market process in the test's folder."""
    started: list[MarketProcess] = []

    def start(**settings: object) -> MarketProcess:
        market = MarketProcess(tmp_path, **settings)
        started.append(market)
        market.start()
        return market

    yield start
    for market in started:
        market.end()


@pytest.fixture
def manual(start_market: Callable[..., MarketProcess]) -> MarketProcess:
    """Give a market process whose prices the test sets."""
    return start_market(**MANUAL)
