"""How an instrument may be named."""

import asyncio
import os
from decimal import Decimal
from pathlib import Path

import pytest

from core.domain.identifiers import Asset, InstrumentId
from core.domain.instrument import Instrument
from core.errors import InvalidInstrumentId, NoEngine
from core.state.state import State
from desk.output import UsageFault
from desk.paths import Home, Role
from desk.roles import services
from desk.session import resolve, talk
from desk.watching import watch
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

    starts = f"start what is missing with: tradedeck --home {home.root}"
    assert said().endswith(f"No such file or directory); {starts}")
    write_lease(home.lease, Lease(1, held=True, reason="everything is flat", since_ns=1_700_000_000_000_000_000))
    assert said().endswith(". The sentinel holds the lease since 2023-11-14 22:13:20 UTC: everything is flat")
    home.lease.write_text("{")
    assert said().endswith(f"No such file or directory); {starts}")


def test_a_line_means_its_home_wherever_it_is_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Home(tmp_path / "h b ü").line("journal", "restore", "FILE") == (
        f"tradedeck --home '{tmp_path}/h b ü' journal restore FILE"
    )
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert Home(tmp_path / "tradedeck").line() == "tradedeck", "the home of this user need not be named"


def test_who_has_no_home_at_all_gets_a_line_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(_: int) -> None:
        raise KeyError

    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr("pwd.getpwuid", unknown)
    assert Home(tmp_path).line("stop") == f"tradedeck --home {tmp_path} stop"


def test_an_engine_that_fell_is_said_wherever_one_is_missed(tmp_path: Path) -> None:
    home = Home(tmp_path / "home").create()
    write_lease(home.lease, Lease(1, armed=True))
    fell = "the engine is dead and did not end in order: what is open is not known"
    with pytest.raises(NoEngine, match=rf"{fell}; start what is missing with: tradedeck --home {home.root}$"):
        talk(home, lambda client: client.close())
    with pytest.raises(NoEngine, match=rf"no engine answers at .*; {fell}; start what is missing"):
        asyncio.run(watch(home, [], 1.0, None, as_json=False))
    home.lease.write_text("{")
    with pytest.raises(NoEngine, match=r"No such file or directory\); start what is missing with"):
        talk(home, lambda client: client.close())


def test_an_engine_that_runs_and_does_not_listen_yet_is_not_started_again(tmp_path: Path) -> None:
    home = Home(tmp_path / "home").create()
    with services.holding(home, Role.ENGINE), pytest.raises(NoEngine) as caught:
        talk(home, lambda client: client.close())
    assert str(caught.value).endswith(
        f", though one runs (pid {os.getpid()}): try again in a moment, or see {home.log(Role.ENGINE)}"
    )
