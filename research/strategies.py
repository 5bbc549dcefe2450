"""The library's strategies as evaluators of a study: imported candles in, back-tests with margin out."""

import os
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from core.domain.identifiers import InstrumentId
from core.domain.message import Nanoseconds
from core.errors import ConfigError, ResearchError
from core.strategy.library import MODELS, Model, Parameter, checked
from core.strategy.signals import Indicators
from research.checks import moment
from research.dataset import Joined, across, contract_of, joined
from research.evaluator import Parameters
from research.features import SIZES, batches
from research.history import Played
from research.records import RUN, TRADE
from research.simulator import Account, Market, Sets, Tariff, simulate
from research.study import Range, StudyFile, nanoseconds
from research.walkforward import Span, windows
from store.candles import CandleKind, CandleStore, SeriesName, interval_ns


def evaluator(file: StudyFile) -> "Library":
    """Return the evaluator of a strategy of the library.

    Raises:
        ResearchError: an unknown strategy or parameter, or data that were not imported.
    """
    return Library(file)


class Library:
    """Back-test one strategy of the library over each symbol's wallet; indicators know the bars before a span."""

    def __init__(self, file: StudyFile) -> None:
        self.file, self.cash = file, file.account.cash
        self.model = _model(file)
        self.parts = [_part(file, symbol) for symbol in _symbols(file)]
        self.instruments = tuple(contract_of(part.name).id for part in self.parts)
        steps = [part.bars.interval_ns for part in self.parts]
        self.span = Span(
            max(int(part.bars.ts[0]) for part in self.parts),
            min(int(part.bars.ts[-1]) + step for part, step in zip(self.parts, steps, strict=True)),
        )
        self._refuse_short()
        together = Indicators(across(self.parts)) if self.model.across else None
        self._indicators = [together or Indicators(part.bars) for part in self.parts]
        self._markets: dict[tuple[int, Span], Market] = {}

    def evaluate(self, parameters: Sequence[Parameters], span: Span, *, slippage: float = 1.0) -> NDArray[np.void]:
        """Return ``research.records.RUN`` records (sets, symbols); ``slippage`` multiplies the account's."""
        found = np.zeros((len(parameters), len(self.parts)), RUN)
        found["equity"], found["liquidated"], found["leverage"] = self.cash, -1, 1.0  # what is no set earns nothing
        rules, sizes, fit = self._split(parameters)
        for symbol in range(len(self.parts)):
            first, market = self._cut(symbol, span)
            account = self._account(slippage)
            for batch in batches(self.model, self._indicators[symbol], rules, symbol=symbol, **sizes):
                runs, _ = simulate(market, account, _within(batch.sets, first, market.size))
                found[fit[batch.numbers], symbol] = runs
        return found

    def profits(self, parameters: Parameters, span: Span) -> NDArray[np.float64]:
        """Return what each trade of one set brought after costs (quote asset), by the time it closed."""
        played = self.play(parameters, span)
        closed = np.concatenate([one.market.ts[one.trades["closed"]] for one in played])
        profits = np.concatenate([one.trades["profit"] for one in played])
        ordered: NDArray[np.float64] = profits[np.argsort(closed, kind="stable")]
        return ordered

    def play(self, parameters: Parameters, span: Span) -> list[Played]:
        """Return one set's back-test with every trade, an entry for each instrument."""
        rules, sizes, _ = self._split([parameters])
        found = []
        for symbol, instrument in enumerate(self.instruments):
            first, market = self._cut(symbol, span)
            trades = np.zeros(0, TRADE)
            if rules:
                (batch,) = batches(self.model, self._indicators[symbol], rules, symbol=symbol, **sizes)
                sets = _within(batch.sets, first, market.size)
                trades = simulate(market, self._account(1.0), sets, trades=True)[1]
            found.append(Played(instrument, market, trades))
        return found

    def liquidation(self, runs: NDArray[np.void], span: Span) -> tuple[Nanoseconds, InstrumentId]:
        """Return when one set's records were liquidated first, and in what; 0 and nothing where they never were."""
        found = [
            (int(self._cut(symbol, span)[1].ts[bar]), self.instruments[symbol])
            for symbol, bar in enumerate(runs["liquidated"])
            if bar >= 0
        ]
        return min(found, default=(0, InstrumentId("")))

    def _refuse_short(self) -> None:
        """Refuse data whose time in common is none, or too short for the windows, and say what each symbol has."""
        spans = ", ".join(
            f"{part.name.symbol} {moment(part.bars.ts[0])} to {moment(part.bars.ts[-1])}" for part in self.parts
        )
        if self.span.start >= self.span.stop:
            raise ResearchError(f"the symbols have no time in common: {spans}; study them apart")
        try:
            windows(self.span, self.file.windows)
        except ResearchError as error:
            raise ResearchError(f"{error}; there is {spans}") from None

    def _account(self, slippage: float) -> Account:
        own = self.file.account
        return Account(cash=own.cash, slippage=own.slippage * slippage, isolated=own.margin_mode == "isolated")

    def _split(
        self, parameters: Sequence[Parameters]
    ) -> tuple[list[dict[str, float]], dict[str, NDArray[np.float64]], NDArray[np.int64]]:
        """Return the strategy's own parameters and the sizes of the sets that it takes, and which sets these are.

        A search meets sets that are none, a fast average that is not the faster one, say.
        """
        rules, rows, fit = [], [], []
        account = self.file.account
        usual = {"leverage": 1.0, "fraction": account.fraction, "max_size": account.max_position_size}
        for number, one in enumerate(parameters):
            values = {name: float(value) for name, value in one.items()}
            rule = {name: value for name, value in values.items() if name not in SIZES}
            try:
                rules.append(checked(self.model, rule))
            except ConfigError:
                continue
            rows.append({**usual, **{name: value for name, value in values.items() if name in SIZES}})
            fit.append(number)
        names = sorted({name for row in rows for name in row})
        sizes = {name: np.array([row.get(name, 0.0) for row in rows]) for name in names}
        return rules, sizes, np.array(fit, np.int64)

    def _cut(self, symbol: int, span: Span) -> tuple[int, Market]:
        """Return a symbol's bars of a span as a market, and the number of the first one."""
        part = self.parts[symbol]
        start, stop = (int(edge) for edge in np.searchsorted(part.bars.ts, [span.start, span.stop]))
        market = self._markets.get((symbol, span))
        if market is None:
            market = self._markets[symbol, span] = self._market(part, slice(start, stop))
        return start, market

    def _market(self, part: Joined, inside: slice) -> Market:
        bars, contract = part.bars, contract_of(part.name)
        tiers = ((0, contract.brackets),) if contract.brackets else ()
        marks = None if part.marks is None else tuple(one[inside] for one in part.marks)
        return Market(
            bars.ts[inside],
            (bars.open[inside], bars.high[inside], bars.low[inside], bars.close[inside]),
            marks=marks,  # type: ignore[arg-type]  # three of them
            funding_rate=None if part.funding_rate is None else part.funding_rate[inside],
            tariff=Tariff(fees=((0, self.file.account.fee),), tiers=tiers),
        )


def _within(sets: Sets, first: int, size: int) -> Sets:
    """Return sets as they act inside a cut of their bars."""
    bars = np.asarray(sets.bars) - first
    there = (bars >= 0) & (bars < size)
    return msgspec.structs.replace(sets, bars=bars[there], signals=sets.signals[:, there])


def _model(file: StudyFile) -> Model:
    model = MODELS.get(file.study.strategy)
    if model is None:
        raise ResearchError(f'no strategy "{file.study.strategy}" in the library; it has {", ".join(sorted(MODELS))}')
    own = {parameter.name: parameter for parameter in model.parameters}
    known = own.keys() | SIZES
    for section, part in (("space", file.space), ("fixed", file.fixed)):
        for name, value in part.items():
            if name not in known:
                raise ResearchError(f'{model.name} has no parameter "{name}"; it has {", ".join(sorted(known))}')
            _refuse_value(f"[{section}] {name}", value, own.get(name))
    return model


def _refuse_value(where: str, value: Range | object, own: Parameter | None) -> None:
    """Refuse what is no number, and a parameter of which the strategy takes no value that is searched."""
    values = (value.choices or [value.low, value.high]) if isinstance(value, Range) else [value]
    for one in values:
        if not isinstance(one, int | float):
            raise ResearchError(f'{where}: expected numbers (got "{one}"); strategies of the library take nothing else')
    if own is None:
        return
    least, most = min(map(float, values)), max(map(float, values))  # type: ignore[arg-type]  # they are numbers
    if most < own.low or least > own.high:
        raise ResearchError(f"{where}: the strategy takes {own.low:g} to {own.high:g} ({own.meaning}), none of these")


def _symbols(file: StudyFile) -> list[str]:
    symbols = file.data.symbols
    if not symbols:
        raise ResearchError("[data] symbols is empty: name at least one, such as BTCUSDT")
    for symbol in symbols:
        if symbols.count(symbol) > 1:
            raise ResearchError(f"[data] symbols names {symbol} twice: each has a wallet of its own once")
    return symbols


def _part(file: StudyFile, symbol: str) -> Joined:
    """Return a symbol's candles, with the marks and funding that were imported beside them."""
    store, data = CandleStore(_folder(file)), file.data
    interval_ns(data.timeframe)
    names = store.names()
    wanted = [
        one for one in names if (one.symbol, one.kind, one.interval) == (symbol, CandleKind.CANDLES, data.timeframe)
    ]
    if len(wanted) != 1:
        have = ", ".join(map(str, wanted or names)) or "nothing"
        what = "several venues have" if wanted else "nobody has imported"
        raise ResearchError(f"{what} {data.timeframe} candles of {symbol}: there is {have} (tradedeck data import)")
    name = wanted[0]
    return joined(
        store,
        name,
        marks=SeriesName(name.venue, symbol, CandleKind.MARK, data.timeframe) in names,
        funding=SeriesName(name.venue, symbol, CandleKind.FUNDING) in names,
        start=nanoseconds(data.start) or 0,
        end=nanoseconds(data.end) or 1 << 62,
    )


def _folder(file: StudyFile) -> Path:
    """Return where the imported candles lie: as the file says, else in the home."""
    home = os.environ.get("TRADEDECK_HOME", "")
    if not file.data.path and not home:
        raise ResearchError("[data] path is empty and no home is named: give the folder of the imported candles")
    return Path(file.data.path).expanduser() if file.data.path else Path(home) / "data"
