"""The worst days in the recorded candles, long five times the equity, with the guardian and without: ``make crash``.

Days are chosen by how far the low lies below the open (UTC), over BTC, ETH, XRP and LTC together. Size limits are
raised, whatever limits a loss stands at its default. ``--write`` puts the tables into docs/reliability.md and
bench/RESULTS.md.
"""

import argparse
import os
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import msgspec

from bench.figure import Figure
from core.config.settings import GuardianSettings
from scripts.crash_account import EQUITY, LEVERAGE, Kind, Outcome, Watched, unwatched
from scripts.crash_path import COINS, Day, read_days, worst
from scripts.report import table, write
from scripts.tally import ROOT

DAYS = 20
LIMIT = GuardianSettings().max_daily_loss_frac
ABOUT = "Account loss on the worst crash days, with the guardian and without."
COMMAND = "make crash ARGS=--write"
MS = 1_000_000
NAMES = (
    "one coin, held",
    "one coin, bought again and again",
    "one coin, from its worst bar on, again and again",
    "four coins, bought again and again",
)
HEAD = ("day (UTC)", "held", "open → low", "without", "with", "gaps", "over limit + gaps", "to flat", "what acted")


class Played(msgspec.Struct, frozen=True):
    """One row: the days that were held together, and what became of the account with the guardian and without."""

    days: tuple[Day, ...]
    watched: Outcome
    bare: Outcome

    @property
    def over(self) -> float:
        """Return what was lost beyond the account's limit and the gaps, as a fraction of the equity."""
        return max(0.0, self.watched.loss - LIMIT - self.watched.gap)


def play(days: Sequence[Day], kind: Kind, equity: Decimal = EQUITY) -> Played:
    """Play one account through the days of its coins, both ways."""
    return Played(tuple(days), Watched(days, kind, equity=equity).run(), unwatched(days, equity))


def line(played: Played) -> list[str]:
    """Return a row of the table."""
    first, watched, bare = played.days[0], played.watched, played.bare
    date = datetime.fromtimestamp(first.start / 1e9, UTC)
    fall = sum(day.fall for day in played.days) / len(played.days)
    held = "+".join(day.coin for day in played.days)
    slowest = max((one.took for one in watched.exits), default=0) / MS
    end = "HALTED" if watched.halted else "still ACTIVE"
    acted = f"{', '.join(watched.rules)}; {len(watched.exits)} exit{'s' * (len(watched.exits) != 1)}, {end}"
    return [
        f"{date:%Y-%m-%d}",
        f"{held} ({first.interval} bars)",
        f"−{fall:.1%}",
        f"{_lost(bare)}{f', liquidated {_clock(bare.liquidated)}' if bare.liquidated else ''}",
        _lost(watched),
        f"{watched.gap:.2%}",
        f"{played.over:.2%}" if played.over else "0",
        f"{slowest:.0f} ms" if watched.flat else "NOT FLAT",
        acted,
    ]


def _lost(outcome: Outcome) -> str:
    return f"{'−' if outcome.loss > 0 else '+'}{abs(outcome.loss):.2%}"


def _clock(ts: int) -> str:
    return f"{datetime.fromtimestamp(ts / 1e9, UTC):%H:%M}"


# --- the accounts ----- -----------------------------------------------------------------------------------------------


def accounts(folder: Path, count: int, equity: Decimal) -> Iterator[tuple[str, list[Played]]]:
    """Yield what each of the accounts in ``NAMES`` is, and its rows."""
    by_coin = {coin: read_days(folder, coin) for coin in COINS}
    chosen = worst((day for days in by_coin.values() for day in days.values()), count)
    yield (
        f"**One coin, bought at 00:00 and held**, {LEVERAGE:g} × the equity of {equity} USDT.",
        [play([day], Kind.ONCE, equity) for day in chosen],
    )
    yield (
        "**One coin, bought again** after every exit, at once and as large, for as long as the guardian lets it.",
        [play([day], Kind.AGAIN, equity) for day in chosen],
    )
    yield (
        "**One coin, bought at the open of the day's worst bar**, and again after every exit.",
        [play([day.crash], Kind.AGAIN, equity) for day in chosen],
    )
    starts = sorted({day.start for day in chosen if all(day.start in days for days in by_coin.values())})
    yield (
        f"**All four coins**, {LEVERAGE / len(COINS):g} × each, bought again after every exit, on those of these dates "
        "on which all four traded.",
        [play([by_coin[coin][start] for coin in COINS], Kind.AGAIN, equity) for start in starts],
    )


def figures(found: Sequence[tuple[str, list[Played]]]) -> list[Figure]:
    """Return the worst of each account beside what is required of it."""
    return [figure(name, rows) for name, (_, rows) in zip(NAMES, found, strict=True) if rows]


def figure(name: str, rows: Sequence[Played]) -> Figure:
    """Return the worst row of one account as a figure."""
    worst_ = max(rows, key=lambda one: one.watched.loss)
    over = max(one.over for one in rows)
    held = all(one.watched.flat and one.watched.exits for one in rows)
    note = (
        f"{len(rows)} days; gaps at most {max(one.watched.gap for one in rows):.2%}, beyond limit and gaps {over:.2%}; "
        f"without the guardian {sum(1 for one in rows if one.bare.liquidated)} liquidated, worst "
        f"{max(one.bare.loss for one in rows):.0%}"
    )
    return Figure(
        f"crash days, {name}: worst loss", f"≤ {LIMIT:.0%} + gap", f"{worst_.watched.loss:.2%}", held and not over, note
    )


def main() -> int:
    """Play the days, print the tables, and write them where asked to; 1 where the limit was not held."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=DAYS, help="the worst days, over all coins together")
    parser.add_argument("--equity", type=Decimal, default=EQUITY, help="what each account begins with (USDT)")
    parser.add_argument("--data", type=Path, help="folder of candles (COINUSDT-perp-1h.parquet …)")
    parser.add_argument("--write", action="store_true", help="put the tables into the page and the figures")
    asked = parser.parse_args()
    named = os.environ.get("TRADEDECK_DATA")
    folder = asked.data or (Path(named) if named else ROOT.parent / "shared" / "data") / "candles"
    if not folder.is_dir():
        parser.error(f"{folder} holds no candles: name their folder with --data, or set TRADEDECK_DATA")
    began, found = time.monotonic(), []
    for what, rows in accounts(folder, asked.days, asked.equity):
        found.append((what, rows))
        sys.stdout.write(f"{what}\n\n{table(HEAD, [line(row) for row in rows])}\n")
        sys.stdout.flush()
    measured = figures(found)
    for one in measured:
        sys.stdout.write(f"{one.what}: {one.measured} ({one.required}) {one.verdict}; {one.note}\n")
    sys.stdout.write(f"{time.monotonic() - began:.0f} s\n")
    if asked.write:
        page = "\n".join(f"{what}\n\n{table(HEAD, [line(row) for row in rows])}" for what, rows in found)
        for path in write("crash_days", ABOUT, COMMAND, measured, page):
            sys.stdout.write(f"written: {path}\n")
    return 0 if all(one.ok for one in measured) else 1


if __name__ == "__main__":
    sys.exit(main())
