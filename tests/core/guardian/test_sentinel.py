"""The sentinel's decisions: what it does when an engine is silent, dead, slow to come back, or comes back."""

import pytest
from msgspec.structs import replace

from core.domain.approval import TradingState
from core.guardian.pulse import Beat, EnginePhase, Phase
from core.guardian.sentinel import END_NS, ESCALATE_NS, STEADY_NS, Act, Seen, Sentinel

S = 1_000_000_000
SILENT, GRACE, LOOK = 2 * S, 3 * S, S // 10
A, P = Act, Phase


class Watch:
    """A sentinel, its clock and the engine that it sees; every look is a tenth of a second after the last."""

    def __init__(self, *, armed: bool = False, held: bool = False, closing: bool = False, unsure: bool = False) -> None:
        self.sentinel = Sentinel(SILENT, GRACE, armed=armed, held=held, closing=closing, unsure=unsure)
        self.now = 1_000 * S
        self.beats = True
        self.guardian = True
        self.seen = Seen(Beat(EnginePhase.RUNNING, self.now, 7, 1, 0, TradingState.ACTIVE, True, self.now), alive=True)

    def look(self) -> list[Act]:
        self.now += LOOK
        beat = self.seen.beat
        if self.beats and self.seen.alive and beat.phase is EnginePhase.RUNNING:
            beat = replace(beat, stamp=self.now, looked=self.now if self.guardian else beat.looked)
        self.seen = replace(self.seen, beat=beat)
        return self.sentinel.look(self.seen, self.now)

    def looks(self, seconds: float) -> list[Act]:
        """Look for so long, and return everything that was to be done."""
        return [act for _ in range(round(seconds * S / LOOK)) for act in self.look()]

    def until(self, act: Act) -> float:
        """Look until this is to be done, and return after how many seconds."""
        for count in range(1, 1000):
            if act in self.look():
                return count * LOOK / S
        raise AssertionError(f"never {act}; {self.sentinel.phase.name}: {self.sentinel.did}")

    def dies(self) -> None:
        self.seen = replace(self.seen, alive=False)

    def comes_back(self, *, reconciled: bool = True) -> None:
        beat = Beat(EnginePhase.RUNNING, self.now, 8, 2, 0, TradingState.ACTIVE, reconciled, self.now)
        self.beats = self.guardian = True
        self.seen = replace(self.seen, beat=beat, alive=True)

    @property
    def phase(self) -> Phase:
        return self.sentinel.phase


@pytest.fixture
def watch() -> Watch:
    made = Watch()
    assert made.look() == []
    assert made.phase is P.WATCHING
    return made


def test_a_living_engine_is_left_alone(watch: Watch) -> None:
    assert watch.looks(600) == []
    assert watch.sentinel.armed
    assert not watch.sentinel.holds


def test_a_dead_engine_loses_the_lease_at_once_and_is_restarted_once(watch: Watch) -> None:
    watch.dies()
    assert watch.look() == [A.TAKE, A.ALARM, A.START]
    assert watch.looks(2.8) == []


def test_a_silent_engine_loses_the_lease_after_its_time_and_is_ended_before_another_starts(watch: Watch) -> None:
    watch.beats = False
    assert watch.looks(SILENT / S) == []
    assert watch.look() == [A.TAKE, A.ALARM, A.END]
    assert watch.look() == [A.END], "it lives on: no second engine beside it"
    watch.dies()
    assert watch.look() == [A.START]
    assert "the engine was silent" in watch.sentinel.did


def test_a_loop_that_beats_while_its_guardian_is_silent_counts_as_silent(watch: Watch) -> None:
    watch.guardian = False
    assert watch.until(A.TAKE) == pytest.approx(SILENT / S + LOOK / S)
    assert "guardian was silent" in watch.sentinel.did


def test_an_engine_that_reconciles_within_the_grace_gets_the_lease_back(watch: Watch) -> None:
    watch.dies()
    watch.look()
    watch.comes_back(reconciled=False)
    assert watch.looks(2) == []
    watch.comes_back()
    assert watch.look() == [A.RELEASE, A.ALARM]
    assert watch.phase is P.WATCHING


@pytest.mark.parametrize("returns", [False, True])
def test_one_that_has_not_reconciled_by_then_is_not_waited_for(watch: Watch, returns: bool) -> None:
    watch.dies()
    watch.look()
    if returns:
        watch.comes_back(reconciled=False)
    assert watch.until(A.FLATTEN) == pytest.approx(GRACE / S)
    assert watch.phase is P.FLATTENING


def closing(watch: Watch) -> None:
    watch.dies()
    watch.look()
    watch.until(A.FLATTEN)


def test_closing_goes_on_with_every_look_until_flat_is_confirmed(watch: Watch) -> None:
    closing(watch)
    assert watch.sentinel.did.endswith(": closing everything"), "nothing is closed yet"
    assert set(watch.looks(5)) == {A.FLATTEN}
    watch.seen = replace(watch.seen, flat=True, sent=True)
    assert watch.look() == [A.ALARM]
    assert (watch.phase, watch.sentinel.did[:18]) == (P.FLAT, "everything is flat")
    assert watch.sentinel.holds, "until an engine has reconciled"


def test_an_engine_that_reconciles_in_the_middle_of_the_close_waits_until_it_is_over(watch: Watch) -> None:
    closing(watch)
    watch.seen = replace(watch.seen, sent=True)
    watch.comes_back()
    assert A.RELEASE not in watch.looks(5)
    watch.seen = replace(watch.seen, flat=True)
    assert watch.look() == [A.ALARM]
    assert watch.look() == [A.RELEASE, A.ALARM]


def test_one_that_reconciles_before_anything_was_sent_closes_for_itself(watch: Watch) -> None:
    closing(watch)
    watch.comes_back()
    assert watch.look() == [A.RELEASE, A.ALARM]


def test_what_is_opened_behind_the_close_is_closed_too(watch: Watch) -> None:
    closing(watch)
    watch.seen = replace(watch.seen, flat=True, sent=True)
    watch.look()
    assert watch.look() == [A.FLATTEN], "it looks on"
    watch.seen = replace(watch.seen, flat=False)
    assert watch.look() == [A.ALARM, A.FLATTEN]
    assert watch.phase is P.FLATTENING


def test_what_does_not_get_flat_is_told_again(watch: Watch) -> None:
    closing(watch)
    assert watch.looks(ESCALATE_NS / S).count(A.ALARM) == 1
    assert "NOT FLAT" in watch.sentinel.did
    assert watch.looks(ESCALATE_NS / S).count(A.ALARM) == 1


def test_an_engine_that_falls_right_after_its_restart_is_not_restarted_again(watch: Watch) -> None:
    watch.dies()
    watch.look()
    watch.comes_back()
    watch.looks(STEADY_NS / S - 10)
    watch.dies()
    assert watch.look() == [A.TAKE, A.ALARM, A.ALARM, A.FLATTEN]


def test_one_that_falls_long_after_its_restart_is_restarted(watch: Watch) -> None:
    watch.dies()
    watch.look()
    watch.comes_back()
    watch.looks(STEADY_NS / S + 1)
    watch.dies()
    assert watch.look() == [A.TAKE, A.ALARM, A.START]


def test_a_process_that_no_kill_ends_does_not_keep_the_account_open(watch: Watch) -> None:
    watch.beats = False
    watch.until(A.TAKE)
    acts = watch.looks(END_NS / S)
    assert acts.count(A.END) == 9
    assert acts[-2:] == [A.ALARM, A.FLATTEN]
    assert A.START not in acts


def test_an_engine_that_ends_in_order_is_not_missed(watch: Watch) -> None:
    watch.seen = replace(watch.seen, beat=replace(watch.seen.beat, phase=EnginePhase.ENDED))
    assert watch.look() == []
    watch.dies()
    assert watch.looks(60) == []
    assert not watch.sentinel.armed


def test_a_start_that_fails_is_not_missed_where_none_had_run() -> None:
    watch = Watch()
    watch.seen = replace(watch.seen, beat=replace(watch.seen.beat, phase=EnginePhase.STARTING))
    assert watch.looks(1) == []
    watch.dies()
    assert watch.looks(60) == []


def test_a_recovery_that_takes_long_is_not_silence() -> None:
    watch = Watch()
    watch.seen = replace(watch.seen, beat=replace(watch.seen.beat, phase=EnginePhase.STARTING))
    assert watch.looks(60) == []


def test_a_machine_that_slept_gives_the_engine_its_time_again(watch: Watch) -> None:
    watch.beats = False
    watch.looks(1)
    watch.now += 3_600 * S
    assert watch.look() == []
    watch.beats = True
    assert watch.looks(60) == []
    watch.beats = False
    watch.now += 3_600 * S
    assert watch.until(A.TAKE) > SILENT / S, "and only that"


def test_an_engine_found_dead_is_missed_though_nobody_saw_it_alive() -> None:
    watch = Watch()
    watch.dies()
    assert watch.look() == [A.TAKE, A.ALARM, A.START]


def test_an_armed_sentinel_misses_its_engine_after_a_power_cut() -> None:
    watch = Watch(armed=True)
    watch.seen = replace(watch.seen, alive=False, beat=replace(watch.seen.beat, phase=EnginePhase.NONE, stamp=0, pid=0))
    assert watch.look() == [A.TAKE, A.ALARM, A.START]
    disarmed = Watch()
    disarmed.seen = watch.seen
    assert disarmed.looks(60) == []


def test_a_sentinel_killed_with_the_lease_goes_on_where_it_was() -> None:
    waiting = Watch(armed=True, held=True)
    waiting.seen = replace(waiting.seen, beat=replace(waiting.seen.beat, reconciled=False))
    assert waiting.until(A.FLATTEN) == pytest.approx(GRACE / S + LOOK / S)
    middle = Watch(armed=True, held=True, closing=True)
    middle.seen = replace(middle.seen, alive=False)
    assert middle.look()[:1] == [A.FLATTEN]
    back = Watch(armed=True, held=True)
    assert back.look() == [A.RELEASE, A.ALARM]


def test_one_that_finds_an_engine_starting_waits_for_it_as_for_one_of_its_own() -> None:
    """Both fell and were started again; the engine hangs in its start, and nobody had seen the one before end."""
    watch = Watch(armed=True)
    watch.seen = replace(watch.seen, beat=replace(watch.seen.beat, phase=EnginePhase.STARTING))
    assert watch.look() == [A.TAKE, A.ALARM]
    assert watch.sentinel.holds
    assert watch.until(A.FLATTEN) == pytest.approx(GRACE / S)
    assert watch.phase is P.FLATTENING
    seen = Watch(armed=True)
    seen.look()
    seen.seen = replace(seen.seen, beat=replace(seen.seen.beat, phase=EnginePhase.STARTING))
    assert seen.looks(60) == [], "it was there all the time: the engine was restarted in order, between two looks"
    soon = Watch(armed=True)
    soon.seen = replace(soon.seen, beat=replace(soon.seen.beat, phase=EnginePhase.STARTING))
    soon.look()
    soon.comes_back()
    assert soon.look() == [A.RELEASE, A.ALARM]


def test_a_close_that_is_resumed_is_not_told_as_late_at_once() -> None:
    middle = Watch(armed=True, held=True, closing=True)
    middle.dies()
    assert A.ALARM not in middle.looks(ESCALATE_NS / S)
    assert middle.until(A.ALARM) == pytest.approx(LOOK / S)
    assert "NOT FLAT after 30 s" in middle.sentinel.did


def without_an_engine() -> Watch:
    """Return a sentinel whose file was damaged by a power cut: the page is new, and nobody knows what was."""
    watch = Watch(armed=True, held=True, unsure=True)
    none = replace(watch.seen.beat, phase=EnginePhase.NONE, pid=0, stamp=0, looked=0, reconciled=False)
    watch.seen = Seen(none, alive=False)
    return watch


def test_one_that_does_not_know_what_was_holds_the_lease_and_closes_nothing_before_an_engine_was_seen() -> None:
    watch = without_an_engine()
    assert watch.looks(60) == []
    assert (watch.phase, watch.sentinel.holds) == (P.AWAITING, True)
    watch.comes_back(reconciled=False)
    assert watch.until(A.FLATTEN) == pytest.approx(3.1, abs=0.11)


def test_an_engine_that_began_and_died_between_two_looks_was_seen() -> None:
    watch = without_an_engine()
    watch.looks(10)
    watch.seen = Seen(replace(watch.seen.beat, phase=EnginePhase.STARTING, pid=7), alive=False)
    assert watch.until(A.FLATTEN) == pytest.approx(3.1, abs=0.11)


def test_one_that_does_not_know_what_was_gives_the_lease_to_an_engine_that_has_reconciled() -> None:
    watch = without_an_engine()
    watch.looks(10)
    watch.comes_back()
    assert watch.look() == [A.RELEASE, A.ALARM]
