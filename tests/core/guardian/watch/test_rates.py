"""Which value an asset has: its last rate, another market's where its own is dead, nothing where it never had one."""

from typing import Any

import msgspec
import pytest

from core.domain import events as e
from core.domain import market as m
from core.domain.identifiers import Asset, InstrumentId
from core.domain.order import Side
from core.engine import Engine
from core.state.state import IMAGE_DECODER, State
from tests.core.guardian.watch.kit import acted, timer, watched
from tests.core.kit import (
    BTC_PERP,
    BTC_SPOT,
    BTC_USDC,
    ETH_PERP,
    PERP,
    SPOT,
    T0,
    D,
    S,
    denied,
    fill,
    of,
    order,
    quote,
    submit,
)

BTC, BNB, JUNK = Asset("BTC"), Asset("BNB"), Asset("JUNK")
STEPS = ((0.05, 0.5), (0.08, 0.25), (0.10, 0.0))
DAY = 86_400 * S
BNB_PERP = msgspec.structs.replace(ETH_PERP, id=ETH_PERP.id.replace("ETH", "BNB"), raw_symbol="BNBUSDT", base=BNB)


BNB_SPOT = msgspec.structs.replace(BTC_SPOT, id=BTC_SPOT.id.replace("BTC", "BNB"), raw_symbol="BNBUSDT", base=BNB)
BNB_USDC = msgspec.structs.replace(BTC_USDC, id=BTC_USDC.id.replace("BTC", "BNB"), raw_symbol="BNBUSDC", base=BNB)
DATED = msgspec.structs.replace(BTC_PERP, id=InstrumentId("BINANCE-FUTURES:FUTURE:BTC-USDT-270326@LIN"))
CALL = msgspec.structs.replace(BTC_PERP, id=InstrumentId("BINANCE-OPTIONS:OPTION:BTC-USDT-270326-60000-CALL@LIN"))


def coins(**settings: Any) -> Engine:
    """Hold 100 000 USDT and one bitcoin, which its spot pair values."""
    engine = watched(drawdown_steps=STEPS, **settings)
    engine.process(e.BalanceSet(SPOT, BTC, D(1), "deposit", T0))
    timer(engine, T0)
    assert engine.state.equity == 160_000.0
    return engine


def at(engine: Engine, instrument: object, mid: float, ts: int) -> None:
    engine.process(quote(instrument, mid - 0.1, mid + 0.1, ts))  # type: ignore[arg-type]


def restarted(engine: Engine) -> Engine:
    image = IMAGE_DECODER.decode(msgspec.msgpack.encode(engine.state.image()))
    return Engine(engine.guardian, State.from_image(image), strict=True)


def test_another_market_that_lives_values_what_a_dead_one_did() -> None:
    engine = coins()
    for second in range(1, 10):
        at(engine, BTC_PERP, 60_000.0 - 1_000.0 * second, T0 + second * S)
        timer(engine, T0 + second * S)
    assert engine.state.equity == pytest.approx(151_000.0)
    assert engine.state.watched.step == 1
    at(engine, BTC_PERP, 50_000.0, T0 + 10 * S)
    assert engine.state.equity == pytest.approx(150_000.0), "it moves with every price of the other"
    at(engine, BTC_SPOT, 58_000.0, T0 + 10 * S)
    timer(engine, T0 + 10 * S)
    assert engine.state.equity == pytest.approx(150_000.0), "the one that lives is kept: no flapping between two"


def test_a_coin_whose_own_market_never_has_a_price_is_valued_at_par_after_a_while() -> None:
    state = State()
    for instrument in (BTC_SPOT, BTC_USDC):
        state.apply(m.InstrumentDefined(instrument, T0))
    state.apply(e.BalanceSet(SPOT, BTC, D(1), "opening", T0))
    for second, worth in ((0, 0.0), (9, 0.0), (10, 60_000.0)):
        state.apply(quote(BTC_USDC, 59_999.9, 60_000.1, T0 + second * S))
        state.ledger.renew(T0 + second * S)
        assert state.ledger.equity == pytest.approx(worth), "its own may yet have one, and par is a guess"
    state.apply(quote(BTC_SPOT, 59_999.9, 60_000.1, T0 + 11 * S))
    state.ledger.renew(T0 + 11 * S)
    assert state.ledger.rates.sources[BTC] is state.markets[BTC_SPOT.id], "at once: it was never silent"


def test_a_dead_market_gives_way_to_one_at_par_where_no_other_lives() -> None:
    engine = coins(max_daily_loss_frac=0.05)
    engine.process(m.InstrumentDefined(BTC_USDC, T0))
    for second in range(1, 25):
        at(engine, BTC_USDC, 60_000.0 - 1_000.0 * min(second, 9), T0 + second * S)
        timer(engine, T0 + second * S)
        if second == 15:
            assert engine.state.equity == 160_000.0, "par errs by more than a rate of a moment ago"
    assert engine.state.equity == pytest.approx(151_000.0)
    assert engine.state.state_reason.startswith("the day's loss is 5.")


@pytest.mark.parametrize(("pause", "is_back"), [(4, True), (17, False)])
def test_a_slow_market_is_gone_back_to_from_one_at_par_and_one_that_falls_silent_again_is_not(
    pause: int, is_back: bool
) -> None:
    engine, rates = coins(), []
    engine.state.markets.pop(BTC_PERP.id)
    engine.process(m.InstrumentDefined(BTC_USDC, T0))
    for second in range(1, 120):
        at(engine, BTC_USDC, 59_000.0, T0 + second * S)
        if second > 20 and second % pause == 0:
            at(engine, BTC_SPOT, 60_000.0, T0 + second * S)
        timer(engine, T0 + second * S)
        rates.append(engine.state.ledger.rate(BTC))
    assert rates[14:40] == [60_000.0] + 25 * [59_000.0], "par after 15 s, and for 30 s behind the silence"
    assert rates[60:] == (59 * [60_000.0] if is_back else 59 * [59_000.0])


def test_a_dated_contract_values_nothing_while_a_perpetual_lives_and_living_spot_comes_back() -> None:
    engine, at_first = coins(), 160_000.0
    for instrument in (DATED, CALL):
        engine.process(m.InstrumentDefined(instrument, T0))
    for second in range(3, 16):
        for instrument, mid in ((CALL, 900.0), (DATED, 64_800.0), (BTC_PERP, 60_100.0)):
            at(engine, instrument, mid, T0 + second * S)
        if second > 3:
            at(engine, BTC_SPOT, 60_000.0, T0 + second * S)
        timer(engine, T0 + second * S)
        premium = 100.0 if second < 13 else 0.0
        assert engine.state.equity == pytest.approx(at_first + premium), "back once it has lived for ten seconds"
    peak = engine.state.peak
    for second in (16, 19, 46):
        at(engine, DATED, 60_500.0, T0 + second * S)
        at(engine, CALL, 900.0, T0 + second * S)
        timer(engine, T0 + second * S)
        assert engine.state.equity == pytest.approx(at_first + 500.0 * (second > 45)), "better than none that lives"
    assert engine.state.peak == peak, "a premium is no profit"
    engine.process(m.InstrumentDefined(BTC_USDC, T0))
    at(engine, BTC_USDC, 59_000.0, T0 + 47 * S)
    timer(engine, T0 + 47 * S)
    assert engine.state.equity == pytest.approx(at_first - 1_000.0), "another stable quote goes before a dated one"


def test_without_another_the_last_rate_stays_the_rules_go_on_and_nothing_is_entered() -> None:
    engine = coins(stale_after_ms=2_000, max_daily_loss_frac=0.05)
    engine.state.markets.pop(BTC_PERP.id)
    at(engine, ETH_PERP, 3_000.0, T0 + 9 * S)
    timer(engine, T0 + 9 * S)
    assert (engine.state.equity, engine.state.ledger.unvalued) == (160_000.0, set())
    refused = denied(engine, order(ETH_PERP, Side.BUY, "1"))
    assert (refused.limit, refused.value) == ("stale_after", "9000")
    told = "the rate of BTC is 9.0 s old (limit 2 s), and 60 000 of the account is valued by it: entries denied"
    assert told in refused.reason
    engine.process(fill(ETH_PERP, Side.BUY, "10", "3000", "f", ts=T0 + 9 * S))
    assert not of(submit(engine, order(ETH_PERP, Side.SELL, "1", reduce_only=True)), e.OrderDenied)
    at(engine, ETH_PERP, 2_100.0, T0 + 9 * S)
    at(engine, ETH_PERP, 2_100.1, T0 + 9 * S)
    assert engine.state.state_reason.startswith("the day's loss is 5.6")


def test_an_old_rate_of_what_does_not_matter_denies_nothing() -> None:
    engine = watched(stale_after_ms=2_000)
    engine.process(e.BalanceSet(SPOT, BTC, D("0.01"), "deposit", T0))
    engine.process(e.BalanceSet(SPOT, Asset("ETH"), D("0.1"), "deposit", T0))
    engine.state.markets.pop(BTC_PERP.id)
    engine.process(m.InstrumentDefined(BNB_PERP, T0))
    at(engine, BNB_PERP, 600.0, T0 + 9 * S)
    timer(engine, T0 + 9 * S)
    worth, *oldest = engine.state.ledger.stale(T0 + 9 * S, 2 * S)
    assert worth == pytest.approx(900.0)
    assert oldest == [BTC, 9 * S]
    assert not of(submit(engine, order(BNB_PERP, Side.BUY, "1")), e.OrderDenied)
    engine.process(e.BalanceSet(SPOT, BTC, D(0), "withdrawal", T0 + 9 * S))
    assert engine.state.ledger.stale(T0 + 9 * S, 2 * S)[1] == "ETH", "what is held no more is not valued"


def test_an_asset_nobody_prices_does_not_hold_up_the_account() -> None:
    engine = watched(drawdown_steps=STEPS)
    engine.process(e.BalanceSet(PERP, JUNK, D(1000), "deposit", T0))
    engine.process(fill(BTC_PERP, Side.BUY, "1", "60000", "f1", ts=T0 + S))
    for _ in range(2):  # one message alone is not believed so far away
        at(engine, BTC_PERP, 70_000.0, T0 + DAY)
    timer(engine, T0 + DAY)
    assert (engine.state.day_start, engine.state.peak) == (D(110_000), D(110_000))
    for _ in range(2):
        at(engine, BTC_PERP, 60_000.0, T0 + DAY + S)
    timer(engine, T0 + DAY + S)
    assert engine.state.watched.step == 2
    again = restarted(engine)
    at(again, BTC_PERP, 60_000.0, T0 + DAY + S)
    timer(again, T0 + DAY + S)
    assert again.state.capital.unpriced(again.state.ledger.unvalued) == set()


def test_a_fee_in_what_nobody_prices_does_not_blind_the_guardian_and_is_a_loss_once_it_has_a_price() -> None:
    engine = watched(drawdown_steps=STEPS)
    fee = {"fee": D("0.01"), "fee_asset": BNB}
    engine.process(fill(BTC_PERP, Side.BUY, "1", "60000", "f1").replace(**fee))
    engine.process(fill(BTC_PERP, Side.BUY, "0.1", "60000", "f2").replace(**fee))
    assert engine.state.ledger.unvalued == {BNB}
    assert not engine.guardian.watch.revalue(engine.state).blind
    refused = denied(engine, order(BTC_PERP, Side.BUY, "0.01"))
    assert (refused.limit, "no price for BNB" in refused.reason) == ("valued", True)
    for bid in (58_000.0, 56_000.0, 54_500.0):
        at(engine, BTC_PERP, bid, T0 + S)
    timer(engine, T0 + S)
    assert engine.state.watched.step == 1
    again = restarted(engine)
    at(again, BTC_PERP, 54_500.0, T0 + 2 * S)
    again.process(m.InstrumentDefined(BNB_PERP, T0 + 2 * S))
    peak, equity = again.state.peak, again.state.equity
    at(again, BNB_PERP, 600.0, T0 + 2 * S)
    assert not again.state.capital.waiting
    assert again.state.equity == pytest.approx(equity - 12.0)
    assert again.state.peak == peak


def test_what_had_a_price_is_never_taken_for_nothing() -> None:
    """Behind a restart its price is not there yet: a deposit or a fee on top changes nothing of that."""
    again = restarted(coins())
    again.process(e.BalanceSet(SPOT, BTC, D("1.5"), "deposit", T0 + S))
    assert again.guardian.watch.revalue(again.state).blind
    again.process(fill(ETH_PERP, Side.BUY, "1", "3000", "f1").replace(fee=D("0.01"), fee_asset=BTC))
    assert again.guardian.watch.revalue(again.state).blind
    again = restarted(again)
    assert again.guardian.watch.revalue(again.state).blind
    assert not acted(timer(again, T0 + S))
    at(again, ETH_PERP, 3_000.0, T0 + 2 * S)
    at(again, BTC_SPOT, 60_000.0, T0 + 2 * S)
    timer(again, T0 + 2 * S)
    assert not again.guardian.watch.revalue(again.state).blind
    assert again.state.equity == pytest.approx(160_000.0 + 30_000.0 - 600.0)
    assert again.state.drawdown == pytest.approx(600.0 / 160_000.0, rel=1e-6)
    assert not again.state.capital.held


def test_an_adopted_balance_without_a_price_is_profit_when_it_has_one() -> None:
    engine = watched()
    engine.process(e.BalanceSet(SPOT, BNB, D(1), "adopted by ada: ours 0", T0))
    assert not engine.guardian.watch.revalue(engine.state).blind
    engine.process(m.InstrumentDefined(BNB_PERP, T0))
    at(engine, BNB_PERP, 600.0, T0 + S)
    assert engine.state.day_profit == pytest.approx(600.0)
    assert engine.state.peak == D(100_000)


def test_an_account_that_opens_with_what_nobody_prices_begins_its_day_without_it() -> None:
    engine = Engine(watched().guardian, State(), strict=True)
    engine.process(e.BalanceSet(SPOT, JUNK, D(5), "opening", T0))
    engine.process(e.BalanceSet(SPOT, Asset("USDT"), D(1_000), "opening", T0))
    timer(engine, T0)
    assert (engine.state.day_start, engine.state.peak) == (D(1_000), D(1_000))


def test_a_better_market_that_stays_away_is_waited_for_with_peaks_and_then_no_longer() -> None:
    engine = coins()
    engine.state.markets.pop(BTC_PERP.id)
    engine.process(m.InstrumentDefined(DATED, T0))
    raised = []
    for second in range(0, 660, 20):
        at(engine, DATED, 64_800.0, T0 + second * S)
        timer(engine, T0 + second * S)
        raised.append(engine.state.peak > 160_000)
    assert engine.state.equity == pytest.approx(164_800.0)
    assert raised == [False] * 32 + [True], "a premium is no profit while the spot may come back"


@pytest.mark.parametrize("held", [True, False])
def test_a_small_coin_whose_pair_is_slow_keeps_no_peak_down(held: bool) -> None:
    """Its perpetual in the same money is as good; what is not held makes no peak."""
    engine = coins()
    quiet, lively = (BTC_SPOT, BTC_PERP) if held else (BNB_SPOT, BNB_USDC)
    for instrument in (quiet, lively):
        engine.process(m.InstrumentDefined(instrument, T0))
    if not held:
        at(engine, quiet, 600.0, T0)
        assert engine.state.ledger.rate(BNB) == 600.0
    for second in range(1, 120):
        at(engine, lively, (60_000.0 if held else 600.0) + second, T0 + second * S)
        if second % (4 if held else 45) == 0:
            at(engine, quiet, (60_000.0 if held else 600.0) + second, T0 + second * S)
        if not held:
            at(engine, BTC_SPOT, 60_000.0 + second, T0 + second * S)
        timer(engine, T0 + second * S)
    assert float(engine.state.peak) == pytest.approx(engine.state.equity, rel=2e-4)
    assert engine.state.equity > 160_100.0


def test_small_coins_whose_pairs_come_and_go_keep_no_peak_down() -> None:
    engine = coins()
    for instrument in (BNB_SPOT, BNB_USDC):
        engine.process(m.InstrumentDefined(instrument, T0))
    at(engine, BNB_SPOT, 600.0, T0)
    engine.process(e.BalanceSet(SPOT, BNB, D("0.2"), "deposit", T0))
    for second in range(1, 120):
        at(engine, BNB_USDC, 600.0, T0 + second * S)
        at(engine, BTC_SPOT, 60_000.0 + 10.0 * second, T0 + second * S)
        if second % 40 < 15:
            at(engine, BNB_SPOT, 600.0, T0 + second * S)
        timer(engine, T0 + second * S)
    assert float(engine.state.peak) == pytest.approx(engine.state.equity, rel=2e-4)
    assert engine.state.equity > 161_000.0
