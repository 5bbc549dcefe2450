"""``tradedeck drill``: fire the kill switch and the sentinel, and measure."""

from desk.options import HomeOption, JsonOption


def drill(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Pull the kill switch and kill an engine in a scratch house, and say how long until flat."""
    import msgspec

    from desk import drilling, output
    from desk.paths import home_at

    result = drilling.drill(home_at(home))
    if as_json:
        output.write_json(msgspec.structs.asdict(result))
        return
    output.write(f"kill switch → exit on its way {result.exit_s:.3f} s, flat {result.flat_s:.2f} s")
    output.write(f"engine killed for good → flat {result.sentinel_flat_s:.2f} s, grace included")
