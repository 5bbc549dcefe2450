"""Read off the feed how things stand, for the header and for whoever leaves."""

from core.domain.alerts import Severity
from core.domain.market import Health
from core.domain.studies import StudyState
from core.state.account import day_return
from core.state.exiting import missing_sentinel
from core.state.state import State
from tui.feed import Feed
from tui.format import clock, percent
from tui.views import open_positions, open_risk
from tui.widgets.header import Standing


def standing_of(feed: Feed, armed: bool, now: int, local: bool) -> Standing:
    """Give what the two header lines show; `now` in nanoseconds UTC."""
    state = feed.state
    account, status = feed.account, feed.status
    equity = account.equity if account is not None else (state.equity or None)
    start, known = float(state.day_start), not state.capital.unpriced(state.ledger.unvalued)
    day = equity - start if equity is not None and start and known else None
    live, oldest = _feeds(state, now)
    return Standing(
        mode=state.mode,
        state=state.trading_state.value,
        armed=armed,
        equity=equity,
        about=bool(state.ledger.unvalued),
        day=day,
        day_frac=None if day is None or equity is None else day_return(state, equity),
        drawdown=_drawdown(state, equity) if known else None,
        risk_frac=open_risk(state) / equity if equity is not None and equity > 0 and known else None,
        heartbeat=feed.heartbeat_age,
        feeds_live=live,
        feeds=len(state.markets),
        oldest=oldest,
        link=feed.round_trip,
        lost_for=None if feed.connected else feed.silent_for,
        time=f"{clock(now, local=local)} {'local' if local else 'UTC'}",
        fees=None if status is None else float(status.fees),
        funding=None if status is None else float(status.funding),
        gross_frac=account.gross / account.equity if account is not None and account.equity > 0 and known else None,
        viewers=max(0, feed.control.terminals - 1) if feed.control is not None else 0,
        control="" if feed.control is None else "this terminal" if feed.control.mine else feed.control.holder or "free",
        elsewhere=bool(feed.elsewhere),
        alerts=len(waiting := state.alerts.waiting()),
        alarm=any(alert.severity is Severity.CRITICAL for alert in waiting),
        differences=len(state.differences.waiting),
        studies=_studies(state),
        trouble=_trouble(feed),
    )


def leaving_lines(feed: Feed, now: int, local: bool) -> tuple[str, ...]:
    """Say what goes on behind whoever leaves, as far as it is known; `now` in nanoseconds UTC."""
    state = feed.state
    held, waiting = len(open_positions(state)), len(state.blotter.open)
    open_ = f"{held} open position{'' if held == 1 else 's'} and {waiting} open order{'' if waiting == 1 else 's'}"
    if feed.connected:
        return "the engine keeps running", f"{open_} stay as they are"
    if not feed.connects:
        told = "no engine has answered since this screen was opened", "what is open is not known here"
    else:
        heard = clock(now - int(feed.silent_for * 1e9), local=local)
        zone = "local" if local else "UTC"
        told = f"the link is lost, the engine was last heard at {heard} {zone}", f"it told of {open_} then"
    unknown = "whether an engine runs now this screen cannot tell"
    return *told, unknown, "then: tradedeck status says what runs, tradedeck starts an engine"


def _studies(state: State) -> str:
    running = [study for study in state.studies.studies.values() if study.state is StudyState.RUNNING]
    if not running or not state.studies.attached:
        return ""
    done, wanted = sum(study.trials_done for study in running), sum(study.trials_total for study in running)
    return f"{len(running)} running{f' {percent(done / wanted, 0)}' if wanted else ''}"


def _trouble(feed: Feed) -> str:
    state = feed.state
    if state.guard.holds:
        return f"sentinel holds the lease: {state.guard.holds}"
    trouble = state.store_trouble or ("" if feed.connected else feed.trouble)
    status = state.guard.status
    missing = "" if status is None else missing_sentinel(status, status.ts)  # by the engine's clock, not by ours
    return trouble or (f"NO SENTINEL: {missing}" if missing else "")


def _drawdown(state: State, equity: float | None) -> float | None:
    if state.watched.gone:
        return state.drawdown
    peak = float(state.peak)
    return None if equity is None or peak <= 0 else max(0.0, 1.0 - equity / max(peak, equity))


def _feeds(state: State, now: int) -> tuple[int, float | None]:
    markets = list(state.markets.values())
    ages = [seen for market in markets if (seen := market.age(now)) is not None]
    live = sum(market.health in (Health.LIVE, Health.PARTIAL) for market in markets)
    return live, max(ages) / 1e9 if ages else None
