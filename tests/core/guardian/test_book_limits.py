"""Limits on the book as a whole: clock, leverage by kind, effective bets, sizes by volatility."""

from collections.abc import Iterable
from decimal import Decimal

import msgspec
import pytest

from core.config.settings import GuardianSettings
from core.domain import commands as c
from core.domain import events as e
from core.domain import market as m
from core.domain.identifiers import Asset, InstrumentId, StrategyId
from core.domain.instrument import Instrument
from core.domain.message import Command, Message
from core.domain.order import Order, Side
from core.domain.position import Position
from core.engine import Engine
from core.outbox import Effect
from core.session.preview import preview
from core.session.views import limits
from core.state.state import State
from tests.core.guardian.test_guardian import WIDE
from tests.core.kit import (
    BTC_PERP,
    BTC_SPOT,
    ETH_PERP,
    T0,
    D,
    S,
    accept,
    denied,
    fill,
    of,
    opened,
    order,
    sent,
    submit,
)

MS = 1_000_000
BTC, ETH = Asset("BTC"), Asset("ETH")
BETS = msgspec.structs.replace(WIDE, min_effective_bets=2.0, effective_bets_above_gross_frac=1.0)


# --- the clock ------------------------------------------------------------------------------------------------------


def timed(offset_ms: int, mode: str = "live") -> Engine:
    """Return an engine whose venue's clock is so far from ours."""
    engine = opened()
    engine.state.mode = mode
    engine.process(m.FeedReport(BTC_PERP.id, m.Health.LIVE, 0, offset_ms * MS, "", T0))
    return engine


def test_a_clock_that_is_off_denies_entries() -> None:
    refusal = denied(timed(2300), order(BTC_PERP, Side.BUY, "0.01"))
    assert refusal.reason == (
        "refused: clock is 2.3 s off BINANCE-FUTURES (limit 1 s): entries denied "
        "(default of [guardian] max_clock_offset_ms)"
    )
    assert (refusal.limit, refusal.value, refusal.bound) == ("max_clock_offset", "2300", "1000")
    assert denied(timed(-2300), order(BTC_PERP, Side.BUY, "0.01")).value == "2300"


@pytest.mark.parametrize("offset", [999, 1000, -1000])
def test_a_clock_within_the_bound_does_not(offset: int) -> None:
    sent(timed(offset), order(BTC_PERP, Side.BUY, "0.01"))


def test_a_tape_of_last_year_is_no_clock_that_is_off() -> None:
    sent(timed(9_000, "paper"), order(BTC_PERP, Side.BUY, "0.01"))


def test_exits_leave_whatever_the_clock() -> None:
    engine = timed(9_000)
    engine.process(fill(BTC_PERP, Side.BUY, "0.1", "60000", "f"))
    sent(engine, order(BTC_PERP, Side.SELL, "0.1"))


# --- leverage -------------------------------------------------------------------------------------------------------


def test_what_is_owned_outright_is_never_above_once_the_equity() -> None:
    engine = opened(settings=WIDE)
    sent(engine, order(BTC_SPOT, Side.BUY, "1.666", "60000"))
    refusal = denied(opened(settings=WIDE), order(BTC_SPOT, Side.BUY, "1.667", "60000"))
    assert refusal.limit == "max_leverage"
    assert refusal.reason == "leverage 1.00x > 1x of what is owned outright"


def test_contracts_have_the_bound_of_the_settings() -> None:
    settings = msgspec.structs.replace(WIDE, max_leverage=3.0)
    sent(opened(settings=settings), order(BTC_PERP, Side.BUY, "4.999", "60000"))
    refusal = denied(opened(settings=settings), order(BTC_PERP, Side.BUY, "5.001", "60000"))
    assert refusal.reason == "refused: leverage 3.00x > 3x (default of [guardian] max_leverage)"


# --- effective bets -------------------------------------------------------------------------------------------------


def booked(correlation: float | None, btc: str = "0.5", eth: str = "10") -> Engine:
    """Return an engine with 30 000 of BTC and of ETH on an equity of 100 000, correlated so."""
    engine = opened(settings=BETS)
    if correlation is not None:
        engine.guardian.returns._known = {(BTC, ETH): correlation, (ETH, BTC): correlation}
    engine.process(fill(BTC_PERP, Side.BUY if D(btc) > 0 else Side.SELL, str(abs(D(btc))), "60000", "f1"))
    engine.process(fill(ETH_PERP, Side.BUY if D(eth) > 0 else Side.SELL, str(abs(D(eth))), "3000", "f2"))
    return engine


def test_a_large_book_of_one_bet_is_denied_more_of_the_same() -> None:
    refusal = denied(booked(0.8), order(BTC_PERP, Side.BUY, "0.8", "60000"))
    assert refusal.limit == "min_effective_bets"
    assert refusal.reason == (
        "refused: effective bets 1.09 < 2 with gross above 100% of equity: more of the same is denied "
        "(default of [guardian] min_effective_bets)"
    )
    # 78 000 of BTC and 30 000 of ETH: 108^2 / (78^2 + 30^2 + 2 * 0.8 * 78 * 30)
    assert float(refusal.value) == pytest.approx(108**2 / (78**2 + 30**2 + 1.6 * 78 * 30))


@pytest.mark.parametrize(("quantity", "passes"), [("0.666", True), ("0.668", False)])
def test_it_is_asked_above_the_gross_that_the_settings_name(quantity: str, passes: bool) -> None:
    """60 000 are held: 0.666 more make 99 960, 0.668 make 100 080."""
    wanted = order(BTC_PERP, Side.BUY, quantity, "60000")
    if passes:
        sent(booked(0.8), wanted)
    else:
        assert denied(booked(0.8), wanted).limit == "min_effective_bets"


def test_bets_that_are_independent_pass() -> None:
    engine = booked(0.0, "1", "19")  # 60 000 and 57 000
    sent(engine, order(ETH_PERP, Side.BUY, "1", "3000"))  # 2.0 bets
    assert denied(booked(0.0, "1", "19"), order(BTC_PERP, Side.BUY, "0.1", "60000")).limit == "min_effective_bets"


def test_what_is_not_known_counts_as_the_same_bet() -> None:
    refusal = denied(booked(None, "1", "20"), order(BTC_PERP, Side.BUY, "0.1", "60000"))
    assert float(refusal.value) == pytest.approx(1.0)
    refusal = denied(booked(None, "1", "-20"), order(BTC_PERP, Side.BUY, "0.1", "60000"))
    assert float(refusal.value) == pytest.approx(1.0)


def test_a_hedge_passes_in_a_book_of_one_bet() -> None:
    """Selling ETH against 120 000 of BTC opens a position and raises gross, and lowers the book's risk."""
    engine = opened(settings=BETS)
    engine.guardian.returns._known = {(BTC, ETH): 0.9, (ETH, BTC): 0.9}
    engine.process(fill(BTC_PERP, Side.BUY, "2", "60000", "f1"))
    assert denied(engine, order(ETH_PERP, Side.BUY, "10", "3000")).limit == "min_effective_bets"
    sent(engine, order(ETH_PERP, Side.SELL, "2", "3000"))  # 1.2 bets


def test_spot_against_its_own_perpetual_is_no_bet_at_all() -> None:
    engine = opened(settings=BETS)
    engine.process(fill(BTC_SPOT, Side.BUY, "0.8", "60000", "f1"))
    sent(engine, order(BTC_PERP, Side.SELL, "0.8", "60000"))
    assert engine.state.ledger.exposure()[0] > 0


@pytest.mark.parametrize(("correlation", "passes"), [(0.8, False), (0.0, True)])
def test_open_entry_orders_count_as_filled(correlation: float, passes: bool) -> None:
    """A resting order for 60 000 of BTC is a bet like the 60 000 of ETH that are wanted now."""
    engine = opened(settings=BETS)
    engine.guardian.returns._known = {(BTC, ETH): correlation, (ETH, BTC): correlation}
    accept(engine, sent(engine, order(BTC_PERP, Side.BUY, "1", "60000")))
    effects = submit(engine, order(ETH_PERP, Side.BUY, "20", "3000"))
    assert bool(of(effects, e.OrderSubmitted)) is passes
    assert [refusal.limit for refusal in of(effects, e.OrderDenied)] == ([] if passes else ["min_effective_bets"])


def test_exits_pass() -> None:
    engine = booked(0.8, "1", "20")
    sent(engine, order(BTC_PERP, Side.SELL, "0.5"))
    sent(engine, order(ETH_PERP, Side.SELL, "20", reduce_only=True))


def test_zero_does_not_ask() -> None:
    engine = opened(settings=msgspec.structs.replace(BETS, min_effective_bets=0.0))
    sent(engine, order(BTC_PERP, Side.BUY, "3", "60000"))


def test_the_screen_shows_bets_and_uses_the_bound_only_where_it_is_asked() -> None:
    def view(engine: Engine) -> tuple[str, float | None]:
        found = next(one for one in limits(engine.state, engine.guardian, T0) if one.name == "min_effective_bets")
        return found.value, found.used

    value, used = view(booked(0.8))
    assert (value, used) == ("1.11", None)
    value, used = view(booked(0.8, "1", "20"))
    assert value == "1.11"
    assert used == pytest.approx(1.8)


# --- sizes by volatility --------------------------------------------------------------------------------------------


class Buyer:
    """Send what it is told with the next quote."""

    id = StrategyId("buyer")

    def __init__(self) -> None:
        self.wanted: list[Command] = []

    def on_message(self, message: Message, state: State) -> Iterable[Command]:
        wanted, self.wanted = self.wanted, []
        return wanted


def aiming(target: float = 0.15, source: str = "realised", volatility: float | None = 0.45) -> tuple[Engine, Buyer]:
    buyer = Buyer()
    settings = msgspec.structs.replace(WIDE, volatility_target_frac=target, volatility_source=source)
    engine = opened(settings=settings, strategies=[buyer])
    if volatility is not None:
        engine.guardian.returns.volatility = {BTC: volatility}
    return engine, buyer


def asked(engine: Engine, buyer: Buyer, wanted: Order) -> list[Effect]:
    buyer.wanted = [c.SubmitOrder(wanted, "strategy", T0)]
    return list(engine.process(m.Timer(T0)))


def quantity_of(effects: list[Effect]) -> Decimal:
    found: e.OrderSubmitted = of(effects, e.OrderSubmitted)[0]
    return found.order.quantity


@pytest.mark.parametrize(
    ("volatility", "quantity"), [(0.45, "0.300"), (0.30, "0.450"), (0.15, "0.900"), (0.05, "0.900")]
)
def test_a_strategys_entry_shrinks_to_the_target_and_never_grows(volatility: float, quantity: str) -> None:
    engine, buyer = aiming(volatility=volatility)
    assert quantity_of(asked(engine, buyer, order(BTC_PERP, Side.BUY, "0.9"))) == D(quantity)


def test_what_was_asked_is_kept_in_the_order() -> None:
    engine, buyer = aiming()
    submitted = of(asked(engine, buyer, order(BTC_PERP, Side.BUY, "0.9", metadata={"signal": "x"})), e.OrderSubmitted)[
        0
    ]
    assert submitted.order.metadata == {"signal": "x", "asked_quantity": "0.9"}


def test_it_is_rounded_down_to_the_step() -> None:
    engine, buyer = aiming(target=0.1, volatility=0.3)
    assert quantity_of(asked(engine, buyer, order(BTC_PERP, Side.BUY, "0.1"))) == D("0.033")


def test_a_hands_order_keeps_its_size_and_its_ticket_shows_the_other() -> None:
    engine, _ = aiming()
    wanted = order(BTC_PERP, Side.BUY, "0.9")
    assert quantity_of(submit(engine, wanted)) == D("0.9")
    assert preview(engine.state, engine.guardian, order(BTC_PERP, Side.BUY, "0.9"), T0).scaled == D("0.3")
    engine.guardian.returns.volatility = {BTC: 0.1}
    assert preview(engine.state, engine.guardian, wanted, T0).scaled is None


def test_exits_keep_their_size() -> None:
    engine, buyer = aiming()
    engine.process(fill(BTC_PERP, Side.BUY, "0.9", "60000", "f"))
    assert quantity_of(asked(engine, buyer, order(BTC_PERP, Side.SELL, "0.4"))) == D("0.4")
    assert quantity_of(asked(engine, buyer, order(BTC_PERP, Side.SELL, "0.5", reduce_only=True))) == D("0.5")


def test_without_a_known_volatility_a_strategy_enters_nothing() -> None:
    engine, buyer = aiming(volatility=None)
    refusal = of(asked(engine, buyer, order(BTC_PERP, Side.BUY, "0.9")), e.OrderDenied)[0]
    assert refusal.limit == "volatility_target"
    assert "BTC's volatility is not known yet" in refusal.reason
    assert refusal.order.client_order_id


def test_what_would_be_too_small_is_refused_and_not_rounded_up() -> None:
    engine, buyer = aiming(target=0.01, volatility=0.5)
    refusal = of(asked(engine, buyer, order(BTC_PERP, Side.BUY, "0.01")), e.OrderDenied)[0]
    assert "leaves 0 of 0.01: too small to send" in refusal.reason


def test_an_order_that_is_none_is_refused_in_the_gates_words() -> None:
    engine, buyer = aiming()
    refusal = of(asked(engine, buyer, order(BTC_PERP, Side.BUY, "NaN")), e.OrderDenied)[0]
    assert refusal.reason == 'quantity must be a number greater than 0 (got "NaN")'


VIX = Instrument(
    id=InstrumentId("CBOE:INDEX:VIX-USD"), raw_symbol="VIX", base=Asset("VIX"), quote=Asset("USD"), settle=Asset("USD"),
    tick_size=D("0.01"), size_step=D(1), min_size=D(1),
)  # fmt: skip


def test_an_index_in_percent_may_say_how_wild_it_is() -> None:
    engine, buyer = aiming(source=VIX.id, volatility=None)
    assert of(asked(engine, buyer, order(BTC_PERP, Side.BUY, "0.9")), e.OrderDenied)
    engine.process(m.InstrumentDefined(VIX, T0))
    engine.process(m.Trade(VIX.id, 30.0, 1.0, True, 1, T0, T0))
    assert quantity_of(asked(engine, buyer, order(BTC_PERP, Side.BUY, "0.9"))) == D("0.45")
    buyer.wanted = [c.SubmitOrder(order(BTC_PERP, Side.BUY, "0.9"), "strategy", T0)]
    late = list(engine.process(m.Timer(T0 + 5 * 86_400 * S)))
    assert "the volatility index CBOE:INDEX:VIX-USD is not known yet" in of(late, e.OrderDenied)[0].reason


def test_none_is_the_default() -> None:
    assert not opened().guardian.sizing.on
    assert GuardianSettings().volatility_target_frac == 0.0


def test_entries_wait_while_something_held_has_no_price_and_exits_do_not() -> None:
    engine = opened(settings=WIDE)
    engine.process(fill(BTC_PERP, Side.BUY, "0.02", "60000", "f0"))
    engine.state.ledger.unvalued.add("X")
    refused = denied(engine, order(BTC_PERP, Side.BUY, "0.01", "59000"))
    assert (refused.limit, "no price for X" in refused.reason) == ("valued", True)
    sent(engine, order(BTC_PERP, Side.SELL, "0.01", reduce_only=True))


def test_what_nobody_defined_is_no_bet_and_hides_none() -> None:
    engine = booked(0.8)
    stray = InstrumentId("OTHER:PERPETUAL:XYZ-USDT@LIN")
    engine.state.ledger.positions[stray] = Position(stray, Asset("USDT"), quantity=D(5), entry_price=D(100))
    refusal = denied(engine, order(BTC_PERP, Side.BUY, "0.8", "60000"))
    assert refusal.value == denied(booked(0.8), order(BTC_PERP, Side.BUY, "0.8", "60000")).value
