"""Times in words: what is understood is said back in one way, and the rest is refused."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import ResearchError
from research.scheduler import _trigger
from research.times import DAYS, Times, read_times


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("mon 02:00", "mon 02:00"),
        ("Monday, THU 2:05", "mon thu 02:05"),
        ("sat sun 23:59", "sat sun 23:59"),
        ("daily 3:00", "daily 03:00"),
        (" hourly ", "hourly"),
        ("hourly :15", "hourly :15"),
    ],
)
def test_times_are_understood_and_said_in_one_way(text: str, words: str) -> None:
    assert read_times(text).words == words
    assert read_times(words) == read_times(text)


@pytest.mark.parametrize(
    "text",
    ["", "mon", "02:00", "mon 24:00", "mon 2:5", "mo 02:00", "mon mon 02:00", "mon daily 02:00", "hourly 15", "٣"],
)
def test_what_says_no_times_is_refused_with_what_does(text: str) -> None:
    with pytest.raises(ResearchError, match="write mon 02:00"):
        read_times(text)


@given(st.sets(st.sampled_from(DAYS)), st.integers(0, 23), st.integers(0, 59), st.integers(0, 10**9))
def test_the_next_time_is_the_first_that_the_words_name(days: set[str], hour: int, minute: int, after: int) -> None:
    times = Times(tuple(day for day in DAYS if day in days), hour, minute)
    now = datetime(2020, 1, 1, tzinfo=UTC) + timedelta(seconds=after)
    found = _trigger(times).get_next_fire_time(None, now)
    plain = now.replace(hour=hour, minute=minute, second=0, microsecond=0)
    while plain < now or (days and DAYS[plain.weekday()] not in days):
        plain += timedelta(days=1)
    assert found == plain
