"""The tape shows the newest trade first, with its direction."""

from tests.tui.harness import Harness, screen_lines
from tui.widgets.tape import Print, Tape

SECOND = 1_000_000_000


async def test_the_newest_trade_stands_on_top() -> None:
    tape = Tape()
    app = Harness(tape)
    async with app.run_test(size=(50, 6)) as pilot:
        await pilot.pause()
        assert "no trades yet" in screen_lines(app)[1]
        start = 52_326 * SECOND
        prices = [61800.4, 61800.4, 61800.2, 61800.4]
        tape.set_prints([Print(start + i * SECOND, p, 0.1 * (i + 1), i != 2) for i, p in enumerate(prices)], 2, 3)
        await pilot.pause()
        lines = screen_lines(app)
        assert lines[1].startswith("│14:32:09  61 800.40 ▲  0.400  buy")
        assert lines[2].startswith("│14:32:08  61 800.20 ▼  0.300  sell")
        assert lines[3].startswith("│14:32:07  61 800.40    0.200  buy")


async def test_more_trades_than_lines_and_one_trade() -> None:
    tape = Tape()
    app = Harness(tape)
    async with app.run_test(size=(50, 6)) as pilot:
        tape.set_prints([Print(0, 1.5, 12.0, True)], 2, 3)
        await pilot.pause()
        assert "00:00:00  1.50   12.000  buy" in screen_lines(app)[1]
        tape.set_prints([Print(i * SECOND, 1.5 + i, 1.0, True) for i in range(100)], 2, 3)
        await pilot.pause()
        assert len(tape.lines) == 4
        assert "100.50 ▲" in screen_lines(app)[1]
