"""Only the cells that changed are painted again."""

from hypothesis import given
from hypothesis import strategies as st
from textual.geometry import Region
from textual.widget import Widget

from tests.tui.harness import Harness, screen_lines
from tui.lines import Line, LineView, Pane, changed_spans, framed_title, plain

RUNS = st.lists(st.tuples(st.sampled_from(["a", "bb", "  ", "日", "61.5"]), st.sampled_from(["", "gain"])), max_size=6)


def _cells(line: Line, width: int) -> list[tuple[str, str]]:
    cells: list[tuple[str, str]] = []
    for text, style in line:
        for character in text:
            cells.append((character, style))
            if ord(character) > 0x2FFF:
                cells.append(("", style))
    return cells + [(" ", "none")] * (width - len(cells))


@given(RUNS, RUNS)
def test_every_changed_cell_lies_in_a_span(before: list[tuple[str, str]], after: list[tuple[str, str]]) -> None:
    old, new = _cells(tuple(before), 40), _cells(tuple(after), 40)
    spans = changed_spans(tuple(before), tuple(after))
    covered = {x for start, width in spans for x in range(start, start + width)}
    assert {x for x in range(40) if old[x] != new[x]} <= covered


def test_equal_lines_need_nothing() -> None:
    line = (("a", ""), ("b", "gain"))
    assert changed_spans(line, line) == []


def test_columns_of_one_width_are_compared_one_by_one() -> None:
    before = (("BTC ", ""), (" 61.50", "gain"), ("  ", ""), ("1.0", ""))
    after = (("BTC ", ""), (" 61.60", "gain"), ("  ", ""), ("1.1", ""))
    assert changed_spans(before, after) == [(4, 6), (12, 3)]


class Spy(LineView):
    """A line view that remembers which regions it repainted."""

    def __init__(self) -> None:
        super().__init__()
        self.regions: list[Region] = []

    def refresh(self, *regions: Region, repaint: bool = True, layout: bool = False, recompose: bool = False) -> "Spy":
        """Remember and repaint."""
        self.regions += regions
        Widget.refresh(self, *regions, repaint=repaint, layout=layout, recompose=recompose)
        return self


async def test_one_changed_cell_repaints_one_cell() -> None:
    view = Spy()
    app = Harness(view)
    async with app.run_test(size=(40, 5)) as pilot:
        view.show([(("one ", ""), ("1", "gain")), (("two ", ""), ("2", ""))])
        await pilot.pause()
        view.regions.clear()
        assert view.show([(("one ", ""), ("1", "gain")), (("two ", ""), ("3", ""))]) == 1
        assert view.regions == [Region(4, 1, 1, 1)]
        await pilot.pause()
        assert screen_lines(app)[1].startswith("two 3")
        assert view.show(list(view.lines)) == 0


async def test_a_vanished_line_is_cleared_from_the_screen() -> None:
    view = LineView()
    app = Harness(view)
    async with app.run_test(size=(40, 5)) as pilot:
        view.show([(("one", ""),), (("two", ""),)])
        await pilot.pause()
        view.show([(("one", ""),)])
        await pilot.pause()
        assert screen_lines(app)[1].strip() == ""
        assert view.text == "one"


async def test_a_class_paints_the_colour_of_the_style_sheet() -> None:
    view = LineView()
    app = Harness(view)
    async with app.run_test(size=(40, 5)) as pilot:
        view.show([(("up", "gain"), ("down", "loss"))])
        await pilot.pause()
        up, down = list(view.render_line(0))[:2]
        assert up.style is not None
        assert down.style is not None
        assert up.style.color != down.style.color


async def test_a_theme_change_repaints_in_its_colours() -> None:
    view = LineView()
    app = Harness(view)
    async with app.run_test(size=(40, 5)) as pilot:
        view.show([(("up", "gain"),)])
        await pilot.pause()
        dark = next(iter(view.render_line(0))).style
        app.theme = "tradedeck-light"
        await pilot.pause()
        assert next(iter(view.render_line(0))).style != dark


def test_a_title_fills_its_border() -> None:
    title = framed_title("watch", "i find", 34)
    assert title.startswith("[b]watch[/b] ─")
    assert title.endswith("─ i find")
    assert len(title) - len("[b][/b]") == 28
    assert framed_title("a title that is far too long", "corner", 20) == "[b]a title that is far too long[/b]"
    assert framed_title("x", "", 6) == ""


def test_a_corner_that_does_not_fit_is_cut_behind_a_word() -> None:
    corner = "HALTED: the feed is silent for 12.5 s"
    for width in range(30, 60):
        shown = framed_title("limits", corner, width)
        assert len(shown) - len("[b][/b]") == width - 6
        words = shown.partition("─ ")[2]
        assert words == corner or (words.endswith(" …") and corner.startswith(words[:-2] + " ")), words
    assert framed_title("limits", corner, len(corner) + 15).endswith("─ " + corner)
    assert framed_title("limits", corner, len(corner) + 14).endswith("─ HALTED: the feed is silent for …")
    assert framed_title("limits", corner, 20) == "[b]limits[/b]", "too little is left to say anything"
    assert framed_title("positions", "f flatten", 25) == "[b]positions[/b]"


async def test_a_pane_shows_title_and_corner() -> None:
    pane = Pane("ladder [x]", "0.20")
    app = Harness(pane)
    async with app.run_test(size=(40, 5)) as pilot:
        await pilot.pause()
        top = screen_lines(app)[0]
        assert top.startswith("┌─ ladder [x] ─")
        assert top.endswith("─ 0.20 ─┐")
        pane.set_title("tape", "")
        await pilot.pause()
        assert screen_lines(app)[0].startswith("┌─ tape ─")
    assert plain((("a", ""), ("b", ""))) == "ab"
