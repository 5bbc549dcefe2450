"""``tradedeck configs``: what strategies run by, what they ran by before, and back to it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from desk.options import HomeOption, JsonOption

if TYPE_CHECKING:
    from core.domain.studies import Config

app = typer.Typer(help="What strategies run by: promoted configs and their history.", no_args_is_help=True)
Strategy = Annotated[str, typer.Argument(help="The strategy.", metavar="STRATEGY")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask; --json needs it.")]


@app.command()
def ls(
    strategy: Annotated[str, typer.Argument(help="Every version of this one.", metavar="STRATEGY")] = "",
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the newest config of each strategy, or every version of one."""
    from desk import output
    from desk.paths import home_at
    from desk.research import configs
    from store.configs import Found

    place = home_at(home)
    settings, found = configs.settings_of(place), Found()
    if configs.in_use(place, settings):
        with configs.opened(place, settings) as store:
            found = store.history(strategy) if strategy else store.newest()
    if as_json:
        output.write_json({"configs": [*map(configs.as_json, found.configs)], "damaged": list(found.damaged)})
    elif found.configs:
        configs.show_configs(list(found.configs))
    else:
        output.write(f"nothing was promoted{f' of {strategy}' if strategy else ''} yet; see: tradedeck promote --help")
    for words in found.damaged:
        output.say(f"damaged: {words}")


@app.command()
def show(
    strategy: Strategy,
    version: Annotated[int, typer.Option("--version", help="Which one.", show_default="the newest")] = 0,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one config whole: what the strategy runs by, its figures, and where it came from."""
    from desk import output
    from desk.research import configs

    found = _one(home, strategy, version)
    if as_json:
        output.write_json(configs.as_json(found))
    else:
        configs.show_config(found)


@app.command()
def diff(
    strategy: Strategy,
    version: Annotated[int, typer.Argument(help="The version to look at.", metavar="VERSION")],
    against: Annotated[int, typer.Option("--against", help="Compared with this one.", show_default="the newest")] = 0,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show in what a version differs from the newest one, or from another."""
    from desk import output
    from desk.research import configs

    before, after = _one(home, strategy, against), _one(home, strategy, version)
    if as_json:
        rows = configs.changes(before, after)
        output.write_json([{"name": name, "before": was, "after": now} for name, was, now in rows])
    else:
        configs.show_changes(before, after, after.key)


@app.command()
def rollback(
    strategy: Strategy,
    version: Annotated[int, typer.Argument(help="The version to run by again.", metavar="VERSION")],
    yes: Yes = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make an earlier version active again, as a new one, after showing what that changes."""
    from desk import output
    from desk.asking import agreed
    from desk.exits import who
    from desk.paths import home_at
    from desk.research import configs, promoting

    _no_question_in_json(yes, as_json)
    place = home_at(home)
    with promoting.existing(place) as store:
        earlier, over = store.version(strategy, version), store.active_version(strategy)
        if not yes:
            before = None if not over else _sound(store.history(strategy).configs, over)
            output.say(f"{strategy} runs by {f'v{over}' if over else 'nothing'} now")
            configs.show_changes(before, earlier, earlier.key)
            if not agreed(f"run by {earlier.key} again?"):
                output.write("nothing was changed")
                raise typer.Exit(output.Exit.REFUSED)
        kept = store.roll_back(strategy, version, over, who())
    if as_json:
        output.write_json(configs.as_json(kept))
    else:
        output.write(f"{kept.key} is active, as v{version} was; {configs.when_adopted(place)}")


@app.command()
def retire(strategy: Strategy, yes: Yes = False, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """End a strategy: what it holds is closed, and nothing takes its place until another config is promoted."""
    from desk import output
    from desk.asking import agreed
    from desk.exits import who
    from desk.paths import home_at
    from desk.research import configs, promoting

    _no_question_in_json(yes, as_json)
    place = home_at(home)
    with promoting.existing(place) as store:
        over = store.active_version(strategy)
        if over and not yes and not agreed(f"{strategy} runs by v{over}: end it, and close what it holds?"):
            output.write("nothing was changed")
            raise typer.Exit(output.Exit.REFUSED)
        kept = store.retire(strategy, over, who())
    if as_json:
        output.write_json(configs.as_json(kept))
    else:
        output.write(f"{strategy} is retired; {configs.when_ended(place)}")


def _no_question_in_json(yes: bool, as_json: bool) -> None:
    from desk.output import UsageFault

    if as_json and not yes:
        raise UsageFault("--json asks nothing: say --yes too, or leave --json away to be asked")


def _one(home: Path | None, strategy: str, version: int) -> "Config":
    """Return a version, by default the newest.

    Raises:
        PromotionRefused: there is none such.
        ConfigDamaged: it is not what was promoted.
    """
    from core.errors import ConfigDamaged, PromotionRefused
    from desk.paths import home_at
    from desk.research import promoting

    with promoting.existing(home_at(home)) as store:
        if version:
            return store.version(strategy, version)
        found = store.history(strategy)
    if found.damaged:
        raise ConfigDamaged(found.damaged[0])
    if not found.configs:
        raise PromotionRefused(f"nothing of {strategy} was promoted; see: tradedeck configs ls")
    return found.configs[0]


def _sound(configs: "tuple[Config, ...]", version: int) -> "Config | None":
    """Return a version where it is sound: a damaged one must be possible to leave."""
    return next((config for config in configs if config.version == version), None)
