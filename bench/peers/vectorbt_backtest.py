"""J1, the other side of simulator.py: vectorbt (open source) Portfolio.from_signals, one symbol's sets, or cash_sharing over 4 symbols.

The signals are those of the strategy rsi_ema: TA-Lib, an array a period and an array of crosses a pair of averages; nothing in its
warm-up. Prints final equity and order counts a set to compare with, CPU seconds of signals, simulation, final value, drawdown and
Sharpe ratio, and the most memory.
"""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import numpy as np
import pandas as pd
import talib

import common as C
import data as D
import vectorbt as vbt


def crosses(fast, slow):
    up, dn = np.zeros(fast.size, bool), np.zeros(fast.size, bool)
    up[1:] = (fast[1:] > slow[1:]) & (fast[:-1] <= slow[:-1])
    dn[1:] = (fast[1:] < slow[1:]) & (fast[:-1] >= slow[:-1])
    return up, dn


def build(sym, combos):
    """Decision arrays moved to the bar at whose open they fill, a column a set."""
    b = D.bars(sym)
    close = b["close"]
    rsi = {p: talib.RSI(close, p) for p in sorted({c[0] for c in combos})}
    ema = {p: talib.EMA(close, p) for p in sorted({c[1] for c in combos} | {c[2] for c in combos})}
    out = [np.zeros((close.size, len(combos)), bool) for _ in range(4)]
    for i, (p, f, s, hi, lo) in enumerate(combos):
        up, dn = crosses(ema[f], ema[s])
        warm = max(14 * (s + 1), 40 * p + 1)
        up[:warm] = dn[:warm] = False
        with np.errstate(invalid="ignore"):
            rows = up & (rsi[p] < hi - 1e-4), dn, dn & (rsi[p] > lo + 1e-4), up
        for a, row in zip(out, rows):
            a[1:, i] = row[:-1]
    return b, *out


def pf(op, cl, le, lx, se, sx, **kw):
    return vbt.Portfolio.from_signals(
        pd.DataFrame(cl) if cl.ndim == 2 else pd.Series(cl), entries=le, exits=lx, short_entries=se, short_exits=sx,
        price=op, size=D.NOTIONAL, size_type="value", fees=D.FEE, slippage=D.SLIP, init_cash=kw.pop("cash", D.CASH),
        upon_opposite_entry="reverse", freq="15min", **kw)


def sweep(sym, n):
    combos = D.grid(n)
    b, *s = build(sym, combos[:2])
    w = pf(b["open"][:, None], b["close"], *s); w.final_value(); w.max_drawdown(); w.sharpe_ratio()
    t = C.perf(); b, *s = build(sym, combos); t_sig = C.perf() - t
    t = C.perf(); p = pf(b["open"][:, None], b["close"], *s); t_pf = C.perf() - t
    t = C.perf(); fv = p.final_value(); t_fin = C.perf() - t
    t = C.perf(); md = p.max_drawdown(); p.sharpe_ratio(); t_stat = C.perf() - t
    C.emit("J1", "vectorbt_from_signals", seconds=t_sig + t_pf + t_fin + t_stat, secs_signals=t_sig, secs_from_signals=t_pf,
           secs_final_value=t_fin, secs_mdd_sharpe=t_stat, rss_mb=C.rss_peak_mb(), back_tests=n, pandas=pd.__version__, vectorbt=vbt.__version__,
           final=np.asarray(fv).tolist(), drawdown=(-np.asarray(md)).tolist(), orders=np.asarray(p.orders.count()).tolist())


def shared(n):
    """Columns are sets with the symbols side by side in each; a group is one wallet, of so much cash that no order lacks it."""
    combos = D.grid(n)
    warm = [build(s, combos[:1]) for s in D.SYMBOLS]
    parts = warm if n == 1 else [build(s, combos) for s in D.SYMBOLS]
    stack = lambda i, q: np.stack([x[i] for x in q], 2).reshape(D.N_BARS, -1)
    wide = lambda key, q, k: np.stack([np.broadcast_to(x[0][key][:, None], (D.N_BARS, k)) for x in q], 2).reshape(D.N_BARS, -1)
    few = 3000
    pf(wide("open", warm, 1)[:few], wide("close", warm, 1)[:few], *[stack(i, warm)[:few] for i in (1, 2, 3, 4)],
       group_by=np.zeros(4, int), cash_sharing=True).final_value()
    op, cl, sig = wide("open", parts, n), wide("close", parts, n), [stack(i, parts) for i in (1, 2, 3, 4)]
    t = C.perf(); p = pf(op, cl, *sig, group_by=np.repeat(np.arange(n), 4), cash_sharing=True, cash=10 * D.CASH); t1 = C.perf() - t
    t = C.perf(); fv = p.final_value(); t2 = C.perf() - t
    t = C.perf(); md = p.max_drawdown(); t3 = C.perf() - t
    C.emit("J1", "vectorbt_cash_sharing", seconds=t1 + t2 + t3, secs_from_signals=t1, secs_final=t2, secs_mdd=t3, rss_mb=C.rss_peak_mb(), wallets=n,
           final=np.asarray(fv).tolist(), drawdown=(-np.asarray(md)).tolist(), orders=np.asarray(p.orders.count()).tolist())


if __name__ == "__main__":
    {"sweep": lambda sym, n: sweep(sym, int(n)), "shared": lambda n: shared(int(n))}[sys.argv[1]](*sys.argv[2:])
