"""One account on one venue: wallets, what orders have set aside, positions and their margin. Decimal ledger.

Cross: the wallet of a settle asset stands behind every position settled in it. Isolated: each position has its own part
of the wallet, set aside at ``notional / leverage`` when it grows and given back in proportion when it shrinks.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from core import margin
from core.domain.identifiers import Asset, InstrumentId, InstrumentType
from core.domain.instrument import ZERO, Instrument
from core.domain.message import Nanoseconds
from core.domain.order import Order, Side
from core.domain.position import Position
from core.domain.reports import BalanceReport, PositionReport
from venues.matching.liquidity import Liquidity, Offer, exact
from venues.matching.settings import MarginMode, MatchingSettings
from venues.matching.working import Working

_BUY, _SELL = Side.BUY, Side.SELL
_CENT_OF_COIN = Decimal("1e-8")


class Holding:
    """Keep one contract's position, the notional of its open orders, and what margin they need (settle asset)."""

    __slots__ = (
        "_contract_size",
        "_inverse",
        "_shaded",
        "_tiers_f",
        "bearable",
        "contract",
        "funding_due",
        "instrument",
        "isolated",
        "leverage",
        "market",
        "open",
        "position",
    )

    def __init__(self, instrument: Instrument, market: Liquidity, leverage: int) -> None:
        self.instrument = instrument
        self.market = market
        self.leverage = leverage
        self.contract = margin.Contract(instrument.brackets, instrument.contract_size, instrument.inverse)
        self.position = Position.of(instrument)
        self.isolated = ZERO
        self.open: dict[Side, Decimal] = {Side.BUY: ZERO, Side.SELL: ZERO}
        self.funding_due: Nanoseconds = 0
        tiers = instrument.brackets or margin.NO_TIERS
        self._inverse = instrument.inverse
        self._contract_size = float(instrument.contract_size)
        self._shaded = (ZERO, ZERO, 0.0, 0.0)
        """Quantity and entry price, and both in float: as long as the first two are the position's."""
        self.bearable = ZERO
        """The largest notional that every tier up to it allows at this leverage."""
        for tier in tiers:
            if tier.max_leverage < leverage:
                break
            self.bearable = tier.cap
        self._tiers_f = [(float(t.cap), float(t.maintenance_rate), float(t.cum)) for t in tiers]

    @property
    def used(self) -> bool:
        """Tell whether anything is held or set aside."""
        return bool(self.position.quantity or self.open[_BUY] or self.open[_SELL])

    @property
    def mark(self) -> Decimal:
        """Return the mark price; the entry price while nothing marks this market."""
        mark = self.market.mark
        return exact(mark) if mark else self.position.entry_price

    @property
    def value(self) -> Decimal:
        """Return the signed notional at the mark."""
        quantity = self.position.quantity
        return self.instrument.notional(quantity, self.mark) if quantity else ZERO

    @property
    def profit(self) -> Decimal:
        """Return the open profit at the mark."""
        return self.position.unrealised(self.mark)

    @property
    def maintenance(self) -> Decimal:
        """Return the maintenance margin at the mark."""
        return margin.maintenance(self.contract.brackets, abs(self.value))

    def exposure(self) -> Decimal:
        """Return the notional if every open order of one side filled, the worse side."""
        value = self.value
        return max(value + self.open[_BUY], self.open[_SELL] - value)

    def _shade(self, quantity: Decimal, price: Decimal) -> tuple[Decimal, Decimal, float, float]:
        """Take the position into float; the conversion costs more than a look at every tick may."""
        self._shaded = shaded = (quantity, price, float(quantity) * self._contract_size, float(price))
        return shaded

    def risk(self) -> tuple[float, float]:
        """Return (open profit, maintenance) at the mark, in float: the cheap look at every tick."""
        position, shaded, mark = self.position, self._shaded, self.market.mark
        if shaded[0] is not position.quantity or shaded[1] is not position.entry_price:
            shaded = self._shade(position.quantity, position.entry_price)
        _, _, units, entry = shaded
        if not mark > 0.0:
            mark = entry
        if self._inverse:
            profit, value = units * (1.0 / entry - 1.0 / mark), abs(units / mark)
        else:
            profit, value = units * (mark - entry), abs(units * mark)
        for cap, rate, cum in self._tiers_f:
            if value <= cap:
                return profit, value * rate - cum
        _, rate, cum = self._tiers_f[-1]
        return profit, value * rate - cum

    def isolate(self, side: Side, quantity: Decimal, price: Decimal, before: Decimal) -> None:
        """Move the isolated wallet along with a fill that has just been applied; ``before`` is the former quantity."""
        after = self.position.quantity
        added = quantity if side is Side.BUY else -quantity
        if not before or (before > 0) == (added > 0):
            self.isolated += self.instrument.notional(quantity, price) / self.leverage
        elif not after:
            self.isolated = ZERO
        elif (after > 0) == (before > 0):
            self.isolated = self.isolated * after / before
        else:
            self.isolated = self.instrument.notional(abs(after), price) / self.leverage


def _taken(instrument: Instrument, offers: Sequence[Offer]) -> Decimal:
    """Return the notional of what an order takes at once."""
    if len(offers) == 1:
        return instrument.notional(offers[0][0], offers[0][1])
    return sum((instrument.notional(quantity, price) for quantity, price, _ in offers), ZERO)


class Account:
    """Keep wallets and holdings; refuses what they cannot carry. Changed by the venue's own matching alone."""

    def __init__(
        self,
        balances: Mapping[Asset, Decimal],
        markets: Mapping[InstrumentId, Liquidity],
        settings: MatchingSettings,
    ) -> None:
        self.wallets: dict[Asset, Decimal] = dict(balances)
        self.locked: dict[Asset, Decimal] = {}
        self.isolated = settings.margin is MarginMode.ISOLATED
        self.holdings: dict[InstrumentId, Holding] = {}
        self.by_asset: dict[Asset, list[Holding]] = {}
        self._shaded: dict[Asset, tuple[Decimal, float]] = {}
        """Wallets in float, each as long as it is the one beside it."""
        self._spot_fee_in_quote = settings.spot_fee_in_quote
        for key, market in markets.items():
            instrument = market.instrument
            if instrument.is_derivative:
                holding = Holding(instrument, market, settings.leverages.get(key, settings.leverage))
                self.holdings[key] = holding
                self.by_asset.setdefault(instrument.settle, []).append(holding)

    # --- what is free -------------------------------------------------------------------------------------------------

    def free(self, asset: Asset) -> Decimal:
        """Return what new orders may use of a wallet: less what is set aside, plus open profit and loss when cross."""
        free = self.wallets.get(asset, ZERO) - self.locked.get(asset, ZERO)
        for holding in self.by_asset.get(asset, ()):
            if not holding.used:
                continue
            if self.isolated:
                free -= holding.isolated + (holding.exposure() - abs(holding.value)) / holding.leverage
            else:
                free += holding.profit - holding.exposure() / holding.leverage
        return free

    def refusal(
        self, order: Order, instrument: Instrument, offers: Sequence[Offer], resting: Decimal, own_lock: Decimal
    ) -> str | None:
        """Return why the account cannot carry an order that takes ``offers`` and rests ``resting``; None when it can.

        ``own_lock`` is what this order has set aside already.
        """
        holding = self.holdings.get(instrument.id)
        if holding is not None:
            if order.reduce_only or (not resting and len(offers) == 1 and self._plain(order, holding, offers[0])):
                return None
            return self._margin_refusal(order, holding, offers, resting)
        if instrument.type is InstrumentType.SPOT_PAIR:
            return self._spot_refusal(order, instrument, offers, resting, own_lock)
        return None

    def _plain(self, order: Order, holding: Holding, offer: Offer) -> bool:
        """Tell whether an order clearly passes: it only shrinks a position, or half a free wallet covers all it takes.

        Never true where the whole look would refuse; it costs a tenth of that.
        """
        opened = holding.open
        if self.isolated or opened[_BUY] or opened[_SELL]:
            return False
        instrument, held = holding.instrument, holding.position.quantity
        if held:
            if instrument.inverse or (held > ZERO) is (order.side is _BUY) or offer[0] > abs(held):
                return False
            return offer[2] <= 1.5 * holding.market.mark  # what it takes is below twice what is held
        asset = instrument.settle
        taken = instrument.notional(offer[0], offer[1])
        if taken > holding.bearable or taken + taken > self.wallets.get(asset, ZERO) or self.locked.get(asset):
            return False
        holdings = self.by_asset[asset]
        return len(holdings) == 1 or not any(other.used for other in holdings)

    def _spot_refusal(
        self, order: Order, instrument: Instrument, offers: Sequence[Offer], resting: Decimal, own_lock: Decimal
    ) -> str | None:
        if order.side is Side.SELL:
            asset, needed = instrument.base, resting + sum((offer[0] for offer in offers), ZERO)
        else:
            asset, needed = instrument.quote, sum((offer[0] * offer[1] for offer in offers), ZERO)
            needed += resting * (order.price or order.trigger or ZERO)
            if self._spot_fee_in_quote:
                needed += needed * max(instrument.taker_fee, instrument.maker_fee)
        free = self.free(asset) + own_lock
        if needed > free:
            return f"insufficient balance: needs {needed.normalize():f} {asset}, free is {free.normalize():f}"
        return None

    def _margin_refusal(self, order: Order, holding: Holding, offers: Sequence[Offer], resting: Decimal) -> str | None:
        instrument = holding.instrument
        more = taken = _taken(instrument, offers)
        if resting:
            more += instrument.notional(resting, order.price or holding.mark)
        before, after = ZERO, more
        if holding.used:
            value = holding.value
            bought, sold = value + holding.open[_BUY], holding.open[_SELL] - value
            before = bought if bought > sold else sold
            after += bought if order.side is _BUY else sold
            if after <= before:
                return None
        allowed = margin.tier_of(holding.contract.brackets, after).max_leverage
        if holding.leverage > allowed:
            return (
                f"leverage {holding.leverage}x is not allowed for a notional of {after:.2f} {instrument.settle}: "
                f"at most {allowed}x; trade less or lower the leverage"
            )
        needed = (after - before) / holding.leverage + taken * instrument.taker_fee
        free = self.free(instrument.settle)
        if needed > free:
            asset = instrument.settle
            return f"insufficient margin: needs {needed:.8f} {asset} at {holding.leverage}x, free is {free:.8f}"
        return None

    # --- set aside ----------------------------------------------------------------------------------------------------

    def reserve(self, working: Working, instrument: Instrument, active: bool) -> None:
        """Set aside what the rest of an order needs; with ``active`` false give it all back."""
        order = working.order
        spot = instrument.type is InstrumentType.SPOT_PAIR
        amount = ZERO
        price = order.price or order.trigger
        if active and spot:
            amount = working.remaining
            if order.side is Side.BUY:
                amount *= price or ZERO
                if self._spot_fee_in_quote:
                    amount += amount * max(instrument.taker_fee, instrument.maker_fee)
        elif active and not order.reduce_only and price:
            amount = instrument.notional(working.remaining, price)
        change = amount - working.locked
        if not change:
            return
        working.locked = amount
        if spot:
            asset = instrument.quote if order.side is Side.BUY else instrument.base
            self.locked[asset] = self.locked.get(asset, ZERO) + change
        elif instrument.id in self.holdings:
            self.holdings[instrument.id].open[order.side] += change

    # --- fills --------------------------------------------------------------------------------------------------------

    def fill(
        self, instrument: Instrument, side: Side, quantity: Decimal, price: Decimal, rate: Decimal, now: Nanoseconds
    ) -> tuple[Decimal, Asset]:
        """Apply a fill at fee fraction ``rate`` and return (fee, fee asset)."""
        holding = self.holdings.get(instrument.id)
        if holding is None:
            return self._fill_spot(instrument, side, quantity, price, rate)
        before = holding.position.quantity
        realised = holding.position.apply_fill(side, quantity, price, now)
        if self.isolated:
            holding.isolate(side, quantity, price, before)
        fee = (instrument.notional(quantity, price) * rate).quantize(_CENT_OF_COIN) if rate else ZERO
        self.add(instrument.settle, realised - fee)
        return fee, instrument.settle

    def _fill_spot(
        self, instrument: Instrument, side: Side, quantity: Decimal, price: Decimal, rate: Decimal
    ) -> tuple[Decimal, Asset]:
        cost = quantity * price
        in_quote = side is Side.SELL or self._spot_fee_in_quote
        fee = ((cost if in_quote else quantity) * rate).quantize(_CENT_OF_COIN)
        asset = instrument.quote if in_quote else instrument.base
        sign = side.sign
        self.add(instrument.base, sign * quantity)
        self.add(instrument.quote, -sign * cost)
        self.add(asset, -fee)
        return fee, asset

    def add(self, asset: Asset, amount: Decimal) -> None:
        """Change a wallet."""
        self.wallets[asset] = self.wallets.get(asset, ZERO) + amount

    # --- margin -------------------------------------------------------------------------------------------------------

    def backing(self, holding: Holding) -> margin.Backing:
        """Return what stands behind a position."""
        if self.isolated:
            return margin.Backing(holding.isolated)
        asset = holding.instrument.settle
        others = [other for other in self.by_asset[asset] if other is not holding and other.position.quantity]
        return margin.Backing(
            self.wallets.get(asset, ZERO),
            sum((other.maintenance for other in others), ZERO),
            sum((other.profit for other in others), ZERO),
        )

    def liquidation_price(self, holding: Holding) -> Decimal | None:
        """Return the mark price that liquidates a position; None where there is none."""
        position = holding.position
        if not position.quantity:
            return None
        side = 1 if position.quantity > 0 else -1
        return margin.liquidation_price(
            holding.contract, side, abs(position.quantity), position.entry_price, self.backing(holding)
        )

    def strained(self, asset: Asset, slack: float = 1e-9) -> bool:
        """Look, in float, whether a margin balance may be at or below maintenance."""
        if self.isolated:
            for holding in self.by_asset.get(asset, ()):
                if holding.position.quantity:
                    profit, needed = holding.risk()
                    if float(holding.isolated) + profit <= needed + slack * (1.0 + abs(needed)):
                        return True
            return False
        exact_wallet, shaded = self.wallets.get(asset, ZERO), self._shaded.get(asset)
        if shaded is None or shaded[0] is not exact_wallet:
            shaded = self._shaded[asset] = (exact_wallet, float(exact_wallet))
        wallet = balance = shaded[1]
        total = 0.0
        for holding in self.by_asset.get(asset, ()):
            if holding.position.quantity:
                profit, needed = holding.risk()
                balance += profit
                total += needed
        return balance <= total + slack * (1.0 + abs(total) + abs(wallet))

    # --- reports ------------------------------------------------------------------------------------------------------

    def position_reports(self, now: Nanoseconds) -> tuple[PositionReport, ...]:
        """Return every contract that has had a position; flat ones with quantity 0."""
        reports = []
        for holding in self.holdings.values():
            position = holding.position
            if position.updated:
                used = holding.isolated if self.isolated else abs(holding.value) / holding.leverage
                reports.append(
                    PositionReport(
                        holding.instrument.id,
                        position.quantity,
                        position.entry_price,
                        self.liquidation_price(holding),
                        used,
                        now,
                    )
                )
        return tuple(reports)

    def balance_reports(self) -> tuple[BalanceReport, ...]:
        """Return every wallet."""
        return tuple(
            BalanceReport(asset, total, max(self.free(asset), ZERO)) for asset, total in sorted(self.wallets.items())
        )
