"""``tradedeck schedule``: what is done by itself, and when."""

from typing import TYPE_CHECKING, Annotated

import typer

from desk.options import HomeOption, JsonOption

if TYPE_CHECKING:
    from pathlib import Path

    from desk.paths import Home
    from research.scheduler import Schedule

app = typer.Typer(
    help="Search studies anew, bring data in, compact ticks, look for drift: by itself, at set times (UTC).",
    no_args_is_help=True,
)
What = Annotated[
    str,
    typer.Argument(help="A study's name, refresh (data), compact (ticks) or drift (live strategies).", metavar="WHAT"),
]
When = Annotated[
    list[str], typer.Argument(help="mon 02:00, mon thu 02:00, daily 03:00, hourly, hourly :15; UTC.", metavar="WHEN")
]


@app.command()
def ls(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """List what is done by itself: when, when next, and how it went last."""
    from desk.output import write_json
    from desk.research.scheduling import listed, show

    _, schedule = _opened(home)
    found = listed(schedule)
    if as_json:
        write_json(found)
    else:
        show(found)


@app.command()
def add(what: What, when: When, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Have a study searched anew on the data there are then, or a chore done, at these times."""
    _change(home, what, " ".join(when), as_json, there=False)


@app.command()
def edit(what: What, when: When, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Change the times of a job."""
    _change(home, what, " ".join(when), as_json, there=True)


@app.command()
def rm(what: What, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Take a job off; what it began goes on."""
    _change(home, what, "off", as_json)


@app.command()
def pause(what: What, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Have a job wait until it is resumed."""
    _change(home, what, "pause", as_json)


@app.command()
def resume(what: What, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Have a paused job go on; what it missed meanwhile is not made up for."""
    _change(home, what, "resume", as_json)


@app.command()
def run(what: What, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Do a job now, scheduled or not."""
    _change(home, what, "now", as_json)


def _opened(home: "Path | None") -> "tuple[Home, Schedule]":
    from core.errors import ResearchError
    from desk.paths import home_at
    from desk.research.summoning import EXTRA, can_research

    if not can_research():
        raise ResearchError(EXTRA)
    from research.scheduler import Schedule

    place = home_at(home).create()
    return place, Schedule(place.schedule)


def _change(home: "Path | None", what: str, when: str, as_json: bool, *, there: bool | None = None) -> None:
    from desk.output import write, write_json
    from desk.research.scheduling import change, listed, require_there
    from desk.research.summoning import bring, waits

    place, schedule = _opened(home)
    require_there(place, schedule, what, there)
    said = change(place, schedule, what, when)
    started = waits(place) and bring(place)
    if as_json:
        write_json(listed(schedule))
    else:
        write(said)
        if started:
            write("researcher started")
