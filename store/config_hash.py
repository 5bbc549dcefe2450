"""What a promoted config's hash is of: all that its strategy runs by, and nothing else."""

import hashlib
import math

import msgspec

from core.domain.studies import Config
from core.errors import ConfigDamaged


def content_hash(config: Config) -> str:
    """Return the SHA-256 of what a strategy runs by, as canonical JSON: sorted keys, the shortest form of a number.

    Version, status, figures and origin are left out: a roll-back has the hash of what it goes back to.
    """
    content = {
        "strategy_id": config.strategy_id,
        "strategy": config.strategy,
        "interval": config.interval,
        "instruments": list(config.instruments),
        "parameters": config.parameters,
        "leverage": float(config.leverage),
        "margin_mode": config.margin_mode,
        "max_position_size": float(config.max_position_size),
        "capital": float(config.capital),
    }
    return hashlib.sha256(msgspec.json.encode(content, order="deterministic")).hexdigest()


def verified(config: Config, place: str) -> Config:
    """Return a config that is what it was promoted as; ``place`` is where it was read.

    Raises:
        ConfigDamaged: its hash is another one.
    """
    found = content_hash(config)
    if found != config.hash:
        raise ConfigDamaged(
            f"{config.key} in {place} is not what was promoted (its hash is {config.hash[:12] or 'missing'}, of its "
            f"contents it is {found[:12]}): it is not run; roll back to another version (tradedeck configs rollback "
            f"{config.strategy_id} VERSION) or promote again"
        )
    return config


def flaw(config: Config) -> str:
    """Return why a config cannot be kept; empty where it can. A number that is none would be another one when read."""
    numbers = {
        **{name: value for name, value in config.parameters.items() if isinstance(value, float)},
        **{name: getattr(config, name) for name in ("leverage", "max_position_size", "capital")},
        **config.metrics,
        "score": config.score or 0.0,
    }
    for name, value in numbers.items():
        if not math.isfinite(value):
            return f"{name} is {value}, which is no number"
    if not config.strategy_id or not config.instruments:
        return "it names no strategy" if not config.strategy_id else "it names no instrument"
    return ""
