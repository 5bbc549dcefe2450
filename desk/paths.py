"""Where everything of one engine lives: sockets, journal, ticks, logs, locks, all under its home."""

import contextlib
import hashlib
import os
import secrets
import shlex
import stat
from enum import StrEnum
from pathlib import Path

import msgspec

from core.errors import StoreError

HOME_VARIABLE = "TRADEDECK_HOME"
SOCKET_PATH_MAX = 100
"""A Unix socket's path may be 107 bytes long; some room is left for what a server puts behind it."""


class Role(StrEnum):
    """A process of the house that runs in the background."""

    MARKET = "market"
    ENGINE = "engine"
    SENTINEL = "sentinel"
    RECORDER = "recorder"
    RESEARCHER = "researcher"


ALWAYS = (Role.MARKET, Role.ENGINE, Role.SENTINEL, Role.RECORDER)
"""The roles that ``tradedeck`` starts; a researcher comes with the first study or schedule."""


class Home(msgspec.Struct, frozen=True):
    """Name the files of one data directory; several stand side by side."""

    root: Path

    @property
    def config(self) -> Path:
        """Return the settings file."""
        return self.root / "config.toml"

    @property
    def secrets(self) -> Path:
        """Return the file of secrets; nobody else may be able to read it."""
        return self.root / "secrets.toml"

    @property
    def journal(self) -> Path:
        """Return the journal's file."""
        return self.root / "journal" / "journal.sqlite"

    @property
    def segments(self) -> Path:
        """Return the folder of tick segments not yet moved by the recorder."""
        return self.ticks / "segments"

    @property
    def ticks(self) -> Path:
        """Return the folder of the market data: segments, day files and Parquet."""
        return self.root / "ticks"

    @property
    def data(self) -> Path:
        """Return the folder of imported candles, marks and funding."""
        return self.root / "data"

    @property
    def postgres(self) -> Path:
        """Return the folder of the home's own PostgreSQL; there is none before something was promoted."""
        return self.root / "postgres"

    @property
    def configs(self) -> Path:
        """Return the file of the last promoted set, for when PostgreSQL is away."""
        return self.root / "configs.json"

    @property
    def studies(self) -> Path:
        """Return the folder of the studies, a folder each."""
        return self.root / "studies"

    @property
    def schedule(self) -> Path:
        """Return the folder of what is done by itself."""
        return self.root / "schedule"

    @property
    def incoming(self) -> Path:
        """Return the folder whose files are imported by the schedule."""
        return self.root / "incoming"

    @property
    def reports(self) -> Path:
        """Return the folder of written reports."""
        return self.root / "reports"

    @property
    def market(self) -> Path:
        """Return the folder in which the practice exchange keeps its books."""
        return self.root / "market"

    @property
    def engine_socket(self) -> Path:
        """Return the socket of the engine."""
        return self.reach / "run" / "engine.sock"

    @property
    def market_socket(self) -> Path:
        """Return the socket of the practice exchange."""
        return self.reach / "market.sock"

    @property
    def lease(self) -> Path:
        """Return the file of what the sentinel must not forget."""
        return self.root / "sentinel.json"

    @property
    def drill(self) -> Path:
        """Return the file of the last drill's result."""
        return self.root / "drill.json"

    @property
    def reach(self) -> Path:
        """Return the root by a path short enough for sockets: itself, or a link in a folder of ours under /tmp."""
        if len(os.fsencode(self.root / "run" / "engine.sock")) <= SOCKET_PATH_MAX:
            return self.root
        return self._short / "home"

    @property
    def _short(self) -> Path:
        mark = hashlib.sha256(os.fsencode(self.root)).hexdigest()[:16]
        # /tmp whatever TMPDIR says: every process of this home must come to the same place.
        return Path(f"/tmp/tradedeck-{os.getuid()}-{mark}")  # noqa: S108

    def line(self, *words: str) -> str:
        """Return a line for a shell that means this home, wherever it is typed: the command's words behind it."""
        try:
            named = () if self.root == _own() else ("--home", str(self.root))
        except RuntimeError:  # a user without a home of any kind, as in a container
            named = ("--home", str(self.root))
        return shlex.join(("tradedeck", *named, *words))

    def mark(self) -> str:
        """Return four letters or digits that begin every order id of this home; made once, durable before use.

        Raises:
            StoreError: if the file that keeps them cannot be read or written.
        """
        path = self.root / "id"
        try:
            if not path.exists():
                new = path.with_suffix(".new")
                with new.open("w", encoding="ascii") as file:
                    file.write(secrets.token_hex(2))
                    file.flush()
                    os.fsync(file.fileno())
                new.rename(path)
            mark = path.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise StoreError(
                f"{path} cannot be used: {error}; order ids of this home begin with what it holds"
            ) from error
        if not (len(mark) == 4 and mark.isalnum()):
            raise StoreError(f'{path} must hold four letters or digits (got "{mark[:20]}"); restore it from a backup')
        return mark

    def log(self, role: Role) -> Path:
        """Return the log of a role."""
        return self.root / "logs" / f"{role}.log"

    def lock(self, role: Role) -> Path:
        """Return the file that a running role locks."""
        return self.root / "run" / f"{role}.lock"

    def create(self) -> "Home":
        """Make the folders, readable by their owner alone.

        Raises:
            StoreError: if a folder cannot be made, or somebody else owns the short way to the sockets.
        """
        folders = (self.journal.parent, self.ticks, self.segments, self.market, self.root / "logs", self.root / "run")
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            for folder in folders:
                folder.mkdir(mode=0o700, exist_ok=True)
            if self.reach != self.root:
                self._link()
        except OSError as error:
            raise StoreError(
                f"the data directory {self.root} cannot be used: {error}; name another by --home"
            ) from error
        return self

    def _link(self) -> None:
        self._short.mkdir(mode=0o700, exist_ok=True)
        seen = self._short.lstat()
        if not stat.S_ISDIR(seen.st_mode) or seen.st_uid != os.getuid() or seen.st_mode & 0o077:
            raise StoreError(
                f"{self._short} must be a folder of yours with mode 0700: it is the short way to the sockets of "
                f"{self.root}, whose path is longer than a socket's may be; remove it or use a shorter --home"
            )
        if not self.reach.is_symlink():
            with contextlib.suppress(FileExistsError):
                self.reach.symlink_to(self.root)


def is_marked(home: Home) -> bool:
    """Tell whether a home has its mark: whoever only looks must not make one."""
    return (home.root / "id").exists()


def name_for_workers(home: Home) -> None:
    """Name a home in the environment: back-tests and worker processes find the imported candles by it."""
    os.environ[HOME_VARIABLE] = str(home.root)


def home_at(given: Path | None = None) -> Home:
    """Return the home that was named, by option, by TRADEDECK_HOME, or the one of this user."""
    chosen = given or (Path(os.environ[HOME_VARIABLE]) if os.environ.get(HOME_VARIABLE) else None)
    return Home(_whole(chosen) if chosen is not None else _own())


def _own() -> Path:
    """Return the home of this user: the one that nobody has to name."""
    data = os.environ.get("XDG_DATA_HOME", "")
    return _whole((Path(data) if data.startswith("/") else Path.home() / ".local" / "share") / "tradedeck")


def _whole(path: Path) -> Path:
    return Path(os.path.abspath(path.expanduser()))  # noqa: PTH100 - a symlinked home keeps its name
