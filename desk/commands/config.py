"""``tradedeck config``: the settings' file."""

import typer

from desk.options import HomeOption, JsonOption

app = typer.Typer(help="Bring config.toml up to date.", no_args_is_help=True)


@app.command()
def upgrade(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Add the keys that an older config.toml lacks, with their defaults; what stands there stays as it is.

    The file as it was is kept beside it. The engine takes the new one at its next start.
    """
    from core.config.upgrade import upgrade as add
    from desk import output
    from desk.paths import home_at

    path = home_at(home).config
    added, kept = add(path)
    if as_json:
        output.write_json({"added": added, "kept": str(kept) if kept is not None else None})
    elif kept is None:
        output.write(f"{path} lacks nothing")
    else:
        output.write(f"{path}: {len(added)} keys added with their defaults; as it was: {kept.name}")
        for key in added:
            output.write(f"  {key}")
