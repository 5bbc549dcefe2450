"""``tradedeck demo``: market, engine, recorder and terminal in one go."""

from typing import Annotated

import typer

from desk.options import HomeOption, JsonOption, LoopOption, SeedOption, SpeedOption, TapeOption


def demo(
    tape: TapeOption = None,
    loop: LoopOption = False,
    speed: SpeedOption = None,
    seed: SeedOption = None,
    headless: Annotated[
        bool, typer.Option("--headless", help="No screen: plain lines until stopped, then end what was started.")
    ] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Open the workstation on a practice market: the built-in one, or recorded tapes.

    Leaving the screen leaves everything running; tradedeck stop ends it. Without a screen the same market is shown as
    plain lines, and what this command started ends with it.
    """
    from desk import output
    from desk.paths import home_at
    from desk.roles.launch import bring_up, plan
    from tui.fit import unfit

    place = home_at(home)
    reason = None if headless else unfit()
    asked = plan(tape, loop, speed, seed)
    started = bring_up(place, asked)
    if headless or reason:
        from desk.roles.headless import run

        if reason:
            output.say(f"{reason}; the same market as plain lines:")
        run(place, started, as_json)
        return
    from desk.commands.attach import attach

    attach(place.root)
