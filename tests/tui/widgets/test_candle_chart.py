"""Candles stand where their prices are."""

import random
import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.format import clock, width_of
from tui.lines import Line, plain
from tui.widgets.candle_chart import ZOOM, Candle, Chart, FillMark, Mark, render_candles, round_step, visible_slots

MINUTE = 60_000_000_000
START = 1_763_700_000_000_000_000 // (15 * MINUTE) * 15 * MINUTE


def _time(ts_ns: int, pattern: str) -> str:
    return clock(ts_ns, pattern=pattern)


def _bars(count: int, seed: int = 3) -> list[Candle]:
    rng, price, bars = random.Random(seed), 61800.0, []
    for i in range(count):
        opened = price
        price *= 1 + rng.gauss(0, 0.0012)
        high, low = max(opened, price) * (1 + rng.random() * 5e-4), min(opened, price) * (1 - rng.random() * 5e-4)
        bars.append(Candle(START + i * 15 * MINUTE, opened, high, low, price, rng.expovariate(1)))
    return bars


def _text(lines: list[Line]) -> list[str]:
    return [plain(line) for line in lines]


def _chart(bars: list[Candle], **options: object) -> Chart:
    return Chart(bars, 15 * MINUTE, **options)  # type: ignore[arg-type]


@given(st.integers(0, 80), st.integers(0, 220), st.integers(0, 60), st.integers(0, len(ZOOM) - 1), st.integers(0, 90))
def test_a_chart_is_exactly_as_large_as_asked(count: int, width: int, height: int, zoom: int, back: int) -> None:
    lines = render_candles(_chart(_bars(count), zoom=zoom, back=back), width, height, _time)
    assert len(lines) <= height
    assert all(sum(width_of(text) for text, _ in line) <= width for line in lines)


def test_rising_and_falling_candles_differ_without_colour() -> None:
    bars = [Candle(START, 10, 20, 10, 20, 1), Candle(START + 15 * MINUTE, 20, 20, 10, 10, 1)]
    lines = render_candles(_chart(bars, zoom=3), 40, 12, _time)
    columns = ["".join(row[x] for row in _text(lines)[:10]) for x in (7, 8)]
    assert "█" in columns[0]
    assert "▒" not in columns[0]
    assert "▒" in columns[1]
    styles = {style for line in lines[:10] for text, style in line if "█" in text or "▒" in text}
    assert styles == {"gain", "loss"}


def test_bodies_and_wicks_stand_at_their_prices() -> None:
    bars = [Candle(START, 100, 200, 0, 150, 1)]
    text = _text(render_candles(_chart(bars, zoom=3), 40, 42, _time))
    x = text[14].index("█")
    column = "".join(row[x] for row in text[:38])
    body = [i for i, c in enumerate(column) if c in "█▀▄"]
    wick = [i for i, c in enumerate(column) if c in "│╵╷"]
    height = 38
    assert body[0] == pytest.approx(height * 0.26, abs=1.5)
    assert body[-1] == pytest.approx(height * 0.5, abs=1.5)
    assert wick[0] <= 2
    assert wick[-1] >= height - 3


def test_bars_without_trades_are_dots_and_missing_bars_are_marked() -> None:
    bars = _bars(12)
    bars[5] = Candle(bars[5].start_ns, 61800, 61800, 61800, 61800, 0, empty=True)
    del bars[8]
    text = _text(render_candles(_chart(bars, zoom=4), 60, 14, _time))
    assert sum(row.count("·") for row in text) == 1
    assert text[-2].count("×") == 1


def test_marks_fills_and_last_price_are_drawn_with_their_words() -> None:
    bars = _bars(30)
    last = bars[-1].close
    marks = (Mark(last * 1.001, "target ½", "target"), Mark(last * 0.999, "stop", "stop"))
    fills = (FillMark(bars[-3].start_ns, last, True),)
    text = "\n".join(_text(render_candles(_chart(bars, marks=marks, fills=fills, last=last), 90, 30, _time)))
    assert "target ½" in text
    assert " stop" in text
    assert "┄" in text
    assert "▲" in text
    assert f"{last:,.2f}".replace(",", " ") in text


def test_labels_of_one_line_stand_side_by_side() -> None:
    bars = _bars(30)
    last = bars[-1].close
    marks = (Mark(last, "alert ▲", "alert"), Mark(last, "buy 0.002", "order"))
    text = _text(render_candles(_chart(bars, marks=marks, last=last), 90, 30, _time))
    assert any(line.endswith(" buy 0.002 alert ▲") for line in text)


def test_a_far_mark_does_not_flatten_the_candles() -> None:
    bars = _bars(30)
    near = _text(render_candles(_chart(bars), 90, 30, _time))
    far = _text(render_candles(_chart(bars, marks=(Mark(1.0, "liq", "stop"),)), 90, 30, _time))
    assert sum(r.count("█") for r in far) > 0.8 * sum(r.count("█") for r in near)
    assert far[26 - 1].endswith("↓ liq 1.00")
    assert len(far) == 30


def test_axis_ticks_are_round_and_times_stand_under_their_bars() -> None:
    bars = _bars(40)
    text = _text(render_candles(_chart(bars), 98, 30, _time))
    labels = [row.split("┤")[0].strip() for row in text if "┤" in row]
    assert len(labels) >= 3
    assert all(label.replace(" ", "").endswith(("0", "5")) for label in labels)
    times = text[-1].split()
    assert len(times) >= 3
    assert all(t.endswith(":00") for t in times)


def test_zoom_and_scroll_choose_the_bars() -> None:
    bars = _bars(300)
    slots, step, cells = visible_slots(_chart(bars, zoom=ZOOM.index(1)), 80)
    assert (len(slots), cells, step) == (80, 1, 15 * MINUTE)
    assert slots[-1] == bars[-1]
    back, _, _ = visible_slots(_chart(bars, zoom=ZOOM.index(1), back=100), 80)
    assert back[-1] == bars[-101]
    merged, step, _ = visible_slots(_chart(bars, zoom=ZOOM.index(-4)), 60)
    assert step == 60 * MINUTE
    final = merged[-1]
    assert final is not None
    members = [bar for bar in bars if bar.start_ns // step == final.start_ns // step]
    assert (final.high, final.close) == (max(b.high for b in members), members[-1].close)
    assert final.volume == pytest.approx(sum(b.volume for b in members))


@pytest.mark.parametrize(
    ("span", "lines", "step"), [(10, 5, 2), (1000, 4, 250), (0.07, 7, 0.01), (9, 3, 5), (10, 10, 1)]
)
def test_steps_are_round(span: float, lines: int, step: float) -> None:
    assert round_step(span, lines) == pytest.approx(step)


def test_a_frame_costs_little() -> None:
    """About as much as making and sorting ten thousand texts, 2 ms here; how fast the machine is does not count."""
    chart = _chart(_bars(500), zoom=ZOOM.index(1), last=61800.0)

    def seconds(work: Callable[[], object]) -> float:
        started = time.process_time()
        work()
        return time.process_time() - started

    pairs = [
        (
            seconds(lambda: render_candles(chart, 200, 50, _time)),
            seconds(lambda: sorted(str(n * 7919 % 10007) for n in range(10_000))),
        )
        for _ in range(9)
    ]
    ours, theirs = (min(times) for times in zip(*pairs, strict=True))
    assert ours < 5 * theirs, f"{ours * 1000:.2f} ms against {theirs * 1000:.2f} ms"


def test_nothing_to_draw_is_said() -> None:
    assert "no bars yet" in "\n".join(_text(render_candles(_chart([]), 60, 20, _time)))
    assert "enlarge" in _text(render_candles(_chart(_bars(3)), 15, 20, _time))[0]
