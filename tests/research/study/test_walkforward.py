"""Windows, purge and embargo: skfolio as the oracle, and that no training ever sees its test."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import ResearchError
from research.study.walkforward import DAY_NS, Span, Window, Windows, combinatorial, paths, purged, rolling, windows


def test_the_published_windows() -> None:
    assert rolling(12, 4, 2, purge=1) == [
        Window(Span(0, 4), Span(5, 7)),
        Window(Span(2, 6), Span(7, 9)),
        Window(Span(4, 8), Span(9, 11)),
    ]


@given(
    size=st.integers(2, 80),
    train=st.integers(1, 20),
    test=st.integers(1, 10),
    purge=st.integers(0, 5),
    expand=st.booleans(),
)
def test_windows_are_skfolios(size: int, train: int, test: int, purge: int, expand: bool) -> None:
    from skfolio.model_selection import WalkForward

    if size < train + purge + test:
        with pytest.raises(ResearchError, match="fewer than one window takes"):
            rolling(size, train, test, purge=purge, expand=expand)
        return
    oracle = WalkForward(test_size=test, train_size=train, purged_size=purge, expand_train=expand)
    found = rolling(size, train, test, purge=purge, expand=expand)
    expected = [(list(a), list(b)) for a, b in oracle.split(np.zeros((size, 1)))]
    assert [(list(range(*one.train)), list(range(*one.test))) for one in map(_pairs, found)] == expected


class _Pair:
    def __init__(self, window: Window) -> None:
        self.train = (window.train.start, window.train.stop)
        self.test = (window.test.start, window.test.stop)


def _pairs(window: Window) -> _Pair:
    return _Pair(window)


@given(size=st.integers(30, 200), purge=st.integers(0, 5), embargo=st.integers(0, 5), expand=st.booleans())
def test_a_training_ends_purge_and_embargo_before_its_test(size: int, purge: int, embargo: int, expand: bool) -> None:
    for one in rolling(size, 10, 7, purge=purge, embargo=embargo, expand=expand):
        assert one.train.stop + purge + embargo == one.test.start
        assert one.test.stop <= size


def test_windows_of_time_end_with_the_data() -> None:
    start = 1_600_000_000_000_000_000
    whole = Span(start, start + 100 * DAY_NS)
    found = windows(whole, Windows(train_days=30, test_days=10, purge_days=1, embargo_days=0.5))
    assert found[-1].test.stop == whole.stop
    assert found[0].train.start >= whole.start
    assert {one.train.days for one in found} == {30.0}
    assert {(one.test.start - one.train.stop) / DAY_NS for one in found} == {1.5}
    assert all(before.test.stop == after.test.start for before, after in itertools.pairwise(found))
    grown = windows(whole, Windows(train_days=30, test_days=10, expand=True))
    assert {one.train.start for one in grown} == {whole.start}
    with pytest.raises(ResearchError, match="over 20 days"):
        windows(Span(start, start + 20 * DAY_NS), Windows(train_days=30, test_days=10))


@pytest.mark.parametrize(("train", "test", "purge"), [(0, 1, 0), (1, 0, 0), (1, 1, -1)])
def test_impossible_lengths_are_refused(train: int, test: int, purge: int) -> None:
    with pytest.raises(ResearchError, match="lengths must be above 0"):
        rolling(10, train, test, purge=purge)


def test_a_label_that_reaches_into_a_test_is_purged() -> None:
    labels = np.array([(i, i + 2) for i in range(20)], np.int64)  # each outcome is known two samples later
    kept = purged(labels, [Span(8, 12)], embargo=3)
    assert list(kept) == [0, 1, 2, 3, 4, 5, 15, 16, 17, 18, 19]
    assert list(purged(labels, [Span(8, 12)])) == [0, 1, 2, 3, 4, 5, 14, 15, 16, 17, 18, 19]


@pytest.mark.parametrize(("purge", "embargo"), [(0, 0), (1, 1), (2, 0)])
def test_combinations_are_skfolios(purge: int, embargo: int) -> None:
    from skfolio.model_selection import CombinatorialPurgedCV

    oracle = CombinatorialPurgedCV(n_folds=6, n_test_folds=2, purged_size=purge, embargo_size=embargo)
    expected = [(list(train), [list(part) for part in tests]) for train, tests in oracle.split(np.zeros((24, 1)))]
    found = [
        (list(train), [list(range(one.start, one.stop)) for one in tests])
        for train, tests in combinatorial(24, 6, 2, purge=purge, embargo=embargo)
    ]
    assert len(found) == 15
    assert found == expected
    assert paths(6, 2) == 5


def test_impossible_combinations_are_refused() -> None:
    with pytest.raises(ResearchError, match="cannot test 6 of 6"):
        list(combinatorial(24, 6, 6))
