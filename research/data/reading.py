"""Read files of market data as they are, every row with its line: CSV (also .gz and .zip), Parquet, feather.

Only what no array can hold is refused here: missing columns, lines of another length, text for numbers, times that do
not say they are UTC. What the rows then mean is judged in ``research.data.checks``.
"""

import csv
import gzip
import io
import re
import zipfile
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import numpy as np
from numpy.typing import NDArray

from core.errors import ResearchError
from store.candles import CandleKind
from venues.market.candles import TIME_COLUMNS

_RATE = ("rate", "last_funding_rate", "fundingrate", "funding_rate", "open")  # freqtrade keeps rates in "open"
_DUMPED = ("open_time", "open", "high", "low", "close", "volume")
"""The first columns of a dump without header."""
_DUMPED_RATES = ("calc_time", "funding_interval_hours", "last_funding_rate")
_UNITS = (
    (10**9, 10**10, 10**9, "s"),
    (10**12, 10**13, 10**6, "ms"),
    (10**15, 10**16, 10**3, "µs"),
    (10**18, 9 * 10**18, 1, "ns"),
)
_EPOCH, _MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)
_ZONED = re.compile(r"(Z|\+00:?00| UTC)$")


class Problem(msgspec.Struct, frozen=True):
    """Something wrong with a file's rows; a ``fatal`` one keeps it from being imported."""

    path: str
    line: int
    text: str
    fatal: bool = True

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.text}"


class DataFault(ResearchError):
    """A file that cannot be taken; ``problems`` says why, line by line."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = list(problems)
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        super().__init__(f"{problems[0]}{more}")


class Raw(msgspec.Struct, frozen=True):
    """Rows in the order of the file: ``lines`` counts from 1, a header included; ``ts`` is ns UTC."""

    path: str
    lines: NDArray[np.int64]
    ts: NDArray[np.int64]
    columns: dict[str, NDArray[np.float64]]


def read(path: Path, kind: CandleKind) -> Raw:
    """Return the rows of a file.

    Raises:
        DataFault: naming the lines that cannot be read.
    """
    suffixes = {suffix.lower() for suffix in path.suffixes}
    try:
        if ".parquet" in suffixes or ".feather" in suffixes:
            return _read_table(path, kind)
        if suffixes & {".csv", ".zip"}:
            return _read_csv(path, kind)
    except (OSError, EOFError, zipfile.BadZipFile, UnicodeDecodeError, csv.Error, duckdb.Error) as error:
        raise DataFault([Problem(str(path), 0, f"cannot be read: {error}")]) from None
    raise DataFault([Problem(str(path), 0, "not a known form; expected .csv, .csv.gz, .zip, .parquet or .feather")])


def _read_csv(path: Path, kind: CandleKind) -> Raw:
    rows = list(csv.reader(io.StringIO(_text(path))))
    lines = np.array([number for number, row in enumerate(rows, 1) if row], np.int64)
    rows = [row for row in rows if row]
    if not rows:
        raise DataFault([Problem(str(path), 1, "the file is empty")])
    header = rows[0][0][:1].isalpha()
    dumped = _DUMPED_RATES if kind is CandleKind.FUNDING else _DUMPED
    named = rows[0] if header else (*dumped, *[""] * (len(rows[0]) - len(dumped)))
    if len(rows[0]) < len(dumped) and not header:
        text = f"{len(rows[0])} columns and no header; expected one, or {', '.join(dumped)} first"
        raise DataFault([Problem(str(path), 1, text)])
    rows, lines = (rows[1:], lines[1:]) if header else (rows, lines)
    if not rows:
        raise DataFault([Problem(str(path), 1, "no rows behind the header")])
    wrong = [number for number, row in enumerate(rows) if len(row) != len(named)]
    if wrong:
        text = "{} fields, expected {}: the line is cut or belongs to another file"
        raise DataFault([Problem(str(path), int(lines[n]), text.format(len(rows[n]), len(named))) for n in wrong])
    places = _places(path, named, kind)
    columns = list(zip(*rows, strict=True))
    ts = _stamps(path, lines, columns[places["ts"]])
    return Raw(str(path), lines, ts, {n: _numbers(path, lines, n, columns[places[n]]) for n in kind.columns})


def _text(path: Path) -> str:
    if path.suffix.lower() == ".zip":
        with zipfile.ZipFile(path) as box:
            inside = [name for name in box.namelist() if name.lower().endswith(".csv")]
            if len(inside) != 1:
                raise DataFault([Problem(str(path), 0, f"holds {len(inside)} CSV files, expected one")])
            return box.read(inside[0]).decode("utf-8-sig")
    data = gzip.decompress(path.read_bytes()) if path.suffix.lower() == ".gz" else path.read_bytes()
    return data.decode("utf-8-sig")


def _places(path: Path, named: Sequence[str], kind: CandleKind) -> dict[str, int]:
    """Return where the time and each wanted column stand."""
    known = [name.strip().lower() for name in named]
    found = {}
    for wanted in ("ts", *kind.columns):
        ways = {"ts": TIME_COLUMNS, "rate": _RATE}.get(wanted, (wanted,))
        place = next((known.index(way) for way in ways if way in known), None)
        if place is None:
            text = (
                f"no column {wanted if wanted != 'ts' else 'of time'} ({' or '.join(ways)}); found {', '.join(named)}"
            )
            raise DataFault([Problem(str(path), 1, text)])
        found[wanted] = place
    return found


def _numbers(path: Path, lines: NDArray[np.int64], name: str, texts: Sequence[str]) -> NDArray[np.float64]:
    try:
        return np.array(texts, np.float64)
    except ValueError:
        wrong = [
            Problem(str(path), int(line), f'{name} is "{text[:40]}", expected a number')
            for line, text in zip(lines, texts, strict=True)
            if not _is_number(text)
        ]
        raise DataFault(wrong) from None


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _stamps(path: Path, lines: NDArray[np.int64], texts: Sequence[str]) -> NDArray[np.int64]:
    """Return times in ns: whole numbers since 1970 in one unit, or ISO texts that say UTC."""
    if texts[0].strip().isdigit():
        wrong = [
            Problem(str(path), int(line), f'time is "{text[:40]}", expected a whole number as in the first row')
            for line, text in zip(lines, texts, strict=True)
            if not (text.strip().isascii() and text.strip().isdigit() and len(text.strip()) < 20)
        ]
        if wrong:
            raise DataFault(wrong)
        return _scaled(path, lines, np.array([int(text) for text in texts], np.float64), [int(t) for t in texts])
    found, wrong = np.empty(len(texts), np.int64), []
    for place, (line, text) in enumerate(zip(lines, texts, strict=True)):
        try:
            moment = datetime.fromisoformat(_ZONED.sub("+00:00", text.strip()))
        except ValueError:
            wrong.append(
                Problem(str(path), int(line), f'time is "{text[:40]}", expected UTC such as 2024-01-31T00:00:00Z')
            )
            continue
        if moment.utcoffset() is None or moment.utcoffset():
            zone = "without a zone" if moment.utcoffset() is None else "local"
            wrong.append(
                Problem(str(path), int(line), f'time "{text[:40]}" is {zone}: expected UTC, marked by Z or +00:00')
            )
            continue
        found[place] = (moment - _EPOCH) // _MICROSECOND * 1000
    if wrong:
        raise DataFault(wrong)
    return found


def _scaled(
    path: Path, lines: NDArray[np.int64], rough: NDArray[np.float64], exact: Sequence[int]
) -> NDArray[np.int64]:
    units = np.full(rough.size, -1)
    for place, (low, high, _, _) in enumerate(_UNITS):
        units[(rough >= low) & (rough < high)] = place
    strange = np.flatnonzero(units < 0)
    if strange.size:
        raise DataFault(
            [
                Problem(
                    str(path), int(lines[n]), f"time is {exact[int(n)]}, which is no time after 2001 in s, ms, µs or ns"
                )
                for n in strange
            ]
        )
    changed = np.flatnonzero(np.diff(units)) + 1
    if changed.size:
        names = [unit for *_, unit in _UNITS]
        raise DataFault(
            [
                Problem(
                    str(path),
                    int(lines[n]),
                    f"time in {names[units[n]]}, in {names[units[n - 1]]} until here: two files in one",
                )
                for n in changed
            ]
        )
    return np.array([value * _UNITS[units[0]][2] for value in exact], np.int64)


def _read_table(path: Path, kind: CandleKind) -> Raw:
    """Read Parquet, or feather by way of Arrow."""
    with duckdb.connect() as base:
        if path.suffix.lower() == ".feather":
            base.register("rows", _arrow(path))
        else:
            base.read_parquet(str(path)).create_view("rows")
        described = base.execute("DESCRIBE rows").fetchall()
        names, types = [row[0] for row in described], [row[1] for row in described]
        places = _places(path, names, kind)
        time = f'"{names[places["ts"]]}"'
        zoned = types[places["ts"]]
        if zoned.startswith(("TIMESTAMP", "DATE")) and not (
            "WITH TIME ZONE" in zoned or zoned.startswith("TIMESTAMPTZ")
        ):
            raise DataFault(
                [
                    Problem(
                        str(path), 0, f"times have no zone ({zoned}); expected UTC: timestamp[ns, UTC] or whole numbers"
                    )
                ]
            )
        stamp = f"epoch_ns({time})" if zoned.startswith("TIMESTAMP") else time
        wanted = ", ".join(f'TRY_CAST("{names[places[name]]}" AS DOUBLE) AS "{name}"' for name in kind.columns)
        found: dict[str, Any] = base.execute(f"SELECT {stamp} AS ts, {wanted} FROM rows").fetchnumpy()  # noqa: S608  # names the file gave, quoted
    times = found.pop("ts")
    lines = np.arange(1, times.size + 1, dtype=np.int64)
    if not times.size:
        raise DataFault([Problem(str(path), 0, "no rows")])
    missing = np.flatnonzero(np.ma.getmaskarray(times))
    if missing.size:
        raise DataFault([Problem(str(path), int(lines[n]), "no time") for n in missing])
    columns = {name: np.ma.filled(values.astype(np.float64), np.nan) for name, values in found.items()}
    if zoned.startswith("TIMESTAMP"):
        return Raw(str(path), lines, np.asarray(times, np.int64), columns)
    return Raw(str(path), lines, _stamps(path, lines, [str(value) for value in times]), columns)


def _arrow(path: Path) -> Any:
    try:
        import pyarrow
        from pyarrow import feather
    except ImportError as error:
        text = f'feather needs pyarrow: {error}; install tradedeck with the extra "research", or convert it to Parquet'
        raise DataFault([Problem(str(path), 0, text)]) from None
    try:
        return feather.read_table(path)
    except pyarrow.ArrowException as error:
        raise DataFault([Problem(str(path), 0, f"cannot be read as feather: {error}")]) from None
