"""Planting: one line of the program changed, for as long as a simulation runs.

A bug names what it does, the function, the line and what that becomes, and a seed that is known to show it. A line that
is no longer there fails loudly: the bug has to be planted anew where that decision is taken now.
"""

import contextlib
import inspect
import textwrap
from collections.abc import Iterator
from typing import Any

import msgspec

from core.domain import commands as c
from core.domain.approval import Approved, TradingState
from core.domain.reports import PositionReport

HELP = {"Approved": Approved, "TradingState": TradingState, "PositionReport": PositionReport, "c": c}
"""What a planted line may need that its module does not import."""


class Bug(msgspec.Struct, frozen=True):
    """One bug: where it is planted, and a seed that shows it."""

    name: str
    owner: Any
    """The module or class that holds the function."""
    function: str
    line: str
    becomes: str
    seed: int = 0
    also: "tuple[Bug, ...]" = ()
    """What has to be broken as well: the second of two belts."""


@contextlib.contextmanager
def planted(bug: Bug) -> Iterator[None]:
    """Plant a bug and take it out again."""
    with contextlib.ExitStack() as stack:
        for one in (bug, *bug.also):
            stack.enter_context(_changed(one))
        yield


@contextlib.contextmanager
def _changed(bug: Bug) -> Iterator[None]:
    real = getattr(bug.owner, bug.function)
    source = textwrap.dedent(inspect.getsource(real))
    assert bug.line in source, f"{bug.name}: {bug.function} has no line {bug.line!r} any more; plant the bug elsewhere"
    made: dict[str, Any] = {}
    scope, helped = real.__globals__, HELP.keys() - real.__globals__.keys()
    scope.update({name: HELP[name] for name in helped})
    exec(compile(source.replace(bug.line, bug.becomes), f"<planted: {bug.name}>", "exec"), scope, made)
    setattr(bug.owner, bug.function, made[bug.function])
    try:
        yield
    finally:
        setattr(bug.owner, bug.function, real)
        for name in helped:
            del scope[name]
