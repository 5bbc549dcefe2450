"""Configs to promote."""

from typing import Any

from msgspec.structs import replace

from core.domain.identifiers import InstrumentId
from core.domain.studies import Config, ConfigStatus

BTC = InstrumentId("BINANCE-FUTURES:PERPETUAL:BTC-USDT@LIN")
ETH = InstrumentId("BINANCE-FUTURES:PERPETUAL:ETH-USDT@LIN")
DAY_NS = 86_400_000_000_000
_CONFIG = Config(
    strategy_id="rsi_ema",
    version=0,
    status=ConfigStatus.ACTIVE,
    instruments=(BTC, ETH),
    parameters={"fast": 9, "slow": 21.0, "stop": 0.02, "both": True, "kind": "ema"},
    leverage=3.0,
    margin_mode="isolated",
    max_position_size=0.0,
    score=1.5,
    study="btc-1h",
    trial=17,
    promoted_at=0,
    promoted_by="",
    metrics={"calmar": 2.25},
    data_from=19_000 * DAY_NS,
    data_to=20_000 * DAY_NS,
    code_version="0.1.0",
    strategy="rsi_ema",
    interval="1h",
    capital=10_000.0,
)


def config(**changes: Any) -> Config:
    """Return a config that can be promoted."""
    return replace(_CONFIG, **changes)
