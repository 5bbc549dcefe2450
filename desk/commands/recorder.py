"""``tradedeck recorder``: moves tick segments into DuckDB and Parquet."""

from desk.options import HomeOption


def recorder(home: HomeOption = None) -> None:
    """Run the recorder in the foreground, at idle priority, until SIGTERM."""
    from desk.paths import home_at
    from desk.wiring import run_recorder

    run_recorder(home_at(home))
