"""J1, the other side of simulator.py: backtrader, one set, signals made beforehand; sizes by the next open, as ours are."""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import backtrader as bt
import numpy as np
import pandas as pd

import common as C
import data as D


class S(bt.Strategy):
    params = dict(sig=None)

    def __init__(self):
        self.n = 0

    def next(self):
        i = len(self) - 1
        le, lx, se, sx = self.p.sig
        pos = self.position.size
        if sx[i]:
            q = (-pos if pos < 0 else 0) + (D.NOTIONAL / self.opens[i + 1] if le[i] and pos <= 0 else 0)
            if q:
                self.buy(size=q); self.n += 1
        elif lx[i]:
            q = (pos if pos > 0 else 0) + (D.NOTIONAL / self.opens[i + 1] if se[i] and pos >= 0 else 0)
            if q:
                self.sell(size=q); self.n += 1


def main(signals, n="60000"):
    n = int(n)
    b = {k: v[:n] for k, v in D.bars("BTC").items()}
    z = np.load(signals)
    df = pd.DataFrame(dict(open=b["open"], high=b["high"], low=b["low"], close=b["close"], volume=b["volume"]),
                      index=pd.to_datetime(b["ts"], unit="ms"))
    sig = [z[k][:n] for k in ("le", "lx", "se", "sx")]
    for a in sig:
        a[-1] = False  # there is no next open
    S.opens = np.append(b["open"], b["open"][-1])
    t = C.perf()
    ce = bt.Cerebro(stdstats=False)
    ce.adddata(bt.feeds.PandasData(dataname=df)); ce.addstrategy(S, sig=sig)
    ce.broker.setcash(D.CASH); ce.broker.setcommission(commission=D.FEE)
    ce.broker.set_slippage_perc(D.SLIP, slip_open=True, slip_match=True, slip_out=True)
    run = ce.run(); dt = C.perf() - t
    C.emit("J1", "backtrader", bars=n, seconds=dt, final=float(ce.broker.getvalue()), orders=run[0].n, rss_mb=C.rss_peak_mb())


if __name__ == "__main__":
    main(*sys.argv[1:])
