"""Where our record and the venue differ nothing is flat before somebody has said which is right."""

import pytest

from core.domain import commands as c
from core.domain import events as e
from core.domain import market as m
from core.domain.approval import Approved
from core.domain.differences import DifferenceFound, DifferenceKind
from core.domain.identifiers import Asset, ClientOrderId
from core.domain.order import Side
from core.engine import Engine
from tests.core.kit import BTC_PERP, PERP, T0, D, S, fill, of, opened


def differing(ours: str, theirs: str) -> Engine:
    """Return an engine whose record says one position and its venue another."""
    engine = opened(instruments=(BTC_PERP,))
    if D(ours):
        engine.process(fill(BTC_PERP, Side.BUY if D(ours) > 0 else Side.SELL, ours.lstrip("-"), "60000", "f1"))
    kind, nobody = DifferenceKind.POSITION, ClientOrderId("")
    engine.process(
        DifferenceFound(1, kind, PERP, BTC_PERP.id, Asset(""), nobody, D(ours), D(theirs), D(60_000), "differs", T0)
    )
    return engine


@pytest.mark.parametrize(("ours", "theirs"), [("0.1", "0"), ("0.1", "-0.1"), ("-0.1", "0.1"), ("0", "0.1")])
def test_a_flatten_of_what_differs_says_so_and_tells_nothing_flat(ours: str, theirs: str) -> None:
    engine = differing(ours, theirs)
    effects = [*engine.process(c.Flatten(BTC_PERP.id, "test", T0)), *engine.process(m.Timer(T0 + S))]
    assert not of(effects, Approved)
    (ended,) = of(effects, e.FlattenEnded)
    assert not ended.flat
    assert f"our record says {ours}, {PERP} {theirs}: see tradedeck reconcile" in ended.reason


def test_the_engine_does_not_end_over_a_position_that_the_venue_does_not_confirm() -> None:
    engine = differing("0.1", "0")
    assert of(engine.process(c.StopEngine(ts=T0)), e.CommandRefused)


def test_what_both_hold_is_closed_and_the_rest_is_told() -> None:
    engine = differing("0.1", "0.06")
    (out,) = of(engine.process(c.Flatten(BTC_PERP.id, "test", T0)), Approved)
    assert out.command.order.quantity == D("0.06")
    sold = fill(BTC_PERP, Side.SELL, "0.06", "60000", "f2", out.command.order.client_order_id)
    effects = [*engine.process(sold), *engine.process(m.Timer(T0 + S))]
    (ended,) = of(effects, e.FlattenEnded)
    assert not ended.flat
    assert "our record says 0.04" in ended.reason
