"""Times on the command line."""

import time

import pytest

from desk import times
from desk.output import UsageFault


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


@pytest.mark.parametrize("text", ["", "soon", "5", "-5s", "5 s"])
def test_anything_else_is_refused_with_the_forms(text: str) -> None:
    with pytest.raises(UsageFault, match=r"--since must be a length \(90s, 15m, 2h, 7d\) or a UTC time"):
        times.past("--since", text)
