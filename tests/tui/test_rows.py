"""Columns fit their width; rows keep their order."""

from hypothesis import given
from hypothesis import strategies as st

from core.domain.order import CLOSED
from tui.rows import GAP, GUTTER, Cell, Column, Row, RowSet, lay_out
from tui.screens.orders import PAST_COLUMNS

COLUMNS = (
    Column("name", "instrument", 10, best=14),
    Column("last", "last", 9, best=12, align="decimal"),
    Column("day", "day %", 7, align="right", drop=1),
    Column("spark", "spark", 9, drop=2, flex=1),
)


def test_narrow_panes_drop_columns_by_priority() -> None:
    assert [i for i, _ in lay_out(COLUMNS, 60).columns] == [0, 1, 2, 3]
    assert [i for i, _ in lay_out(COLUMNS, 32).columns] == [0, 1, 2]
    assert [i for i, _ in lay_out(COLUMNS, 30).columns] == [0, 1]
    assert [i for i, _ in lay_out(COLUMNS, 5).columns] == [0, 1]  # what may not fall away stays


def test_room_goes_to_best_widths_then_to_flexible_columns() -> None:
    assert dict(lay_out(COLUMNS, GUTTER + 35 + 3 * GAP).columns) == {0: 10, 1: 9, 2: 7, 3: 9}
    assert dict(lay_out(COLUMNS, 60).columns) == {0: 14, 1: 12, 2: 7, 3: 60 - 2 - 6 - 33}


@given(
    st.lists(st.builds(Column, st.just("k"), st.just("t"), st.integers(1, 12), st.integers(0, 20), st.integers(0, 3),
                       st.just("left"), st.integers(1, 4)), min_size=1, max_size=8),
    st.integers(15, 200),
)  # fmt: skip
def test_a_layout_never_exceeds_its_width(columns: list[Column], width: int) -> None:
    layout = lay_out(columns, width)
    assert layout.width <= width
    assert all(given >= columns[i].width for i, given in layout.columns)
    if any(columns[i].flex for i, _ in layout.columns):
        assert layout.width == width


def _row(key: str, value: float) -> Row:
    return Row(key, (key, Cell(f"{value:.2f}", value=value)))


def test_rows_sort_by_value_not_by_text() -> None:
    rows = RowSet((Column("k", "k", 3), Column("v", "v", 6, align="decimal")))
    rows.replace([_row("a", 9.5), _row("b", 10.5), _row("c", -3)])
    rows.sort = (1, False)
    rows.arrange()
    assert rows.view == ["c", "a", "b"]
    rows.merge([_row("c", 99)])
    assert rows.view == ["a", "b", "c"]


def test_a_filter_looks_into_every_cell() -> None:
    rows = RowSet((Column("k", "k", 3), Column("v", "v", 6)))
    rows.needle = "btc"
    rows.replace([Row("1", ("ETH", "x")), Row("2", ("a", "BTC-USDT"))])
    assert rows.view == ["2"]
    assert "1" in rows


def test_numbers_widen_their_column_once() -> None:
    rows = RowSet((Column("v", "v", 6, align="decimal"),))
    assert rows.replace([Row("a", ("1.5",))])
    assert not rows.merge([Row("a", ("2.5",))])
    assert rows.merge([Row("a", ("10.25",))])
    assert rows.points == [(2, 3)]


def test_the_history_of_orders_writes_every_final_state_whole_in_80_columns() -> None:
    widths = {PAST_COLUMNS[index].key: width for index, width in lay_out(PAST_COLUMNS, 78).columns}
    assert {"time", "id", "average"} <= set(widths)
    assert all(len(status.value) <= widths["state"] for status in CLOSED)
