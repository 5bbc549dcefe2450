"""A trial's report as one page of HTML: figures, charts, gates and trades, with everything it needs inside it."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from string import Template
from typing import Any

import msgspec

from core.domain.identifiers import InstrumentId
from core.domain.message import Nanoseconds
from core.domain.studies import Gate
from research.report import charts
from research.validation.findings import Case
from research.validation.history import RoundTrip, months

_TEMPLATE = Path(__file__).with_name("page.html")
SHOWN_TRADES = 200
"""Trades in the page's table, the newest; the JSON beside it has all."""
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_NONE = "–"


def page(case: Case, made: Nanoseconds) -> str:
    """Return the whole page; nothing in it is fetched from anywhere."""
    from plotly.offline import get_plotlyjs

    report = case.report
    # A "<" inside a script could end it.
    figures = msgspec.json.encode(_figures(case)).decode().replace("<", "\\u003c")
    return Template(_TEMPLATE.read_text(encoding="utf-8")).substitute(
        title=escape(f"{report.strategy_id}: trial {report.trial.number} of {report.study}"),
        body="\n".join(_body(case, made)),
        figures=figures,
        plotly=get_plotlyjs(),
    )


def _figures(case: Case) -> dict[str, Any]:
    report = case.report
    trades = [*case.inside.round_trips(), *case.outside.round_trips()]
    found: dict[str, Any] = {"equity": charts.equity(case), "outcomes": charts.outcomes(trades)}
    found |= {f"price {one}": charts.price(case, one) for one in report.instruments}
    drawn = charts.slices(case.slices, case.tried, report.parameters)
    found |= {f"slice {number}": one for number, one in enumerate(drawn)}
    plateau = charts.plateau(report.plateau, report.parameters)
    return found | ({"plateau": plateau} if plateau is not None else {})


def _body(case: Case, made: Nanoseconds) -> Iterable[str]:
    yield from _head(case)
    yield _cards(case)
    yield "<h2>Equity <small>in-sample, then out-of-sample, scaled to go on from there</small>"
    yield '<button id="log" type="button">log scale</button></h2>'
    yield '<div data-figure="equity"></div>'
    yield f"<h2>Trades <small>▲ long, ▼ short, <span data-note></span></small>{_choice(case.report.instruments)}</h2>"
    yield '<div data-figure="price"></div>'
    yield _gates(case.report.gates)
    yield from _parameters(case)
    yield _by_month(case)
    yield _trades(case)
    yield _foot(case, made)


def _head(case: Case) -> Iterable[str]:
    report, trial = case.report, case.report.trial
    failed = trial.gates_total - trial.gates_passed
    words = f"{failed} of {trial.gates_total} gates failed" if failed else f"all {trial.gates_total} gates passed"
    instruments = ", ".join(map(_short, report.instruments))
    spans = f"{_day(case.inside.span.start)} – {_day(case.inside.span.stop)} in-sample, "
    spans += f"{_day(case.outside.span.start)} – {_day(case.outside.span.stop)} out-of-sample"
    of = f"{escape(report.strategy)}, " if report.strategy not in ("", report.strategy_id) else ""
    yield (
        f"<header><div><h1>{escape(report.strategy_id)}</h1>"
        f'<div class="quiet">{of}trial {trial.number} of {escape(report.study)} · {escape(instruments)} · '
        f"{escape(case.timeframe)} · {escape(report.margin_mode)} margin</div>"
        f'<div class="quiet">{spans} (UTC)</div></div>'
        f'<div><span class="badge {"bad" if failed else "ok"}">{words}</span> '
        '<button id="theme" type="button">light / dark</button></div></header>'
    )
    if trial.liquidated:
        where = f" in {escape(_short(trial.liquidated_in))}" if trial.liquidated_in else ""
        yield f'<div class="alarm">Liquidated on {_moment(trial.liquidated)} UTC{where}</div>'


def _cards(case: Case) -> str:
    trial, inside, outside = case.report.trial, case.inside.figures, case.outside.figures
    worst = ", worst wallet" if len(case.report.instruments) > 1 else ""  # theirs together fall less
    cards = (
        (_figure(trial.score), "score"),
        (_percent(inside.total_return), "return in-sample"),
        (_percent(outside.total_return), "return out-of-sample"),
        (_figure(trial.efficiency), "out-of-sample / in-sample, yearly, this window"),
        (_percent(inside.max_drawdown), f"drawdown in-sample{worst}"),
        (_percent(outside.max_drawdown), f"drawdown out-of-sample{worst}"),
        (_figure(trial.calmar), "Calmar"),
        (_figure(inside.sharpe_365), "Sharpe, yearly"),
        (_figure(trial.dsr), "deflated Sharpe"),
        (_figure(trial.pbo), "probability of overfitting"),
        (f"{trial.leverage:g} ×", "leverage"),
        (f"{inside.trades} + {outside.trades}", "trades, in + out"),
        (_percent(inside.win_rate), "of them won, in-sample"),
        (_figure(inside.profit_factor), "profit factor"),
        (_money(inside.fees), "fees in-sample"),
        (_money(inside.funding), "funding in-sample"),
    )
    made = (f'<div class="card"><b>{value}</b><span>{words}</span></div>' for value, words in cards)
    return f'<div class="cards">{"".join(made)}</div>'


def _choice(instruments: Sequence[InstrumentId]) -> str:
    options = "".join(f'<option value="{escape(one)}">{escape(_short(one))}</option>' for one in instruments)
    return f'<select id="instrument" aria-label="instrument">{options}</select>'


def _gates(gates: Sequence[Gate]) -> str:
    rows = "".join(
        f'<tr><td class="left {"ok" if one.passed else "bad"}">{"✓ passed" if one.passed else "✗ failed"}</td>'
        f'<td class="left">{escape(one.name)}</td><td>{escape(one.value)}</td><td>{escape(one.bound)}</td></tr>'
        for one in sorted(gates, key=lambda gate: gate.passed)
    )
    head = '<tr><th class="left"></th><th class="left">gate</th><th>figure</th><th>needed</th></tr>'
    return f'<h2>Gates before promotion</h2><div class="scroll"><table>{head}{rows}</table></div>'


def _parameters(case: Case) -> Iterable[str]:
    report = case.report
    cards = "".join(
        f'<div class="card"><b>{escape(_value(value))}</b><span>{escape(name)}</span></div>'
        for name, value in report.parameters.items()
    )
    yield "<h2>Parameters <small>in-sample score; the line moves one and leaves the others as they are</small></h2>"
    yield f'<div class="cards">{cards}</div>'
    yield '<div class="three">'
    yield from (f'<div data-figure="slice {number}"></div>' for number in range(len(case.slices)))
    yield "</div>"
    both = '<div data-figure="plateau"></div>' if report.plateau is not None else ""
    yield f'<div class="two">{both}<div data-figure="outcomes"></div></div>'


def _by_month(case: Case) -> str:
    """Return the table of months; a month that both spans share is both together."""
    earned, out = dict[str, float](), set[str]()
    for stretch, judged in ((case.inside, False), (case.outside, True)):
        for month, part in months(stretch.curve):
            earned[month] = (1.0 + earned.get(month, 0.0)) * (1.0 + part) - 1.0
            out |= {month} if judged else set()
    most = max((abs(value) for value in earned.values()), default=0.0) or 1.0
    rows = []
    for year in sorted({month[:4] for month in earned}):
        cells, whole = [], 1.0
        for number in range(1, 13):
            month = f"{year}-{number:02}"
            whole *= 1.0 + earned.get(month, 0.0)
            cells.append(_cell(earned.get(month), most, month in out))
        rows.append(f'<tr><th class="left">{year}</th>{"".join(cells)}{_cell(whole - 1.0, 0.0, False)}</tr>')
    head = "".join(f"<th>{name}</th>" for name in (*_MONTHS, "year"))
    return (
        "<h2>Months <small>underlined: out-of-sample</small></h2>"
        f'<div class="scroll"><table class="months"><tr><th></th>{head}</tr>{"".join(rows)}</table></div>'
    )


def _cell(value: float | None, most: float, judged: bool) -> str:
    if value is None:
        return "<td></td>"
    tone = "gain" if value >= 0.0 else "loss"
    shade = f' style="background: rgba(var(--{tone}-rgb), {0.08 + 0.42 * abs(value) / most:.2f})"' if most else ""
    return f"<td{' class=out' if judged else ''}{shade}>{100 * value:+.1f}</td>"


def _trades(case: Case) -> str:
    found = [(one, "out") for one in case.outside.round_trips()] + [(one, "in") for one in case.inside.round_trips()]
    found.sort(key=lambda one: one[0].opened, reverse=True)
    rows = "".join(_trade(one, name) for one, name in found[:SHOWN_TRADES])
    names = (
        "opened",
        "closed",
        "instrument",
        "side",
        "quantity",
        "entry",
        "exit",
        "by",
        "fees",
        "funding",
        "profit",
        "",
    )
    head = "".join(f"<th{' class=left' if at < 4 else ''}>{name}</th>" for at, name in enumerate(names))
    few = f"the newest {SHOWN_TRADES} of {len(found)}" if len(found) > SHOWN_TRADES else f"{len(found)}"
    return (
        f"<h2>Every trade <small>all of them with every digit: {escape(case.report.strategy_id)}.json</small></h2>"
        f'<details><summary>{few}</summary><div class="scroll"><table><tr>{head}</tr>{rows}</table></div></details>'
    )


def _trade(one: RoundTrip, sample: str) -> str:
    left = (_moment(one.opened), _moment(one.closed), _short(one.instrument), one.side)
    right = (
        f"{one.quantity:.6g}", f"{one.entry:.7g}", f"{one.exit:.7g}", one.reason, f"{one.fees:,.2f}",
        f"{one.funding:+,.2f}",
    )  # fmt: skip
    cells = "".join(f'<td class="left">{escape(text)}</td>' for text in left)
    cells += "".join(f"<td>{escape(text)}</td>" for text in right)
    cells += f'<td class="{"ok" if one.profit > 0 else "bad"}">{one.profit:+,.2f}</td><td class="quiet">{sample}</td>'
    return f"<tr>{cells}</tr>"


def _foot(case: Case, made: Nanoseconds) -> str:
    report = case.report
    ids = ", ".join(map(escape, report.instruments))
    return (
        f"<footer>{ids}<br>tradedeck {escape(report.code_version)} · made {_moment(made)} UTC · a back-test is no "
        "promise: fills at the next open with slippage and fees, liquidation by mark price</footer>"
    )


# --- words ------------------------------------------------------------------------------------------------------------


def _short(instrument: InstrumentId) -> str:
    return charts.short(instrument)


def _day(ts: Nanoseconds) -> str:
    return f"{datetime.fromtimestamp(ts / 1e9, UTC):%Y-%m-%d}"


def _moment(ts: Nanoseconds) -> str:
    return f"{datetime.fromtimestamp(ts / 1e9, UTC):%Y-%m-%d %H:%M}"


def _value(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _figure(value: float | None) -> str:
    return _NONE if value is None else f"{value:,.2f}"


def _percent(value: float | None) -> str:
    return _NONE if value is None else f"{100 * value:,.1f} %"


def _money(value: float) -> str:
    return f"{value:,.0f}".replace(",", "&#8239;")
