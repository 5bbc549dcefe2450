"""Bars walked price by price through the whole engine: guardian, execution, matching and margin, on a manual clock."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec

from core.domain import events as e
from core.domain import market as m
from core.domain.identifiers import Asset, InstrumentId, StrategyId
from core.domain.instrument import Instrument, MarginBracket
from core.domain.market import NO_ID, Bar, Interval, Quote, Trade
from core.domain.message import Event, Message
from core.domain.studies import AdoptConfig, Config, ConfigStatus
from core.engine import Engine
from core.guardian.guardian import Guardian
from core.session import wire
from core.state.configs import Account, LiveTrade
from core.state.state import IMAGE_DECODER, State
from core.strategy.past import PastBars
from core.strategy.signals import Bars
from tests.core.guardian.watch.kit import ABLE, QUIET
from tests.core.kit import BTC_PERP, BTC_SPOT
from venues.matching.settings import MarginMode, MatchingSettings
from venues.replay import ReplayDriver

S = 1_000_000_000
TIERS = (
    MarginBracket(Decimal(0), Decimal(50_000), Decimal("0.004"), Decimal(0), 125),
    MarginBracket(Decimal(50_000), Decimal(1_000_000), Decimal("0.01"), Decimal(300), 20),
)
PERP = msgspec.structs.replace(
    BTC_PERP, tick_size=Decimal("0.01"), size_step=Decimal("0.0001"), min_size=Decimal("0.0001"), brackets=TIERS
)
"""A contract whose tick is small against its price: a stop's level is the study's nearly to the digit."""
PAIR = BTC_SPOT
"""A pair whose fee is taken in what arrives."""
BIG = 1e9
THIN = 1e-13
"""The spread of a quote, as a fraction, where a test wants none."""


def config(**changes: Any) -> Config:
    """Return a config of an RSI and EMA cross on 15 minutes."""
    fields: dict[str, Any] = {
        "strategy_id": "ema",
        "version": 1,
        "status": ConfigStatus.ACTIVE,
        "instruments": (PERP.id,),
        "parameters": {"fast": 3, "slow": 8, "rsi_window": 3, "overbought": 95, "oversold": 5, "fraction": 0.5},
        "leverage": 1.0,
        "margin_mode": "isolated",
        "max_position_size": 0.0,
        "score": None,
        "study": "s",
        "trial": 1,
        "promoted_at": 0,
        "promoted_by": "me",
        "strategy": "rsi_ema",
        "interval": "15m",
        "capital": 10_000.0,
    }
    return Config(**{**fields, **changes})


def bars_of(bars: Bars, start: int, stop: int, instrument: InstrumentId = PERP.id) -> tuple[Bar, ...]:
    """Return some of the bars as messages."""
    interval = next(one for one in Interval if one.ns == bars.interval_ns)
    columns = (bars.ts, bars.open, bars.high, bars.low, bars.close, bars.volume)
    rows = zip(*(column[start:stop].tolist() for column in columns), strict=True)
    made = []
    for ts, opened, high, low, close, volume in rows:
        end = ts + bars.interval_ns
        made.append(Bar(instrument, interval, ts, opened, high, low, close, volume, 4, True, 0, end))
    return tuple(made)


class Street:
    """One venue with one account, and an engine that trades there; every price between two prints is traded at."""

    def __init__(
        self,
        chosen: Config,
        *,
        spread: float = THIN,
        engine: Engine | None = None,
        fee_in_quote: bool = False,
        instruments: Sequence[Instrument] = (),
    ) -> None:
        self.config, self.spread = chosen, spread
        self.listed = instruments or (PAIR if chosen.instruments == (PAIR.id,) else PERP,)
        self.instrument = self.listed[0]
        venue = self.instrument.venue
        self.events: list[Event] = []
        state = State(Asset("USDT"), "replay")
        self.engine = engine or Engine(Guardian(QUIET), state, abilities={venue: ABLE}, strict=True)
        margin = MarginMode.ISOLATED if chosen.margin_mode == "isolated" else MarginMode.CROSS
        settings = MatchingSettings(
            leverage=max(1, int(chosen.leverage)), margin=margin, impact_ns=0, spot_fee_in_quote=fee_in_quote
        )
        balances = {venue: {Asset("USDT"): Decimal(10_000)}}
        self.driver = ReplayDriver(self.engine, {venue: self.listed}, settings, balances, self._see, 450 * S)
        self.ts = 0
        self._id = 0

    def _see(self, effects: Sequence[Any]) -> None:
        self.events += [effect for effect in effects if isinstance(effect, Event)]

    @property
    def account(self) -> Account:
        """Return the strategy's account."""
        return self.engine.state.configs.accounts[self.instrument.id]

    @property
    def trades(self) -> list[LiveTrade]:
        """Return the trades that are over."""
        return list(self.account.trades)

    def open(self, bars: Bars, first: int) -> None:
        """Connect, adopt the config, and warm up with the bars before ``first``."""
        self.ts = int(bars.ts[first])
        self.driver.open(self.ts)
        self.print(float(bars.open[first]))
        self.adopt(self.config)
        past = bars_of(bars, 0, first, self.instrument.id)
        self.give(PastBars(self.instrument.id, Interval(self.config.interval), past, self.ts))

    def adopt(self, chosen: Config) -> None:
        """Give the engine a config, and time to place it."""
        self.driver.command(AdoptConfig(chosen, "test", self.ts))
        self.ts += S // 10
        self.driver.finish(self.ts)

    def give(self, message: Message) -> None:
        """Give the engine a message."""
        self.driver.step(message, self.ts)

    def print(self, price: float) -> None:
        """Trade at a price, with a quote around it; without a spread whoever closes trades at it."""
        self._id += 1
        bid, ask = price * (1.0 - self.spread), price * (1.0 + self.spread)
        if self.spread == THIN:
            account = self.engine.state.configs.accounts.get(self.instrument.id)
            short = account is not None and account.quantity < 0
            bid, ask = (bid, price) if short else (price, ask)
        self.driver.step(Quote(self.instrument.id, bid, BIG, ask, BIG, self._id, self.ts, self.ts), self.ts)
        self.driver.step(Trade(self.instrument.id, price, 1e-9, True, self._id, self.ts, self.ts), self.ts)

    def walk(self, bar: Bar) -> None:
        """Walk a bar: its open, then what is worse for the position first, as a study has it, then the rest."""
        self.ts = bar.start + S
        self.print(bar.open)
        here = bar.open
        rises = self.account.quantity < 0
        extremes = (bar.high, bar.low) if rises else (bar.low, bar.high)
        for place, price in enumerate((*extremes, bar.close)):
            self.ts = max(self.ts + 1_000_000, bar.start + (place + 1) * bar.interval.ns // 4)
            here = self._go(here, price)
        self.driver.step(Trade(self.instrument.id, here, bar.volume, True, NO_ID, self.ts, self.ts), self.ts)

    def _go(self, here: float, there: float) -> float:
        """Go to a price by way of every level that something waits at."""
        while True:
            between = [one for one in self._levels() if min(here, there) < one < max(here, there)]
            here = min(between, key=lambda one, here=here: abs(one - here)) if between else there  # type: ignore[misc]
            self.print(here)
            self.ts += 1_000_000
            if not between:
                return here

    def _levels(self) -> list[float]:
        state = self.engine.state
        triggers = [float(one.order.trigger) for one in state.blotter.open.values() if one.order.trigger is not None]
        targets = [float(one.price) for bracket in state.brackets.all() for one in bracket.targets]
        return triggers + targets

    def play(self, bars: Bars, first: int, stop: int) -> "Street":
        """Walk bars and let the first moment of the one behind them close the last."""
        for bar in bars_of(bars, first, stop, self.instrument.id):
            self.walk(bar)
        return self


def reborn(street: Street, cut: int, *, checkpoint: bool) -> None:
    """Kill the engine and start another on its records: all of them, or a checkpoint in their middle and the rest."""
    settings = street.engine.guardian.settings
    engine = Engine(Guardian(settings), State(Asset("USDT"), "replay"), abilities={street.instrument.venue: ABLE})
    events = [wire.decode_event(wire.encode(event)) for event in street.events]
    if checkpoint:
        engine.restore(IMAGE_DECODER.decode(wire.encode(street.engine.state.image())))
    for event in () if checkpoint else events:
        assert engine.recover(event) == ""
    assert engine.state.configs.image() == street.engine.state.configs.image()
    driver = street.driver
    driver.engine = street.engine = engine
    driver._process(e.EngineStarted(2 + cut, "test", "replay", street.ts), street.ts)
    driver._process(m.VenueStatus(street.instrument.venue, True, "again", street.ts), street.ts)
    driver._process(e.VenueReconciled(street.instrument.venue, 0, street.ts), street.ts)


STRATEGY = StrategyId("ema")
