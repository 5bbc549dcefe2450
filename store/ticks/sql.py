# ruff: noqa: S608  # table names, instruments and paths are ours, and quoted; a user's SQL is checked in tick_sql
"""The SQL of the tick views, and what a user's SQL may be."""

import re

import duckdb

from core.errors import StoreError
from store.segments.format import Form, Kind
from store.segments.reader import NO_SIDE

SOURCES = {Kind.TRADES: "all_trades", Kind.QUOTES: "all_quotes", Kind.BOOKS: "all_levels"}
"""By kind: the view of all rows with ``arrival``, their order among equal stamps."""

_TIME = "make_timestamp_ns(ts) AS time"
_LEVEL = (
    f"SELECT {_TIME}, instrument, CASE side WHEN 0 THEN 'bid' ELSE 'ask' END AS side, price, size, "
    "first_id, last_id, prev_id, event, ts_exchange, ts"
)
_MINUTE = 60_000_000_000
VIEWS = (
    f"CREATE VIEW trades AS SELECT {_TIME}, * EXCLUDE (arrival) FROM all_trades",
    f"CREATE VIEW quotes AS SELECT {_TIME}, * EXCLUDE (arrival) FROM all_quotes",
    f"CREATE VIEW book_deltas AS {_LEVEL} FROM all_levels WHERE form = {Form.DELTA:d} AND side <> {NO_SIDE}",
    f"CREATE VIEW book_snapshots AS {_LEVEL}, form = {Form.SNAPSHOT:d} AS complete FROM all_levels "
    f"WHERE form <> {Form.DELTA:d} AND side <> {NO_SIDE}",
    "CREATE VIEW bars AS SELECT make_timestamp_ns(start) AS time, * FROM ("
    f"SELECT instrument, ts - ts % {_MINUTE} AS start, "
    "first(price ORDER BY ts, arrival) AS open, max(price) AS high, min(price) AS low, "
    "last(price ORDER BY ts, arrival) AS close, sum(size) AS volume, count(*) AS trades "
    "FROM all_trades GROUP BY ALL)",
)
_EXPLAIN = re.compile(r"^\s*explain(\s+analyze)?(\s*\([^)]*\))?\s+", re.IGNORECASE)


def check_read_only(text: str) -> None:
    """Refuse anything but one query.

    Raises:
        StoreError: naming the kind of statement.
    """
    try:
        statements = duckdb.extract_statements(text)
    except duckdb.Error as error:
        raise StoreError(f"this is not SQL: {str(error).splitlines()[0]}") from error
    if len(statements) != 1:
        raise StoreError(f"expected one SQL statement, got {len(statements)}; send them one by one")
    kind = statements[0].type
    if kind == duckdb.StatementType.EXPLAIN:
        check_read_only(_EXPLAIN.sub("", text, count=1))
    elif kind != duckdb.StatementType.SELECT:
        raise StoreError(
            f"recorded ticks are read-only: {kind.name} is refused; use SELECT; tradedeck ticks export writes files"
        )
