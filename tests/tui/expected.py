"""Every action of the table: how to come to where its key acts, and what the key must do.

A new action takes one line in `EXPECTED`: what its key sends, or what it changes on the screen. Actions of a new place
take one line in `PLACES` as well. `tests.tui.test_every_key` presses them all, `tests.tui.test_refusals` those that may
change a position.
"""

import operator
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any, cast

import msgspec
from textual.screen import Screen

from core.domain import alerts as a
from core.domain import commands as c
from core.domain.approval import TradingState
from core.domain.message import Command
from core.domain.order import Order, OrderType, Side
from core.session.client import Client
from tests.tui.engine import BTC, ETH
from tests.tui.hand import Hand, held, read
from tui import watchlists as w
from tui.actions import Action
from tui.confirm import Dialog, Question
from tui.finder import Finder
from tui.grid import Grid
from tui.listing import ListEditor
from tui.screens.deck import DECK
from tui.screens.help import HelpScreen
from tui.trading import ORIGIN
from tui.widgets.alerts import AlertGrid

# -- how to come to where a key acts ---------------------------------------------------------------------------

MINE = "mine"
Step = Callable[[Hand], Awaitable[None]]


def keys(*pressed: str) -> Step:
    """Press keys."""
    return lambda hand: hand.press(*pressed)


async def holding(hand: Hand) -> None:
    """Hold a position."""
    await hand.does(c.SubmitOrder(Order(BTC, Side.BUY, Decimal("0.05")), "test"))
    feed = hand.app.feed
    await hand.sees(lambda: held(hand) and any(item.quantity for item in feed.state.ledger.positions.values()))


async def resting(hand: Hand) -> None:
    """Have one order some rows below the market, which stands still, under the ladder's cursor and in every list."""
    trade = hand.app.trade
    market, tick = hand.house.state.markets[BTC], Decimal(repr(trade.ladder.step)) / 10
    price = market.instrument.quantise_price(Decimal(repr(market.bid)) - 4 * tick)
    await hand.does(c.SubmitOrder(Order(BTC, Side.BUY, Decimal("0.05"), OrderType.LIMIT, price), "test"))
    await hand.sees(lambda: len(hand.app.feed.state.blotter.open) == 1)
    await hand.sees(lambda: trade.orders.cursor in hand.app.feed.state.blotter.open)
    trade.ladder.place_cursor(float(price))
    await hand.sees(lambda: trade.ladder.own_prices)


async def halted(hand: Hand) -> None:
    """Stand halted, which raises an alert."""
    await hand.does(c.SetTradingState(TradingState.HALTED, "test", "", "anna", "test"))
    feed = hand.app.feed
    await hand.sees(lambda: feed.state.trading_state is TradingState.HALTED and feed.state.alerts.alerts)


async def controlled_elsewhere(hand: Hand) -> None:
    """Let another terminal hold control."""
    other = await Client.connect(hand.house.socket, "pts/9", terminal=True)
    hand.others.append(other)
    assert (await other.take_control()).ok
    await hand.sees(lambda: hand.app.feed.elsewhere)


async def staged(hand: Hand) -> None:
    """Arm, and fill in a ticket to buy at the market."""
    if not hand.app.arming.armed:
        await hand.press("A")
        await hand.sees(lambda: hand.app.arming.armed)
    await hand.press("b", *"0.05", "up", "space", "down")
    await hand.sees(lambda: hand.app.arming.armed and hand.app.trade.ticket.open)


def at(screen: str, pane: str) -> Step:
    """Give the step that shows a screen and focuses one of its panes."""

    async def there(hand: Hand) -> None:
        if screen != hand.app.here.NAME:
            hand.app.action_screen(screen)
            await hand.sees(lambda: hand.app.screen is hand.app.deck[screen])
        await hand.sees(lambda: hand.app.here.query(f"#{pane}"))
        found = hand.app.here.query_one(f"#{pane}")
        found.focus()
        await hand.sees(lambda: hand.app.focused is found)

    return there


async def row_chosen(hand: Hand) -> None:
    """Wait until the cursor of the focused list stands on a row."""
    await hand.sees(lambda: isinstance(hand.app.focused, Grid) and hand.app.focused.cursor is not None)


async def charted(hand: Hand) -> None:
    """Wait in the candles until there are enough of them to scroll."""
    await at("trade", "candles")(hand)
    await hand.sees(lambda: (chart := hand.app.trade.candles._chart) is not None and len(chart.bars) > 60)


async def listed(hand: Hand) -> None:
    """Have a watchlist of one's own with two instruments, and show it."""
    grid = hand.app.trade.watch_list
    for edit in (lambda now: w.create(now, MINE), lambda now: w.add(now, MINE, BTC), lambda now: w.add(now, MINE, ETH)):
        assert grid.lists.change(edit) == ""
    hand.app.trade.show_list(MINE)
    await hand.sees(lambda: [row.key for row in grid.rows] == [BTC, ETH])


async def in_finder(hand: Hand) -> None:
    """Open the finder over a watchlist of one's own."""
    await listed(hand)
    await hand.press("i")
    await hand.sees(lambda: isinstance(hand.app.screen, Finder) and hand.app.screen.grid.cursor is not None)


async def in_editor(hand: Hand) -> None:
    """Open the editor of watchlists on one of one's own."""
    await listed(hand)
    await at("trade", "watch")(hand)
    await hand.press("e")
    await hand.sees(lambda: isinstance(hand.app.screen, ListEditor) and hand.app.screen.grid.cursor is not None)


async def ruled(hand: Hand) -> None:
    """Have one price rule under the cursor of the rules."""
    rule = a.AlertRule(a.AlertKind.PRICE, BTC, True, Decimal(1_000_000), note="far")
    await hand.does(a.SetAlert(rule, "test"))
    await row_chosen(hand)


PLACES: dict[str, Step] = {
    "app": at("trade", "ladder"),
    "ladder": at("trade", "ladder"),
    "candles": charted,
    "grid": at("trade", "watch"),
    "journal": at("journal", "records"),
    "alerts": at("alerts", "alerts"),
    "ticket": keys("b"),
    "lists": at("trade", "watch"),
    "trade": at("trade", "ladder"),
    "rules": at("alerts", "rules"),
    "curve": at("risk", "curve"),
    "finder": in_finder,
    "editor": in_editor,
}
"""How to come to the panes of each scope."""


# -- what a key must do ----------------------------------------------------------------------------------------


Wanted = Command | Callable[[Command], bool]
"""The command that is sent, or what is to be true of it."""


class Expected(msgspec.Struct, frozen=True):
    """What pressing a key does: what is looked at afterwards, or what is sent.

    `before` leads there; `then` are keys after it and before the confirming one.
    """

    look: Callable[[Hand], object] | None = None
    holds: Callable[[Any, Any], bool] = operator.ne
    sends: Callable[[Hand], Wanted] | None = None
    before: tuple[Step, ...] = ()
    then: tuple[str, ...] = ()


def becomes(look: Callable[[Hand], object], value: object, *before: Step) -> Expected:
    """Expect that what is looked at was something else, and is this."""
    return Expected(look, lambda was, now: was != value and now == value, before=before)


def changes(look: Callable[[Hand], object], *before: Step, holds: Callable[[Any, Any], bool] = operator.ne) -> Expected:
    """Expect that what is looked at changes; `holds` is asked with the value before and the one after."""
    return Expected(look, holds, before=before)


def grows(look: Callable[[Hand], object], *before: Step) -> Expected:
    """Expect that a number grows."""
    return changes(look, *before, holds=operator.lt)


def shrinks(look: Callable[[Hand], object], *before: Step) -> Expected:
    """Expect that a number shrinks."""
    return changes(look, *before, holds=operator.gt)


def sends(command: Callable[[Hand], Wanted], *before: Step, then: tuple[str, ...] = ()) -> Expected:
    """Expect that exactly this command reaches the engine; it is worked out before the key is pressed."""
    return Expected(sends=command, before=before, then=then)


def title(hand: Hand) -> str:
    """Name the dialog that is open, or nothing."""
    screen: Screen[Any] = hand.app.screen
    if screen is hand.app.here:
        return ""
    framed = screen.query(Dialog)
    return str(framed.first().border_title) if framed else type(screen).__name__


def chosen(hand: Hand) -> int:
    """Give the place of the cursor in the list of an open dialog."""
    grid = hand.app.screen.query(Grid).first()
    return [row.key for row in grid.rows].index(grid.cursor or "")


def mine(hand: Hand) -> tuple[str, ...]:
    """Give the instruments of one's own watchlist."""
    return tuple(hand.app.trade.watch_list.lists.instruments(MINE) or ())


def how_many(hand: Hand) -> int:
    """Count the instruments of one's own watchlist."""
    return len(mine(hand))


def side(hand: Hand) -> Side | None:
    """Give the side of the open ticket."""
    return hand.app.trade.ticket.draft.side if hand.app.trade.ticket.open else None


def price(hand: Hand) -> float:
    """Give the price at the ladder's cursor."""
    return hand.app.trade.ladder.cursor_price or 0.0


def place(hand: Hand) -> int:
    """Give the place of the cursor in the watchlist."""
    grid = hand.app.trade.watch_list
    return [row.key for row in grid.rows].index(grid.cursor or "")


def focus(hand: Hand) -> str | None:
    """Name the focused pane."""
    return None if hand.app.focused is None else hand.app.focused.id


def only_order(hand: Hand) -> Order:
    """Give the one open order."""
    (record,) = hand.house.state.blotter.open.values()
    return record.order


def _moved(hand: Hand) -> Callable[[Command], bool]:
    id_ = only_order(hand).client_order_id
    return lambda sent: sent == c.AmendOrder(id_, price=Decimal(repr(price(hand))), origin=ORIGIN)


def _bought(hand: Hand) -> Callable[[Command], bool]:
    wanted = (BTC, Side.BUY, Decimal("0.05"), OrderType.MARKET)

    def fits(sent: Command) -> bool:
        order = cast("c.SubmitOrder", sent).order
        return (order.instrument, order.side, order.quantity, order.type) == wanted

    return fits


def _under_cursor(hand: Hand) -> a.Alert:
    number = hand.app.here.query_one("#alerts", AlertGrid).number
    assert number is not None
    return hand.house.state.alerts.alerts[number]


def _state(state: TradingState, reason: str, word: str = "") -> Callable[[Hand], Command]:
    return lambda _: c.SetTradingState(state, reason, word, "", ORIGIN)


def _journal(hand: Hand) -> Any:
    return hand.app.deck["journal"]


TO_POSITIONS = at("positions", "held")
EXPECTED: dict[str, Expected] = {
    **{f"screen.{kind.NAME}": becomes(lambda h: h.app.here.NAME, kind.NAME) for kind in DECK[1:]},
    "screen.trade": becomes(lambda h: h.app.here.NAME, "trade", keys("2")),
    "ticket.buy": becomes(side, Side.BUY),
    "ticket.sell": becomes(side, Side.SELL),
    "arm": becomes(lambda h: h.app.arming.armed, True),
    "flatten": sends(lambda _: c.Flatten(BTC, ORIGIN), holding),
    "cancel": sends(lambda h: c.CancelOrder(only_order(h).client_order_id, ORIGIN), resting),
    "halt": sends(_state(TradingState.HALTED, "halted by hand")),
    "find": becomes(title, "find an instrument"),
    "palette": becomes(title, "actions"),
    "help": becomes(title, HelpScreen.__name__),
    "cancel.instrument": sends(lambda _: c.CancelAll(BTC, ORIGIN), resting),
    "cancel.everything": sends(lambda _: c.CancelAll(None, ORIGIN), resting),
    "flatten.everything": sends(lambda _: c.Flatten(None, ORIGIN), holding),
    "resume": sends(_state(TradingState.ACTIVE, "resumed by hand", "RESUME"), halted),
    "zone": changes(lambda h: h.app.here.local_time),
    "zoom": becomes(lambda h: h.app.here.has_class("-zoom"), True),
    "copy": changes(lambda h: h.app.clipboard, keys("j")),
    "focus.next": becomes(focus, "candles"),
    "focus.previous": becomes(focus, "watch"),
    "leave": becomes(lambda h: h.app.return_value, 0),
    "back": becomes(side, None, keys("b")),
    "layout": becomes(title, "layout"),
    "keymap": becomes(lambda h: "there is one keymap" in read(h.app), True),
    "reload": becomes(lambda h: "no config.toml to read again" in read(h.app), True),
    "control": becomes(lambda h: h.app.feed.control is not None and h.app.feed.control.mine, True,
                       controlled_elsewhere),
    "ladder.up": grows(price),
    "ladder.down": shrinks(price),
    "ladder.page_up": grows(price),
    "ladder.page_down": shrinks(price),
    "ladder.centre": grows(price, keys("j", "j", "j")),
    "ladder.follow": changes(lambda h: h.app.trade.ladder.following),
    "ladder.finer": shrinks(lambda h: h.app.trade.ladder.step, keys("right_square_bracket")),
    "ladder.coarser": grows(lambda h: h.app.trade.ladder.step, keys("left_square_bracket")),
    "ladder.move": sends(_moved, resting, keys("A"), then=("j", "m")),
    "candles.in": grows(lambda h: h.app.trade.candles.zoom_level, keys("minus")),
    "candles.out": shrinks(lambda h: h.app.trade.candles.zoom_level, keys("plus")),
    "candles.back": grows(lambda h: h.app.trade.candles.back),
    "candles.forward": shrinks(lambda h: h.app.trade.candles.back, keys("comma")),
    "candles.interval": changes(lambda h: h.app.trade.interval),
    "grid.up": shrinks(place, keys("G")),
    "grid.down": grows(place, keys("g")),
    "grid.page_up": shrinks(place, keys("G")),
    "grid.page_down": grows(place, keys("g")),
    "grid.first": shrinks(place, keys("G")),
    "grid.last": grows(place, keys("g")),
    "grid.choose": becomes(lambda h: h.app.here.NAME, "trade", holding, TO_POSITIONS, row_chosen),
    "grid.sort": changes(lambda h: h.app.trade.watch_list._set.sort),
    "grid.filter": becomes(title, "show only rows with"),
    "journal.search": becomes(title, "show only records with"),
    "journal.older": grows(lambda h: len(_journal(h).records.rows), row_chosen),
    "ticket.send": sends(_bought, staged),
    "ticket.unit": changes(lambda h: h.app.trade.ticket.draft.unit),
    "alerts.acknowledge": sends(lambda h: a.AcknowledgeAlert(_under_cursor(h).number, ORIGIN), halted, row_chosen),
    "alerts.mute": sends(lambda h: a.MuteAlerts(_under_cursor(h).kind, 3_600_000_000_000, ORIGIN), halted, row_chosen),
    "depth": becomes(lambda h: type(h.app.screen).__name__, "DepthScreen"),
    "differences": becomes(lambda h: "our record and the venues' agree" in read(h.app), True),
    "curve.span": changes(lambda h: h.app.here.curve.hours),  # type: ignore[attr-defined]
    "alert.set": becomes(title, "price alert  BTC-USDT.P"),
    "ladder.own": becomes(lambda h: bool(h.app.trade.ladder.own_prices), True, resting, keys("j", "j")),
    "list.edit": becomes(title, "watchlists"),
    "rules.remove": sends(lambda h: a.RemoveAlert(h.app.here.rules.cursor or "", ORIGIN), ruled),  # type: ignore[attr-defined]
    "watch.next": changes(lambda h: h.app.trade.watch_list.list_name, listed),
    "watch.previous": changes(lambda h: h.app.trade.watch_list.list_name, listed),
    "finder.up": shrinks(chosen, keys("pagedown")),
    "finder.down": grows(chosen),
    "finder.page_up": shrinks(chosen, keys("pagedown")),
    "finder.page_down": grows(chosen),
    "finder.list": changes(how_many),
    "editor.add": becomes(title, f"add to {MINE}"),
    "editor.remove": shrinks(how_many),
    "editor.up": becomes(mine, (ETH, BTC), keys("G")),
    "editor.down": becomes(mine, (ETH, BTC)),
    "editor.rename": becomes(title, f"new name of {MINE}"),
    "editor.new": becomes(title, "name of the new watchlist"),
    "editor.delete": becomes(lambda h: MINE in h.app.trade.watch_list.lists.names, False),
    "editor.next": changes(lambda h: h.app.screen.name_shown),  # type: ignore[attr-defined]
    "editor.previous": changes(lambda h: h.app.screen.name_shown),  # type: ignore[attr-defined]
}  # fmt: skip
"""What each action of the table does, by its id."""


async def come_to(hand: Hand, action: Action) -> Expected:
    """Come to where an action's key acts, and count what is sent from there."""
    expected = EXPECTED[action.id]
    await hand.home()
    if action.scope != "ticket" or staged not in expected.before:
        await PLACES[action.scope](hand)
    for step in expected.before:
        await step(hand)
    hand.begin()
    return expected


async def confirm(hand: Hand, action: Action) -> None:
    """Answer the question of an action, once it stands there."""
    if not action.confirm:
        return
    await hand.sees(lambda: isinstance(hand.app.screen, Question) and hand.app.screen.focused is not None)
    await hand.press(*action.confirm, *(("enter",) if len(action.confirm) > 1 else ()))


ELSEWHERE = ("studies", "configs")
"""Places whose keys command a researcher and not the engine: tests.tui.test_studies presses them on one."""
