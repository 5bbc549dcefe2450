"""The pictures of a report as Plotly's figures: plain data, drawn by the page.

A colour that begins with ``--`` is one of the page's own (``research/report/page.html``), light or dark.
"""

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.domain.identifiers import InstrumentId, symbol_of
from core.domain.studies import Plateau
from core.errors import InvalidInstrumentId
from research.validation.around import Slice
from research.validation.findings import Case, Stretch, Tried
from research.validation.history import RoundTrip

Array = NDArray[np.float64]
Figure = dict[str, Any]
"""``data`` and ``layout``, as Plotly has them."""
POINTS = 4000
"""Points of a line at most: of each stretch both extremes stay."""
MOST_MARKS = 4000
"""Trades on a price chart at most; the newest."""
_BINS = 50
_DIGITS = 7


def thinned(values: Array, most: int = POINTS) -> NDArray[np.int64]:
    """Return the places of the values that a line needs: first, last, and both extremes of each stretch between."""
    if values.size <= most:
        return np.arange(values.size)
    edges = np.linspace(0, values.size, most // 2 + 1).astype(int)
    kept = {0, values.size - 1}
    for start, end in pairwise(edges):
        part = values[start:end]
        kept |= {start + int(part.argmin()), start + int(part.argmax())}
    return np.array(sorted(kept))


def equity(case: Case) -> Figure:
    """Draw equity over drawdown, in-sample and then out-of-sample, which goes on from there."""
    inside, outside = case.inside, case.outside
    scale = (inside.curve.equity[-1] if inside.curve.equity.size else inside.curve.begin) / outside.curve.begin
    data = [
        *_stretch(inside, 1.0, "in-sample", "--ink"),
        *_stretch(outside, float(scale), "out-of-sample", "--accent"),
    ]
    shade = {
        "type": "rect", "xref": "x", "yref": "paper", "x0": _day(outside.span.start), "x1": _day(outside.span.stop),
        "y0": 0, "y1": 1, "fillcolor": "--shade", "line": {"width": 0}, "layer": "below",
    }  # fmt: skip
    layout = {
        "height": 520,
        "xaxis": {"type": "date", "anchor": "y2"},
        "yaxis": {"domain": [0.34, 1.0], "title": {"text": "equity"}},
        "yaxis2": {"domain": [0.0, 0.29], "title": {"text": "drawdown"}, "tickformat": ".0%", "rangemode": "tozero"},
        "shapes": [shade],
        "legend": {"orientation": "h", "x": 0, "y": 1.08},
        "hovermode": "x unified",
    }
    return {"data": data, "layout": layout}


def _stretch(stretch: Stretch, scale: float, name: str, colour: str) -> list[Figure]:
    curve = stretch.curve
    up, down = thinned(curve.equity), thinned(curve.falls())
    return [
        {
            "type": "scatter", "mode": "lines", "name": name, "x": _times(curve.ts[up]),
            "y": _rounded(scale * curve.equity[up]), "line": {"color": colour, "width": 1.6},
            "hovertemplate": "%{y:,.2f}",
        },
        {
            "type": "scatter", "mode": "lines", "name": f"drawdown {name}", "x": _times(curve.ts[down]),
            "y": _rounded(-curve.falls()[down]), "yaxis": "y2", "line": {"color": "--loss", "width": 1},
            "fill": "tozeroy", "fillcolor": "--loss-soft", "showlegend": False, "hovertemplate": "%{y:.2%}",
        },
    ]  # fmt: skip


def price(case: Case, instrument: InstrumentId) -> Figure:
    """Draw an instrument's closes with every entry and exit on them."""
    lines, trips = [], list[RoundTrip]()
    parts = [part for stretch in (case.inside, case.outside) for part in stretch.played]
    for part in (one for one in parts if one.instrument == instrument):
        close = part.market.close()
        kept = thinned(close)
        lines.append((_times(part.market.ts[kept]), _rounded(close[kept])))
        trips += part.round_trips()
    shown = trips[-MOST_MARKS:]
    x, y = _joined(lines)
    data: list[Figure] = [
        {
            "type": "scatter", "mode": "lines", "name": "close", "x": x, "y": y, "hoverinfo": "skip",
            "line": {"color": "--faint", "width": 1},
        }
    ]  # fmt: skip
    won, lost = [one for one in shown if one.profit > 0], [one for one in shown if one.profit <= 0]
    data += [_held(won, "won", "--gain"), _held(lost, "lost", "--loss")]
    for side, mark in (("long", "triangle-up"), ("short", "triangle-down")):
        data.append(_marks([one for one in shown if one.side == side], side, mark))
    layout = {
        "height": 460,
        "xaxis": {"type": "date"},
        "yaxis": {"title": {"text": short(instrument)}},
        "legend": {"orientation": "h", "x": 0, "y": 1.1},
    }
    return {"data": data, "layout": layout, "note": _note(len(trips), len(shown))}


def _note(count: int, shown: int) -> str:
    return f"the newest {shown} of {count} trades" if shown < count else f"{count} trades"


def _held(trips: Sequence[RoundTrip], name: str, colour: str) -> Figure:
    """Draw each trade as a line from its entry to its exit."""
    x = [at for one in trips for at in (_day(one.opened), _day(one.closed), None)]
    y = [price for one in trips for price in (_round(one.entry), _round(one.exit), None)]
    return {
        "type": "scatter", "mode": "lines", "name": name, "x": x, "y": y, "hoverinfo": "skip",
        "line": {"color": colour, "width": 2},
    }  # fmt: skip


def _marks(trips: Sequence[RoundTrip], side: str, mark: str) -> Figure:
    words = [
        f"{side} {one.quantity:.6g} @ {one.entry:.7g}<br>out {one.exit:.7g} by {one.reason}<br>"
        f"profit {one.profit:+,.2f}, fees {one.fees:.2f}, funding {one.funding:+.2f}"
        for one in trips
    ]
    return {
        "type": "scatter", "mode": "markers", "name": side, "x": [_day(one.opened) for one in trips],
        "y": [_round(one.entry) for one in trips], "text": words, "hovertemplate": "%{x}<br>%{text}<extra></extra>",
        "showlegend": False,
        "marker": {
            "symbol": mark, "size": 8, "line": {"width": 0},
            "color": ["--gain" if one.profit > 0 else "--loss" for one in trips],
        },
    }  # fmt: skip


def slices(found: Iterable[Slice], tried: Sequence[Tried], parameters: dict[str, Any]) -> list[Figure]:
    """Draw for each parameter what every trial came to, and the line through this one."""
    return [_slice(one, tried, parameters) for one in found]


def _slice(one: Slice, tried: Sequence[Tried], parameters: dict[str, Any]) -> Figure:
    scored = [trial for trial in tried if trial.score is not None and one.name in trial.parameters]
    own = parameters.get(one.name)
    at = next((score for value, score in zip(one.values, one.scores, strict=True) if value == own), None)
    data: list[Figure] = [
        {
            "type": "scatter", "mode": "markers", "name": "every trial",
            "x": [trial.parameters[one.name] for trial in scored], "y": [_round(trial.score) for trial in scored],
            "marker": {"color": "--faint", "size": 5, "opacity": 0.55},
            "text": [f"#{trial.number}" for trial in scored],
            "hovertemplate": "%{text}: %{y:.3f} at %{x}<extra></extra>",
        },
        {
            "type": "scatter", "mode": "lines+markers", "name": "around this one", "x": list(one.values),
            "y": [_round(score) for score in one.scores], "line": {"color": "--accent", "width": 2},
            "marker": {"size": 5, "color": "--accent"}, "hovertemplate": "%{y:.3f} at %{x}<extra></extra>",
        },
        {
            "type": "scatter", "mode": "markers", "name": "this one", "x": [own], "y": [_round(at)],
            "marker": {"symbol": "diamond", "size": 11, "color": "--ink", "line": {"width": 1.5, "color": "--paper"}},
            "hovertemplate": "%{y:.3f} at %{x}<extra></extra>",
        },
    ]  # fmt: skip
    layout = {
        "height": 250,
        "showlegend": False,
        "xaxis": {"title": {"text": one.name}},
        "yaxis": {"title": {"text": "score"}},
    }
    return {"data": data, "layout": layout}


def plateau(found: Plateau | None, parameters: dict[str, Any]) -> Figure | None:
    """Draw the score over two parameters as a map; blank is no score."""
    if found is None:
        return None
    xs, ys = [f"{x:g}" for x in found.xs], [f"{y:g}" for y in found.ys]
    data: list[Figure] = [
        {
            "type": "heatmap", "x": xs, "y": ys, "z": [[_round(score) for score in row] for row in found.scores],
            "colorscale": [[0, "--cold"], [0.5, "--middle"], [1, "--hot"]], "xgap": 2, "ygap": 2,
            "colorbar": {"title": {"text": "score"}, "thickness": 12, "outlinewidth": 0},
            "hovertemplate": f"{found.x} %{{x}}<br>{found.y} %{{y}}<br>score %{{z:.3f}}<extra></extra>",
        },
        {
            "type": "scatter", "mode": "markers", "x": [f"{float(parameters[found.x]):g}"],
            "y": [f"{float(parameters[found.y]):g}"], "hoverinfo": "skip",
            "marker": {"symbol": "diamond-open", "size": 15, "color": "--ink", "line": {"width": 2}},
        },
    ]  # fmt: skip
    layout = {
        "height": 380,
        "showlegend": False,
        "xaxis": {"title": {"text": found.x}, "type": "category"},
        "yaxis": {"title": {"text": found.y}, "type": "category"},
    }
    return {"data": data, "layout": layout}


def outcomes(trips: Sequence[RoundTrip]) -> Figure:
    """Draw how often a trade brought how much, as a fraction of what it was worth at its entry."""
    worth = np.array([one.profit / (one.entry * one.quantity) for one in trips if one.entry * one.quantity > 0.0])
    low, high = np.quantile(worth, [0.005, 0.995]) if worth.size else (0.0, 0.0)
    size = max(float(high - low) / _BINS, 1e-5)
    edges = size * np.arange(math.floor(low / size), math.ceil(high / size) + 2)  # one of them is 0
    counts = np.histogram(np.clip(worth, low, high), edges)[0]
    middles = edges[:-1] + size / 2
    data = [
        {
            "type": "bar", "x": _rounded(middles), "y": counts.tolist(), "width": size * 0.9,
            "marker": {"color": ["--gain" if middle > 0 else "--loss" for middle in middles]},
            "hovertemplate": "%{y} trades about %{x:.2%}<extra></extra>",
        }
    ]  # fmt: skip
    layout = {
        "height": 380,
        "showlegend": False,
        "xaxis": {"title": {"text": "profit of a trade, of its notional"}, "tickformat": ".1%"},
        "yaxis": {"title": {"text": "trades"}},
    }
    return {"data": data, "layout": layout}


# --- within -----------------------------------------------------------------------------------------------------------


def _joined(lines: Sequence[tuple[list[str], list[float]]]) -> tuple[list[Any], list[Any]]:
    """Set lines behind each other with a hole between."""
    x: list[Any] = []
    y: list[Any] = []
    for times, values in lines:
        x += [*([None] if x else []), *times]
        y += [*([None] if y else []), *values]
    return x, y


def _times(ts: NDArray[np.int64]) -> list[str]:
    return [str(one) for one in ts.astype("datetime64[ns]").astype("datetime64[s]")]


def _day(ts: int) -> str:
    return str(np.datetime64(ts, "ns").astype("datetime64[s]"))


def _round(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else float(f"{value:.{_DIGITS}g}")


def _rounded(values: Array) -> list[float]:
    return [float(f"{value:.{_DIGITS}g}") for value in values]


def short(instrument: InstrumentId) -> str:
    try:
        return symbol_of(instrument)
    except InvalidInstrumentId:
        return str(instrument)
