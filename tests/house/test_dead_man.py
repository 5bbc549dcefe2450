"""No venue's own switch is armed: it cancels orders, protective stops among them, and flattens nothing.

Whoever arms one has to show first that it never takes the only stop: invariant 17 in docs/reliability.md.
"""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CALLS = re.compile(
    r"cancel_?all_?(orders_?)?after|countdown_?cancel|schedule_?cancel|cancel_?on_?disconnect|dead_man_switch\s*=\s*True",
    re.IGNORECASE,
)


def armed(text: str) -> list[str]:
    """Return the lines of a program that arm a switch; what is said in comments and strings counts too."""
    return [line for line in text.splitlines() if CALLS.search(line)]


@pytest.mark.parametrize("folder", ["core", "desk", "store", "venues"])
def test_no_switch_is_armed(folder: str) -> None:
    found = {path.name: lines for path in (ROOT / folder).rglob("*.py") if (lines := armed(path.read_text()))}
    assert not found


@pytest.mark.parametrize(
    "line",
    [
        "await self.client.cancelAllOrdersAfter(60_000)",
        "exchange.cancel_all_orders_after(60_000)",
        'self.post("countdownCancelAll", symbol)',
        "Abilities(dead_man_switch=True)",
        'await self.call("private/enable_cancel_on_disconnect")',
    ],
)
def test_one_that_is_would_be_seen(line: str) -> None:
    assert armed(line) == [line]
