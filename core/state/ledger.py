"""The money: balances, positions and what they are worth. Decimal ledger, float shadows for risk.

``equity`` is a float that moves with every mark by ``exposure * change``, and with a fill of a linear contract by what
the fill earned. Every other event and the timer recompute it from the Decimal ledger, so that no drift can build up.
"""

from decimal import Decimal

from core.domain.events import BalanceSet, FundingPaid, OrderFilled, PositionLiquidated, PositionSet
from core.domain.identifiers import BETS, Asset, InstrumentId, InstrumentType, VenueId
from core.domain.instrument import ZERO
from core.domain.message import Nanoseconds
from core.domain.order import Side
from core.domain.position import BetPosition, Position
from core.state.markets import Market, Markets
from core.state.rates import Rates

_SPOT, _ASSET = InstrumentType.SPOT_PAIR, InstrumentType.SPOT_ASSET


class Ledger:
    """Keep balances by venue and asset, positions by held instrument, and their value in the reporting currency."""

    def __init__(self, markets: Markets, currency: Asset) -> None:
        self.currency = currency
        self.balances: dict[VenueId, dict[Asset, Decimal]] = {}
        self.positions: dict[InstrumentId, Position] = {}
        self.bets: dict[tuple[InstrumentId, str], BetPosition] = {}
        self.equity = 0.0
        self.unvalued: set[str] = set()
        """Assets and positions without a price yet: equity is incomplete while there is one."""
        self._markets = markets
        self.rates = Rates(markets, currency)
        self.rate = self.rates.rate
        """Returns the price of an asset in the reporting currency; 0 where nothing marks it yet."""

    # --- events -----------------------------------------------------------------------------------------------------

    def fill(self, event: OrderFilled) -> None:
        """Apply a fill to position and balances; the caller has made sure that it is new."""
        market = self._markets.get(event.instrument)
        if market is None:
            raise KeyError(f"fill for an instrument that is not defined: {event.instrument}")
        kind, instrument = market.kind, market.instrument
        if kind in BETS:
            self._fill_bet(event)
        elif kind is _SPOT:
            self._fill_spot(event, market)
        elif event.fee_asset == self.currency == instrument.settle and not instrument.inverse:
            self._fill_linear(event, market)
            return
        else:
            self._fill_contract(event, market)
        self.revalue()

    def _fill_linear(self, event: OrderFilled, market: Market) -> None:
        """Fill a linear contract settled in the reporting currency: it earns the way from its price to the mark."""
        position, fee = self.positions.get(market.holding), event.fee
        if position is None or not position.quantity:
            position = self.position_of(market)
        side, quantity, price = event.side, event.quantity, event.price
        counted = position.entry_price or not position.quantity
        realised = position.apply_fill(side, quantity, price, event.ts)
        position.fees += fee
        self._add(market.venue, self.currency, realised - fee)
        mark = market.mark
        if self.unvalued or mark <= 0.0 or not counted:
            self.revalue()
            return
        units = float(quantity) * market.contract_size * side.sign
        market.exposure += units
        self.equity += units * (mark - float(price)) - float(fee)

    def _fill_contract(self, event: OrderFilled, market: Market) -> None:
        position = self.position_of(market)
        realised = position.apply_fill(event.side, event.quantity, event.price, event.ts)
        self._add(market.venue, market.instrument.settle, realised)
        self._fee(event, market, position)

    def _fill_spot(self, event: OrderFilled, market: Market) -> None:
        position, instrument = self.position_of(market), market.instrument
        change = event.quantity if event.side is Side.BUY else -event.quantity
        if not self.rates.crosses(instrument):
            position.apply_fill(event.side, event.quantity, event.price, event.ts)
        elif position.quantity >= ZERO and (change < ZERO or not position.quantity):
            there = self.balances.get(market.venue, {}).get(instrument.base, ZERO) + change
            left = max(position.quantity + change, ZERO)
            if there >= ZERO:  # below it not all is told yet
                left = min(left, there)
            position.move(left - position.quantity, event.ts)  # what joins others is entered behind the fill
        self._add(market.venue, instrument.base, change)
        self._add(market.venue, instrument.quote, -change * event.price, event.ts)
        self._fee(event, market, position)

    def _fill_bet(self, event: OrderFilled) -> None:
        key = (event.instrument, "")
        bet = self.bets.get(key) or self.bets.setdefault(key, BetPosition(event.instrument, ""))
        bet.apply_fill(event.side, event.quantity, event.price, event.ts)

    def _fee(self, event: OrderFilled, market: Market, position: Position) -> None:
        if not event.fee:
            return
        instrument = market.instrument
        own = event.fee_asset == instrument.base and not instrument.inverse
        crosses = self.rates.crosses(instrument)
        if own and market.kind is InstrumentType.SPOT_PAIR:
            self._add(market.venue, event.fee_asset, -event.fee)
            position.quantity -= ZERO if crosses else event.fee  # there an event behind the fill follows the wallet
        else:
            self._add(market.venue, event.fee_asset, -event.fee, event.ts)
        if own and not crosses:
            position.fees += event.fee * event.price
        else:
            position.charge(event.fee_asset, event.fee)

    def funding(self, event: FundingPaid) -> None:
        """Apply a funding payment."""
        market = self._markets[event.instrument]
        self.position_of(market).funding += event.amount
        self._add(market.venue, event.asset, event.amount)
        self.revalue()

    def liquidated(self, event: PositionLiquidated) -> None:
        """Apply the fee of a forced close; its fill has come apart."""
        market = self._markets[event.instrument]
        self.position_of(market).charge(event.fee_asset, event.fee)
        self._add(market.venue, event.fee_asset, -event.fee)
        self.revalue()

    def set_balance(self, event: BalanceSet) -> None:
        """Put a wallet to what the venue reports."""
        self.balances.setdefault(event.venue, {})[event.asset] = event.total
        self.revalue()

    def set_position(self, event: PositionSet) -> None:
        """Put a position to what the venue reports."""
        market = self._markets.get(event.instrument) or self._markets.holding(event.instrument)
        if market is None:
            raise KeyError(f"position in what is not defined: {event.instrument}")
        position = self.position_of(market)
        if not position.quantity:
            position.opened = event.ts
        position.quantity, position.entry_price, position.updated = event.quantity, event.entry_price, event.ts
        self.revalue()

    def position_of(self, market: Market) -> Position:
        """Return the position a market trades into, flat if there was none."""
        position = self.positions.get(market.holding)
        if position is None:
            position = self.positions[market.holding] = Position.of(market.instrument)
            if self.rates.crosses(market.instrument):
                position.settle = self.currency
        elif not position.quantity and market.kind is not _SPOT:  # a coin's terms are the same over every pair
            position.retake(market.instrument)
        return position

    def _add(self, venue: VenueId, asset: Asset, amount: Decimal, spent: Nanoseconds = 0) -> None:
        """Add to a wallet; coins ``spent`` then, for a price or a fee, leave what is held outright.

        What came is entered at its mark, by an event of its own.
        """
        wallet = self.balances.get(venue)
        if wallet is None:
            wallet = self.balances[venue] = {}
        wallet[asset] = wallet.get(asset, ZERO) + amount
        held = self.positions.get(InstrumentId(f"{venue}:{_ASSET}:{asset}")) if spent and amount < ZERO else None
        if held is not None and held.quantity > ZERO:
            held.move(max(amount, -held.quantity), spent)

    def held(self, asset: Asset) -> Decimal:
        """Return what all wallets hold of an asset."""
        return sum((wallet.get(asset, ZERO) for wallet in self.balances.values()), ZERO)

    # --- value ------------------------------------------------------------------------------------------------------

    def stale(self, now: Nanoseconds, bound: Nanoseconds) -> tuple[float, Asset, Nanoseconds]:
        """Return what wallets hold at rates older than ``bound`` (reporting currency); the oldest's asset and age."""
        worth, oldest, age = 0.0, Asset(""), 0
        for asset, source in self.rates.sources.items():
            quiet = source.quiet(now)
            if quiet > bound:
                value = abs(float(self.held(asset))) * source.mark
                worth += value
                if value and quiet > age:
                    oldest, age = asset, quiet
        return worth, oldest, age

    def renew(self, now: Nanoseconds) -> None:
        """Choose anew what values each asset, and recompute all."""
        self.rates.choose(now)
        self.revalue()

    def revalue(self) -> None:
        """Recompute equity and every market's exposure from the Decimal ledger."""
        for market in self._markets.values():
            market.exposure = 0.0
            market.nonlinear = False
        self.unvalued.clear()
        equity = 0.0
        for wallet in self.balances.values():
            for asset, amount in wallet.items():
                if amount:
                    rate = self.rate(asset)
                    if not rate:
                        self.unvalued.add(asset)
                    equity += float(amount) * rate
                    self._expose(asset, float(amount))
        for position in self.positions.values():
            if position.quantity:
                equity += self._open_profit(position)
        self.equity = equity

    def _expose(self, asset: Asset, amount: float) -> None:
        source = self.rates.sources.get(asset)
        if source is not None:
            source.exposure += amount

    def _open_profit(self, position: Position) -> float:
        market = self._markets.get(position.instrument)
        if market is None:  # a SPOT_ASSET is valued through its wallet
            return 0.0
        if market.mark <= 0:
            self.unvalued.add(position.instrument)
            return 0.0
        profit = self.unrealised(position, market)
        if not self.rate(position.settle):
            self.unvalued.add(position.settle)
        if not position.entry_price:  # its first mark will be: until then no price earns it anything
            return 0.0
        if position.inverse or position.settle != self.currency:  # the rate moves too: equity is recomputed
            market.nonlinear = True
            self._expose(position.settle, profit)
            source = self.rates.sources.get(position.settle)
            if source is not None:
                source.nonlinear = True
        else:
            market.exposure += float(position.quantity * position.contract_size) * self.rate(position.settle)
        return profit * self.rate(position.settle)

    def unrealised(self, position: Position, market: Market) -> float:
        """Return a contract's open profit in its settle asset, at the market's mark."""
        quantity, entry, size = float(position.quantity), float(position.entry_price), float(position.contract_size)
        if not quantity or market.mark <= 0 or entry <= 0:
            return 0.0
        if position.inverse:
            return quantity * size * (1.0 / entry - 1.0 / market.mark)
        return quantity * size * (market.mark - entry)

    def mark_of(self, held: InstrumentId) -> Market | None:
        """Return the market that marks a held instrument: its own, or for a SPOT_ASSET a pair's that has a price.

        Of several pairs it is chosen as what values an asset is (``Rates``): one that crosses only where there is no
        other, so that its coins can be sold.
        """
        return self._markets.get(held) or self.rates.marking(held) or self._markets.holding(held)

    def notional(self, position: Position) -> float:
        """Return a position's signed value in the reporting currency."""
        market = self.mark_of(position.instrument)
        if market is None or market.mark <= 0:
            return 0.0
        quantity = float(position.quantity * position.contract_size)
        if position.inverse:
            return quantity / market.mark * self.rate(position.settle)
        return quantity * market.mark * self.rate(market.instrument.quote)

    def exposure(self) -> tuple[float, float]:
        """Return (gross, net) exposure in the reporting currency."""
        gross = net = 0.0
        for position in self.positions.values():
            if position.quantity:
                value = self.notional(position)
                gross += abs(value)
                net += value
        return gross, net

    def open_profit(self) -> float:
        """Return the unrealised profit of all positions, in the reporting currency."""
        total = 0.0
        for position in self.positions.values():
            market = self.mark_of(position.instrument) if position.quantity else None
            if market is not None:
                total += self.unrealised(position, market) * self.rate(position.settle)
        return total

    def totals(self) -> tuple[Decimal, Decimal, Decimal]:
        """Return (realised, fees, funding) of all positions in the reporting currency."""
        realised = fees = funding = ZERO
        for position in self.positions.values():
            rate = Decimal(repr(self.rate(position.settle)))
            realised += position.realised * rate
            fees += self.rates.fees(position) * rate
            funding += position.funding * rate
        return realised, fees, funding
