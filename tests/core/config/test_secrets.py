"""Secrets: found where they may stand, refused where others can read them, never shown."""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from core.config import secrets
from core.config.secrets import Secret, find_secret, redact, remember
from core.config.settings import AlertSettings, TargetSettings
from core.errors import ConfigError
from core.notify.targets import targets_of
from desk.roles.hardening import Redacting, excepthook

TEXT = "tok-9f3a77"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "secrets.toml"
    path.write_text(f'[alerts]\nphone = "{TEXT}"\n')
    path.chmod(0o600)
    return path


def test_a_secret_is_read_from_the_file_and_the_environment_comes_first(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert find_secret(file, "alerts", "phone").reveal() == TEXT
    monkeypatch.setenv("TRADEDECK_SECRET_ALERTS_PHONE", "other")
    assert find_secret(file, "alerts", "phone").reveal() == "other"
    assert find_secret(file.with_name("none"), "alerts", "phone").reveal() == "other"


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620])
def test_a_file_that_others_can_reach_is_refused(file: Path, mode: int) -> None:
    file.chmod(mode)
    with pytest.raises(ConfigError, match="can be read by others") as error:
        find_secret(file, "alerts", "phone")
    assert f"mode {mode:04o}" in str(error.value)
    assert f"chmod 600 {file}" in str(error.value)


@pytest.mark.parametrize("text", [f'alerts = "{TEXT}', f'[alerts]\nphone = "{TEXT}" x', "\xff"])
def test_a_broken_file_is_named_and_not_quoted(file: Path, text: str) -> None:
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigError) as error:
        find_secret(file, "alerts", "phone")
    assert str(file) in str(error.value)
    assert TEXT not in str(error.value)
    assert error.value.__cause__ is None


@pytest.mark.parametrize("text", ["", "[alerts]\n", "[alerts]\nphone = 3\n", '[other]\nphone = "x"\n', "alerts = 3\n"])
def test_a_missing_secret_says_where_it_belongs(file: Path, text: str) -> None:
    file.write_text(text)
    with pytest.raises(ConfigError, match=r"under \[alerts\], or set TRADEDECK_SECRET_ALERTS_PHONE"):
        find_secret(file, "alerts", "phone")


def target(kind: str = "webhook", url: str = "https://x.example/", second: str = "") -> AlertSettings:
    return AlertSettings(targets={"phone": TargetSettings(kind=kind, url=url, second=second)})


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (target(url=""), "url is missing"),
        (target(url="ntfy.sh/x"), "url is no address: expected http"),
        (target(url="https://"), "url is no address"),
        (target(url="https://a b/"), "url is no address"),
        (target(url="https://a:port/"), "url is no address"),
        (target(url="file:///etc/passwd"), "url is no address"),
        (target(url="https://x.example/{secret}"), "name one under secret"),
        (target(kind="telegram", url=""), "name one under secret"),
        (target(second="mail"), 'second "mail" is no other target; there are: none'),
        (target(second="phone"), 'second "phone" is no other target'),
    ],
)
def test_a_target_that_cannot_work_is_refused_at_the_start(settings: AlertSettings, words: str) -> None:
    with pytest.raises(ConfigError) as error:
        targets_of(settings, {}, "paper", "h1")
    assert words in str(error.value)


def test_a_secret_leaves_in_clear_for_this_machine_alone() -> None:
    secrets = {"phone": Secret(TEXT)}
    with pytest.raises(ConfigError, match="in clear: expected https"):
        targets_of(target(url="http://x.example/"), secrets, "paper", "h1")
    for url in ("http://127.0.0.1:8080/", "http://localhost/", "http://[::1]/x", "https://x.example/"):
        assert targets_of(target(url=url), secrets, "paper", "h1")
    assert targets_of(target(url="http://x.example/"), {}, "paper", "h1")


# --- further places ---------------------------------------------------------------------------------------------------


def test_systemds_credentials_come_behind_the_environment_and_before_the_file(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "credentials"
    folder.mkdir()
    (folder / "alerts.phone").write_text("from-systemd\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(folder))
    assert find_secret(file, "alerts", "phone").reveal() == "from-systemd"
    assert find_secret(file, "alerts", "phone", lambda *_: "ring").reveal() == "from-systemd"
    monkeypatch.setenv("TRADEDECK_SECRET_ALERTS_PHONE", "from-environment")
    assert find_secret(file, "alerts", "phone").reveal() == "from-environment"
    monkeypatch.delenv("TRADEDECK_SECRET_ALERTS_PHONE")
    (folder / "alerts.phone").unlink()
    assert find_secret(file, "alerts", "phone").reveal() == TEXT


def test_the_keyring_is_asked_last_and_only_for_what_is_nowhere_else(file: Path, tmp_path: Path) -> None:
    asked: list[tuple[str, str]] = []

    def ring(section: str, name: str) -> str | None:
        asked.append((section, name))
        return "from-keyring" if name == "mail" else None

    assert find_secret(file, "alerts", "phone", ring).reveal() == TEXT
    assert asked == []
    assert find_secret(file, "alerts", "mail", ring).reveal() == "from-keyring"
    with pytest.raises(ConfigError, match="missing"):
        find_secret(file, "alerts", "other", ring)


# --- what is written --------------------------------------------------------------------------------------------------


def test_a_secret_that_was_read_is_taken_out_of_every_form(monkeypatch: pytest.MonkeyPatch) -> None:
    text = 'k9/ü"z+Q= w\\'
    assert redact(f"x {text}") == f"x {text}"
    remember(text)
    for form in (text, quote(text, safe=":/"), quote(text, safe=""), json.dumps(text), repr(text)):
        assert text not in redact(form)
        assert "***" in redact(f"<{form}>"), form
        assert redact(f"<{form}>").startswith("<")


def test_one_that_holds_another_goes_whole() -> None:
    remember("abcd-long")
    remember("abcd")
    assert redact("abcd-long abcd") == "*** ***"


def test_a_very_short_one_does_not_tear_every_word_apart() -> None:
    remember("e")
    assert redact("the engine") == "the engine"


def test_a_stream_hides_what_any_thread_prints() -> None:
    remember("tok-stream-1")
    out = io.StringIO()
    stream = Redacting(out)
    assert stream.write("a tok-stream-1 b") == 16
    print("tok-stream-1", file=stream)
    assert out.getvalue() == "a *** b***\n"


def test_a_traceback_of_a_command_hides_it(capsys: pytest.CaptureFixture[str]) -> None:
    remember("tok-trace-1")
    try:
        raise ValueError("cannot use tok-trace-1")
    except ValueError as error:
        excepthook(type(error), error, error.__traceback__)
    shown = capsys.readouterr().err
    assert "ValueError: cannot use ***" in shown
    assert "tok-trace-1" not in shown


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    """Leave no secret of one test in the redaction of another."""
    known = dict(secrets._known)
    secrets._known.clear()
    yield
    secrets._known.clear()
    secrets._known.update(known)
