"""The header says in words where things stand."""

from msgspec.structs import replace

from tests.tui.harness import Harness, screen_lines
from tui.lines import Line, plain
from tui.widgets.header import Header, Hints, Standing, cut_line, first_line, second_line

GOOD = Standing(
    "paper", "ACTIVE", False, 100412.18, 412.18, 0.0041, 0.0012, 0.18, 0.2, 8, 8, 0.4, 0.004, None, "14:32:07 UTC",
    12.4, -1.02, 0.146, 2, "this terminal",
)  # fmt: skip


def styles(line: Line, words: str) -> str:
    """Give the style of the run that holds these words."""
    return next(style for text, style in line if words in text)


async def test_the_narrow_header_is_the_drawing() -> None:
    header = Header()
    header.styles.height = 2
    app = Harness(header)
    async with app.run_test(size=(80, 4)) as pilot:
        header.set_standing(GOOD)
        await pilot.pause()
        lines = screen_lines(app)
        assert lines[0].rstrip() == " PAPER ACTIVE  equity 100 412.18  day ▲+412.18 +0.41%  dd 0.12%  open risk 18.0%"
        assert lines[1].rstrip() == " disarmed  guardian ♥0.2s  feeds 8/8 oldest 0.4s  link 4ms  14:32:07 UTC"


def test_a_wide_header_says_more() -> None:
    assert plain(first_line(GOOD)).endswith("gross 14.6%   fees 12.40   funding -1.02")
    assert plain(second_line(GOOD)).endswith("14:32:07 UTC        control: this terminal   2 viewers")


def test_where_another_has_control_the_first_word_says_so() -> None:
    line = second_line(Standing(armed=True, control="terminal 1 (pts/0)", viewers=1, elsewhere=True))
    assert plain(line).startswith(" viewing ")
    assert plain(line).endswith("control: terminal 1 (pts/0)   1 viewer")
    assert styles(line, "viewing") == "warn"


def test_old_things_are_marked_and_states_stand_out() -> None:
    line = second_line(Standing(heartbeat=3.0, oldest=1.4, feeds_live=7, feeds=8))
    assert "~♥3.0s" in plain(line)
    assert "oldest ~1.4s" in plain(line)
    assert styles(line, "7/8") == "warn"
    assert styles(first_line(Standing("live", "HALTED")), "HALTED") == "halted"
    assert styles(first_line(Standing("live", "REDUCING")), "LIVE") == "live"
    assert styles(second_line(Standing(armed=True)), "ARMED") == "halted"


def test_a_lost_link_dims_the_money() -> None:
    lost = Standing("paper", "ACTIVE", equity=5.0, lost_for=3.2, trouble="no engine answers")
    assert "link LOST 3.2s, reconnecting" in plain(second_line(lost))
    assert "no engine answers" in plain(second_line(lost))
    assert "~5.00" in plain(first_line(lost))
    assert "stale" in styles(first_line(lost), "5.00")


def test_what_is_wrong_stands_before_the_ages_and_is_cut_and_never_left_out() -> None:
    held = Standing("paper", "ACTIVE", alerts=2, trouble="sentinel holds the lease: the engine is silent", link=0.004)
    narrow = plain(cut_line(second_line(held), 80))
    assert narrow.startswith(" disarmed  !2  sentinel holds the lease: the engine is silent ")
    long = Standing("paper", "ACTIVE", trouble="journal: " + "no space " * 20)
    assert len(plain(cut_line(second_line(long), 80))) == 80
    assert plain(cut_line(second_line(long), 80)).startswith(" disarmed  journal: no space")


def test_a_wide_header_tells_of_studies_that_run() -> None:
    assert plain(first_line(replace(GOOD, studies="1 running 31%"))).endswith("funding -1.02   studies 1 running 31%")


def test_a_line_is_cut_between_pairs() -> None:
    assert plain(cut_line(first_line(GOOD), 60)) == " PAPER ACTIVE  equity 100 412.18  day ▲+412.18 +0.41%"


async def test_hints_give_way_to_a_message_and_return() -> None:
    hints = Hints()
    app = Harness(hints)
    async with app.run_test(size=(30, 3)) as pilot:
        hints.set_hints((("b", "buy"), ("s", "sell"), ("A", "arm"), ("f", "flatten")))
        await pilot.pause()
        assert screen_lines(app)[0].rstrip() == " b buy  s sell  A arm"
        hints.say("order not sent", "warn")
        await pilot.pause()
        assert screen_lines(app)[0].rstrip() == " order not sent"
        hints._hush()
        await pilot.pause()
        assert screen_lines(app)[0].startswith(" b buy")
