"""The shipped contract data: complete, consistent, on the grid of recorded prices; damage is named."""

from decimal import Decimal
from pathlib import Path

import pytest

from core.domain.identifiers import VenueId
from core.domain.instrument import Instrument
from core.domain.market import Quote, Trade
from core.errors import ConfigError
from core.margin import rebuild_cums
from tests.generate.tapes import generate
from tests.venues.matching.pit import COIN, COINM, FUTURES, PERP, SPOT
from venues.contracts_table import contracts, read_table, venues
from venues.market.opening import open_tape

GOOD = """
[[instrument]]
id = "X:PERPETUAL:BTC-USDT@LIN"
raw_symbol = "BTCUSDT"
base = "BTC"
quote = "USDT"
settle = "USDT"
tick_size = "0.1"
size_step = "0.001"
min_size = "0.001"
funding_interval_h = 8
brackets = [["0", "50000", "0.004", "0", 125], ["50000", "600000", "0.005", "50", 100]]
"""


def test_the_instruments_to_start_with_are_all_there() -> None:
    spot = [f"BINANCE-SPOT:SPOT_PAIR:{base}-USDT" for base in ("BTC", "ETH", "XRP", "LTC")]
    futures = [f"BINANCE-FUTURES:PERPETUAL:{base}-USDT@LIN" for base in ("BTC", "ETH", "XRP", "LTC")]
    assert [instrument.id for instrument in contracts(SPOT)] == spot
    assert [instrument.id for instrument in contracts(FUTURES)] == futures
    assert [instrument.id for instrument in contracts(COINM)] == [COIN]
    assert set(venues()) == {SPOT, FUTURES, COINM}
    assert contracts(VenueId("NOWHERE")) == ()


def test_fees_are_those_of_each_venue() -> None:
    fees = {venue: {(str(one.maker_fee), str(one.taker_fee)) for one in contracts(venue)} for venue in venues()}
    assert fees == {SPOT: {("0.001", "0.001")}, FUTURES: {("0.0002", "0.0005")}, COINM: {("0.0001", "0.0005")}}


@pytest.mark.parametrize("venue", [SPOT, FUTURES, COINM])
def test_every_instrument_is_whole(venue: VenueId) -> None:
    for instrument in contracts(venue):
        assert instrument.venue == venue
        assert 0 < instrument.size_step <= instrument.min_size < (instrument.max_size or 0)
        assert not instrument.min_size % instrument.size_step
        assert instrument.is_derivative is bool(instrument.brackets) is bool(instrument.funding_interval_ns)
        assert instrument.inverse is (venue == COINM)


@pytest.mark.parametrize("venue", [FUTURES, COINM])
def test_the_cums_are_those_of_floors_and_rates(venue: VenueId) -> None:
    for instrument in contracts(venue):
        tiers = [(tier.floor, tier.maintenance_rate) for tier in instrument.brackets]
        assert [tier.cum for tier in instrument.brackets] == rebuild_cums(tiers)
        leverages = [tier.max_leverage for tier in instrument.brackets]
        assert leverages == sorted(leverages, reverse=True)


def test_the_first_tiers_of_bitcoin_are_the_published_ones() -> None:
    bitcoin = next(instrument for instrument in contracts(FUTURES) if instrument.id == PERP)
    published = [(50_000, ".004", 0), (600_000, ".005", 50), (3_000_000, ".0065", 950), (12_000_000, ".01", 11_450)]
    published += [(70_000_000, ".02", 131_450), (100_000_000, ".025", 481_450), (230_000_000, ".05", 2_981_450)]
    tiers = [(tier.cap, tier.maintenance_rate, tier.cum) for tier in bitcoin.brackets[:7]]
    assert tiers == [(Decimal(cap), Decimal(rate), Decimal(cum)) for cap, rate, cum in published]


def test_a_good_table_is_read() -> None:
    (instrument,) = read_table(GOOD, "x.toml")
    assert instrument.funding_interval_ns == 8 * 3600 * 10**9
    assert instrument.brackets[1].cum == 50


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"50", 100', '"51", 100', "tier 2 has cum 51, its floors and rates give 50"),
        ('["50000", "600000"', '["50001", "600000"', "tier 2 starts at 50001, expected 50000"),
        ('"0.005", "50"', '"0.004", "50"', "tier 2"),
        ('"600000"', '"40000"', "tier 2 ends at 40000"),
        ('tick_size = "0.1"', 'tick_size = "wide"', "x.toml: X:PERPETUAL:BTC-USDT@LIN"),
        ("funding_interval_h", "funding_hours", "unknown key funding_hours"),
        ("[[instrument]]", "[[thing]]", "not a contract table"),
        ("[[instrument]]", "[[instrument", "not a contract table"),
    ],
)
def test_a_damaged_table_is_refused_by_name(old: str, new: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words.replace("[", r"\[")) as refused:
        read_table(GOOD.replace(old, new), "x.toml")
    assert str(refused.value).startswith("x.toml")


@pytest.mark.parametrize(
    ("name", "venue"),
    [
        ("binance-usdm-btcusdt-20240808.xz", FUTURES),
        ("binance-spot-btcusdt-20240809.xz", SPOT),
        ("binance-coinm-btcusd-20240809.xz", COINM),
    ],
)
def test_recorded_prices_and_sizes_lie_on_our_grid(recorded_data: Path, name: str, venue: VenueId) -> None:
    off_grid(recorded_data / "l2" / name, contracts(venue)[0])


@pytest.mark.parametrize(("market", "venue"), [("usdm", FUTURES), ("spot", SPOT), ("coinm", COINM)])
def test_generated_prices_and_sizes_lie_on_our_grid(tmp_path: Path, market: str, venue: VenueId) -> None:
    off_grid(generate(market, steps=600).write(tmp_path / f"{market}.xz"), contracts(venue)[0])


def off_grid(path: Path, instrument: Instrument) -> None:
    """Check that a tape's prices and sizes are multiples of the instrument's tick and lot."""
    prices, sizes = set[float](), set[float]()
    for message in open_tape(path):
        if isinstance(message, Trade):
            prices.add(message.price)
            sizes.add(message.size)
        elif isinstance(message, Quote):
            prices |= {message.bid, message.ask}
    assert len(prices) > 20
    assert not [price for price in prices if Decimal(repr(price)) % instrument.tick_size]
    assert not [size for size in sizes if Decimal(repr(size)) % instrument.size_step]
