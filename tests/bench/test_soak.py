"""Memory that is flat is told from memory that grows; and a minute and a half of the real thing."""

from itertools import islice

import pytest

from bench.soak import WARM_S, Soaked, soak, verdict, walks

QUARTER = 32


def seen(*quarters: float, noise: float = 0.2) -> Soaked:
    """Make what a run would have seen: a warm-up that grows, then quarters of an hour-like series."""
    warm = [(10.0 * n, 40.0 + n) for n in range(int(WARM_S / 10))]
    after = [(WARM_S + 10.0 * n, quarters[n // QUARTER] + noise * (n % 2)) for n in range(QUARTER * len(quarters))]
    return Soaked(warm + after)


def test_flat_memory_is_flat_whatever_the_warm_up_did() -> None:
    found = verdict(seen(60.0, 60.4, 60.1, 60.5))
    assert found.ok
    assert found.required == "≤ 1.05 ×"
    assert "first quarter 60.1 MB, last 60.6 MB, most 60.7 MB" in found.note


def test_memory_that_grows_is_seen() -> None:
    assert verdict(seen(60.0, 61.0, 62.0, 63.4)).ok is False
    assert verdict(seen(60.0, 66.0, 60.0, 60.0)).ok is False  # a hump is not flat either


def test_too_short_a_run_gives_no_verdict() -> None:
    with pytest.raises(ValueError, match="at least 4"):
        verdict(Soaked([(WARM_S + n, 60.0) for n in range(3)]))


def test_a_walk_shows_every_screen_and_sends_only_what_it_means_to() -> None:
    rounds = list(islice(walks(), 11))
    assert [walk[0] for walk in rounds] == [b"1", b"1", b"1", *(bytes([digit]) for digit in b"23456789")]
    pressed = {key for walk in rounds for key in walk}
    assert not pressed & {b"H", b"X", b"F", b"q", b"U", b"K", b"C", b"a", b"M"}


@pytest.mark.long
def test_a_minute_and_a_half_of_the_soak() -> None:
    found = soak(90.0, tell=False)
    assert found.keys > 60
    assert found.fills >= 2
    assert len(found.samples) >= 4
    assert max(memory for _, memory in found.samples) < 100  # it still warms up: what is flat is judged over 24 minutes
