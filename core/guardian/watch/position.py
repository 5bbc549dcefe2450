"""Rules of one position: its stop, its loss, its age, its price and its distance from liquidation."""

from collections.abc import Mapping
from decimal import Decimal

from core import margin
from core.config.settings import GuardianSettings
from core.domain.identifiers import InstrumentId, StrategyId, symbol_of
from core.domain.instrument import ZERO
from core.domain.market import Health
from core.domain.message import Nanoseconds
from core.guardian.backing import backing_of
from core.guardian.watch.rule import ROUNDING, SECOND_NS, Act, Held, PositionRule, Scene, Use, Verdict, Wake
from core.margin import Contract
from core.state.markets import Market
from core.state.state import State

_UNFIT = frozenset({Health.GAP, Health.CROSSED, Health.DOWN})
QUARTER = 0.25
"""The forced exit goes at most this part of the way from entry to stop."""
MARGIN = 1.05
"""A position that is too near to its liquidation is reduced until it is this much further than the bound."""
ANY = "*"


class ForcedStop(PositionRule):
    """A price that has all but reached a stop does not wait for the touch."""

    name = "forced_stop"
    key = "forced_stop_frac"

    def judge(self, held: Held, scene: Scene) -> Verdict | None:
        """Return that what the stop covers is to be closed, or None."""
        if held.nearest == 0.0:
            return None
        price, sign = held.price(), held.sign
        if price <= 0.0 or (price - held.nearest) * sign > 0.0:
            return None
        first = max(held.stops, key=lambda stop: stop.near * sign)  # one after the other: each is closed once
        left = held.market.instrument.floor_size(max(held.quantity - first.quantity, ZERO))
        text = (
            f"{symbol_of(held.instrument)} at {price:,.10g} is within {abs(first.near - first.trigger):.4g} of its stop"
        )
        return Verdict(
            self.name,
            self.key,
            self.act,
            price,
            first.near,
            f"{text} {first.trigger:,.10g}",
            held.instrument,
            left if left >= held.market.instrument.min_size else ZERO,
            first.entry,
        )

    def use(self, held: Held, scene: Scene) -> Use | None:
        """Return how much of the way from entry to where the exit leaves is used."""
        price = held.price()
        way = (held.entry_price - held.nearest) * held.sign
        if held.nearest == 0.0 or price <= 0.0 or way <= 0.0:
            return None
        return Use(
            max(0.0, (held.entry_price - price) * held.sign / way), 1.0, f"{price:,.10g}", f"{held.nearest:,.10g}"
        )


class PositionLoss(PositionRule):
    """One position may lose so much of equity and no more, at what can be had for it."""

    name = "max_position_loss"
    key = "max_position_loss_frac"

    def judge(self, held: Held, scene: Scene) -> Verdict | None:
        """Return that the position is to be closed, or None."""
        loss, equity, bound = held.loss(held.price()), scene.equity, self.settings.max_position_loss_frac
        if loss <= 0.0 or loss < (bound - ROUNDING) * equity or (scene.blind and equity <= 0.0):
            return None  # nothing known of the account yet is no account of nothing
        share = loss / equity if equity > 0.0 else 1.0
        text = f"{symbol_of(held.instrument)} loses {loss:,.2f}, {share:.2%} of equity (bound {bound:.2%})"
        return self.verdict(held, share, bound, text)

    def use(self, held: Held, scene: Scene) -> Use | None:
        """Return the loss as a fraction of equity."""
        if scene.equity <= 0.0:
            return None
        bound = self.settings.max_position_loss_frac
        share = max(0.0, held.loss(held.price()) / scene.equity)
        return Use(share, bound, f"{share:.1%}", f"{bound:.1%}")


class Age(PositionRule):
    """A position that was to be short is closed when it has become old."""

    name = "max_age"
    key = "max_age_s"
    wakes = Wake.TIMER

    def __init__(self, settings: GuardianSettings, horizons: Mapping[StrategyId, str]) -> None:
        super().__init__(settings)
        self._horizons = horizons

    def judge(self, held: Held, scene: Scene) -> Verdict | None:
        """Return that the position is to be closed, or None."""
        bound = self._bound(held, scene.state)
        age = (scene.now - held.opened) / SECOND_NS
        if bound is None or not held.opened or age < bound:
            return None
        return self.verdict(
            held, age, bound, f"{symbol_of(held.instrument)} is {age:,.0f} s old (bound {bound:,.0f} s)"
        )

    def use(self, held: Held, scene: Scene) -> Use | None:
        """Return the age."""
        bound, age = self._bound(held, scene.state), (scene.now - held.opened) / SECOND_NS
        return Use(age, bound, f"{age:,.0f} s", f"{bound:,.0f} s") if bound is not None and held.opened else None

    def _bound(self, held: Held, state: State) -> float | None:
        """Return the strictest age that holds for a position."""
        ages = self.settings.max_age_s
        owners = state.watched.owners.get(held.market.holding, ())
        names = [ANY, *owners, *(self._horizons.get(owner, "") for owner in owners)]
        return min((ages[name] for name in names if name in ages), default=None)


class Stale(PositionRule):
    """What is held on a price that nobody believes is closed, or at least said."""

    name = "stale_act_after"
    key = "stale_act_after_s"
    wakes = Wake.TIMER

    def __init__(self, settings: GuardianSettings) -> None:
        super().__init__(settings)
        self._bound = int(settings.stale_act_after_s * SECOND_NS)
        self.act = Act.EXIT if settings.stale_policy == "exit" else Act.HOLD
        self._unfit: dict[InstrumentId, Nanoseconds] = {}
        """Since when a feed has delivered what no decision may use."""
        self._told: set[InstrumentId] = set()

    def judge(self, held: Held, scene: Scene) -> Verdict | None:
        """Return what the policy says, once an episode where it is to hold, or None."""
        silent = self.silence(held.market, scene.now)
        if silent < self._bound:
            self._told.discard(held.instrument)
            return None
        if self.act is Act.HOLD and held.instrument in self._told:
            return None
        self._told.add(held.instrument)
        seconds, bound = silent / SECOND_NS, self._bound / SECOND_NS
        text = f"{symbol_of(held.instrument)} has had no sound price for {seconds:,.0f} s (bound {bound:,.0f} s)"
        text += "; closed on the last price known" if self.act is Act.EXIT else "; held (stale_policy)"
        return self.verdict(held, seconds, bound, text)

    def silence(self, market: Market, now: Nanoseconds) -> Nanoseconds:
        """Return for how long a feed has been unfit: nothing new, a stuck stamp, a gap or a crossed book."""
        id_ = market.instrument.id
        age = max(market.age(now) or 0, 0)
        if market.moved:
            age = max(age, now - market.moved)
        if market.ts and market.health not in _UNFIT and not market.ahead:
            self._unfit.pop(id_, None)
            return age
        return max(age, now - self._unfit.setdefault(id_, now))

    def use(self, held: Held, scene: Scene) -> Use | None:
        """Return the age of the price."""
        seconds, bound = self.silence(held.market, scene.now) / SECOND_NS, self._bound / SECOND_NS
        return Use(seconds, bound, f"{seconds:,.1f} s", f"{bound:,.0f} s")


class LiquidationDistance(PositionRule):
    """The mark stays this far from where the venue would close by force."""

    name = "min_liquidation_distance"
    key = "min_liquidation_distance_frac"
    act = Act.REDUCE

    def judge(self, held: Held, scene: Scene) -> Verdict | None:
        """Return how much may be left of the position, or None."""
        bound, mark = self.settings.min_liquidation_distance_frac, held.market.mark
        if held.liquidation <= 0.0 or mark <= 0.0:
            return None
        distance = (mark - held.liquidation) * held.sign / mark
        if distance >= bound - ROUNDING:
            return None
        name = symbol_of(held.instrument)
        text = (
            f"{name}: mark {mark:,.10g} is {distance:.2%} from liquidation {held.liquidation:,.10g} (bound {bound:.2%})"
        )
        target = _safe_quantity(scene.state, held, bound * MARGIN)
        return Verdict(self.name, self.key, self.act, distance, bound, text, held.instrument, target)

    def use(self, held: Held, scene: Scene) -> Use | None:
        """Return the distance; nearer than the bound is more than all of it used."""
        bound, mark = self.settings.min_liquidation_distance_frac, held.market.mark
        price = held.liquidation or liquidation(scene.state, held.market, held.quantity * held.sign)
        if price <= 0.0 or mark <= 0.0:
            return None
        distance = (mark - price) * held.sign / mark
        return Use(bound / distance if distance > 0.0 else 2.0, 1.0, f"{distance:.1%}", f"{bound:.1%}")


def _safe_quantity(state: State, held: Held, distance: float) -> Decimal:
    """Return the largest quantity whose liquidation is far enough from the mark, found by halving."""
    low, high, instrument = ZERO, held.quantity, held.market.instrument
    for _ in range(20):
        middle = (low + high) / 2
        price = liquidation(state, held.market, middle * held.sign)
        near = price > 0.0 and (held.market.mark - price) * held.sign / held.market.mark < distance
        low, high = (low, middle) if near else (middle, high)
    target = instrument.floor_size(low)
    return target if target >= instrument.min_size else ZERO


def liquidation(state: State, market: Market, quantity: Decimal) -> float:
    """Return the mark price that liquidates ``quantity`` (signed) of what is held now, the rest sold at the mark.

    0.0 where none would, or where the entry is not known. Cross margin: the venue's wallet of the settle asset stands
    behind all of its positions.
    """
    instrument, position = market.instrument, state.ledger.positions.get(market.holding)
    if position is None or not quantity or not instrument.is_derivative or market.mark <= 0.0:
        return 0.0
    if not position.entry_price:
        return 0.0  # found before it had a price: its loss is counted from its first, which comes with the timer
    mark = Decimal(repr(market.mark))
    wallet = state.ledger.balances.get(market.venue, {}).get(instrument.settle)
    if wallet is None:  # not told yet: an account of nothing would be liquidated at once
        return 0.0
    wallet += position.profit(position.quantity - quantity, position.entry_price, mark)
    contract = Contract(instrument.brackets, instrument.contract_size, instrument.inverse)
    side, backing = 1 if quantity > 0 else -1, backing_of(state, market, wallet)
    found = margin.liquidation_price(contract, side, abs(quantity), position.entry_price, backing)
    return float(found) if found is not None else 0.0
