"""Everything known; it changes only through ``State.apply``: live, in recovery, in simulation, on the screen."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec

from core.alerts.book import AlertBook, AlertImage
from core.domain import configs as d
from core.domain import events as e
from core.domain import market as m
from core.domain import watch as w
from core.domain.approval import TradingState
from core.domain.differences import Difference
from core.domain.identifiers import Asset, StrategyId, VenueId
from core.domain.instrument import ZERO, Instrument
from core.domain.message import Message, Nanoseconds
from core.domain.order import OrderRecord
from core.domain.position import BetPosition, Position
from core.state.blotter import Blotter, fill_key, funding_key
from core.state.brackets import Bracket, Brackets, is_bracketed
from core.state.capital import Capital
from core.state.configs import ConfigBook, ConfigImage
from core.state.contact import Contact, VenueView
from core.state.curve import Curve, CurveImage
from core.state.differences import Differences
from core.state.exiting import Exiting, Guard
from core.state.forecasts import Forecasts, RiskDay
from core.state.ledger import Ledger
from core.state.limits_in_force import LimitsInForce
from core.state.market_image import MarketImage, market_image, restore_market
from core.state.markets import Market, Markets
from core.state.outright import book, fit_brackets, give_up, moved
from core.state.studies import StudyBook, StudyImage
from core.state.watched import Watched

DEFAULT_CURRENCY = Asset("USDT")
CLIENT_ORDERS = 200
"""Closed orders in a client's first picture; older ones are asked for."""


class StateImage(msgspec.Struct, frozen=True):
    """The whole state as one value: a checkpoint of the journal, and the snapshot that a client starts from."""

    now: Nanoseconds
    run: int
    mode: str
    currency: Asset
    trading_state: TradingState
    state_reason: str
    day_start: Decimal
    day_started: Nanoseconds
    peak: Decimal
    instruments: tuple[Instrument, ...]
    balances: dict[VenueId, dict[Asset, Decimal]]
    positions: tuple[Position, ...]
    bets: tuple[BetPosition, ...]
    orders: tuple[OrderRecord, ...]
    operations: tuple[str, ...]
    fills: tuple[str, ...]
    venues: dict[VenueId, VenueView]
    markets: tuple[MarketImage, ...] = ()
    brackets: tuple[Bracket, ...] = ()
    exits: Exiting = msgspec.field(default_factory=Exiting)
    alerts: AlertImage = AlertImage()
    capital: dict[Asset, Decimal] = {}
    watched: Watched = msgspec.field(default_factory=Watched)
    studies: StudyImage = StudyImage()
    curve: CurveImage = CurveImage()
    differences: tuple[Difference, ...] = ()
    differences_numbered: int = 0
    strategies: dict[StrategyId, bytes] = {}
    limits: dict[str, str] = {}
    loosened: tuple[e.SettingChange, ...] = ()
    forecasts: tuple[RiskDay, ...] = ()
    configs: ConfigImage = ConfigImage()
    held_back: tuple[e.SettingChange, ...] = ()
    at_next_start: tuple[str, ...] = ()
    capital_held: tuple[Asset, ...] = ()


class State:
    """Hold markets, ledger, blotter, venues and the trading state; ``apply`` is the only way in."""

    def __init__(self, currency: Asset = DEFAULT_CURRENCY, mode: str = "paper") -> None:
        self.now: Nanoseconds = 0
        self.run = 0
        self.mode = mode
        self.currency = currency
        self.markets = Markets()
        self.ledger = Ledger(self.markets, currency)
        self.blotter, self.brackets = Blotter(), Brackets()
        self.alerts, self.studies, self.configs = AlertBook(), StudyBook(), ConfigBook()
        self.contact = Contact(self.markets, self.ledger, self.blotter, self.configs)
        self.venues = self.contact.views
        self.trading_state = TradingState.ACTIVE
        self.state_reason = ""
        self.day_start, self.peak = ZERO, ZERO
        self.day_started: Nanoseconds = 0
        self.store_trouble = ""
        self.exits, self.capital = Exiting(), Capital()
        self.watched, self.curve, self.guard = Watched(), Curve(), Guard()
        self.differences = Differences()
        self.strategies: dict[StrategyId, bytes] = {}
        """What each strategy wants to know again after a restart, as it saved it."""
        self.limits, self.forecasts = LimitsInForce(), Forecasts()
        self.illegal = 0
        """Venue events that no order's life allows, and fills of instruments nobody defined; kept, not applied."""
        self.handlers: dict[type, Callable[[Any], None]] = {
            m.Quote: self._taken(Market.quote),
            m.Trade: self._taken(Market.trade),
            m.BookDelta: self._taken(Market.delta),
            m.BookSnapshot: self._taken(Market.snapshot),
            m.MarkPrice: self._taken(Market.mark_price),
            m.LastPrice: self._taken(Market.last_price),
            m.Bar: self._bar,
            m.InstrumentDefined: self._instrument,
            m.FeedReport: self._feed_report,
            m.StoreStatus: self._store_status,
            m.SentinelStatus: self.guard.take,
            m.Timer: lambda timer: self.ledger.renew(timer.ts),
            m.AccountMarked: lambda mark: self.curve.marked(mark, 0.0 if self.watched.gone else float(self.peak)),
            **self._parts(),
            e.EngineStarted: self._started,
            e.OrderFilled: self._filled,
            e.OrderAmended: self._amended,
            e.FundingPaid: self._funding,
            e.PositionSet: self._position_set,
            d.DustLeft: lambda event: give_up(self, event),
            e.TradingStateChanged: self._trading_state,
            e.DayStarted: self._day_started,
            e.PeakRaised: self._peak_raised,
            w.LossAccepted: self._peak_raised,
            e.EquityNoted: self.curve.noted,
            e.StopTrailed: self.brackets.trailed,
            w.BracketBegun: lambda event: self.brackets.begun(event, self.blotter.open.get(event.client_order_id)),
            e.BracketEnded: self.brackets.ended,
            e.StrategyStateSaved: self._strategy_saved,
        }

    def _parts(self) -> dict[type, Callable[[Any], None]]:
        """Return what the parts of the state take by themselves."""
        found: dict[type, Callable[[Any], None]] = {}
        for part in (
            self.blotter,
            self.exits,
            self.capital,
            self.watched,
            self.contact,
            self.differences,
            self.limits,
            self.forecasts,
            self.alerts,
            self.studies,
            self.configs,
        ):
            found |= part.handlers()
        return found

    def apply(self, message: Message) -> None:
        """Take one message; kinds that change nothing are ignored.

        Raises:
            IllegalTransition: an order event its order's life does not allow; nothing is changed.
        """
        handler = self.handlers.get(type(message))
        if handler is not None:
            handler(message)

    # --- data -------------------------------------------------------------------------------------------------------

    def _taken(self, take: Callable[[Market, Any], float | None]) -> Callable[[Any], None]:
        """Return the handler of one kind of market data: the market takes it, and says where its mark went."""
        markets, ledger = self.markets, self.ledger

        def handler(message: Any) -> None:
            market = markets.get(message.instrument)
            if market is not None:
                mark = take(market, message)
                if mark is not None:
                    before, market.mark = market.mark, mark
                    if before == 0.0 or market.nonlinear:
                        ledger.revalue()
                    elif market.exposure != 0.0:
                        ledger.equity += market.exposure * (mark - before)

        return handler

    def _bar(self, bar: m.Bar) -> None:
        market = self.markets.get(bar.instrument)
        if market is not None:
            market.bar(bar)

    def _instrument(self, message: m.InstrumentDefined) -> None:
        self.markets.define(message.instrument)

    def _feed_report(self, report: m.FeedReport) -> None:
        market = self.markets.get(report.instrument)
        if market is not None:
            market.report(report)

    def _store_status(self, status: m.StoreStatus) -> None:
        self.store_trouble = status.trouble
        if not status.trouble:
            self.exits.unjournalled.clear()

    # --- events -----------------------------------------------------------------------------------------------------

    def _started(self, event: e.EngineStarted) -> None:
        self.run, self.mode = event.run, event.mode
        self.limits.started()
        self.exits.unjournalled.clear()  # what was read from the journal stands in it
        for venue in self.venues.values():
            venue.connected = venue.reconciled = False
            venue.reason = "not connected yet"

    def _filled(self, event: e.OrderFilled) -> None:
        market = self.markets.get(event.instrument)
        if market is None:
            self.illegal += 1
            return
        venue = market.venue
        key = fill_key(event.instrument, event.fill_id)
        if self.blotter.fills.knows(key):
            return
        self.ledger.fill(event)  # first: money is right even where the order's life objects
        self.contact.filled(venue, event.ts_exchange, event.ts)
        record = self.blotter.filled(event, key)
        if record is not None and (record.order.strategy_id or self.watched.owners):
            position = self.ledger.positions.get(market.holding)
            self.watched.filled(market.holding, record.order.strategy_id, position.quantity if position else ZERO)
        if self.brackets.by_instrument or (record is not None and is_bracketed(record.order)):
            if record is not None:
                self.brackets.filled(event, record.order, moved(event, market.instrument))
            fit_brackets(self, market)
            self.brackets.dust(event.instrument, market.instrument.min_size, self.blotter.open)
        if self.configs.accounts:
            book(self, market, event, record)

    def _position_set(self, event: e.PositionSet) -> None:
        self.ledger.set_position(event)
        self.brackets.held(event.instrument, event.quantity)
        for market in self.markets.values():
            if market.holding == event.instrument:
                self.configs.held(market.instrument, event.quantity, event.ts)

    def _amended(self, event: e.OrderAmended) -> None:
        if self.blotter.amended(event):
            self.brackets.amended(event, self.blotter.orders.get(event.client_order_id))

    def _funding(self, event: e.FundingPaid) -> None:
        market = self.markets.get(event.instrument)
        if market is None:
            self.illegal += 1
            return
        key = funding_key(event.instrument, event.funding_id)
        if not self.blotter.fills.knows(key):
            self.blotter.fills.add(key)
            self.ledger.funding(event)
            self.configs.paid(event, self.ledger.position_of(market).quantity)
            self.contact.booked(market.venue, event.ts_exchange, event.ts)

    def _strategy_saved(self, event: e.StrategyStateSaved) -> None:
        self.strategies[event.strategy_id] = event.payload

    def _trading_state(self, event: e.TradingStateChanged) -> None:
        self.trading_state, self.state_reason = event.state, event.reason

    def _day_started(self, event: e.DayStarted) -> None:
        self.forecasts.started(event, self.day_started, float(self.day_start))
        self.watched.day_begun(event, self.day_started, self.day_start)
        self.day_start, self.day_started = event.equity, event.ts

    def _peak_raised(self, event: e.PeakRaised | w.LossAccepted) -> None:
        if isinstance(event, w.LossAccepted):
            self.watched.accept(event, self.day_start, self.day_started)
        self.peak = event.equity

    # --- views ------------------------------------------------------------------------------------------------------

    def venue(self, venue: VenueId) -> VenueView:
        """Return the view of a venue, made on first use."""
        return self.contact.view(venue)

    @property
    def equity(self) -> float:
        """Return the account's value at marked prices, in the reporting currency."""
        return self.ledger.equity

    @property
    def day_profit(self) -> float:
        """Return what the account made since the day's start, in money: capital that came or went is none of it."""
        return self.ledger.equity - float(self.day_start) if self.day_start else 0.0

    @property
    def drawdown(self) -> float:
        """Return the fraction lost from the peak; never negative."""
        equity = float(self.watched.gone) or self.ledger.equity
        peak = max(float(self.peak), equity)
        return 1.0 - equity / peak if peak > 0 else 0.0

    # --- images -----------------------------------------------------------------------------------------------------

    def image(self, *, client: bool = False) -> StateImage:
        """Return the state as one value: the whole ledger for a checkpoint, or a client's first picture.

        A client gets the last prices, which no checkpoint keeps, and no memory of what was seen before.
        """
        records = tuple(self.blotter.orders.values())
        if client:
            closed = [record for record in records if not record.is_open]
            records = (*closed[-CLIENT_ORDERS:], *self.blotter.open.values())
        return StateImage(
            self.now,
            self.run,
            self.mode,
            self.currency,
            self.trading_state,
            self.state_reason,
            self.day_start,
            self.day_started,
            self.peak,
            tuple(market.instrument for market in self.markets.values()),
            {venue: dict(wallet) for venue, wallet in self.ledger.balances.items()},
            tuple(self.ledger.positions.values()),
            tuple(self.ledger.bets.values()),
            records,
            () if client else tuple(self.blotter.operations),
            () if client else tuple(self.blotter.fills),
            dict(self.venues),
            tuple(market_image(market) for market in self.markets.values()) if client else (),
            tuple(self.brackets.all()),
            self.exits.copy(),
            self.alerts.image(client=client),
            dict(self.capital.waiting),
            self.watched.copy(),
            self.studies.image() if client else StudyImage(),
            CurveImage() if client else self.curve.image(),
            tuple(self.differences.standing.values()),
            self.differences.numbered,
            {} if client else dict(self.strategies),
            dict(self.limits.settings),
            tuple(self.limits.loosened.values()),
            () if client else tuple(self.forecasts.days),
            self.configs.image(),
            tuple(self.limits.held_back.values()),
            tuple(sorted(self.limits.at_next_start)),
            tuple(sorted(self.capital.held)),
        )

    @classmethod
    def from_image(cls, image: StateImage) -> "State":
        """Return the state that an image was taken of."""
        state = cls(image.currency, image.mode)
        state.now, state.run = image.now, image.run
        state.trading_state, state.state_reason = image.trading_state, image.state_reason
        state.day_start, state.day_started, state.peak = image.day_start, image.day_started, image.peak
        for instrument in image.instruments:
            state.markets.define(instrument)
        state.ledger.balances = {venue: dict(wallet) for venue, wallet in image.balances.items()}
        state.ledger.positions = {one.instrument: state.ledger.rates.ours(one) for one in image.positions}
        state.ledger.bets = {(bet.instrument, bet.selection): bet for bet in image.bets}
        state.blotter.restore(image.orders, image.operations, image.fills)
        state.brackets.restore(image.brackets)
        state.contact.restore(image.venues, image.now)
        state.exits.restore(image.exits)
        state.alerts.restore(image.alerts)
        state.capital.waiting, state.capital.held = dict(image.capital), set(image.capital_held)
        state.watched.restore(image.watched)
        state.studies.restore(image.studies)
        state.curve.restore(image.curve)
        state.differences.restore(image.differences, image.differences_numbered)
        state.strategies = dict(image.strategies)
        state.limits.restore(image.limits, image.loosened, image.held_back, image.at_next_start)
        state.forecasts.restore(image.forecasts)
        state.configs.restore(image.configs)
        for view in image.markets:
            restore_market(state.markets[view.instrument], view)
        state.ledger.revalue()
        return state


IMAGE_DECODER = msgspec.msgpack.Decoder(StateImage)
