"""The only place that knows everybody: builds each role out of settings, stores, venues and the core."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NoReturn

import msgspec

from desk.paths import Home, Role
from desk.roles import services
from desk.roles.launch import MarketPlan
from desk.roles.roles import role, serve
from desk.version import version

if TYPE_CHECKING:
    from core.config.settings import Places, Settings
    from core.domain.alerts import TargetStatus
    from core.domain.instrument import Instrument
    from core.domain.market import Bar
    from core.domain.message import Event
    from core.outbox import PastWanted
    from core.ports import Clock, Venue
    from core.runtime import Runtime
    from core.warming import Imported


# --- engine -----------------------------------------------------------------------------------------------------------


def build_engine(
    home: Home, settings: "Settings", places: "Places", on_event: "Callable[[Event], None] | None" = None
) -> "Runtime":
    """Return the engine of a home: guardian, journal, tick segments and a session at each venue of the market."""
    from core.clock import LiveClock
    from core.domain.identifiers import Asset
    from core.engine import Engine
    from core.execution.ids import OrderIds
    from core.guardian.guardian import Guardian
    from core.guardian.loosening import in_force
    from core.recording import settings_before
    from core.runtime import Runtime
    from core.state.state import State
    from store.journal.journal import SqliteJournal
    from store.memory import MemoryTickStore
    from store.segments.writer import SegmentWriter

    journal = SqliteJournal(
        home.journal,
        reserve_bytes=settings.journal.reserve_mb << 20,
        keep_days=settings.journal.keep_days,
        runs=home.root / "runs",
    )
    ticks = (
        SegmentWriter(home.segments, budget_bytes=settings.ticks.budget_mb << 20)
        if settings.ticks.record
        else MemoryTickStore(0)
    )
    clock = LiveClock()
    venues = market_venues(home, settings, clock)
    limits, held_back = in_force(settings_before(journal), settings.guardian)
    engine = Engine(
        Guardian(limits, places, held_back),
        State(Asset(settings.account.currency), "paper"),
        ids=OrderIds(f"t{home.mark()}"),
        abilities={venue.id: venue.abilities for venue in venues},
        day_start=settings.account.day_start_ns,
        alerts=settings.alerts,
    )
    runtime = Runtime(
        engine,
        journal,
        ticks,
        venues,
        clock,
        version=version(),
        reconcile=settings.reconcile,
        checkpoint_every=settings.engine.checkpoint_every_records,
        on_event=on_event,
    )
    runtime.risk.scenarios = settings.risk.scenarios
    runtime.warming.imported = imported_bars(home, runtime)
    return runtime


def imported_bars(home: Home, runtime: "Runtime") -> "Imported":
    """Return what brings strategies the candles of this home that were imported."""
    from desk.research.imported import imported

    async def bring(wanted: "PastWanted") -> "Sequence[Bar]":
        market = runtime.engine.state.markets[wanted.instrument]
        return await imported(home, market.venue, market.instrument.raw_symbol, wanted)

    return bring


def market_venues(home: Home, settings: "Settings", clock: "Clock", name: str = "engine") -> "list[Venue]":
    """Return a session for each venue that the practice exchange can stand in for.

    One without an account there stays silent and tries again, so that a market restarted with other tapes is learnt.
    """
    from core.domain.identifiers import InstrumentType
    from venues.contracts_table import venues
    from venues.market.accounts import ALWAYS_OPEN
    from venues.market.venue import MarketVenue

    wanted = frozenset(settings.engine.instruments)

    class ChosenVenue(MarketVenue):
        """Trade the instruments of the settings alone, and follow what is held or rests beside them."""

        async def instruments(self) -> "Sequence[Instrument]":
            """Return what can be traded here and was chosen; what is at risk is valued and closed, chosen or not."""
            listed = await super().instruments()
            if not wanted:
                return listed
            seen = await self.snapshot(clock.now())
            risky = {report.instrument for report in seen.positions if report.quantity}
            risky |= {report.order.instrument for report in seen.open_orders}
            owned = {report.asset for report in seen.balances if report.total}
            risky |= {item.id for item in listed if item.type is InstrumentType.SPOT_PAIR and item.base in owned}
            return [item for item in listed if item.id in wanted | risky]

    return [
        ChosenVenue(venue, home.market_socket, clock, name, optional=venue not in ALWAYS_OPEN) for venue in venues()
    ]


async def _any_of(*events: asyncio.Event) -> None:
    waiting = [asyncio.ensure_future(event.wait()) for event in events]
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    for one in waiting:
        one.cancel()


def run_engine(home: Home) -> None:
    """Run the engine until it is told to stop."""
    from desk import alerting
    from desk.research.adopting import Adopting
    from desk.research.summoning import Summoner
    from desk.roles.pulses import open_pulse
    from desk.roles.sitter import Sitter
    from desk.roles.systemd import Notify
    from store.home_lock import HomeLock
    from store.lease import held_on_disk

    notify = Notify()
    with role(home, Role.ENGINE) as (settings, places), HomeLock(home.journal.parent):

        async def work(stop: asyncio.Event) -> None:
            loop = asyncio.get_running_loop()

            def tell(status: "TargetStatus") -> None:
                with contextlib.suppress(RuntimeError):  # the loop has ended, and nobody asks any more
                    loop.call_soon_threadsafe(runtime.emit, status)

            notifier = alerting.notifier(home, settings, tell)
            pulse = open_pulse(home)
            if held_on_disk(home.lease):  # the page in memory does not outlive the machine, the lease does
                pulse.take()
            runtime = build_engine(home, settings, places, notifier.take)
            runtime.beating.use(pulse, f"t{home.mark()}")
            Sitter(home, notify).sit(runtime.beating)
            runtime.summon = summoner = Summoner(home, supervised=notify.supervised)
            notifier.start()
            # The journal's writer thread waits this long for the interpreter; the usual 5 ms every order would feel.
            sys.setswitchinterval(0.0005)
            await runtime.start(home.engine_socket)
            adopting = Adopting(home, settings, runtime.emit, runtime.clock.now)
            adopting.start()
            assert runtime.server is not None
            summoner.keep(runtime.server.research)
            services.ready()
            notify.ready(f"run {runtime.engine.state.run}")
            await _any_of(stop, runtime.stopping)
            notify.stopping()
            adopting.stop()
            summoner.end()
            await runtime.stop("asked to" if runtime.stopping.is_set() else "signal")
            await loop.run_in_executor(None, notifier.stop)

        serve(work)


# --- sentinel ---------------------------------------------------------------------------------------------------------


def run_sentinel(home: Home) -> None:
    """Run the sentinel until it is told to stop; it loads no more than its sessions need."""
    from core.clock import LiveClock
    from desk.alerting import Crier
    from desk.roles.engine_process import EngineProcess
    from desk.roles.pulses import open_pulse
    from desk.roles.systemd import Notify
    from desk.roles.watchdog import Watchdog
    from store.lease import LeaseFile
    from venues.market.accounts import ALWAYS_OPEN

    notify = Notify()
    with role(home, Role.SENTINEL) as (settings, _):
        pulse, clock = open_pulse(home), LiveClock()
        venues = {
            venue.id: (venue, venue.id in ALWAYS_OPEN) for venue in market_venues(home, settings, clock, "sentinel")
        }
        said = ""

        def on_look(words: str) -> None:
            nonlocal said
            notify.alive()
            if words != said:
                said = words
                notify.status(words)

        def ready() -> None:
            services.ready()
            notify.ready(said)

        async def work(stop: asyncio.Event) -> None:
            watchdog = Watchdog(
                settings.guardian,
                pulse,
                venues,
                EngineProcess(home),
                LeaseFile(home.lease),
                clock,
                f"t{home.mark()}",
                supervised=notify.supervised,
                alarm=Crier(home, settings).cry,
                on_look=on_look,
            )
            await watchdog.run(stop, ready)
            notify.stopping()

        serve(work, fast=False)


# --- market -----------------------------------------------------------------------------------------------------------


def run_market(home: Home, plan: MarketPlan) -> None:
    """Run the practice exchange until it is told to stop."""
    from desk import matching
    from desk.replay.tapes import open_any
    from venues.market.server import MarketServer, MarketSettings

    with role(home, Role.MARKET, plan.detail) as (settings, _):
        asked = MarketSettings(
            home=home.reach,
            loop=plan.loop,
            speed=plan.speed if plan.speed is not None else 1.0,
            seed=plan.seed if plan.seed is not None else settings.market.seed,
            rate=settings.market.rate,
            latency=matching.latency_settings(settings),
            balances=matching.balances(settings),
        )
        tapes = [open_any(home, settings, tape) for tape in plan.tapes]

        async def work(stop: asyncio.Event) -> None:
            server = MarketServer(asked, tapes)
            await server.start()
            services.ready()
            try:
                await stop.wait()
            finally:
                await server.stop()

        serve(work)


# --- recorder and terminal --------------------------------------------------------------------------------------------


def run_recorder(home: Home) -> None:
    """Run the recorder until it is told to stop."""
    from store import recorder

    with role(home, Role.RECORDER) as (settings, _):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as the others: it outlives the terminal that started it
        services.ready()
        recorder.run(home.root, settings.ticks)


def run_terminal(home: Home, last_words: str) -> NoReturn:
    """Become the screen on the engine of a home; ``last_words`` are said when its reader has left.

    The process is replaced: what the command line has loaded is a quarter of a terminal's memory.
    """
    from core.config.file import load_or_create

    settings, _ = load_or_create(home.config)
    shown = msgspec.json.encode(settings.terminal).decode()
    # -P: a folder named core or tui in the present directory must not be taken for ours.
    words = [str(home.engine_socket), shown, last_words, str(home.root / "terminal.json"), str(home.config)]
    os.execv(sys.executable, [sys.executable, "-P", "-m", "tui", *words])  # noqa: S606
