"""A slip, a paste or a held key does one thing at most."""

from tui.keys import BurstGuard, Latch


def test_a_burst_is_refused_until_it_pauses() -> None:
    guard = BurstGuard()
    answers = [guard.refuses(0.001 * n) for n in range(50)]
    assert answers == [False] * 10 + [True] * 40
    assert guard.refuses(0.049 + 0.049)
    assert not guard.refuses(0.098 + 0.051)


def test_a_hand_is_never_refused() -> None:
    guard = BurstGuard()
    assert not any(guard.refuses(0.03 * n) for n in range(200))


def test_key_repeat_gives_one_action_in_flight() -> None:
    latch = Latch()
    assert latch.take("BTC", 0.0)
    assert not any(latch.take("BTC", 0.03 * n) for n in range(1, 50))
    assert latch.busy("BTC")
    assert latch.take("ETH", 0.1)
    latch.free("BTC")
    assert latch.take("BTC", 2.0)


def test_a_quick_answer_does_not_open_the_latch_early() -> None:
    latch = Latch()
    assert latch.take("BTC", 0.0)
    latch.free("BTC")
    assert not latch.take("BTC", 0.29)
    assert latch.take("BTC", 0.31)


def test_a_latch_forgets_targets_that_are_long_past() -> None:
    """A target names its orders: over months there are many."""
    latch = Latch()
    for number in range(1000):
        assert latch.take(f"cancel {number}", float(number))
        latch.free(f"cancel {number}")
    assert len(latch._started) < 10
