"""``tradedeck researcher``: runs studies and the schedule."""

from desk.options import HomeOption


def researcher(home: HomeOption = None) -> None:
    """Run the researcher in the foreground, at idle priority, until SIGTERM: studies, their workers, the schedule."""
    from desk.paths import home_at
    from desk.research.researching import run_researcher

    run_researcher(home_at(home))
