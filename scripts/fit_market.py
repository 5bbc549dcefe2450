"""Fit the built-in market to recorded tapes and candles: ``python scripts/fit_market.py DATA [--write]``.

Prints the table that ships as ``venues/market/params.toml``; with ``--write`` it replaces the shipped one.
Micro-structure comes from the BTC tapes (USD-M for perpetuals, spot for spot pairs); volatility, correlation and the
relative activity of the other coins from hourly candles of 2024, the last year there is.
"""

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

from core.domain.market import BookDelta, BookSnapshot, Quote, Trade
from core.state.book import Book
from venues.market.opening import open_tape

COINS = ("BTC", "ETH", "XRP", "LTC")
TAPES = {"perp": "l2/binance-usdm-btcusdt-20240808.xz", "spot": "l2/binance-spot-btcusdt-20240809.xz"}
QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 1.0)
YEAR, YEAR_NS = "2024-01-01", 1_704_067_200 * 10**9
_HOUR_S = 3600


def micro(path: Path) -> dict[str, Any]:
    """Return spread, depth, trade size and arrival figures of one tape; sizes in quote currency, distances in bps."""
    book, quotes, trades, depth, deltas = Book(), [], [], [], 0
    for message in open_tape(path):
        if isinstance(message, Quote):
            quotes.append((message.ts, message.bid, message.bid_size, message.ask, message.ask_size))
        elif isinstance(message, Trade):
            trades.append((message.ts_exchange, message.price, message.size, message.buyer))
        elif isinstance(message, BookSnapshot):
            book.apply_snapshot(message)
        elif isinstance(message, BookDelta):
            book.apply_delta(message)
            deltas += 1
            if deltas > 300 and deltas % 20 == 0:
                depth.append(_density(book))
    quote, trade = np.array(quotes), np.array(trades, float)
    seconds = (quote[-1, 0] - quote[0, 0]) / 1e9
    mid = (quote[:, 1] + quote[:, 3]) / 2
    stamps = np.unique(trade[:, 0])
    counts = np.bincount(((stamps - stamps[0]) // 1e9).astype(int))
    fano = counts.var() / counts.mean()
    tops = np.r_[quote[:, 2], quote[:, 4]]
    return {
        "spread_excess_bps": _row((quote[:, 3] - quote[:, 1] - (quote[:, 3] - quote[:, 1]).min()) / mid * 1e4),
        "trade_quote": _row(trade[:, 1] * trade[:, 2]),
        "top_quote_median": float(np.median(tops) * mid[0]),
        "top_log_sd": float(np.log(tops).std()),
        "depth_quote_per_bps": float(np.median(depth)),
        "bursts_per_s": len(stamps) / seconds,
        "prints_per_burst": len(trade) / len(stamps),
        # A Hawkes process with branching ratio n has, over long windows, variance over mean = 1 / (1 - n)^2.
        "branching": float(1 - 1 / np.sqrt(fano)),
    }


def _density(book: Book) -> float:
    """Return the mean quote value per basis point on one side, over the nearest 2 bps without the best level."""
    bids, asks = book.top(400)
    mid = (bids[0][0] + asks[0][0]) / 2
    inside = [(p, s) for side in (bids[1:], asks[1:]) for p, s in side if abs(p / mid - 1) <= 2e-4]
    return sum(p * s for p, s in inside) / 4


def _row(values: Any) -> list[float]:
    return [float(f"{value:.6g}") for value in np.quantile(values, QUANTILES)]


def candles(folder: Path) -> dict[str, Any]:
    """Return price, volatility, activity and correlation of the coins, and the basis of BTC, from hourly candles."""
    closes, out, basis = {}, dict[str, Any](), list[float]()
    for coin in COINS:
        dates, close, volume = _read(folder / f"{coin}USDT-perp-1h.parquet")
        returns = np.diff(np.log(close))
        closes[coin] = returns
        absolute = np.abs(returns)
        out[coin] = {
            "price": float(close[-1]),
            "vol_bps_per_sqrt_s": float(returns.std() * 1e4 / np.sqrt(_HOUR_S)),
            "vol_memory": float(np.corrcoef(absolute[1:], absolute[:-1])[0, 1]),
            "quote_volume_per_h": float(np.mean(volume * close)),
        }
        if coin == "BTC":
            spot = dict(zip(*_read(folder / "BTCUSDT-spot-1h.parquet")[:2], strict=True))
            basis = [np.log(c / spot[d]) * 1e4 for d, c in zip(dates, close, strict=True) if d in spot]
    out["correlation"] = np.corrcoef([closes[coin] for coin in COINS]).round(3).tolist()
    out["basis_bps_mean"], out["basis_bps_sd"] = float(np.mean(basis)), float(np.std(basis))
    return out


def _read(path: Path) -> tuple[list[int], Any, Any]:
    with duckdb.connect() as base:
        query = "select epoch_ns(date), close, volume from read_parquet(?) where epoch_ns(date) >= ? order by date"
        rows = base.execute(query, [str(path), YEAR_NS]).fetchall()
    return [row[0] for row in rows], np.array([row[1] for row in rows]), np.array([row[2] for row in rows])


def funding(folder: Path) -> dict[str, float]:
    """Return the median funding rate of each coin, a fraction per 8 h."""
    rates = {}
    with duckdb.connect() as base:
        for coin in COINS:
            query = "select median(funding_rate) from read_parquet(?) where epoch_ns(date) >= ?"
            found = base.execute(query, [str(folder / f"{coin}USDT-perp-funding.parquet"), YEAR_NS]).fetchone()
            rates[coin] = float(found[0]) if found else 0.0
    return rates


def render(data: Path) -> str:
    """Return the parameter table as TOML, each section with where its figures come from."""
    coins, rates = candles(data / "candles"), funding(data / "candles")
    lines = [
        "# The built-in market's parameters. Made by scripts/fit_market.py from recorded data; do not edit by hand.",
        "# Sizes are in the quote currency, distances in basis points (bps), times in seconds.",
        f"quantiles = {list(QUANTILES)}",
        f"coins = {list(COINS)}".replace("'", '"'),
        "",
        f"# Pearson correlation of hourly log returns since {YEAR}, USD-M perpetual candles.",
        f"correlation = {coins['correlation']}",
        "# log(perpetual / spot) of BTC, hourly closes; used for all coins.",
        f"basis_bps_mean = {coins['basis_bps_mean']:.3f}",
        f"basis_bps_sd = {coins['basis_bps_sd']:.3f}",
    ]
    for coin in COINS:
        lines += ["", f"# {coin}USDT-perp-1h.parquet and -funding.parquet since {YEAR}; price is the last close."]
        lines += [f"[coin.{coin}]", *_pairs(coins[coin]), f"funding_rate = {rates[coin]}"]
    for kind, name in TAPES.items():
        lines += ["", f"# {name}: bookTicker, trade and depth frames. `quantiles` names the columns of the lists."]
        lines += [f"[micro.{kind}]", *_pairs(micro(data / name))]
    return "\n".join(lines) + "\n"


def _pairs(values: dict[str, Any]) -> Iterable[str]:
    for key, value in values.items():
        yield f"{key} = {value if isinstance(value, list) else f'{value:.6g}'}"


def main() -> None:
    """Fit and print, or write the shipped table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder with l2/ and candles/")
    parser.add_argument("--write", action="store_true", help="replace venues/market/params.toml")
    args = parser.parse_args()
    text = render(args.data)
    if args.write:
        target = Path(__file__).resolve().parents[1] / "venues" / "market" / "params.toml"
        target.write_text(text, encoding="utf-8")
    else:
        sys.stdout.write(text)


if __name__ == "__main__":
    main()
