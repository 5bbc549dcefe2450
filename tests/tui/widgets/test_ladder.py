"""The ladder: rows by price, a cursor that stays, orders carried by hand."""

from tests.tui.harness import Harness, picture, screen_lines
from tui.widgets.depth import LadderView
from tui.widgets.ladder import Ladder


def _view(middle: float = 61800.3, *, own_far: bool = False, **options: object) -> LadderView:
    bids = [(round(middle - 0.1 - 0.2 * i, 2), 1.0 + i) for i in range(40)]
    asks = [(round(middle + 0.1 + 0.2 * i, 2), 2.0 + i) for i in range(40)]
    own = {round(middle + 0.5, 2): -0.1, round(middle - 0.5, 2): 0.08}
    own |= {round(middle + 5.7, 2): -0.1, round(middle - 4.3, 2): 0.1} if own_far else {}
    return LadderView(bids, asks, 0.2, own, **options)  # type: ignore[arg-type]


class Listener(Harness):
    """An app that notes what the ladder says."""

    def on_ladder_order_move(self, event: Ladder.OrderMove) -> None:
        """Note a carried order."""
        self.heard.append((event.sources, event.target))

    def on_ladder_refused(self, event: Ladder.Refused) -> None:
        """Note a refusal."""
        self.heard.append(event.words)


async def test_the_ladder_shows_book_own_orders_and_spread() -> None:
    ladder = Ladder("ladder  BTC-USDT.P")
    app = Listener(ladder)
    async with app.run_test(size=(46, 16)) as pilot:
        await pilot.pause()
        assert "no book yet" in picture(app)
        ladder.set_view(_view(), "BTC")
        await pilot.pause()
        lines = screen_lines(app)
        assert lines[0].endswith("─ 0.20 ─┐")
        spread = next(i for i, line in enumerate(lines) if "spread 0.20 · 0.03 bp" in line)
        assert spread == 8
        assert "61 800.40" in lines[spread - 1]
        assert "2.000" in lines[spread - 1]
        assert "›61 800.20" in lines[spread + 1]
        assert "-0.100" in lines[spread - 3]
        assert "+0.080" in lines[spread + 3]
        points = {line.index("61 ") for line in lines[2:15] if "61 8" in line or "61 7" in line}
        assert len(points) == 1


async def test_bars_are_in_proportion_to_size() -> None:
    ladder = Ladder()
    app = Listener(ladder)
    async with app.run_test(size=(60, 16)) as pilot:
        ladder.set_view(LadderView([(10.0, 4.0), (9.0, 2.0)], [(11.0, 1.0)], 1.0))
        await pilot.pause()
        lengths = [line.count("█") for line in screen_lines(app) if "█" in line]
        assert sorted(lengths, reverse=True)[:2] == [lengths[1], lengths[1] // 2]


async def test_a_moving_market_does_not_move_the_cursors_price() -> None:
    ladder = Ladder()
    app = Listener(ladder)
    async with app.run_test(size=(46, 20)) as pilot:
        ladder.set_view(_view(), "BTC")
        ladder.focus()
        await pilot.press("o", "down", "down", "down")
        price = ladder.cursor_price
        assert price == 61799.6
        await pilot.pause()
        line = next(i for i, text in enumerate(screen_lines(app)) if "›" in text)
        for drift in range(1, 60):
            ladder.set_view(_view(61800.3 + 0.2 * drift * (-1) ** drift), "BTC")
            assert ladder.cursor_price == price
            await pilot.pause()
            text = screen_lines(app)[line]
            assert "›" in text
            assert "61 799.60" in text


async def test_a_fixed_ladder_stands_still_under_the_cursor() -> None:
    ladder = Ladder()
    app = Listener(ladder)
    async with app.run_test(size=(46, 20)) as pilot:
        ladder.set_view(_view(), "BTC")
        ladder.focus()
        await pilot.press("o")
        await pilot.pause()
        before = [line.replace("›", " ") for line in screen_lines(app)[2:-1]]
        await pilot.press("j", "j")
        await pilot.pause()
        assert [line.replace("›", " ") for line in screen_lines(app)[2:-1]] == before


async def test_following_keeps_the_spread_in_the_middle() -> None:
    ladder = Ladder()
    app = Listener(ladder)
    async with app.run_test(size=(46, 20)) as pilot:
        for drift in range(0, 40, 7):
            ladder.set_view(_view(61800.3 + 0.2 * drift), "BTC")
            await pilot.pause()
            lines = screen_lines(app)
            assert "spread" in lines[2 + 17 // 2]
            assert any("›" in line for line in lines)


async def test_the_cursor_crosses_the_spread_without_stopping_on_it() -> None:
    ladder = Ladder()
    app = Listener(ladder)
    async with app.run_test(size=(46, 20)) as pilot:
        ladder.set_view(_view(), "BTC")
        ladder.focus()
        seen = []
        for key in ("k", "k", "j", "j", "j"):
            await pilot.press(key)
            seen.append(ladder.cursor_price)
        assert seen == [61800.4, 61800.6, 61800.4, 61800.2, 61800.0]
        await pilot.press("equals_sign")
        assert ladder.cursor_price == 61800.2


async def test_coarser_steps_gather_and_finer_ones_return() -> None:
    ladder = Ladder()
    app = Listener(ladder)
    async with app.run_test(size=(46, 20)) as pilot:
        ladder.set_view(_view(), "BTC")
        ladder.focus()
        await pilot.press("right_square_bracket", "right_square_bracket")
        await pilot.pause()
        assert screen_lines(app)[0].endswith("─ 1.00 ─┐")
        assert "61 801.00" in picture(app)
        assert "61 800.20" not in picture(app)
        await pilot.press("left_square_bracket", "left_square_bracket", "left_square_bracket")
        await pilot.pause()
        assert "61 800.20" in picture(app)


async def test_an_own_order_is_carried_to_another_price() -> None:
    ladder = Ladder()
    app = Listener(ladder)
    async with app.run_test(size=(46, 20)) as pilot:
        ladder.set_view(_view(), "BTC")
        ladder.focus()
        await pilot.press("m")
        await pilot.pause()
        assert app.heard == ["no order of yours stands at this price"]
        await pilot.press("j", "j", "m")
        assert ladder.carrying
        await pilot.press("j", "m")
        await pilot.pause()
        assert app.heard[1:] == [((61799.8,), 61799.6)]
        await pilot.press("k", "m")
        assert ladder.let_go()
        assert not ladder.let_go()


async def test_a_gathered_row_moves_the_orders_it_really_holds() -> None:
    ladder = Ladder()
    app = Listener(ladder)
    async with app.run_test(size=(46, 20)) as pilot:
        ladder.set_view(_view(), "BTC")
        ladder.focus()
        await pilot.press("right_square_bracket", "right_square_bracket")  # rows of 1.00: 61 799.80 is in 61 799.00
        ladder.place_cursor(61799.8)
        assert ladder.cursor_price == 61799.0
        assert ladder.own_prices == (61799.8,)
        await pilot.press("m", "j", "m")
        await pilot.pause()
        assert app.heard == [((61799.8,), 61798.0)]


async def test_another_instrument_starts_afresh() -> None:
    ladder = Ladder()
    app = Listener(ladder)
    async with app.run_test(size=(46, 20)) as pilot:
        ladder.set_view(_view(), "BTC")
        ladder.focus()
        await pilot.press("o", "j", "j", "j")
        ladder.set_view(LadderView([(10.0, 4.0)], [(11.0, 1.0)], 1.0), "ETH")
        assert ladder.cursor_price == 10.0
        assert ladder.following


async def test_old_and_broken_books_say_so() -> None:
    ladder = Ladder()
    app = Listener(ladder)
    async with app.run_test(size=(46, 20)) as pilot:
        ladder.set_view(_view(stale=True))
        assert any("stale" in style for line in ladder.lines[1:] for _, style in line)
        ladder.set_view(LadderView([(11.0, 4.0)], [(10.0, 1.0)], 1.0))
        await pilot.pause()
        assert "crossed" in picture(app)
        ladder.set_view(LadderView([(11.0, 4.0)], [], 1.0))
        await pilot.pause()
        assert "no asks" in picture(app)


async def test_a_key_goes_from_own_order_to_own_order_and_stays_there() -> None:
    ladder = Ladder("ladder")
    app = Listener(ladder)
    async with app.run_test(size=(46, 16)) as pilot:
        view = _view(own_far=True)
        ladder.set_view(view, "BTC")
        ladder.focus()
        await pilot.pause()
        assert "mine ↑1 ↓1 0.20" in screen_lines(app)[0]
        visited = []
        for _ in range(5):
            await pilot.press("n")
            visited.append(ladder.cursor_price)
        assert visited == [61799.8, 61796.0, 61806.0, 61800.8, 61799.8]
        assert not ladder.following
        assert ladder.own_prices == (61799.8,)
        await pilot.pause()
        assert "fixed" in screen_lines(app)[0]


async def test_without_an_own_order_the_key_says_so() -> None:
    ladder = Ladder("ladder")
    app = Listener(ladder)
    async with app.run_test(size=(46, 16)) as pilot:
        ladder.set_view(LadderView(((10.0, 1.0),), ((11.0, 1.0),), 1.0), "X")
        ladder.focus()
        await pilot.press("n")
        await pilot.pause()
        assert app.heard == ["no order of yours rests in this instrument"]
