"""One wallet that several instruments share, through the whole engine: it trades as its study does."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from core.domain import configs as d
from core.domain import market as m
from core.domain.identifiers import Asset, InstrumentId
from core.domain.instrument import Instrument
from core.domain.studies import Config, ConfigStatus
from core.engine import Engine
from core.guardian.promoting import config_breach
from core.session.strategies import strategies, strategy_words
from core.state.configs import LiveTrade
from core.strategy.library import MODELS
from core.strategy.live import LATE_NS
from core.strategy.past import PastBars
from core.strategy.rule import Terms, split
from core.strategy.signals import Bars, Indicators
from research.simulator.features import batches
from research.simulator.records import BY_END, BY_LIQUIDATION, BY_SIGNAL, BY_STOP, BY_TARGET
from research.simulator.shared import Basket, simulate_shared
from research.simulator.simulator import Account, Market, Tariff
from tests.core.guardian.watch.kit import QUIET
from tests.core.kit import opened
from tests.core.strategy.markets import walk
from tests.core.strategy.street import PERP, S, Street, bars_of, config, reborn

WARM = 200
WHY = {BY_SIGNAL: "signal", BY_STOP: "stop_loss", BY_TARGET: "take_profit", BY_LIQUIDATION: "liquidation"}


def contract(base: str) -> Instrument:
    """Return a contract like ``PERP`` of another underlying."""
    id_ = InstrumentId(f"BINANCE-FUTURES:PERPETUAL:{base}-USDT@LIN")
    return msgspec.structs.replace(PERP, id=id_, raw_symbol=f"{base}USDT", base=Asset(base))


FOUR = (PERP, contract("ETH"), contract("XRP"), contract("LTC"))


def shared(count: int, parameters: dict[str, Any] | None = None, **changes: Any) -> Config:
    """Return a config of one wallet over so many instruments."""
    base = config()
    ids = tuple(one.id for one in FOUR[:count])
    chosen = {**base.parameters, **(parameters or {})}
    return config(margin_mode="cross", instruments=ids, parameters=chosen, **changes)


class Mall(Street):
    """A street on which several instruments are traded at the same time."""

    def begin(self, markets: list[Bars], first: int) -> None:
        """Connect, adopt the config, and warm up with the bars before ``first``."""
        self.ts = int(markets[0].ts[first])
        self.driver.open(self.ts)
        for instrument, bars in zip(self.listed, markets, strict=True):
            self.instrument = instrument
            self.print(float(bars.open[first]))
        self.adopt(self.config)
        for instrument, bars in zip(self.listed, markets, strict=True):
            past = bars_of(bars, 0, first, instrument.id)
            self.give(PastBars(instrument.id, m.Interval(self.config.interval), past, self.ts))

    def walk_all(self, row: list[m.Bar]) -> None:
        """Walk a bar of each: all opens, then what is worse for each position, then the rest."""
        end, here = row[0].interval.ns, [bar.open for bar in row]
        self.ts = row[0].start + S
        for instrument, bar in zip(self.listed, row, strict=True):
            self.instrument = instrument
            self.print(bar.open)
        accounts = self.engine.state.configs.accounts
        rises = [accounts[bar.instrument].quantity < 0 for bar in row]
        for part in range(3):
            self.ts = max(self.ts + 1_000_000, row[0].start + (part + 1) * end // 4)
            for place, (instrument, bar) in enumerate(zip(self.listed, row, strict=True)):
                self.instrument = instrument
                worse, better = (bar.high, bar.low) if rises[place] else (bar.low, bar.high)
                here[place] = self._go(here[place], (worse, better, bar.close)[part])

    def play_all(self, markets: list[Bars], first: int, stop: int) -> list[tuple[InstrumentId, LiveTrade]]:
        """Walk bars; return the trades that ended, by instrument."""
        ended, seen = [], {one.id: self.engine.state.configs.accounts[one.id].closed for one in self.listed}
        for bar in range(first, stop):
            self.walk_all(
                [bars_of(bars, bar, bar + 1, one.id)[0] for one, bars in zip(self.listed, markets, strict=True)]
            )
            for id_, before in seen.items():
                account = self.engine.state.configs.accounts[id_]
                fresh = account.closed - before
                ended += [(id_, trade) for trade in account.trades[-fresh:]] if fresh else []
                seen[id_] += fresh
        return ended


def mall(chosen: Config, engine: Engine | None = None) -> Mall:
    """Return a street with all instruments of a config."""
    return Mall(chosen, engine=engine, instruments=[one for one in FOUR if one.id in chosen.instruments])


def study(chosen: Config, markets: list[Bars], first: int) -> list[Any]:
    """Return the trades that the simulator makes of a config on the bars from ``first``."""
    values, terms = split(chosen)
    sizes = {name: getattr(terms, name) for name in ("leverage", "fraction", "max_size", "stop", "target", "trail")}
    tariff = Tariff(fees=((0, float(PERP.taker_fee)),), tiers=((0, PERP.brackets),))
    made, sets = [], []
    for bars in markets:
        (batch,) = batches(MODELS[chosen.strategy], Indicators(bars), [values], **sizes)
        there = batch.sets.bars >= first + 1
        sets.append(
            msgspec.structs.replace(
                batch.sets, bars=batch.sets.bars[there] - first, signals=batch.sets.signals[:, there]
            )
        )
        prices = tuple(one[first:] for one in (bars.open, bars.high, bars.low, bars.close))
        made.append(Market(bars.ts[first:], prices, tariff=tariff))  # type: ignore[arg-type]
    account = Account(
        cash=chosen.capital, size_step=float(PERP.size_step), min_notional=float(PERP.min_notional), isolated=False
    )
    return [one for one in simulate_shared(Basket(made), account, sets, trades=True)[1] if one["reason"] != BY_END]


def compared(chosen: Config, markets: list[Bars], first: int = WARM) -> tuple[Mall, list[Any]]:
    """Play a config and compare every trade that is over with the study's."""
    street = mall(chosen)
    street.begin(markets, first)
    ended = street.play_all(markets, first, markets[0].size)
    start, step = int(markets[0].ts[first]), markets[0].interval_ns
    order = [one.id for one in street.listed]
    told = {
        (order.index(id_), one.side, (one.opened - start) // step, (one.closed - start) // step, one.reason): one
        for id_, one in ended
    }
    theirs = {
        (int(one["symbol"]), int(one["side"]), int(one["opened"]), int(one["closed"]), WHY[int(one["reason"])]): one
        for one in study(chosen, markets, first)
    }
    assert sorted(told) == sorted(theirs)
    for key, other in theirs.items():
        ours = told[key]
        assert float(ours.quantity) == pytest.approx(other["quantity"], abs=1.01 * float(PERP.size_step), rel=1e-6)
        assert float(ours.entry) == pytest.approx(other["entry"], rel=1e-9)
        if ours.reason != "liquidation":  # what is lost in all is the same; by which contract is the venue's order
            assert float(ours.profit) == pytest.approx(other["profit"], abs=0.02, rel=2e-3)
    assert float(sum(one.profit for _, one in ended)) == pytest.approx(
        sum(one["profit"] for one in theirs.values()), abs=1
    )
    return street, list(theirs.values())


def several(count: int, size: int = 420, seed: int = 3) -> list[Bars]:
    return [walk(size, seed + number) for number in range(count)]


CASES: dict[str, tuple[int, dict[str, Any], float]] = {
    "two": (2, {"fraction": 0.4}, 2.0),
    "the second entry takes what is left": (2, {"fraction": 0.8}, 2.0),
    "four with stops": (4, {"fraction": 0.2, "stop": 0.006, "target": 0.008}, 3.0),
}


@pytest.mark.parametrize("name", CASES)
def test_a_shared_wallet_trades_as_its_study(name: str) -> None:
    count, parameters, leverage = CASES[name]
    street, trades = compared(shared(count, parameters, leverage=leverage), several(count))
    assert len(trades) >= 20
    accounts = [street.engine.state.configs.accounts[one.id] for one in street.listed]
    seen = [street.engine.state.configs.compared[one.id] for one in street.listed]
    assert [(one.missed, one.extra) for one in seen] == [(0, 0)] * count
    assert sum(one.matched for one in seen) == sum(one.closed for one in accounts)
    if name == "the second entry takes what is left":
        sizes = [one["quantity"] * one["entry"] / (0.8 * 2.0 * 10_000) for one in trades]
        assert min(sizes) < 0.5 * max(sizes)


def test_a_shared_wallet_is_liquidated_as_a_whole() -> None:
    """Both hold the same side when the market falls by a fifth."""
    street, trades = compared(shared(2, {"fraction": 0.49}, leverage=10.0), [walk(420, 3)] * 2)
    assert [int(one["reason"]) for one in trades].count(BY_LIQUIDATION) == 2
    accounts = [street.engine.state.configs.accounts[one.id] for one in street.listed]
    assert any(one.liquidated for one in accounts)
    assert not any(one.quantity for one in accounts)


@pytest.mark.parametrize("checkpoint", [False, True])
def test_a_killed_engine_goes_on_with_the_wallet_that_all_share(checkpoint: bool) -> None:
    """Killed while something is held: what it does from there is what one does that was never killed."""
    chosen, markets, cut = shared(2, {"fraction": 0.8}, leverage=2.0), several(2, 330), 260
    whole = mall(chosen)
    whole.begin(markets, WARM)
    theirs = whole.play_all(markets, WARM, 330)
    street = mall(chosen)
    street.begin(markets, WARM)
    ours = street.play_all(markets, WARM, cut)
    reborn(street, cut, checkpoint=checkpoint)
    street.ts = int(markets[0].ts[cut])
    street.driver.finish(street.ts)
    for instrument, bars in zip(street.listed, markets, strict=True):
        street.give(PastBars(instrument.id, m.Interval.M15, bars_of(bars, 0, cut, instrument.id), street.ts))
    ours += street.play_all(markets, cut, 330)
    assert len(ours) > 10
    assert ours == theirs
    seen = [street.engine.state.configs.compared[one.id] for one in street.listed]
    assert [(one.missed, one.extra, round(one.profit_bps, 1)) for one in seen] == [(0, 0, 0)] * 2


def test_an_exit_is_not_held_up_by_an_instrument_that_has_no_bar() -> None:
    chosen, markets = shared(2, {"fraction": 0.4}), several(2)
    street = mall(chosen)
    street.begin(markets, WARM)
    live = street.engine._desk._lives["ema"]
    (group,) = live.groups
    start = int(markets[0].ts[WARM])
    (bar,) = bars_of(markets[0], WARM, WARM + 1)
    hand = live.hands[PERP.id]
    before = hand.mind.decided
    list(live.on_message(bar, street.engine.state))
    assert (group.waits, live.is_busy, hand.mind.decided) == (True, True, before)
    for late, decided in ((LATE_NS - 1, before), (LATE_NS, start)):
        street.engine.state.now = start + bar.interval.ns + late
        list(live.on_message(m.Timer(street.engine.state.now), street.engine.state))
        assert hand.mind.decided == decided
    assert not group.waits


# --- configs ----------------------------------------------------------------------------------------------------------


def test_a_shared_wallet_is_split_without_a_rest() -> None:
    for count, capital, parts in ((3, 10_000.0, ("3333.34", "3333.33", "3333.33")), (2, 0.01, ("0.01", "0.00"))):
        chosen = shared(count, capital=capital)
        assert chosen.capitals() == tuple(map(Decimal, parts))
        assert config(instruments=chosen.instruments, capital=capital).capitals() == (Decimal(repr(capital)),) * count
    assert not shared(1).shares_wallet


def refusals(street: Street, chosen: Config) -> list[str]:
    """Return why a config is refused."""
    before = len(street.events)
    street.adopt(chosen)
    return [one.reason for one in street.events[before:] if isinstance(one, d.ConfigRefused)]


def test_a_version_with_another_wallet_is_refused_until_the_first_is_retired() -> None:
    street = mall(shared(3))
    street.begin(several(3), WARM)
    other = [
        shared(2, version=2),
        config(instruments=shared(3).instruments, version=2),
    ]
    for one in other:
        (reason,) = refusals(street, one)
        assert reason.startswith("ema v1 runs with another wallet, or other instruments that share it: retire that")
    assert refusals(street, shared(3, {"fraction": 0.2}, version=2)) == []
    assert street.engine.state.configs.running["ema"].config.version == 2
    street.engine.state.configs.accounts[PERP.id].liquidated = street.ts
    street.ts += 900 * S
    street.driver.finish(street.ts)
    for hand in street.engine._desk._lives["ema"].hands.values():  # what one lost was the wallet of all
        hand.mind.goal, hand.mind.until = 1, street.ts + S
        assert list(hand.step(street.engine.state)) == []
        assert "goal=None" in repr(hand.mind)
        assert street.engine.state.configs.notes[hand.id].text.startswith("the venue closed it by force")
    (reason,) = refusals(street, shared(3, version=3))
    assert "closed ema v2's shared wallet by force: retire that" in reason
    assert refusals(street, shared(3, version=3, status=ConfigStatus.HISTORY)) == []
    street.ts += 900 * S
    street.driver.finish(street.ts)
    assert not street.engine.state.configs.running
    assert refusals(street, shared(2, version=4)) == []
    accounts = street.engine.state.configs.accounts
    assert [accounts[one.id].wallet for one in FOUR[:2]] == [5_000, 5_000]


def test_the_guardian_counts_a_shared_wallet_once() -> None:
    terms, bases = Terms(leverage=2.0, fraction=0.9), [one.base for one in FOUR]
    settings = msgspec.structs.replace(QUIET, max_gross_frac=0.21)
    state = opened(cash="50000").state
    assert config_breach(settings, state, terms, 10_000.0, bases, shares=True) is None
    breach = config_breach(settings, state, terms, 10_000.0, bases)
    assert breach is not None
    assert breach.limit == "max_gross"
    tight = msgspec.structs.replace(QUIET, max_gross_frac=0.19)
    breach = config_breach(tight, state, terms, 10_000.0, bases, shares=True)
    assert breach is not None
    assert "all positions of up to 20 000" in breach.reason


def test_a_shared_wallet_is_told_as_one() -> None:
    street = mall(shared(2))
    street.begin(several(2), WARM)
    lines = strategy_words(strategies(street.engine.state.configs, street.engine.state.markets), str)
    assert lines[0].endswith(", one wallet 10000.00 of 10000.00")
    assert "flat, its part 5000.00 of 5000.00" in lines[1]
