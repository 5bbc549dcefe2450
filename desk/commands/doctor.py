"""``tradedeck doctor``: what is well and what is not."""

import typer

from desk.options import HomeOption, JsonOption


def doctor(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Look at the machine, the data directory and the roles, and say what to do about what is wrong."""
    from desk import output
    from desk.doctor import examine
    from desk.output import Exit
    from desk.paths import home_at

    findings = examine(home_at(home))
    if as_json:
        output.write_json(findings)
    else:
        for finding in findings:
            mark = {"ok": "  ok ", "note": "note ", "wrong": "WRONG"}[finding.verdict]
            output.write(f"{mark}  {finding.name}: {finding.detail}")
            if finding.advice:
                output.write(f"         → {finding.advice}")
    if any(finding.verdict == "wrong" for finding in findings):
        raise typer.Exit(Exit.ERROR)
