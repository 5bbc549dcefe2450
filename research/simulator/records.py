"""What a back-test's records hold: the account's terms, a set with what it holds and earned, a trade."""

import numpy as np

BY_SIGNAL, BY_STOP, BY_TARGET, BY_LIQUIDATION, BY_END = range(5)

# What the account is: money in the quote asset, fractions; 0 is no step, no least notional. ``margin`` false leaves
# out liquidation and the bounds of leverage; ``isolated`` false puts the whole wallet behind the position.
TERMS = np.dtype(
    [
        ("cash", "f8"),
        ("slippage", "f8"),
        ("size_step", "f8"),
        ("min_notional", "f8"),
        ("margin", "i8"),
        ("isolated", "i8"),
    ]
)
# A set: its leverage; an entry's size as a fixed notional, or (0) as a fraction of equity times leverage, at most
# ``max_size`` of notional; stop, target and trail as fractions of the entry price. 0 is none.
_SET = [(name, "f8") for name in ("leverage", "notional", "fraction", "max_size", "stop", "target", "trail")]
# What it holds: ``cash`` is the wallet less what the position cost, ``isolated`` the position's own margin, ``paid``
# and ``turned`` what FUNDED and TURNED were when its funding was last paid, ``best`` the price that a stop trails.
# Where a wallet has several contracts each notes for a moment what is ``wanted`` of it at this bar, and that it ends at
# the bar ``until``, at the price ``at``, for the reason ``why``.
_HELD = [
    *((name, "f8") for name in ("cash", "quantity", "entry", "isolated", "peak", "drop", "top", "day_base")),
    *((name, "f8") for name in ("paid", "turned", "best", "open_fees", "open_funding", "at")),
    *((name, "i8") for name in ("opened", "day", "wanted", "until", "why")),
]
# What it came to. ``liquidated`` is the bar, -1 for none; the sums are of daily returns and their powers.
_RESULT = [
    *((name, "f8") for name in ("equity", "drawdown", "gross_profit", "gross_loss", "fees", "funding")),
    *((name, "i8") for name in ("liquidated", "orders", "trades", "wins", "bars_held", "days")),
    *((name, "f8") for name in ("sum_1", "sum_2", "sum_3", "sum_4")),
]
RUN = np.dtype(_SET + _HELD + _RESULT)
TRADE = np.dtype(
    [
        *((name, "i8") for name in ("set", "symbol", "side", "opened", "closed", "reason")),
        *((name, "f8") for name in ("quantity", "entry", "exit", "fees", "funding", "profit")),
    ]
)
