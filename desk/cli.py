"""The command line: ``tradedeck``. Commands stand one a file in ``desk.commands`` and load what they need when run."""

import contextlib
import os
import sys
from importlib import import_module
from typing import Annotated, Any

import typer

from core.errors import TradedeckError
from desk.options import HomeOption, SignedCommand
from desk.output import Exit, fail, say, write_json
from desk.roles.hardening import excepthook
from desk.streams import mend
from desk.troubles import words_of

app = typer.Typer(
    name="tradedeck",
    help="A trading workstation in a terminal. Without a command: attach to the engine, starting what is missing.",
    no_args_is_help=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
PLAIN = (
    "demo",
    "market",
    "engine",
    "sentinel",
    "recorder",
    "researcher",
    "stop",
    "status",
    "instruments",
    "order",
    "amend",
    "cancel",
    "flatten",
    "halt",
    "resume",
    "loosen",
    "watch",
    "orders",
    "fills",
    "positions",
    "portfolio",
    "risk",
    "alerts",
    "replay",
    "promote",
    "drill",
    "install-service",
    "doctor",
    "web",
)
MISTYPED = tuple(kind for kind in typer.BadParameter.__mro__ if issubclass(kind, Exception) and kind is not Exception)
"""What the option parser raises; typer names its base nowhere that is the same in each of its versions."""
GROUPS = ("alert", "config", "configs", "data", "journal", "reconcile", "schedule", "study", "ticks")


def _version(wanted: bool) -> None:
    if wanted:
        from desk.version import version

        typer.echo(f"tradedeck {version()}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    home: HomeOption = None,
    _: Annotated[bool, typer.Option("--version", help="Show the version.", callback=_version, is_eager=True)] = False,
) -> None:
    """A trading workstation in a terminal. Without a command: attach to the engine, starting what is missing."""
    if home is not None:
        from desk.paths import HOME_VARIABLE

        os.environ[HOME_VARIABLE] = str(home)
    if context.invoked_subcommand is None:
        from desk.commands.attach import attach

        attach()


for name in PLAIN:
    stem = name.replace("-", "_")
    app.command(name, cls=SignedCommand)(getattr(import_module(f"desk.commands.{stem}"), stem))
for name in GROUPS:
    app.add_typer(import_module(f"desk.commands.{name}").app, name=name)


def main() -> None:
    """Run the command line and end with its exit code."""
    sys.excepthook = excepthook
    mend()
    try:
        sys.exit(app(standalone_mode=False) or Exit.OK)
    except TradedeckError as error:
        sys.exit(fail(error, _json()))
    except MISTYPED as error:
        sys.exit(_mistyped(error))
    except typer.Abort:
        sys.exit(Exit.ERROR)
    except KeyboardInterrupt:
        sys.exit(130)
    except OSError as error:
        if not (words := words_of(error)):
            raise
        sys.exit(_stopped(words, error))


def _json() -> bool:
    return "--json" in sys.argv[1:]


def _mistyped(error: Exception) -> int:
    """Show the option parser's own words, and for programs its sentence as JSON."""
    shown: Any = error
    if _json():
        write_json({"error": shown.format_message()})
    shown.show()
    return int(shown.exit_code)


def _stopped(words: str, error: OSError) -> Exit:
    """Say what the operating system refused; stdout may be what it was."""
    if error.filename is not None:
        return fail(TradedeckError(words), _json())
    say(f"tradedeck: {words}")
    with contextlib.suppress(OSError, ValueError):  # what is left in the buffer must not fail again
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return Exit.ERROR
