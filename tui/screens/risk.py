"""The risk screen: every limit with its use, how far below its peak the account stands, and what protects it."""

import contextlib
import time
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.containers import Horizontal

from core.domain.identifiers import InstrumentId, symbol_of
from core.domain.market import SentinelStatus
from core.domain.order import OrderRecord
from core.domain.position import Position
from core.domain.risk import RiskView
from core.errors import ClientError
from core.session.frames import AskEquity, AskRisk
from core.session.protocol import LimitView
from core.state.exiting import missing_sentinel
from core.state.markets import Market
from core.state.state import State
from tui import views
from tui.feed import ACCOUNT, ORDERS, Dirty, Feed
from tui.format import age, arrow, clock, fit, gain_class, number, percent, signed, width_of
from tui.grid import Cell, Column, Grid, Row
from tui.lines import Line, Pane, Run
from tui.screens.base import DeckScreen
from tui.widgets.bar import bar
from tui.widgets.book_risk import STRESS_COLUMNS, VarPane, stress_rows
from tui.widgets.curve import CurvePane

CURVE_S = 20.0
"""How often the curve is asked for: it gains a point a minute."""
BAR = 18
REASON = 24
"""The cells that the reason of a halt is given beside the names of looser limits; else these are counted."""
RISK_S = 5.0
"""How often the engine is asked what the whole book risks, while this screen is shown."""
NEAR, FULL = 0.8, 1.0
LIMIT_COLUMNS = (
    Column("limit", "limit", 20, best=24),
    Column("bar", "use", BAR),
    Column("used", "used", 6, align="right"),
    Column("now", "now", 11, best=14, align="right"),
    Column("bound", "bound", 11, best=14, align="right"),
    Column("act", "act", 9, best=10, drop=1),
    Column("setting", "set in", 20, best=44, drop=2),
)
PROTECTION_COLUMNS = (
    Column("instrument", "instrument", 10, best=14),
    Column("quantity", "quantity", 9, best=12, align="decimal"),
    Column("stop", "stop", 9, best=12, align="decimal"),
    Column("covered", "covered", 7, align="right"),
    Column("where", "rests at", 8, best=14, drop=2),
    Column("loss", "loss at stop", 12, best=14, align="right"),
    Column("equity", "% equity", 8, align="right", drop=1),
)


def limit_row(limit: LimitView) -> Row:
    """Build the row of one limit."""
    used = limit.used
    style = "bad" if (used or 0.0) >= FULL else "warn" if (used or 0.0) >= NEAR else ""
    return Row(
        limit.name,
        (
            limit.name.replace("_", " "),
            Cell(bar(used, BAR), style or "dim", used),
            Cell(percent(used, 0), style, used),
            Cell(limit.value, style),
            limit.bound,
            limit.act,
            Cell(limit.setting, "dim"),
        ),
    )


def protection_row(state: State, position: Position, market: Market) -> Row:
    """Build the row that says what protects one position."""
    instrument = market.instrument
    stops, _ = views.protective(state, instrument.id)
    held = abs(position.quantity)
    covered = min(1.0, float(sum(quantity for _, quantity in stops) / held))
    risk = views.risk_of(state, position, market)
    waits = [record for record in state.blotter.of(instrument.id) if record.order.reduce_only]
    engine = any(record.status.value == "APPROVED" for record in waits)
    return Row(
        instrument.id,
        (
            symbol_of(instrument.id),
            signed(position.quantity, instrument.size_precision),
            Cell(number(stops[0][0], instrument.price_precision) if stops else "none", "stop" if stops else "warn"),
            Cell(percent(covered, 0), "ok" if covered >= 1 else "warn", covered),
            "–" if not stops else "engine" if engine else "venue",
            Cell(number(-risk), "loss" if risk else "", -risk),
            percent(risk / state.equity if state.equity > 0 else None, 1),
        ),
    )


def trading_words(state: State, room: int) -> str:
    """Say in ``room`` cells what trading is, which limits are looser than they were, and then why it is so.

    The reason is as long as whoever gave it wrote it, so it stands last. Where the limits leave it no room they are
    told by their number; `tradedeck status` has them all.
    """
    held_back, loosened = len(state.limits.held_back), state.limits.words()
    head = state.trading_state.value
    head += f"  {held_back} held back (tradedeck loosen)" if held_back else ""  # the alert tells which
    reason = f": {state.state_reason}" if state.state_reason else ""
    if loosened:
        named = f"{head}  LOOSENED {', '.join(loosened)}"
        head = named if width_of(named) + min(width_of(reason), REASON) <= room else f"{head}  LOOSENED {len(loosened)}"
    return fit(head + reason, room).rstrip()


def sentinel_words(status: SentinelStatus | None, now: int, room: int = 200) -> str:
    """Say in ``room`` cells how the sentinel stands, and what the last drill measured; ``now`` in ns, UTC.

    Where there is no room for all of it the drill is told with fewer words, then without its second time.
    """
    if status is None:
        return "no sentinel"
    seconds = max(now - status.seen, 0) / 1e9 if status.seen else None
    silent = bool(missing_sentinel(status, status.ts))
    heart = "no sentinel" if seconds is None else f"{'NO SENTINEL' if silent else 'sentinel'} ♥{age(seconds)}"
    how = "" if status.armed or seconds is None else " not armed"
    if status.holds:
        how = f" HOLDS THE LEASE: {status.holds}"
    short = status.drill.replace("breach → flat", "flat").replace("dead → flat", "dead")
    for drill in filter(None, (status.drill, short, short.partition(",")[0])):
        words = f"{heart}{how}  {drill}"
        if width_of(words) <= room:
            return words
    return fit(heart + how, room).rstrip()


def drawdown_lines(state: State, equity: float | None, width: int) -> list[Line]:
    """Say where the account stands between its peak and nothing, and what today brought."""
    if equity is None or width <= 0:
        return [((" nothing is known yet", "dim"),)]
    if state.capital.unpriced(state.ledger.unvalued):
        return [((" not everything has a price: day and drawdown are not known", "dim"),)]
    peak, start = max(float(state.peak), equity), float(state.day_start)
    down, day = 1 - equity / peak if peak > 0 else 0.0, equity - start if start else None
    runs: list[Run] = [
        (" peak ", "dim"), (number(peak), ""), ("   now ", "dim"), (number(equity), "strong"),
        ("   drawdown ", "dim"), (percent(down), "warn" if down >= 0.05 else ""),
    ]  # fmt: skip
    today: list[Run] = [
        (" day start ", "dim"), (number(start) if start else "–", ""), ("   today ", "dim"),
        (f"{arrow(day)} {signed(day)}" if day is not None else "–", gain_class(day)),
        ("   since ", "dim"), (clock(state.day_started, pattern="%d %b %H:%M UTC") if state.day_started else "–", ""),
    ]  # fmt: skip
    return [tuple(runs), _scale(down, width), _marks(width), tuple(today)]


def ladder_line(state: State, limits: Sequence[LimitView]) -> Line:
    """Say the configured steps of the drawdown ladder, and which one is in force."""
    steps = [limit for limit in limits if limit.name.startswith(STEP)]
    watched = state.watched
    runs: list[Run] = [(" steps ", "dim")]
    for place, step in enumerate(steps, 1):
        style = "bad" if place == watched.step else ""
        runs += [(f"{step.bound} {step.act}", style), ("  ", "dim")]
    if not steps:
        runs.append(("none ", "dim"))
    if watched.step:
        runs.append((f" in force: {watched.step}, at most {number(watched.most)} held", "bad"))
    else:
        runs.append((" none in force", "dim"))
    return tuple(runs)


STEP = "drawdown_"
"""How the names of the ladder's steps begin among the limits."""
SCALE = 0.20
"""The drawdown at the right end of the scale."""


def _scale(down: float, width: int) -> Line:
    room = max(10, width - 4)
    place = min(room - 1, round(down / SCALE * (room - 1)))
    cells = ["─"] * room
    for share in (0.05, 0.10, 0.15):
        cells[round(share / SCALE * (room - 1))] = "┼"
    return (
        ("  ├" + "".join(cells[:place]), "axis"), ("●", "strong"), ("".join(cells[place + 1 :]) + "┤", "axis"),
    )  # fmt: skip


def _marks(width: int) -> Line:
    room = max(10, width - 4)
    cells = [" "] * (room + 4)
    for share in (0.0, 0.05, 0.10, 0.15, 0.20):
        text = f"{share:.0%}"
        at = min(len(cells) - len(text), 3 + round(share / SCALE * (room - 1)))
        cells[at : at + len(text)] = text
    return (("".join(cells), "dim"),)


class RiskScreen(DeckScreen):
    """Show how much of every limit is used and what protects the account."""

    CSS_PATH = "risk.tcss"
    AUTO_FOCUS = "#limits"
    NAME = "risk"
    TAB_ORDER = ("limits", "protection", "curve", "var", "stress")
    SCOPES: ClassVar[Mapping[str, str]] = {"curve": "curve"}

    def __init__(self, feed: Feed, **options: Any) -> None:
        super().__init__(feed, **options)
        self._asked_at = -CURVE_S
        self.risk: RiskView | None = None
        self._risk_at = 0.0
        self._asking = False

    def body(self) -> ComposeResult:
        """Place the limits above what they protect."""
        self.limits = Grid(LIMIT_COLUMNS, "limits", "", empty="the engine has not told its limits yet", id="limits")
        self.drawdown = Pane("drawdown", "", id="drawdown")
        self.protection = Grid(PROTECTION_COLUMNS, "protection", "{flatten} flatten", empty="flat: nothing to protect",
                               id="protection")  # fmt: skip
        self.curve = CurvePane(id="curve", classes="-wide-only")
        with Horizontal(id="above"):
            yield self.limits
            yield self.curve
        yield self.drawdown
        yield self.protection
        self.var = VarPane("value at risk, one day", "", id="var", classes="-wide-only")
        self.stress = Grid(STRESS_COLUMNS, "stress", "what would be lost", empty="nothing is known yet", id="stress",
                           classes="-wide-only")  # fmt: skip
        with Horizontal(id="book"):
            yield self.var
            yield self.stress

    def ask_risk(self) -> None:
        """Ask what the whole book risks."""
        self._risk_at = time.monotonic()
        if not self._asking:
            self._asking = True
            _ = self.run_worker(self._ask_risk, group="risk")

    async def _ask_risk(self) -> None:
        try:
            self.risk = await self.feed.ask_risk(AskRisk())
            self._draw_risk("")
        except ClientError as error:
            self._draw_risk(str(error))
        finally:
            self._asking = False

    def _draw_risk(self, trouble: str) -> None:
        self.var.set_risk(self.risk, trouble)
        self.stress.set_rows(stress_rows(self.risk.scenarios if self.risk is not None else ()))

    @property
    def instrument(self) -> InstrumentId | None:
        """The instrument under the cursor of the protected positions."""
        key = self.protection.cursor
        return None if key is None else InstrumentId(key)

    def chosen_orders(self) -> Sequence[OrderRecord]:
        """List the open orders of the chosen instrument."""
        return [] if self.instrument is None else self.feed.state.blotter.of(self.instrument)

    def ask(self) -> None:
        """Ask what the account was worth over time."""
        self._asked_at = time.monotonic()
        _ = self.run_worker(self._ask_curve, group="curve", exclusive=True)

    async def _ask_curve(self) -> None:
        hours = self.curve.hours
        with contextlib.suppress(ClientError):
            points = await self.feed.ask_equity(AskEquity(hours))
            if hours == self.curve.hours:
                self.curve.set_points(points, hours=hours, local=self.local_time)

    def on_curve_pane_span(self) -> None:
        """Ask for the other span."""
        self.ask()

    def draw(self, dirty: Dirty, now: int, slow: bool) -> None:
        """Draw what changed; ask for the curve from time to time."""
        if time.monotonic() - self._asked_at >= CURVE_S:
            self.ask()
        if not (slow or dirty.topics & {ORDERS, ACCOUNT}):
            return
        state, feed = self.feed.state, self.feed
        if slow and time.monotonic() - self._risk_at >= RISK_S:
            self.ask_risk()
        if dirty.everything:
            self._draw_risk("")
        self.limits.set_rows(limit_row(limit) for limit in feed.limits)
        self.limits.set_title("limits", trading_words(state, self.limits.corner_room("limits")))
        equity = feed.account.equity if feed.account is not None else (state.equity or None)
        lines = drawdown_lines(state, equity, self.drawdown.content_size.width)
        self.drawdown.show([*lines, ladder_line(state, feed.limits)])
        self.drawdown.set_title("drawdown", f"guardian ♥{age(feed.heartbeat_age)}")
        held = views.open_positions(state)
        room = self.protection.corner_room("protection")
        self.protection.set_title("protection", sentinel_words(state.guard.status, now, room))
        self.protection.set_rows(protection_row(state, position, market) for position, market in held)

    def on_grid_chosen(self, event: Grid.Chosen) -> None:
        """Show the chosen instrument in depth."""
        if event.grid is self.protection and event.key is not None:
            self.post_message(self.InDepth(InstrumentId(event.key)))
