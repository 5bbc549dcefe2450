"""``tradedeck`` without a command: attach to the engine, starting what is missing."""

from pathlib import Path


def attach(home: Path | None = None) -> None:
    """Open the screen on the engine of a home; market, engine and recorder are started where they do not run."""
    from desk import output
    from desk.output import UsageFault
    from desk.paths import Role, home_at
    from desk.roles.services import running
    from tui.fit import unfit

    reason = unfit()
    if reason:
        raise UsageFault(reason)
    place = home_at(home)
    if running(place, Role.ENGINE) is None or running(place, Role.MARKET) is None:
        from desk.roles.launch import bring_up

        for role in bring_up(place, None):
            output.say(f"{role} started")
    else:
        from desk.roles.launch import bring_rest

        for role in bring_rest(place):
            output.say(f"{role} started")
    from desk.wiring import run_terminal

    run_terminal(place, "the engine keeps running; tradedeck opens the screen again, tradedeck stop ends it")
