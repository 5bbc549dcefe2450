"""Make the pictures of every screen from one frozen moment: `python -m tests.tui.pictures FOLDER`.

The moment is a state built message by message, so the picture is made by the real screen and is the same every time.
"""

import asyncio
import math
import random
import sys
from decimal import Decimal
from pathlib import Path

from textual.pilot import Pilot

from core.domain import alerts as a
from core.domain import events as e
from core.domain import market as m
from core.domain.approval import TradingState
from core.domain.identifiers import Asset, ClientOrderId, FillId, InstrumentId, VenueId, VenueOrderId
from core.domain.instrument import Instrument
from core.domain.order import Liquidity, Order, OrderType, Side
from core.domain.risk import RiskView, StressResult, VarFigures, VarTest
from core.domain.studies import (
    ConfigChanged,
    ResearcherStatus,
    StudyChanged,
    TrialReport,
    Trials,
)
from core.guardian.guardian import Guardian
from core.session import protocol as p
from core.session.frames import AskEquity, AskRisk, AskTrial, AskTrials
from core.session.preview import preview
from core.state.curve import EquityPoint
from core.state.state import State
from tests.tui import research
from tests.tui.harness import picture
from tests.tui.panes import Shown, panes_of
from tui.app import TerminalApp
from tui.feed import Feed
from tui.screens.deck import DECK
from tui.screens.studies import StudiesScreen
from tui.watchlists import WatchList
from venues.contracts_table import contracts

NOW = 1_763_735_527_000_000_000  # 2025-11-21 14:32:07 UTC
SECOND = 1_000_000_000
SPOT, FUTURES = VenueId("BINANCE-SPOT"), VenueId("BINANCE-FUTURES")
PRICES = {"BTC": (61800.3, 0.0192), "ETH": (2684.11, 0.024), "XRP": (0.6012, -0.0031), "LTC": (60.84, 0.0085)}


LIMITS = (
    p.LimitView("max_position_frac", 0.613, "9.2%", "15.0%", "deny", "config.toml:14"),
    p.LimitView("max_sector_frac", 0.307, "9.2%", "30.0%", "deny", "config.toml:15"),
    p.LimitView("max_gross_frac", 0.073, "14.6%", "200.0%", "deny", "config.toml:17"),
    p.LimitView("max_net_frac", 0.039, "+3.9%", "+100.0%", "deny", "config.toml:18"),
    p.LimitView("max_order_notional", 0.0, "0", "10 041.22", "deny", "config.toml:20"),
    p.LimitView("max_orders_per_second", 0.9, "9", "10", "deny", "config.toml:23"),
    p.LimitView("stale_after", 0.7, "1 400", "2 000", "deny", "config.toml:25"),
    p.LimitView("max_position_loss", 0.045, "0.1%", "2.0%", "exit", "config.toml:46"),
    p.LimitView("max_daily_loss", 0.0, "0.0%", "5.0%", "halt", "config.toml:48"),
    p.LimitView("drawdown_1", 0.024, "0.1%", "5.0%", "hold 0.5", "config.toml:50"),
    p.LimitView("drawdown_2", 0.015, "0.1%", "8.0%", "hold 0.25", "config.toml:50"),
    p.LimitView("drawdown_3", 0.012, "0.1%", "10.0%", "halt", "config.toml:50"),
)
VENUES = (
    p.VenueReport(
        "BINANCE-SPOT",
        "ready",
        NOW - 7_300 * SECOND,
        4,
        4,
        1400,
        0,
        1_273_000_000,
        0,
        0,
        0,
        None,
        None,
        NOW - 12 * SECOND,
    ),
    p.VenueReport(
        "BINANCE-FUTURES",
        "ready",
        NOW - 7_300 * SECOND,
        4,
        4,
        200,
        3,
        -2_100_000,
        3,
        0,
        4,
        8.1,
        14.25,
        NOW - 12 * SECOND,
    ),
)
RISK = RiskView(
    NOW, Decimal("100412.18"), "739 returns of 1h, a day by the square root of 24", 739,
    (
        VarFigures("historical", Decimal("318.20"), Decimal("470.11"), Decimal("603.55"), Decimal("748.90")),
        VarFigures("Cornish-Fisher", Decimal("301.74"), Decimal("455.02"), Decimal("588.31"), Decimal("731.46")),
        VarFigures("filtered (EWMA)", Decimal("264.09"), Decimal("402.67"), Decimal("511.20"), Decimal("640.38")),
    ),
    (VarTest(0.95, 120, 7, 0.68, 0.41, 0.65, "good"), VarTest(0.99, 120, 5, 0.01, 0.52, 0.03, "too many losses")),
    (
        StressResult("all down 10%", Decimal("926.10"), 0.0092),
        StressResult("all down 20%", Decimal("1852.20"), 0.0184),
        StressResult("all down 30%", Decimal("2778.30"), 0.0277),
        StressResult("spreads x5, all closed", Decimal("0.07"), 0.0),
        StressResult("correlations 0.9, 1 day 99%", Decimal("577.44"), 0.0058),
        StressResult("BTC's worst day, to 14 Nov 09:00", Decimal("742.35"), 0.0074),
        StressResult(
            "crash", Decimal("50120.00"), 0.4991, ("max_position_frac", "max_gross_frac"), ("BINANCE-FUTURES USDT",)
        ),
    ),
    effective_bets=1.0, torsion_bets=1.0,
)  # fmt: skip
FILL = p.FillView(
    NOW - 720 * SECOND, ClientOrderId("d7-0110"), "f1", InstrumentId("BINANCE-FUTURES:PERPETUAL:BTC-USDT@LIN"), "BUY",
    Decimal("0.150"), Decimal("61640.1"), Decimal("4.62"), "USDT", "TAKER",
)  # fmt: skip


_LIMIT = Order(
    InstrumentId("BINANCE-FUTURES:PERPETUAL:BTC-USDT@LIN"), Side.BUY, Decimal("0.080"), OrderType.LIMIT,
    Decimal("61799.8"), client_order_id=ClientOrderId("d7-0114"), venue=FUTURES,
)  # fmt: skip
RECORDS = tuple(
    p.RecordView(sequence, event)
    for sequence, event in enumerate(
        (
            e.EngineStarted(7, "0.1.0", "paper", NOW - 7_300 * SECOND),
            e.DayStarted(Decimal("100000"), NOW - 7_300 * SECOND),
            e.OrderSubmitted(_LIMIT, FUTURES, NOW - 720 * SECOND),
            e.OrderAccepted(_LIMIT.client_order_id, VenueOrderId("8841"), NOW - 720 * SECOND, NOW - 720 * SECOND),
            e.OrderDenied(
                _LIMIT, "max_position_frac", "0.246", "0.15", "config.toml:14",
                "position would be 24.6 % of equity, at most 15 %", NOW - 60 * SECOND,
            ),
        ),
        1_204,
    )
)  # fmt: skip


def _point(minutes_ago: int) -> EquityPoint:
    equity = 100412.18 - 0.9 * minutes_ago + 260 * math.sin(minutes_ago / 110)
    return EquityPoint(NOW - minutes_ago * 60 * SECOND, equity, 1 - equity / 100535)


CURVE = tuple(_point(ago) for ago in range(600, -1, -1) if not 200 < ago < 260)
"""A day of the account, with an hour in which nothing ran."""


class StillFeed(Feed):
    """A feed that stands still at one moment."""

    def __init__(self, state: State) -> None:
        super().__init__(Path("/nowhere"), "picture")
        self._empty = state
        self.round_trip = 0.004
        self.control = p.ControlChanged("terminal 1 (pts/0)", True, 3, "terminal 1 (pts/0)")
        self.limits, self.venues = LIMITS, VENUES
        self.fills.append(FILL)
        self.account = m.AccountMarked(100412.18, 24.03, 14660.0, 3900.0, NOW)
        self.records: tuple[p.RecordView, ...] = RECORDS

    async def ask_preview(self, question: p.AskPreview) -> p.PreviewView:
        """Answer like the engine: by the guardian's own limits."""
        for venue in (SPOT, FUTURES):
            view = self._empty.venue(venue)
            view.connected = view.reconciled = True
        return preview(self._empty, Guardian(), question.order, NOW)

    async def ask_risk(self, question: AskRisk) -> RiskView:
        """Give the book's risk of the moment."""
        return RISK

    async def run(self) -> None:
        """Wait for ever."""
        await asyncio.Event().wait()

    async def ask(self, question: p.AskRecords) -> p.Records:
        """Give the records of the moment that hold the words, as an engine would."""
        words = question.text.split()
        found = [record for record in self.records if all(word in repr(record.event) for word in words)]
        return p.Records(tuple(reversed(found)), 0)

    async def ask_equity(self, question: AskEquity) -> tuple[EquityPoint, ...]:
        """Give a day of the account, with an hour in which nothing ran."""
        return CURVE if self.account is not None else ()

    async def ask_trials(self, question: AskTrials) -> Trials:
        """Give the trials of the drawing."""
        return Trials(research.TRIALS, 1240)

    async def ask_trial(self, question: AskTrial) -> TrialReport:
        """Give the report of a trial."""
        return research.report(question.study, question.trial)

    @property
    def connected(self) -> bool:
        """Tell that the engine is there."""
        return True

    @property
    def heartbeat_age(self) -> float | None:
        """Give the age in the drawing."""
        return 0.2


def _market(state: State, item: Instrument, rng: random.Random) -> None:
    price, day = PRICES[str(item.base)]
    tick = float(item.tick_size)
    decimals = item.price_precision
    price = round(round(price * (1 if item.is_derivative else 0.99996) / tick) * tick, decimals)
    state.apply(m.InstrumentDefined(item, NOW))
    for count, interval in ((110, m.Interval.M15), (60, m.Interval.M1)):
        for bar in _bars(item.id, interval, price, day, count, tick, decimals, rng):
            state.apply(bar)
    levels = [(round(abs(rng.gauss(0, 2)) + 0.01, item.size_precision)) for _ in range(60)]
    bids = tuple((round(price - tick * i, decimals), size) for i, size in enumerate(levels[:30], 1))
    asks = tuple((round(price + tick * i, decimals), size) for i, size in enumerate(levels[30:], 1))
    age = 1_400_000_000 if item.id.startswith("BINANCE-SPOT") and str(item.base) == "BTC" else 200_000_000
    state.apply(m.MarkPrice(item.id, price, price, 0.0001, 0, NOW, NOW))
    for i in range(20):
        at = NOW - (20 - i) * SECOND // 3 - age
        moved = round(price + tick * rng.randrange(-3, 4), decimals) if i < 19 else price
        size = round(rng.expovariate(8) + 0.001, item.size_precision)
        state.apply(m.Trade(item.id, moved, size, rng.random() < 0.55, i, at, at))
    state.apply(m.Quote(item.id, bids[0][0], bids[0][1], asks[0][0], asks[0][1], 1, NOW - age, NOW - age))
    state.apply(m.BookSnapshot(item.id, bids, asks, 1, False, NOW - age, NOW - age))
    state.apply(m.FeedReport(item.id, m.Health.LIVE, 0, 0, "", NOW))
    state.markets[item.id].day_open = price / (1 + day)


def _bars(
    id_: InstrumentId, interval: m.Interval, end: float, day: float, count: int, tick: float, decimals: int,
    rng: random.Random,
) -> list[m.Bar]:  # fmt: skip
    price, bars = end, []
    for i in range(count):
        start = NOW // interval.ns * interval.ns - i * interval.ns
        before = price * (1 - day / 96 + rng.gauss(0, 0.0011))
        high, low = max(price, before) * (1 + rng.random() * 6e-4), min(price, before) * (1 - rng.random() * 6e-4)
        o, h, low, c = (round(round(v / tick) * tick, decimals) for v in (before, high, low, price))
        bars.append(m.Bar(id_, interval, start, o, h, low, c, rng.expovariate(1) + 0.2, 50, i > 0, 0, start))
        price = before
    return bars


def _orders(state: State, btc: InstrumentId) -> None:
    entry = Order(btc, Side.BUY, Decimal("0.150"), client_order_id=ClientOrderId("d7-0110"), venue=FUTURES)
    rest = [
        Order(btc, Side.BUY, Decimal("0.080"), OrderType.LIMIT, Decimal("61799.8"),
              client_order_id=ClientOrderId("d7-0114"), venue=FUTURES),
        Order(btc, Side.SELL, Decimal("0.150"), OrderType.STOP, trigger=Decimal("61200.0"), reduce_only=True,
              client_order_id=ClientOrderId("d7-0115"), venue=FUTURES),
        Order(btc, Side.SELL, Decimal("0.075"), OrderType.TAKE_PROFIT, trigger=Decimal("62400.0"), reduce_only=True,
              client_order_id=ClientOrderId("d7-0116"), venue=FUTURES),
    ]  # fmt: skip
    at = NOW - 720 * SECOND
    for order in (entry, *rest):
        state.apply(e.OrderSubmitted(order, FUTURES, at))
        state.apply(e.OrderAccepted(order.client_order_id, VenueOrderId("v"), at, at))
    fill = e.OrderFilled(
        entry.client_order_id, FillId("f1"), btc, Side.BUY, Decimal("0.150"), Decimal("61640.1"), Decimal("4.62"),
        Asset("USDT"), Liquidity.TAKER, VenueOrderId("v"), at, at,
    )  # fmt: skip
    state.apply(fill)


def _alerts(state: State, btc: InstrumentId) -> None:
    told = (
        (720, "fill", a.Severity.INFO, "bought 0.15 BTC-USDT.P at 61640.1", 1, btc),
        (655, "gap", a.Severity.INFO, "LTC-USDT feed: 3 update gaps (3 since connect); the book is asked for again", 3,
         InstrumentId("BINANCE-SPOT:SPOT_PAIR:LTC-USDT")),
        (307, "feed", a.Severity.CRITICAL, "BINANCE-SPOT is down: the link was lost", 2, InstrumentId("")),
        (61, "limit", a.Severity.WARNING, "max orders per second is 90% used: 9 of 10", 1, InstrumentId("")),
        (12, "price", a.Severity.WARNING, "BTC-USDT.P at 61800.3, above 61800 – take half off", 1, btc),
    )  # fmt: skip
    for number, (ago, kind, severity, text, times, instrument) in enumerate(told, 1):
        at, lasts = NOW - ago * SECOND, kind in {"feed", "limit"}
        state.apply(a.AlertRaised(number, f"k{number}", a.AlertKind(kind), severity, instrument, text, "", lasts, times,
                                  False, at))  # fmt: skip
    state.apply(a.AlertAcknowledged((1,), "anna", NOW - 700 * SECOND))
    state.apply(a.AlertCleared(3, NOW - 290 * SECOND))
    state.apply(a.AlertAcknowledged((3,), "terminal", NOW - 280 * SECOND))
    state.apply(a.AlertsMuted(a.AlertKind.GAP, NOW + 3_000 * SECOND, "terminal", NOW - 650 * SECOND))
    for rule in (
        a.AlertRule(a.AlertKind.PRICE, btc, False, Decimal(60900), note="the stop is near", id="a2"),
        a.AlertRule(a.AlertKind.PROFIT, InstrumentId(""), False, Decimal(-500), again=True, id="a3"),
    ):
        state.apply(a.AlertRuleSet(rule, "cli", NOW))
    state.apply(a.TargetStatus("phone", "no answer within 10 s", 2, 14, 0, NOW))
    state.apply(a.TargetStatus("chat", "", 0, 9, 0, NOW))


def _studies(state: State) -> None:
    state.apply(ResearcherStatus(True, "lab", NOW - 7_000 * SECOND))
    for study in research.studies(NOW):
        state.apply(StudyChanged(study, NOW))
    for config in research.CONFIGS:
        state.apply(ConfigChanged(config, NOW))


def moment() -> StillFeed:
    """Build the frozen moment."""
    state, rng = State(Asset("USDT")), random.Random(20251121)
    state.now = NOW
    for venue in (SPOT, FUTURES):
        for item in contracts(venue):
            if str(item.base) in PRICES and str(item.quote) == "USDT":
                _market(state, item, rng)
    btc = InstrumentId("BINANCE-FUTURES:PERPETUAL:BTC-USDT@LIN")
    for venue in (SPOT, FUTURES):
        state.apply(e.BalanceSet(venue, Asset("USDT"), Decimal("50194.07"), "picture", NOW))
    _orders(state, btc)
    _alerts(state, btc)
    _studies(state)
    state.apply(e.DayStarted(Decimal("100000"), NOW))
    state.apply(e.PeakRaised(Decimal("100535"), NOW))
    drilled = "drill 2026-11-20: breach → flat 0.9 s, dead → flat 3.6 s"
    state.apply(m.SentinelStatus(True, "", NOW - 2 * SECOND // 5, "watches", drilled, NOW))
    return StillFeed(state)


SIZES = ((80, 24), (200, 50))


def empty_moment() -> StillFeed:
    """Build a moment in which nothing is known yet."""
    feed = StillFeed(State(Asset("USDT")))
    feed.account, feed.limits, feed.venues, feed.records = None, (), (), ()
    feed.fills.clear()
    return feed


def stale_moment() -> StillFeed:
    """Build the frozen moment ten seconds later, with nothing heard since."""
    feed = moment()
    for market in feed.state.markets.values():
        market.ts -= 10 * SECOND
    feed.state.apply(ResearcherStatus(False, "lab", NOW - 720 * SECOND))
    return feed


def halted_moment() -> StillFeed:
    """Build the frozen moment after a halt by hand."""
    feed = moment()
    feed.state.apply(e.TradingStateChanged(TradingState.HALTED, "trader", "terminal", "halted by hand", NOW))
    return feed


MOMENTS = {"busy": moment, "empty": empty_moment, "stale": stale_moment, "halted": halted_moment}


PANES: dict[tuple[int, int, str, str], list[Shown]] = {}
"""The panes of each picture that was drawn."""
_DRAWN: dict[tuple[int, int, str, str], tuple[str, str]] = {}
"""Pictures drawn before: a moment stands still, so its picture need not be drawn for every test that looks at it."""


async def draw(width: int, height: int, screen: str = "trade", state: str = "busy") -> tuple[str, str]:
    """Give the picture of a screen as SVG and as text."""
    key = (width, height, screen, state)
    if key not in _DRAWN:
        _DRAWN[key] = await _drawn(*key)
    return _DRAWN[key]


async def _drawn(width: int, height: int, screen: str, state: str) -> tuple[str, str]:
    app = TerminalApp(Path("/nowhere"), feed=MOMENTS[state](), wall=lambda: NOW)
    async with app.run_test(size=(width, height)) as pilot:
        await pilot.pause(0.3)
        if screen == "trade" or screen in OPENED:
            app.trade.ladder.action_centre()
            if screen in OPENED:
                await OPENED[screen](app, pilot)
        else:
            app.action_screen(screen)
            await pilot.pause(0.2)
        if screen == "studies" and app.feed.state.studies.attached:
            await _report(app, pilot)
        app.draw_header()
        await pilot.pause(0.1)
        PANES[width, height, screen, state] = panes_of(app)
        return app.export_screenshot(title="tradedeck", simplify=True), picture(app)


async def _find(_: TerminalApp, pilot: Pilot[int]) -> None:
    """Find instruments."""
    await pilot.press("i", *"bin eth")
    await pilot.pause(0.2)


async def _list(app: TerminalApp, pilot: Pilot[int]) -> None:
    """Edit a watchlist."""
    perpetuals = tuple(id_ for id_ in app.feed.state.markets if "PERPETUAL" in id_)
    _ = app.trade.watch_list.lists.change(lambda _: (WatchList("perps", perpetuals), WatchList("alts")))
    app.trade.show_list("perps")
    app.trade.watch_list.focus()
    await pilot.press("e")
    await pilot.pause(0.2)


async def _ask(_: TerminalApp, pilot: Pilot[int]) -> None:
    """Ask for a price alert, above the last price."""
    await pilot.press("P", *["pageup"] * 3)
    await pilot.pause(0.2)


async def _schedule(app: TerminalApp, pilot: Pilot[int]) -> None:
    """Ask when the weekly study is searched anew."""
    app.action_screen("studies")
    await pilot.pause(0.2)
    await _report(app, pilot)
    await pilot.press("j", "j", "e")
    await pilot.pause(0.2)


async def _report(app: TerminalApp, pilot: Pilot[int]) -> None:
    """Wait until the chosen trial stands on the studies screen."""
    screen = app.deck["studies"]
    assert isinstance(screen, StudiesScreen)
    for _ in range(600):
        if "no trial" not in screen.trial.text and screen.report is not None and "asked" not in screen.trial.text:
            return
        await pilot.pause(0.1)
    raise AssertionError("the report of the trial did not come")


async def _fill_in(_: TerminalApp, pilot: Pilot[int]) -> None:
    """Fill in the ticket of the drawing, by its keys."""
    texts = ("0.250", "61800.2", "61200", "", "62400:1/2 63000:1/2")
    await pilot.press("b")
    for text in texts:
        for character in text:
            await pilot.press({" ": "space", ":": "colon", "/": "slash", ".": "full_stop"}.get(character, character))
        await pilot.press("down")
    await pilot.press(*["up"] * len(texts))
    await pilot.pause(0.5)


OPENED = {"ticket": _fill_in, "finder": _find, "watchlists": _list, "alert": _ask, "schedule": _schedule}
"""What is drawn over the trade screen, or another."""


def main(folder: Path) -> None:
    """Write the pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    for screen in [*(kind.NAME for kind in DECK), *OPENED]:
        for width, height in SIZES:
            svg, text = asyncio.run(draw(width, height, screen))
            name = folder / f"{screen}-{width}x{height}"
            name.with_suffix(".svg").write_text(svg.replace("<text ", '<text xml:space="preserve" '), encoding="utf-8")
            name.with_suffix(".txt").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
