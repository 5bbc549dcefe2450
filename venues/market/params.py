"""The built-in market's parameters: the fitted table that ships with the program, and draws from it."""

import math
import random
from bisect import bisect_right
from functools import lru_cache
from importlib import resources

import msgspec


class CoinParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one coin does: the price it starts at, its volatility and how much of it is traded."""

    price: float
    vol_bps_per_sqrt_s: float
    vol_memory: float
    quote_volume_per_h: float
    funding_rate: float


class MicroParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one kind of market looks like from near; lists are quantiles, sizes in quote currency, distances in bps."""

    spread_excess_bps: tuple[float, ...]
    """What the spread has above one tick."""
    trade_quote: tuple[float, ...]
    top_quote_median: float
    top_log_sd: float
    depth_quote_per_bps: float
    bursts_per_s: float
    prints_per_burst: float
    branching: float
    """The share of bursts that were set off by another burst."""


class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole table."""

    quantiles: tuple[float, ...]
    coins: tuple[str, ...]
    correlation: tuple[tuple[float, ...], ...]
    basis_bps_mean: float
    basis_bps_sd: float
    coin: dict[str, CoinParams]
    micro: dict[str, MicroParams]

    def size_scale(self, coin: str) -> float:
        """Return how large trades of a coin are against the coin that was recorded: the root of its volume share."""
        return math.sqrt(self.depth_scale(coin))

    def depth_scale(self, coin: str) -> float:
        """Return how deep the book of a coin is against the coin that was recorded: its volume share."""
        return self.coin[coin].quote_volume_per_h / self.coin[self.coins[0]].quote_volume_per_h


@lru_cache
def shipped() -> Params:
    """Return the table that ships with the program."""
    text = resources.files("venues.market").joinpath("params.toml").read_text(encoding="utf-8")
    return msgspec.toml.decode(text, type=Params)


class Quantiles:
    """Draw from a distribution given by quantiles, straight between them on a logarithmic or a plain scale."""

    __slots__ = ("_at", "_logs", "_values")

    def __init__(self, at: tuple[float, ...], values: tuple[float, ...]) -> None:
        self._at = at
        self._logs = min(values) > 0
        self._values = tuple(math.log(value) for value in values) if self._logs else values

    def draw(self, rng: random.Random) -> float:
        """Return one draw."""
        u = rng.random()
        k = min(bisect_right(self._at, u), len(self._at) - 1)
        low, high = self._at[k - 1], self._at[k]
        value = self._values[k - 1] + (self._values[k] - self._values[k - 1]) * (u - low) / (high - low)
        return math.exp(value) if self._logs else value


def cholesky(matrix: tuple[tuple[float, ...], ...]) -> list[list[float]]:
    """Return the lower triangle L with L Lᵀ = matrix (symmetric, positive definite)."""
    size = len(matrix)
    low = [[0.0] * size for _ in range(size)]
    for i in range(size):
        for j in range(i + 1):
            rest = matrix[i][j] - sum(low[i][k] * low[j][k] for k in range(j))
            low[i][j] = math.sqrt(rest) if i == j else rest / low[j][j]
    return low
