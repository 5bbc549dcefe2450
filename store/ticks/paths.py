"""Where the ticks of one home lie."""

from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

DAY_NS = 86_400_000_000_000
_EPOCH = date(1970, 1, 1)
_PREFIX, _SUFFIX = "ticks-", ".duckdb"


def day_of(ts: int) -> date:
    """Return the UTC day of a stamp in ns."""
    return _EPOCH + timedelta(days=ts // DAY_NS)


def day_number(day: date) -> int:
    """Return the days since 1970-01-01."""
    return (day - _EPOCH).days


@dataclass(frozen=True)
class TickPaths:
    """The folders below ``home/ticks``."""

    home: Path

    @property
    def root(self) -> Path:
        """Return the folder of everything below."""
        return self.home / "ticks"

    @property
    def segments(self) -> Path:
        """Return the folder the engine appends to."""
        return self.root / "segments"

    @property
    def days(self) -> Path:
        """Return the folder of the day files."""
        return self.root / "days"

    @property
    def lake(self) -> Path:
        """Return the folder of closed days, where no other target is configured."""
        return self.root / "lake"

    @property
    def damaged(self) -> Path:
        """Return the folder of files set aside."""
        return self.root / "damaged"

    @property
    def scratch(self) -> Path:
        """Return the folder for what is being written or sorted."""
        return self.root / "scratch"

    def make(self) -> None:
        """Create the folders."""
        for folder in (self.segments, self.days, self.lake, self.damaged, self.scratch):
            folder.mkdir(parents=True, exist_ok=True)

    def day_file(self, day: date) -> Path:
        """Return the path of a day's DuckDB file."""
        return self.days / f"{_PREFIX}{day.isoformat()}{_SUFFIX}"

    def day_files(self) -> dict[date, Path]:
        """Return the day files present, by day."""
        found = {}
        for path in sorted(self.days.glob(f"{_PREFIX}*{_SUFFIX}")) if self.days.is_dir() else ():
            try:
                found[date.fromisoformat(path.name.removeprefix(_PREFIX).removesuffix(_SUFFIX))] = path
            except ValueError:
                continue
        return found
