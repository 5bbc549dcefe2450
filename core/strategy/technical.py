"""TA-Lib, loaded where a strategy first runs, without the pandas and polars that it would bring along."""

import sys
from functools import lru_cache
from typing import Any

from core.errors import ConfigError

_COMPANIONS = ("pandas", "polars")


@lru_cache
def talib() -> Any:
    """Return TA-Lib's functions of arrays.

    ``import talib`` also imports pandas and polars where they are installed: about 60 MB that an engine must not carry.
    They are hidden while it loads, unless they are loaded already.

    Raises:
        ConfigError: TA-Lib is not installed.
    """
    hidden = [name for name in _COMPANIONS if name not in sys.modules]
    for name in hidden:
        sys.modules[name] = None  # type: ignore[assignment]  # how Python is told that a module is not there
    try:
        from talib import _ta_lib
    except ImportError as error:
        raise ConfigError(
            f'strategies need TA-Lib: {error}; install tradedeck with the extra "research", or remove the strategy'
        ) from error
    finally:
        for name in hidden:
            del sys.modules[name]
    return _ta_lib
