"""A flatten is said to be over when it is: flat, still closing, or not flat and why."""

from core.domain.approval import TradingState
from core.domain.events import FlattenEnded
from core.domain.identifiers import InstrumentId
from tests.tui.engine import BTC, ETH
from tests.tui.pictures import NOW, moment
from tui import trading
from tui.closing import Closing, Turning

XRP = InstrumentId("BINANCE-FUTURES:PERPETUAL:XRP-USDT@LIN")


def ended(instrument: InstrumentId, reason: str = "") -> FlattenEnded:
    return FlattenEnded(instrument, not reason, reason, NOW)


def test_what_ends_is_said_and_how_many_are_still_closing() -> None:
    closing = Closing()
    closing.asked((BTC, ETH, XRP))
    assert closing.ended([ended(ETH)]) == ("flat: ETH-USDT.P · 2 still closing", "ok")
    assert closing.waits((ETH, BTC))
    assert closing.ended([ended(BTC), ended(XRP)]) == ("flat: ETH-USDT.P, BTC-USDT.P, XRP-USDT.P", "ok")
    assert not closing.waits((BTC, ETH, XRP))
    closing.asked((BTC,))
    assert closing.ended([ended(BTC)]) == ("flat: BTC-USDT.P", "ok"), "the flattens of before are not told again"


def test_what_is_not_flat_is_said_with_its_reason() -> None:
    closing = Closing()
    closing.asked((BTC, ETH))
    words = closing.ended([ended(ETH), ended(BTC, "BTC is not flat after 5 exits")])
    assert words == ("NOT FLAT: BTC is not flat after 5 exits", "bad")


def test_what_others_close_and_what_was_refused_is_not_told() -> None:
    closing = Closing()
    assert closing.ended([ended(BTC)]) is None
    closing.asked((BTC,))
    closing.refused((BTC,))
    assert closing.ended([ended(BTC)]) is None


def test_a_plan_names_what_it_closes_positions_and_what_only_has_orders() -> None:
    state = moment().state
    assert trading.flatten(state, BTC).closes == (BTC,)
    assert trading.flatten(state, None).closes == (BTC,)
    assert trading.cancel_all(state, None).closes == ()
    held = state.ledger.positions[BTC]
    del state.ledger.positions[BTC]
    assert trading.flatten(state, None).closes == (BTC,), "its orders are cancelled"
    assert held.quantity


def test_a_state_that_stands_takes_the_place_of_the_words_that_it_was_asked_for() -> None:
    turning = Turning()
    assert turning.stands(TradingState.ACTIVE) is None
    turning.asked(TradingState.HALTED, "HALT trading: sent")
    assert turning.stands(TradingState.ACTIVE) is None
    assert turning.stands(TradingState.HALTED) == ("HALT trading: sent", ("trading is HALTED", "warn"))
    assert turning.stands(TradingState.HALTED) is None, "it is said once"
    turning.asked(TradingState.ACTIVE, "Resume trading: sent")
    assert turning.stands(TradingState.ACTIVE) == ("Resume trading: sent", ("trading is ACTIVE", "ok"))
