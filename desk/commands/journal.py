"""``tradedeck journal``: check, export, back up and restore the journal."""

from pathlib import Path
from typing import Annotated

import typer

from desk.options import HomeOption, JsonOption, figure

app = typer.Typer(help="Check, export, back up and restore the journal.", no_args_is_help=True)


@app.command()
def check(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Read the whole journal and prove every record; also while the engine runs."""
    import msgspec

    from desk import output
    from desk.commands.shown import clock
    from desk.paths import home_at
    from store.journal import tools as journal_tools

    report = journal_tools.check(home_at(home).journal)
    damage = report.damage.what if report.damage is not None else ""
    if as_json:
        output.write_json(msgspec.to_builtins(report))
    else:
        span = (
            f", {clock(report.first_ts)} to {clock(report.last_ts)} UTC" if report.first_ts and report.last_ts else ""
        )
        output.write(f"{report.path}: format {report.format}, run {report.run}, {report.records} records{span}")
        for point in report.checkpoints:
            output.write(f"checkpoint at {point.sequence}: {'sound' if point.readable else 'cannot be trusted'}")
        if not damage:
            output.write("every record is sound")
    if damage:
        output.say(f"tradedeck: {damage if damage.startswith('journal damaged') else f'journal damaged: {damage}'}")
        output.say(
            "with the engine stopped, put a backup in its place: tradedeck journal restore FILE. Do not move the "
            "journal away: what it knows of orders and limits would be gone with it"
        )
        raise typer.Exit(output.Exit.ERROR)


@app.command()
def export(
    target: Annotated[Path | None, typer.Argument(help="File; stdout where none is named.")] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="CSV instead of JSON lines.")] = False,
    after: Annotated[
        int, typer.Option("--after", help="Only records above this sequence.", parser=figure("--after", 0, whole=True))
    ] = 0,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write every record readably, as JSON lines (the default, also --json) or CSV."""
    import sys

    from core.errors import StoreError
    from desk import output
    from desk.paths import home_at
    from store.journal import tools as journal_tools

    if as_csv and as_json:
        raise output.UsageFault("--csv or --json, not both")
    journal = home_at(home).journal
    kind: journal_tools.ExportFormat = "csv" if as_csv else "jsonl"
    if target is None:
        journal_tools.export(journal, sys.stdout, kind, after)
        return
    try:
        with target.open("w", encoding="utf-8") as out:
            count = journal_tools.export(journal, out, kind, after)
    except OSError as error:
        raise StoreError(f"{target} cannot be written: {error.strerror}") from error
    output.say(f"{count} records written to {target}")


@app.command()
def backup(
    target: Annotated[Path, typer.Argument(help="File to write; it must not exist.")],
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Copy the journal as it is at one moment and prove the copy; also while the engine runs."""
    import msgspec

    from desk import output
    from desk.paths import home_at
    from store.journal import tools as journal_tools

    report = journal_tools.backup(home_at(home).journal, target)
    if as_json:
        output.write_json(msgspec.to_builtins(report))
    else:
        output.write(f"{report.records} records backed up to {target}")


@app.command()
def restore(
    source: Annotated[Path, typer.Argument(help="A backup.")],
    force: Annotated[
        bool, typer.Option("--force", help="Also when the present journal knows more; it is set aside, not deleted.")
    ] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put a backup in the journal's place; the engine must not run."""
    from desk import output
    from desk.paths import home_at
    from store.journal import tools as journal_tools

    journal = home_at(home).create().journal
    aside = journal_tools.restore(source, journal, force=force)
    if not as_json:
        output.write(f"restored from {source}" + (f"; the former journal is at {aside}" if aside else ""))
    state, reason = journal_tools.trading_state(journal)
    if as_json:
        answer = {"restored": str(source), "set_aside": str(aside) if aside else None}
        output.write_json({**answer, "state": state, "state_reason": reason})
    else:
        known = f"{state} ({reason})" if reason else state
        output.write(
            f"it ends with trading {known}; the engine starts HALTED whatever it says: look at positions and orders, "
            "then tradedeck resume"
        )
