"""Bugs to plant in the engine: each is caught, by its known seed or soon."""

from core import clock, connection, recording, runtime
from core.engine import Engine
from core.execution import brackets, exits, flatten, guard, ids, orders
from core.guardian import guardian, limits
from core.guardian.limits import orders as order_limits
from core.guardian.limits import standing
from core.guardian.watch import account, position, protection
from core.reconcile import compare, looks, reconcile
from core.state import account as account_state
from core.state import blotter, ledger, rates, state
from store.journal import file, writer
from tests.simulation.planting import Bug

_RECORDING, _LINK, _ORDERS = recording.Recording, connection.VenueLink, orders.Orders
_NEVER_SEEN = Bug("", Engine, "_fill", "state.blotter.knows_fill(fill.instrument, fill.fill_id)", "False")
_NO_LOSS = Bug(
    "a position's loss is overlooked", position.PositionLoss, "judge", "if loss <= 0.0 or", "if True or", seed=47
)
BUGS = (
    # --- journal -----------------------------------------------------------------------------------------------------
    Bug(
        "an order leaves before it is recorded",
        _RECORDING,
        "finish",
        "turn.since =",
        "self._go(turn, None); turn.since =",
    ),
    Bug(
        "an entry leaves without a record when the disk is full",
        _RECORDING,
        "_go",
        "not _adds_risk(command, self._state)",
        "True",
        seed=55,
    ),
    Bug(
        "a commit is told before it is made",
        writer.JournalWriter,
        "_commit",
        "first = group[0].first",
        "[self._tell(one.done, None) for one in group if not one.told]; first = group[0].first",
    ),
    Bug(
        "what failed once is dropped from the line",
        writer.JournalWriter,
        "_tell_failed",
        "return True",
        "return False",
        seed=7,
    ),
    Bug(
        "an answer comes before its record is durable",
        _RECORDING,
        "finish",
        "turn.since =",
        "[reply(outcome) for reply, outcome in turn.replies]; turn.since =",
    ),
    Bug(
        "recovery forgets the last record",
        _RECORDING,
        "recover",
        "for record in self.journal.read(after):",
        "for record in list(self.journal.read(after))[:-1]:",
    ),
    Bug(
        "the run number is given out twice",
        file.JournalFile,
        "next_run",
        'put_meta(self._db, "run", run)',
        'put_meta(self._db, "run", run - 1)',
    ),
    # --- orders ------------------------------------------------------------------------------------------------------
    Bug("an id is used again", ids.OrderIds, "new", "r{run}{self._born}n", "r1n"),
    Bug(
        "an instruction is carried out twice",
        guardian.Guardian,
        "_propose",
        "if order.operation_id and",
        "if False and",
        seed=17,
    ),
    Bug(
        "an unknown order is sent again",
        _LINK,
        "resolve_unknown",
        "await self._ask_about_unknown()",
        "[self._runtime.send(Approved(c.SubmitOrder(one.order))) for one in self._state.blotter.open.values()"
        " if one.status is OrderStatus.UNKNOWN]",
        seed=26,
    ),
    Bug("a cancel overtakes its order", _RECORDING, "withhold", "turn.sends.remove(approved)", "continue", seed=6),
    Bug(
        "a cancel overtakes its order where the disk hangs",
        _RECORDING,
        "_go",
        "if error is not None and self.withhold(command, turn):",
        "if False:",
        seed=899,
    ),
    Bug(
        "a fill is applied twice",
        state.State,
        "_filled",
        "if self.blotter.fills.knows(key):",
        "if False:",
        also=(_NEVER_SEEN,),
        seed=1,
    ),
    # --- reconciliation ----------------------------------------------------------------------------------------------
    Bug(
        "a missing report is taken for flat",
        compare,
        "_positions",
        "for report in snapshot.positions:",
        "for report in snapshot.positions or [PositionReport(one, ZERO, ZERO, None, ZERO, now)"
        " for one in state.ledger.positions if one.startswith(snapshot.venue)]:",
        seed=3,
    ),
    Bug(
        "a venue is called reconciled before it was asked",
        _LINK,
        "_prepare",
        "await self.reconcile()",
        "runtime.take(e.VenueReconciled(venue.id, now, now)); await self.reconcile()",
    ),
    Bug(
        "fills of the time away are not asked for",
        looks.Looks,
        "look",
        "max(view.last_fill - OVERLAP_NS, 0)",
        "runtime.clock.now()",
        seed=4,
    ),
    Bug(
        "fills of a snapshot are passed over",
        reconcile,
        "_fills",
        "for fill in snapshot.fills:",
        "for fill in ():",
        seed=4,
    ),
    Bug("what has not left is called lost", looks, "underway", "frozenset(unsent)", "frozenset()", 153),
    Bug(
        "what never arrived is never called so",
        looks,
        "underway",
        "frozenset(silent) - unsent",
        "frozenset()",
        129,
    ),
    Bug(
        "the no to a cancel takes a change back",
        blotter.Blotter,
        "change_refused",
        "if isinstance(event, AmendRejected):",
        "if True:",
        seed=364,
    ),
    # --- guardian ----------------------------------------------------------------------------------------------------
    Bug(
        "entries pass before reconciliation",
        limits.VenueReady,
        "breach",
        "(venue.reconciled or proposal.order.reduce_only)",
        "True",
        seed=4,
    ),
    Bug(
        "entries pass while halted",
        limits.TradingStateLimit,
        "breach",
        '"""Return why the order may not pass, or None."""',
        "return None",
        seed=5,
    ),
    Bug(
        "entries pass on a stale price",
        limits.Stale,
        "breach",
        '"""Return why the order may not pass, or None."""',
        "return None",
        seed=40,
    ),
    Bug(
        "an exit is larger than the position",
        limits.ReduceOnly,
        "breach",
        '"""Return why the order may not pass, or None."""',
        "return None",
        seed=10,
    ),
    Bug(
        "halted is forgotten at a restart",
        state.State,
        "_started",
        "self.run, self.mode =",
        "self.trading_state = TradingState.ACTIVE; self.run, self.mode =",
        seed=5,
    ),
    _NO_LOSS,
    Bug(
        "the day's loss is overlooked",
        account.DailyLoss,
        "judge",
        "if scene.blind or base <= 0.0:",
        "if True:",
        seed=873,
    ),
    Bug(
        "a halt closes nothing",
        guard.Guard,
        "_halt",
        "for instrument in open_:",
        "for instrument in ():",
        seed=47,
        also=(_NO_LOSS,),
    ),
    Bug(
        "a halt does not halt",
        guard.Guard,
        "_halt",
        "if state.trading_state is not TradingState.HALTED:",
        "if False:",
        seed=454,
    ),
    Bug(
        "a rule of the watch is told and not carried out",
        guard.Guard,
        "_act",
        "self._exits.bring(verdict.instrument, target,",
        "(verdict.instrument, target,",
        seed=47,
    ),
    # --- exits -------------------------------------------------------------------------------------------------------
    Bug(
        "an exit flips the position",
        flatten,
        "exit_quantity",
        "room = held -",
        "room = 2 * held -",
    ),
    Bug("two exiters", blotter.Blotter, "resting_reduction", "if not self.open:", "if True:", seed=1),
    Bug("an exit waits for the disk", runtime.Runtime, "_carry_out", "effect.urgent", "None"),
    Bug(
        "called flat with orders open",
        flatten,
        "is_flat",
        "if any(ours(record) for record in orders_of(state, market)):",
        "if False:",
    ),
    Bug(
        "a flatten is forgotten at a restart",
        state.State,
        "_started",
        "self.run, self.mode =",
        "self.exits.flattening.clear(); self.run, self.mode =",
    ),
    Bug("a flatten is tried once", exits.Exits, "_exit", "if now - pace.last < wait or", "if pace.tries or", seed=1),
    Bug(
        "what was never held is never flat",
        exits.Exits,
        "confirmed",
        "or market.holding not in positions",
        "",
        seed=454,
    ),
    Bug(
        "the guardian's flat waits for no word",
        exits.Exits,
        "_reached",
        "elif not closing.guarded:",
        "elif True:",
        seed=10,
    ),
    Bug(
        "a flatten waits for an alert",
        runtime.Runtime,
        "_tell",
        "except Exception:",
        "except ZeroDivisionError:",
        seed=11,
    ),
    # --- brackets ----------------------------------------------------------------------------------------------------
    Bug("a fill is not protected", brackets.Protection, "_fit", "elif have < want and", "elif False and", seed=6),
    Bug("a stop stays larger than what is left", brackets.Protection, "_fit", "if have > want:", "if False:", seed=15),
    Bug(
        "a stop whose entry is on record no more is left behind",
        brackets.Protection,
        "_clear_orphans",
        "if record.found and order.parent not in state.blotter.orders:",
        "if order.parent not in state.blotter.orders:\n            continue\n        if False:",
        seed=244,
    ),
    Bug(
        "exits by another pair of the coin are not counted",
        blotter.Blotter,
        "resting_reduction",
        "holding_of(record.order.instrument) == holding",
        "record.order.instrument == instrument",
        seed=11,
    ),
    Bug(
        "coins that are owed are sold",
        order_limits.ReduceOnly,
        "breach",
        "position = owned(proposal.state, market, position)",
        "pass",
        seed=15173,
    ),
    # --- time --------------------------------------------------------------------------------------------------------
    Bug(
        "a step of the clock goes through",
        clock.LiveClock,
        "now",
        "time.clock_gettime_ns(SINCE_BOOT) + self._offset",
        "time.time_ns()",
        seed=34,
    ),
    # --- protection and the ladder -----------------------------------------------------------------------------------
    Bug(
        "a missing stop is told to nobody",
        protection.ProtectiveStop,
        "judge",
        'if self._mode == "off" or',
        "if True or",
        seed=65,
    ),
    Bug(
        "a stop is not verified",
        protection.ProtectiveStop,
        "_missing",
        "if not need or not native or",
        "if True or",
        seed=147,
    ),
    Bug("a step of the drawdown is overlooked", account.Drawdown, "judge", "if step == now:", "if True:", seed=454),
    # --- capital -----------------------------------------------------------------------------------------------------
    Bug(
        "a withdrawal is a drawdown",
        account_state,
        "_move_base",
        "outbox.record(e.PeakRaised(_EXACT.plus(state.peak * factor), now))",
        "pass",
        seed=9,
    ),
    Bug(
        "a withdrawal is a loss of the day",
        account_state,
        "_move_base",
        "outbox.record(e.DayStarted(start, day, _EXACT.plus(state.watched.base_of(state.day_start) * factor)))",
        "outbox.record(e.DayStarted(start, day, state.watched.base_of(state.day_start)))",
        seed=1,
    ),
    Bug("capital is added to the peak as it is", account_state, "_move_base", "if why:", "if True:", 224),
    Bug(
        "a step is told and nothing reduced",
        guard.Guard,
        "_fit",
        "if gross <= most *",
        "if True or gross <= most *",
        seed=3551,
    ),
    # --- coins that come over another pair ---------------------------------------------------------------------------
    Bug(
        "a price in coins is an entry in dollars",
        ledger.Ledger,
        "_fill_spot",
        "if not self.rates.crosses(instrument):",
        "if True:",
        seed=42,
    ),
    Bug(
        "an entry passes over a pair of two coins",
        standing.Valued,
        "breach",
        "if proposal.state.ledger.rates.crosses(proposal.market.instrument):",
        "if False:",
        seed=7,
    ),
    Bug(
        "coins that came are entered at another price than their mark",
        rates.Rates,
        "entry_mark",
        "repr(market.mark)",
        "repr(2 * market.mark)",
        seed=39,
    ),
)
