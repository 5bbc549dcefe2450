"""Whoever leaves is told what goes on behind him, as far as it is known."""

import time

from core.domain.identifiers import Asset
from core.domain.market import SentinelStatus
from core.state.state import State
from tests.tui.pictures import NOW, SECOND, StillFeed, moment
from tui.screens.risk import drawdown_lines
from tui.standing import leaving_lines, standing_of
from tui.widgets.header import first_line


class Lost(StillFeed):
    """A still feed whose link is lost."""

    @property
    def connected(self) -> bool:
        """Say that nobody is there."""
        return False


def test_a_sentinel_that_fell_silent_stands_in_the_header_with_why_none_starts() -> None:
    feed = moment()
    feed.state.guard.take(SentinelStatus(True, "", NOW - 2 * SECOND, "watches", "", NOW))
    assert standing_of(feed, True, NOW + 60 * SECOND, local=False).trouble == "", "the engine's clock counts, not ours"
    feed.state.guard.take(SentinelStatus(False, "", NOW - 9 * SECOND, "watches", "", NOW, "config.toml:3 [nonsense]"))
    assert standing_of(feed, True, NOW, local=False).trouble == (
        "NO SENTINEL: the sentinel has been silent for 9 s: nobody closes for a dead engine; none starts: "
        "config.toml:3 [nonsense]"
    )
    feed.state.guard.take(SentinelStatus(False, "", 0, "", "", NOW))
    assert standing_of(feed, True, NOW, local=False).trouble == "", "it ended in order, or nobody wants one"


def test_while_the_link_is_up_the_engine_keeps_running() -> None:
    lines = leaving_lines(moment(), NOW, local=False)
    assert lines == ("the engine keeps running", "1 open position and 3 open orders stay as they are")


def test_behind_a_lost_link_nothing_is_said_that_is_not_known() -> None:
    feed = Lost(moment().state)
    feed.connects, feed.heard_at = 1, time.monotonic() - 3600
    lines = leaving_lines(feed, NOW, local=False)
    assert lines[0].startswith("the link is lost, the engine was last heard at 13:3"), lines
    assert lines[0].endswith(" UTC")
    assert lines[1:] == (
        "it told of 1 open position and 3 open orders then",
        "whether an engine runs now this screen cannot tell",
        "then: tradedeck status says what runs, tradedeck starts an engine",
    )


def test_where_no_engine_ever_answered_no_figure_is_told() -> None:
    lines = leaving_lines(Lost(State(Asset("USDT"))), NOW, local=False)
    assert lines[:2] == ("no engine has answered since this screen was opened", "what is open is not known here")
    assert not any("keeps running" in line for line in lines)


def test_what_cannot_be_known_while_a_price_is_missing_is_not_told_as_a_figure() -> None:
    """Behind a restart: what is held has no price yet, so that its loss and its risk would be told as nothing."""
    feed = moment()
    state, now = feed.state, NOW
    known = standing_of(feed, False, now, False)
    assert None not in (known.day, known.drawdown, known.risk_frac, known.gross_frac)
    (position,) = (one for one in state.ledger.positions.values() if one.quantity)
    state.markets[position.instrument].mark = 0.0
    state.ledger.revalue()
    told = standing_of(feed, False, now, False)
    assert (told.day, told.day_frac, told.drawdown, told.risk_frac, told.gross_frac) == (None,) * 5
    assert "equity ~" in "".join(text for text, _ in first_line(told))
    assert "not known" in drawdown_lines(state, told.equity, 80)[0][0][0]
