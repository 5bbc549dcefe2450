"""J1, the other side of simulator.py: backtesting.py, one set, signals made beforehand.

Its spread is charged at the entry alone, so there is none here; it wants whole sizes, so prices are those of a millionth.
"""
import sys
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import numpy as np
import pandas as pd
from backtesting import Backtest, Strategy

import common as C
import data as D

warnings.filterwarnings("ignore")
UNIT = 1e6


class S(Strategy):
    def init(self):
        pass

    def next(self):
        i = len(self.data) - 1
        pos = self.position.size
        up, dn = self.sx[i], self.lx[i]
        size = lambda: max(1, int(D.NOTIONAL / self.data.Close[-1] + 1e-9))
        if up:
            if pos < 0:
                self.position.close()
            if pos <= 0 and self.le[i]:
                self.buy(size=size())
        elif dn:
            if pos > 0:
                self.position.close()
            if pos >= 0 and self.se[i]:
                self.sell(size=size())


def main(signals, n="175000"):
    n = int(n)
    b = {k: v[:n] for k, v in D.bars("BTC").items()}
    z = np.load(signals)
    df = pd.DataFrame(dict(Open=b["open"] / UNIT, High=b["high"] / UNIT, Low=b["low"] / UNIT, Close=b["close"] / UNIT, Volume=b["volume"]),
                      index=pd.to_datetime(b["ts"], unit="ms"))
    cls = type("X", (S,), {k: z[k][:n] for k in ("le", "lx", "se", "sx")})
    bt = Backtest(df, cls, cash=D.CASH, commission=D.FEE, spread=0.0, margin=0.2)
    t = C.perf(); st = bt.run(); dt = C.perf() - t
    C.emit("J1", "backtesting.py", bars=n, seconds=dt, final=float(st["_equity_curve"]["Equity"].iloc[-1]), trades=int(st["# Trades"]), rss_mb=C.rss_peak_mb())


if __name__ == "__main__":
    main(*sys.argv[1:])
