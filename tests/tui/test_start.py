"""A terminal whose settings cannot be used says so and ends, before it touches the screen."""

from pathlib import Path

import pytest

from core.config.settings import TerminalSettings
from tui import fit
from tui.start import attach


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        (
            {"flatten": "y"},
            "config.toml:2 [terminal.keys] flatten: 'y' already means 'copy'; choose another key for one",
        ),
        ({"flaten": "x"}, "config.toml:1 [terminal.keys] flaten: no such action; the ids stand in docs/guide/keys.md"),
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
    config = tmp_path / "config.toml"
    config.write_text('[terminal.keys]\nflatten = "y"\n')
    assert attach(tmp_path / "nobody.sock", TerminalSettings(keys={**keys}), config=config) == 2
    assert capsys.readouterr().err.startswith(f"tradedeck: {words}")
