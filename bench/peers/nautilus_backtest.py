"""J1, the other side of simulator.py: nautilus_trader BacktestEngine over 15-min bars, one set, signals made beforehand.

A market order in on_bar fills at that bar's close, which is the next bar's open in these data, now and then a tick beside it.
Sizes are cut to the lot.
"""
import math
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import numpy as np

import common as C
import data as D
from nautilus_replay import IID, BookType, OrderSide, Price, Quantity, Strategy, engine
from nautilus_trader.model.data import Bar, BarType

BT = BarType.from_str(f"{IID}-15-MINUTE-LAST-EXTERNAL")


class S(Strategy):
    def __init__(self, sig):
        super().__init__()
        self.sig, self.i, self.pos, self.n, self.cash, self.held, self.volume = sig, 0, 0.0, 0, 0.0, 0.0, 0.0

    def on_start(self):
        self.subscribe_bars(BT)

    def on_bar(self, bar):
        le, lx, se, sx = self.sig
        i = self.i
        self.i += 1
        if sx[i] or lx[i]:
            up, pos = sx[i], self.pos
            wants = (le[i] if up else se[i]) and (pos <= 0 if up else pos >= 0)
            q = math.floor(D.NOTIONAL / float(bar.close) / 0.001 + 1e-9) * 0.001 if wants else 0.0
            tot = round(q + (abs(pos) if (pos < 0 if up else pos > 0) else 0.0), 3)
            if tot > 0:
                self.submit_order(self.order_factory.market(IID, OrderSide.BUY if up else OrderSide.SELL, Quantity(tot, 3)))
                self.pos = round(pos + (tot if up else -tot), 3); self.n += 1

    def on_order_filled(self, ev):
        s = 1 if ev.order_side == OrderSide.BUY else -1
        self.cash -= s * float(ev.last_qty) * float(ev.last_px)
        self.held += s * float(ev.last_qty)
        self.volume += float(ev.last_qty)


def main(signals, n="175000"):
    n = int(n)
    b = {k: v[:n] for k, v in D.bars("BTC").items()}
    z = np.load(signals)
    sig = [z[k][:n] for k in ("le", "lx", "se", "sx")]
    for a in sig:
        a[-1] = False  # there is no next open
    ts = (b["ts"] * 1_000_000 + 15 * 60 * 10**9).tolist()
    out = [Bar(BT, Price(o, 1), Price(h, 1), Price(l, 1), Price(c, 1), Quantity(v + 1, 3), t, t)
           for o, h, l, c, v, t in zip(*(b[k].tolist() for k in ("open", "high", "low", "close", "volume")), ts)]
    e = engine(BookType.L1_MBP); e.add_data(out); s = S(sig); e.add_strategy(s)
    t = C.perf(); e.run(); dt = C.perf() - t
    C.emit("J1", "nautilus_bars", bars=n, seconds=dt, orders=s.n, cash=round(s.cash, 4), position=round(s.held, 3), volume=s.volume, tick=D.TICK["BTC"], rss_mb=C.rss_peak_mb())


if __name__ == "__main__":
    main(*sys.argv[1:])
