"""Bugs to plant in the sentinel, and in what the engine makes of it: each is caught, by its known seed or soon."""

from core import connection
from core.guardian import barred, closing, sentinel
from desk.roles import watchdog
from store import lease
from tests.simulation.planting import Bug

_NOT_BARRED = Bug("", barred.Lease, "breach", "if not why:", "if True:")
_DISAGREES = Bug(
    "the page goes on saying that a lease is held which was given back",
    watchdog.Watchdog,
    "_agree",
    "if barred != holds:",
    "if False:",
    seed=2790,
)
SENTINEL_BUGS = (
    _DISAGREES,
    Bug(
        "the sentinel closes without the lease",
        watchdog.Watchdog,
        "_carry_out",
        "self._pulse.take()",
        "pass",
        also=(_DISAGREES,),
    ),
    Bug(
        "the engine overlooks the lease",
        connection.VenueLink,
        "_send",
        "if self._runtime.beating.barred:",
        "if False:",
        also=(_NOT_BARRED,),
        seed=78,
    ),
    Bug("the sentinel's exit can open", closing.Closer, "_exit", "reduce_only=True", "reduce_only=False", seed=27),
    Bug("the sentinel sells twice", closing.Closer, "_exit", "abs(quantity)", "2 * abs(quantity)", seed=27),
    Bug(
        "the sentinel closes at one venue",
        closing.Closer,
        "look",
        "for account in accounts:",
        "for account in accounts[:1]:",
        seed=27,
    ),
    Bug(
        "the sentinel waits for ever",
        sentinel.Sentinel,
        "_await",
        "if now - self._since < self.grace_ns:",
        "if True:",
        seed=27,
    ),
    Bug(
        "the sentinel takes its orders for others'",
        closing.Closer,
        "look",
        "id_.startswith(self._ours) and",
        "False and",
        seed=24,
    ),
    Bug(
        "the sentinel cancels what is not ours", closing.Closer, "look", "id_.startswith(self._ours) and", "", seed=251
    ),
    Bug("the lease is given back too soon", sentinel.Sentinel, "_ready", "and beat.reconciled and", "and", seed=5),
    Bug("the lease is in memory alone", lease.LeaseFile, "keep", "self._submit(", "(lambda _: None)("),
    Bug(
        "the lease is forgotten by the next sentinel",
        watchdog.Watchdog,
        "__init__",
        "before.held or pulse.barred",
        "False",
    ),
    Bug(
        "an end in order is missed",
        sentinel.Sentinel,
        "_watch",
        "(EnginePhase.NONE, EnginePhase.ENDED)",
        "(EnginePhase.NONE,)",
        seed=2,
    ),
    Bug(
        "a busy engine is taken for a silent one",
        sentinel.Sentinel,
        "_trouble",
        "silent <= self.silent_ns:",
        "silent <= self.silent_ns // 40:",
    ),
    Bug(
        "a venue that is silent is called flat",
        closing.Closer,
        "look",
        "if account.snapshot is None or",
        "if account.snapshot is None and not self._flat.update({account.venue: (now - CONFIRM_NS, now)}) or",
        seed=24,
    ),
    Bug("flat is believed at once", closing.Closer, "_is_flat", "last - first >= CONFIRM_NS and", "True or", seed=24),
    Bug(
        "a sentinel's run number is given twice",
        lease.LeaseFile,
        "begin",
        "run=next_run(max(before.run, last_run), now_ns)",
        "run=before.run or 1",
    ),
    Bug("a stopped engine is not ended", watchdog.Watchdog, "_carry_out", "self._engine.kill()", "pass", seed=739),
    Bug(
        "the sentinel sends behind its release",
        watchdog.Watchdog,
        "_carry_out",
        "self._step.cancel()",
        "pass",
        seed=304,
    ),
)
