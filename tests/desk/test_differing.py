"""The words in which the command line speaks of differences; the road to the engine is walked in tests/scenarios."""

from decimal import Decimal

import pytest

from core.domain.differences import Difference, DifferenceKind, Resolution
from core.domain.identifiers import Asset, ClientOrderId, InstrumentId, VenueId
from core.domain.order import Side
from desk.differing import ALL, about, difference, known, number_of, said, sides
from desk.output import UsageFault
from tests.core.kit import BTC_PERP, PERP, T0, fill, opened

BTC = InstrumentId("BINANCE-FUTURES:PERPETUAL:BTC-USDT@LIN")


def one(kind: DifferenceKind, *, order: str = "", asset: str = "", what: str = "") -> Difference:
    instrument = InstrumentId("") if asset else BTC
    return Difference(
        3, kind, VenueId("BINANCE-FUTURES"), instrument, Asset(asset), ClientOrderId(order), Decimal("1.0"), Decimal(2),
        Decimal(60_000), what, 7,
    )  # fmt: skip


def test_a_number_or_all_is_named() -> None:
    assert number_of("3", False) == 3
    assert number_of(None, True) == ALL


@pytest.mark.parametrize(
    ("text", "everything"), [(None, False), ("3", True), ("0", False), ("x", False), ("-1", False), ("²", False)]
)
def test_anything_else_is_refused(text: str | None, everything: bool) -> None:
    with pytest.raises(UsageFault, match="tradedeck reconcile lists them"):
        number_of(text, everything)


@pytest.mark.parametrize(
    ("found", "resolution", "capital", "says"),
    [
        (one(DifferenceKind.POSITION), Resolution.ADOPTED, False, "1 → 2"),
        (one(DifferenceKind.BALANCE, asset="USDT"), Resolution.ADOPTED, False, "1 → 2, as profit or loss"),
        (one(DifferenceKind.BALANCE, asset="USDT"), Resolution.ADOPTED, True, "1 → 2, as capital"),
        (one(DifferenceKind.FILL, what="BUY 1"), Resolution.ADOPTED, False, "it stays booked (BUY 1)"),
        (one(DifferenceKind.ORDER, what="take it for ours"), Resolution.ADOPTED, False, "the order is ours now"),
        (one(DifferenceKind.ORDER, what="cancel it"), Resolution.ADOPTED, False, "it is cancelled at the venue"),
        (one(DifferenceKind.POSITION), Resolution.KEPT, False, "our record stays at 1; BINANCE-FUTURES reports 2"),
    ],
)
def test_what_a_word_does_is_said(found: Difference, resolution: Resolution, capital: bool, says: str) -> None:
    assert said(found, resolution, capital=capital) == says


def test_what_it_is_about() -> None:
    assert about(one(DifferenceKind.ORDER, order="x1")) == "BINANCE-FUTURES BTC-USDT.P x1"
    assert about(one(DifferenceKind.BALANCE, asset="USDT")) == "BINANCE-FUTURES USDT"
    assert sides(one(DifferenceKind.POSITION)) == ("1", "2")
    assert sides(one(DifferenceKind.FILL)) == ("booked", "booked"), "positions before and after it say nothing of it"
    shown = difference(one(DifferenceKind.POSITION, what="take it"))
    assert (shown["ours"], shown["theirs"], shown["proposed"], shown["kept_by"]) == ("1", "2", "take it", "")


def test_the_word_flat_is_asked_for_beside_what_is_known() -> None:
    engine = opened(instruments=(BTC_PERP,))
    engine.process(fill(BTC_PERP, Side.BUY, "0.10", "60000", "f"))
    assert known(engine.state, BTC_PERP.id) == "our record says 0.1, BINANCE-FUTURES was not compared yet"
    engine.state.venue(PERP).compared = T0
    assert known(engine.state, BTC_PERP.id).endswith("0.1, BINANCE-FUTURES was compared at 2023-11-14 22:13:20 UTC")
