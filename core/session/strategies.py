"""Live strategies at a glance, for whoever asks the engine and for the screens."""

from collections.abc import Callable, Iterable
from decimal import Decimal

import msgspec

from core.domain.configs import StrategyCompared
from core.domain.identifiers import InstrumentId, symbol_of
from core.domain.instrument import ZERO
from core.domain.message import Nanoseconds
from core.state.configs import Account, ConfigBook
from core.state.markets import Markets


class AccountView(msgspec.Struct, frozen=True):
    """One strategy's account in one instrument; money in the quote asset.

    ``matched``, ``missed`` and ``extra`` are trades against the study's rule, ``entry_bps`` how much worse the entries
    were, ``profit_bps`` live profit less the rule's, of the capital; ``note`` is what keeps it from trading.
    """

    instrument: InstrumentId
    capital: Decimal
    wallet: Decimal
    quantity: Decimal
    entry_price: Decimal
    unrealised: Decimal
    realised: Decimal
    fees: Decimal
    funding: Decimal
    trades: int
    liquidated: Nanoseconds
    matched: int = 0
    missed: int = 0
    extra: int = 0
    entry_bps: float = 0.0
    profit_bps: float = 0.0
    note: str = ""


class StrategyView(msgspec.Struct, frozen=True):
    """One strategy: ``state`` is runs, ends, waits or refused; ``version`` and ``since`` are of that config.

    ``reason`` is why a config waits or was refused; one that does while another runs stands behind it.
    """

    strategy_id: str
    version: int
    state: str
    since: Nanoseconds
    reason: str = ""
    accounts: tuple[AccountView, ...] = ()
    shared: bool = False
    """Its accounts are parts of one wallet."""


def strategies(book: ConfigBook, markets: Markets) -> tuple[StrategyView, ...]:
    """Return every strategy that runs, waits or was refused."""
    found = []
    for id_, running in book.running.items():
        accounts = tuple(account_view(book, one, markets) for one in book.of(id_))
        state = "ends" if running.ends else "runs"
        found.append(
            StrategyView(id_, running.config.version, state, running.since, "", accounts, running.config.shares_wallet)
        )
    found += [
        StrategyView(id_, one.config.version, "waits", one.since, one.reason) for id_, one in book.waiting.items()
    ]
    found += [StrategyView(id_, one.version, "refused", one.ts, one.reason) for id_, one in book.refused.items()]
    return tuple(found)


def account_view(book: ConfigBook, account: Account, markets: Markets) -> AccountView:
    """Return one account at the mark."""
    market = markets.get(account.instrument)
    open_profit = ZERO
    if market is not None and account.quantity and market.mark > 0.0:
        size = market.instrument.contract_size
        open_profit = account.quantity * size * (Decimal(repr(market.mark)) - account.entry_price)
    seen = book.compared.get(account.instrument) or StrategyCompared("", account.instrument, 0, 0, 0, 0.0, 0.0, 0)
    note = book.notes.get(account.instrument)
    return AccountView(
        account.instrument,
        account.capital,
        account.wallet,
        account.quantity,
        account.entry_price,
        open_profit,
        account.realised,
        account.fees,
        account.funding,
        account.closed,
        account.liquidated,
        seen.matched,
        seen.missed,
        seen.extra,
        seen.entry_bps,
        seen.profit_bps,
        note.text if note is not None else "",
    )


def strategy_words(views: Iterable[StrategyView], when: Callable[[Nanoseconds], str]) -> list[str]:
    """Return each strategy in a line, and its accounts below it; ``when`` writes a stamp."""
    lines = []
    for view in views:
        reason = f": {view.reason}" if view.reason else ""
        if view.shared:
            wallet = sum((one.wallet for one in view.accounts), ZERO)
            capital = sum((one.capital for one in view.accounts), ZERO)
            reason += f", one wallet {wallet:.2f} of {capital:.2f}"
        lines.append(f"{view.strategy_id} v{view.version} {view.state} since {when(view.since)}{reason}")
        lines += [f"  {account_words(one, shared=view.shared)}" for one in view.accounts]
    return lines


def account_words(view: AccountView, *, shared: bool = False) -> str:
    """Return one account in a line; a ``shared`` one is a part of its strategy's wallet."""
    held = f"holds {view.quantity.normalize():f} from {view.entry_price.normalize():f}" if view.quantity else "flat"
    whose = "its part" if shared else "wallet"
    text = f"{symbol_of(view.instrument)} {held}, {whose} {view.wallet:.2f} of {view.capital:.2f}, {view.trades} trades"
    if view.matched or view.missed or view.extra:
        text += f"; against its study {view.profit_bps:+.1f} bps, {view.missed} missed, {view.extra} extra"
    return f"{text}; {view.note}" if view.note else text
