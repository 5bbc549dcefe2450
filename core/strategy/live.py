"""One promoted config as a strategy: bars in, orders out, warmed up before it decides anything."""

from collections.abc import Callable, Iterable, Iterator, Sequence

import msgspec

from core.domain.identifiers import InstrumentId, StrategyId
from core.domain.market import Bar, Interval, Timer
from core.domain.message import Command, Event, Message, Nanoseconds
from core.domain.studies import Config
from core.outbox import PastWanted
from core.state.state import State
from core.strategy.follower import Followers
from core.strategy.hand import Hand
from core.strategy.library import MODELS
from core.strategy.memory import StrategyState
from core.strategy.mind import Mind
from core.strategy.past import PastBars
from core.strategy.rule import split
from core.strategy.shared import SharedRule

ASK_NS: Nanoseconds = 30_000_000_000
"""The least time between two questions for the same bars."""
_SPARE = 2
"""Bars asked for beyond the warm-up: the newest may be growing still."""
LATE_NS: Nanoseconds = 5_000_000_000
"""How long behind a bar's end those that share a wallet wait for the bars of the others; then they go on without."""
MOST_MISSED = 3000
"""Bars of the time away that are gone through at most, so that the engine is not held up."""
Row = dict[InstrumentId, Bar]


class Group:
    """The hands that take each time's bars together: one; all where a strategy looks across, or a wallet is shared."""

    def __init__(self, hands: list[Hand], followers: Followers, shared: SharedRule | None = None) -> None:
        self.hands, self.followers, self._shared = hands, followers, shared
        self._place = {hand.id: place for place, hand in enumerate(hands)}
        self.ready = False
        self.asked: Nanoseconds = 0
        self._past: dict[InstrumentId, tuple[Bar, ...]] = {}
        self._row: Row = {}
        self._start: Nanoseconds = 0
        self._heard: dict[Nanoseconds, tuple[Row, bool]] = {}
        """Bars that closed and were not decided on, and whether they were heard whole."""

    def wanted(self, now: Nanoseconds) -> Iterator[PastWanted]:
        """Yield the questions for what it must know before it decides; again after a while where no answer came."""
        if self.ready or (self.asked and now - self.asked < ASK_NS):
            return
        self.asked = now
        interval = self.followers.interval_ns
        since = min(hand.mind.decided for hand in self.hands) or now
        since = max(min(since, now), now - MOST_MISSED * interval)
        start = (since // interval - self.followers.warm_up - _SPARE) * interval
        for hand in self.hands:
            if hand.id not in self._past:
                yield PastWanted(hand.id, Interval(_name(interval)), start, now)

    # --- bars of before ---------------------------------------------------------------------------------------------

    def take_past(self, message: PastBars, state: State) -> None:
        """Take one instrument's bars of before; begin with the last of them."""
        interval = self.followers.interval_ns
        self._past[message.instrument] = tuple(
            bar for bar in message.bars if bar.closed and bar.start + interval <= message.ts
        )
        if len(self._past) == len(self.hands):
            self._begin(state)

    def _begin(self, state: State) -> None:
        by_start: dict[Nanoseconds, Row] = {}
        for bars in self._past.values():
            for bar in bars:
                by_start.setdefault(bar.start, {})[bar.instrument] = bar
        self._past.clear()
        lacks = {start for start in self._heard if len(by_start.get(start, ())) < len(self.hands)}
        halves = {start for start in lacks if not self._heard[start][1]}
        for start, (heard, _) in self._heard.items():
            by_start[start] = heard | by_start.get(start, {})  # the venue's own bar is better than what was heard
        starts = sorted(by_start)
        if self.followers.missing and len(starts) <= self.followers.known:  # what was heard meanwhile is more
            self._note_missing(state)
            return
        if len(starts) < self.followers.warm_up and not self.followers.missing:
            self._let_pass(state)
            self.ready = True  # it has heard more by itself
            return
        rows = [[by_start[start].get(hand.id) for hand in self.hands] for start in starts]
        found = self.followers.load(starts, rows)
        nothing = [0] * len(self.hands)
        told = [nothing if start in halves else signals for start, signals in zip(starts, found, strict=True)]
        self._catch_up(rows, told, state)
        self._heard.clear()
        self._note_missing(state)
        self.ready = not self.followers.missing

    def _note_missing(self, state: State) -> None:
        missing = self.followers.missing
        for hand in self.hands:
            hand.note(state, f"waits for bars: {missing} more of {self.followers.warm_up}" if missing else "")

    def _catch_up(self, rows: list[list[Bar | None]], told: list[list[int]], state: State) -> None:
        """Have the rule go on over the bars that nobody decided on, and make up for exits that were missed."""
        for place, hand in enumerate(self.hands):
            known = [bar for row in rows if (bar := row[place]) is not None]
            if known and not hand.mind.decided:
                hand.mind.decided = known[-1].start
        before, late = [hand.side for hand in self.hands], set[int]()
        for row, signals in zip(rows, told, strict=True):
            fresh = [
                bar if bar is not None and bar.start > hand.mind.decided else None
                for hand, bar in zip(self.hands, row, strict=True)
            ]
            self._close(fresh, signals, state, decide=False)
            late |= {place for place, bar in enumerate(fresh) if bar is not None}
        for place in sorted(late):
            self.hands[place].make_up(state, before[place])

    def _close(self, bars: Sequence[Bar | None], signals: Sequence[int], state: State, *, decide: bool) -> None:
        """Have the rule go on over the bars of one time; with ``decide`` their signals are what is wanted."""
        if not any(bars):
            return
        shadows = [hand.mind.shadow for hand in self.hands]
        if self._shared is not None:
            ended = self._shared.on_bars(shadows, bars)
        else:
            each = zip(self.hands, shadows, bars, strict=True)
            ended = [shadow.on_bar(bar, hand.terms, hand.contract) if bar else [] for hand, shadow, bar in each]
        for hand, bar, signal, trades in zip(self.hands, bars, signals, ended, strict=True):
            hand.mind.rule += trades
            if bar is not None:
                hand.on_close(bar, signal, state, decide=decide)

    # --- bars that close --------------------------------------------------------------------------------------------

    def on_bar(self, bar: Bar, state: State) -> None:
        """Take a closed bar: decide when each instrument has one, and at the latest when the next one comes."""
        if bar.revision or bar.start <= self._decided:
            if bar.start == self._decided:
                self.followers.correct(self._place[bar.instrument], bar)
            return
        if self._row and bar.start > self._start:
            self._decide(state)
        self._start = bar.start
        self._row[bar.instrument] = bar
        if len(self._row) == len(self.hands):
            self._decide(state)

    @property
    def waits(self) -> bool:
        """Tell whether some have their bar and others of their wallet have not; looking across, all are needed."""
        return bool(self._row) and not self.followers.across

    def look(self, state: State) -> None:
        """Decide without the bars that do not come: an exit is not held up by another instrument's link."""
        if self.waits and state.now >= self._start + self.followers.interval_ns + LATE_NS:
            self._decide(state)

    @property
    def _decided(self) -> Nanoseconds:
        return max(hand.mind.decided for hand in self.hands)

    def _decide(self, state: State) -> None:
        row, self._row = self._row, {}
        bars = [row.get(hand.id) for hand in self.hands]
        found = self.followers.take(self._start, bars)
        was_missing, self.ready = not self.ready, self.ready or not self.followers.missing
        whole = self._start >= max(state.venue(hand.instrument.venue).since for hand in self.hands)
        decide = self.ready and whole
        if not decide:
            self._heard[self._start] = (row, whole)
        else:
            self._let_pass(state)
            self._close(bars, found, state, decide=True)
            if was_missing:
                for hand in self.hands:
                    hand.note(state, "")
        if not whole:  # it began before the venue was heard: its own bar takes the place of ours
            self.resume()

    def _let_pass(self, state: State) -> None:
        """Have the rule go on over the bars that were heard and not decided on; nobody tells what they said."""
        for row, _ in self._heard.values():
            self._close([row.get(hand.id) for hand in self.hands], [0] * len(self.hands), state, decide=False)
        self._heard.clear()

    def resume(self) -> None:
        """Ask for the bars again that were not heard whole."""
        self.ready, self.asked = False, 0


class Live:
    """Run one config: a strategy that is placed when its config is adopted, or found running after a restart."""

    def __init__(self, config: Config, state: State, record: Callable[[Event], None]) -> None:
        """Begin where its memory ends.

        Raises:
            ConfigError: a strategy, parameters or instruments that cannot be run.
        """
        self.id, self.config = StrategyId(config.strategy_id), config
        self.model = MODELS[config.strategy]
        self.horizon, self.interval = self.model.horizon, Interval(config.interval)
        values, terms = split(config)
        self._memory = StrategyState.of(self.id, state)
        instruments = [state.markets[one].instrument for one in config.instruments]
        hands = [
            Hand(self.id, one, self.interval, terms, float(part), record, config.capital)
            for one, part in zip(instruments, config.capitals(), strict=True)
        ]
        self.hands = {hand.id: hand for hand in hands}
        for hand in hands:
            self._remember(hand, state)
        shared = SharedRule(terms, [hand.contract for hand in hands]) if config.shares_wallet else None
        if shared is not None:
            for hand in hands:
                hand.family = hands
        groups = [hands] if self.model.across or shared is not None else [[hand] for hand in hands]
        self.groups = [Group(one, Followers(self.model, values, self.interval.ns, len(one)), shared) for one in groups]
        self._group_of = {hand.id: group for group in self.groups for hand in group.hands}

    def _remember(self, hand: Hand, state: State) -> None:
        """Give a hand back what it knew of its account; a new version of the config wants nothing yet."""
        kept, account = self._memory.values.get(hand.id), state.configs.accounts.get(hand.id)
        begun = account.begun if account is not None else 0
        mind = msgspec.convert(kept, Mind) if kept is not None else None
        if mind is not None and mind.begun == begun:
            hand.mind = mind
        if hand.mind.version != self.config.version:
            hand.mind.goal, hand.mind.level = None, 0.0
        hand.mind.begun, hand.mind.version = begun, self.config.version

    @property
    def is_busy(self) -> bool:
        """Tell whether something is wanted that is not done yet, or waited for."""
        wants = any(hand.mind.goal is not None for hand in self.hands.values())
        return wants or any(group.waits for group in self.groups)

    def resume(self) -> None:
        """Learn the bars of before again: the link to a venue was lost meanwhile."""
        for group in self.groups:
            group.resume()

    def on_message(self, message: Message, state: State) -> Iterable[Command]:
        """Take a closed bar of its interval, or anything that its orders may wait for."""
        if isinstance(message, Bar):
            group = self._group_of.get(message.instrument)
            if group is None or message.interval is not self.interval or not message.closed:
                return ()
            group.on_bar(message, state)
        elif isinstance(message, Timer):
            for group in self.groups:
                group.look(state)
        return self._go_on(state)

    def take_past(self, message: PastBars, state: State) -> Iterable[Command]:
        """Take bars of before."""
        group = self._group_of.get(message.instrument)
        if group is None or message.interval is not self.interval or group.ready:
            return ()
        group.take_past(message, state)
        return self._go_on(state)

    def wanted(self, now: Nanoseconds) -> Iterator[PastWanted]:
        """Yield the questions for bars of before."""
        for group in self.groups:
            yield from group.wanted(now)

    def _go_on(self, state: State) -> Iterator[Command]:
        for hand in self.hands.values():
            yield from hand.step(state)
            self._memory.values[hand.id] = msgspec.to_builtins(hand.mind)
        saving = self._memory.save()
        if saving is not None:
            yield saving


def _name(interval_ns: Nanoseconds) -> str:
    return next(one.value for one in Interval if one.ns == interval_ns)
