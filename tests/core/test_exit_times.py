"""How long exits took, from what woke them to the socket."""

from core.domain.identifiers import ClientOrderId
from core.exit_times import KEPT, ExitTimes

ONE, TWO = ClientOrderId("1"), ClientOrderId("2")


def test_the_last_and_the_worst_are_told() -> None:
    times = ExitTimes()
    assert times.vitals() == (0, 0, 0)
    times.decided(ONE, 100)
    times.decided(TWO, 100)
    times.left(TWO, 190)
    times.left(ONE, 130)
    assert times.vitals() == (2, 30, 90)


def test_what_was_never_decided_here_or_has_left_counts_once() -> None:
    times = ExitTimes()
    times.left(ONE, 130)
    times.decided(ONE, 100)
    times.left(ONE, 130)
    times.left(ONE, 990)
    assert times.vitals() == (1, 30, 30)


def test_exits_that_never_leave_take_no_memory() -> None:
    times = ExitTimes()
    for number in range(3 * KEPT):
        times.decided(ClientOrderId(str(number)), 0)
    times.left(ClientOrderId(str(3 * KEPT - 1)), 7)
    assert times.vitals() == (1, 7, 7)
