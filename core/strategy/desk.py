"""The desk of live strategies: it judges configs, places and replaces strategies, and brings to flat what ends."""

from collections.abc import Callable, Iterable
from typing import Any

import structlog

from core.domain import configs as d
from core.domain.approval import TradingState
from core.domain.events import CommandRefused
from core.domain.identifiers import DERIVATIVES, ClientOrderId, InstrumentId, StrategyId, VenueId, parse_id
from core.domain.instrument import ZERO
from core.domain.market import Bar, Interval, Timer, VenueStatus
from core.domain.message import Command, Message, Nanoseconds
from core.domain.studies import AdoptConfig, Config, ConfigStatus
from core.errors import ConfigError, DomainError
from core.execution.exits import Exits
from core.execution.orders import Orders
from core.guardian.promoting import config_breach
from core.outbox import Outbox
from core.session.wire import EVENTS
from core.state.configs import Running
from core.state.markets import Market
from core.state.outright import SPOT_PAIR, is_dust
from core.state.state import State
from core.strategy.base import Strategy
from core.strategy.library import MODELS, checked
from core.strategy.live import Live
from core.strategy.past import PastBars
from core.strategy.rule import Terms, split

log = structlog.get_logger()
NOTHING: tuple[Command, ...] = ()
MOST = 16
"""Instruments of one config: what each has to remember must fit into what a strategy may keep."""


class StrategyDesk:
    """Hold what runs. As a strategy it hands each message to those it concerns."""

    id = StrategyId("")

    def __init__(self, outbox: Outbox, orders: Orders, exits: Exits) -> None:
        self._outbox, self._orders, self._exits = outbox, orders, exits
        self._lives: dict[str, Live] = {}
        self._by_instrument: dict[InstrumentId, Live] = {}
        self._connected: dict[VenueId, Nanoseconds] = {}
        self._handlers: dict[type, Callable[[Any, State], Iterable[Command]]] = {
            **dict.fromkeys(EVENTS, self._event),
            Bar: self._bar,
            Timer: self._time,
            VenueStatus: self._venue,
            PastBars: self._past,
        }

    @property
    def strategies(self) -> tuple[Strategy, ...]:
        """Return what the engine is to ask: nothing while no config runs."""
        return (self,) if self._lives else ()

    # --- configs ----------------------------------------------------------------------------------------------------

    def adopt(self, command: AdoptConfig) -> None:
        """Take a config on, put it off, or refuse it; what runs already changes nothing."""
        state, config = self._outbox.state, command.config
        running = state.configs.running.get(config.strategy_id)
        if running is not None and _same(running.config, config):
            return
        if config.status is ConfigStatus.HISTORY:
            waits = state.configs.waiting.get(config.strategy_id)
            if running is not None:
                self._outbox.record(d.ConfigAdopted(config, state.now))
            elif waits is not None:
                self._refuse(config, "it was ended before it began")
            elif config.strategy_id in state.configs.refused:
                self._outbox.record(d.ConfigEnded(config.strategy_id, config.version, state.now))
            return
        if running is not None and config.version < running.config.version:
            self._refuse(config, f"{running.config.key} is newer and runs; roll back to make an earlier version new")
            return
        self._judge(config)

    def _judge(self, config: Config) -> None:
        """Adopt a config, or say why not: what may change by itself is waited for."""
        state = self._outbox.state
        known = state.configs.waiting.get(config.strategy_id)
        try:
            waits = self._not_yet(config, state)
            refused = self._flaw(config, state) if not waits else ""
            waits = waits or (self._taken(config, state) if not refused else "")
        except (ConfigError, DomainError) as error:
            waits, refused = "", str(error)
        if waits:
            if known is None or known.reason != waits or known.config != config:
                self._outbox.record(d.ConfigWaits(config, waits, state.now))
            return
        if refused:
            self._refuse(config, refused)
            return
        self._outbox.record(d.ConfigAdopted(config, state.now))
        self._place(state.configs.running[config.strategy_id])

    def _refuse(self, config: Config, reason: str) -> None:
        now = self._outbox.state.now
        self._outbox.record(d.ConfigRefused(config.strategy_id, config.version, reason, now))
        self._outbox.put(CommandRefused("config", ClientOrderId(""), f"{config.key} is not run: {reason}", now))

    @staticmethod
    def _not_yet(config: Config, state: State) -> str:
        """Return what has to change by itself before a config can be judged; empty where nothing has."""
        if state.trading_state is not TradingState.ACTIVE:
            why = f" ({state.state_reason})" if state.state_reason else ""
            return f"trading is {state.trading_state}{why}: it begins when trading is ACTIVE again"
        for instrument in config.instruments:
            venue = state.venues.get(_venue_of(instrument))
            if instrument not in state.markets and (venue is None or not venue.reconciled):
                return f"{instrument} is not known yet: its venue is not connected"
        if state.ledger.unvalued:
            return "the account cannot be valued yet"
        return ""

    @staticmethod
    def _taken(config: Config, state: State) -> str:
        """Return which instrument a config that could run has to wait for, empty where all of them are free."""
        for instrument in config.instruments:
            runner = state.configs.runner(instrument)
            if runner and runner != config.strategy_id:
                return f"{instrument} is {runner}'s, and an instrument is one strategy's: it begins when that one ends"
        return ""

    def _flaw(self, config: Config, state: State) -> str:
        """Return why a config cannot be run here, empty where it can.

        Raises:
            ConfigError: parameters that its strategy does not take.
        """
        model = MODELS.get(config.strategy)
        if model is None:
            return f'no strategy "{config.strategy}" in the library; it has {", ".join(sorted(MODELS))}'
        if config.interval not in [one.value for one in Interval]:
            return f'no bars of "{config.interval}" here; there are {", ".join(Interval)}'
        if not config.instruments or len(set(config.instruments)) < len(config.instruments):
            return "it names no instrument, or one of them twice"
        if len(config.instruments) > MOST:
            return f"it names {len(config.instruments)} instruments, at most {MOST} run together"
        if not config.capital > 0.0:
            return f"its capital is {config.capital:g}, expected above 0"
        values, terms = split(config)
        checked(model, values)
        for instrument in config.instruments:
            wrong = _another_wallet(config, state) or self._unfit(instrument, config, terms, state)
            if wrong:
                return wrong
            able = self._orders.abilities.get(_venue_of(instrument))
            if (terms.stop or terms.trail) and able is not None and not able.amend:
                return f"{_venue_of(instrument)} cannot amend orders: its stop could not follow"
        bases = [state.markets[one].instrument.base for one in config.instruments]
        guardian = self._orders.guardian
        breach = config_breach(
            guardian.settings, state, terms, _capital(config, state), bases, shares=config.shares_wallet
        )
        return guardian.words(breach) if breach is not None else ""

    @staticmethod
    def _unfit(id_: InstrumentId, config: Config, terms: Terms, state: State) -> str:
        """Return why a strategy cannot trade an instrument."""
        market = state.markets.get(id_)
        if market is None:
            return f"instrument {id_} is not known here; tradedeck instruments lists what is"
        if market.instrument.inverse:
            coin = market.instrument.base
            return (
                f"{id_} is an inverse contract, settled in {coin}: a study and its capital count in the quote asset; "
                f'study a linear contract of {coin} ([data] venue = "BINANCE-FUTURES") and promote that'
            )
        outright = market.kind is SPOT_PAIR
        if market.kind not in DERIVATIVES and not outright:
            return f"{id_} is neither spot nor a contract: strategies run on spot pairs, linear perpetuals and futures"
        return _outright(market, config, terms, state) if outright else ""

    # --- placing ----------------------------------------------------------------------------------------------------

    def _place(self, running: Running) -> None:
        """Put a strategy in the place of its last version."""
        config = running.config
        live = Live(config, self._outbox.state, self._outbox.record)
        before = self._lives.pop(config.strategy_id, None)
        for instrument in before.hands if before is not None else ():
            self._by_instrument.pop(instrument, None)
        self._lives[config.strategy_id] = live
        self._by_instrument.update(dict.fromkeys(live.hands, live))
        self._orders.guardian.watch.horizons[live.id] = live.horizon

    def timer(self, now: Nanoseconds) -> None:
        """Place what was found running, judge what waits, ask for bars, and bring to flat what ends."""
        state = self._outbox.state
        for id_, running in tuple(state.configs.running.items()):
            if running.ends:
                self._outbox.guarded(self._end, id_, running)
            elif id_ not in self._lives and all(one in state.markets for one in running.config.instruments):
                self._outbox.guarded(self._place, running)
        for waiting in tuple(state.configs.waiting.values()):
            self._outbox.guarded(self._judge, waiting.config)
        for live in self._lives.values():
            if all(state.venue(_venue_of(one)).reconciled for one in live.hands):
                for question in live.wanted(now):
                    self._outbox.put(question)

    def _end(self, id_: str, running: Running) -> None:
        """Bring what a strategy holds to flat by the exiter, what others hold beside it left; then it has ended."""
        live, state = self._lives.pop(id_, None), self._outbox.state
        for instrument in live.hands if live is not None else ():
            self._by_instrument.pop(instrument, None)
        open_ = False
        for account in state.configs.of(id_):
            if account.instrument not in state.markets:
                open_ |= bool(account.quantity)
                continue
            market = state.markets[account.instrument]
            own = market.instrument.floor_size(abs(account.quantity))
            outright = market.kind is SPOT_PAIR
            if own < market.instrument.min_size or (outright and is_dust(market.instrument, own, market.bid)):
                open_ |= any(one.order.strategy_id == id_ for one in state.blotter.of(account.instrument))
                continue
            open_ = True
            if account.instrument not in state.exits.flattening:
                position = state.ledger.positions.get(market.holding)
                others = max(abs(position.quantity) - own, ZERO) if position is not None else ZERO
                self._exits.bring(account.instrument, others, f"strategy {id_} ended", account.entry)
        if not open_:
            self._outbox.record(d.ConfigEnded(id_, running.config.version, state.now))

    # --- as a strategy ----------------------------------------------------------------------------------------------

    def on_message(self, message: Message, state: State) -> Iterable[Command]:
        """Hand a message to the strategies that it concerns."""
        handler = self._handlers.get(type(message))
        return self._guarded(handler, message, state) if handler is not None else NOTHING

    def _guarded(
        self, handler: Callable[[Any, State], Iterable[Command]], message: Message, state: State
    ) -> Iterable[Command]:
        """Yield what strategies want; one that fails is logged, and holds up no price and no exit."""
        try:
            yield from handler(message, state)
        except Exception:  # task boundary: the next message finds it again
            if self._outbox.strict:
                raise
            log.exception("strategy failed", message=repr(message)[:200])

    def _bar(self, bar: Bar, state: State) -> Iterable[Command]:
        live = self._by_instrument.get(bar.instrument)
        return live.on_message(bar, state) if live is not None else NOTHING

    def _event(self, event: Message, state: State) -> Iterable[Command]:
        record = state.blotter.orders.get(getattr(event, "client_order_id", ClientOrderId("")))
        instrument = record.order.instrument if record is not None else getattr(event, "instrument", None)
        live = self._by_instrument.get(instrument) if instrument is not None else None
        return live.on_message(event, state) if live is not None else NOTHING

    def _time(self, timer: Timer, state: State) -> Iterable[Command]:
        for live in tuple(self._lives.values()):
            if live.is_busy:
                yield from live.on_message(timer, state)

    def _venue(self, status: VenueStatus, state: State) -> Iterable[Command]:
        """Have the bars of a lost link learnt anew."""
        if status.connected:
            for live in set(self._by_instrument.values()):
                if any(_venue_of(one) == status.venue for one in live.hands):
                    live.resume()
        return NOTHING

    def _past(self, message: PastBars, state: State) -> Iterable[Command]:
        live = self._by_instrument.get(message.instrument)
        return live.take_past(message, state) if live is not None else NOTHING


def _same(one: Config, other: Config) -> bool:
    """Tell whether two are the same version of a config, as it is to be run."""
    if (one.version, one.status) != (other.version, other.status):
        return False
    return one.hash == other.hash if one.hash or other.hash else one == other


def _capital(config: Config, state: State) -> float:
    """Return what sizes entries: the capital, or what accounts that go on began with where that is more."""
    if config.strategy_id not in state.configs.running:
        return config.capital
    begun = [float(one.capital) for one in state.configs.of(config.strategy_id) if one.instrument in config.instruments]
    return max(config.capital, sum(begun) if config.shares_wallet else max(begun, default=0.0))


def _another_wallet(config: Config, state: State) -> str:
    """Return why a config cannot go on with its strategy's wallet, where one is or was to be shared."""
    running = state.configs.running.get(config.strategy_id)
    before = running.config if running is not None else config
    if not (config.shares_wallet or before.shares_wallet):
        return ""
    if (config.margin_mode, set(config.instruments)) != (before.margin_mode, set(before.instruments)):
        return (
            f"{before.key} runs with another wallet, or other instruments that share it: retire that, then promote this"
        )
    if running is not None and any(account.liquidated for account in state.configs.of(config.strategy_id)):
        return f"the venue closed {before.key}'s shared wallet by force: retire that, then promote this"
    return ""


def _outright(market: Market, config: Config, terms: Terms, state: State) -> str:
    """Return why a strategy cannot hold a pair's coins: a margin was studied, or they are another's already."""
    id_, coin, own = market.instrument.id, market.instrument.base, config.strategy_id
    if terms.leverage > 1.0 or not terms.isolated:
        asks = f"leverage {terms.leverage:g}" if terms.leverage > 1.0 else "crossed margin"
        return f"{id_} is spot, bought outright, and {asks} was studied: study it at leverage 1, isolated"
    taken = [(own, one) for one in config.instruments]
    taken += [(one.config.strategy_id, id_) for one in state.configs.running.values() for id_ in one.config.instruments]
    taken += [(one.strategy_id, one.instrument) for one in state.configs.accounts.values() if one.quantity]
    for strategy_id, pair in taken:
        other = state.markets.get(pair)
        if other is not None and other is not market and other.holding == market.holding:
            return f"{id_} and {strategy_id}'s {pair} both hold {coin}: a coin is one strategy's, in one pair"
    return ""


def _venue_of(instrument: InstrumentId) -> VenueId:
    return parse_id(instrument).venue
