"""Settings: one struct a section of ``config.toml``. Unknown keys are refused and every bound knows its line.

The file is read and written by ``core.config.file``: the first start writes the complete, commented file. What stands
beside each key as ``about`` is its comment there and its entry in docs/guide/config.md.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any

import msgspec

from core.domain.alerts import AlertKind
from core.domain.identifiers import InstrumentId
from core.domain.message import Nanoseconds


def about(text: str, **bounds: Any) -> msgspec.Meta:
    """Return what is said of a key, with its bounds."""
    return msgspec.Meta(description=text, **bounds)


OPENING_BALANCES: dict[str, dict[str, Decimal]] = {
    "BINANCE-SPOT": {"USDT": Decimal(50_000)},
    "BINANCE-FUTURES": {"USDT": Decimal(50_000)},
    "BINANCE-COINM": {"BTC": Decimal(1)},
}


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Hold one section of the file."""


class AccountSettings(Section, frozen=True):
    """The account: everything is reported in one currency."""

    currency: Annotated[str, about("reporting currency", pattern="^[A-Z0-9]+$")] = "USDT"
    day_start: Annotated[
        str, about("when the account's day begins (HH:MM, UTC)", pattern="^([01][0-9]|2[0-3]):[0-5][0-9]$")
    ] = "00:00"

    @property
    def day_start_ns(self) -> Nanoseconds:
        """Return how long after 00:00 UTC the account's day begins."""
        hours, minutes = self.day_start.split(":")
        return (int(hours) * 60 + int(minutes)) * 60_000_000_000


class GuardianSettings(Section, frozen=True):
    """The guardian's limits. Every key must be present: the engine does not start without it. Fractions of equity."""

    max_position_frac: Annotated[float, about("largest position in one instrument", ge=0)] = 0.15
    max_sector_frac: Annotated[float, about("largest exposure to one underlying", ge=0)] = 0.30
    max_leverage: Annotated[float, about("largest leverage of derivatives; spot is never above 1", ge=0)] = 20.0
    max_gross_frac: Annotated[float, about("largest sum of all positions, long and short", ge=0)] = 2.0
    max_net_frac: Annotated[float, about("largest net exposure, long less short")] = 1.0
    min_net_frac: Annotated[float, about("smallest net exposure; negative allows net short")] = -0.3
    max_order_notional_frac: Annotated[float, about("largest notional of one order", ge=0)] = 0.10
    max_order_quantity: Annotated[
        dict[str, Decimal], about("largest quantity of one order, by instrument id, in its units; none is no bound")
    ] = {}
    price_collar_frac: Annotated[float, about("a limit that trades at once may be this far from the mark", ge=0)] = 0.05
    duplicate_window_ms: Annotated[int, about("the same order again within this time is refused (ms)", ge=0)] = 300
    max_orders_per_second: Annotated[int, about("orders let through in one second", ge=1)] = 10
    max_open_orders: Annotated[int, about("orders that may rest at once", ge=1)] = 200
    stale_after_ms: Annotated[int, about("entries are denied when a price is older than this (ms)", ge=1)] = 2000
    forced_stop_frac: Annotated[
        float,
        about("exit when a price is this near to a stop, as a fraction of it; 0 leaves it to the stop", ge=0, lt=1),
    ] = 0.001
    max_position_loss_frac: Annotated[
        float, about("open loss of one position, of equity: it is closed", gt=0, le=1)
    ] = 0.02
    max_daily_loss_frac: Annotated[
        float,
        about(
            "loss since the day's start with what closing costs, of its equity: all is closed and HALTED", gt=0, le=1
        ),
    ] = 0.05
    drawdown_steps: Annotated[
        tuple[tuple[float, float], ...],
        about("[drawdown from the peak, what may be held of what was held then]; 0 is flat and HALTED"),
    ] = ((0.05, 0.5), (0.08, 0.25), (0.10, 0.0))
    drawdown_recovery_frac: Annotated[
        float, about("a step is left when the drawdown is this much less than where it begins", gt=0, lt=1)
    ] = 0.02
    max_age_s: Annotated[
        dict[str, float],
        about('a position this old is closed (s), by strategy, by horizon, or "*" for every position'),
    ] = msgspec.field(default_factory=lambda: {"scalp": 300.0})
    stale_act_after_s: Annotated[
        float, about("a held instrument's price that is unfit for so long (s) makes stale_policy act", gt=0)
    ] = 30.0
    stale_policy: Annotated[
        str, about("hold (alarm only) or exit, on the last price known", pattern="^(hold|exit)$")
    ] = "hold"
    min_liquidation_distance_frac: Annotated[
        float, about("mark against liquidation price; nearer is reduced until it is not", ge=0, lt=1)
    ] = 0.10
    protective_stop: Annotated[
        str,
        about(
            "who must have a stop: brackets, alert (all, else no entries there), place (all, by the guardian) or off",
            pattern="^(brackets|alert|place|off)$",
        ),
    ] = "brackets"
    protective_stop_within_s: Annotated[
        float, about("a stop must be confirmed by its venue within this time of its fill (s)", gt=0)
    ] = 2.0
    max_exits_per_second: Annotated[int, about("exits sent in one second, counted apart from orders", ge=1)] = 20
    engine_silent_after_ms: Annotated[
        int,
        about(
            "an engine silent for so long loses the lease and is restarted by the sentinel (ms, at most 30000)",
            ge=500,
            le=30_000,
        ),
    ] = 2000
    sentinel_grace_ms: Annotated[
        int,
        about(
            "a restarted engine that has not reconciled by then: the sentinel closes everything (ms, at most 60000)",
            ge=500,
            le=60_000,
        ),
    ] = 3000
    max_clock_offset_ms: Annotated[
        int, about("entries at a live venue are denied when its clock is further from ours (ms)", ge=1)
    ] = 1000
    min_effective_bets: Annotated[
        float, about("a large book is at least so many independent bets; 0 does not ask", ge=0)
    ] = 2.0
    effective_bets_above_gross_frac: Annotated[
        float, about("gross exposure above which min_effective_bets is asked", ge=0)
    ] = 1.0
    volatility_target_frac: Annotated[
        float, about("a strategy's entries are made smaller to this yearly volatility; 0 is none", ge=0)
    ] = 0.0
    volatility_source: Annotated[
        str, about('what volatility_target_frac is compared with: "realised", or the id of an index in % such as VIX')
    ] = "realised"


class ScenarioSettings(Section, frozen=True):
    """A stress of one's own; one table each."""

    moves: Annotated[
        dict[str, float],
        about('moves as fractions, by underlying ("BTC"), type of instrument ("PERPETUAL") or "all"; the first counts'),
    ] = {}
    spreads: Annotated[float, about("closing everything costs half the spread times this", ge=0)] = 0.0
    correlation: Annotated[
        float, about("without moves: one day at 99 %, all underlyings this far correlated; 0 is none", ge=0, le=1)
    ] = 0.0


class RiskSettings(Section, frozen=True):
    """The risk of the whole book: tradedeck risk, and the screen 4."""

    scenarios: Annotated[
        dict[str, ScenarioSettings],
        about("one table each, such as [risk.scenarios.crash] with moves = { BTC = -0.4, all = -0.5 }"),
    ] = {}


class PaperSettings(Section, frozen=True):
    """The practice exchange's accounts. Balances count when it opens its books: later changes need a new home."""

    balances: Annotated[
        dict[str, dict[str, Decimal]],
        about("opening wallets: venue, asset, amount; COIN-M opens only when it is played"),
    ] = msgspec.field(default_factory=lambda: {venue: dict(wallet) for venue, wallet in OPENING_BALANCES.items()})
    replay_equity: Annotated[
        Decimal, about("what a replay starts with, divided among the accounts of its tapes; COIN-M has its coin beside")
    ] = Decimal(100_000)
    latency_request_ms: Annotated[float, about("how long a request travels (ms)", ge=0)] = 4.0
    latency_answer_ms: Annotated[float, about("how long an answer travels (ms)", ge=0)] = 2.0
    latency_jitter_ms: Annotated[float, about("median of what is added to each way, lognormal (ms)", ge=0)] = 1.0
    latency_seed: Annotated[int, about("seed of that addition")] = 1


class MarketSettings(Section, frozen=True):
    """The built-in market: seeded order flow, used where no tape is named."""

    seed: Annotated[int, about("the same seed gives the same flow", ge=0)] = 1
    rate: Annotated[float, about("messages a second over all instruments", gt=0)] = 200.0


class EngineSettings(Section, frozen=True):
    """The engine."""

    instruments: Annotated[
        tuple[InstrumentId, ...], about("trade these alone, by their ids; none is all that the market has")
    ] = ()
    sentinel: Annotated[
        bool, about("run a sentinel beside the engine: without it nobody closes positions when the engine dies")
    ] = True
    checkpoint_every_records: Annotated[
        int, about("journal records between checkpoints; bounds the time a restart takes", ge=100)
    ] = 20_000


class ReconcileSettings(Section, frozen=True):
    """How our record is held against the venues'."""

    every_s: Annotated[float, about("orders, positions and wallets are compared this often (s)", ge=1, le=600)] = 30.0
    balance_tolerance_frac: Annotated[
        float, about("a wallet may be off by this fraction before it counts as a difference", ge=0, lt=1)
    ] = 0.0001


class JournalSettings(Section, frozen=True):
    """The journal of orders, fills and decisions."""

    reserve_mb: Annotated[int, about("room kept for exits when the disk is full; entries stop there (MB)", ge=1)] = 64
    keep_days: Annotated[int, about("records of closed orders older than this may go; 0 keeps all", ge=0)] = 0


class TicksSettings(Section, frozen=True):
    """The record of the market data."""

    record: Annotated[bool, about("keep market data at all")] = True
    keep_days: Annotated[int, about("day files and Parquet older than this are deleted; 0 keeps all", ge=0)] = 30
    budget_mb: Annotated[int, about("segments waiting for the recorder may take this much; then ticks drop", ge=16)] = (
        2048
    )
    recorder_mb: Annotated[
        int, about("memory DuckDB may take in the recorder (MB); beyond it spills to disk", ge=64)
    ] = 96
    target: Annotated[str, about('where closed days go as Parquet: "" is local, or "s3://..." or "gs://..."')] = ""


class TargetSettings(Section, frozen=True):
    """Where alerts go outside; one table a target."""

    kind: Annotated[str, about("webhook, ntfy or telegram", pattern="^(webhook|ntfy|telegram)$")]
    url: Annotated[str, about("where to post; {secret} in it stands for the secret")] = ""
    secret: Annotated[str, about("name of its secret in secrets.toml under [alerts]; none where empty")] = ""
    chat: Annotated[str, about("the chat of a telegram target")] = ""
    least: Annotated[
        str, about("the lightest alerts it gets: info, warning or critical", pattern="^(info|warning|critical)$")
    ] = "info"
    kinds: Annotated[tuple[AlertKind, ...], about("the kinds of alert it gets; none named is all")] = ()
    second: Annotated[str, about("the target that gets what this one could not deliver, and only that")] = ""


class AlertSettings(Section, frozen=True):
    """Alerts that come by themselves, and where they go outside. 0 switches a bound off. Fractions of equity."""

    feed_after_s: Annotated[float, about("a feed or a venue that is not sound for so long (s)", ge=0)] = 10.0
    drawdown_frac: Annotated[float, about("drawdown from the peak", ge=0)] = 0.03
    day_loss_frac: Annotated[float, about("loss since the day's start, of its equity then", ge=0)] = 0.02
    position_loss_frac: Annotated[float, about("open loss of one position", ge=0)] = 0.01
    limit_used_frac: Annotated[float, about("a limit of the guardian's is used this far", ge=0)] = 0.8
    divergence_bps: Annotated[
        float, about("a strategy's profit is this far from its study's on the same bars (bps of its capital)", ge=0)
    ] = 50.0
    fills: Annotated[bool, about("each order that fills")] = True
    refusals: Annotated[bool, about("orders that the guardian denies or a venue rejects")] = True
    gaps: Annotated[bool, about("updates missing from a feed")] = True
    repeat_s: Annotated[float, about("the same again within this time is counted, not told anew (s)", ge=1)] = 60.0
    clear_after_s: Annotated[float, about("a cause is gone when it stayed away for so long (s)", ge=1)] = 10.0
    remind_minutes: Annotated[float, about("targets hear of repeats of one alert at most this often", ge=1)] = 15.0
    second_after_tries: Annotated[int, about("tries before a target's second gets it", ge=1)] = 3
    give_up_minutes: Annotated[float, about("what could not be delivered for so long is given up", ge=1)] = 60.0
    targets: Annotated[
        dict[str, TargetSettings],
        about('one table each, such as [alerts.targets.phone] with kind = "ntfy" and url = "https://..."'),
    ] = {}


class ConfigsSettings(Section, frozen=True):
    """Promoted configs, which strategies run by; kept in PostgreSQL."""

    dsn: Annotated[
        str, about('a PostgreSQL of yours, such as "postgresql://deck@db.lan/deck"; none is one of the home\'s own')
    ] = ""
    secret: Annotated[str, about("name of its password in secrets.toml under [configs]; none where empty")] = ""


class ResearchSettings(Section, frozen=True):
    """Studies, which give way to the engine."""

    pause_late_ms: Annotated[
        float, about("studies take nothing new while the engine's loop is this late (ms); 0 never", ge=0)
    ] = 20.0


class LogSettings(Section, frozen=True):
    """The roles' logs."""

    level: Annotated[str, about("debug, info, warning or error", pattern="^(debug|info|warning|error)$")] = "info"
    keep_days: Annotated[int, about("logs older than this are deleted; 0 keeps all", ge=0)] = 14
    max_mb: Annotated[int, about("a log larger than this is put aside when its role starts (MB)", ge=1)] = 64


BASE_KEYMAP = "base"
"""The keymap that needs no table of its own."""


class LayoutSettings(Section, frozen=True):
    """One layout of the trade screen: three columns of panes, from the top; the middle one takes what is left."""

    left: Annotated[tuple[str, ...], about("panes of the left column")] = ()
    middle: Annotated[tuple[str, ...], about("panes of the middle column")] = ()
    right: Annotated[tuple[str, ...], about("panes of the right column")] = ()
    left_width: Annotated[int, about("width of the left column (cells)", ge=20, le=400)] = 48
    right_width: Annotated[int, about("width of the right column (cells)", ge=20, le=400)] = 54


class TerminalSettings(Section, frozen=True):
    """The screen. ``[terminal.keys]`` binds an action's id to other keys; docs/guide/keys.md lists them."""

    theme: Annotated[str, about("dark, light, contrast or ansi", pattern="^(dark|light|contrast|ansi)$")] = "dark"
    layout: Annotated[str, about("auto (wide where there is room), narrow, wide, or the name of your own")] = "auto"
    colours: Annotated[str, about("auto, truecolor, 256, 16 or none", pattern="^(auto|truecolor|256|16|none)$")] = (
        "auto"
    )
    slow_link: Annotated[bool, about("fewer frames and 16 colours, for slow lines")] = False
    local_time: Annotated[bool, about("show local time instead of UTC")] = False
    bell: Annotated[bool, about("ring the terminal's bell for an alert that is new and not muted")] = True
    mute_minutes: Annotated[float, about("how long a key mutes a kind of alert (minutes)", gt=0)] = 60.0
    mouse: Annotated[bool, about("take mouse clicks; nothing needs them")] = False
    keymap: Annotated[str, about("base (the keys of [terminal.keys]), or the name of a keymap of your own")] = (
        BASE_KEYMAP
    )
    layouts: Annotated[
        dict[str, LayoutSettings],
        about('one table each, such as [terminal.layouts.scalp] with left = ["ladder", "tape:9"]; L shows it'),
    ] = {}
    keymaps: Annotated[
        dict[str, dict[str, str | tuple[str, ...]]],
        about('one table each, such as [terminal.keymaps.left] with halt = "0"; it goes before [terminal.keys]'),
    ] = {}
    keys: Annotated[
        dict[str, str | tuple[str, ...]], about('action id to key or keys, for example "ticket.buy" = ["b", "B"]')
    ] = {}


class Settings(Section, frozen=True):
    """The whole file."""

    account: AccountSettings = AccountSettings()
    guardian: GuardianSettings = GuardianSettings()
    risk: RiskSettings = RiskSettings()
    engine: EngineSettings = EngineSettings()
    paper: PaperSettings = PaperSettings()
    market: MarketSettings = MarketSettings()
    reconcile: ReconcileSettings = ReconcileSettings()
    journal: JournalSettings = JournalSettings()
    ticks: TicksSettings = TicksSettings()
    alerts: AlertSettings = AlertSettings()
    configs: ConfigsSettings = ConfigsSettings()
    research: ResearchSettings = ResearchSettings()
    log: LogSettings = LogSettings()
    terminal: TerminalSettings = TerminalSettings()


class Places:
    """Tell where a setting stands: ``config.toml:12``, or ``default`` where the file does not name it."""

    def __init__(self, file: str = "", lines: Mapping[str, int] | None = None) -> None:
        self._file = file
        self._lines = lines or {}

    def of(self, section: str, key: str) -> str:
        """Return the place of a key."""
        line = self._lines.get(f"{section}.{key}")
        return f"{self._file}:{line}" if line else f"default of [{section}] {key}"

    def near(self, path: str) -> str:
        """Return the place of ``table.key`` or, where it has no line of its own, of the table around it."""
        while path and path not in self._lines:
            path = path.rpartition(".")[0]
        return f"{self._file}:{self._lines[path]}" if path else self._file
