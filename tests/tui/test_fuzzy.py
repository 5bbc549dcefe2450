"""A few letters find what one means, the best fit first, and each further letter looks at less."""

import random
import time

import pytest

from tui.fuzzy import NO_FIT, Name, Names, fit_of, name_of

MANY = 5_000


def _names() -> list[Name]:
    found = []
    for venue in ("BINANCE-FUTURES", "BINANCE-SPOT", "OKX"):
        for base in ("BTC", "ETH", "XRP", "ETHW", "BCH", "WBTC"):
            symbol, kind = (f"{base}-USDT.P", "perpetual") if "FUTURES" in venue else (f"{base}-USDT", "spot")
            found.append(name_of(f"{venue}:{symbol}", symbol, venue, kind))
    return found


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("btcp", "BINANCE-FUTURES:BTC-USDT.P"),
        ("eth bin", "BINANCE-SPOT:ETH-USDT"),
        ("bin eth", "BINANCE-SPOT:ETH-USDT"),
        ("xrp.p", "BINANCE-FUTURES:XRP-USDT.P"),
        ("XRP okx", "OKX:XRP-USDT"),
        ("btcusdtp", "BINANCE-FUTURES:BTC-USDT.P"),
        ("eth perp", "BINANCE-FUTURES:ETH-USDT.P"),
        ("ethw spot", "BINANCE-SPOT:ETHW-USDT"),
        ("wb o", "OKX:WBTC-USDT"),
        ("bch", "BINANCE-SPOT:BCH-USDT"),
        ("", "BINANCE-FUTURES:BTC-USDT.P"),
        ("  ", "BINANCE-FUTURES:BTC-USDT.P"),
    ],
)
def test_what_one_means_stands_first(query: str, first: str) -> None:
    assert Names(_names()).find(query)[0] == first


@pytest.mark.parametrize("query", ["zzz", "btc zzz", "pctb", "kraken", "((", "btc ["])
def test_what_fits_nothing_finds_nothing(query: str) -> None:
    assert Names(_names()).find(query) == []


def test_the_better_fit_has_the_lower_number() -> None:
    name = name_of("k", "BTC-USDT.P", "BINANCE-FUTURES", "perpetual")
    words = ("btc-usdt.p", "btc-", "btcu", "usdt", "btcp", "tc-u", "tup", "xyz")
    assert [fit_of(word, name) for word in words] == [0, 1, 2, 3, 4, 5, 6, NO_FIT]


def test_of_names_that_fit_alike_the_shorter_and_then_the_first_stands_first() -> None:
    names = [name_of(key, symbol) for key, symbol in (("a", "ETHW-X"), ("b", "ETH-X"), ("c", "ETH-X"))]
    assert Names(names).find("eth") == ["b", "c", "a"]
    assert Names(names).find("eth", limit=2) == ["b", "c"]


def test_typing_and_deleting_find_what_a_fresh_search_finds() -> None:
    rng, names = random.Random(7), _names()
    searched = Names(names)
    query = ""
    for _ in range(60):
        meant = rng.choice(("btcp", "eth bin", "xrp.p", "perp eth", "ethw spot", "b zz"))
        query = query[: rng.randrange(len(query) + 1)]  # delete some of it, then type another
        for letter in meant:
            query = (query + letter)[-9:]
            assert searched.find(query) == Names(names).find(query), query
        query = meant[: rng.randrange(len(meant) + 1)]
        assert searched.find(query) == Names(names).find(query), query


def test_a_letter_costs_little_with_many_instruments() -> None:
    rng = random.Random(1)
    letters = "ABCDEFGHIKLMNOPRSTUVWX"
    names = []
    for number in range(MANY):
        base = rng.choice(("BTC", "ETH", "XRP", "".join(rng.choices(letters, k=4))))
        symbol = base + rng.choice(("-USDT", "-USDT.P", "-USD-241227", f"-USD-241227-{number}-CALL"))
        names.append(name_of(f"{number}", symbol, rng.choice(("BINANCE-SPOT", "DERIBIT", "OKX")), "option"))
    best = []
    for query in ("btcp", "eth bin", "xrp.p", "u s d"):
        for end in range(1, len(query) + 1):
            spent = []
            for _ in range(3):
                searched = Names(names)
                searched.find(query[: end - 1])
                began = time.thread_time()
                searched.find(query[:end])
                spent.append(time.thread_time() - began)
            best.append(min(spent))
    assert max(best) < 0.2  # 20 ms are meant; a slow and busy machine may take ten times that
