"""Find a name by a part of it, or by letters out of it: `btcp` finds BTC-USDT.P, `eth bin` finds ETH at Binance.

Every word of the query must fit a name; the better it fits, the higher the name stands. How a word fits, best first:
the symbol itself, its beginning, its beginning without punctuation, the beginning of any word, the beginnings of
several words in order (`btcp`, `btcusdtp`), any part, letters in order.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from heapq import nsmallest
from operator import itemgetter

import msgspec

NO_FIT = -1
_PUNCTUATION = re.compile(r"[\W_]+")


class Name(msgspec.Struct, frozen=True, gc=False):
    """One name to be found: its key, what is shown of it, and every word it may be found by."""

    key: str
    symbol: str
    plain: str
    """The symbol without punctuation."""
    text: str
    """All words, one blank before each."""


def name_of(key: str, symbol: str, *words: str) -> Name:
    """Prepare a name: `words` are what else it may be found by, such as its venue."""
    folded = symbol.casefold()
    text = " ".join((folded, *(word.casefold() for word in words)))
    return Name(key, folded, _PUNCTUATION.sub("", folded), f" {_PUNCTUATION.sub(' ', text).strip()}")


class _Word(msgspec.Struct, frozen=True):
    """One word of a query, ready to be compared."""

    text: str
    plain: str
    starts: re.Pattern[str]
    letters: re.Pattern[str]


@lru_cache(maxsize=256)
def _word(text: str) -> _Word:
    plain = _PUNCTUATION.sub("", text)
    escaped = [re.escape(character) for character in plain]
    starts = "(?:.*? )?".join(escaped)
    return _Word(text, plain, re.compile(f" {starts}"), re.compile(".*?".join(escaped)))


def fit_of(word: str, name: Name) -> int:
    """Tell how a word fits a name, 0 best; `NO_FIT` where it does not."""
    return _fit(_word(word.casefold()), name)


def _fit(word: _Word, name: Name) -> int:
    if name.symbol.startswith(word.text):
        return 0 if name.symbol == word.text else 1
    plain = word.plain
    if not plain:  # punctuation alone
        return 5 if word.text in name.symbol else NO_FIT
    if name.plain.startswith(plain):
        return 2
    if f" {plain}" in name.text:
        return 3
    if word.starts.search(name.text):
        return 4
    if word.text in name.symbol or plain in name.text:
        return 5
    return 6 if word.letters.search(name.plain) else NO_FIT


class Names:
    """Names that are searched while somebody types: each further letter looks only at what still fitted."""

    def __init__(self, names: Iterable[Name]) -> None:
        self._all = list(enumerate(names))
        self._query = ""
        self._fitting = self._all

    def find(self, query: str, limit: int = 50) -> list[str]:
        """Give the keys of the names that fit best, at most `limit`; an empty query gives the first ones.

        Of names that fit alike the shorter symbol stands first, then the one that came first.
        """
        folded = query.casefold()
        words = [_word(text) for text in folded.split()]
        if not words:
            return [name.key for _, name in self._all[:limit]]
        narrower = self._query and folded.startswith(self._query) and all(word.plain for word in words)
        found: list[tuple[int, int, int, Name]] = []
        for place, name in self._fitting if narrower else self._all:
            total = 0
            for word in words:
                fit = _fit(word, name)
                if fit == NO_FIT:
                    break
                total += fit
            else:
                found.append((total, len(name.symbol), place, name))
        fits_all = all(word.plain for word in words)
        self._query = folded if fits_all else ""
        self._fitting = [(place, name) for _, _, place, name in found] if fits_all else self._all
        return [name.key for *_, name in nsmallest(limit, found, key=itemgetter(0, 1, 2))]
