"""The safety catch closes by itself."""

from tui.arming import IDLE_SECONDS, Arming


def test_a_key_arms_and_disarms() -> None:
    arming = Arming()
    assert arming.toggle(10.0)
    assert arming.armed
    assert not arming.toggle(11.0)
    assert not arming.disarm()


def test_it_disarms_after_five_idle_minutes_and_not_before() -> None:
    arming = Arming()
    arming.toggle(0.0)
    arming.touch(100.0)
    assert not arming.expire(100.0 + IDLE_SECONDS - 1)
    assert arming.left(100.0) == IDLE_SECONDS
    assert arming.expire(100.0 + IDLE_SECONDS)
    assert not arming.armed
    assert not arming.expire(1e9)
    assert arming.left(1e9) == 0


def test_the_arming_key_does_not_also_send() -> None:
    arming = Arming()
    assert not arming.settled(5.0)
    arming.toggle(5.0)
    assert not arming.settled(5.29)
    assert arming.settled(5.31)
