"""One wallet over several contracts: against a plain version, against one contract, against arithmetic by hand."""

from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import ResearchError
from research.simulator.records import BY_END, BY_LIQUIDATION, BY_STOP
from research.simulator.shared import Basket, simulate_shared
from research.simulator.simulator import LONG_ENTRY, LONG_EXIT, SHORT_ENTRY, Account, Market, Sets, Tariff, simulate
from tests.research.plain import PlainBar, PlainSet
from tests.research.plain_shared import Part, PlainShared
from tests.research.simulator.test_simulator import ACCOUNTS, EARLY, LATE, SETS, WHY, brackets, flat, one, stamps, walks

CROSSED = ACCOUNTS.map(lambda account: Account(**{**_fields(account), "isolated": False}))
NEVER = brackets((1e12, 0.0, 125))


def _fields(account: Account) -> dict[str, Any]:
    return {name: getattr(account, name) for name in account.__struct_fields__}


class Contract(NamedTuple):
    """A contract of a random market: its bars, when it has them, its signals by its own bars, its set."""

    bars: list[PlainBar]
    places: list[int]
    signals: dict[int, int]
    chosen: list[PlainSet]

    def market(self, tariff: Tariff) -> Market:
        columns = {name: np.array([getattr(bar, name) for bar in self.bars]) for name in PlainBar._fields}
        return Market(
            stamps(self.places[-1] + 1)[self.places],
            (columns["open"], columns["high"], columns["low"], columns["close"]),
            marks=(columns["mark"], columns["mark_high"], columns["mark_low"]),
            funding_rate=columns["rate"],
            tariff=tariff,
        )

    def sets(self) -> Sets:
        when = np.array(sorted(self.signals), np.int64)
        row = [self.signals[int(t)] for t in when]
        named = {name: np.array([getattr(chosen, name) for chosen in self.chosen]) for name in PlainSet._fields}
        rows = np.array([row] * len(self.chosen), np.uint8).reshape(len(self.chosen), when.size)
        return Sets(bars=when, signals=rows, **named)


@st.composite
def contracts(draw: st.DrawFn) -> list[Contract]:
    """Return two or three contracts, some of whose bars are missing."""
    made, count = [], draw(st.integers(1, 2))
    for _ in range(draw(st.integers(2, 3))):
        bars, signals = draw(walks())
        rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
        missing = draw(st.sampled_from([0.0, 0.0, 0.2]))
        places = np.cumsum(1 + (rng.random(len(bars)) < missing)) - 1
        chosen = draw(st.lists(SETS, min_size=count, max_size=count))
        made.append(Contract(bars, [int(place) for place in places], signals, chosen))
    return made


@given(made=contracts(), account=CROSSED)
def test_every_set_equals_the_plain_walk(made: list[Contract], account: Account) -> None:
    times = sorted({place for contract in made for place in contract.places})
    at = {place: t for t, place in enumerate(times)}
    half = len(times) // 2
    since = int(stamps(times[half] + 1)[-1])
    tariffs = [
        Tariff(fees=((0, 0.0004), (since, 0.0005)), tiers=((0, EARLY), (since, LATE))),
        Tariff(fees=((0, 0.001),), tiers=((0, LATE),)),
        Tariff(fees=((0, 0.0002), (since, 0.0001)), tiers=((0, EARLY),)),
    ]
    tables = [(0.0004, 0.0005, EARLY, LATE), (0.001, 0.001, LATE, LATE), (0.0002, 0.0001, EARLY, EARLY)]
    basket = Basket([contract.market(tariff) for contract, tariff in zip(made, tariffs, strict=False)])
    runs, log = simulate_shared(basket, account, [contract.sets() for contract in made], trades=True)
    days = [int(t) for t in basket.days]
    for number, run in enumerate(runs):
        parts = [
            Part(
                contract.chosen[number],
                lambda t, table=table: table[1] if t >= half else table[0],  # type: ignore[misc]
                lambda t, table=table: table[3] if t >= half else table[2],  # type: ignore[misc]
            )
            for contract, table in zip(made, tables, strict=False)
        ]
        plain = PlainShared(account, parts).run(
            len(times),
            [dict(zip((at[place] for place in c.places), c.bars, strict=True)) for c in made],
            [{at[c.places[t]]: signal for t, signal in c.signals.items()} for c in made],
        )
        assert run["liquidated"] == plain.liquidated
        assert run["equity"] == pytest.approx(plain.equities[-1], abs=1e-6)
        assert run["drawdown"] == pytest.approx(plain.drawdown, abs=1e-9)
        assert run["orders"] == plain.orders
        assert [run["sum_1"], run["sum_2"]] == pytest.approx(plain.sums(days), abs=1e-9)
        done = [row for row in log if row["set"] == number and row["reason"] in WHY]
        assert sorted((t["symbol"], t["opened"], t["closed"], WHY[int(t["reason"])]) for t in done) == sorted(
            (one.symbol, one.opened, one.closed, one.why) for one in plain.trades
        )
        assert sorted(t["exit"] for t in done) == pytest.approx(sorted(one.exit for one in plain.trades))
        profit = sum(row["profit"] for row in log if row["set"] == number)
        assert profit == pytest.approx(run["equity"] - account.cash, abs=1e-6)


@given(walked=walks(), chosen=SETS, account=CROSSED)
def test_with_one_contract_it_is_the_crossed_walk(
    walked: tuple[list[PlainBar], dict[int, int]], chosen: PlainSet, account: Account
) -> None:
    contract = Contract(walked[0], list(range(len(walked[0]))), walked[1], [chosen])
    since = int(stamps(len(walked[0]) // 2 + 1)[-1])
    market = contract.market(Tariff(fees=((0, 0.0004), (since, 0.0006)), tiers=((0, EARLY), (since, LATE))))
    (run,), log = simulate(market, account, contract.sets(), trades=True)
    (shared,), trades = simulate_shared(Basket([market]), account, [contract.sets()], trades=True)
    for name in ("equity", "drawdown", "fees", "funding", "gross_profit", "gross_loss", "sum_1", "sum_2"):
        assert shared[name] == pytest.approx(run[name], rel=1e-9, abs=1e-9), name
    for name in ("liquidated", "orders", "trades", "wins", "bars_held", "days"):
        assert shared[name] == run[name], name
    for name in ("opened", "closed", "reason", "side"):
        assert list(trades[name]) == list(log[name]), name
    for name in ("quantity", "entry", "exit", "profit"):
        assert list(trades[name]) == pytest.approx(list(log[name]), rel=1e-9, abs=1e-9), name


def crossed(**changes: Any) -> Account:
    return Account(**{"cash": 1000.0, "isolated": False, **changes})


def test_a_gain_of_one_carries_the_other() -> None:
    """Ten times long in both: the one that falls by 12 % would be liquidated alone, the other's gain carries it."""
    falls, rises = flat([100.0, 94, 88], tariff=Tariff(tiers=((0, EARLY),))), flat([100.0, 106, 112])
    acts = one({0: LONG_ENTRY}, leverage=10.0, notional=8200.0)
    half = one({0: LONG_ENTRY}, leverage=10.0, notional=1000.0)
    (alone,), _ = simulate(falls, crossed(), acts)
    assert alone["liquidated"] == 2
    (both,), log = simulate_shared(Basket([falls, rises]), crossed(), [acts, half], trades=True)
    assert both["liquidated"] == -1
    assert both["equity"] == pytest.approx(1000 - 82 * 12 + 10 * 12)
    assert sorted(log["symbol"]) == [0, 1]
    assert set(log["reason"]) == {BY_END}


def test_the_worst_of_all_is_taken_at_once() -> None:
    """A long and a short of equal size hedge each other at every close; the marks inside the bar kill both."""
    quiet = np.full(3, 100.0)
    wide = (quiet, np.array([100.0, 105.5, 100.0]), np.array([100.0, 94.5, 100.0]))
    tariff = Tariff(tiers=((0, NEVER),))
    markets = [Market(stamps(3), (quiet,) * 4, marks=wide, tariff=tariff) for _ in range(2)]
    long, short = (
        one({0: LONG_ENTRY}, leverage=20.0, notional=9000.0),
        one({0: SHORT_ENTRY}, leverage=20.0, notional=9000.0),
    )
    (run,), log = simulate_shared(Basket(markets), crossed(cash=990.0), [long, short], trades=True)
    assert (run["liquidated"], run["equity"]) == (1, 0.0)
    assert list(log["reason"]) == [BY_LIQUIDATION] * 2
    assert log["profit"].sum() == pytest.approx(-990.0)
    (run,), _ = simulate_shared(Basket(markets), crossed(cash=991.0), [long, short])
    assert run["liquidated"] == -1


@pytest.mark.parametrize("side", [1, -1])
def test_funding_alone_liquidates(side: int) -> None:
    """No mark ever moves: both pay 60 a bar from the one after the entry on, 8 are kept; 200 last for three stamps."""
    tariff = Tariff(tiers=((0, EARLY),))
    markets = [flat([100.0] * 12, funding_rate=np.full(12, rate * side), tariff=tariff) for rate in (0.04, 0.02)]
    acts = one({1: LONG_ENTRY if side > 0 else SHORT_ENTRY}, leverage=20.0, notional=1000.0)
    (run,), log = simulate_shared(Basket(markets), crossed(cash=200.0), [acts, acts], trades=True)
    assert (run["liquidated"], run["equity"]) == (5, 0.0)
    assert log["funding"].sum() == pytest.approx(-240.0)


def test_what_a_stop_cost_is_judged_in_its_own_bar() -> None:
    """Traded prices gap where marks do not: the stop costs 990, and 10 do not carry the other position."""
    quiet, tariff = np.full(4, 100.0), Tariff(tiers=((0, EARLY),))
    gap = np.array([100.0, 100.0, 10.0, 10.0])
    markets = [Market(stamps(4), (gap,) * 4, marks=(quiet,) * 3, tariff=tariff), flat([100.0] * 4, tariff=tariff)]
    falls = one({0: LONG_ENTRY}, leverage=10.0, notional=1100.0, stop=0.05)
    stays = one({0: LONG_ENTRY}, leverage=10.0, notional=8000.0)
    (run,), log = simulate_shared(Basket(markets), crossed(), [falls, stays], trades=True)
    assert (run["liquidated"], run["equity"]) == (2, 0.0)
    assert [(row["symbol"], row["reason"]) for row in log] == [(0, BY_STOP), (1, BY_LIQUIDATION)]


def test_the_margin_of_what_is_held_is_not_free() -> None:
    """Half the wallet is the margin of the first at 2 x; the second gets the other half, its fee paid out of it."""
    markets = [flat([100.0, 100.0]), flat([50.0, 50.0])]
    first = one({0: LONG_ENTRY}, leverage=2.0, notional=1000.0)
    second = one({0: SHORT_ENTRY}, leverage=2.0, fraction=1.0)
    _, log = simulate_shared(Basket(markets), crossed(), [first, second], trades=True)
    assert list(log["quantity"] * log["entry"]) == pytest.approx([1000.0, 1000.0])


def test_what_closes_goes_before_what_opens_whatever_its_place() -> None:
    """The second contract's margin is free for the first one's entry at the same open."""
    markets = [flat([100.0] * 3), flat([100.0] * 3)]
    opens, closes = one({1: LONG_ENTRY}, fraction=1.0), one({0: LONG_ENTRY, 1: LONG_EXIT}, fraction=1.0)
    _, log = simulate_shared(Basket(markets), crossed(), [opens, closes], trades=True)
    assert list(log["symbol"]) == [1, 0]
    assert list(log["quantity"]) == pytest.approx([10.0, 10.0])


def test_a_contract_without_a_bar_stands_still() -> None:
    """Times 0, 2 and 3 only: at 1 it has its last close; a stop that was passed meanwhile fills at its next open."""
    there = np.array([100.0, 80.0, 80.0])
    gone = Market(stamps(4)[[0, 2, 3]], (there,) * 4)
    always = flat([10.0, 20.0, 20.0, 20.0])
    acts = [one({0: LONG_ENTRY}, notional=500.0, stop=0.1), one({0: LONG_ENTRY}, notional=100.0)]
    (run,), log = simulate_shared(Basket([gone, always]), crossed(), acts, trades=True)
    assert run["equity"] == pytest.approx(1000 - 5 * 20 + 10 * 10)
    assert run["drawdown"] == pytest.approx(1 - 1000 / 1100)
    assert [(t["symbol"], t["closed"], t["exit"]) for t in log] == [(0, 2, 80.0), (1, 3, 20.0)]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"account": Account()}, "isolated=False"),
        ({"sets": [one({0: LONG_ENTRY}, notional=1.0)]}, "1 contracts have signals, the wallet has 2"),
        ({"markets": []}, "at least one contract"),
        ({"sets": [one({0: 1}, notional=1.0), one({9: 1}, notional=1.0)]}, "not among the market's 2"),
    ],
)
def test_what_cannot_be_shared_is_refused_in_words(change: dict[str, Any], words: str) -> None:
    good = {"markets": [flat([1.0, 2.0])] * 2, "account": crossed(), "sets": [one({0: LONG_ENTRY}, notional=1.0)] * 2}
    what = {**good, **change}
    with pytest.raises(ResearchError, match=words):
        simulate_shared(Basket(what["markets"]), what["account"], what["sets"])
