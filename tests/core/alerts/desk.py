"""What the tests of the alerts share: an engine whose clock and prices are moved by hand."""

from collections.abc import Sequence
from typing import Any

from core.config.settings import AlertSettings, GuardianSettings
from core.domain import alerts as a
from core.domain import market as m
from core.domain.instrument import Instrument
from core.domain.message import Message
from core.outbox import Effect
from core.state.state import State
from tests.core.kit import (
    BTC_PERP,
    BTC_SPOT,
    ETH_PERP,
    MS,
    T0,
    D,
    of,
    opened,
    quote,
)

K = a.AlertKind
LOOSE = GuardianSettings(
    duplicate_window_ms=0,
    max_position_frac=10,
    max_sector_frac=10,
    max_gross_frac=10,
    max_order_notional_frac=10,
    max_position_loss_frac=1,
    max_daily_loss_frac=1,
    drawdown_steps=(),
    min_liquidation_distance_frac=0,
)
"""Nothing that the guardian would do by itself: what is told here are losses that it lets happen."""
ALL = (BTC_SPOT, BTC_PERP, ETH_PERP)


class Desk:
    """An engine whose clock and prices are moved by hand."""

    def __init__(self, settings: AlertSettings | None = None, **engine: Any) -> None:
        self.settings = settings or AlertSettings()
        self.engine = opened(settings=LOOSE, alerts=self.settings, **engine)
        self.now = T0
        self.raised: list[a.AlertRaised] = []
        self.cleared: list[a.AlertCleared] = []
        self.effects: list[Effect] = []

    @property
    def state(self) -> State:
        return self.engine.state

    def give(self, message: Message) -> Sequence[Effect]:
        """Process a message, and a timer that puts it into words; return what came of the message."""
        effects = self.engine.process(message)
        told = [] if isinstance(message, (m.Quote, m.Timer)) else self.engine.process(m.Timer(self.now))
        self.effects += [*effects, *told]
        self.raised += of([*effects, *told], a.AlertRaised)
        self.cleared += of([*effects, *told], a.AlertCleared)
        return effects

    def wait(self, seconds: float, quoting: Sequence[Instrument] = ALL, **prices: float) -> None:
        """Let time pass, in timers of 100 ms or, where it is long, 500 ms; feeds that quote stay fresh."""
        step = 100 if seconds < 4 else 500
        for _ in range(round(seconds * 1000 / step)):
            self.now += step * MS
            for instrument in quoting:
                price = prices.get(instrument.raw_symbol, 3_000.0 if instrument is ETH_PERP else 60_000.0)
                self.give(quote(instrument, price - 0.1, price + 0.1, self.now))
            self.give(m.Timer(self.now))

    def print(self, price: float, instrument: Instrument = BTC_PERP) -> None:
        """Publish a trade."""
        self.now += MS
        self.give(m.Trade(instrument.id, price, 1.0, True, m.NO_ID, self.now, self.now))

    def rule(self, above: bool, bound: str, **changes: Any) -> str:
        """Set a rule on the perpetual's price and return its id."""
        made = a.AlertRule(K.PRICE, BTC_PERP.id, above, D(bound), **changes)
        effects = self.give(a.SetAlert(made, "test", self.now))
        id_: str = of(effects, a.AlertRuleSet)[0].rule.id
        return id_

    def kinds(self) -> list[K]:
        return [event.kind for event in self.raised]

    def of_kind(self, kind: K) -> list[a.AlertRaised]:
        return [event for event in self.raised if event.kind is kind]
