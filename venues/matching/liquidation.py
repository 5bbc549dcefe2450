"""What margin does by itself: forced closing on the mark price, and funding at its stamps.

When a margin balance is at or below maintenance (the tier at that mark), open orders on the asset's contracts are
cancelled and positions are closed, the one with the largest maintenance first, until the rest is covered. A position
closes at the mark, at worst at its bankruptcy price: what is beyond is the venue's loss. The clearance fee is
``liquidation_fee`` of the notional and never more than what is left; an isolated position loses its whole own wallet.
"""

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from core import margin
from core.domain.events import OrderFilled
from core.domain.identifiers import Asset, ClientOrderId, FillId, VenueOrderId
from core.domain.instrument import ZERO
from core.domain.message import Nanoseconds
from core.domain.order import Liquidity as FillSide
from core.domain.order import OrderStatus, Side
from venues.matching.account import Holding
from venues.matching.floor import Floor
from venues.matching.listing import Listing


class Liquidator:
    """Close what margin no longer carries, and pay funding."""

    def __init__(self, floor: Floor) -> None:
        self._floor = floor
        self._account = floor.account

    # --- forced closing -----------------------------------------------------------------------------------------------

    def marked(self, listing: Listing) -> None:
        """Look at the margin behind a listing's position after its mark moved."""
        holding = listing.holding
        if holding is None or not holding.position.quantity:
            return
        asset = listing.instrument.settle
        if not self._account.strained(asset):
            return
        if self._account.isolated:
            self._close_isolated(asset)
        else:
            self._close_cross(asset)

    def _close_isolated(self, asset: Asset) -> None:
        for holding in self._account.by_asset[asset]:
            if holding.position.quantity and holding.isolated + holding.profit <= holding.maintenance:
                self._cancel_orders(holding)
                self._close(holding, holding.isolated)

    def _close_cross(self, asset: Asset) -> None:
        account = self._account
        cancelled = False
        while True:
            held = [holding for holding in account.by_asset[asset] if holding.position.quantity]
            balance = account.wallets.get(asset, ZERO) + sum((holding.profit for holding in held), ZERO)
            if not held or balance > sum((holding.maintenance for holding in held), ZERO):
                return
            if not cancelled:
                for holding in account.by_asset[asset]:
                    self._cancel_orders(holding)
                cancelled = True
            worst = max(held, key=lambda holding: (holding.maintenance, holding.instrument.id))
            self._close(worst, balance - worst.profit)

    def _cancel_orders(self, holding: Holding) -> None:
        listing = self._floor.listings[holding.instrument.id]
        for working in listing.open_orders():
            self._floor.end(working, listing, OrderStatus.CANCELLED, "liquidation")

    def _close(self, holding: Holding, backing: Decimal) -> None:
        """Close a position; ``backing`` is what stands behind it before its own profit."""
        floor, instrument, position = self._floor, holding.instrument, holding.position
        quantity, isolated = position.quantity, self._account.isolated
        price = self._price(holding, backing)
        left = backing + position.unrealised(price)
        size, side = abs(quantity), Side.SELL if quantity > 0 else Side.BUY
        self._account.fill(instrument, side, size, price, ZERO, floor.now)
        clearance = instrument.notional(size, price) * instrument.liquidation_fee
        fee = max(ZERO, left if isolated else min(clearance, left))
        self._account.add(instrument.settle, -fee)
        number = f"{floor.id_prefix}L{floor.count('fill')}"
        fill = OrderFilled(
            ClientOrderId(""),
            FillId(number),
            instrument.id,
            side,
            size,
            price,
            ZERO,
            instrument.settle,
            FillSide.TAKER,
            VenueOrderId(number),
            floor.now,
            floor.now,
        )
        floor.fills.append(fill)
        floor.bookings.append(floor.answers.liquidated(fill, quantity, fee, floor.now))
        floor.answers.filled(fill, floor.now)
        floor.settle(floor.listings[instrument.id])

    def _price(self, holding: Holding, backing: Decimal) -> Decimal:
        """Return the mark on the tick, or the bankruptcy price where the mark is beyond it."""
        position, instrument = holding.position, holding.instrument
        long = position.quantity > 0
        price = instrument.quantise_price(holding.mark)
        bankrupt = margin.bankruptcy_price(
            holding.contract, 1 if long else -1, abs(position.quantity), position.entry_price, backing
        )
        if bankrupt is not None and (price < bankrupt if long else price > bankrupt):
            return instrument.quantise_price(bankrupt, ROUND_CEILING if long else ROUND_FLOOR)
        return max(price, instrument.tick_size)

    # --- funding ------------------------------------------------------------------------------------------------------

    def schedule(self, holding: Holding) -> Nanoseconds:
        """Return the next funding stamp of an open position: the feed's, else the next multiple of the interval."""
        now, market = self._floor.now, holding.market
        if market.next_funding > now:
            return market.next_funding
        interval = holding.instrument.funding_interval_ns
        return (now // interval + 1) * interval if interval else 0

    def fund(self, holding: Holding) -> None:
        """Pay funding at a stamp, at the feed's rate; without a rate nothing is paid."""
        quantity, market = holding.position.quantity, holding.market
        rate = Decimal(repr(market.funding_rate))
        mark = holding.mark
        amount = margin.funding_payment(holding.contract, 1 if quantity > 0 else -1, abs(quantity), mark, rate)
        holding.funding_due = 0
        if not amount:
            return
        floor, asset = self._floor, holding.instrument.settle
        self._account.add(asset, amount)
        holding.isolated += amount if self._account.isolated else ZERO
        number = FillId(f"{floor.id_prefix}F{floor.count('fill')}")
        paid = floor.answers.funded(holding.instrument.id, asset, amount, (rate, mark), number, floor.now)
        floor.bookings.append(paid)
        self.marked(floor.listings[holding.instrument.id])
