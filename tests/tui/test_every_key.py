"""Every key of the table is pressed on a running engine: what it sends arrives there, what it changes is seen."""

from pathlib import Path

import pytest

from tests.tui.expected import ELSEWHERE, EXPECTED, PLACES, come_to, confirm
from tests.tui.hand import Hand, hand_at
from tui.actions import Action, Kind, ready_actions


def test_every_action_of_the_table_is_expected_to_do_something() -> None:
    """An action without an expectation is added to `tests.tui.expected.EXPECTED`, in one line."""
    here = [action for action in ready_actions() if action.scope not in ELSEWHERE]
    assert {action.id for action in here} == set(EXPECTED)
    assert {action.scope for action in here} == set(PLACES)
    pressed = Path(__file__).with_name("test_studies.py").read_text(encoding="utf-8")
    assert all(f'"{key}"' in pressed for scope in ELSEWHERE for a in ready_actions(scope) for key in a.keys)


def test_what_may_change_a_position_is_expected_to_send() -> None:
    opens_a_ticket = {"ticket.buy", "ticket.sell"}
    for action in [action for action in ready_actions() if action.scope not in ELSEWHERE]:
        sending = EXPECTED[action.id].sends is not None
        assert sending or action.kind not in (Kind.REDUCES, Kind.ADDS) or action.id in opens_a_ticket, action.id
        assert not (sending and action.kind is Kind.VIEW), action.id


async def _proves(hand: Hand, action: Action, key: str) -> None:
    """Press one key and see what is expected of it."""
    expected = await come_to(hand, action)
    wanted = None if expected.sends is None else expected.sends(hand)
    before = None if expected.look is None else expected.look(hand)
    await hand.press(key, *expected.then)
    await confirm(hand, action)
    if expected.look is not None:
        look, holds = expected.look, expected.holds
        await hand.sees(lambda: holds(before, look(hand)))
    if wanted is None:
        assert hand.sent == []
        return
    await hand.sees(lambda: hand.sent)
    (command,) = hand.sent
    assert wanted(command) if callable(wanted) else command == wanted, (command, wanted)


@pytest.mark.parametrize("scope", [scope for scope in PLACES if ready_actions(scope)])
async def test_every_key_does_what_is_expected_of_it(
    scope: str, tmp_path: Path, quiet_log: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tui.screens.journal.PAGE", 2)
    wrong: list[str] = []
    async with hand_at(tmp_path) as hand:
        for action in sorted(ready_actions(scope), key=lambda action: action.id == "leave"):
            for key in action.keys:
                try:
                    await _proves(hand, action, key)
                except AssertionError as error:
                    wrong.append(f"{action.id} by {key}: {error}")
    assert not wrong, "\n".join(wrong)
