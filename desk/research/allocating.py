"""What ``tradedeck portfolio`` is told: items by their names, what is held; and how it answers."""

from typing import Any

import msgspec

from core.domain.numbers import cited, plain_decimal
from core.errors import ResearchError
from desk.output import UsageFault, table, write, write_json
from desk.paths import Home
from desk.research.studying import folder_of
from research.allocate import Allocation, Item, of_series, of_study
from store.candles import CandleStore, series_named


def item_of(home: Home, text: str) -> Item:
    """Return a series that is kept, or a study's trial: the best, or the one behind a colon.

    Raises:
        ResearchError: there is neither, or no such trial.
        UsageFault: what stands behind the colon is no number.
    """
    store = CandleStore(home.data)
    name = series_named(text)
    if name is not None and name in store.names():
        return of_series(store.read(name))
    from research.validation.findings import Findings

    study, _, trial = text.partition(":")
    if trial and not (trial.isascii() and trial.isdigit()):
        raise UsageFault(f'"{cited(text)}": expected STUDY:TRIAL with the trial\'s number')
    if not (home.root / "studies" / study / "study.toml").exists():
        raise ResearchError(f"no study and no series {text}; see: tradedeck study ls, tradedeck data ls")
    findings = Findings(folder_of(home, study))
    made = of_study(findings.case(int(trial) if trial else findings.trials(1).trials[0].number))
    return msgspec.structs.replace(made, name=text)


def held_of(texts: list[str]) -> dict[str, float]:
    """Return what is held, from ITEM=FRACTION.

    Raises:
        UsageFault: it is no such text, or an item stands twice.
    """
    found = dict[str, float]()
    for text in texts:
        name, equals, value = text.rpartition("=")
        number = plain_decimal(value)
        if not equals or not name or number is None:
            raise UsageFault(f'--held must be ITEM=FRACTION, such as ema=0.4 (got "{cited(text)}")')
        if name in found:
            raise UsageFault(f"--held names {name} twice")
        found[name] = float(number)
    return found


def show(found: Allocation, capital: float | None, *, as_json: bool) -> None:
    """Print how capital is spread."""
    if as_json:
        write_json({**msgspec.structs.asdict(found), "shares": [_plain(one, capital) for one in found.shares]})
        return
    rows = [
        (
            one.name,
            _percent(one.weight),
            _percent(one.held),
            f"{100 * (one.weight - one.held):+.1f} %",
            _percent(one.risk_share),
            _percent(one.volatility),
            *([] if one.expected is None else [_percent(one.expected)]),
            *([] if capital is None else [_money(capital * one.weight)]),
        )
        for one in found.shares
    ]
    header = ["item", "weight", "held", "trade", "of the risk", "volatility"]
    header += ["expected"] if found.shares[0].expected is not None else []
    header += ["capital"] if capital is not None else []
    table(header, rows)
    money = "" if capital is None else f", {_money(found.cost * capital)}"
    write(
        f"{found.method} over {found.days} days: volatility {_percent(found.volatility)} a year, turnover "
        f"{_percent(found.turnover)}, which costs {100 * found.cost:.3f} %{money}"
    )


def _plain(share: Any, capital: float | None) -> dict[str, Any]:
    made: dict[str, Any] = msgspec.structs.asdict(share)
    return made if capital is None else {**made, "capital": capital * share.weight}


def _money(value: float) -> str:
    return f"{value:,.2f}".replace(",", " ")


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %"
