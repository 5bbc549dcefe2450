"""``tradedeck sentinel``: the watchdog of the engine."""

from desk.options import HomeOption


def sentinel(home: HomeOption = None) -> None:
    """Run the sentinel in the foreground until SIGTERM; it closes everything when the engine dies for good."""
    from desk.paths import home_at
    from desk.wiring import run_sentinel

    run_sentinel(home_at(home))
