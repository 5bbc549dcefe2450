"""``tradedeck engine``: the engine without a screen."""

from desk.options import HomeOption


def engine(home: HomeOption = None) -> None:
    """Run the engine in the foreground until SIGTERM; it connects to the market when that is there."""
    from desk.paths import home_at
    from desk.wiring import run_engine

    run_engine(home_at(home))
