"""Configs on the engine: judged, adopted, replaced, ended, and found again after a kill."""

from decimal import Decimal
from typing import Any

import msgspec
import numpy as np
import pytest

from core.config.settings import AlertSettings
from core.domain import commands as c
from core.domain import configs as d
from core.domain import events as e
from core.domain import market as m
from core.domain.alerts import AlertKind, AlertRaised
from core.domain.approval import TradingState
from core.domain.identifiers import Asset, InstrumentId
from core.domain.order import Order, OrderType, Side
from core.domain.studies import AdoptConfig, Config, ConfigStatus
from core.engine import Engine
from core.guardian.guardian import RESUME, Guardian
from core.outbox import PastWanted
from core.session import wire
from core.session.outcome import outcome_of
from core.session.strategies import strategies, strategy_words
from core.state.state import IMAGE_DECODER, State
from core.strategy.past import PastBars
from tests.core.guardian.watch.kit import ABLE, QUIET
from tests.core.kit import BTC_COINM, BTC_PERP, BTC_SPOT, ETH_PERP, SPOT, T0, S, of, opened, quote
from tests.core.strategy.markets import walk
from tests.core.strategy.street import PERP, Street, bars_of, config, reborn

FIRST = 200


def engine_of(**changes: Any) -> Engine:
    """Return an engine with an account of 100 000 on which nothing but the named limits binds."""
    settings = msgspec.structs.replace(QUIET, **changes)
    return opened(settings=settings, abilities={PERP.venue: ABLE, SPOT: ABLE})


def adopt(engine: Engine, chosen: Config) -> list[Any]:
    return list(engine.process(AdoptConfig(chosen, "test", engine.state.now)))


def reason(engine: Engine, chosen: Config) -> str:
    """Return why a config is refused; the answer to whoever gave it says the same."""
    effects = adopt(engine, chosen)
    (refused,) = of(effects, d.ConfigRefused)
    outcome = outcome_of(effects)
    assert not outcome.ok
    assert refused.reason in outcome.reason
    assert engine.state.configs.refused[chosen.strategy_id].reason == refused.reason
    text: str = refused.reason
    return text


def judged(effects: Any) -> list[Any]:
    """Return what was said of configs."""
    return [one for one in effects if isinstance(one, d.ConfigAdopted | d.ConfigWaits | d.ConfigRefused)]


# --- judging ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"strategy": "crystal_ball"}, 'no strategy "crystal_ball" in the library'),
        ({"interval": "4h"}, 'no bars of "4h" here; there are 1m, 15m, 1h'),
        ({"instruments": ()}, "names no instrument"),
        ({"instruments": (InstrumentId("BINANCE-FUTURES:PERPETUAL:DOGE-USDT@LIN"),)}, "is not known here"),
        ({"instruments": (BTC_SPOT.id,), "leverage": 2.0}, "is spot, bought outright, and leverage 2 was studied"),
        ({"instruments": (BTC_SPOT.id,), "margin_mode": "cross"}, "bought outright, and crossed margin was studied"),
        ({"instruments": (InstrumentId("nonsense"),)}, "nonsense"),
        ({"capital": 0.0}, "its capital is 0"),
        ({"parameters": {"fast": 30, "slow": 20}}, "fast is 30"),
        ({"parameters": {"speed": 3}}, 'no parameter "speed"'),
        ({"leverage": 0.0}, "leverage is 0"),
    ],
)
def test_what_cannot_run_is_refused_in_words(changes: dict[str, Any], says: str) -> None:
    engine = engine_of()
    assert says in reason(engine, config(**changes))
    assert not engine.state.configs.running


def test_an_inverse_contract_is_refused_with_what_to_take_instead() -> None:
    engine = opened(settings=QUIET, instruments=(BTC_PERP, BTC_COINM), abilities={})
    said = reason(engine, config(instruments=(BTC_COINM.id,)))
    assert "is an inverse contract, settled in BTC" in said
    assert "study a linear contract of BTC" in said


@pytest.mark.parametrize(
    ("limit", "chosen", "says"),
    [
        ({"max_leverage": 3.0}, config(leverage=5.0), "leverage 5x > 3x"),
        ({"max_order_notional_frac": 0.04}, config(), "one entry of up to 5 000 > max_order_notional 4 000"),
        ({"max_position_frac": 0.04}, config(), "one position of up to 5 000 > max_position 4 000"),
        ({"max_gross_frac": 0.08}, config(instruments=(BTC_PERP.id, ETH_PERP.id)), "all positions of up to 10 000"),
        ({"max_sector_frac": 0.02}, config(max_position_size=3_000.0), "one underlying of up to 3 000"),
    ],
)
def test_the_guardian_is_asked_and_names_its_setting(limit: dict[str, float], chosen: Config, says: str) -> None:
    said = reason(engine_of(**limit), chosen)
    assert said.startswith("refused: ")
    assert says in said
    assert not of(adopt(engine_of(**{key: 1.0 + value * 1e3 for key, value in limit.items()}), chosen), d.ConfigRefused)


def test_a_max_size_keeps_a_levered_config_within_the_limits() -> None:
    engine = engine_of(max_order_notional_frac=0.04)
    assert of(adopt(engine, config(leverage=5.0, max_position_size=4_000.0)), d.ConfigAdopted)


@pytest.mark.parametrize("restarted", [False, True])
def test_a_config_waits_for_an_instrument_that_is_anothers(restarted: bool) -> None:
    """One instrument is one strategy's; a restart of the engine, which is given all configs anew, changes nothing."""
    engine, other = engine_of(), config(strategy_id="other", instruments=(ETH_PERP.id, PERP.id))
    assert of(adopt(engine, config()), d.ConfigAdopted)
    (waits,) = of(adopt(engine, other), d.ConfigWaits)
    assert f"{PERP.id} is ema's" in waits.reason
    assert "no strategy" in reason(engine, config(strategy_id="wrong", strategy="none"))  # would never run: no wait
    if restarted:
        image = IMAGE_DECODER.decode(wire.encode(engine.state.image()))
        engine = Engine(engine.guardian, State(), abilities={PERP.venue: ABLE, SPOT: ABLE}, strict=True)
        engine.restore(image)
        for chosen in (other, config()):
            assert not judged(adopt(engine, chosen))
    assert not judged(engine.process(m.Timer(T0 + S)))  # said once
    assert engine.state.configs.waiting["other"].reason == waits.reason
    adopt(engine, config(status=ConfigStatus.HISTORY))
    effects = engine.process(m.Timer(T0 + 2 * S))
    assert of(effects, d.ConfigEnded)
    assert [one.config for one in judged(effects)] == [other]
    assert list(engine.state.configs.running) == ["other"]
    assert not engine.state.configs.waiting


def test_a_refused_config_that_is_retired_is_told_no_more() -> None:
    engine = engine_of()
    reason(engine, config(strategy="none"))
    end = config(strategy="none", version=2, status=ConfigStatus.HISTORY)
    assert of(adopt(engine, end), d.ConfigEnded)
    assert not engine.state.configs.refused
    assert not adopt(engine, end)


def test_a_wallet_that_goes_on_counts_where_a_new_version_asks_for_less() -> None:
    engine = engine_of(max_order_notional_frac=0.06)
    assert of(adopt(engine, config()), d.ConfigAdopted)  # half of 10 000
    more = {**config().parameters, "fraction": 0.9}
    assert "one entry of up to 9 000" in reason(engine, config(version=2, parameters=more, capital=5_000.0))
    assert of(adopt(engine_of(max_order_notional_frac=0.06), config(parameters=more, capital=5_000.0)), d.ConfigAdopted)


def test_a_halt_puts_a_config_off_until_trading_is_active() -> None:
    engine = engine_of()
    engine.process(c.SetTradingState(TradingState.HALTED, "lunch", who="me", ts=T0))
    effects = adopt(engine, config())
    (waits,) = of(effects, d.ConfigWaits)
    assert "trading is HALTED (lunch)" in waits.reason
    assert outcome_of(effects).ok
    assert not of(engine.process(m.Timer(T0 + S)), d.ConfigWaits)  # said once
    engine.process(c.SetTradingState(TradingState.ACTIVE, "", RESUME, "me", ts=T0 + S))
    assert of(engine.process(m.Timer(T0 + 2 * S)), d.ConfigAdopted)
    assert not engine.state.configs.waiting


def test_a_config_waits_for_its_venue() -> None:
    engine = Engine(Guardian(QUIET), State(), strict=True)
    (waits,) = of(adopt(engine, config()), d.ConfigWaits)
    assert "its venue is not connected" in waits.reason


def test_the_same_again_changes_nothing_and_an_older_one_is_refused() -> None:
    engine = engine_of()
    assert of(adopt(engine, config(version=3, hash="a")), d.ConfigAdopted)
    assert not adopt(engine, config(version=3, hash="a"))
    assert "ema v3 is newer" in reason(engine, config(version=2))
    assert not adopt(engine, config(strategy_id="never", status=ConfigStatus.HISTORY))


def test_without_configs_no_strategy_is_asked() -> None:
    engine = engine_of()
    engine.process(m.Timer(T0 + S))
    assert engine._strategies == ()
    adopt(engine, config())
    assert len(engine._strategies) == 1


# --- warming up -------------------------------------------------------------------------------------------------------


def test_bars_are_asked_for_and_what_is_missing_is_said() -> None:
    engine = engine_of()
    adopt(engine, config())
    (wanted,) = of(engine.process(m.Timer(T0 + S)), PastWanted)
    assert (wanted.instrument, wanted.interval, wanted.end) == (PERP.id, m.Interval.M15, T0 + S)
    assert not of(engine.process(m.Timer(T0 + 2 * S)), PastWanted)  # it waits for the answer
    effects = engine.process(PastBars(PERP.id, m.Interval.M15, (), T0 + 2 * S))
    (note,) = of(effects, d.StrategyNoted)
    assert "waits for bars" in note.text
    (again,) = of(engine.process(m.Timer(T0 + 40 * S)), PastWanted)
    bars = walk(FIRST)
    now = int(bars.ts[FIRST - 1]) + bars.interval_ns
    (note,) = of(engine.process(PastBars(PERP.id, m.Interval.M15, bars_of(bars, 0, FIRST), now)), d.StrategyNoted)
    assert note.text == ""
    assert again.start <= again.end - 127 * bars.interval_ns
    assert not of(engine.process(m.Timer(now + 100 * S)), PastWanted)


def test_a_bar_that_was_not_heard_whole_is_learnt_and_not_decided_on() -> None:
    street, bars = Street(config()), walk(300, 3)
    street.open(bars, FIRST)
    street.play(bars, FIRST, FIRST + 5)
    street.driver._process(m.VenueStatus(PERP.venue, True, "back", street.ts), street.ts)
    street.driver._process(e.VenueReconciled(PERP.venue, 0, street.ts), street.ts)
    live = street.engine._desk._lives["ema"]
    decided: list[bool] = []
    hand = live.hands[PERP.id]
    take = hand.on_close

    def seen(bar: m.Bar, signal: int, state: State, *, decide: bool) -> None:
        decided.append(decide)
        take(bar, signal, state, decide=decide)

    hand.on_close = seen  # type: ignore[method-assign]
    street.play(bars, FIRST + 5, FIRST + 8)
    assert decided == [False, True, True]  # the first was growing when the link came back


# --- trading ----------------------------------------------------------------------------------------------------------


def entered(street: Street, bars: Any, start: int = FIRST) -> int:
    """Play until the strategy holds something; return the bar behind."""
    for bar in range(start, bars.size):
        street.play(bars, bar, bar + 1)
        if street.account.quantity:
            return bar + 1
    raise AssertionError("nothing was entered")


def test_an_entry_brings_its_stop_and_has_an_id_of_its_bar() -> None:
    street, bars = Street(config(parameters={**config().parameters, "stop": 0.05})), walk(300, 3)
    street.open(bars, FIRST)
    entered(street, bars)
    (entry,) = [one.order for one in of(street.events, e.OrderSubmitted) if one.order.strategy_intent == "entry"]
    assert entry.operation_id.startswith(f"ema:{PERP.id}:1700")
    (resting,) = street.engine.state.blotter.open.values()
    assert (resting.order.type, resting.order.parent) == (OrderType.STOP, entry.client_order_id)
    assert resting.order.quantity == abs(street.account.quantity)


def test_a_traders_position_beside_it_is_left_alone() -> None:
    """The account holds both; the strategy closes its own part, by signal and when it is ended."""
    street, bars = Street(config()), walk(400, 3)
    street.open(bars, FIRST)
    at = entered(street, bars)
    side = Side.BUY if street.account.quantity > 0 else Side.SELL
    street.driver.command(c.SubmitOrder(Order(PERP.id, side, Decimal("0.05")), "hand", street.ts))
    held = street.engine.state.ledger.positions[PERP.id]
    own = street.account.quantity
    assert held.quantity == own + side.sign * Decimal("0.05")
    end = msgspec.structs.replace(street.config, status=ConfigStatus.HISTORY)
    street.driver.command(AdoptConfig(end, "test", street.ts))
    street.play(bars, at, at + 1)
    assert held.quantity == side.sign * Decimal("0.05")
    assert street.account.quantity == 0
    assert not street.engine.state.configs.running
    assert [type(one).__name__ for one in street.events if isinstance(one, d.ConfigAdopted | d.ConfigEnded)] == [
        "ConfigAdopted",
        "ConfigAdopted",
        "ConfigEnded",
    ]


def test_what_a_trader_closes_is_gone_from_the_account_and_counted() -> None:
    street, bars = Street(config()), walk(400, 3)
    street.open(bars, FIRST)
    at = entered(street, bars)
    street.driver.command(c.Flatten(PERP.id, "hand", street.ts))
    assert street.account.quantity == 0
    assert street.trades[-1].reason == "others"
    street.play(bars, at, at + 60)
    seen = street.engine.state.configs.compared[PERP.id]
    assert seen.missed == 0  # it was entered alike; it ended otherwise
    assert seen.matched == street.account.closed


def test_the_other_side_of_a_traders_position_is_not_entered() -> None:
    street, bars = Street(config()), walk(400, 3)
    street.open(bars, FIRST)
    probe = Street(config())
    probe.open(bars, FIRST)
    entered(probe, bars)
    against = Side.SELL if probe.account.quantity > 0 else Side.BUY
    street.driver.command(c.SubmitOrder(Order(PERP.id, against, Decimal("0.3")), "hand", street.ts))
    street.play(bars, FIRST, FIRST + 60)
    assert "others hold the other side" in " ".join(one.text for one in of(street.events, d.StrategyNoted))
    assert all(one.side == against.sign for one in street.trades)
    assert street.engine.state.configs.compared[PERP.id].missed > 0


def test_a_denied_entry_is_a_missed_trade_and_the_divergence_is_alarmed() -> None:
    settings = msgspec.structs.replace(QUIET, max_order_quantity={PERP.id: Decimal("0.00001")})
    alerts = AlertSettings(divergence_bps=5.0)
    engine = Engine(
        Guardian(settings), State(Asset("USDT"), "replay"), abilities={PERP.venue: ABLE}, strict=True, alerts=alerts
    )
    street, bars = Street(config(), engine=engine), walk(330, 3)
    street.open(bars, FIRST)
    street.play(bars, FIRST, 330)
    seen = engine.state.configs.compared[PERP.id]
    assert (seen.matched, seen.extra) == (0, 0)
    assert seen.missed > 3
    raised = [one for one in of(street.events, AlertRaised) if one.kind is AlertKind.STRATEGY]
    assert any("bps of its capital from its study's rule (bound 5)" in one.text for one in raised)


def test_a_new_version_keeps_the_position_and_moves_its_stop() -> None:
    parameters = {**config().parameters, "stop": 0.2}
    street, bars = Street(config(parameters=parameters)), walk(300, 3)
    street.open(bars, FIRST)
    at = entered(street, bars)
    own, entry = street.account.quantity, street.account.entry_price
    street.adopt(config(version=2, parameters={**parameters, "stop": 0.1}))
    street.give(PastBars(PERP.id, m.Interval.M15, bars_of(bars, 0, at - 1), street.ts))
    assert street.account.quantity == own
    (stop,) = street.engine.state.blotter.open.values()
    sign = 1 if own > 0 else -1
    assert stop.order.trigger == PERP.quantise_price(entry * (1 - sign * Decimal("0.1")))
    assert street.engine.state.configs.running["ema"].config.version == 2


def test_a_close_that_the_venue_holds_up_goes_on_over_bars_and_is_done_once() -> None:
    street, bars = Street(config(parameters={**config().parameters, "stop": 0.2})), walk(400, 3)
    street.open(bars, FIRST)
    at = entered(street, bars)
    hand = street.engine._desk._lives["ema"].hands[PERP.id]
    venue = street.engine.state.venues[PERP.venue]
    hand.mind.goal, venue.reconciled = 0, False
    street.play(bars, at, at + 2)
    assert street.account.quantity
    assert [one.order.type for one in street.engine.state.blotter.open.values()] == [OrderType.STOP]  # still protected
    venue.reconciled = True
    street.play(bars, at + 2, at + 3)
    sells = [one.order for one in of(street.events, e.OrderSubmitted) if one.order.strategy_intent == "signal"]
    assert len(sells) == 1
    assert street.account.closed == 1


# --- a kill -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("checkpoint", [False, True])
def test_a_killed_engine_goes_on_with_position_account_and_stop(checkpoint: bool) -> None:
    """Killed in a position: what it does from there is what one does that was never killed."""
    parameters = {**config().parameters, "stop": 0.03, "trail": 0.03}
    bars = walk(330, 3)
    whole = Street(config(parameters=parameters))
    whole.open(bars, FIRST)
    whole.play(bars, FIRST, 330)
    street = Street(config(parameters=parameters))
    street.open(bars, FIRST)
    at = entered(street, bars)
    reborn(street, at, checkpoint=checkpoint)
    street.ts = int(bars.ts[at])
    street.driver.finish(street.ts)  # a timer places it again, and asks for bars
    street.give(PastBars(PERP.id, m.Interval.M15, bars_of(bars, 0, at), street.ts))
    street.play(bars, at, 330)
    assert street.account.closed == whole.account.closed > 5
    for ours, theirs in zip(street.trades, whole.trades, strict=True):
        assert (ours.side, ours.opened, ours.closed, ours.quantity, ours.exit) == (
            theirs.side,
            theirs.opened,
            theirs.closed,
            theirs.quantity,
            theirs.exit,
        )
    seen = street.engine.state.configs.compared[PERP.id]
    assert (seen.matched, seen.missed, seen.extra) == (street.account.closed, 0, 0)


def test_an_exit_that_was_missed_while_away_is_made_up_and_no_entry_is() -> None:
    bars = walk(400, 3)
    street = Street(config())
    street.open(bars, FIRST)
    at = entered(street, bars)
    side = street.account.quantity > 0
    reborn(street, at, checkpoint=True)
    later = at
    probe = Street(config())
    probe.open(bars, FIRST)
    probe.play(bars, FIRST, at)
    while probe.account.quantity and (probe.account.quantity > 0) == side:
        probe.play(bars, later, later + 1)
        later += 1
    street.ts = int(bars.ts[later])
    street.print(float(bars.open[later]))
    street.driver.finish(street.ts + 1)
    street.give(PastBars(PERP.id, m.Interval.M15, bars_of(bars, 0, later), street.ts))
    assert street.account.quantity == 0
    assert street.trades[-1].reason == "signal"


@pytest.mark.parametrize("cut", ["the link is new", "a version is new"])
def test_an_exit_of_the_bar_that_was_cut_is_made_up(cut: str) -> None:
    """The bar whose close says "out" is not decided on; it is once the venue has told it."""
    bars = walk(400, 3)
    probe = Street(config())
    probe.open(bars, FIRST)
    probe.play(bars, FIRST, 399)
    long = next(one for one in probe.trades if one.closed - one.opened > 3 * bars.interval_ns)
    at = int(np.searchsorted(bars.ts, long.closed))  # the bar behind the one that it was closed in
    street = Street(config())
    street.open(bars, FIRST)
    street.play(bars, FIRST, at - 2)
    (says_out,) = bars_of(bars, at - 2, at - 1)
    assert street.account.quantity
    if cut == "the link is new":
        street.ts = says_out.start + 100 * S
        street.driver._process(m.VenueStatus(PERP.venue, True, "back", street.ts), street.ts)
        street.driver._process(e.VenueReconciled(PERP.venue, 0, street.ts), street.ts)
    street.walk(says_out)
    if cut == "a version is new":
        street.adopt(config(version=2))
    street.ts = int(bars.ts[at - 1]) + S
    street.print(float(bars.open[at - 1]))
    street.driver.finish(street.ts + 1)
    assert street.account.quantity
    street.give(PastBars(PERP.id, m.Interval.M15, bars_of(bars, 0, at - 1), street.ts))
    assert street.account.quantity == 0
    assert street.trades[-1].reason == "signal"
    street.play(bars, at - 1, 399)
    assert street.engine.state.configs.compared[PERP.id].matched > 3


# --- words ------------------------------------------------------------------------------------------------------------


def test_a_strategy_is_told_in_a_line_with_its_accounts() -> None:
    engine = engine_of()
    adopt(engine, config())
    adopt(engine, config(strategy_id="x", strategy="none"))
    engine.process(quote(PERP, 60_000.0, 60_001.0, T0))
    lines = strategy_words(strategies(engine.state.configs, engine.state.markets), str)
    assert lines[0] == f"ema v1 runs since {T0}"
    assert "flat, wallet 10000.00 of 10000.00, 0 trades" in lines[1]
    assert lines[2].startswith("x v1 refused")


def test_two_configs_of_one_strategy_run_under_ids_of_their_own() -> None:
    engine = engine_of()
    first = config(strategy_id="rsi-btc", instruments=(BTC_PERP.id,))
    second = config(strategy_id="rsi-eth", instruments=(ETH_PERP.id,))
    assert first.strategy == second.strategy == "rsi_ema"
    adopt(engine, first)
    adopt(engine, second)
    found = engine.state.configs
    assert set(found.running) == {"rsi-btc", "rsi-eth"}
    assert not found.refused
    assert {id_: one.strategy_id for id_, one in found.accounts.items()} == {
        BTC_PERP.id: "rsi-btc", ETH_PERP.id: "rsi-eth",
    }  # fmt: skip


def test_a_client_sees_what_runs() -> None:
    engine = engine_of()
    adopt(engine, config())
    seen = State.from_image(IMAGE_DECODER.decode(wire.encode(engine.state.image(client=True))))
    assert seen.configs.running["ema"].config == config()
    seen.apply(d.ConfigEnded("ema", 1, T0))
    assert not seen.configs.running


# --- when something fails ---------------------------------------------------------------------------------------------


def test_a_strategy_that_fails_holds_up_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    street, bars = Street(config()), walk(300, 3)
    street.open(bars, FIRST)
    street.engine._outbox.strict = False
    live = street.engine._desk._lives["ema"]

    def fails(*_: Any) -> Any:
        raise RuntimeError("planted")

    monkeypatch.setattr(live, "on_message", fails)
    street.play(bars, FIRST, FIRST + 3)
    assert street.engine.state.markets[PERP.id].last == bars.close[FIRST + 2]
    monkeypatch.undo()
    entered(street, bars, FIRST + 3)


def test_a_link_that_comes_back_to_a_venue_without_history_forgets_nothing() -> None:
    street, bars = Street(config()), walk(300, 3)
    street.open(bars, FIRST)
    street.play(bars, FIRST, FIRST + 3)
    street.driver._process(m.VenueStatus(PERP.venue, True, "back", street.ts), street.ts)
    street.driver._process(e.VenueReconciled(PERP.venue, 0, street.ts), street.ts)
    street.give(PastBars(PERP.id, m.Interval.M15, (), street.ts))
    entered(street, bars, FIRST + 3)
    assert PERP.id not in street.engine.state.configs.notes


def test_too_many_instruments_are_refused() -> None:
    many = tuple(InstrumentId(f"BINANCE-FUTURES:PERPETUAL:A{n}-USDT@LIN") for n in range(17))
    assert "at most 16" in reason(engine_of(), config(instruments=many))


def test_a_strategy_across_instruments_decides_when_all_of_them_have_their_bar() -> None:
    """Two instruments, one follower: each is decided on the row of both."""
    engine = engine_of()
    chosen = config(
        strategy="cross_momentum", parameters={}, instruments=(BTC_PERP.id, ETH_PERP.id), max_position_size=1_000.0
    )
    assert of(adopt(engine, chosen), d.ConfigAdopted)
    live = engine._desk._lives["ema"]
    (group,) = live.groups
    wanted = of(engine.process(m.Timer(T0 + S)), PastWanted)
    assert [one.instrument for one in wanted] == [BTC_PERP.id, ETH_PERP.id]
    size = group.followers.warm_up + 5
    bars = walk(size)
    now = int(bars.ts[-1]) + bars.interval_ns
    engine.process(PastBars(BTC_PERP.id, m.Interval.M15, bars_of(bars, 0, size - 1, BTC_PERP.id), now))
    assert live.hands[BTC_PERP.id].mind.decided == 0
    engine.process(PastBars(ETH_PERP.id, m.Interval.M15, bars_of(bars, 0, size - 2, ETH_PERP.id), now))
    assert group.ready
    (last,) = bars_of(bars, size - 1, size, BTC_PERP.id)
    list(live.on_message(last, engine.state))
    engine.state.now = now + 60 * S
    list(live.on_message(m.Timer(engine.state.now), engine.state))  # all of them are looked across: it waits on
    assert live.hands[BTC_PERP.id].mind.decided == int(bars.ts[-2])
    list(live.on_message(last.replace(instrument=ETH_PERP.id), engine.state))
    assert live.hands[BTC_PERP.id].mind.decided == live.hands[ETH_PERP.id].mind.decided == int(bars.ts[-1])
