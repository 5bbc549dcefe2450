"""A bar shows a share in eighths of a cell."""

import math

import pytest

from tui.widgets.bar import bar


@pytest.mark.parametrize(
    ("share", "drawn"),
    [
        (None, "····"), (math.nan, "····"), (-0.5, "····"), (0.0, "····"), (1e-9, "▏···"), (0.25, "█···"),
        (0.3, "█▎··"), (0.5, "██··"), (0.999, "████"), (1.0, "████"), (7.0, "████"),
    ],
)  # fmt: skip
def test_a_bar(share: float | None, drawn: str) -> None:
    assert bar(share, 4) == drawn
