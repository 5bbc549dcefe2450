"""The account over time: the day's start, the peak that drawdown counts from, and its value for every screen."""

from decimal import Context, Decimal
from math import inf, isfinite

from core.domain import events as e
from core.domain import market as m
from core.domain.identifiers import Asset
from core.domain.instrument import ZERO
from core.domain.message import Nanoseconds
from core.outbox import Outbox
from core.state.mark import MARK_TTL_NS
from core.state.state import State

DAY_NS: Nanoseconds = 86_400_000_000_000
PEAK_STEP = 1.0001
"""A new peak is recorded when it is a basis point above the last, or on the next day's start."""


_CAPITAL = ("opening", "deposit", "withdrawal")
"""Reasons of a balance that are no profit and no loss."""


STANDING_IN = 0.01
"""A part of the equity that, valued at par instead of by its own market, is no peak to speak of."""
EMPTIED = 1e-4
"""A withdrawal that leaves less than this part of the equity has taken all of it: nothing is left to lose."""


_EXACT = Context(prec=17)
"""As many digits as a float has."""


def day_return(state: State, equity: float) -> float:
    """Return the fraction made since the day's start at an equity; capital that came or went does not move it."""
    base, equity = float(state.watched.base_of(state.day_start)), float(state.watched.gone) or equity
    return equity / base - 1.0 if base > 0.0 else 0.0


def set_balance(outbox: Outbox, event: e.BalanceSet) -> None:
    """Put a wallet to its total; money that came or went is neither profit nor loss."""
    state, ledger = outbox.state, outbox.state.ledger
    asset, capital = event.asset, event.reason.startswith(_CAPITAL)
    equity, held = ledger.equity, ledger.held(asset)
    outbox.record(event)
    if not ledger.rate(asset):
        came = ledger.held(asset) - held
        if came and (capital or not held):
            outbox.record(e.CapitalWaits(asset, came if capital else ZERO, event.ts, held=bool(held)))
        return
    moved = ledger.equity - equity
    if moved and capital and state.day_started:
        _move_base(outbox, equity, Decimal(repr(round(moved, 8))), event.ts)


def set_position(outbox: Outbox, event: e.PositionSet) -> None:
    """Put a position that came or went as capital: what it had made before is neither profit nor loss."""
    state, equity = outbox.state, outbox.state.ledger.equity
    outbox.record(event)
    moved = Decimal(repr(round(state.ledger.equity - equity, 8)))
    if moved and state.day_started:
        _move_base(outbox, equity, moved, event.ts)


def book(outbox: Outbox, event: e.BalanceSet | e.FundingPaid | e.PositionLiquidated | e.PositionSet) -> None:
    """Book what moves money or a position without a fill."""
    if isinstance(event, e.BalanceSet):
        set_balance(outbox, event)
        return
    outbox.record(event)
    if isinstance(event, e.FundingPaid):
        note_debt(outbox, event.asset, -event.amount, event.ts)
    elif isinstance(event, e.PositionLiquidated):
        note_debt(outbox, event.fee_asset, event.fee, event.ts)


def note_debt(outbox: Outbox, asset: Asset, amount: Decimal, now: Nanoseconds) -> None:
    """Note that nothing is held of an unpriced asset but a debt of ``amount`` (a fee, funding): judged without it."""
    state, ledger = outbox.state, outbox.state.ledger
    if amount and asset in ledger.unvalued and asset not in state.capital.waiting and ledger.held(asset) == -amount:
        outbox.record(e.CapitalWaits(asset, ZERO, now))


def count_capital(outbox: Outbox, now: Nanoseconds) -> None:
    """Count capital that waited for its first price, where that has come."""
    state, ledger = outbox.state, outbox.state.ledger
    for asset, amount in tuple(state.capital.waiting.items()):
        rate = ledger.rate(asset)
        if rate:
            value = Decimal(repr(round(float(amount) * rate, 8)))
            fresh = asset not in state.capital.held  # else what was held before is in the equity before
            before = ledger.equity - (float(ledger.held(asset)) * rate if fresh else float(value))
            outbox.record(e.CapitalCounted(asset, amount, value, now))
            if value and state.day_started:
                _move_base(outbox, before, value, now)


def _move_base(outbox: Outbox, before: float, change: Decimal, now: Nanoseconds) -> None:
    """Move what profit and drawdown count from where ``change`` has come to an equity of ``before``, or has gone.

    As for a fund's units: what losses count from goes with the equity, so that no fraction lost moves. Where the equity
    was not known or one of both is not above zero there is no such factor, and the change is added. Where all of it
    has gone, both stay for the money that comes back.
    """
    state, after, gone = outbox.state, outbox.state.ledger.equity, outbox.state.watched.gone
    unpriced, why = state.capital.unpriced(state.ledger.unvalued), ""
    if gone and after > 0.0 and not _is_empty(state, float(gone)) and change >= ZERO and not unpriced:
        before = float(gone)
    elif gone or (not unpriced and change < ZERO and 0.0 < before < inf and _is_empty(state, before)):
        base = state.watched.base_of(state.day_start)
        left = gone or _EXACT.plus(Decimal(repr(before)))
        outbox.record(e.DayStarted(state.day_start + change, state.day_started, base, left))
        return
    if unpriced:
        why = "not everything has a price"
    elif not (0.0 < before < inf and 0.0 < after < inf):
        why = f"the equity was {before:,.2f} and is {after:,.2f}"
    start, day = state.day_start + change, state.day_started
    if why:
        outbox.record(e.DayStarted(start, day))
        outbox.record(e.PeakRaised(state.peak + change, now, f"capital of {change:,.2f} is added: {why}"))
        return
    factor = Decimal(repr(after)) / Decimal(repr(before))
    outbox.record(e.DayStarted(start, day, _EXACT.plus(state.watched.base_of(state.day_start) * factor)))
    outbox.record(e.PeakRaised(_EXACT.plus(state.peak * factor), now))


def mark_account(outbox: Outbox, now: Nanoseconds, day_start: Nanoseconds = 0) -> None:
    """Record a new day, peak or hour and publish what the account is worth; nothing while that is not known.

    A day begins ``day_start`` ns after 00:00 UTC. None ends before its 24 hours, wherever the setting has moved that
    to: a loss of today would be forgotten. One that a wrong clock has begun more than a day ahead goes back.
    """
    state, ledger = outbox.state, outbox.state.ledger
    if not ledger.balances or (ledger.unvalued and state.capital.unpriced(ledger.unvalued)):
        return
    equity = ledger.equity
    if not isfinite(equity) or not (equity or state.day_started):  # or all of it waits for its first price
        return
    gone, begun = state.watched.gone, state.day_started
    if gone and equity > 0.0 and not _is_empty(state, float(gone)):  # money came back without a word of capital
        _move_base(outbox, equity, ZERO, now)
        gone = ZERO
    day = now - (now - day_start) % DAY_NS
    exact = Decimal(repr(round(equity, 8)))
    if now + DAY_NS < begun:
        outbox.record(e.DayStarted(state.day_start, day, state.watched.base_of(state.day_start), gone))
    elif begun + DAY_NS <= day or not begun:
        outbox.record(e.DayStarted(exact, day, gone, gone))
        if equity > float(state.peak) and not _is_overruled(outbox, now):
            outbox.record(e.PeakRaised(exact, now))
    elif equity > float(state.peak) * PEAK_STEP and not _is_overruled(outbox, now):
        outbox.record(e.PeakRaised(exact, now))
    gross, net = ledger.exposure()
    outbox.publish(m.AccountMarked(equity, ledger.open_profit(), gross, net, now))
    if state.curve.hour_is_over(now):
        outbox.record(e.EquityNoted(exact, round(state.curve.worst, 8), now))


def _is_empty(state: State, before: float) -> bool:
    """Tell whether next to nothing is left of an equity, nor held."""
    return max(abs(state.ledger.equity), state.ledger.exposure()[0]) < EMPTIED * before


def _is_overruled(outbox: Outbox, now: Nanoseconds) -> bool:
    """Tell whether what moves equity is a book believed against its venue's mark, or stands in for a better market.

    A loss counts, a peak has to last.
    """
    ledger, markets = outbox.state.ledger, outbox.state.markets.values()
    return ledger.rates.standing_in > STANDING_IN * ledger.equity or any(
        market.overruled and now - market.overruled <= MARK_TTL_NS and (market.exposure or market.nonlinear)
        for market in markets
    )
