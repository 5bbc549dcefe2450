"""The engine's clock: sleep of the machine counts, steps of the system clock do not."""

import time

import pytest

from core.clock import LiveClock, ManualClock

HOUR_NS = 3_600 * 10**9


def test_it_tells_utc() -> None:
    before = time.time_ns()
    assert before - 10**9 < LiveClock().now() < time.time_ns() + 10**9


def test_it_never_goes_back() -> None:
    clock = LiveClock()
    told = [clock.now() for _ in range(1000)]
    assert told == sorted(told)


def test_sleep_of_the_machine_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """While a machine sleeps CLOCK_MONOTONIC stands still and CLOCK_BOOTTIME goes on."""
    clock, read = LiveClock(), time.clock_gettime_ns

    def after_a_sleep(id_: int) -> int:
        return read(id_) + (8 * HOUR_NS if id_ == time.CLOCK_BOOTTIME else 0)

    before = clock.now()
    monkeypatch.setattr(time, "clock_gettime_ns", after_a_sleep)
    assert clock.now() - before >= 8 * HOUR_NS


@pytest.mark.parametrize("step", [HOUR_NS, -HOUR_NS])
def test_a_step_of_the_system_clock_changes_nothing(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    clock, wall = LiveClock(), time.time_ns
    before = clock.now()
    monkeypatch.setattr(time, "time_ns", lambda: wall() + step)
    assert 0 <= clock.now() - before < HOUR_NS // 2


def test_it_goes_on_behind_a_time_that_was_told_before() -> None:
    clock = LiveClock()
    ahead = clock.now() + HOUR_NS
    clock.advance(ahead)
    assert ahead <= clock.now() < ahead + HOUR_NS
    clock.advance(ahead - HOUR_NS)
    assert clock.now() >= ahead


def test_a_clock_moved_by_hand_never_goes_back() -> None:
    clock = ManualClock(5)
    clock.advance(3)
    assert clock.now() == 5
    clock.advance(9)
    assert clock.now() == 9
