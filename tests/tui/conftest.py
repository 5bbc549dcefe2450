"""A running engine for the tests that need one."""

import logging
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
import structlog

from tests.tui.engine import House


@pytest.fixture
def quiet_log() -> Iterator[None]:
    """Keep the engine's log off the captured screen, in these tests alone."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.reset_defaults()


@pytest_asyncio.fixture
async def house(tmp_path: Path, quiet_log: None, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    """Give a running engine with its market; prices may grow old, as they do when the machine stands still."""
    monkeypatch.setattr("tui.app.PRICE_AGE_LIMIT_S", 60.0)
    made = await House(tmp_path).start()
    yield made
    await made.stop()
