"""The venue contract over a real market process whose prices the test sets."""

from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pytest

from core.clock import LiveClock
from core.domain.market import NO_ID, Quote, Trade
from core.domain.message import Message
from tests.contracts.venue import Stage, VenueContract
from tests.venues.market.process import BTC, FUTURES, MANUAL, MarketProcess
from venues.contracts_table import contracts
from venues.market.venue import MarketVenue
from venues.matching.settings import TYPICAL_LATENCY


class MarketStage(Stage):
    """An account of a market process."""

    async def move(self, bid: Decimal, ask: Decimal) -> None:
        """Publish a quote and a print."""
        assert isinstance(self.venue, MarketVenue)
        now = self.venue.clock.now()
        quote = Quote(BTC, float(bid), 50.0, float(ask), 50.0, NO_ID, now, now)
        await self.venue.publish([quote, Trade(BTC, float(bid), 0.001, False, NO_ID, now, now)])


class TestMarketVenue(VenueContract):
    """Without latency."""

    settings: ClassVar[dict[str, Any]] = MANUAL

    @pytest.fixture
    async def stage(self, tmp_path: Path) -> AsyncIterator[Stage]:
        """Return a started venue."""
        market = MarketProcess(tmp_path, **self.settings)
        market.start()
        heard: list[Message] = []
        venue = MarketVenue(FUTURES, market.socket, LiveClock())
        await venue.start(heard.append)
        listed = {contract.id: contract for contract in contracts(FUTURES)}
        yield MarketStage(venue, listed[BTC], heard)
        await venue.stop()
        market.end()


class TestMarketVenueFromAfar(TestMarketVenue):
    """With the latency that a market process has by default."""

    settings: ClassVar[dict[str, Any]] = MANUAL | {"latency": msgspec.structs.asdict(TYPICAL_LATENCY)}
