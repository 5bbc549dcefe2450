"""Promoted configs in a real PostgreSQL: versions, history, hashes, two at once, and what goes wrong."""

import math
import threading
import time
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from core.config.secrets import remember
from core.domain.studies import Config, ConfigStatus
from core.errors import ConfigDamaged, ConfigError, DiskFull, PromotionRefused, StoreAway, StoreError
from store import configs
from store.config_hash import content_hash, verified
from store.config_rows import COLUMNS, Row, values
from store.configs import ConfigStore, NamedServer
from tests.store.configs import ETH, config

ACTIVE, HISTORY = ConfigStatus.ACTIVE, ConfigStatus.HISTORY


@pytest.fixture
def store(dsn: str) -> Iterator[ConfigStore]:
    with ConfigStore.open(NamedServer(dsn)) as found:
        yield found


def sql(dsn: str, query: str, *given: object) -> list[Any]:
    """Do what somebody with a client of their own might."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        cursor = connection.execute(query.encode(), given)
        return cursor.fetchall() if cursor.description else []


def statuses(store: ConfigStore, strategy_id: str = "rsi_ema") -> list[tuple[int, ConfigStatus]]:
    return [(found.version, found.status) for found in store.history(strategy_id).configs]


# --- promoting --------------------------------------------------------------------------------------------------------


def test_what_is_promoted_is_read_as_it_was(store: ConfigStore) -> None:
    assert store.newest() == store.history() == configs.Found()  # nothing there yet, not even a table
    assert store.active("rsi_ema") is None
    before = time.time_ns()
    promoted = store.promote(config(), 0, "me")
    assert before - 1000 < promoted.promoted_at <= time.time_ns()
    assert (promoted.version, promoted.status, promoted.promoted_by) == (1, ACTIVE, "me")
    kept = config(version=1, promoted_at=promoted.promoted_at, promoted_by="me", hash=promoted.hash)
    assert promoted == kept
    assert store.active("rsi_ema") == kept
    assert store.newest().configs == store.history("rsi_ema").configs == (kept,)
    assert [type(value) for value in store.version("rsi_ema", 1).parameters.values()] == [int, float, float, bool, str]


def test_a_change_is_a_new_row_and_one_is_active(store: ConfigStore, dsn: str) -> None:
    first = store.promote(config(), 0, "me")
    second = store.promote(config(leverage=5.0), 1, "me")
    assert first.hash != second.hash
    assert statuses(store) == [(2, ACTIVE), (1, HISTORY)]
    back = store.roll_back("rsi_ema", 1, 2, "me")
    assert (back.version, back.hash, back.leverage) == (3, first.hash, 3.0)
    assert statuses(store) == [(3, ACTIVE), (2, HISTORY), (1, HISTORY)]
    assert back.promoted_at > first.promoted_at
    other = store.promote(config(strategy_id="donchian"), 0, "me")
    assert store.newest().configs == (other, back)
    with pytest.raises(psycopg.errors.UniqueViolation, match="one_active"):
        sql(dsn, "UPDATE active_configs SET status = 'active' WHERE version = 1")
    with pytest.raises(psycopg.errors.RaiseException, match="never deleted"):
        sql(dsn, "DELETE FROM active_configs WHERE version = 1")
    with pytest.raises(psycopg.errors.RaiseException, match="never deleted"):
        sql(dsn, "TRUNCATE active_configs")


def test_a_retired_strategy_has_a_newest_row_that_is_history(store: ConfigStore) -> None:
    store.promote(config(), 0, "me")
    gone = store.retire("rsi_ema", 1, "me")
    assert (gone.version, gone.status) == (2, HISTORY)
    assert store.active("rsi_ema") is None
    assert store.newest().configs == (gone,)
    with pytest.raises(PromotionRefused, match="nothing to retire"):
        store.retire("rsi_ema", 0, "me")
    with pytest.raises(PromotionRefused, match="runs by nothing now, and this was compared with v1"):
        store.promote(config(), 1, "me")
    assert store.roll_back("rsi_ema", 2, 0, "me").version == 3
    assert statuses(store) == [(3, ACTIVE), (2, HISTORY), (1, HISTORY)]


def test_what_cannot_be_is_refused_and_changes_nothing(store: ConfigStore) -> None:
    store.promote(config(), 0, "me")
    for wrong, words in (
        (config(parameters={"fast": math.nan}), "fast is nan"),
        (config(metrics={"calmar": math.inf}), "calmar is inf"),
        (config(score=math.nan), "score is nan"),
        (config(instruments=()), "names no instrument"),
        (config(strategy_id=""), "names no strategy"),
    ):
        with pytest.raises(PromotionRefused, match=words):
            store.promote(wrong, 1, "me")
    with pytest.raises(PromotionRefused, match="v1 is active already"):
        store.roll_back("rsi_ema", 1, 1, "me")
    with pytest.raises(PromotionRefused, match="there is no rsi_ema v9; see: tradedeck configs ls rsi_ema"):
        store.roll_back("rsi_ema", 9, 1, "me")
    with pytest.raises(StoreError, match="violates check constraint"):
        store.promote(config(margin_mode="both"), 1, "me")
    assert statuses(store) == [(1, ACTIVE)]
    assert store.promote(config(), 1, "me").version == 2  # the connection is as good as before


def test_of_two_promotions_at_once_one_wins_and_the_other_hears_of_it(store: ConfigStore, dsn: str) -> None:
    store.promote(config(), 0, "me")
    said: list[str] = []
    start = threading.Barrier(4)

    def promote(leverage: float) -> None:
        with ConfigStore.open(NamedServer(dsn)) as mine:
            start.wait()
            try:
                said.append(f"v{mine.promote(config(leverage=leverage), 1, 'me').version}")
            except PromotionRefused as error:
                said.append(str(error))

    threads = [threading.Thread(target=promote, args=(float(number),)) for number in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    refusal = "rsi_ema runs by v2 now, and this was compared with v1: look at the difference again; nothing was changed"
    assert sorted(said) == [refusal] * 3 + ["v2"]
    assert statuses(store) == [(2, ACTIVE), (1, HISTORY)]


def test_several_that_begin_at_once_make_the_tables_once(dsn: str) -> None:
    said: list[int] = []
    start = threading.Barrier(4)

    def promote(number: int) -> None:
        with ConfigStore.open(NamedServer(dsn)) as mine:
            start.wait()
            said.append(mine.promote(config(strategy_id=f"s{number}"), 0, "me").version)

    threads = [threading.Thread(target=promote, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert said == [1] * 4


def test_a_promotion_that_takes_too_long_holds_up_nobody(
    store: ConfigStore, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(configs, "LOCK_WAIT", "50ms")
    store.promote(config(), 0, "me")
    with psycopg.connect(dsn) as other:
        other.execute("LOCK TABLE active_configs IN SHARE ROW EXCLUSIVE MODE")
        assert store.newest().configs  # reading goes on
        with pytest.raises(PromotionRefused, match="another promotion has been under way"):
            store.promote(config(), 1, "me")
    assert store.promote(config(), 1, "me").version == 2


# --- hearing of it ----------------------------------------------------------------------------------------------------


def test_whoever_listens_hears_of_every_change_and_of_nothing_else(store: ConfigStore, dsn: str) -> None:
    with ConfigStore.open(NamedServer(dsn)) as ear:
        ear.listen()
        assert not ear.wait(0.01)
        store.promote(config(), 0, "me")
        assert ear.wait(60)
        with pytest.raises(PromotionRefused):
            store.promote(config(), 0, "me")
        assert not ear.wait(0.05)
        store.retire("rsi_ema", 1, "me")
        assert ear.wait(60)
        assert ear.newest().configs[0].status is HISTORY  # it reads on the same connection


# --- damage -----------------------------------------------------------------------------------------------------------


def test_a_row_that_is_not_what_was_promoted_is_refused_and_the_others_are_not(store: ConfigStore, dsn: str) -> None:
    store.promote(config(), 0, "me")
    sound = store.promote(config(strategy_id="donchian"), 0, "me")
    sql(dsn, "UPDATE active_configs SET leverage = 20 WHERE strategy_id = 'rsi_ema'")
    found = store.newest()
    assert found.configs == (sound,)
    assert len(found.damaged) == 1
    assert "rsi_ema v1 in PostgreSQL at" in found.damaged[0]
    assert "table active_configs is not what was promoted" in found.damaged[0]
    assert "tradedeck configs rollback rsi_ema VERSION" in found.damaged[0]
    with pytest.raises(ConfigDamaged):
        store.active("rsi_ema")
    assert store.promote(config(), 1, "me").version == 2  # promoting again is the way out
    with pytest.raises(ConfigDamaged, match="v1"):
        store.roll_back("rsi_ema", 1, 2, "me")


def test_a_row_that_is_no_config_is_named(store: ConfigStore, dsn: str) -> None:
    store.promote(config(), 0, "me")
    sql(dsn, "UPDATE active_configs SET parameters = '[1, 2]'")
    assert store.newest().damaged[0].startswith("rsi_ema v1 in table active_configs cannot be read (Expected `object`")
    with pytest.raises(ConfigDamaged, match="cannot be read"):
        store.retire("rsi_ema", 1, "me")


def test_a_damaged_row_can_be_retired_where_another_is_sound(store: ConfigStore, dsn: str) -> None:
    store.promote(config(), 0, "me")
    store.promote(config(leverage=2.0), 1, "me")
    sql(dsn, "UPDATE active_configs SET leverage = 20 WHERE version = 2")
    assert store.retire("rsi_ema", 2, "me").version == 3
    assert store.active("rsi_ema") is None


_VALUES = st.one_of(st.booleans(), st.integers(-(2**53), 2**53), st.floats(allow_nan=False, allow_infinity=False))


@settings(max_examples=40)
@given(
    parameters=st.dictionaries(st.text(min_size=1), st.one_of(_VALUES, st.text())),
    leverage=st.floats(1, 125),
    score=st.none() | st.floats(allow_nan=False, allow_infinity=False),
)
def test_a_row_holds_every_config_exactly(parameters: dict[str, Any], leverage: float, score: float | None) -> None:
    import json

    one = config(version=1, parameters=parameters, leverage=leverage, score=score, promoted_at=5000, promoted_by="x")
    one = replace(one, hash=content_hash(one))
    row = values(one)
    assert set(row) == set(COLUMNS)
    row |= {name: json.loads(row[name]) for name in ("parameters", "metrics")}  # as psycopg reads json
    assert verified(Row(**row).config(), "here") == one


def test_the_hash_is_of_what_is_run_by_and_of_nothing_else() -> None:
    one = content_hash(config())
    same: dict[str, Any]
    for same in (
        {"version": 9},
        {"status": HISTORY},
        {"study": "x"},
        {"metrics": {}},
        {"score": None},
        {"leverage": 3},
    ):
        assert content_hash(config(**same)) == one
    changed: list[dict[str, Any]] = [
        *({"strategy_id": "x"}, {"strategy": "x"}, {"interval": "15m"}, {"instruments": (ETH,)}, {"leverage": 3.5}),
        *({"parameters": {"fast": 9}}, {"margin_mode": "cross"}, {"max_position_size": 1.0}, {"capital": 1.0}),
    ]
    hashes = {content_hash(config(**change)) for change in changed}
    assert len(hashes) == len(changed)
    assert one not in hashes
    told = set(Config.__struct_fields__) - {next(iter(change)) for change in changed}
    assert told == {
        *("version", "status", "score", "study", "trial", "promoted_at", "promoted_by", "metrics"),
        *("data_from", "data_to", "code_version", "hash"),
    }, "a new field of Config: is it part of what a strategy runs by?"


# --- away -------------------------------------------------------------------------------------------------------------


def test_a_server_that_is_away_or_refuses_is_named_without_its_password() -> None:
    for dsn, words in (
        (
            "host=127.0.0.1 port=1 dbname=x user=y",
            "PostgreSQL at host=127.0.0.1 port=1 dbname=x user=y cannot be reached",
        ),
        ("postgresql://y@no.such.host.invalid/x", "cannot be reached"),
    ):
        with pytest.raises(StoreAway, match=words) as caught:
            ConfigStore.open(NamedServer(dsn, remember("hunter2-secret")))
        assert "hunter2" not in str(caught.value)
    with pytest.raises(ConfigError, match=r"\[configs\] dsn is not understood"):
        NamedServer("nonsense")
    assert NamedServer("dbname=x", remember("hunter2-secret")).conninfo["password"] == "hunter2-secret"
    assert NamedServer("").words == "PostgreSQL at its default place"


def test_a_database_that_is_not_there_is_said(dsn: str) -> None:
    with pytest.raises(StoreAway, match='database "nothing_such" does not exist'):
        ConfigStore.open(NamedServer(f"{dsn} dbname=nothing_such"))


def test_rights_that_are_missing_and_newer_tables_are_said(store: ConfigStore, dsn: str) -> None:
    store.promote(config(), 0, "me")
    sql(dsn, "INSERT INTO tradedeck_schema VALUES (99)")
    with pytest.raises(StoreError, match="written by a newer tradedeck"):
        store.newest()
    with pytest.raises(StoreError, match="written by a newer tradedeck"):
        store.promote(config(), 1, "me")
    sql(dsn, "DELETE FROM tradedeck_schema WHERE version = 99")
    sql(dsn, "ALTER TABLE active_configs RENAME COLUMN leverage TO lever")
    with pytest.raises(StoreError, match='refuses: column "leverage" does not exist'):
        store.newest()


def test_an_end_in_the_middle_leaves_nothing_half_done(store: ConfigStore, dsn: str) -> None:
    store.promote(config(), 0, "me")
    (pid,) = store._connection.execute("SELECT pg_backend_pid() AS pid").fetchall()
    sql(dsn, "SELECT pg_terminate_backend(%s)", pid["pid"])
    with pytest.raises(StoreAway, match="went away"):
        store.promote(config(), 1, "me")
    with pytest.raises(StoreAway, match="went away"):
        store.wait(1)
    with ConfigStore.open(NamedServer(dsn)) as again:
        assert statuses(again) == [(1, ACTIVE)]


def test_an_end_at_the_last_word_says_that_the_outcome_is_open(
    store: ConfigStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.promote(config(), 0, "me")

    def cut(_: object) -> None:
        raise psycopg.OperationalError("server closed the connection unexpectedly")

    with monkeypatch.context() as patched:
        patched.setattr(psycopg.Connection, "commit", cut)
        with pytest.raises(StoreAway, match="whether it counts is not known, look before again: tradedeck configs ls"):
            store.promote(config(), 1, "me")


def test_a_full_disk_is_said(store: ConfigStore, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DiskFull, match="has no room"), store._saying():
        raise psycopg.errors.DiskFull("could not extend file: No space left on device")


def test_a_server_that_begins_is_waited_for(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    connect, tries = psycopg.connect, list[int]()

    def slow(**info: Any) -> Any:
        tries.append(1)
        if len(tries) < 3:
            raise psycopg.OperationalError("FATAL:  the database system is starting up")
        return connect(**info)

    monkeypatch.setattr(psycopg, "connect", slow)
    with ConfigStore.open(NamedServer(dsn)) as store:
        assert store.newest().configs == ()
    assert len(tries) == 3
