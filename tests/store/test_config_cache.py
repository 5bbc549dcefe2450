"""The last promoted set on disk: whole or not at all, proven when it is read."""

import errno
import os
from pathlib import Path

import pytest
from msgspec.structs import replace

from core.domain.studies import ConfigStatus
from core.errors import ConfigDamaged, StoreError
from store.config_cache import ConfigCache
from store.config_hash import content_hash
from tests.store.configs import config

ONE = config(version=3)
SOUND = replace(ONE, hash=content_hash(ONE))
OTHER = replace(config(strategy_id="donchian"), hash=content_hash(config(strategy_id="donchian")))


@pytest.fixture
def cache(tmp_path: Path) -> ConfigCache:
    return ConfigCache(tmp_path / "configs.json")


def test_what_was_kept_is_read_and_nobody_else_reads_it(cache: ConfigCache) -> None:
    assert cache.read() == ()
    cache.write([SOUND, OTHER])
    assert cache.read() == (OTHER, SOUND)
    assert cache.path.stat().st_mode & 0o777 == 0o600
    cache.write([])
    assert cache.read() == ()
    assert list(cache.path.parent.iterdir()) == [cache.path]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"leverage": 3.0', '"leverage": 30.0'),
        ('"status": "active"', '"status": "history"'),
        ('"version": 3', '"version": 4'),
    ],
)
def test_a_changed_file_is_refused(cache: ConfigCache, old: str, new: str) -> None:
    cache.write([SOUND])
    text = cache.path.read_text()
    assert old in text
    cache.path.write_text(text.replace(old, new))
    with pytest.raises(ConfigDamaged, match=r"do not match its hash.*none of it is run"):
        cache.read()


def test_a_file_that_is_none_is_refused(cache: ConfigCache) -> None:
    cache.write([SOUND])
    whole = cache.path.read_bytes()
    for damaged in (b"", whole[: len(whole) // 2], b"\x00" * 64, b"[]"):
        cache.path.write_bytes(damaged)
        with pytest.raises(ConfigDamaged, match=r"configs\.json is damaged"):
            cache.read()
    cache.path.write_bytes(whole.replace(b'"format": 1', b'"format": 2'))
    with pytest.raises(StoreError, match="newer tradedeck"):
        cache.read()
    cache.path.unlink()
    cache.path.mkdir()
    with pytest.raises(StoreError, match="cannot be read"):
        cache.read()


def test_a_config_with_a_wrong_hash_of_its_own_is_refused(cache: ConfigCache) -> None:
    cache.write([replace(SOUND, status=ConfigStatus.HISTORY, hash="0" * 64)])
    with pytest.raises(ConfigDamaged, match=r"rsi_ema v3 in .*configs\.json is not what was promoted"):
        cache.read()


def test_a_full_disk_leaves_what_was_there(cache: ConfigCache, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.write([SOUND])

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match="No space left on device; it is as before"):
        cache.write([OTHER])
    assert cache.read() == (SOUND,)
    assert list(cache.path.parent.iterdir()) == [cache.path]
