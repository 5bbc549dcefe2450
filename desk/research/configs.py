"""Promoted configs of a home: where they are kept, and how they are shown."""

from typing import TYPE_CHECKING, Any

import msgspec

from core.config.file import load
from core.config.secrets import find_secret
from core.config.settings import Settings
from core.domain.studies import Config, Parameter
from desk.commands.shown import clock
from desk.output import table
from desk.paths import Home, Role
from desk.roles import services
from desk.roles.hardening import from_keyring

if TYPE_CHECKING:
    from store.configs import ConfigStore, Place

SECTION = "configs"
NOTHING = "–"


def settings_of(home: Home) -> Settings:
    """Return the settings of a home; the defaults where it has none yet.

    Raises:
        ConfigError: its file is refused.
    """
    return load(home.config)[0] if home.config.exists() else Settings()


def in_use(home: Home, settings: Settings) -> bool:
    """Tell whether anything may have been promoted: otherwise no PostgreSQL is started for a look."""
    return bool(settings.configs.dsn) or home.postgres.exists() or home.configs.exists()


def place_of(home: Home, settings: Settings) -> "Place":
    """Return the PostgreSQL of a home: the one that its settings name, else its own.

    Raises:
        ConfigError: an address that is none, or a password that is missing.
    """
    from store.configs import NamedServer
    from store.postgres import PostgresServer

    named = settings.configs
    if named.dsn:
        password = find_secret(home.secrets, SECTION, named.secret, from_keyring) if named.secret else None
        return NamedServer(named.dsn, password)
    return PostgresServer(home.postgres, home.reach / home.postgres.name)


def opened(home: Home, settings: Settings, *, create: bool = False) -> "ConfigStore":
    """Open the configs of a home; with ``create`` its PostgreSQL is made where there is none.

    Raises:
        ConfigError: the settings name none.
        StoreAway: it cannot be reached, or does not start.
    """
    from store.configs import ConfigStore

    place = place_of(home, settings)
    home.create()
    return ConfigStore.open(place, create=create)


def when_adopted(home: Home) -> str:
    """Say when the engine takes on what was changed."""
    if services.running(home, Role.ENGINE) is not None:
        return "the engine hears of it now and takes it on at the next bar, if the guardian allows it"
    return "no engine runs: it is taken on at its next start"


def when_ended(home: Home) -> str:
    """Say when the engine closes what a retired strategy holds."""
    if services.running(home, Role.ENGINE) is not None:
        return "the engine hears of it now and closes what it holds"
    return "no engine runs: what it holds is closed at its next start"


# --- shown ------------------------------------------------------------------------------------------------------------


def as_json(config: Config) -> dict[str, Any]:
    """Return a config as the JSON of commands has it."""
    found = msgspec.structs.asdict(config)
    times = {f"{name}_ns": found.pop(name) for name in ("promoted_at", "data_from", "data_to")}
    return {**found, **times}


def facts(config: Config) -> dict[str, str]:
    """Return all that a strategy runs by, in words."""
    found = {name: _shown(value) for name, value in config.parameters.items()}
    return {
        **found,
        "leverage": _shown(config.leverage),
        "margin mode": config.margin_mode,
        "max position size": _shown(config.max_position_size) if config.max_position_size else "none",
        "instruments": " ".join(config.instruments),
        "interval": config.interval,
        "capital": _shown(config.capital),
        "strategy": config.strategy,
    }


def changes(before: Config | None, after: Config) -> list[tuple[str, str, str]]:
    """Return what differs in what a strategy runs by: name, before, after; against nothing, everything does."""
    old = facts(before) if before is not None else {}
    new = facts(after)
    rows = [(name, old.get(name, NOTHING), new.get(name, NOTHING)) for name in dict.fromkeys((*new, *old))]
    return [row for row in rows if row[1] != row[2]]


def show_changes(before: Config | None, after: Config, name: str) -> None:
    """Print what would differ."""
    found = changes(before, after)
    if found:
        table(("", before.key if before is not None else "nothing", name), found, left=3)
    else:
        table(("nothing differs",), [])


def show_configs(configs: list[Config]) -> None:
    """Print versions of configs, a line each; where the newest of a strategy is history, it was retired."""
    newest: dict[str, int] = {}
    for config in configs:
        newest[config.strategy_id] = max(newest.get(config.strategy_id, 0), config.version)
    rows = [
        (
            config.strategy_id,
            f"v{config.version}",
            status_of(config, newest[config.strategy_id]),
            _shown(round(config.score, 3)) if config.score is not None else NOTHING,
            f"{config.leverage:g}",
            config.interval,
            f"{config.study} {config.trial}",
            clock(config.promoted_at),
            config.promoted_by,
            " ".join(config.instruments),
        )
        for config in configs
    ]
    names = ("strategy", "version", "status", "score", "leverage", "bars", "study and trial", "promoted (UTC)", "by")
    table((*names, "instruments"), rows, left=len(names) + 1)


def status_of(config: Config, newest: int) -> str:
    """Return a version's status in a word."""
    return "retired" if config.status == "history" and config.version == newest else config.status.value


def show_config(config: Config) -> None:
    """Print a version whole."""
    figures = [(name, _shown(value)) for name, value in config.metrics.items()]
    told = [
        ("status", config.status.value),
        ("promoted", f"{clock(config.promoted_at)} UTC by {config.promoted_by}"),
        ("from", f"trial {config.trial} of study {config.study}, tradedeck {config.code_version}"),
        ("data", f"{clock(config.data_from)} to {clock(config.data_to)} UTC" if config.data_to else NOTHING),
        ("score", _shown(config.score) if config.score is not None else NOTHING),
        ("hash", config.hash),
    ]
    table((config.key, ""), [*facts(config).items(), *told, *figures], left=2)


def _shown(value: Parameter) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
