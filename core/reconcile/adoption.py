"""The trader's word on differences: adopt what the venue reports or keep our record; and orders taken over."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from core.domain import commands as c
from core.domain import events as e
from core.domain.differences import (
    AdoptOrder,
    DeclareFlat,
    Difference,
    DifferenceFound,
    DifferenceKind,
    DifferenceResolved,
    OrderAdopted,
    Resolution,
    ResolveDifference,
)
from core.domain.identifiers import Asset, ClientOrderId, InstrumentType
from core.domain.instrument import ZERO
from core.execution.orders import Orders
from core.outbox import Confirm, Outbox
from core.reconcile.reconcile import spot_position
from core.state.account import note_debt, set_balance, set_position
from core.state.markets import Market

NOBODY = ClientOrderId("")
FLAT = "FLAT"
"""The word that says of an instrument that nothing is held."""


def beside(outbox: Outbox, fill: e.OrderFilled) -> None:
    """Take what a fill moves beside its own pair: a fee that is a debt, coins that come or go as its price.

    Coins of which a sale was told before their purchase are not held either, whichever pair that was over. While a
    wallet is below nothing, the purchase is still to be told: what is held stays as the fills made it until then.
    """
    state = outbox.state
    if fill.fee and fill.fee_asset != state.currency:
        note_debt(outbox, fill.fee_asset, fill.fee, fill.ts)
    market = state.markets.get(fill.instrument)
    if market is None or market.kind is not InstrumentType.SPOT_PAIR:
        return
    base, wallet = market.instrument.base, state.ledger.balances.get(market.venue, {})
    if state.ledger.rates.crosses(market.instrument):
        moved: tuple[Asset, ...] = (base, market.instrument.quote)
    else:
        held, has = state.ledger.position_of(market).quantity, wallet.get(base, ZERO)
        most = has + max(state.differences.gap(market), ZERO)  # coins that wait for a word are there to be sold
        moved = (base,) if not has <= held <= most else ()
    for asset in moved:
        if wallet.get(asset, ZERO) >= ZERO:
            for event in spot_position(state, market.venue, asset, fill.ts):
                outbox.record(event)


class Adoption:
    """Number differences as they are found, and carry out what the trader says of them."""

    def __init__(self, outbox: Outbox, orders: Orders) -> None:
        self._outbox, self._orders = outbox, orders

    def handlers(self) -> dict[type, Callable[[Any], None]]:
        """Return what takes each message about differences."""
        return {
            DifferenceFound: self.found,
            ResolveDifference: self.resolve,
            AdoptOrder: self.adopt_order,
            DeclareFlat: self.declare_flat,
        }

    def found(self, event: DifferenceFound) -> None:
        """Record a difference under its number: that of what stands about the same thing, else the next."""
        differences = self._outbox.state.differences
        key = (event.kind, event.venue, event.instrument, event.asset, event.client_order_id)
        known = differences.known(key)
        number = known.number if known is not None else differences.numbered + 1
        if event.kind is DifferenceKind.FILL:
            event = self._after(event, known)
        self._outbox.record(event.replace(number=number))

    def _after(self, event: DifferenceFound, known: Difference | None) -> DifferenceFound:
        """Say what a foreign fill has made of the position; further ones add to what the first has begun."""
        ledger = self._outbox.state.ledger
        held = ledger.positions.get(self._outbox.state.markets[event.instrument].holding)
        after = held.quantity if held is not None else ZERO
        ours = known.ours if known is not None else after - (event.theirs - event.ours)
        return event.replace(ours=ours, theirs=after)

    # --- commands ---------------------------------------------------------------------------------------------------

    def resolve(self, command: ResolveDifference) -> None:
        """Carry out the trader's word on one difference or on all that wait for it."""
        differences = self._outbox.state.differences
        if command.number:
            one = differences.standing.get(command.number)
            chosen = [one] if one is not None else []
            if one is not None and command.resolution is Resolution.ADOPTED:
                chosen += differences.halves(one)
            missing = f"difference {command.number} does not stand; tradedeck reconcile lists what does"
        else:
            chosen, missing = differences.waiting, "no difference waits for a word"
        if command.resolution is Resolution.AGREES:
            chosen, missing = [], "a difference is adopted or kept; that both agree is for the venue to say"
        if not chosen:
            self._outbox.put(e.CommandRefused("reconcile", NOBODY, missing, self._outbox.state.now))
        for one in chosen:
            self._resolve(one, command)

    def _resolve(self, one: Difference, command: ResolveDifference) -> None:
        now = self._outbox.state.now
        who = command.who or command.origin or "somebody"
        reason = f"ours {plain(one.ours)}, {one.venue} reports {plain(one.theirs)}"
        if command.number and one.number != command.number:
            reason += f"; the other half of the transfer in difference {command.number}"
        if command.resolution is Resolution.ADOPTED:
            self._adopt(one, who, reason, capital=command.capital)
        self._outbox.record(DifferenceResolved(one.number, command.resolution, who, command.origin, reason, now))

    def _adopt(self, one: Difference, who: str, reason: str, *, capital: bool) -> None:
        if one.kind is DifferenceKind.POSITION:
            self._adopt_position(one, f"adopted by {who}: {reason}", capital=capital)
        elif one.kind is DifferenceKind.BALANCE:
            self._adopt_balance(one, who, reason, capital=capital)
        elif one.kind is DifferenceKind.ORDER:
            self._adopt_order(one, who)

    def _adopt_position(self, one: Difference, reason: str, *, capital: bool) -> None:
        """Put the position to ours and the gap: what we have filled since is on both sides."""
        state = self._outbox.state
        held = state.ledger.positions.get(one.instrument)
        quantity = (held.quantity if held is not None else ZERO) + one.gap
        entry = one.entry_price
        if not entry:  # a venue that reports none: ours, or what it is worth now
            mark = Decimal(repr(state.markets[one.instrument].mark))
            entry = held.entry_price if held is not None and held.quantity else mark
        event = e.PositionSet(one.instrument, quantity, entry if quantity else ZERO, reason, state.now)
        if capital:
            set_position(self._outbox, event)
        else:
            self._outbox.record(event)

    def _adopt_balance(self, one: Difference, who: str, reason: str, *, capital: bool) -> None:
        state = self._outbox.state
        total = state.ledger.balances.get(one.venue, {}).get(one.asset, ZERO) + one.gap
        word = ("deposit" if one.gap > ZERO else "withdrawal") if capital else "adopted"
        set_balance(self._outbox, e.BalanceSet(one.venue, one.asset, total, f"{word} by {who}: {reason}", state.now))
        for event in spot_position(state, one.venue, one.asset, state.now):
            self._outbox.record(event)

    def _adopt_order(self, one: Difference, who: str) -> None:
        """Take a foreign order for ours; one that our record takes for closed is cancelled where it rests."""
        state, id_ = self._outbox.state, one.client_order_id
        record = state.blotter.orders.get(id_)
        if record is not None and record.is_open:
            self._outbox.record(OrderAdopted(id_, who, state.now))
        elif record is not None:
            self._outbox.record(e.CancelSubmitted(id_, state.now))
            self._outbox.put(self._orders.guardian.approve_cancel(c.CancelOrder(id_, f"adopted by {who}", state.now)))

    def adopt_order(self, command: AdoptOrder) -> None:
        """Take a foreign order for ours; its difference is answered by that."""
        state, id_ = self._outbox.state, command.client_order_id
        record = state.blotter.open.get(id_)
        if record is None or not record.foreign:
            reason = f"order {id_} is no open order of others; tradedeck orders lists them"
            self._outbox.put(e.CommandRefused("adopt", id_, reason, state.now))
            return
        who = command.who or command.origin or "somebody"
        self._outbox.record(OrderAdopted(id_, who, state.now))
        for one in list(state.differences.standing.values()):
            if one.kind is DifferenceKind.ORDER and one.client_order_id == id_:
                event = DifferenceResolved(one.number, Resolution.ADOPTED, who, command.origin, "taken over", state.now)
                self._outbox.record(event)

    def declare_flat(self, command: DeclareFlat) -> None:
        """Take the trader's word that nothing is held of an instrument: a venue that lost an account never says so."""
        state, id_ = self._outbox.state, command.instrument
        wrong = self._not_flat(command)
        if wrong:
            self._outbox.put(e.CommandRefused("flat", NOBODY, wrong, state.now))
            return
        market, who = state.markets[id_], command.who or command.origin or "somebody"
        held, reason = self._held(market), f"nothing is held there, by the word of {who}"
        wallet = state.ledger.balances.get(market.venue, {})
        if market.kind is InstrumentType.SPOT_PAIR and wallet.get(market.instrument.base):
            base, how = market.instrument.base, f"withdrawal by {who}: " if command.capital else ""
            set_balance(self._outbox, e.BalanceSet(market.venue, base, ZERO, f"{how}{reason}", state.now))
            for event in spot_position(state, market.venue, base, state.now):
                self._outbox.record(event)
        elif held:
            self._outbox.record(e.PositionSet(market.holding, ZERO, ZERO, f"{reason}: ours {plain(held)}", state.now))
        if id_ in state.exits.flattening:
            self._outbox.record(e.FlattenEnded(id_, True, reason, state.now))
        self._outbox.put(Confirm(market.venue))  # where the word is wrong, a difference soon says so

    def _held(self, market: Market) -> Decimal:
        position = self._outbox.state.ledger.positions.get(market.holding)
        return position.quantity if position is not None else ZERO

    def _not_flat(self, command: DeclareFlat) -> str:
        """Return why the word cannot be taken, or nothing."""
        state, id_ = self._outbox.state, command.instrument
        market = state.markets.get(id_)
        if market is None:
            return f"instrument {id_} is not known here; tradedeck instruments lists what is"
        if command.word != FLAT:
            return f"that nothing is held takes the typed word {FLAT}, after a look at the venue"
        if not state.venue(market.venue).reconciled:
            return f"{market.venue} is not reconciled: what it says itself comes first"
        if any(map(self._orders.ours, state.blotter.of(id_))):
            return f"orders of ours are open in {id_}; cancel them first"
        if any(one.instrument == market.holding for one in state.differences.of(market.venue)):
            return f"{market.venue} does say what it holds of {id_}; tradedeck reconcile lists the difference"
        if not self._held(market) and id_ not in state.exits.flattening:
            return f"nothing is held of {id_}, and nothing is being closed"
        return ""


def plain(value: Decimal) -> str:
    """Return a quantity without needless zeros."""
    return f"{value.normalize():f}"
