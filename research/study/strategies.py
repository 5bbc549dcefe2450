"""The library's strategies as evaluators of a study: imported candles in, back-tests with margin out."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from core.domain.identifiers import InstrumentId
from core.domain.message import Nanoseconds
from core.errors import ConfigError, ResearchError
from core.state.outright import is_outright
from core.strategy.library import MODELS, Model, Parameter, checked
from core.strategy.signals import Indicators
from research.data.checks import moment
from research.data.dataset import Joined, across, contract_of, joined
from research.data.tariffs import account_tariff
from research.simulator.features import SIZES, Batch, batches
from research.simulator.records import RUN, TRADE
from research.simulator.shared import Basket, simulate_shared
from research.simulator.simulator import Account, Market, Sets, simulate
from research.study.evaluator import Parameters
from research.study.outright import LONG_ONLY, refuse_kinds
from research.study.study import Range, StudyFile, ends_of, nanoseconds
from research.study.walkforward import Span, windows
from research.validation.history import Played
from store.candles import CandleKind, CandleStore, SeriesName, interval_ns

MOST_LEVERAGE = 20.0
"""What a study may search up to."""


def evaluator(file: StudyFile) -> "Library":
    """Return the evaluator of a strategy of the library.

    Raises:
        ResearchError: an unknown strategy or parameter, or data that were not imported.
    """
    return Library(file)


KEPT_SPANS = 2
INDICATOR_BYTES = 150e6
"""What indicators of all symbols may take: a search asks for hundreds of periods, 1.4 MB each for five years of 15m."""
Outcome = tuple[NDArray[np.int64], NDArray[np.void], NDArray[np.void]]
"""Which sets, what each came to, and their trades, which opened and closed at times (ns, UTC)."""


class Library:
    """Back-test one strategy of the library: a wallet for each symbol, or one for all where margin is crossed.

    Indicators know the bars before a span. What is bought outright is never sold short: such a signal only closes.
    """

    def __init__(self, file: StudyFile) -> None:
        self.file, self.cash = file, file.account.cash
        self.model = _model(file)
        self.parts = [_part(file, symbol) for symbol in _symbols(file)]
        contracts = [contract_of(part.name) for part in self.parts]
        refuse_kinds(file, contracts)
        self.instruments = tuple(contract.id for contract in contracts)
        self._outright = [is_outright(contract) for contract in contracts]
        self.tariffs = [account_tariff(file.account, part.name) for part in self.parts]
        steps = [part.bars.interval_ns for part in self.parts]
        self.span = Span(
            max(int(part.bars.ts[0]) for part in self.parts),
            min(int(part.bars.ts[-1]) + step for part, step in zip(self.parts, steps, strict=True)),
        )
        self._refuse_short()
        most = INDICATOR_BYTES / len(self.parts)
        together = Indicators(across(self.parts), INDICATOR_BYTES) if self.model.across else None
        self._indicators = [together or Indicators(part.bars, most) for part in self.parts]
        every = range(len(self.parts))
        self.wallets = [tuple(every)] if file.account.margin_mode == "cross" else [(symbol,) for symbol in every]
        self._markets: dict[tuple[int, ...], dict[Span, Market | Basket]] = {wallet: {} for wallet in self.wallets}

    def evaluate(self, parameters: Sequence[Parameters], span: Span, *, slippage: float = 1.0) -> NDArray[np.void]:
        """Return ``research.simulator.records.RUN`` records (sets, wallets); ``slippage`` multiplies the account's."""
        found = np.zeros((len(parameters), len(self.wallets)), RUN)
        found["equity"], found["liquidated"], found["leverage"] = self.cash, -1, 1.0  # what is no set earns nothing
        rules, sizes, fit = self._split(parameters)
        for place, wallet in enumerate(self.wallets):
            for numbers, runs, _ in self._simulated(wallet, rules, sizes, span, self._account(slippage)):
                found[fit[numbers], place] = runs
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
        for wallet in self.wallets:
            log = np.zeros(0, TRADE)
            if rules:
                ((_, _, log),) = self._simulated(wallet, rules, sizes, span, self._account(1.0), trades=True)
            for place, symbol in enumerate(wallet):
                market = self._market(symbol, self._bars(symbol, span))
                trades = log[log["symbol"] == place].copy() if len(wallet) > 1 else log.copy()
                for name in ("opened", "closed"):  # in a shared wallet another's bar may be the last
                    trades[name] = np.minimum(np.searchsorted(market.ts, trades[name]), market.size - 1)
                found.append(Played(self.instruments[symbol], market, trades))
        return found

    def liquidation(self, runs: NDArray[np.void], span: Span) -> tuple[Nanoseconds, InstrumentId]:
        """Return when one set's records were liquidated first, and in what; 0 and nothing where they never were.

        A shared wallet is liquidated as a whole, in nothing by name.
        """
        found = [
            (
                int(self._market_of(wallet, span).ts[bar]),
                self.instruments[wallet[0]] if len(wallet) == 1 else InstrumentId(""),
            )
            for wallet, bar in zip(self.wallets, runs["liquidated"], strict=True)
            if bar >= 0
        ]
        return min(found, default=(0, InstrumentId("")))

    def _refuse_short(self) -> None:
        """Refuse data whose time in common is none, or too short for the windows, and say what each symbol has."""
        spans = ", ".join(
            f"{part.name.symbol} {moment(part.bars.ts[0])} to {moment(part.bars.ts[-1])}" for part in self.parts
        )
        if self.span.start >= self.span.stop:
            cuts = "".join(f"; {cut}" for part in self.parts for cut in part.cuts)
            raise ResearchError(f"the symbols have no time in common: {spans}{cuts}; study them apart")
        try:
            windows(self.span, self.file.windows)
        except ResearchError as error:
            cuts = "; ".join(cut for part in self.parts for cut in part.cuts)
            remedy = f"; {cuts}: import more, or go without: [data] funding = false, marks = false" if cuts else ""
            raise ResearchError(f"{error}; there is {spans}{remedy}") from None

    def _simulated(
        self,
        wallet: tuple[int, ...],
        rules: list[dict[str, float]],
        sizes: dict[str, NDArray[np.float64]],
        span: Span,
        account: Account,
        *,
        trades: bool = False,
    ) -> Iterator[Outcome]:
        """Back-test sets in one wallet, batch by batch; every symbol has its sets in the same batches."""
        market, each = self._market_of(wallet, span), [self._batches(symbol, rules, sizes) for symbol in wallet]
        for batch in zip(*each, strict=True):
            sets = [self._within(one, symbol, span) for one, symbol in zip(batch, wallet, strict=True)]
            if isinstance(market, Basket):
                runs, log = simulate_shared(market, account, sets, trades=trades)
            else:
                runs, log = simulate(market, account, sets[0], trades=trades)
            log = log.copy()
            for name in ("opened", "closed"):
                log[name] = market.ts[log[name]]
            yield batch[0].numbers, runs, log

    def _batches(
        self, symbol: int, rules: list[dict[str, float]], sizes: dict[str, NDArray[np.float64]]
    ) -> Iterator[Batch]:
        return batches(self.model, self._indicators[symbol], rules, symbol=symbol, **sizes)

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

    def _bars(self, symbol: int, span: Span) -> slice:
        """Return which of a symbol's bars a span has."""
        start, stop = np.searchsorted(self.parts[symbol].bars.ts, [span.start, span.stop])
        return slice(int(start), int(stop))

    def _within(self, batch: Batch, symbol: int, span: Span) -> Sets:
        """Return sets as they act inside a span, bars counted from its first."""
        inside = self._bars(symbol, span)
        acts = np.asarray(batch.sets.bars)
        there = (acts >= inside.start) & (acts < inside.stop)
        signals = batch.sets.signals[:, there]
        if self._outright[symbol]:
            signals = LONG_ONLY[signals]
        return msgspec.structs.replace(batch.sets, bars=acts[there] - inside.start, signals=signals)

    def _market_of(self, wallet: tuple[int, ...], span: Span) -> Market | Basket:
        """Return what a wallet trades over a span; the last two spans are kept, those of the window under way."""
        kept = self._markets[wallet]
        if span not in kept:
            while len(kept) >= KEPT_SPANS:
                del kept[next(iter(kept))]
            markets = [self._market(symbol, self._bars(symbol, span)) for symbol in wallet]
            kept[span] = markets[0] if len(markets) == 1 else Basket(markets)
        return kept[span]

    def _market(self, symbol: int, inside: slice) -> Market:
        part, bars = self.parts[symbol], self.parts[symbol].bars
        marks = None if part.marks is None else tuple(one[inside] for one in part.marks)
        return Market(
            bars.ts[inside],
            (bars.open[inside], bars.high[inside], bars.low[inside], bars.close[inside]),
            marks=marks,  # type: ignore[arg-type]  # three of them
            funding_rate=None if part.funding_rate is None else part.funding_rate[inside],
            tariff=self.tariffs[symbol],
        )


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
            _refuse_value(f"[{section}] {name}", name, value, own.get(name))
    return model


def _refuse_value(where: str, name: str, value: Range | float | str, own: Parameter | None) -> None:
    """Refuse what is no number, a parameter of which the strategy takes no value that is searched, a size that is none.

    A search may well meet a set that is none; a size that is none would end it in the middle.
    """
    values = ends_of(value)
    for one in values:
        if not isinstance(one, int | float):
            raise ResearchError(f'{where}: expected numbers (got "{one}"); strategies of the library take nothing else')
    least, most = min(map(float, values)), max(map(float, values))
    if own is not None:
        if most < own.low or least > own.high:
            raise ResearchError(
                f"{where}: the strategy takes {own.low:g} to {own.high:g} ({own.meaning}), none of these"
            )
        return
    low = 1.0 if name == "leverage" else 0.0
    if least < low:
        raise ResearchError(f"{where}: expected {low:g} or more (got {least:g})")
    if name == "leverage" and most > MOST_LEVERAGE:
        raise ResearchError(f"{where}: expected 1 to {MOST_LEVERAGE:g} (got {most:g}): more is liquidated by noise")
    if name in ("fraction", "notional") and least == 0.0:
        raise ResearchError(f"{where}: expected more than 0 (got 0): an entry of no size is none")


def _symbols(file: StudyFile) -> list[str]:
    symbols = file.data.symbols
    if not symbols:
        raise ResearchError("[data] symbols is empty: name at least one, such as BTCUSDT")
    for symbol in symbols:
        if symbols.count(symbol) > 1:
            raise ResearchError(f"[data] symbols names {symbol} twice: each has a wallet of its own once")
    strange = sorted(file.account.tiers.keys() - set(symbols))
    if strange:
        raise ResearchError(f"[account] tiers of {strange[0]}: the study has {', '.join(symbols)}")
    return symbols


def _part(file: StudyFile, symbol: str) -> Joined:
    """Return a symbol's candles, with the marks and funding that were imported beside them."""
    store, data = CandleStore(_folder(file)), file.data
    interval_ns(data.timeframe)
    names = store.names()
    wanted = [
        one
        for one in names
        if (one.symbol, one.kind, one.interval) == (symbol, CandleKind.CANDLES, data.timeframe)
        and data.venue in ("", one.venue)
    ]
    what = f"{data.timeframe} candles of {symbol}"
    if len(wanted) > 1:
        have = ", ".join(map(str, wanted))
        raise ResearchError(f'several venues have {what}: {have}; name one: [data] venue = "{wanted[0].venue}"')
    if not wanted:
        have, place = ", ".join(map(str, names)) or "nothing", f" at {data.venue}" if data.venue else ""
        raise ResearchError(f"nobody has imported {what}{place}: there is {have} (tradedeck data import)")
    name = wanted[0]
    margin = not is_outright(contract_of(name))
    return joined(
        store,
        name,
        marks=margin and data.marks and SeriesName(name.venue, symbol, CandleKind.MARK, data.timeframe) in names,
        funding=margin and data.funding and SeriesName(name.venue, symbol, CandleKind.FUNDING) in names,
        start=nanoseconds(data.start) or 0,
        end=nanoseconds(data.end) or 1 << 62,
    )


def _folder(file: StudyFile) -> Path:
    """Return where the imported candles lie: as the file says, else in the home."""
    home = os.environ.get("TRADEDECK_HOME", "")
    if not file.data.path and not home:
        raise ResearchError("[data] path is empty and no home is named: give the folder of the imported candles")
    return Path(file.data.path).expanduser() if file.data.path else Path(home) / "data"
