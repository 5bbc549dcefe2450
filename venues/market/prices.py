"""Where the coins are worth what: correlated prices with volatility that comes and goes, and the perpetuals' basis."""

import math
import random

from core.domain.message import Nanoseconds
from venues.market.params import Params, cholesky

STEP_NS: Nanoseconds = 50_000_000
"""Prices move in steps of this length."""
_VOL_SD = 0.35
_VOL_COMMON = 0.7
"""How much of the volatility's course is shared by all coins."""
_VOL_HOURS = 0.75
"""How long a quiet or a wild spell lasts; with ``_VOL_SD`` it gives hourly |returns| the memory of the candles."""
_BASIS_HOURS = 4.0
_HOUR_S = 3600.0


class Prices:
    """Walk the coins' prices forward; deterministic from the random source."""

    def __init__(self, params: Params, rng: random.Random, now: Nanoseconds, start: dict[str, float]) -> None:
        self._rng = rng
        self.now = now
        self.coins = params.coins
        self.price = [start[coin] for coin in params.coins]
        self._sigma = [params.coin[coin].vol_bps_per_sqrt_s * 1e-4 for coin in params.coins]
        self._mix = cholesky(params.correlation)
        self._basis_mean, self._basis_sd = params.basis_bps_mean * 1e-4, params.basis_bps_sd * 1e-4
        self.basis = [rng.gauss(self._basis_mean, self._basis_sd) for _ in self.coins]
        """The perpetual's price over the coin's, less one."""
        self._spell = [rng.gauss(0.0, 1.0) for _ in range(len(self.coins) + 1)]

    def advance(self, until: Nanoseconds) -> None:
        """Take all whole steps up to a time."""
        while self.now + STEP_NS <= until:
            self.step(STEP_NS)

    def step(self, length: Nanoseconds) -> None:
        """Take one step of any length."""
        gauss, seconds = self._rng.gauss, length / 1e9
        self.now += length
        keep = math.exp(-seconds / (_VOL_HOURS * _HOUR_S))
        fresh = math.sqrt(1.0 - keep * keep)
        self._spell = spell = [x * keep + fresh * gauss(0.0, 1.0) for x in self._spell]
        back = 1.0 - math.exp(-seconds / (_BASIS_HOURS * _HOUR_S))
        shake = self._basis_sd * math.sqrt(2.0 * back)
        draws = [gauss(0.0, 1.0) for _ in self.coins]
        root = math.sqrt(seconds)
        for i, row in enumerate(self._mix):
            z = sum(row[j] * draws[j] for j in range(i + 1))
            self.price[i] *= math.exp(self._sigma[i] * self.volatility(i, spell) * root * z)
            self.basis[i] += back * (self._basis_mean - self.basis[i]) + shake * gauss(0.0, 1.0)

    def volatility(self, coin: int, spell: list[float] | None = None) -> float:
        """Return how wild a coin is now; its square is 1 on average."""
        x = spell or self._spell
        own = math.sqrt(1.0 - _VOL_COMMON * _VOL_COMMON)
        return math.exp(_VOL_SD * (_VOL_COMMON * x[-1] + own * x[coin]) - _VOL_SD * _VOL_SD)

    def fair(self, coin: int, perpetual: bool) -> float:
        """Return what a coin is worth now on the spot or the perpetual market."""
        return self.price[coin] * (1.0 + self.basis[coin]) if perpetual else self.price[coin]
