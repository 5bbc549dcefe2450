"""``tradedeck market``: the practice exchange."""

from desk.options import HomeOption, LoopOption, SeedOption, SpeedOption, TapeOption


def market(
    tape: TapeOption = None,
    loop: LoopOption = False,
    speed: SpeedOption = None,
    seed: SeedOption = None,
    home: HomeOption = None,
) -> None:
    """Run the practice exchange in the foreground: the built-in market, or recorded tapes."""
    from desk.paths import home_at
    from desk.roles.launch import plan
    from desk.wiring import run_market

    run_market(home_at(home), plan(tape, loop, speed, seed))
