"""What the account has lost, reckoned beside the engine from fills and prices alone, and what must be done of it."""

import math
from collections.abc import Mapping, Sequence

import msgspec

from core.config.settings import GuardianSettings
from core.domain import events as e
from core.domain import market as m
from core.domain.approval import TradingState
from core.domain.identifiers import Asset, InstrumentId, InstrumentType, VenueId, holding_of, parse_id, venue_of
from core.domain.message import Event, Nanoseconds
from core.domain.watch import GuardianActed, LossAccepted
from tests.core.kit import BTC_PERP, BTC_SPOT, BTC_USDC, ETH_BTC, ETH_PERP, ETH_SPOT
from tests.simulation.hearing import Hearing
from tests.simulation.ladder import SAME, SLACK, Ladder

DAY, POSITION = 0.05, 0.02
"""The bounds of the day's loss and of one position's, as they are in a new ``config.toml``."""
FAR = 0.05
"""A price further than this from the last is believed of two."""
DERIVATIVES = {one.id: float(one.min_size) for one in (BTC_PERP, ETH_PERP)}
USDT, USDC = Asset("USDT"), Asset("USDC")
SAME_COIN = {BTC_USDC.id: BTC_SPOT.id}
"""A second pair trades the coins of the first, which values them."""
STAND_INS = {BTC_SPOT.id: (BTC_PERP.id, BTC_USDC.id), ETH_SPOT.id: (ETH_PERP.id,)}
"""What may value a coin while its pair is silent, the first before others."""
CENT = 0.01
LEAST_COINS = 2 * float(BTC_SPOT.min_notional)
"""Coins worth less are not seen to be closed: what an order takes is judged at the dearest price known."""
CLOSING = 2 * GuardianSettings().forced_stop_frac + max(float(one.taker_fee) for one in (BTC_PERP, ETH_PERP)) + SLACK
"""What closing may be thought to cost, of what is held: the way, spread and depth up to as much, the fee."""


class Holding(msgspec.Struct):
    """What is held of one instrument: units, and what one of them cost on average."""

    units: float = 0.0
    entry: float = 0.0

    def take(self, units: float, price: float) -> float:
        """Add units (signed) at a price; return what is made by it."""
        after, made = self.units + units, 0.0
        if self.units * units < 0.0:
            closed = min(abs(units), abs(self.units)) * (1.0 if self.units > 0.0 else -1.0)
            made = closed * (price - self.entry)
        if self.units * units >= 0.0:
            self.entry = (self.entry * self.units + price * units) / after if self.units else price
        elif after * self.units < 0.0:
            self.entry = price
        self.units = after
        return made


class Losses:
    """Reckon the account's value; silent where something beside trading has moved it, or a price is missing."""

    def __init__(self, flows: Mapping[VenueId, Sequence[float]], day: float = DAY, position: float = POSITION) -> None:
        self.ladder, self.hearing = Ladder(), Hearing()
        self._day, self._position = day, position
        self._cash = 0.0
        self._flows, self._counted = flows, dict[VenueId, int]()
        """What came and went at each exchange, and how much of it is on record as capital."""
        self._wallets: dict[tuple[VenueId, Asset], float] = {}
        self._trusted = False
        """Capital came while the value was not known: what is counted from is what the record says."""
        self._held: dict[InstrumentId, Holding] = {}
        self._touch: dict[InstrumentId, tuple[float, float]] = {}
        self._newest: dict[InstrumentId, tuple[int, Nanoseconds]] = {}
        """Number and stamp of the price that counts."""
        self._doubt: dict[InstrumentId, tuple[float, float]] = {}
        """Touches far from the last, which one more has to agree with."""
        self._base = 0.0
        """What the day's loss counts from."""
        self._accepted, self._day_began = 0.0, 0
        self._sure = True

    # --- what it hears ----------------------------------------------------------------------------------------------

    def take(self, event: Event) -> str:
        """Take a record; return what is wrong with it, or nothing."""
        self._trusted = self._trusted and isinstance(event, (e.DayStarted, e.PeakRaised))
        if isinstance(event, e.OrderFilled):
            self._fill(event)
        elif isinstance(event, e.EngineStarted):
            self._touch, self._doubt = {}, {}  # what comes first is believed
        elif isinstance(event, e.BalanceSet):
            return self._capital(event)
        elif isinstance(event, e.DayStarted):
            return self._day_started(event)
        elif isinstance(event, GuardianActed):
            return self._caused(event)
        elif isinstance(event, LossAccepted):
            self._accepted += self._base - float(event.equity)
            self._base = float(event.equity)
        elif isinstance(event, (e.PositionLiquidated, e.FundingPaid)) or self._is_set(event):
            self._sure = False
        most = (self._range() or (None, None))[1]
        return self.ladder.take(event, most, most or 0.0, trusted=self._trusted)

    def _is_set(self, event: Event) -> bool:
        """Tell whether a contract's position is set; that of coins follows their wallet, and is reckoned by fills."""
        return isinstance(event, e.PositionSet) and parse_id(event.instrument).type is not InstrumentType.SPOT_ASSET

    def _capital(self, event: e.BalanceSet) -> str:
        """Count what came or went: as for a fund's units, what losses count from goes with the value."""
        wallet = (event.venue, event.asset)
        opening, known = event.reason == "opening", self._wallets.get(wallet, 0.0)
        if event.asset not in (USDT, USDC) or not (opening or event.reason.startswith(("deposit", "withdrawal"))):
            self._sure = False
            return ""
        amount = float(event.total) - known
        if not opening:
            done, all_ = self._counted.get(event.venue, 0), self._flows.get(event.venue, ())
            sums = {sum(all_[done:upto]): upto for upto in range(done + 1, len(all_) + 1)}
            flowed = min(sums, key=lambda one: abs(one - amount), default=0.0)
            if abs(flowed - amount) > CENT:
                self._sure = False
                return f"capital of {amount:.4f} is counted at {event.venue}, and {all_[done:]} has come: {event}"
            self._counted[event.venue], amount = sums[flowed], flowed
        before = self._range()
        self._wallets[wallet] = known + amount
        self._cash += amount
        if self._base:
            self._move(before, amount)
        return ""

    def _move(self, worth: tuple[float, float] | None, amount: float) -> None:
        self._trusted = worth is None or worth[1] - worth[0] > SAME / 10 * abs(worth[0])
        if worth is None or self._trusted:
            return
        before = worth[0]
        if before > 0.0 and before + amount > 0.0:
            factor = (before + amount) / before
            self._base, self._accepted = self._base * factor, self._accepted * factor
            self.ladder.moved(factor, 0.0)
        else:
            self._base += amount
            self.ladder.moved(1.0, amount)

    def _day_started(self, event: e.DayStarted) -> str:
        """Take another day; within one the record of what it counts from must be what is reckoned here."""
        base = float(event.base or event.equity)
        if event.ts != self._day_began:
            self._accepted, self._day_began, self._base = 0.0, event.ts, base
        elif self._trusted:
            before = self._base + self._accepted
            self._accepted *= base / before if event.base and before else 1.0
            self._base = base - self._accepted
        elif event.base and self._sure and abs(base / (self._base + self._accepted) - 1.0) > SAME:
            return f"capital moves a day's loss: it counts from {base:.2f}, and not {self._base + self._accepted:.2f}"
        return ""

    def _caused(self, event: GuardianActed) -> str:
        """See that what the guardian has done of itself had its cause."""
        held, worth = self._open(), self._range()
        if worth is None or worth[0] <= 0.0 or not self._base:
            return ""
        equity = worth[0]
        if event.rule == "max_daily_loss":
            lost = (self._base - equity + self._gross(held) * CLOSING) / self._base
            if lost < self._day - SLACK:
                return f"a halt without a cause: {lost:.2%} of the day is lost, with what closing costs: {event}"
        elif event.rule == "drawdown":
            return self.ladder.caused(event, equity)
        elif event.rule == "max_position_loss" and (key := SAME_COIN.get(event.instrument, event.instrument)) in held:
            loss = max(self._losses(key, held[key])) / equity
            if loss < self._position - SLACK:
                return f"an exit without a cause: {event.instrument} loses {loss:.2%} of equity: {event}"
        return ""

    def _losses(self, key: InstrumentId, one: Holding) -> list[float]:
        """Return what a holding loses at what can be had for it, where its market is silent at any other's too."""
        others = () if self.hearing.is_steady(key) else STAND_INS.get(key, ())
        judging = [key, *(other for other in others if other in self._touch)]
        side = 0 if one.units > 0 else 1
        prices = [self._touch[at][side] for at in judging]
        odd = self._doubt.get(key)
        if odd is not None and abs(odd[side] / self._mid(key) - 1.0) <= FAR:  # one side is near
            prices.append(odd[side])
        return [one.units * (one.entry - price) for price in prices]

    def _fill(self, fill: e.OrderFilled) -> None:
        sign, quantity, price = fill.side.sign, float(fill.quantity), float(fill.price)
        if fill.instrument == ETH_BTC.id:
            self._swap(sign * quantity, price, float(fill.fee), fill.fee_asset)
            return
        money, fee = (USDC if fill.instrument in SAME_COIN else USDT), float(fill.fee)
        self._cash -= sign * quantity * price + (fee if fill.fee_asset == money else 0.0)
        units = sign * quantity - (fee if fill.fee_asset != money else 0.0)
        held = SAME_COIN.get(fill.instrument, fill.instrument)
        made = self._held.setdefault(held, Holding()).take(units, price)
        wallet, paid = (venue_of(fill.instrument), money), fee if fill.fee_asset == money else 0.0
        made = made if fill.instrument in DERIVATIVES else -sign * quantity * price
        self._wallets[wallet] = self._wallets.get(wallet, 0.0) + made - paid

    def _swap(self, bought: float, price: float, fee: float, fee_asset: Asset) -> None:
        """Move coins, each at what it is worth now: no money comes or goes."""
        for pair, units in ((ETH_SPOT, bought), (BTC_SPOT, -bought * price)):
            worth = self._mid(pair.id) if pair.id in self._touch else math.nan
            self._held.setdefault(pair.id, Holding()).take(units - (fee if fee_asset == pair.base else 0.0), worth)

    def entry_of(self, pair: InstrumentId) -> float:
        """Return what one of the coins held cost on average; no number where that is not known."""
        held = self._held.get(pair)
        return held.entry if held is not None and held.units * held.entry > LEAST_COINS else math.nan

    def price(self, quote: m.Quote) -> None:
        """Take a price that is one, unless a newer one has overtaken it on its way: by its number and by its stamp."""
        number, stamp = self._newest.get(quote.instrument, (0, 0))
        if quote.ts_exchange > stamp:
            self.hearing.heard(quote.instrument)
        if quote.update_id < number and quote.ts_exchange < stamp:
            return
        self._newest[quote.instrument] = (quote.update_id, quote.ts_exchange)
        is_news = (quote.update_id, quote.ts_exchange) != (number, stamp)  # overtaken on its way is another word still
        self._believe(quote.instrument, (quote.bid, quote.ask), is_news)

    def _believe(self, key: InstrumentId, touch: tuple[float, float], is_news: bool) -> None:
        """Take a touch near the last one; one more than 5 % away when a second has gone the same way: the nearer."""
        if key not in self._touch or abs(sum(touch) / 2 / self._mid(key) - 1.0) <= FAR:
            self._touch[key] = touch
            self._doubt.pop(key, None)
        elif is_news:
            before, up = self._doubt.pop(key, None), touch > self._touch[key]
            if before is None or (before > self._touch[key]) is not up:
                self._doubt[key] = touch
            else:
                self._touch[key] = min(before, touch) if up else max(before, touch)

    # --- what it is worth -------------------------------------------------------------------------------------------

    def _open(self) -> dict[InstrumentId, Holding]:
        return {key: one for key, one in self._held.items() if abs(one.units) > 1e-9}

    def value(self) -> float | None:
        """Return the account's value at the mids of what values each coin as a rule, or None where it is not known."""
        held = self._open()
        if not self._sure or any(key not in self._touch for key in held):
            return None
        return self._cash + sum(one.units * self._mid(key) for key, one in held.items())

    def _range(self) -> tuple[float, float] | None:
        """Return the least and the most that it may be taken for: a coin is valued by another market in a silence."""
        value = least = most = self.value()
        if value is None or least is None or most is None:
            return None
        for pair in STAND_INS:
            if pair in self._held and pair in self._touch:
                units = self._held[pair].units
                off = [units * (self._mid(one) - self._mid(pair)) for one in self._valuing(pair)]
                least, most = least + min(off), most + max(off)
        return least, most

    def _valuing(self, pair: InstrumentId) -> list[InstrumentId]:
        """Return what may value a coin now: its pair; in a silence what stands in; around its ends one or the other."""
        hearing, others = self.hearing, STAND_INS[pair]
        if hearing.is_steady(pair):
            return [pair]
        if hearing.is_silent(pair) and hearing.is_steady(others[0]) and others[0] in self._touch:
            return [others[0]]
        return [pair, *(one for one in others if one in self._touch)]

    def _mid(self, key: InstrumentId) -> float:
        return sum(self._touch[key]) / 2

    def _gross(self, held: Mapping[InstrumentId, Holding]) -> float:
        return sum(abs(one.units) * self._mid(key) for key, one in held.items())

    def _is_left(
        self,
        key: InstrumentId,
        held: Mapping[InstrumentId, Holding],
        closing: Mapping[InstrumentId, e.FlattenStarted],
    ) -> bool:
        """Tell whether a derivative is held, and neither closed nor reduced."""
        smallest = DERIVATIVES.get(key)
        return smallest is not None and abs(held[key].units) >= smallest - 1e-9 and key not in closing

    def _is_small(self, key: InstrumentId, one: Holding) -> bool:
        """Tell whether no order can close it: of coins none that is worth less than the least one."""
        smallest = DERIVATIVES.get(key)
        if smallest is None:
            return one.units * min(self._touch[key][0], *(self._mid(at) for at in self._valuing(key))) < LEAST_COINS
        return abs(one.units) < smallest - 1e-9

    def _is_being_closed(self, key: InstrumentId, closing: Mapping[InstrumentId, e.FlattenStarted]) -> bool:
        """Tell whether all of it is being closed: of coins over any pair."""
        return any(holding_of(id_) == holding_of(key) and not begun.target for id_, begun in closing.items())

    # --- what must be -----------------------------------------------------------------------------------------------

    def look(self, trading: TradingState, closing: Mapping[InstrumentId, e.FlattenStarted]) -> str:
        """Return what the watch has left undone behind a look of its own, or nothing."""
        held, worth = self._open(), self._range()
        if not held or worth is None or not self._base:
            return ""
        equity = worth[1]
        undone = self.ladder.look(
            equity, self._gross(held), trading, [key for key in held if self._is_left(key, held, closing)]
        )
        if undone:
            return undone
        lost = (self._base - equity) / self._base
        if lost > self._day + SLACK and trading is not TradingState.HALTED:
            return f"invariant 10: the day's loss is {lost:.2%}, and trading is {trading}"
        for key, one in held.items():
            if self._is_small(key, one) or self._is_being_closed(key, closing):
                continue
            if lost > self._day + SLACK:
                return f"invariant 10: the day's loss is {lost:.2%}, and {key} is not being closed"
            loss = min(self._losses(key, one)) / equity if equity > 0 else 1.0
            if loss > self._position + SLACK:
                return f"invariant 10: {key} loses {loss:.2%} of equity and is not being closed"
        return ""
