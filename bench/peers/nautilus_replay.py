"""J2/J3 peer: nautilus_trader BacktestEngine (1.221.0, last with Python 3.11 wheels).
replay: L2_MBP book + TWAP children as IOC market orders; latency: quote ticks, one market order per 10 ticks."""
import sys
import time
from decimal import Decimal

import numpy as np

sys.path.insert(0, __file__.rsplit("/", 1)[0])
import common as C
import data as D
from nautilus_trader.backtest.engine import BacktestEngine, BacktestEngineConfig
from nautilus_trader.config import LoggingConfig, StrategyConfig
from nautilus_trader.model.currencies import USDT
from nautilus_trader.model.data import BookOrder, OrderBookDelta, QuoteTick, TradeTick
from nautilus_trader.model.enums import AccountType, AggressorSide, BookAction, BookType, OmsType, OrderSide, RecordFlag, TimeInForce
from nautilus_trader.model.identifiers import InstrumentId, TradeId, TraderId, Venue
from nautilus_trader.model.objects import Money, Price, Quantity
from nautilus_trader.test_kit.providers import TestInstrumentProvider
from nautilus_trader.trading.strategy import Strategy

INS = TestInstrumentProvider.btcusdt_perp_binance()
IID = INS.id
ns = time.thread_time_ns if C.CLOCK == "cpu" else time.perf_counter_ns


def engine(book):
    e = BacktestEngine(BacktestEngineConfig(trader_id=TraderId("B-001"), logging=LoggingConfig(bypass_logging=True), run_analysis=False))
    e.add_venue(venue=IID.venue, oms_type=OmsType.NETTING, account_type=AccountType.MARGIN, base_currency=None,
                starting_balances=[Money(20_000_000, USDT)], default_leverage=Decimal(100), book_type=book)
    e.add_instrument(INS)
    return e


class Twap(Strategy):
    def __init__(self, o, book):
        super().__init__()
        self.o, self.book, self.cash, self.vol, self.pos, self.k = o, book, 0.0, 0.0, 0.0, 0

    def on_start(self):
        self.instrument_id = IID
        if self.book:
            self.subscribe_order_book_deltas(IID, book_type=BookType.L2_MBP)
        for i, t in enumerate(self.o["ts"].tolist()):
            self.clock.set_time_alert_ns(f"c{i}", t, self.due)

    def due(self, ev):
        i = int(ev.name[1:])
        self.submit_order(self.order_factory.market(
            IID, OrderSide.BUY if self.o["side"][i] > 0 else OrderSide.SELL,
            Quantity(self.o["lots"][i] * D.L2_LOT, 3), time_in_force=TimeInForce.IOC))

    def on_order_filled(self, ev):
        q, p = float(ev.last_qty), float(ev.last_px)
        s = 1 if ev.order_side == OrderSide.BUY else -1
        self.cash -= s * q * p; self.pos += s * q; self.vol += q


class Ticker(Strategy):
    def __init__(self, n):
        super().__init__()
        self.tick = np.zeros(n, np.int64); self.lat = []; self.i = 0; self.t0 = 0; self.cap = 1e12

    def on_start(self):
        self.subscribe_quote_ticks(IID)

    def on_quote_tick(self, q):
        t = ns()
        self.tick[self.i] = t
        self.i += 1
        if self.i % 10 == 0:
            self.t0 = t
            if float(q.ask_price) * 0.01 < self.cap:
                self.submit_order(self.order_factory.market(IID, OrderSide.BUY if self.i % 20 else OrderSide.SELL, Quantity(0.010, 3)))
            self.lat.append(ns() - t)

    def on_order_submitted(self, ev):
        self.sub = ns() - self.t0


def replay(n, sub):
    n = int(n)
    a = D.l2(n)
    o = D.parents(a["ts"], 1000 * n // D.L2_N)
    r0 = C.rss_now_mb(); t = C.perf()
    P, Q, out = {}, {}, []
    kind, px, qty, ts = (a[k].tolist() for k in ("kind", "px", "qty", "ts"))
    for i in range(n):
        p = P.get(px[i]) or P.setdefault(px[i], Price(px[i] * D.L2_TICK, 1))
        q = Q.get(qty[i]) or Q.setdefault(qty[i], Quantity(qty[i] * D.L2_LOT, 3))
        if kind[i] < 2:
            out.append(OrderBookDelta(IID, BookAction.UPDATE if qty[i] else BookAction.DELETE,
                                      BookOrder(OrderSide.SELL if kind[i] else OrderSide.BUY, p, q, px[i]), 128, i, ts[i], ts[i]))
        else:
            out.append(TradeTick(IID, p, q, AggressorSide.BUYER if kind[i] == 2 else AggressorSide.SELLER, TradeId(str(i)), ts[i], ts[i]))
    t_load = C.perf() - t
    e = engine(BookType.L2_MBP)
    t = C.perf(); e.add_data(out); t_add = C.perf() - t
    s = Twap(o, sub == "sub"); e.add_strategy(s)
    t = C.perf(); e.run(); dt = C.perf() - t
    C.emit("J2", f"nautilus_L2_{sub}", n=n, events_per_s=n / dt, us_per_event=dt / n * 1e6, secs=dt, secs_build_objects=t_load, secs_add=t_add,
           balance=s.cash, position=s.pos, volume=s.vol, rss_mb=C.rss_peak_mb(), bytes_per_event=(C.rss_now_mb() - r0) * 1e6 / n)


def latency(n):
    n = int(n)
    r = np.random.Generator(np.random.PCG64(7))
    mid = 60000 + np.cumsum(r.integers(-3, 4, n)) * 0.1
    t0 = D.T0_MS * 1_000_000
    q = Quantity(5.0, 3)
    out = [QuoteTick(IID, Price(m - .1, 1), Price(m, 1), q, q, t0 + i * 1_000_000, t0 + i * 1_000_000) for i, m in enumerate(mid.tolist())]
    e = engine(BookType.L1_MBP); e.add_data(out)
    s = Ticker(n); e.add_strategy(s)
    t = C.perf(); e.run(); dt = C.perf() - t
    d = np.diff(s.tick); plain = np.delete(d, np.arange(9, n - 1, 10)); withord = d[9::10]
    k = len(withord) // 10
    C.emit("J3", "nautilus_growth", order_us_first10pct=float(np.median(withord[:k]) / 1e3), order_us_last10pct=float(np.median(withord[-k:]) / 1e3), n=n)
    C.emit("J3", "nautilus_quote_engine", events_per_s=n / dt, us_per_event=dt / n * 1e6, **{f"tick_{k}_us": v for k, v in C.pct(plain).items()},
           **{f"tick_plus_order_{k}_us": v for k, v in C.pct(withord).items()}, **{f"submit_call_{k}_us": v for k, v in C.pct(s.lat).items()}, rss_mb=C.rss_peak_mb())


if __name__ == "__main__":
    {"replay": lambda n="500000", s="sub": replay(n, s), "latency": lambda n="200000": latency(n)}[sys.argv[1]](*sys.argv[2:])
