"""Peer of bench/engine_latency.py: nautilus_trader BacktestEngine (1.221.0), one market order every N quote ticks.

``flat``: orders alternate and the strategy does nothing else. ``hold``: a position of 1.000 is taken on the first tick and
kept while the mark moves. Prints the median time from tick to tick, with and without an order in between.
"""

import sys
from decimal import Decimal
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))
import common as C
import data as D
from nautilus_replay import IID, INS, USDT, ns
from nautilus_trader.backtest.engine import BacktestEngine, BacktestEngineConfig
from nautilus_trader.config import LoggingConfig, RiskEngineConfig
from nautilus_trader.model.data import QuoteTick
from nautilus_trader.model.enums import AccountType, BookType, OmsType, OrderSide
from nautilus_trader.model.identifiers import TraderId
from nautilus_trader.model.objects import Money, Price, Quantity
from nautilus_trader.trading.strategy import Strategy


def engine():
    """The replay's engine with the order rate raised: its default of 100 orders a second would deny the hot road."""
    rates = RiskEngineConfig(max_order_submit_rate="1000000/00:00:01")
    e = BacktestEngine(BacktestEngineConfig(trader_id=TraderId("B-001"), logging=LoggingConfig(bypass_logging=True), run_analysis=False, risk_engine=rates))
    e.add_venue(venue=IID.venue, oms_type=OmsType.NETTING, account_type=AccountType.MARGIN, base_currency=None,
                starting_balances=[Money(20_000_000, USDT)], default_leverage=Decimal(100), book_type=BookType.L1_MBP)
    e.add_instrument(INS)
    return e


class Ticker(Strategy):
    def __init__(self, n, every, hold):
        super().__init__()
        self.tick = np.zeros(n, np.int64)
        self.i, self.every, self.hold = 0, every, hold
        self.cash = self.pos = 0.0
        self.fills = 0

    def on_start(self):
        self.subscribe_quote_ticks(IID)

    def order(self, side, size):
        self.submit_order(self.order_factory.market(IID, side, Quantity(size, 3)))

    def on_quote_tick(self, q):
        self.tick[self.i] = ns()
        self.i += 1
        if self.hold and self.i == 1:
            self.order(OrderSide.BUY, 1.0)
        if self.every and self.i % self.every == 0:
            self.order(OrderSide.BUY if self.i % (2 * self.every) else OrderSide.SELL, 0.010)

    def on_order_filled(self, ev):
        q, p = float(ev.last_qty), float(ev.last_px)
        s = 1 if ev.order_side == OrderSide.BUY else -1
        self.cash -= s * q * p
        self.pos += s * q
        self.fills += 1


def main(n="100000", every="100", hold="0"):
    n, every, hold = int(n), int(every), hold == "1"
    r = np.random.Generator(np.random.PCG64(7))
    mid = 60000 + np.cumsum(r.integers(-3, 4, n)) * 0.1
    t0 = D.T0_MS * 1_000_000
    q = Quantity(5.0, 3)
    out = [QuoteTick(IID, Price(m - 0.1, 1), Price(m, 1), q, q, t0 + i * 1_000_000, t0 + i * 1_000_000) for i, m in enumerate(mid.tolist())]
    e = engine()
    e.add_data(out)
    s = Ticker(n, every, hold)
    e.add_strategy(s)
    e.run()
    d = np.diff(s.tick)
    at = np.arange(every - 1, n - 1, every) if every else np.arange(0)
    plain = np.delete(d, at)
    row = {f"tick_{k}_us": v for k, v in C.pct(plain).items()}
    if every:
        row |= {f"order_{k}_us": v for k, v in C.pct(d[at]).items()}
    C.emit("J3", "nautilus", n=n, every=every, hold=int(hold), fills=s.fills, cash=round(s.cash, 6), position=round(s.pos, 6), rss_mb=C.rss_peak_mb(), **row)


if __name__ == "__main__":
    main(*sys.argv[1:])
