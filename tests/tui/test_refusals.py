"""A slip, a held key, a paste, an old price, a terminal that may not command: nothing is sent, and the screen says why.

Each refusal is tried on every action of the table that reduces or adds risk, against a running engine.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import cast

import pytest
import pytest_asyncio
from textual import events
from textual._wait import wait_for_idle

from tests.tui.engine import BTC
from tests.tui.expected import ELSEWHERE, EXPECTED, come_to, controlled_elsewhere
from tests.tui.hand import Hand, hand_at
from tui.actions import Action, Kind, find_action, ready_actions
from tui.app import TerminalApp
from tui.confirm import Confirm
from tui.keys import BURST_SECONDS, BurstGuard
from tui.viewer import Viewer

HERE = [action for action in ready_actions() if action.scope not in ELSEWHERE]
REDUCING = [action for action in HERE if action.kind is Kind.REDUCES]
ADDING = [action for action in HERE if action.kind is Kind.ADDS]
SENDING = [action for action in (*REDUCING, *ADDING) if EXPECTED[action.id].sends is not None]
ASKING = [action for action in SENDING if action.confirm]
ADDS_AND_SENDS = [action for action in SENDING if action in ADDING]
HELD, REPEAT_S = 50, 0.030
"""How often a key that is held down for a second and a half repeats, and how far apart."""


@pytest_asyncio.fixture
async def hand(tmp_path: Path, quiet_log: None) -> AsyncIterator[Hand]:
    """Give a hand at a terminal."""
    async with hand_at(tmp_path) as made:
        yield made


async def asks(hand: Hand, action: Action) -> None:
    """Press an action's key, and wait for its question."""
    await come_to(hand, action)
    await hand.press(action.keys[0], *EXPECTED[action.id].then)
    await hand.sees(lambda: isinstance(hand.app.screen, Confirm) and hand.app.screen.is_mounted)


async def held_down(hand: Hand, key: str, times: int = HELD) -> None:
    """Press one key again and again, 30 ms apart as a keyboard repeats, in no time by the hand's clock."""
    hand.app._burst = BurstGuard()  # it goes by the real clock, in which these keys came before the last
    repeated = [events.Key(key, key if len(key) == 1 else "\r") for _ in range(times)]
    for number, event in enumerate(repeated):
        event.time -= (times - number) * REPEAT_S
        hand.app.post_message(event)
    await wait_for_idle()


def test_every_dangerous_action_is_tried() -> None:
    assert {action.id for action in SENDING} >= {
        "flatten", "flatten.everything", "cancel", "cancel.instrument", "cancel.everything", "halt", "ticket.send",
        "ladder.move",
    }  # fmt: skip
    assert {action.id for action in ADDING} - {action.id for action in SENDING} == {"ticket.buy", "ticket.sell"}
    assert all(action.confirm for action in REDUCING)


async def test_no_other_key_confirms(hand: Hand) -> None:
    for action in ASKING:
        await asks(hand, action)
        for key in ("enter", "space", "n", "Y", *action.keys):
            await hand.press(key)
        assert isinstance(hand.app.screen, Confirm), action.id
        await hand.reads("y confirms · Esc cancels · Enter does nothing")
        await hand.press("escape", "y")
        await hand.sees(lambda: hand.app.screen is hand.app.here)
        assert hand.sent == [], action.id


async def test_a_held_key_does_one_thing(hand: Hand) -> None:
    for action in SENDING:
        expected = await come_to(hand, action)
        if action.confirm:
            await hand.press(action.keys[0], *expected.then)
            await hand.sees(lambda: isinstance(hand.app.screen, Confirm) and hand.app.screen.is_mounted)
            await held_down(hand, action.keys[0], 5)
            assert hand.sent == [], action.id
        hand.clock.now += 1.0
        await held_down(hand, action.confirm or action.keys[0])
        await hand.sees(lambda: hand.sent)
        await wait_for_idle()
        assert len(hand.sent) == 1, (action.id, hand.sent)


async def test_a_confirming_key_that_comes_with_the_question_confirms_nothing(hand: Hand) -> None:
    for action in ASKING:
        await asks(hand, action)
        await held_down(hand, action.confirm, 10)
        assert isinstance(hand.app.screen, Confirm), action.id
        assert hand.sent == [], action.id


async def test_a_paste_sends_nothing(hand: Hand) -> None:
    for action in SENDING:
        await come_to(hand, action)
        typed = "".join({"enter": "\r"}.get(key, key) for key in (action.keys[0], action.confirm)) * 20
        hand.clock.now += 1.0
        hand.app.post_message(events.Paste(typed))
        await wait_for_idle()
        assert hand.app.screen is hand.app.here, action.id
        if action.confirm:
            await asks(hand, action)
            hand.clock.now += 1.0
            hand.app.screen.post_message(events.Paste(typed))
            await wait_for_idle()
            assert isinstance(hand.app.screen, Confirm), action.id
        assert hand.sent == [], action.id


def _burst(keys: Sequence[str]) -> list[events.Key]:
    """Make keys that arrive within the time of a burst; where the machine stood still between them, make them again."""
    while True:
        made = [events.Key(key, key if len(key) == 1 else "\r") for key in keys]
        if made[-1].time - made[0].time < BURST_SECONDS / 2:
            return made


async def test_a_paste_without_brackets_sends_nothing(hand: Hand) -> None:
    for action in SENDING:
        await come_to(hand, action)
        if action.id == "ticket.send":  # a pasted text may arm, open a ticket and press Enter
            await hand.home()
            hand.begin()
        keys = ["A", "b", "enter"] if action.id == "ticket.send" else [action.keys[0], action.confirm]
        hand.clock.now += 1.0
        for event in _burst(keys * 20):
            hand.app.post_message(event)
        await wait_for_idle()
        assert hand.sent == [], action.id


async def test_what_adds_risk_is_not_sent_disarmed(hand: Hand) -> None:
    for action in ADDS_AND_SENDS:
        expected = await come_to(hand, action)
        if hand.app.arming.armed:
            hand.app.action_arm()
        hand.begin()
        await hand.press(action.keys[0], *expected.then)
        await hand.reads("not armed: A arms, then")
        assert hand.app.screen is hand.app.here, action.id
        assert hand.sent == [], action.id


async def test_a_paste_without_brackets_fills_in_nothing_and_an_enter_in_it_sends_nothing(hand: Hand) -> None:
    await come_to(hand, find_action("ticket.send"))
    hand.app._burst = BurstGuard()
    ticket = hand.app.trade.ticket
    ticket.draft.quantity = "0.05"
    await hand.press("up", "down")  # back on the quantity
    for event in _burst([*"123456789012345"]):
        hand.app.post_message(event)
    await hand.reads("a paste fills in nothing: type it")
    assert ticket.draft.quantity == "0.05", "not even its first ten characters"
    await asyncio.sleep(3 * BURST_SECONDS)
    for event in _burst(["1", "enter"]):  # too short to be known as a paste
        hand.app.post_message(event)
    await hand.reads("Enter came together with what was typed")
    assert hand.sent == []
    await hand.press("up", "down", *"0.05", "enter")
    await hand.sees(lambda: hand.sent)


async def test_what_adds_risk_is_not_sent_when_disarmed_while_it_asks(hand: Hand) -> None:
    for action in ADDS_AND_SENDS:
        if action.confirm:
            await asks(hand, action)
            hand.app.link_up()  # as after a reconnect
            await hand.press(action.confirm)
            await hand.reads("not armed: A arms, then")
            assert hand.sent == [], action.id


async def test_what_adds_risk_is_not_sent_at_an_old_price(hand: Hand, monkeypatch: pytest.MonkeyPatch) -> None:
    for action in ADDS_AND_SENDS:
        expected = await come_to(hand, action)
        stands = hand.app.wall()
        newest = hand.app.feed.state.markets[BTC].ts  # another feed may have spoken later
        monkeypatch.setattr(hand.app, "wall", lambda newest=newest: newest + 1_300_000_000)
        await hand.press(action.keys[0], *expected.then)
        await hand.reads("price on screen is 1.3 s old (limit 1.0 s)")
        assert hand.app.screen is hand.app.here, action.id
        assert hand.sent == [], action.id
        monkeypatch.setattr(hand.app, "wall", lambda stands=stands: stands)


async def test_what_reduces_risk_is_sent_disarmed_at_an_old_price_and_without_control(
    hand: Hand, monkeypatch: pytest.MonkeyPatch
) -> None:
    for action in REDUCING:
        await come_to(hand, action)
        await controlled_elsewhere(hand)
        stands = hand.app.wall()
        monkeypatch.setattr(hand.app, "wall", lambda stands=stands: stands + 60_000_000_000)
        assert not hand.app.arming.armed
        await hand.press(action.keys[0])
        await hand.sees(lambda: isinstance(hand.app.screen, Confirm) and hand.app.screen.is_mounted)
        await hand.press(action.confirm)
        await hand.sees(lambda: hand.sent)
        monkeypatch.setattr(hand.app, "wall", lambda stands=stands: stands)


async def test_a_terminal_without_control_sends_nothing_that_adds_risk(hand: Hand) -> None:
    for action in ADDS_AND_SENDS:
        expected = await come_to(hand, action)
        await controlled_elsewhere(hand)
        await hand.press("A")
        await hand.reads("control is held by terminal")
        await hand.press(action.keys[0], *expected.then)
        await hand.reads("takes it, A arms, then")
        assert hand.app.screen is hand.app.here, action.id
        assert hand.sent == [], action.id


async def test_a_session_that_may_only_look_is_refused_by_the_engine(tmp_path: Path, quiet_log: None) -> None:
    async with hand_at(tmp_path, lambda house, clock: TerminalApp(house.socket, clock=clock, view_only=True)) as hand:
        for action in SENDING:
            expected = await come_to(hand, action)
            await hand.press(action.keys[0], *expected.then)
            if action.confirm:
                await hand.sees(lambda: isinstance(hand.app.screen, Confirm) and hand.app.screen.is_mounted)
                await hand.press(action.confirm)
            await hand.reads("this session is view-only: it cannot command")
            assert hand.sent == [], action.id


async def test_a_viewer_has_no_key_that_asks_or_sends(tmp_path: Path, quiet_log: None) -> None:
    viewer = Viewer(tmp_path / "engine.sock", view_only=True)
    async with hand_at(tmp_path, lambda *_: cast("TerminalApp", viewer)) as hand:
        for pane in ("ladder", "watch", "orders", "alerts"):
            hand.app.trade.query_one(f"#{pane}").focus()
            for action in (*REDUCING, *ADDING, find_action("arm"), find_action("resume"), find_action("control")):
                if action.keys != ("enter",):
                    await hand.press(action.keys[0], *EXPECTED[action.id].then)
                    assert hand.app.screen is hand.app.here, (pane, action.id)
        assert not hand.app.trade.ticket.open
        assert hand.sent == []
