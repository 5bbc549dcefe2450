"""How far live strategies are from their studies' rule, as the running engine measures it bar by bar."""

from collections.abc import Sequence

from core.config.file import load
from core.config.settings import Settings
from core.domain.identifiers import symbol_of
from core.errors import NoEngine
from core.session.protocol import AskStatus
from core.session.strategies import AccountView, StrategyView
from desk.paths import Home
from desk.session import talk


def drift_of(home: Home) -> tuple[bool, str]:
    """Ask the running engine how each live strategy diverges; tell whether all are within, and a line for each.

    Without an engine nothing trades by a strategy, so nothing can drift.

    Raises:
        ClientError: the engine is there and does not answer.
        ConfigError: the settings cannot be read.
    """
    bound = (load(home.config)[0] if home.config.exists() else Settings()).alerts.divergence_bps
    try:
        views = talk(home, lambda client: client.ask(AskStatus())).strategies
    except NoEngine:
        return True, "no engine runs: nothing was compared"
    return judged(views, bound)


def judged(views: Sequence[StrategyView], bound: float) -> tuple[bool, str]:
    """Return whether every strategy is within ``bound`` (bps of its capital, 0 for none), and a line for each.

    Those that are beyond stand first.
    """
    if not views:
        return True, "no strategy runs"
    beyond = {place: any(_is_beyond(one, bound) for one in view.accounts) for place, view in enumerate(views)}
    order = sorted(beyond, key=lambda place: not beyond[place])
    return not any(beyond.values()), "\n".join(_line(views[place], bound) for place in order)


def _is_beyond(account: AccountView, bound: float) -> bool:
    return bound > 0.0 and not abs(account.profit_bps) <= bound  # what is no number is beyond


def _line(view: StrategyView, bound: float) -> str:
    name = f"{view.strategy_id} v{view.version}"
    if not view.accounts:
        return f"{name} {view.state}: {view.reason or 'no account yet'}"
    ending = " ends" if view.state == "ends" else ""
    return f"{name}{ending}: {'; '.join(_words(one, bound) for one in view.accounts)}"


def _words(account: AccountView, bound: float) -> str:
    symbol, note = symbol_of(account.instrument), f", {account.note}" if account.note else ""
    if not (account.matched or account.missed or account.extra):
        return f"{symbol} no trade to compare yet{note}"
    over = f", BEYOND the bound of {bound:g}" if _is_beyond(account, bound) else ""
    trades = f"{account.matched} trades alike, {account.missed} missed, {account.extra} extra"
    entries = f", entries {account.entry_bps:+.1f} bps" if account.matched else ""
    return f"{symbol} {account.profit_bps:+.1f} bps of its capital{over}, {trades}{entries}{note}"
