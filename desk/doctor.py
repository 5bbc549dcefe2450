"""Look at everything that can be wrong before it goes wrong."""

import os
import platform
import re
import shlex
import shutil
import stat
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec

from core.config.file import load
from core.config.settings import Settings
from core.domain.studies import ConfigStatus
from core.errors import ClientError, StoreError, TradedeckError
from core.session.protocol import AskStatus
from core.session.status import Status
from desk import alerting
from desk.commands.shown import sentinel_words
from desk.paths import ALWAYS, Home, Role
from desk.research.configs import in_use, place_of
from desk.research.summoning import waits
from desk.roles import services
from desk.roles.fallen import words_of_a_fallen
from desk.session import talk
from desk.troubles import words_of
from store.postgres import PostgresServer
from tui.fit import unfit

OLDEST_PYTHON = (3, 11)
PLACE = re.compile(r"\(at line (\d+), column \d+\)$")
"""How tomllib ends a sentence about a place."""
MB = 1 << 20
STALE_MS = 2_000
MAX_OFFSET_NS = 1_000_000_000


class Finding(msgspec.Struct, frozen=True):
    """One thing looked at; ``advice`` says what to do, where something is to be done."""

    name: str
    verdict: Literal["ok", "note", "wrong"]
    detail: str
    advice: str = ""


def examine(home: Home) -> list[Finding]:
    """Return what was found, the machine first, then the home, then what runs."""
    found = [*_machine()]
    try:
        for look in (_home, _roles, _engine):
            found += look(home)
    except PermissionError as error:  # somebody else's home: what is behind it cannot be known
        found.append(Finding("home", "wrong", words_of(error) or str(error), "name your own by --home"))
    return found


def _machine() -> Iterator[Finding]:
    here = platform.python_version()
    if sys.version_info >= OLDEST_PYTHON:
        yield Finding("python", "ok", f"{here} on {platform.machine()}")
    else:
        yield Finding("python", "wrong", here, "tradedeck needs Python 3.11 or newer")
    reason = unfit()
    yield Finding("terminal", "note" if reason else "ok", reason or f"TERM={os.environ.get('TERM')}")
    encoding = (sys.stdout.encoding or "").lower()
    if encoding.replace("-", "") == "utf8":
        yield Finding("characters", "ok", "UTF-8")
    else:
        yield Finding("characters", "note", encoding or "not known", "set LANG=C.UTF-8: lines and blocks need it")
    yield _lingering()


def _lingering() -> Finding:
    user = os.environ.get("USER", "")
    if not Path("/run/systemd/system").is_dir():
        return Finding("logout", "ok", "no systemd here: background roles survive a logout")
    if Path("/var/lib/systemd/linger", user).exists():
        return Finding("logout", "ok", "lingering is on: the engine survives a logout")
    advice = f"loginctl enable-linger {user}".rstrip()
    return Finding("logout", "note", "systemd may end your processes when you log out", advice)


def _home(home: Home) -> Iterator[Finding]:
    if home.root.exists() and not home.root.is_dir():
        yield Finding("home", "wrong", f"{home.root} is a file; expected a directory", "name another by --home")
        return
    if not home.root.is_dir():
        yield Finding("home", "note", f"{home.root} is not there yet", "the first start makes it")
        return
    seen = home.root.stat()
    mode = stat.S_IMODE(seen.st_mode)
    passed = stat.S_IXGRP if seen.st_gid == 0 else 0  # root's group passes to the home's PostgreSQL, and reads nothing
    if mode & 0o077 & ~passed:
        advice = shlex.join(("chmod", "700", str(home.root)))
        yield Finding("home", "note", f"{home.root} can be read by others (mode {mode:04o})", advice)
    kept = _unwritable(home)
    if kept is not None:
        yield kept
    elif not mode & 0o077 & ~passed:
        yield Finding("home", "ok", str(home.root))
    settings = Settings()
    try:
        if home.config.exists():
            settings, _ = load(home.config)
        yield Finding("config", "ok", str(home.config) if home.config.exists() else "defaults; no file yet")
    except TradedeckError as error:
        yield Finding(
            "config",
            "wrong",
            str(error),
            f"correct it; no role starts with it (what is missing: {home.line('config', 'upgrade')})",
        )
    yield from _secrets(home)
    if settings.alerts.targets:
        yield _targets(home, settings)
    if in_use(home, settings):
        yield _configs(home, settings)
    yield _disk(home, settings)
    if home.journal.exists():
        yield _journal(home, writable=kept is None)


def _unwritable(home: Home) -> Finding | None:
    """Return why a home takes nothing; nothing is written to find it out."""
    needed = (home.root, home.root / "run", home.root / "logs", home.journal.parent, home.journal)
    path = next((path for path in needed if path.exists() and not os.access(path, os.W_OK)), None)
    if path is None:
        return None
    if os.statvfs(path).f_flag & os.ST_RDONLY:
        advice = (
            f"look at the disk: findmnt -T {shlex.quote(str(path))}, and dmesg; where it dies, copy the home to a "
            "sound one and name that by --home"
        )
        return Finding("home", "wrong", f"{path} cannot be written: its disk can only be read", advice)
    detail = f"{path} cannot be written: it belongs to somebody else, or its mode forbids it"
    return Finding("home", "wrong", detail, f"look with: ls -ld {shlex.quote(str(path))}")


def _secrets(home: Home) -> Iterator[Finding]:
    path = home.secrets
    if not path.exists():
        return
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        detail = f"{path.name} can be read by others (mode {mode:04o}); expected mode 0600"
        yield Finding("secrets", "wrong", detail, shlex.join(("chmod", "600", str(path))))
    trouble = _unreadable(path)
    if trouble is not None:
        yield trouble
    elif not mode & 0o077:
        yield Finding("secrets", "ok", path.name)


def _unreadable(path: Path) -> Finding | None:
    """Return why a secret would not be found in a file; its words are never shown, for each may be a secret."""
    form = '[SECTION] and lines such as NAME = "..." under it'
    advice = f"correct {path}; what stands there is not found until then"
    try:
        tree = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        # tomllib's own sentence may quote the line: only the place is taken from it
        place = PLACE.search(str(error))
        where = f" (line {place[1]})" if place else ""
        return Finding("secrets", "wrong", f"{path.name} is not TOML{where}; expected {form}", advice)
    except UnicodeDecodeError:
        return Finding("secrets", "wrong", f"{path.name} is not text in UTF-8; expected {form}", advice)
    except OSError as error:
        detail = f"{path.name} cannot be read ({error.strerror}); expected a file of yours with mode 0600"
        return Finding("secrets", "wrong", detail, f"look with: ls -ld {shlex.quote(str(path))}")
    if any(not isinstance(section, dict) for section in tree.values()):
        detail = f"{path.name} has a line above its first section, where no secret is looked for; expected {form}"
        return Finding("secrets", "note", detail, advice)
    if any(not isinstance(text, str) or not text for section in tree.values() for text in section.values()):
        detail = f"{path.name} has a value that is no text, or empty; expected {form}"
        return Finding("secrets", "note", detail, advice)
    return None


def _targets(home: Home, settings: Settings) -> Finding:
    try:
        names = [target.name for target in alerting.targets(home, settings, look=True)]
    except TradedeckError as error:
        return Finding("alerts", "wrong", str(error), "correct it; the engine does not start with it")
    return Finding("alerts", "ok", f"go to {', '.join(names)}")


def _configs(home: Home, settings: Settings) -> Finding:
    """Look at the promoted configs; a PostgreSQL of the home's own is not started for it."""
    if not settings.configs.dsn and not PostgresServer(home.postgres, home.reach / home.postgres.name).listens():
        return Finding("configs", "note", "the home's PostgreSQL does not run", "the engine, or a promotion, starts it")
    from store.configs import ConfigStore

    try:
        with ConfigStore.open(place_of(home, settings)) as store:
            found, where = store.newest(), store.words
    except TradedeckError as error:
        return Finding("configs", "wrong", str(error), "strategies run by the last promoted set until it is back")
    if found.damaged:
        return Finding("configs", "wrong", " ".join(found.damaged), home.line("configs", "ls"))
    count = sum(config.status is ConfigStatus.ACTIVE for config in found.configs)
    return Finding("configs", "ok", f"{count} active in {where}")


def _disk(home: Home, settings: Settings) -> Finding:
    free = shutil.disk_usage(home.root).free // MB
    reserve = settings.journal.reserve_mb
    if free < reserve:
        return Finding("disk", "wrong", f"{free} MB free, reserve is {reserve} MB: entries denied, exits allowed")
    return Finding("disk", "ok", f"{free} MB free, reserve is {reserve} MB")


def _journal(home: Home, *, writable: bool) -> Finding:
    from store.journal.tools import check

    try:
        report = check(home.journal)
    except TradedeckError as error:
        if not writable:  # SQLite writes beside what it reads: a sound journal cannot be read there either
            advice = "it may be sound, so restore nothing: look again where the home can be written, or in a copy of it"
            return Finding("journal", "wrong", str(error), advice)
        return Finding("journal", "wrong", str(error), f"restore a backup: {home.line('journal', 'restore', 'FILE')}")
    if report.damage is not None:
        tell, restore = home.line("journal", "check"), home.line("journal", "restore", "FILE")
        advice = f"{tell} tells more; restore a backup: {restore}"
        return Finding("journal", "wrong", f"damaged at record {report.damage.record}: {report.damage.what}", advice)
    return Finding("journal", "ok", f"{report.records} records, every one sound")


def _roles(home: Home) -> Iterator[Finding]:
    start = f"start what is missing with: {home.line()}"
    for role in Role:
        there = services.running(home, role)
        if there is None and role not in ALWAYS:
            if waits(home):
                yield Finding(role, "note", "does not run, and studies or a schedule wait for it", start)
        elif there is None and role is Role.ENGINE and (fell := _fell(home)):
            yield Finding(role, "wrong", fell, f"{start}, and see what is open")
        elif there is None:
            yield Finding(role, "note", "does not run", start)
        else:
            yield Finding(role, "ok", f"pid {there.pid}" + (f", {there.detail}" if there.detail else ""))


def _fell(home: Home) -> str:
    """Say of an engine that does not run what it left behind, or why that is not known."""
    try:
        return words_of_a_fallen(home)
    except StoreError as error:
        return f"does not run, and whether its end was in order is not known: {error}"


def _engine(home: Home) -> Iterator[Finding]:
    if services.running(home, Role.ENGINE) is None:
        return
    try:
        view = talk(home, lambda client: client.ask(AskStatus()))
    except ClientError as error:
        yield Finding("answer", "wrong", str(error), f"see {home.log(Role.ENGINE)}")
        return
    yield Finding(
        "trading", "ok" if view.state == "ACTIVE" else "note", f"{view.mode}, {view.state} {view.state_reason}"
    )
    yield Finding("records", "ok" if view.journal == "ok" else "wrong", f"journal {view.journal}")
    yield _sentinel(home, view)
    yield from _limits(home, view)
    if view.unfit:
        detail = f"{view.unfit} events did not fit what is known; they are kept and not applied"
        yield Finding("events", "note", detail, f"compare positions with the venue; {home.log(Role.ENGINE)} names them")
    if view.differences:
        detail = f"{view.differences} differ from the venues' and wait for a word; entries there are denied"
        yield Finding("differences", "wrong", detail, home.line("reconcile"))
    for venue, words in view.venues.items():
        yield Finding(venue, "ok" if words == "ready" else "wrong", words)
    if view.research:
        detail = f"studies and the schedule wait: {view.research}"
        yield Finding("research", "note", detail, f"start it with: {home.line()}, or see {home.log(Role.RESEARCHER)}")
    yield from _feeds(view)


def _limits(home: Home, view: Status) -> Iterator[Finding]:
    """Say where the limits in force are not those that the settings file names, or not those that it named once."""
    if view.held_back:
        detail = f"looser limits NOT in force: {', '.join(view.held_back)}"
        advice = f"say the word with {home.line('loosen')}, then restart the engine; or put them back in the file"
        yield Finding("limits", "note", detail, advice)
    if view.loosened:
        detail = f"loosened by a change of the settings: {', '.join(view.loosened)}"
        yield Finding("limits", "note", detail, "tighten them again where that was not meant")


def _sentinel(home: Home, view: Status) -> Finding:
    words, told = sentinel_words(view), view.sentinel
    if told is None or not told.seen:
        return Finding("guard", "note", words, f"start it with: {home.line()}")
    if told.holds or view.now - told.seen > STALE_MS * 1_000_000:
        return Finding("guard", "wrong", words, f"see {home.log(Role.SENTINEL)}")
    return Finding("guard", "ok", words)


def _feeds(view: Status) -> Iterator[Finding]:
    for feed in view.feeds:
        offset = abs(feed.clock_offset_ns)
        if feed.age_ms is None:
            yield Finding("feed", "note", f"{feed.instrument}: no data yet")
        elif feed.age_ms > STALE_MS or feed.health not in ("live", "partial"):
            yield Finding("feed", "note", f"{feed.instrument}: {feed.health}, {feed.age_ms} ms old, {feed.gaps} gaps")
        elif offset > MAX_OFFSET_NS:
            seconds = offset / MAX_OFFSET_NS
            yield Finding(
                "clock", "note", f"clock is {seconds:.1f} s off {feed.venue} (limit 1 s)", "set the clock by NTP"
            )
