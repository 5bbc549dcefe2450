"""What the doctor says of secrets: what is wrong, what was expected, what to do; never a word of the file."""

import subprocess
import sys
from pathlib import Path

import pytest

from core.config.file import load_or_create
from desk.doctor import Finding, examine
from desk.paths import ALWAYS, Home
from tests.desk.conftest import Desk

FORM = '[SECTION] and lines such as NAME = "..." under it'
HIDDEN = "s3cr3t"


def about_secrets(root: Path) -> list[Finding]:
    return [found for found in examine(Home(root)) if found.name == "secrets"]


def written(root: Path, content: bytes, mode: int = 0o600) -> Path:
    path = root / "secrets.toml"
    path.write_bytes(content)
    path.chmod(mode)
    return path


@pytest.mark.parametrize(
    ("content", "verdict", "said"),
    [
        (b"[alerts]\nbot = s3cr3t\n", "wrong", "is not TOML (line 2)"),
        (b"s3cr3t", "wrong", "is not TOML"),
        (b'[alerts]\nbot = "s3cr3t\xff"\n', "wrong", "is not text in UTF-8"),
        (b'bot = "s3cr3t"\n', "note", "has a line above its first section"),
        (b"[alerts]\nbot = 17\n", "note", "has a value that is no text"),
        (b'[alerts]\nbot = ""\n', "note", "has a value that is no text, or empty"),
    ],
)
def test_a_broken_file_of_secrets_is_named(tmp_path: Path, content: bytes, verdict: str, said: str) -> None:
    path = written(tmp_path, content)
    (found,) = about_secrets(tmp_path)
    assert found.verdict == verdict
    assert found.detail.startswith(f"secrets.toml {said}")
    assert found.detail.endswith(f"expected {FORM}")
    assert found.advice.startswith(f"correct {path}")
    assert HIDDEN not in str(found)


def test_a_wrong_mode_and_a_broken_file_are_both_named(tmp_path: Path) -> None:
    path = written(tmp_path, b"[alerts", 0o640)
    mode, form = about_secrets(tmp_path)
    assert (mode.detail, mode.advice) == (
        "secrets.toml can be read by others (mode 0640); expected mode 0600",
        f"chmod 600 {path}",
    )
    assert "is not TOML" in form.detail


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "secrets.toml").mkdir(mode=0o700)
    (found,) = about_secrets(tmp_path)
    assert (found.verdict, found.advice) == ("wrong", f"look with: ls -ld {tmp_path / 'secrets.toml'}")
    assert "expected a file of yours with mode 0600" in found.detail


def test_a_sound_file_is_well(tmp_path: Path) -> None:
    written(tmp_path, b'[alerts]\nbot = "s3cr3t"\n[configs]\npostgres = "x"\n')
    assert about_secrets(tmp_path) == [Finding("secrets", "ok", "secrets.toml")]


def told(root: Path, name: str) -> Finding:
    return next(found for found in examine(Home(root)) if found.name == name)


def test_a_home_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    root = tmp_path / "nobody" / "home"
    done = Desk(root).run("doctor")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"note   home: {root} is not there yet\n         → the first start makes it\n" in done.stdout
    assert not root.parent.exists()


@pytest.mark.parametrize("alerts", ["", '[alerts.targets.phone]\nkind = "ntfy"\nurl = "https://localhost/x"\n'])
def test_a_look_changes_nothing(tmp_path: Path, alerts: str) -> None:
    if alerts:
        path = tmp_path / "config.toml"
        load_or_create(path)
        path.write_text(path.read_text() + alerts)
    before = sorted(tmp_path.iterdir())
    findings = {found.name: found for found in examine(Home(tmp_path))}
    assert sorted(tmp_path.iterdir()) == before
    assert findings["config"].verdict == "ok"
    assert ("alerts" in findings) is bool(alerts)


@pytest.mark.parametrize(("name", "content"), [("sentinel.json", "{"), ("id", "not four")])
def test_what_cannot_be_known_of_the_last_engine_hides_no_other_finding(
    tmp_path: Path, name: str, content: str
) -> None:
    (tmp_path / name).write_text(content)
    found = told(tmp_path, "engine")
    assert found.verdict == "wrong"
    assert str(tmp_path / name) in found.detail
    assert told(tmp_path, "recorder").verdict == "note"


def test_advice_can_be_pasted(tmp_path: Path) -> None:
    """A path with a gap in it is one word, and every line means the home that was looked at."""
    root = tmp_path / "h b ü"
    root.mkdir()
    root.chmod(0o755)
    written(root, b"[alerts]\n", 0o644)
    line = f"tradedeck --home '{root}'"
    assert told(root, "home").advice == f"chmod 700 '{root}'"
    assert told(root, "secrets").advice == f"chmod 600 '{root}/secrets.toml'"
    for role in ALWAYS:
        assert told(root, role).advice == f"start what is missing with: {line}"
    (root / "journal").mkdir()
    (root / "journal" / "journal.sqlite").write_bytes(b"no journal")
    assert told(root, "journal").advice.endswith(f"{line} journal restore FILE")


def test_a_home_that_may_not_be_looked_into_is_named(tmp_path: Path) -> None:
    """Root may look everywhere: it becomes somebody else for this."""
    (tmp_path / "home").mkdir()
    tmp_path.chmod(0)
    code = (
        "import os, sys\nfrom pathlib import Path\nfrom desk.doctor import examine\nfrom desk.paths import Home\n"
        "if not os.getuid(): os.setresuid(65534, 65534, 65534)\n"
        "found = examine(Home(Path(sys.argv[1])))[-1]\nprint(found.verdict, found.detail)"
    )
    try:
        line = [sys.executable, "-c", code, str(tmp_path / "home")]
        done = subprocess.run(line, capture_output=True, text=True, check=False)
    finally:
        tmp_path.chmod(0o700)
    assert done.stdout.startswith(f"wrong {tmp_path}/home cannot be used: Permission denied; "), done.stderr
