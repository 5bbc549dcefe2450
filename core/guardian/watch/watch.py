"""The watch: which rules there are, what wakes them, what they see. Pure: others carry out what is decided."""

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal

import structlog

from core.config.settings import GuardianSettings
from core.domain import events as e
from core.domain.identifiers import DERIVATIVES, ClientOrderId, InstrumentId, StrategyId
from core.domain.message import Nanoseconds
from core.domain.order import OrderRecord, OrderStatus, Side
from core.guardian.watch.account import DailyLoss, Drawdown
from core.guardian.watch.position import QUARTER, Age, ForcedStop, LiquidationDistance, PositionLoss, Stale, liquidation
from core.guardian.watch.protection import ProtectiveStop, stops_of
from core.guardian.watch.rule import AccountRule, Held, PositionRule, Scene, Stop, Use, Verdict, Wake
from core.state.markets import Market
from core.state.outright import SPOT_PAIR, is_unsellable
from core.state.state import State

log = structlog.get_logger()
Judge = Callable[[Held, Scene], Verdict | None]


class Watch:
    """Hold what is held as the rules see it, and ask the rules."""

    def __init__(self, settings: GuardianSettings, horizons: Mapping[StrategyId, str] | None = None) -> None:
        self.settings = settings
        self.horizons: dict[StrategyId, str] = dict(horizons or {})
        self.ours: Callable[[OrderRecord], bool] = lambda _: True
        self.held: dict[InstrumentId, Held] = {}
        """Positions by the instrument whose prices move them."""
        self.floor = 0.0
        """The equity at or below which a rule of the account has something to say; 0.0 is never."""
        self.protection = ProtectiveStop(settings)
        self.drawdown = Drawdown(settings)
        self.stale = Stale(settings)
        self.positions: tuple[PositionRule, ...] = (
            ForcedStop(settings),
            PositionLoss(settings),
            LiquidationDistance(settings),
            self.stale,
            Age(settings, self.horizons),
            self.protection,
        )
        self.account: tuple[AccountRule, ...] = (DailyLoss(settings), self.drawdown)
        self._judges: dict[Wake, tuple[Judge, ...]] = {
            wake: tuple(rule.judge for rule in self.positions if wake in rule.wakes) for wake in Wake
        }
        self._priced = self._judges[Wake.PRICE]
        self._scene: Scene | None = None

    # --- what is held -----------------------------------------------------------------------------------------------

    def refresh(self, state: State) -> list[InstrumentId]:
        """See every position anew; return what was held and is held no more."""
        gone = set(self.held)
        for position in state.ledger.positions.values():
            market = state.ledger.mark_of(position.instrument) if position.quantity else None
            if market is not None and self._still_held(state, market):
                gone.discard(market.instrument.id)
        for instrument in gone:
            self._drop(instrument)
        self.revalue(state)
        return sorted(gone)

    def _still_held(self, state: State, market: Market) -> bool:
        """See one position anew among all; one that cannot be seen stays as it was, and hides no other."""
        try:
            return self.look(state, market)
        except Exception:  # task boundary: the account is judged whatever one instrument does
            log.exception("position not seen anew", instrument=market.instrument.id)
            return True

    def look(self, state: State, market: Market) -> bool:
        """See one position anew, and tell whether it is held."""
        position, instrument = state.ledger.positions.get(market.holding), market.instrument
        if position is None or abs(position.quantity) < instrument.min_size or _is_dust(market, position.quantity):
            self._drop(instrument.id)
            return False
        held = Held(state, market, position)
        if state.brackets.by_instrument or state.blotter.open:
            held.stops = tuple(self._stops(state, held))
        if held.stops and self.settings.forced_stop_frac:
            held.nearest = max(held.stops, key=lambda stop: stop.near * held.sign).near
        self._enlarge(held)
        self.held[instrument.id] = held
        if market.kind in DERIVATIVES and self._is_levered(state, held):
            held.liquidation = liquidation(state, market, position.quantity)
        self._calm(held, state)
        return True

    def _enlarge(self, held: Held) -> None:
        """Raise the floor by what it costs to close more than before, until the account is valued anew."""
        held.cost = held.closing(self.settings.forced_stop_frac)
        before = self.held.get(held.instrument)
        more = held.cost - (before.cost if before is not None else 0.0)
        if self.floor and more > 0.0:
            self.floor += more

    def _is_levered(self, state: State, held: Held) -> bool:
        """Tell whether a liquidation can be near: not where the wallet is twice what everything held is worth."""
        market = held.market
        wallet = state.ledger.balances.get(market.venue, {}).get(market.instrument.settle)
        if not wallet:
            return True
        worth = sum(one.units * (one.market.mark if not one.inverse else 1.0) for one in self.held.values())
        return float(wallet) * state.ledger.rate(market.instrument.settle) < 2.0 * worth

    def _calm(self, held: Held, state: State) -> None:
        settings, scene = self.settings, self._scene or self.revalue(state)
        equity = scene.equity if scene.blind or state.watched.gone else state.ledger.equity
        held.calm(equity, settings.max_position_loss_frac, settings.min_liquidation_distance_frac)

    def _drop(self, instrument: InstrumentId) -> None:
        if self.held.pop(instrument, None) is not None:
            self.protection.forget(instrument)

    def _stops(self, state: State, held: Held) -> Iterator[Stop]:
        """Yield what stops a position: its brackets' stops, wherever they rest, and other stops of ours.

        One on a pair that crosses stands at a price in other money than the position's. One that is being cancelled is
        on its way out.
        """
        crosses = state.ledger.rates.crosses

        def is_comparable(id_: InstrumentId) -> bool:
            return id_ == held.market.instrument.id or not crosses(state.markets[id_].instrument)

        for bracket in state.brackets.over(held.market.holding):
            stands = bracket.left and bracket.side.sign == held.sign and is_comparable(bracket.instrument)
            if bracket.stop is not None and stands:
                yield self._stop(held, bracket.stop.price, bracket.left, bracket.entry)
        for record in stops_of(state, held.market, Side.SELL if held.sign > 0 else Side.BUY):
            id_, trigger = record.order.client_order_id, record.stands_at
            counts = record.status is not OrderStatus.PENDING_CANCEL and _is_alone(state, record) and self.ours(record)
            if trigger is not None and counts and is_comparable(record.order.instrument):
                yield self._stop(held, trigger, record.remaining, id_)

    def _stop(self, held: Held, price: Decimal, quantity: Decimal, entry: ClientOrderId) -> Stop:
        """Return a stop with the price from which its exit does not wait: nearer, at most a quarter of the way."""
        trigger = float(price)
        band = min(self.settings.forced_stop_frac * trigger, QUARTER * abs(held.entry_price - trigger))
        return Stop(trigger, trigger + held.sign * band, quantity, entry)

    # --- asking -----------------------------------------------------------------------------------------------------

    def revalue(self, state: State) -> Scene:
        """See the account anew: its equity, whether that is known, and where a rule would have something to say."""
        blind = bool(state.capital.unpriced(state.ledger.unvalued)) or not state.ledger.balances
        equity = state.ledger.equity if not (blind and state.day_started) else float(state.day_start)
        equity = float(state.watched.gone) or equity  # all of it was withdrawn: that is no loss, whatever is left
        away = self.settings.forced_stop_frac
        closing = sum(held.closing(away) for held in self.held.values())
        self._scene = scene = Scene(state, state.now, equity, blind, closing)
        self.floor = 0.0 if blind else max((rule.floor(scene) for rule in self.account), default=0.0)
        return scene

    def _now(self, state: State) -> Scene:
        """Return the account as it was seen last, with the time and the equity of now."""
        scene = self._scene
        if scene is None or scene.state is not state:
            scene = self.revalue(state)
        scene.now = state.now
        if not scene.blind:
            scene.equity = float(state.watched.gone) or state.ledger.equity
        return scene

    def price(self, state: State, instrument: InstrumentId) -> list[Verdict]:
        """Judge one position after its price has moved."""
        held = self.held[instrument]
        verdicts = self._ask(self._priced, held, self._now(state))
        self._calm(held, state)
        return verdicts

    def filled(self, state: State, instrument: InstrumentId) -> list[Verdict]:
        """Judge one position after a fill, or after what stops it has changed."""
        return self._ask(self._judges[Wake.FILL], self.held[instrument], self._now(state))

    def all_verdicts(self, state: State) -> list[Verdict]:
        """Judge every position by every rule, the biggest first, and the account."""
        scene = self.revalue(state)
        chosen = sorted(self.held.values(), key=lambda held: -held.units * held.market.mark)
        judges = tuple(rule.judge for rule in self.positions)
        found = [verdict for held in chosen for verdict in self._ask(judges, held, scene)]
        return [*found, *self.account_verdicts(state)]

    def account_verdicts(self, state: State) -> list[Verdict]:
        """Judge the account."""
        scene, found = self.revalue(state), []
        for rule in self.account:
            try:
                verdict = rule.judge(scene)
            except Exception:  # task boundary: one rule that fails is none that hides the others
                log.exception("rule of the watch failed", rule=rule.name)
                continue
            if verdict is not None:
                found.append(verdict)
        return found

    def _ask(self, judges: tuple[Judge, ...], held: Held, scene: Scene) -> list[Verdict]:
        found = []
        for judge in judges:
            try:
                verdict = judge(held, scene)
            except Exception:  # task boundary: one rule that fails is none that hides the others
                log.exception("rule of the watch failed", instrument=held.instrument)
                continue
            if verdict is not None:
                found.append(verdict)
        return found

    def confirmed(self, event: e.VenueReconciled, state: State) -> None:
        """Take what a venue has confirmed."""
        self.protection.confirmed(event, state)

    # --- views ------------------------------------------------------------------------------------------------------

    def uses(self, state: State, now: Nanoseconds) -> Iterator[tuple[str, str, str, Use | None]]:
        """Yield (name, key, act, use) of every rule: the highest use of all positions, None where none uses it."""
        scene = self.revalue(state)
        scene.now = now
        for rule in self.positions:
            uses = [use for held in self.held.values() if (use := rule.use(held, scene)) is not None]
            yield rule.name, rule.key, rule.act.value, max(uses, key=lambda use: use.value / use.bound, default=None)
        daily = self.account[0]
        yield daily.name, daily.key, daily.act.value, next(daily.uses(scene), None)
        for number, (bound, factor) in enumerate(self.drawdown.steps, 1):
            act = f"hold {factor:g}" if factor else "halt"
            depth = None if scene.blind or not state.peak else max(0.0, self.drawdown.depth(scene))
            use = None if depth is None else Use(depth, bound, f"{depth:.1%}", f"{bound:.1%}")
            yield f"drawdown_{number}", self.drawdown.key, act, use


def _is_dust(market: Market, quantity: Decimal) -> bool:
    """Tell whether coins are worth less than an order: no exit could close them, so nothing is judged of them."""
    return market.kind is SPOT_PAIR and is_unsellable(market, quantity)


def _is_alone(state: State, record: OrderRecord) -> bool:
    """Tell whether a stop is no bracket's: one whose bracket is over is being taken away.

    One that was found at its venue without its entry protects what was held then.
    """
    order = record.order
    if not order.parent:
        return True
    return record.found and order.parent not in state.blotter.orders and state.brackets.find(order.parent) is None
