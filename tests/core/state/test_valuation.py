"""What the account is worth, against a naive calculation: random trades, funding, capital, prices, days and restarts.

The naive side keeps what came and went of each asset, and of each contract its size and cost; a fund's units tell what
of the equity is profit: what the day's loss and the drawdown count from is the worth of a unit, not of the account.
"""

from collections.abc import Callable
from decimal import Decimal
from random import Random

import msgspec
import pytest
from msgspec.structs import replace

from core.config.settings import GuardianSettings
from core.domain import events as e
from core.domain import market as m
from core.domain.identifiers import Asset, FillId, InstrumentId, InstrumentType, VenueId
from core.domain.instrument import ZERO, Instrument
from core.domain.message import Event, Message, Nanoseconds
from core.domain.order import Side
from core.engine import Engine
from core.guardian.guardian import Guardian
from core.state.account import DAY_NS, PEAK_STEP, day_return
from core.state.state import IMAGE_DECODER, State
from tests.core.kit import BTC_COINM, BTC_PERP, BTC_SPOT, COINM, ETH_PERP, PERP, SPOT, T0, D, S, fill, quote

KRAKEN = VenueId("KRAKEN")
BTC, ETH, BNB, USDC, USDT = (Asset(name) for name in ("BTC", "ETH", "BNB", "USDC", "USDT"))
HOUR: Nanoseconds = 3_600 * S


def pair(id_: str, base: Asset, quoted: Asset = USDT) -> Instrument:
    return replace(BTC_SPOT, id=InstrumentId(id_), raw_symbol=id_, base=base, quote=quoted, settle=quoted)


USDC_SPOT = pair("BINANCE-SPOT:SPOT_PAIR:USDC-USDT", USDC)
BNB_SPOT = pair("BINANCE-SPOT:SPOT_PAIR:BNB-USDT", BNB)
ETH_SPOT = pair("BINANCE-SPOT:SPOT_PAIR:ETH-USDT", ETH)
ETH_BTC = pair("BINANCE-SPOT:SPOT_PAIR:ETH-BTC", ETH, BTC)
BTC_KRAKEN = pair("KRAKEN:SPOT_PAIR:BTC-USDT", BTC)
BTC_USDC_PERP = replace(
    BTC_PERP,
    id=InstrumentId("BINANCE-FUTURES:PERPETUAL:BTC-USDC@LIN"),
    quote=USDC,
    settle=USDC,
    contract_size=D("0.01"),
)
CONTRACTS = (BTC_PERP, ETH_PERP, BTC_USDC_PERP, BTC_COINM)
PRICES = {
    USDC_SPOT: 0.99,
    BNB_SPOT: 600.0,
    BTC_SPOT: 60_000.0,
    ETH_SPOT: 3_000.0,
    ETH_BTC: 0.05,
    BTC_KRAKEN: 60_010.0,
    BTC_PERP: 60_030.0,
    ETH_PERP: 3_001.0,
    BTC_USDC_PERP: 60_600.0,
    BTC_COINM: 60_050.0,
}
VALUED_BY = {USDC: USDC_SPOT.id, BNB: BNB_SPOT.id, BTC: BTC_SPOT.id, ETH: ETH_SPOT.id}
RUIN = 100.0
"""An account below this has lost all but rounding: fractions of it say nothing."""


class Trader:
    """Do something random to an account, once a step, and keep the naive books of it."""

    def __init__(self, seed: int) -> None:
        self.random = random = Random(seed)
        self.offset = random.choice([0, 3 * HOUR, 8 * HOUR, 23 * HOUR + HOUR // 2])
        self.now = T0
        self.engine = Engine(Guardian(GuardianSettings()), State(), strict=True, day_start=self.offset)
        self.log: list[Message] = []
        self.prices = {instrument.id: price for instrument, price in PRICES.items()}
        self.moved: dict[Asset, Decimal] = {}
        """What came of each asset less what went."""
        self.contracts: dict[InstrumentId, tuple[Decimal, Decimal]] = {}
        """Signed size and cost; of an inverse contract the cost is in coins."""
        self.units, self.peak, self.base, self.day = 1.0, 0.0, 0.0, 0
        self.count = 0
        self.give(e.EngineStarted(1, "test", "paper", T0))
        for instrument in PRICES:
            self.give(m.InstrumentDefined(instrument, T0))
        for venue in dict.fromkeys(instrument.venue for instrument in PRICES):
            self.give(m.VenueStatus(venue, True, "", T0))
        self.quote_all()
        for venue in (SPOT, PERP, KRAKEN):
            self.balance(venue, USDT, D(50_000), "opening")
        self.balance(COINM, BTC, D(1), "opening")
        self.balance(SPOT, BNB, D(10), "opening")

    @property
    def state(self) -> State:
        return self.engine.state

    def give(self, message: Message) -> None:
        self.log += [one for one in self.engine.process(message) if isinstance(one, Event)]

    def quote(self, instrument: InstrumentId) -> None:
        price = self.prices[instrument]
        self.give(
            quote(next(one for one in PRICES if one.id == instrument), price * 0.99999, price * 1.00001, self.now)
        )

    def quote_all(self) -> None:
        for instrument in self.prices:
            self.quote(instrument)

    # --- the naive books ----------------------------------------------------------------------------------------------

    def rate(self, asset: Asset) -> Decimal:
        return D(1) if asset == USDT else Decimal(repr(self.state.markets[VALUED_BY[asset]].mark))

    def move(self, asset: Asset, amount: Decimal) -> None:
        self.moved[asset] = self.moved.get(asset, ZERO) + amount

    def worth(self) -> float:
        total = sum((amount * self.rate(asset) for asset, amount in self.moved.items()), ZERO)
        for id_, (size, cost) in self.contracts.items():
            instrument, mark = self.state.markets[id_].instrument, Decimal(repr(self.state.markets[id_].mark))
            units = size * instrument.contract_size
            profit = cost - units / mark if instrument.inverse else units * mark - cost
            total += profit * self.rate(instrument.settle)
        return float(total)

    def scale(self) -> float:
        """Return how much was moved, gross: what floats may be off by grows with it."""
        return 1.0 + sum(float(abs(amount) * self.rate(asset)) for asset, amount in self.moved.items())

    # --- what happens -------------------------------------------------------------------------------------------------

    def balance(self, venue: VenueId, asset: Asset, change: Decimal, reason: str) -> None:
        held = self.state.ledger.balances.get(venue, {}).get(asset, ZERO)
        self.move(asset, change)
        self.give(e.BalanceSet(venue, asset, held + change, reason, self.now))

    def part(self, asset: Asset, low: float, high: float) -> Decimal:
        """Return a random part of the account, in an asset."""
        return Decimal(repr(round(self.random.uniform(low, high) * self.worth() / float(self.rate(asset)), 8)))

    def moves(self) -> None:
        instrument = self.random.choice(list(PRICES))
        self.prices[instrument.id] *= 1.0 + self.random.uniform(-0.02, 0.02)
        self.quote(instrument.id)

    def marks(self) -> None:
        id_ = self.random.choice(CONTRACTS).id
        self.prices[id_] *= 1.0 + self.random.uniform(-0.02, 0.02)
        price = self.prices[id_]
        self.give(m.MarkPrice(id_, price, price, 0.0, 0, self.now, self.now))

    def trades(self) -> None:
        random, instrument = self.random, self.random.choice(list(PRICES)[1:])
        side, worth = random.choice([Side.BUY, Side.SELL]), random.uniform(50, 20_000)
        price = Decimal(repr(round(self.prices[instrument.id] * random.uniform(0.999, 1.001), 6)))
        unit = float(instrument.contract_size)
        unit *= 1.0 if instrument.inverse else float(price * self.rate(instrument.quote))
        size = max(Decimal(repr(round(worth / unit, 3))), instrument.size_step)
        held = self.state.ledger.positions.get(instrument.holding)
        if held is not None and held.quantity and random.random() < 0.2:
            size, side = abs(held.quantity), Side.SELL if held.quantity > 0 else Side.BUY
        paid_in = random.choice([instrument.settle, instrument.base, BNB])
        fee = Decimal(repr(round(worth * random.choice([0.0, 0.0005, 0.0005, -0.0001]) / float(self.rate(paid_in)), 8)))
        self.count += 1
        told = replace(
            fill(instrument, side, str(size), str(price), f"f{self.count}", ts=self.now), fee=fee, fee_asset=paid_in
        )
        for _ in range(random.choice([1, 1, 1, 2])):  # told again, it changes nothing
            self.give(told)
        signed = size * side.sign
        self.move(paid_in, -fee)
        if instrument.type is InstrumentType.SPOT_PAIR:
            self.move(instrument.base, signed)
            self.move(instrument.quote, -signed * price)
        else:
            units = signed * instrument.contract_size
            before, cost = self.contracts.get(instrument.id, (ZERO, ZERO))
            self.contracts[instrument.id] = (
                before + signed,
                cost + (units / price if instrument.inverse else units * price),
            )

    def funds(self) -> None:
        instrument = self.random.choice(CONTRACTS)
        amount, self.count = self.part(instrument.settle, -0.0002, 0.0002), self.count + 1
        self.move(instrument.settle, amount)
        id_ = FillId(f"u{self.count}")
        self.give(e.FundingPaid(instrument.id, instrument.settle, amount, ZERO, ZERO, id_, self.now, self.now))

    def differs(self) -> None:
        asset = self.random.choice([USDT, BTC])
        self.balance(self.random.choice([SPOT, PERP]), asset, self.part(asset, -0.01, 0.01), "adopted by me")

    def capital(self) -> None:
        asset, before = self.random.choice([USDT, BTC, USDC, BNB]), self.worth()
        change = self.part(asset, -0.3, 0.4)
        venue = self.random.choice([SPOT, PERP, COINM, KRAKEN])
        self.balance(venue, asset, change, "deposit by me" if change > 0 else "withdrawal by me")
        if self.day:
            self.units *= self.worth() / before

    def look(self) -> None:
        """Have a timer come behind prices of everything: days begin and peaks are raised there."""
        self.quote_all()
        self.give(m.Timer(self.now))
        day, unit = self.now - (self.now - self.offset) % DAY_NS, self.worth() / self.units
        if self.day < day:
            self.day, self.base, self.peak = day, unit, max(self.peak, unit)
        elif unit > self.peak * PEAK_STEP:
            self.peak = unit

    def step(self) -> None:
        self.now += self.random.choice([S // 10, S // 2, S, S])
        if self.random.random() < 0.03:
            self.now += self.random.randrange(1, 30) * HOUR
        deeds: list[Callable[[], None]] = [self.moves, self.marks, self.trades, self.funds, self.capital, self.differs]
        self.random.choices(deeds, weights=[45, 10, 25, 6, 7, 7])[0]()

    # --- what has to hold ---------------------------------------------------------------------------------------------

    def check(self, where: str) -> bool:
        """Compare with the naive books; tell whether the account is worth looking at any more."""
        state, worth = self.state, self.worth()
        assert state.ledger.equity == pytest.approx(worth, abs=1e-9 * self.scale()), where
        if self.random.random() < 0.3:
            equity = state.ledger.equity
            state.ledger.revalue()
            assert state.ledger.equity == pytest.approx(equity, abs=1e-9 * self.scale()), where
        if worth <= RUIN:
            return False
        if self.day:
            unit = worth / self.units
            assert state.day_started == self.day, where
            assert day_return(state, state.ledger.equity) == pytest.approx(unit / self.base - 1.0, abs=1e-6), where
            assert state.drawdown == pytest.approx(1.0 - unit / max(self.peak, unit), abs=1e-6), where
        return True

    def restarts(self) -> list[State]:
        """Return the state from its image, and from its journal."""
        again = Engine(Guardian(GuardianSettings()), State(), strict=True, day_start=self.offset)
        for one in self.log:
            assert isinstance(one, Event)
            again.recover(one)
        states = [State.from_image(IMAGE_DECODER.decode(msgspec.msgpack.encode(self.state.image()))), again.state]
        for state in states:
            for id_, market in self.state.markets.items():  # prices are no part of either: they come anew
                state.markets[id_].mark = market.mark
            state.ledger.rates.sources.update(
                {asset: state.markets[one.instrument.id] for asset, one in self.state.ledger.rates.sources.items()}
            )
            state.ledger.revalue()
        return states


@pytest.mark.parametrize("seed", range(100))
def test_what_the_account_is_worth_is_what_its_books_say(seed: int) -> None:
    trader = Trader(seed)
    for number in range(60):
        trader.step()
        if not trader.check(f"seed {seed}, step {number}"):
            break
        if trader.random.random() < 0.5:
            trader.look()
            if not trader.check(f"seed {seed}, step {number}, looked"):
                break
    state = trader.state
    state.ledger.revalue()
    for again in trader.restarts():
        assert again.ledger.equity == pytest.approx(state.ledger.equity, abs=1e-9 * trader.scale())
        assert again.ledger.positions == state.ledger.positions
        assert again.ledger.balances == state.ledger.balances
        assert (again.day_start, again.day_started, again.peak) == (state.day_start, state.day_started, state.peak)
        assert (again.watched.day_base, again.watched.accepted) == (state.watched.day_base, state.watched.accepted)
