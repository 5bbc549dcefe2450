"""The sentinel's process as it begins: its run number is on the page before it can send."""

from pathlib import Path
from typing import Any, cast

from core.config.settings import GuardianSettings
from core.errors import StoreError
from core.guardian.pulse import Pulse
from desk.roles.watchdog import Watchdog
from store.lease import Lease, LeaseFile


class Clock:
    """One that stands still."""

    def now(self) -> int:
        return 1_700_000_000_000_000_000


def full(path: Path, lease: Lease) -> None:
    raise StoreError("no space left")


def test_sentinels_that_the_disk_does_not_remember_have_run_numbers_of_their_own(tmp_path: Path) -> None:
    numbers, clock = list[int](), cast("Any", Clock())
    for _ in range(3):
        page, file = Pulse(tmp_path / "page"), LeaseFile(tmp_path / "sentinel.json", full)
        numbers.append(Watchdog(GuardianSettings(), page, {}, cast("Any", None), file, clock, "t0").run_number)
        assert page.last_run == numbers[-1]
        page.close()
    assert numbers == [1_700_000_000_000, 1_700_000_000_001, 1_700_000_000_002]
