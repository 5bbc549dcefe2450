"""``tradedeck promote`` and ``tradedeck configs`` on a study of the library, and what a researcher answers."""

import asyncio
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psycopg
import pytest
from msgspec.structs import replace
from typer.testing import CliRunner, Result

from core.config.settings import ConfigsSettings, Settings
from core.config.writing import render
from core.domain import studies as s
from core.errors import ConfigError, StoreAway
from core.session.protocol import Outcome
from desk.cli import app
from desk.paths import Home
from desk.research import promoting
from desk.research.alone import OneStudy
from desk.research.configs import place_of
from research.study.running import Runner
from store.candles import CandleKind, CandleStore, Series, SeriesName
from store.configs import ConfigStore, NamedServer
from tests.research.study.test_running import inline
from tests.store.configs import config

HOUR_NS = 3_600_000_000_000
FIRST_NS = 1_704_067_200_000_000_000
STUDY = """
[study]
name = "{name}"
strategy = "donchian"
trials = 6
sampler = "random"
memory_mb = 8000
[data]
symbols = ["BTCUSDT"]
[space]
channel = {{ low = 5, high = 30 }}
leverage = {{ low = 1, high = 3, step = 1 }}
[windows]
train_days = 40.0
test_days = 15.0
purge_days = 0.0
[objective]
least_trades = 2
least_days = 5.0
[gates]
{gates}
"""
LENIENT = """
least_trades = 2
least_efficiency = -1e9
least_dsr = 0.0
most_pbo = 1.0
least_plateau = -1e9
least_stressed_return = -1.0
most_shuffled_drawdown = 1.0
"""
Shell = Callable[..., Result]


@pytest.fixture(scope="module")
def studied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a home with two studies of the same bars: one whose trials pass, and one whose trials fail."""
    root = tmp_path_factory.mktemp("studied") / "home"
    rng = np.random.default_rng(3)
    close = 1000.0 * np.exp(np.cumsum(rng.normal(0.0006, 0.004, 1500)))
    opened = np.r_[1000.0, close[:-1]]
    columns = {"open": opened, "close": close, "volume": np.ones(1500)}
    columns |= {"high": np.maximum(opened, close) * 1.001, "low": np.minimum(opened, close) * 0.999}
    name = SeriesName("BINANCE-FUTURES", "BTCUSDT", CandleKind.CANDLES, "1h")
    CandleStore(root / "data").write(Series(name, FIRST_NS + np.arange(1500, dtype=np.int64) * HOUR_NS, columns))
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("TRADEDECK_HOME", str(root))
        for study, gates in (("good", LENIENT), ("bad", "least_trades = 1000")):
            folder = root / "studies" / study
            folder.mkdir(parents=True)
            (folder / "study.toml").write_text(STUDY.format(name=study, gates=gates))
            assert Runner(folder, inline).run().trials_done == 6
    return root


@pytest.fixture
def home(studied: Path, tmp_path: Path, dsn: str, monkeypatch: pytest.MonkeyPatch) -> Home:
    """Give the studies in a home whose configs are kept in an empty schema."""
    root = tmp_path / "home"
    shutil.copytree(studied, root)
    monkeypatch.setenv("TRADEDECK_HOME", str(root))
    (root / "config.toml").write_text(render(Settings(configs=ConfigsSettings(dsn=dsn))))
    return Home(root)


@pytest.fixture
def shell(home: Home) -> Shell:
    def run(*words: object, stdin: str = "") -> Result:
        return CliRunner().invoke(app, [*map(str, words), "--home", str(home.root)], input=stdin)

    return run


@pytest.fixture
def store(dsn: str) -> Iterator[ConfigStore]:
    with ConfigStore.open(NamedServer(dsn)) as found:
        yield found


def test_a_trial_is_looked_at_asked_about_and_promoted(shell: Shell, store: ConfigStore) -> None:
    asked = shell("promote", "good", stdin="n\n")
    assert asked.exit_code == 3
    assert asked.stderr == "promote it? [y/N]\n"
    assert "donchian, which runs by nothing yet, would run by trial " in asked.stdout
    assert "passed  walk-forward efficiency" in asked.stdout
    assert asked.stdout.endswith("nothing was promoted\n")
    assert store.history().configs == ()
    done = shell("promote", "good", stdin="y\n")
    assert done.stdout.endswith("donchian v1 is active; no engine runs: it is taken on at its next start\n")
    (kept,) = store.newest().configs
    assert (kept.status, kept.study, kept.capital, kept.interval) == (s.ConfigStatus.ACTIVE, "good", 10_000.0, "1h")
    assert kept.instruments == ("BINANCE-FUTURES:PERPETUAL:BTC-USDT@LIN",)
    assert kept.parameters.keys() == {"fraction", "slippage", "channel", "leverage"}
    assert kept.leverage == kept.parameters["leverage"]
    assert kept.metrics["gates_passed"] == 8.0


def test_what_runs_already_is_not_promoted_again(shell: Shell, store: ConfigStore, home: Home) -> None:
    assert shell("promote", "good", "--yes").exit_code == 0
    trial = promoting.offer(home, "good").candidate.config.trial
    wanted = (
        f"trial {trial} of good is what donchian runs by already (version 1); nothing was promoted. To begin anew, "
        "or to have the engine judge again what it refused: tradedeck configs retire donchian, then promote"
    )
    for words in (("--yes",), ("--yes", "--json"), ()):
        said = shell("promote", "good", *words, stdin="y\n")
        assert (str(said.exception), said.stdout) == (wanted, "")
    screen = asyncio.run(promoting.answer(home, s.PromoteTrial("good", trial, 1)))
    assert (screen.ok, screen.reason) == (False, wanted)
    assert json.loads(shell("promote", "good", "--json").stdout)["changes"] == []
    assert store.active_version("donchian") == 1
    assert shell("promote", "good", "--capital", "500", "--yes").exit_code == 0
    assert shell("configs", "retire", "donchian", "--yes").exit_code == 0
    assert shell("promote", "good", "--yes").exit_code == 0  # nothing ran any more
    assert store.active_version("donchian") == 4


def test_two_studies_of_one_strategy_run_beside_each_other_under_ids_of_their_own(
    shell: Shell, store: ConfigStore, home: Home
) -> None:
    assert shell("promote", "good", "--yes").exit_code == 0
    file = home.root / "studies" / "bad" / "study.toml"
    file.write_text(file.read_text().replace('strategy = "donchian"', 'strategy = "donchian"\nstrategy_id = "slow"'))
    done = shell("promote", "bad", "--despite-gates", stdin="promote\n")
    assert "slow, which runs by nothing yet, would run by trial " in done.stdout
    found = {one.strategy_id: one for one in store.newest().configs}
    assert {id_: (one.version, one.strategy, one.status) for id_, one in found.items()} == {
        "donchian": (1, "donchian", s.ConfigStatus.ACTIVE),
        "slow": (1, "donchian", s.ConfigStatus.ACTIVE),
    }
    assert [line.split()[0] for line in shell("configs", "ls").stdout.splitlines()[1:]] == ["donchian", "slow"]
    for name in ("good", "bad"):
        assert shell("study", "report", name, "--html").exit_code == 0
    assert sorted(path.name for path in home.reports.iterdir()) == [
        "donchian.html", "donchian.json", "slow.html", "slow.json",
    ]  # fmt: skip
    assert '<div class="quiet">donchian, trial ' in (home.reports / "slow.html").read_text()
    assert json.loads((home.reports / "slow.json").read_text())["strategy"] == "donchian"


def test_a_part_of_the_capital_is_promoted(shell: Shell, store: ConfigStore) -> None:
    said = json.loads(shell("promote", "good", "--capital", "2500", "--yes", "--json").stdout)
    assert said["promoted"]
    assert said["config"]["capital"] == 2500.0
    kept = store.active("donchian")
    assert kept is not None
    assert kept.capital == 2500.0


def test_json_shows_and_promotes_only_when_told_to(shell: Shell, store: ConfigStore) -> None:
    store.promote(config(strategy_id="donchian", leverage=9.0), 0, "me")
    shown = json.loads(shell("promote", "good", "--json").stdout)
    assert (shown["promoted"], shown["over"], shown["config"]["version"]) == (False, 1, 0)
    assert {"name": "leverage", "before": "9", "after": f"{shown['config']['leverage']:g}"} in shown["changes"]
    assert len(shown["gates"]) == 8
    assert store.active_version("donchian") == 1
    number = shown["config"]["trial"]
    done = json.loads(shell("promote", "good", "--trial", number, "--yes", "--json").stdout)
    assert (done["promoted"], done["config"]["version"], done["config"]["trial"]) == (True, 2, number)
    assert done["config"]["promoted_at_ns"] > 0


def test_failed_gates_take_an_option_and_a_typed_word(shell: Shell, store: ConfigStore) -> None:
    refused = shell("promote", "bad", "--yes")
    assert "--despite-gates" in str(refused.exception)
    assert "trades" in str(refused.exception)
    for typed, code in (("y\n", 3), ("", 3), ("promote\n", 0)):
        assert store.active_version("donchian") == 0
        asked = shell("promote", "bad", "--despite-gates", stdin=typed)
        assert asked.exit_code == code
        assert "type promote to go on" in asked.stderr
        assert "FAILED  trades" in asked.stdout
    assert store.active_version("donchian") == 1


def test_what_is_not_there_is_said(shell: Shell) -> None:
    for words, wanted in (
        (("promote", "none"), "no study none; see: tradedeck study ls"),
        (("promote", "good", "--trial", "99"), "good has no trial 99"),
        (("configs", "show", "donchian"), "nothing of donchian was promoted; see: tradedeck configs ls"),
        (("configs", "rollback", "donchian", "1"), "there is no donchian v1; see: tradedeck configs ls donchian"),
        (("configs", "retire", "donchian"), "nothing of donchian is active: there is nothing to retire"),
    ):
        assert wanted in str(shell(*words).exception), words
    assert shell("configs", "ls").stdout == "nothing was promoted yet; see: tradedeck promote --help\n"


def test_trials_of_another_file_are_not_promoted_by_this_one(shell: Shell, home: Home) -> None:
    file = home.root / "studies" / "good" / "study.toml"
    file.write_text(file.read_text() + "\n[account]\ncash = 77.0\n")
    assert "good was begun with other data, space, account" in str(shell("promote", "good", "--yes").exception)


def test_the_password_of_a_server_comes_from_the_secrets(home: Home) -> None:
    settings = Settings(configs=ConfigsSettings(dsn="postgresql://deck@db/deck", secret="lan"))
    with pytest.raises(ConfigError, match='secret "lan" is missing'):
        place_of(home, settings)
    home.secrets.write_text('[configs]\nlan = "correct horse"\n')
    home.secrets.chmod(0o600)
    place = place_of(home, settings)
    assert place.conninfo["password"] == "correct horse"
    assert place.words == "PostgreSQL at host=db dbname=deck user=deck"


def test_versions_are_listed_shown_compared_and_gone_back_to(shell: Shell, store: ConfigStore) -> None:
    store.promote(config(), 0, "ann")
    store.promote(config(leverage=5.0, score=None), 1, "bob")
    assert shell("configs", "ls").stdout.splitlines()[1].split()[:6] == ["rsi_ema", "v2", "active", "–", "5", "1h"]
    both = json.loads(shell("configs", "ls", "rsi_ema", "--json").stdout)
    assert [(one["version"], one["status"], one["promoted_by"]) for one in both["configs"]] == [
        (2, "active", "bob"), (1, "history", "ann"),
    ]  # fmt: skip
    whole = shell("configs", "show", "rsi_ema", "--version", "1").stdout
    for words in ("rsi_ema v1", "fast", "trial 17 of study btc-1h", "2022-01-08", "calmar", "10000"):
        assert words in whole
    assert json.loads(shell("configs", "show", "rsi_ema", "--json").stdout)["leverage"] == 5.0
    assert shell("configs", "diff", "rsi_ema", "1").stdout.splitlines()[1].split() == ["leverage", "5", "3"]
    turned = json.loads(shell("configs", "diff", "rsi_ema", "2", "--against", "1", "--json").stdout)
    assert turned == [{"name": "leverage", "before": "3", "after": "5"}]
    assert shell("configs", "diff", "rsi_ema", "2").stdout == "nothing differs\n"
    kept = shell("configs", "rollback", "rsi_ema", "1", stdin="no\n")
    assert (kept.exit_code, store.active_version("rsi_ema")) == (3, 2)
    assert "rsi_ema runs by v2 now" in kept.stderr
    back = shell("configs", "rollback", "rsi_ema", "1", stdin="y\n")
    assert back.stdout.endswith("rsi_ema v3 is active, as v1 was; no engine runs: it is taken on at its next start\n")
    assert json.loads(shell("configs", "rollback", "rsi_ema", "2", "--yes", "--json").stdout)["version"] == 4


def test_a_strategy_is_retired_after_a_question(shell: Shell, store: ConfigStore) -> None:
    store.promote(config(), 0, "me")
    assert shell("configs", "retire", "rsi_ema", stdin="\n").exit_code == 3
    assert store.active_version("rsi_ema") == 1
    said = shell("configs", "retire", "rsi_ema", stdin="y\n").stdout
    assert said == "rsi_ema is retired; no engine runs: what it holds is closed at its next start\n"
    assert "retired" in shell("configs", "ls").stdout
    store.promote(config(), 0, "me")
    for words in (("retire", "rsi_ema"), ("rollback", "rsi_ema", "1")):
        assert "--json asks nothing: say --yes too" in str(shell("configs", *words, "--json").exception)
    assert json.loads(shell("configs", "retire", "rsi_ema", "--yes", "--json").stdout)["version"] == 4


def test_a_damaged_row_is_named_and_can_be_left(shell: Shell, store: ConfigStore, dsn: str) -> None:
    store.promote(config(), 0, "me")
    store.promote(config(strategy_id="donchian"), 0, "me")
    store.promote(config(leverage=4.0), 1, "me")
    with psycopg.connect(dsn, autocommit=True) as other:
        other.execute("UPDATE active_configs SET capital = 1 WHERE status = 'active'")
    listed = shell("configs", "ls")
    assert listed.stderr.count("is not what was promoted") == 2
    assert len(json.loads(shell("configs", "ls", "--json").stdout)["damaged"]) == 2
    assert "is not what was promoted" in str(shell("configs", "show", "rsi_ema").exception)
    assert shell("configs", "rollback", "rsi_ema", "1", stdin="y\n").exit_code == 0
    over = shell("promote", "good", stdin="y\n")
    assert "damaged: donchian v1 in" in over.stderr
    assert over.stdout.endswith("donchian v2 is active; no engine runs: it is taken on at its next start\n")


def test_another_promotion_meanwhile_is_heard_of(home: Home, store: ConfigStore) -> None:
    offer = promoting.offer(home, "good")
    store.promote(config(strategy_id="donchian"), 0, "me")
    work = s.PromoteTrial("good", offer.candidate.config.trial, offer.over)
    outcome = asyncio.run(promoting.answer(home, work))
    assert not outcome.ok
    assert outcome.reason.startswith("donchian runs by v1 now, and this was compared with nothing")
    assert asyncio.run(promoting.answer(home, replace(work, over=1))).ok
    assert [one.version for one in promoting.configs(home)] == [1, 2]


def test_a_running_study_answers_for_its_home(home: Home, store: ConfigStore) -> None:
    desk = OneStudy(home, home.root / "studies" / "good")
    trial = promoting.offer(home, "good").candidate.config.trial

    def ask(work: s.PromoteTrial | s.RollBackConfig) -> tuple[bool, str]:
        outcome = asyncio.run(desk.answer(work))
        assert isinstance(outcome, Outcome)
        return outcome.ok, outcome.reason

    assert ask(s.PromoteTrial("good", trial)) == (True, "")
    ok, reason = ask(s.PromoteTrial("bad", trial, 1))
    assert not ok
    assert "--despite-gates" in reason  # from the screen a trial must have passed
    store.promote(config(strategy_id="donchian"), 1, "me")
    assert ask(s.RollBackConfig("donchian", 1, 2)) == (True, "")
    assert ask(s.RollBackConfig("donchian", 7, 3)) == (
        False, "there is no donchian v7; see: tradedeck configs ls donchian",
    )  # fmt: skip
    assert ask(s.PromoteTrial("nothing", 0)) == (False, "no study nothing; see: tradedeck study ls")


def test_a_home_that_never_promoted_has_none_and_makes_none(tmp_path: Path, shell: Shell) -> None:
    fresh = Home(tmp_path / "fresh")
    assert promoting.configs(fresh) == []
    outcome = asyncio.run(promoting.answer(fresh, s.RollBackConfig("x", 1)))
    assert outcome.reason == "nothing was promoted in this home yet; see: tradedeck promote --help"
    assert CliRunner().invoke(app, ["configs", "ls", "--home", str(fresh.root)]).exit_code == 0
    assert not fresh.postgres.exists()


def test_a_server_that_is_away_is_said(home: Home, shell: Shell) -> None:
    text = home.config.read_text()
    start = text.index("dsn = ")
    home.config.write_text(text[:start] + 'dsn = "host=127.0.0.1 port=1"' + text[text.index("\n", start) :])
    for words in (("configs", "ls"), ("configs", "show", "x"), ("promote", "good", "--yes")):
        error = shell(*words).exception
        assert isinstance(error, StoreAway)
        assert "PostgreSQL at host=127.0.0.1 port=1 cannot be reached" in str(error)
    assert not asyncio.run(promoting.answer(home, s.PromoteTrial("good", 0))).ok
