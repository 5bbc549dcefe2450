"""Times on the command line."""

import time

import pytest

from desk import times
from desk.commands.shown import clock
from desk.output import UsageFault

T0 = 1_700_000_000 * 10**9


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("1.5m", 90), ("2h", 7200), ("7d", 604_800)])
def test_a_length_counts_from_now(text: str, seconds: int) -> None:
    before = time.time_ns()
    future, past = times.future("--x", text), times.past("--x", text)
    after = time.time_ns()
    assert before <= future - seconds * 10**9 <= after
    assert before <= past + seconds * 10**9 <= after


@pytest.mark.parametrize("text", ["2024-08-09T00:00:00", "2024-08-09", "2024-08-09T02:00:00+02:00"])
def test_a_moment_is_utc_unless_it_says_otherwise(text: str) -> None:
    assert times.past("--x", text) == 1_723_161_600_000_000_000


@pytest.mark.parametrize("micros", [1, 7, 984_040, 999_999])
def test_a_moment_keeps_its_microseconds(micros: int) -> None:
    assert times.past("--x", f"2024-08-09T00:00:00.{micros:06d}") == 1_723_161_600 * 10**9 + micros * 1000
    assert times.past("--x", f"2038-08-04T13:59:59.{micros:06d}") == 2_164_543_199 * 10**9 + micros * 1000


def test_a_length_is_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: 0)
    assert times.future("--x", "1.1s") == 1_100_000_000
    assert times.future("--x", "16777216.001s") == 16_777_216_001_000_000


@pytest.mark.parametrize("ts", [T0 - 1, T0 + 10**9 - 1])
def test_a_shown_stamp_never_says_a_second_that_has_not_come(ts: int) -> None:
    assert clock(ts) == ("2023-11-14 22:13:19" if ts < T0 else "2023-11-14 22:13:20")


@pytest.mark.parametrize("text", ["", "soon", "5", "-5s", "5 s", "٥s", "１2s"])
def test_anything_else_is_refused_with_the_forms(text: str) -> None:
    with pytest.raises(UsageFault, match=r"--since must be a length \(90s, 15m, 2h, 7d\) or a UTC time"):
        times.past("--since", text)


@pytest.mark.parametrize("text", ["99999999999h", "2600000h", "3654d", "2999-01-01", "9999-12-31T23:59:59"])
def test_what_lies_ahead_is_within_ten_years(text: str) -> None:
    with pytest.raises(UsageFault, match=rf'--expires must be within ten years \(got "{text}"\)'):
        times.future("--expires", text)
    assert times.future("--expires", "3650d") < 2**63


def test_a_time_of_long_ago_is_the_beginning_and_a_length_of_ages_a_slip() -> None:
    assert times.past("--since", "0001-01-01") == 0
    with pytest.raises(UsageFault, match="--since must be within ten years"):
        times.past("--since", "99999999999h")


@pytest.mark.parametrize("text", ["2024-08-09", "0s"])
def test_what_must_lie_ahead_may_not_be_over(text: str) -> None:
    with pytest.raises(UsageFault, match="--expires must be in the future"):
        times.future("--expires", text)
