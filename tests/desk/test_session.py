"""How an instrument may be named."""

from decimal import Decimal
from pathlib import Path

import pytest

from core.domain.identifiers import Asset, InstrumentId
from core.domain.instrument import Instrument
from core.errors import InvalidInstrumentId, NoEngine
from core.state.state import State
from desk.output import UsageFault
from desk.paths import Home
from desk.session import resolve, talk
from store.lease import Lease, write_lease

SPOT = InstrumentId("BINANCE-SPOT:SPOT_PAIR:BTC-USDT")
PERP = InstrumentId("BINANCE-FUTURES:PERPETUAL:BTC-USDT@LIN")
OTHER = InstrumentId("BYBIT:PERPETUAL:BTC-USDT@LIN")


def listed(*ids: InstrumentId) -> State:
    state = State()
    for id_ in ids:
        item = Instrument(
            id=id_,
            raw_symbol="BTCUSDT",
            base=Asset("BTC"),
            quote=Asset("USDT"),
            settle=Asset("USDT"),
            tick_size=Decimal("0.1"),
            size_step=Decimal("0.001"),
            min_size=Decimal("0.001"),
        )
        state.markets.define(item)
    return state


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("BTC-USDT", SPOT),
        ("btc-usdt.p", PERP),
        (SPOT, SPOT),
        ("BINANCE-SPOT:SPOT_ASSET:BTC", SPOT),
        ("CME:FUTURE:SP500-USD-241225@LIN", "CME:FUTURE:SP500-USD-241225@LIN"),
    ],
)
def test_ids_symbols_and_held_assets_are_found(text: str, found: str) -> None:
    assert resolve(text, listed(SPOT, PERP)) == found


def test_a_symbol_of_two_venues_must_be_written_whole() -> None:
    with pytest.raises(UsageFault, match=f'"BTC-USDT.P" fits {PERP} and {OTHER}; write the whole id'):
        resolve("BTC-USDT.P", listed(PERP, OTHER))


@pytest.mark.parametrize("text", ["DOGE-USDT", "", "BTC"])
def test_a_symbol_that_nobody_lists_shows_an_id(text: str) -> None:
    with pytest.raises(InvalidInstrumentId, match=f"for example {SPOT}"):
        resolve(text, listed(SPOT))


def test_where_the_sentinel_holds_the_lease_no_engine_says_why(tmp_path: Path) -> None:
    home = Home(tmp_path / "home").create()

    def said() -> str:
        with pytest.raises(NoEngine) as caught:
            talk(home, lambda client: client.close())
        return str(caught.value)

    assert said().endswith("start it with: tradedeck engine")
    write_lease(home.lease, Lease(1, held=True, reason="everything is flat", since_ns=1_700_000_000_000_000_000))
    assert said().endswith(". The sentinel holds the lease since 2023-11-14 22:13:20 UTC: everything is flat")
    home.lease.write_text("{")
    assert said().endswith("start it with: tradedeck engine")
