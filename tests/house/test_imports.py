"""The run-time side of the import contracts: what a fresh interpreter really loads."""

import sys
from collections.abc import Callable

import pytest

from tests.house.sources import files, imported, module_exists, place

HEAVY = {"textual", "pandas", "vectorbt", "duckdb", "numba", "optuna", "plotext"}
ENGINE_SIDE = [
    "core.engine",
    "core.runtime",
    "core.guardian",
    "core.session.server",
    "store.journal.journal",
    "store.segments.writer",
]
VENUE_SIDE = ["venues.paper", "venues.replay", "venues.market.source"]
TERMINAL_SIDE = ["core.session.client", "tui.app"]
FOREIGN_TO_TERMINAL = {
    *("ccxt", "duckdb", "sqlite3", "pandas", "pyarrow", "psycopg"),
    *("core.engine", "core.runtime", "core.guardian", "core.session.server", "venues", "store", "research", "desk"),
}
# Named by the design and still to come. A module leaves this set when it arrives; empty when the frame is complete.
AWAITED: set[str] = set()


def existing(modules: list[str]) -> list[str]:
    return [module for module in modules if module_exists(module)]


def loaded_by(module: str, fresh_python: Callable[[str], str]) -> set[str]:
    return set(fresh_python(f"import sys, {module}; print(*sys.modules)").split())


def test_a_deferred_heavy_import_would_be_seen(fresh_python: Callable[[str], str]) -> None:
    code = "import sys\ndef late():\n    import sqlite3\nlate()\nprint(*sys.modules)"
    assert "sqlite3" in fresh_python(code).split()
    assert "sqlite3" not in fresh_python("import sys; print(*sys.modules)").split()


@pytest.mark.parametrize("module", existing(ENGINE_SIDE + VENUE_SIDE))
def test_engine_side_loads_no_screen_and_no_research(module: str, fresh_python: Callable[[str], str]) -> None:
    loaded = loaded_by(module, fresh_python)
    assert module in loaded
    assert not (HEAVY | {"tui", "research", "desk"}) & loaded


def test_the_sentinel_loads_no_more_than_its_sessions_need(fresh_python: Callable[[str], str]) -> None:
    code = "import sys, desk.cli, desk.roles.watchdog, desk.alerting, desk.roles.pulses, desk.roles.systemd\n"
    code += "from desk.paths import Home\nfrom pathlib import Path\nfrom desk.wiring import market_venues\n"
    code += "from core.config.settings import Settings\nfrom core.clock import LiveClock\n"
    code += "market_venues(Home(Path('/nowhere')), Settings(), LiveClock())\nprint(*sys.modules)"
    loaded = set(fresh_python(code).split())
    assert {"desk.roles.watchdog", "core.guardian.sentinel", "venues.market.venue"} <= loaded
    heavy = HEAVY | {"tui", "research", "numpy", "sqlite3", "uvloop", "core.engine", "core.runtime"}
    assert not heavy & loaded


@pytest.mark.parametrize("module", existing(TERMINAL_SIDE))
def test_terminal_side_loads_no_engine_and_no_database(module: str, fresh_python: Callable[[str], str]) -> None:
    loaded = loaded_by(module, fresh_python)
    assert module in loaded
    assert not FOREIGN_TO_TERMINAL & loaded


@pytest.mark.parametrize("module", existing(ENGINE_SIDE + VENUE_SIDE + TERMINAL_SIDE))
def test_a_module_imports_on_its_own(module: str, fresh_python: Callable[[str], str]) -> None:
    assert fresh_python(f"import {module}; print({module}.__name__)").strip() == module


def test_the_named_modules_are_there() -> None:
    absent = {module for module in ENGINE_SIDE + VENUE_SIDE + TERMINAL_SIDE if not module_exists(module)}
    assert absent <= AWAITED, "a module went away: the checks above would silently pass without it"


def test_core_imports_only_the_vendors_it_may() -> None:
    everywhere = {"msgspec", "uvloop", "structlog", "prometheus_client", "numpy", "core"}
    lazily = {"talib", "hmmlearn", "river", "arch"}
    wrong = []
    for path in files("core"):
        allowed = everywhere | (lazily if {"strategy", "risk"} & set(path.parts) else set())
        wrong += [
            f"{place(path)}: {name}" for name in imported(path) if not _standard(name) and _top(name) not in allowed
        ]
    assert not wrong


def test_the_terminal_imports_only_its_vendors() -> None:
    allowed = {"textual", "rich", "plotext", "msgspec", "tui", "core"}
    wrong = [
        f"{place(p)}: {n}" for p in files("tui") for n in imported(p) if not _standard(n) and _top(n) not in allowed
    ]
    assert not wrong


def _top(name: str) -> str:
    return name.partition(".")[0]


def _standard(name: str) -> bool:
    return _top(name) in sys.stdlib_module_names
