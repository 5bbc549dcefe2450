"""How every journalled and every sent message is laid out, as text; ``layouts.json`` is how the last release did.

``python -m tests.house.layouts`` writes that down anew for a release. The rule stands in docs/decisions/030-layouts.md.
"""

import sys
import tomllib
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple, get_args, get_type_hints

import msgspec

from core.domain.message import Message
from core.session import protocol, wire
from core.state.state import StateImage
from store.journal.format import FORMAT
from tests.conftest import ROOT

GOLDEN = Path(__file__).with_name("layouts.json")
_EMPTY = "required"


class Layout(msgspec.Struct, frozen=True):
    """One kind: by place (``fields`` in their order), by name, or an enum's values; ``tagged`` kinds stand alone."""

    by_place: bool
    tagged: bool
    fields: tuple[str, ...]


class Group(msgspec.Struct, frozen=True):
    """What one number stands for."""

    number: int
    kinds: dict[str, Layout]


class Released(msgspec.Struct, frozen=True):
    """What a version of the program laid down, by the number's name."""

    version: str
    groups: dict[str, Group]


class Field(NamedTuple):
    """One field, cut into its parts."""

    name: str
    types: frozenset[str]
    default: str


def journal() -> Group:
    """Return what the journal keeps: every event, and the image of a checkpoint."""
    return Group(FORMAT, _collect([*wire.EVENTS, StateImage]))


def spoken() -> Group:
    """Return what engine and client say to each other."""
    frames = [*get_args(protocol.ClientFrame), *get_args(protocol.ServerFrame), protocol.Outcome]
    return Group(protocol.PROTOCOL, _collect([*frames, *protocol.ANSWERS, *protocol.ANSWERS.values()]))


def current() -> dict[str, Group]:
    """Return what both numbers stand for now."""
    return {"core.session.protocol.PROTOCOL": spoken(), "store.journal.format.FORMAT": journal()}


def released() -> Released:
    """Return what they stood for in the last release."""
    return msgspec.json.decode(GOLDEN.read_bytes(), type=Released)


def version() -> str:
    """Return the version of the source."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        return str(tomllib.load(file)["project"]["version"])


def broken(before: Group, after: Group, *, new_kinds: bool = False) -> list[str]:
    """Return what an older program would misread, one sentence each; ``new_kinds`` counts kinds it never heard of."""
    found = [f"{name} is gone" for name in before.kinds if name not in after.kinds]
    for name, layout in after.kinds.items():
        if name in before.kinds:
            found += [f"{name}: {wrong}" for wrong in _changes(before.kinds[name], layout)]
        elif new_kinds and layout.tagged:
            found.append(f"{name} is new, and the other side cuts who says what it does not know")
    return found


def judged(before: dict[str, Group], after: dict[str, Group]) -> list[str]:
    """Return the changes that need a new number and have none."""
    found = list[str]()
    for number, group in after.items():
        wrong = broken(before[number], group, new_kinds=number.endswith("PROTOCOL"))
        if wrong and group.number <= before[number].number:
            found.append(f"raise {number} above {before[number].number}: " + "; ".join(wrong))
    return found


def _collect(roots: list[Any]) -> dict[str, Layout]:
    found: dict[str, Layout] = {}
    waiting = list(roots)
    while waiting:
        kind = waiting.pop()
        if not isinstance(kind, type) or not issubclass(kind, msgspec.Struct | Enum):
            waiting += [part for part in get_args(kind) if part is not Ellipsis]
            continue
        if kind.__name__ in found or kind is msgspec.Struct:
            continue
        if issubclass(kind, Enum):
            found[kind.__name__] = Layout(False, False, tuple(f"{member.value}: value = {_EMPTY}" for member in kind))
            continue
        hints = get_type_hints(kind)
        config = kind.__struct_config__
        found[kind.__name__] = Layout(
            config.array_like,
            config.tag is not None,
            tuple(_text(field, hints[field.name]) for field in msgspec.structs.fields(kind)),
        )
        waiting += hints.values()
    return dict(sorted(found.items()))


def _text(field: msgspec.structs.FieldInfo, hint: Any) -> str:
    if field.default is not msgspec.NODEFAULT:
        value = field.default.value if isinstance(field.default, Enum) else field.default
        default = repr(bytes(value) if isinstance(value, msgspec.Raw) else value)
    elif field.default_factory is not msgspec.NODEFAULT:
        default = f"{getattr(field.default_factory, '__name__', field.default_factory)}()"
    else:
        default = _EMPTY
    return f"{field.encode_name}: {_named(hint)} = {default}"


def _named(hint: Any) -> str:
    if hint is Ellipsis:
        return "..."
    parts = get_args(hint)
    if not parts:
        return "None" if hint is type(None) else str(getattr(hint, "__name__", hint))
    origin = getattr(hint, "__origin__", None)
    if isinstance(origin, type) and origin.__name__ != "Union":
        return f"{origin.__name__}[{', '.join(map(_named, parts))}]"
    messages = [part for part in parts if isinstance(part, type) and issubclass(part, Message)]
    if len(messages) == len(parts) > 5:
        return " | ".join(sorted({_family(part) for part in messages}))
    return " | ".join(sorted(map(_named, parts)))


def _family(kind: type[Message]) -> str:
    return f"any {kind.__mro__[1].__name__}"


def _cut(text: str) -> Field:
    name, rest = text.split(": ", 1)
    types, default = rest.split(" = ", 1)
    return Field(name, frozenset(types.split(" | ")), default)


def _changes(before: Layout, after: Layout) -> Iterator[str]:
    if (before.by_place, before.tagged) != (after.by_place, after.tagged):
        yield "it is encoded in another way"
    old, new = [_cut(text) for text in before.fields], [_cut(text) for text in after.fields]
    if not before.by_place:  # by name: the order says nothing
        there = {field.name: field for field in new}
        names = {field.name for field in old}
        missing = [field.name for field in old if field.name not in there]
        yield from (f"{name} is gone" for name in missing)
        old = [field for field in old if field.name in there]
        new = [there[field.name] for field in old] + [field for field in new if field.name not in names]
    for was, now in zip(old, new, strict=False):
        if was.name != now.name:
            yield f"{now.name} stands where {was.name} stood"
            return
        if not was.types <= now.types:
            yield f"{was.name} was {' | '.join(sorted(was.types))}"
        if was.default not in (now.default, _EMPTY):
            yield f"the default of {was.name} was {was.default}"
    yield from (f"{field.name} is gone" for field in old[len(new) :])
    values = not before.by_place and all(
        text.endswith(f": value = {_EMPTY}") for text in (*before.fields, *after.fields)
    )
    for field in new[len(old) :]:
        if field.default == _EMPTY and not values:
            yield f"{field.name} is new and has no default"


def main() -> int:
    """Write the release down, unless a number must be raised first."""
    now = current()
    wrong = judged(released().groups, now) if GOLDEN.exists() else []
    if wrong:
        print("\n".join(wrong), file=sys.stderr)
        return 1
    GOLDEN.write_bytes(msgspec.json.format(msgspec.json.encode(Released(version(), now)), indent=1) + b"\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
