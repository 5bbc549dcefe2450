"""How many bets a book is: the vectors of the specification, and what a limit may rely on."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.risk.concentration import book_variance, effective_bets, minimum_torsion_bets

VOLS = np.array([0.2, 0.3, 0.1])
CORRELATION = np.array([[1, 0.8, 0.2], [0.8, 1, 0.3], [0.2, 0.3, 1]])
WEIGHTS = np.array([0.5, 0.3, 0.2])


def known(one: str, other: str) -> float | None:
    return float(CORRELATION[int(one), int(other)])


def test_the_square_of_the_diversification_ratio() -> None:
    risks = {str(at): float(x) for at, x in enumerate(WEIGHTS * VOLS)}
    assert effective_bets(risks, known) == pytest.approx(1.126042**2, abs=2e-6)
    assert book_variance(risks, known) ** 0.5 == pytest.approx(0.186493968, abs=1e-9)


def test_minimum_torsion() -> None:
    bets, shares = minimum_torsion_bets(WEIGHTS, np.outer(VOLS, VOLS) * CORRELATION)
    assert bets == pytest.approx(2.348010, abs=1e-6)
    assert shares == pytest.approx([0.493906, 0.457301, 0.048793], abs=1e-6)


def test_why_the_guardian_does_not_count_by_minimum_torsion() -> None:
    """Of four equal bets on nearly the same it says four: as a bound it would let everything pass."""
    same = np.full((4, 4), 0.95) + 0.05 * np.eye(4)
    assert minimum_torsion_bets(np.ones(4), same)[0] == pytest.approx(4.0)
    assert effective_bets({str(at): 1.0 for at in range(4)}, lambda *_: 0.95) == pytest.approx(1.0389610)


def test_what_is_not_known_counts_as_the_same_bet_whatever_its_side() -> None:
    assert effective_bets({"a": 1.0, "b": 1.0}, lambda *_: None) == 1.0
    assert effective_bets({"a": 1.0, "b": -1.0}, lambda *_: None) == 1.0
    assert effective_bets({"a": 1.0, "b": -1.0}, lambda *_: 0.8) == 2.0
    assert effective_bets({"a": 1.0, "b": 1.0, "c": 1.0}, lambda *_: 0.0) == pytest.approx(3.0)


def test_an_empty_book_has_no_bets() -> None:
    assert effective_bets({}, known) == 0.0
    assert effective_bets({"0": 0.0}, known) == 0.0


@given(st.lists(st.floats(-10, 10), min_size=1, max_size=6), st.floats(0, 1))
def test_bets_lie_between_one_and_the_number_of_underlyings(weights: list[float], correlation: float) -> None:
    book = {str(at): weight for at, weight in enumerate(weights)}
    count = sum(1 for weight in weights if weight)
    bets = effective_bets(book, lambda *_: correlation)
    assert bets == 0.0 if not count else 1.0 - 1e-9 <= bets <= count


def test_minimum_torsion_of_what_never_moved_is_refused() -> None:
    still = np.outer(VOLS, VOLS) * CORRELATION
    still[0, :] = still[:, 0] = 0.0
    with pytest.raises(np.linalg.LinAlgError, match="positive definite"):
        minimum_torsion_bets(WEIGHTS, still)
