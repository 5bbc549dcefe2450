"""``tradedeck promote``: make a study's trial what its strategy runs by."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from desk.options import HomeOption, JsonOption, figure

if TYPE_CHECKING:
    from core.domain.studies import Config
    from desk.research.promoting import Offer


def promote(
    study: Annotated[str, typer.Argument(help="The study's name.", metavar="STUDY")],
    trial: Annotated[int | None, typer.Option("--trial", help="Its number.", show_default="the best")] = None,
    capital: Annotated[
        float | None,
        typer.Option(
            "--capital", help="Money for all its instruments.", parser=figure("--capital"), show_default="the study's"
        ),
    ] = None,
    despite_gates: Annotated[
        bool, typer.Option("--despite-gates", help="Also a trial that failed gates; a liquidated one never.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask; with --json nothing is promoted without it.")] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what a trial would change and how it passed the gates, ask, and make it its strategy's active config."""
    from msgspec.structs import replace

    from desk import output
    from desk.asking import agreed
    from desk.paths import home_at, name_for_workers
    from desk.research import configs, promoting

    place = home_at(home)
    name_for_workers(place)
    offer = promoting.offer(place, study, trial)
    if capital is not None:
        offer = replace(offer, candidate=offer.candidate.funded(capital))
    offer.candidate.allow(despite_gates=despite_gates)
    if yes or not as_json:
        promoting.refuse_same(offer.active, offer.candidate.config)
    if not as_json:
        _show(offer)
        failed = len(offer.candidate.failed)
        question = f"promote it although it FAILED {failed} gates?" if failed else "promote it?"
        if not yes and not agreed(question, word="promote" if failed else "y"):
            output.write("nothing was promoted")
            raise typer.Exit(output.Exit.REFUSED)
    kept = None
    if yes or not as_json:
        kept = promoting.promote(place, offer.candidate, offer.over, despite_gates=despite_gates)
    if as_json:
        output.write_json(_as_json(offer, kept))
    elif kept is not None:
        output.write(f"{kept.key} is active; {configs.when_adopted(place)}")


def _show(offer: "Offer") -> None:
    """Print what would change, and the gates."""
    from desk import output
    from desk.research import configs

    made = offer.candidate.config
    over = f"instead of v{offer.over}" if offer.over else "which runs by nothing yet"
    output.write(f"{made.strategy_id}, {over}, would run by trial {made.trial} of study {made.study}:\n")
    if offer.damage:
        output.say(f"damaged: {offer.damage}")
    configs.show_changes(offer.active, made, f"trial {made.trial}")
    output.write()
    gates = offer.candidate.report.gates
    rows = [("passed" if one.passed else "FAILED", one.name, one.value, one.bound) for one in gates]
    output.table(("", "gate", "figure", "needed"), rows, left=2)


def _as_json(offer: "Offer", kept: "Config | None") -> dict[str, Any]:
    from desk.research import configs

    made = offer.candidate.config
    changes = configs.changes(offer.active, made)
    return {
        "promoted": kept is not None,
        "over": offer.over,
        "config": configs.as_json(kept or made),
        "changes": [{"name": name, "before": before, "after": after} for name, before, after in changes],
        "gates": [
            {"name": one.name, "value": one.value, "bound": one.bound, "passed": one.passed}
            for one in offer.candidate.report.gates
        ],
    }
