"""Bring up what is missing of a home: market, engine, sentinel, recorder, in that order."""

import re
from collections.abc import Sequence
from pathlib import Path

import msgspec

from core.config.file import load_or_create
from core.config.settings import Settings
from core.errors import StoreError
from desk.output import UsageFault, say
from desk.paths import Home, Role
from desk.research.summoning import waits
from desk.roles import logs, services
from desk.roles.fallen import is_missed

DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
"""A tape may be named as a recorded day of this home."""


class MarketPlan(msgspec.Struct, frozen=True):
    """What the practice exchange plays; None leaves it to config.toml."""

    tapes: tuple[Path, ...] = ()
    loop: bool = False
    speed: float | None = None
    seed: int | None = None

    def arguments(self) -> list[str]:
        """Return the plan as options of ``tradedeck market``."""
        out = [part for tape in self.tapes for part in ("--tape", str(tape))]
        out += ["--loop"] if self.loop else []
        out += ["--speed", repr(self.speed)] if self.speed is not None else []
        out += ["--seed", str(self.seed)] if self.seed is not None else []
        return out

    def detail(self, settings: Settings) -> str:
        """Return the plan in words, as the running market's lock shows it."""
        speed = f" at {self.speed:g}x" if self.speed not in (None, 1.0) else ""
        if self.tapes:
            looped = ", looped" if self.loop else ""
            return f"tape {' + '.join(str(tape) for tape in self.tapes)}{speed}{looped}"
        return f"built-in market, seed {settings.market.seed if self.seed is None else self.seed}{speed}"


def plan(tapes: Sequence[Path] | None, loop: bool, speed: float | None, seed: int | None) -> MarketPlan:
    """Return what was asked for on the command line.

    Raises:
        UsageFault: a tape that is not there, or a speed that is not above 0.
    """
    found = []
    for tape in tapes or ():
        path = tape if DAY.fullmatch(str(tape)) else Path.cwd() / tape
        if path is not tape and not path.is_file():
            raise UsageFault(f"no tape at {tape}: neither a file nor a day (YYYY-MM-DD) that was recorded")
        found.append(path)
    if speed is not None and not 0 < speed < float("inf"):
        raise UsageFault(f"--speed must be a number greater than 0 (got {speed:g})")
    if loop and not found:
        raise UsageFault("--loop goes with --tape; the built-in market has no end")
    return MarketPlan(tuple(found), loop, speed, seed)


def bring_up(home: Home, market: MarketPlan | None) -> list[Role]:
    """Start every role that does not run and return those that were started. None takes any running market.

    Raises:
        StoreError: if another market runs here than the one asked for, or a role does not start.
    """
    home.create()
    settings, _ = load_or_create(home.config)
    logs.tidy(home.root / "logs", settings.log)
    asked = market or MarketPlan()
    there = services.running(home, Role.MARKET)
    if there is not None and market is not None and there.detail != market.detail(settings):
        raise StoreError(
            f"the market of {home.root} runs already ({there.detail or 'starting'}), and {market.detail(settings)} was "
            f"asked for; end it first with {home.line('stop')}, or name another --home"
        )
    fell = services.running(home, Role.ENGINE) is None and is_missed(home)
    started: list[Role] = []
    try:
        for role, arguments in (
            (Role.MARKET, asked.arguments()),
            (Role.ENGINE, []),
            (Role.SENTINEL, []),
            (Role.RECORDER, []),
        ):
            if _wanted(role, settings) and services.running(home, role) is None and _start(home, role, arguments):
                started.append(role)
    except StoreError as error:
        if fell and Role.ENGINE not in started and settings.engine.sentinel:
            raise StoreError(f"{error}\n{_leave_to_sentinel(home, started)}") from error
        take_down(home, started)  # half a house helps nobody
        raise
    return [*started, *bring_researcher(home)]


def _leave_to_sentinel(home: Home, started: list[Role]) -> str:
    """Start the sentinel of an engine that fell and does not come back, leave it what it needs, and say so."""
    what = "the engine that ran here before did not end in order"
    try:
        if services.running(home, Role.SENTINEL) is None:
            _start(home, Role.SENTINEL, [])
    except StoreError as error:
        take_down(home, started)
        return f"{what}, and its sentinel does not start either: look at the account at its venue, now ({error})"
    return (
        f"{what}: its sentinel runs, starts the engine once more, and closes what is open if that does not come back; "
        f"{home.line('doctor')} tells more"
    )


def _start(home: Home, role: Role, arguments: Sequence[str]) -> bool:
    """Start a role and tell whether that was needed: an engine may have started its sentinel in the same moment."""
    try:
        services.start(home, role, arguments)
    except StoreError:
        if services.running(home, role) is None:
            raise
        return False
    return True


def bring_rest(home: Home) -> list[Role]:
    """Start what is missing beside a market and an engine that run; what does not start is told only."""
    settings, _ = load_or_create(home.config)
    started: list[Role] = []
    for role in (Role.SENTINEL, Role.RECORDER):
        try:
            if _wanted(role, settings) and services.running(home, role) is None and _start(home, role, []):
                started.append(role)
        except StoreError as error:
            say(str(error))
    return [*started, *bring_researcher(home)]


def bring_researcher(home: Home) -> list[Role]:
    """Start a researcher where something waits for one; the house stands without it, so a failure is told only."""
    if not waits(home) or services.running(home, Role.RESEARCHER) is not None:
        return []
    try:
        services.start(home, Role.RESEARCHER)
    except StoreError as error:
        say(f"studies and schedule stand still: {error}")
        return []
    return [Role.RESEARCHER]


def _wanted(role: Role, settings: Settings) -> bool:
    if role is Role.RECORDER:
        return settings.ticks.record
    return role is not Role.SENTINEL or settings.engine.sentinel


def take_down(home: Home, roles: Sequence[Role]) -> None:
    """End roles: the sentinel, which would miss the engine, then that, so that its last words are recorded."""
    for role in (Role.SENTINEL, Role.ENGINE, Role.RESEARCHER, Role.RECORDER, Role.MARKET):
        if role in roles:
            services.stop(home, role)
