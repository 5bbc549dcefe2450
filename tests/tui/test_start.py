"""A terminal whose settings cannot be used says so and ends, before it touches the screen."""

from pathlib import Path

import pytest

from core.config import TerminalSettings
from tui import fit
from tui.start import attach


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"flatten": "y"}, "keys.copy: 'y' already means 'flatten'; choose another key for one"),
        ({"flaten": "x"}, "keys.flaten: no such action; the ids are listed by `?` and in the guide"),
    ],
)
def test_keys_that_cannot_be_used_are_said_in_a_sentence(
    keys: dict[str, str],
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(fit, "unfit", lambda: None)  # the tests have no terminal
    assert attach(tmp_path / "nobody.sock", TerminalSettings(keys={**keys})) == 2
    assert capsys.readouterr().err == f"tradedeck: config.toml [terminal] {words}\n"
