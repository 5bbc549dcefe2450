"""Deliveries to real servers that refuse, hang, answer 500, drip, are absent: retried, handed over, never blocking."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog

from core.clock import LiveClock
from core.config.secrets import Secret
from core.config.settings import AlertSettings, TargetSettings
from core.domain import alerts as a
from core.domain.alerts import AlertKind as K
from core.domain.alerts import Severity as V
from core.domain.identifiers import InstrumentId
from core.notify.notifier import Notifier, Sieve
from core.notify.queue import KEPT, Pace, Waiting
from core.notify.targets import Notice, targets_of
from tests.core.notify.servers import Server, closed_port, wait_for

FAST = Pace(timeout_s=1.0, first_pause_s=0.05, longest_pause_s=0.2)
T = 1_700_000_000_000_000_000


def raised(number: int, text: str = "", kind: K = K.FILL, severity: V = V.INFO, **changes: Any) -> a.AlertRaised:
    event = a.AlertRaised(
        number, f"key{number}", kind, severity, InstrumentId(""), text or f"alert {number}", "", False, 1, False, T
    )
    return event.replace(**changes)


class House:
    """A notifier with its targets, and what it said of them."""

    def __init__(self, secrets: dict[str, str] | None = None, pace: Pace = FAST, **targets: TargetSettings) -> None:
        self.settings = AlertSettings(targets=targets)
        self.told: list[a.TargetStatus] = []
        found = {name: Secret(text) for name, text in (secrets or {}).items()}
        made = targets_of(self.settings, found, "paper", "h1")
        self.notifier = Notifier(self.settings, made, LiveClock(), self.told.append, pace)
        self.notifier.start()

    def last(self, name: str) -> a.TargetStatus | None:
        return next((status for status in reversed(self.told) if status.name == name), None)

    def trouble(self, name: str) -> str:
        status = self.last(name)
        return status.trouble if status is not None else ""


@pytest.fixture
def house() -> Iterator[Callable[..., House]]:
    made: list[House] = []

    def build(**options: Any) -> House:
        made.append(House(**options))
        return made[-1]

    yield build
    for one in made:
        one.notifier.stop(0.0)


def hook(url: str, **changes: Any) -> TargetSettings:
    return TargetSettings(kind="webhook", url=url, **changes)


# --- each kind of target ----------------------------------------------------------------------------------------------


def test_a_webhook_gets_json_with_its_secret_as_a_bearer(house: Callable[..., House]) -> None:
    with Server() as server:
        house(secrets={"desk": "s3cret"}, desk=hook(server.url, secret="desk")).notifier.take(
            raised(7, "bought 1 BTC", K.FILL, V.WARNING, instrument=InstrumentId("BINANCE-SPOT:SPOT_PAIR:BTC-USDT"))
        )
        wait_for(lambda: len(server.requests) == 1)
    request = server.requests[0]
    assert request.path == "/alerts"
    assert request.headers["Authorization"] == "Bearer s3cret"
    assert request.json["text"] == "tradedeck PAPER\nbought 1 BTC"
    assert request.json["alerts"] == [
        {
            "id": f"h1-7-{T}",
            "number": 7,
            "kind": "fill",
            "severity": "warning",
            "instrument": "BINANCE-SPOT:SPOT_PAIR:BTC-USDT",
            "text": "bought 1 BTC",
            "times": 1,
            "recovered": False,
            "ts_ns": T,
        }
    ]


def test_ntfy_gets_plain_text_with_title_and_priority(house: Callable[..., House]) -> None:
    with Server() as server:
        target = TargetSettings(kind="ntfy", url=server.url)
        house(phone=target).notifier.take(raised(1, "bought ½ BTC – now", severity=V.CRITICAL))
        wait_for(lambda: len(server.requests) == 1)
    request = server.requests[0]
    assert request.body.decode() == "!! bought ½ BTC – now"
    assert (request.headers["Title"], request.headers["Priority"]) == ("tradedeck PAPER", "5")
    assert "Authorization" not in request.headers


def test_telegram_gets_a_message_for_its_chat_and_the_secret_in_the_address(house: Callable[..., House]) -> None:
    with Server() as server:
        url = f"http://127.0.0.1:{server.port}/bot{{secret}}/sendMessage"
        target = TargetSettings(kind="telegram", url=url, secret="bot", chat="42")
        house(secrets={"chat": "123:abc"}, chat=target).notifier.take(raised(1))
        wait_for(lambda: len(server.requests) == 1)
    assert server.requests[0].path == "/bot123:abc/sendMessage"
    assert server.requests[0].json == {"chat_id": "42", "text": "tradedeck PAPER\nalert 1"}


# --- servers that misbehave -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("manner", "status", "words"),
    [
        ("answer", 500, "it answered 500"),
        ("answer", 503, "it answered 503"),
        ("answer", 429, "it answered 429"),
        ("hang", 200, "no answer within 1 s"),
        ("drip", 200, "no answer within 1 s"),
        ("reset", 200, "the connection ended before an answer|Connection reset by peer"),
        ("garbage", 200, "no HTTP"),
        ("flood", 200, "no HTTP"),
    ],
)
def test_a_server_in_trouble_is_tried_until_it_is_well(
    house: Callable[..., House], manner: str, status: int, words: str
) -> None:
    with Server(manner, status) as server:
        made = house(desk=hook(server.url))
        made.notifier.take(raised(1))
        wait_for(lambda: server.connections >= 3)
        assert any(made.trouble("desk") in choice for choice in words.split("|"))
        assert made.trouble("desk")
        server.manner, server.status = "answer", 200
        wait_for(lambda: not made.trouble("desk"))
    status_ = made.last("desk")
    assert status_ is not None
    assert (status_.sent, status_.waiting, status_.lost) == (1, 0, 0)


def test_a_server_that_is_absent_is_tried_until_it_is_there(house: Callable[..., House]) -> None:
    port = closed_port()
    made = house(desk=hook(f"http://127.0.0.1:{port}/alerts"))
    made.notifier.take(raised(1))
    wait_for(lambda: "refused" in made.trouble("desk").lower())
    server = Server()
    server.port = port
    with server:
        wait_for(lambda: len(server.requests) == 1)


@pytest.mark.parametrize(("status", "advice"), [(401, "check its secret"), (404, "check its url"), (301, "it moved")])
def test_what_trying_again_cannot_mend_is_said_and_not_tried_again(
    house: Callable[..., House], status: int, advice: str
) -> None:
    with Server(status=status) as server:
        made = house(desk=hook(server.url))
        made.notifier.take(raised(1))
        wait_for(lambda: advice in made.trouble("desk"))
        made.notifier.take(raised(2))
        wait_for(lambda: len(server.requests) == 2)
        wait_for(lambda: (said := made.last("desk")) is not None and said.lost == 2)
    assert [request.json["alerts"][0]["number"] for request in server.requests] == [1, 2]


def test_the_pauses_grow_and_end_with_success() -> None:
    waiting = Waiting(3_600.0, Pace())
    pauses = []
    for _ in range(9):
        waiting.failed()
        pauses.append(waiting.pause_s)
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    waiting.failed(retry_after_s=300)
    assert waiting.pause_s == 300
    waiting.failed(retry_after_s=1e9)
    assert waiting.pause_s == 600
    waiting.delivered([])
    assert waiting.pause_s == 0


def test_a_full_queue_loses_the_oldest_of_the_least_weight() -> None:
    waiting = Waiting(3_600.0, Pace())
    for number in range(KEPT):
        waiting.put(notice(number, V.CRITICAL if number != 5 else V.INFO), float(number))
    waiting.put(notice(KEPT, V.WARNING), 0.0)
    waiting.put(notice(KEPT + 1, V.CRITICAL), 0.0)
    waiting.put(notice(KEPT + 2, V.CRITICAL), 0.0)
    numbers = [one.number for one, _ in waiting._items]
    assert (len(numbers), waiting.lost) == (KEPT, 3)
    assert 5 not in numbers
    assert KEPT not in numbers
    assert 0 not in numbers


def test_what_is_too_old_is_given_up() -> None:
    waiting = Waiting(60.0, Pace())
    waiting.put(notice(1), 0.0)
    waiting.put(notice(2), 50.0)
    assert [one.number for one in waiting.batch(61.0)] == [2]
    assert waiting.lost == 1


# --- the second channel -----------------------------------------------------------------------------------------------


def test_after_some_tries_the_second_target_gets_it_and_later_ones_at_once(house: Callable[..., House]) -> None:
    with Server(status=500) as first, Server() as second:
        made = house(phone=hook(first.url, second="mail"), mail=hook(second.url))
        made.notifier.take(raised(1))
        wait_for(lambda: len(second.requests) == 1)
        assert len(first.requests) == 3
        made.notifier.take(raised(2))
        wait_for(lambda: len(second.requests) == 2)
        assert len(first.requests) <= 5  # one try each while it is known to be down
        first.status = 200
        made.notifier.take(raised(3))
        wait_for(lambda: not made.trouble("phone"))
        time.sleep(0.3)
    assert [request.json["alerts"][0]["number"] for request in second.requests] == [1, 2]


def test_a_refusal_goes_to_the_second_at_once_and_the_second_gets_nothing_else(house: Callable[..., House]) -> None:
    with Server(status=403) as first, Server() as second, Server() as other:
        made = house(phone=hook(first.url, second="mail"), mail=hook(second.url), desk=hook(other.url))
        made.notifier.take(raised(1))
        wait_for(lambda: len(second.requests) == 1 and len(other.requests) == 1)
        assert len(first.requests) == 1
        first.status = 200
        made.notifier.take(raised(2))
        wait_for(lambda: len(first.requests) == 2 and len(other.requests) == 2)
        time.sleep(0.3)
        assert len(second.requests) == 1


def test_one_bad_target_does_not_hold_up_another(house: Callable[..., House]) -> None:
    with Server("hang") as bad, Server() as good:
        made = house(bad=hook(bad.url), good=hook(good.url), pace=Pace(timeout_s=30.0))
        wait_for(lambda: made.notifier._loop is not None)
        for number in range(5):
            made.notifier.take(raised(number + 1))
        wait_for(lambda: sum(len(request.json["alerts"]) for request in good.requests) == 5)
        assert len(bad.requests) <= 1


# --- what is told -----------------------------------------------------------------------------------------------------


def notice(number: int, severity: V = V.INFO) -> Notice:
    return Notice(number, f"key{number}", K.FILL, severity, "", f"alert {number}", 1, False, T)


def test_what_waited_leaves_as_one_post(house: Callable[..., House]) -> None:
    with Server(status=500) as server:
        made = house(desk=hook(server.url))
        for number in range(1, 31):
            made.notifier.take(raised(number))
        wait_for(lambda: (said := made.last("desk")) is not None and said.waiting == 30)
        server.requests.clear()
        server.status = 200
        wait_for(lambda: (said := made.last("desk")) is not None and said.sent == 30)
        sizes = [len(request.json["alerts"]) for request in server.requests if request.json["alerts"]]
        numbers = [one["number"] for request in server.requests for one in request.json["alerts"]]
    assert max(sizes) == 15
    assert sorted(set(numbers)) == list(range(1, 31))


def test_repeats_are_told_seldom_worse_at_once_and_the_end_once() -> None:
    sieve = Sieve(900.0)
    minute = 60_000_000_000
    told = []
    for at in range(40):
        found = sieve.notice(raised(1, ts=T + at * minute))
        if found is not None:
            told.append((at, found.times))
    assert told == [(0, 1), (15, 15), (30, 15)]
    worse = sieve.notice(raised(1, severity=V.CRITICAL, ts=T + 40 * minute))
    assert worse is not None
    assert worse.times == 10
    over = sieve.notice(a.AlertCleared(1, T + 41 * minute))
    assert over is not None
    assert over.recovered
    assert over.line == "over: alert 1"
    assert sieve.notice(a.AlertCleared(1, T + 42 * minute)) is None
    assert sieve.notice(a.AlertCleared(2, T)) is None


def test_muted_alerts_leave_the_house_never() -> None:
    assert Sieve(900.0).notice(raised(1, muted=True)) is None


def test_targets_choose_by_weight_and_kind_and_hear_nothing_of_their_own_trouble(house: Callable[..., House]) -> None:
    with Server() as all_, Server() as heavy, Server() as fills:
        made = house(all=hook(all_.url), heavy=hook(heavy.url, least="warning"), fills=hook(fills.url, kinds=(K.FILL,)))
        made.notifier.take(raised(1, kind=K.GAP))
        made.notifier.take(raised(2, kind=K.FILL, severity=V.WARNING))
        made.notifier.take(raised(3, kind=K.DELIVERY, severity=V.WARNING, key="delivery:all"))

        def numbers(server: Server) -> list[int]:
            return [one["number"] for request in server.requests for one in request.json["alerts"]]

        wait_for(lambda: len(numbers(all_)) == 2 and len(numbers(heavy)) == 2 and len(numbers(fills)) == 1)
    assert (numbers(all_), numbers(heavy), numbers(fills)) == ([1, 2], [2, 3], [2])


def test_what_somebody_has_seen_is_not_sent_any_more(house: Callable[..., House]) -> None:
    with Server(status=500) as server:
        made = house(desk=hook(server.url))
        made.notifier.take(raised(1))
        made.notifier.take(raised(2))
        wait_for(lambda: (said := made.last("desk")) is not None and said.waiting == 2)
        made.notifier.take(a.AlertAcknowledged((1,), "me", T))
        wait_for(lambda: (said := made.last("desk")) is not None and said.waiting == 1)
        server.requests.clear()
        server.status = 200
        wait_for(lambda: (said := made.last("desk")) is not None and said.waiting == 0)
    assert server.requests[-1].json["alerts"][0]["number"] == 2


# --- nothing blocks, nothing leaks ------------------------------------------------------------------------------------


@pytest.mark.parametrize("manner", ["hang", "drip", "flood"])
async def test_the_loop_of_the_engine_does_not_notice(house: Callable[..., House], manner: str) -> None:
    with Server(manner) as server:
        made = house(desk=hook(server.url), pace=Pace(timeout_s=0.5, first_pause_s=0.01, longest_pause_s=0.01))
        worst, spent = 0.0, 0.0
        for number in range(1, 301):
            began = time.thread_time()
            made.notifier.take(raised(number))
            spent += time.thread_time() - began
            due = asyncio.get_running_loop().time() + 0.002
            await asyncio.sleep(0.002)
            worst = max(worst, asyncio.get_running_loop().time() - due)
        assert server.connections >= 1
        # A post that blocked this loop would cost it the half second of its timeout; a busy machine costs less CPU.
        assert spent < 0.25, spent
        made.notifier.stop(0.0)


def test_taking_never_waits_whatever_the_target_does(house: Callable[..., House]) -> None:
    with Server("hang") as server:
        made = house(desk=hook(server.url), pace=Pace(timeout_s=60.0))
        made.notifier.take(raised(1))
        wait_for(lambda: len(server.requests) == 1)
        for number in range(2, 2_002):
            made.notifier.take(raised(number))  # the post of the first still hangs: none of these waits for it
        assert len(server.requests) == 1
        began = time.monotonic()
        made.notifier.stop(0.2)
        assert time.monotonic() - began < 30  # the post would hang for a minute
    assert len(server.requests) == 1


def test_stopping_lets_out_what_was_not_tried_yet(house: Callable[..., House]) -> None:
    with Server() as server:
        made = house(desk=hook(server.url))
        made.notifier.take(raised(1, "the engine stops"))
        made.notifier.stop(10.0)
        made.notifier.take(raised(2))
        assert [one["number"] for request in server.requests for one in request.json["alerts"]] == [1]


def test_no_secret_is_ever_shown(house: Callable[..., House], caplog: pytest.LogCaptureFixture) -> None:
    text = "tok-9f3a77"
    caplog.set_level(logging.DEBUG)
    with structlog.testing.capture_logs() as logged, Server(status=401) as server:
        url = f"http://127.0.0.1:{server.port}/{{secret}}/x"
        made = house(
            secrets={"a": text, "b": text, "c": text + "\r\nX: y"},
            a=hook(url, secret="a"),
            b=hook(f"http://127.0.0.1:{closed_port()}/{{secret}}", secret="b"),
            c=hook(server.url, secret="c"),
        )
        made.notifier.take(raised(1))
        wait_for(lambda: all(made.trouble(name) for name in "abc"))
        assert server.requests[0].path == f"/{text}/x"
        shown = repr(made.told) + repr(logged) + caplog.text + repr(vars(made.notifier._targets[0]))
    assert text not in shown
    assert "***" in repr(Secret(text))
    assert text not in f"{Secret(text)} {Secret(text)!r} {[Secret(text)]}"
