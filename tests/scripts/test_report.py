"""Tables in pages: a marked part is replaced, and what stands around it stays."""

import pytest

from scripts.report import PAGE, put, table

TEXT = "before\n<!-- rig -->\nold\n<!-- end of rig -->\nafter\n"


def test_a_marked_part_is_replaced_and_the_rest_stays() -> None:
    assert put(TEXT, "rig", "new\n") == TEXT.replace("old", "new")
    assert put(put(TEXT, "rig", "new\n"), "rig", "old\n") == TEXT


def test_a_page_without_the_part_is_not_touched() -> None:
    with pytest.raises(ValueError, match="no part <!-- other -->"):
        put(TEXT, "other", "")


def test_a_table_keeps_its_columns() -> None:
    assert table(("a", "b"), [("1|2", "3")]) == "| a | b |\n| --- | --- |\n| 1/2 | 3 |\n"


@pytest.mark.parametrize("name", ["crash_days", "fault_rig", "kill_loop", "simulation"])
def test_the_page_has_the_parts_that_scripts_write(name: str) -> None:
    assert "same\n" in put(PAGE.read_text(encoding="utf-8"), name, "same\n")
