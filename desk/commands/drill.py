"""``tradedeck drill``: fire the kill switch and the sentinel, and measure."""

import typer

from core.errors import StoreError
from desk.options import HomeOption, JsonOption


def drill(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Pull the kill switch and kill an engine in a scratch house, and say how long until flat."""
    import msgspec

    from desk import drilling, output
    from desk.paths import home_at

    place = home_at(home)
    result = drilling.drill(place)
    if as_json:
        output.write_json(msgspec.structs.asdict(result))
    else:
        output.write(f"kill switch → exit on its way {result.exit_s:.3f} s, flat {result.flat_s:.2f} s")
        output.write(f"engine killed for good → flat {result.sentinel_flat_s:.2f} s, grace included")
    try:
        drilling.keep(place, result)  # behind the words: a disk that takes nothing must not lose them
    except StoreError as error:
        raise typer.Exit(output.fail(error, as_json=False)) from error  # stdout has its one document
