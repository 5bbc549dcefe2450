"""A study's file: what is searched, on which data, how it is judged. Unknown keys are refused with file and line."""

import difflib
import hashlib
import math
import re
import tomllib
from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

import msgspec
from msgspec import Meta

from core.config.file import expectation, line_numbers
from core.config.settings import Places
from core.config.writing import toml_value
from core.domain.identifiers import STRATEGY_ID
from core.domain.studies import Parameter
from core.errors import ResearchError
from core.strategy.library import MODELS
from research.study.walkforward import Windows
from research.validation.gates import Bounds
from research.validation.metrics import Objective

_WHERE = re.compile(r"^(.*) - at `(?:key in )?\$\.?(.*)`$", re.DOTALL)
_NAME = "^[a-z0-9][a-z0-9._-]{0,62}$"
_ADDED = {"marks": True, "funding": True, "venue": ""}
"""Keys of [data] that files did not always have, and what was done then."""
Day = Annotated[str, Meta(pattern="^([0-9]{4}-[0-9]{2}-[0-9]{2})?$")]
Count = Annotated[int, Meta(ge=1)]
Fee = Annotated[float, Meta(ge=0, lt=1)]
TierRow = tuple[Annotated[float, Meta(gt=0)], Annotated[float, Meta(ge=0, lt=1)], Annotated[int, Meta(ge=1)]]
"""The cap of a notional (quote asset), the maintenance rate up to it, the largest leverage."""


class Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A section of the file."""


class Search(Part, frozen=True, kw_only=True):
    """What is searched and by whom. ``trials`` are for each window; ``batch`` is evaluated in one pass."""

    name: Annotated[str, Meta(pattern=_NAME)]
    strategy: str
    strategy_id: Annotated[str, Meta(pattern=f"^$|{STRATEGY_ID}")] = ""
    """What a promoted trial runs under; empty is the strategy's own name."""
    evaluator: str = "research.study.strategies:evaluator"
    """``module:function`` that makes the evaluator."""
    trials: Count = 200
    workers: Annotated[int, Meta(ge=1, le=64)] = 2
    batch: Annotated[int, Meta(ge=1, le=4096)] = 32
    sampler: Literal["tpe", "random"] = "tpe"
    seed: int = 0
    memory_mb: Annotated[int, Meta(ge=100)] = 600
    """What a worker may take before it ends and a fresh one goes on."""


class DataPart(Part, frozen=True, kw_only=True):
    """The bars: folder (empty: the home's), contracts, step; ``start`` and ``end`` are UTC days, empty is all."""

    path: str = ""
    venue: str = ""
    """Whose candles; empty is whoever's there are, where one venue alone has them."""
    symbols: list[str] = []
    timeframe: str = "1h"
    start: Day = ""
    end: Day = ""
    marks: bool = True
    """Liquidate by the mark prices that were imported, as the venue does; else by traded prices."""
    funding: bool = True
    """Pay the funding that was imported."""


class AccountPart(Part, frozen=True, kw_only=True):
    """The wallet of each symbol, or the one of all where margin is crossed: quote asset, fractions of price.

    ``fee`` and ``tiers`` may have dates: UTC days from which they hold, the oldest for everything before it too.
    """

    cash: Annotated[float, Meta(gt=0)] = 10_000.0
    fee: Fee | dict[str, Fee] = 0.0005
    tiers: dict[str, dict[str, list[TierRow]]] = {}
    """By symbol and day; a symbol without has those of the shipped contract table."""
    slippage: Annotated[float, Meta(ge=0, lt=0.5)] = 0.0002
    """A fraction of the price; twice of it, under which a trial is stressed, still leaves a price."""
    margin_mode: Literal["isolated", "cross"] = "isolated"
    fraction: Annotated[float, Meta(gt=0, le=1)] = 1.0
    max_position_size: Annotated[float, Meta(ge=0)] = 0.0
    """The largest notional of a position; 0 is none."""


class Range(Part, frozen=True, kw_only=True):
    """What a parameter may be: between two values, or one of ``choices``.

    Whole numbers where both bounds are; ``log`` searches by magnitude.
    """

    low: float | int = 0
    high: float | int = 0
    step: float | int | None = None
    log: bool = False
    choices: list[Parameter] = []


def ends_of(value: Range | Parameter) -> list[Parameter]:
    """Return what a parameter may be at its ends: its bounds, each of its choices, or the one value that it has."""
    return (value.choices or [value.low, value.high]) if isinstance(value, Range) else [value]


class StudyFile(Part, frozen=True, kw_only=True):
    """A whole study."""

    study: Search
    space: dict[str, Range]
    fixed: dict[str, Parameter] = {}
    data: DataPart = DataPart()
    account: AccountPart = AccountPart()
    windows: Windows = Windows()
    objective: Objective = Objective()
    gates: Bounds = Bounds()

    @property
    def strategy_id(self) -> str:
        """Return what a promoted trial runs under, and its report is named by."""
        return self.study.strategy_id or self.study.strategy

    @property
    def digest(self) -> str:
        """Return what a study's trials depend on, as a hash: the whole file but its budget and its gates."""
        kept: dict[str, Any] = {**msgspec.to_builtins(self), "gates": None}
        kept["study"] = {key: kept["study"][key] for key in ("name", "strategy", "evaluator")}
        for key, before in _ADDED.items():
            if kept["data"][key] == before:  # studies that were begun before there was the key go on
                del kept["data"][key]
        return hashlib.sha256(msgspec.json.encode(kept, order="deterministic")).hexdigest()[:16]


def load(path: Path) -> StudyFile:
    """Read a study's file.

    Raises:
        ResearchError: it cannot be read, or ``parse`` refuses it.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ResearchError(
            f"there is no file {path}: name a study's file, or write one with: tradedeck study new {path}"
        ) from None
    except OSError as error:
        raise ResearchError(f"{path} cannot be read: {error.strerror or error}; expected a study's file") from None
    except UnicodeDecodeError:
        raise ResearchError(f"{path} is no text in UTF-8; expected a study's file, TOML") from None
    return parse(text, path.name)


def parse(text: str, name: str = "study.toml") -> StudyFile:
    """Read the text of a study's file; ``name`` stands before line numbers.

    Raises:
        ResearchError: no TOML, an unknown section or key, a missing or wrong value, a range that is none.
    """
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ResearchError(f"{name}: {error}; expected TOML: [section] and key = value lines") from error
    lines = line_numbers(text)
    _refuse_unknown(tree, name, lines)
    _refuse_endless(tree, name, lines)
    space = {key: _range(key, value, name, lines) for key, value in tree.pop("space", {}).items()}
    if not space:
        raise ResearchError(f"{name}: nothing to search; add a [space] with lines as: fast = {{ low = 5, high = 50 }}")
    both = sorted(space.keys() & tree.get("fixed", {}).keys())
    if both:
        raise ResearchError(f"{_at(name, lines, f'fixed.{both[0]}')} {both[0]} is searched in [space]; take one out")
    try:
        head = msgspec.convert({**tree, "space": {}}, StudyFile)
    except msgspec.ValidationError as error:
        raise ResearchError(_complaint(str(error), tree, name, lines)) from error
    _refuse_another_name(head.study, name, lines)
    _refuse_days(head.data, name, lines)
    return msgspec.structs.replace(head, space=space)


def _refuse_another_name(search: Search, name: str, lines: Mapping[str, int]) -> None:
    """Refuse an id that is another strategy's name: promoted, it would end what runs under that one."""
    id_ = search.strategy_id
    if id_ != search.strategy and id_ in MODELS:
        raise ResearchError(
            f"{_at(name, lines, 'study.strategy_id')} [study] strategy_id: {id_} is another strategy of the library, "
            f"whose config this study's would replace; expected an id of its own, such as {search.strategy}-btc"
        )


def nanoseconds(day: str) -> int | None:
    """Return the begin of a UTC day; None for no day.

    Raises:
        ResearchError: a day that no calendar has.
    """
    if not day:
        return None
    try:
        return int(datetime.combine(date.fromisoformat(day), time(), UTC).timestamp()) * 1_000_000_000
    except ValueError as error:
        raise ResearchError(f"{day} is no day: {error}; expected year-month-day, such as 2024-02-29") from error


def _refuse_unknown(tree: Mapping[str, Any], name: str, lines: Mapping[str, int]) -> None:
    parts = get_type_hints(StudyFile)
    for section, values in tree.items():
        if section not in parts or not isinstance(values, dict):
            raise ResearchError(f"{_at(name, lines, section)} no section [{section}]{_hint(section, parts)}")
        known: tuple[str, ...] = getattr(parts[section], "__struct_fields__", ())  # none: its keys are the study's own
        for key in values:
            if known and key not in known:
                place = _at(name, lines, f"{section}.{key}")
                raise ResearchError(f"{place} [{section}] no key {key}{_hint(key, known)}")


def _refuse_days(data: DataPart, name: str, lines: Mapping[str, int]) -> None:
    for key in ("start", "end"):
        day = getattr(data, key)
        try:
            nanoseconds(day)
        except ResearchError:
            place = _at(name, lines, f"data.{key}")
            raise ResearchError(f'{place} [data] {key}: "{day}" is no day of the calendar') from None
    if data.start and data.end and data.end <= data.start:
        place = _at(name, lines, "data.end")
        raise ResearchError(f"{place} [data] end: {data.end} is not after start {data.start}")


def _refuse_endless(tree: Mapping[str, Any], name: str, lines: Mapping[str, int], path: str = "") -> None:
    """Refuse nan and inf: no comparison with them means anything."""
    for key, value in tree.items():
        inner = f"{path}.{key}" if path else key
        if isinstance(value, Mapping):
            _refuse_endless(value, name, lines, inner)
        elif isinstance(value, float) and not math.isfinite(value):
            raise ResearchError(f"{_at(name, lines, inner)} {inner}: must be a number (got {value})")


def _range(key: str, value: Any, name: str, lines: Mapping[str, int]) -> Range:
    place = f"{_at(name, lines, f'space.{key}')} [space] {key}:"
    if not isinstance(value, dict):
        raise ResearchError(
            f"{place} expected {{ low = 1, high = 9 }} or {{ choices = [1, 2] }} (got {toml_value(value)}); "
            "a value that is not searched belongs into [fixed]"
        )
    try:
        made = msgspec.convert(value, Range)
    except msgspec.ValidationError as error:
        raise ResearchError(f"{place} {error}; expected low, high, and step or log, or choices") from error
    wrong = _wrong(made)
    if wrong:
        raise ResearchError(f"{place} {wrong} (got {toml_value(value)})")
    return made


def _wrong(made: Range) -> str:
    if made.choices:
        bare = msgspec.structs.replace(made, choices=[]) == Range()
        return "" if bare else "choices stand alone"
    if made.low >= made.high:
        return "low must be below high"
    if made.step is not None and (made.step <= 0 or made.log):
        return "step must be above 0, and without log"
    return "low must be above 0 where log is true" if made.log and made.low <= 0 else ""


def _at(name: str, lines: Mapping[str, int], path: str) -> str:
    return Places(name, lines).near(path)


def _hint(word: str, known: Any) -> str:
    near = difflib.get_close_matches(word, list(known), 1)
    return f"; did you mean {near[0]}?" if near else f"; expected one of {', '.join(known)}"


def _complaint(error: str, tree: Mapping[str, Any], name: str, lines: Mapping[str, int]) -> str:
    found = _WHERE.match(error)
    what, path = (found[1], found[2]) if found else (error, "")
    section, _, key = path.partition(".")
    key = re.sub(r"[.\[].*", "", key)
    missing = re.search(r"missing required field `(\w+)`", what)
    if missing:
        at = f"{_at(name, lines, path)} [{path}]" if path else f"{name}:"
        return f"{at} {missing[1]} is missing"
    value = tree.get(section, {}).get(key)
    return f"{_at(name, lines, f'{section}.{key}')} [{section}] {key}: {expectation(what)} (got {toml_value(value)})"


def example(name: str, strategy: str) -> str:
    """Return a study's file with every key and a comment; it searches all that the strategy lets one choose.

    Raises:
        ResearchError: no such strategy.
    """
    model = MODELS.get(strategy)
    if model is None:
        raise ResearchError(f'no strategy "{strategy}" in the library; it has {", ".join(sorted(MODELS))}')
    space = [
        f"{one.name} = {{ low = {one.low:g}, high = {one.high:g}, step = {one.step:g} }}  # {one.meaning}"
        for one in model.parameters
    ]
    return _EXAMPLE.format(name=name, strategy=strategy, space="\n".join(space))


_EXAMPLE = """\
# A study: what is searched, on which data, how it is judged. Unknown keys are refused.

[study]
name = "{name}"
strategy = "{strategy}"
strategy_id = ""      # what a promoted trial runs under, "{strategy}-btc"; empty: the strategy's name
trials = 200          # for each window
workers = 2           # processes, at idle priority
batch = 32            # parameter sets evaluated in one pass
sampler = "tpe"       # or "random"
memory_mb = 600       # a worker that takes more ends, and a fresh one goes on

[data]
path = ""             # the folder of imported candles; empty: data/ of the home, where tradedeck data import puts them
venue = ""            # whose candles, where several venues have them: "BINANCE-FUTURES", "BINANCE-SPOT"
symbols = ["BTCUSDT"]
timeframe = "1h"
start = ""            # UTC days, "2022-01-01"; empty: all there is
end = ""
marks = true          # imported mark prices decide liquidations; false: traded prices do
funding = true        # imported funding is paid; marks and funding cut the time to what they cover; false: none is

[account]
cash = 10000.0        # of each symbol's wallet; crossed: of the one that all share
fee = 0.0005          # fractions: 0.0005 is 5 bp; by day: {{ "2020-01-01" = 0.0004, "2024-01-01" = 0.0005 }}
slippage = 0.0002
margin_mode = "isolated"   # or "cross": one wallet, every position behind every other
fraction = 1.0        # of equity, times leverage, is a position; crossed: of the whole wallet's, so less for several
max_position_size = 0.0

[space]               # what is searched
{space}
leverage = {{ low = 1, high = 10, step = 1 }}

[fixed]               # what is not

[windows]             # days: train, a gap of purge and embargo, test; then on by one test
train_days = 365.0
test_days = 90.0
purge_days = 1.0
embargo_days = 0.0
expand = false

[objective]           # score = total return / (max drawdown x leverage)
least_trades = 30
least_drawdown = 0.01
least_days = 90.0

[gates]
least_trades = 30
least_efficiency = 0.5
least_dsr = 0.95
most_pbo = 0.2
least_plateau = 0.5
least_stressed_return = 0.0
most_shuffled_drawdown = 0.5
"""
