"""What each kind of target is sent: address, headers, body. Pure."""

import ipaddress
from collections.abc import Mapping, Sequence
from urllib.parse import quote

import msgspec

from core.config.secrets import Secret
from core.config.settings import AlertSettings, TargetSettings
from core.domain.alerts import AlertKind, Severity
from core.errors import ConfigError
from core.notify.http import split

TELEGRAM = "https://api.telegram.org/bot{secret}/sendMessage"
LINE_CHARS = 200
"""A line of a post; with MOST lines it stays under every target's limit of 4096."""
MOST = 15
_PRIORITY = {Severity.INFO: "3", Severity.WARNING: "4", Severity.CRITICAL: "5"}


class Notice(msgspec.Struct, frozen=True):
    """One alert as it leaves the house."""

    number: int
    key: str
    kind: AlertKind
    severity: Severity
    instrument: str
    text: str
    times: int
    recovered: bool
    ts: int

    @property
    def line(self) -> str:
        """Return it as a line of text."""
        again = f" (×{self.times})" if self.times > 1 else ""
        head = "over: " if self.recovered else "!! " if self.severity is Severity.CRITICAL else ""
        return f"{head}{self.text}{again}"[:LINE_CHARS]


class Post(msgspec.Struct, frozen=True):
    """One HTTP POST; its address and headers may hold a secret."""

    url: Secret
    headers: dict[str, Secret]
    body: bytes


class Target:
    """One target as its settings describe it."""

    def __init__(self, name: str, settings: TargetSettings, secret: Secret | None, mode: str, home: str) -> None:
        self.name, self.settings, self._secret, self._mode, self._home = name, settings, secret, mode, home
        self.least = Severity[settings.least.upper()]
        self._url = Secret(self._address())

    def _address(self) -> str:
        settings, secret = self.settings, self._secret
        template = settings.url or (TELEGRAM if settings.kind == "telegram" else "")
        place = f"[alerts.targets.{self.name}]"
        if not template:
            raise ConfigError(f"{place} url is missing: expected the address to post to")
        if "{secret}" in template and secret is None:
            raise ConfigError(f"{place} url has a place for {{secret}}: name one under secret")
        if settings.kind == "telegram" and not settings.chat:
            raise ConfigError(f"{place} chat is missing: expected the id of the chat to write to")
        try:
            parts = split(template.replace("{secret}", "x"))
        except ValueError as error:
            raise ConfigError(f"{place} url is no address: {error}") from None
        if secret is not None and parts.scheme == "http" and not _here(parts.hostname or ""):
            raise ConfigError(f"{place} url would send its secret in clear: expected https://")
        return template.replace("{secret}", quote(secret.reveal(), safe=":/") if secret is not None else "")

    def wants(self, notice: Notice) -> bool:
        """Tell whether this target is to have a notice; its own trouble it is not told."""
        kinds = self.settings.kinds
        return (
            notice.severity >= self.least
            and (not kinds or notice.kind in kinds)
            and notice.key != f"delivery:{self.name}"
        )

    def post(self, notices: Sequence[Notice]) -> Post:
        """Return the post that carries these notices."""
        worst = max(notice.severity for notice in notices)
        lines = "\n".join(notice.line for notice in notices)
        title = f"tradedeck {self._mode.upper()}"
        if self.settings.kind == "ntfy":
            headers = self._bearer() | _plain(
                {"Title": title, "Priority": _PRIORITY[worst], "Content-Type": "text/plain; charset=utf-8"}
            )
            return Post(self._url, headers, lines.encode())
        headers = _plain({"Content-Type": "application/json"})
        if self.settings.kind == "telegram":
            body: dict[str, object] = {"chat_id": self.settings.chat, "text": f"{title}\n{lines}"}
            return Post(self._url, headers, msgspec.json.encode(body))
        body = {
            "source": "tradedeck",
            "home": self._home,
            "mode": self._mode,
            "text": f"{title}\n{lines}",
            "alerts": [_as_json(notice, self._home) for notice in notices],
        }
        return Post(self._url, headers | self._bearer(), msgspec.json.encode(body))

    def _bearer(self) -> dict[str, Secret]:
        if self._secret is None or "{secret}" in self.settings.url:
            return {}
        return {"Authorization": Secret(f"Bearer {self._secret.reveal()}")}


def _plain(headers: Mapping[str, str]) -> dict[str, Secret]:
    return {name: Secret(value) for name, value in headers.items()}


def _as_json(notice: Notice, home: str) -> dict[str, object]:
    return {
        "id": f"{home}-{notice.number}-{notice.ts}",
        "number": notice.number,
        "kind": notice.kind,
        "severity": notice.severity.name.lower(),
        "instrument": notice.instrument or None,
        "text": notice.text,
        "times": notice.times,
        "recovered": notice.recovered,
        "ts_ns": notice.ts,
    }


def _here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def targets_of(settings: AlertSettings, secrets: Mapping[str, Secret], mode: str, home: str) -> list[Target]:
    """Return the targets of the settings, ready to post.

    Raises:
        ConfigError: an address, a secret or a second target that cannot be used.
    """
    made = []
    for name, target in settings.targets.items():
        if target.second and (target.second not in settings.targets or target.second == name):
            others = ", ".join(other for other in settings.targets if other != name) or "none"
            raise ConfigError(
                f'[alerts.targets.{name}] second "{target.second}" is no other target; there are: {others}'
            )
        made.append(Target(name, target, secrets.get(name), mode, home))
    return made
