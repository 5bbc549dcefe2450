"""Ids that are never made twice, and what an id tells of the run that made it."""

import re

import pytest

from core.domain.identifiers import ClientOrderId
from core.execution.ids import OrderIds, born_at

NOW = 1_764_363_600_000_000_000


def test_an_id_names_home_run_birth_and_number_in_what_venues_take() -> None:
    ids = OrderIds("t8dd3", born_at(NOW))
    assert [ids.new(12), ids.new(12)] == ["t8dd3r12tgfo0n1", "t8dd3r12tgfo0n2"]
    assert re.fullmatch(r"[0-9a-z]{1,32}", ids.new(99_999))


def test_a_run_number_that_comes_again_makes_no_id_again() -> None:
    first, second = OrderIds("t0", born_at(NOW)), OrderIds("t0", born_at(NOW + 1_000_000_000))
    assert first.new(3) != second.new(3)


@pytest.mark.parametrize(
    ("id_", "forgotten"),
    [
        ("t0r4taan1", True),
        ("t0r3taan1", True),
        ("t0r3n1", True),
        ("t0r3tbbn9", False),
        ("t0r2taan1", False),
        ("t0s17n1", False),
        ("somebody", False),
        ("t0r4taan1x", False),
        ("", False),
    ],
)
def test_an_id_of_a_run_that_our_journal_does_not_know(id_: str, forgotten: bool) -> None:
    assert OrderIds("t0", "tbb").is_of_forgotten_run(ClientOrderId(id_), 3) is forgotten


def test_ids_of_this_home_are_owned_whoever_made_them() -> None:
    ids = OrderIds("t0")
    assert ids.owns(ClientOrderId("t0r1n1"))
    assert ids.owns(ClientOrderId("t0s17n1"))
    assert not ids.owns(ClientOrderId("t1r1n1"))
