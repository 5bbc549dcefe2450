"""Configs through the runtime: the answer to who gave them, bars asked of the venue, a restart on the real journal."""

from pathlib import Path

from core.domain.studies import AdoptConfig
from tests.core.kit import BTC_PERP
from tests.core.strategy.street import config
from tests.core.test_runtime import Desk, until


async def test_a_config_is_answered_asks_for_bars_and_runs_again_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    desk = await Desk(path).start()
    refused = await desk.runtime.command(AdoptConfig(config(capital=1e9), "test"))
    assert not refused.ok
    assert "ema v1 is not run: refused: one entry of up to" in refused.reason
    assert (await desk.runtime.command(AdoptConfig(config(capital=1_000.0), "test"))).ok
    book = desk.engine.state.configs
    await until(lambda: BTC_PERP.id in book.notes)
    assert book.notes[BTC_PERP.id].text == "waits for bars: 127 more of 127"
    await desk.runtime.stop("test over")
    again = await Desk(path).start()
    await until(lambda: bool(again.engine._desk.strategies))
    assert again.engine.state.configs.running == book.running
    await again.runtime.stop("test over")
