"""systemd's units for the roles, with what each may reach and how much it may take."""

import os
import sys
from pathlib import Path
from typing import Literal

import msgspec

from desk.paths import Home, Role

Scope = Literal["user", "system"]
PREFIX = "tradedeck"
_IDLE = ("Nice=19", "CPUSchedulingPolicy=idle", "IOSchedulingClass=idle")
"""For what may wait: it runs when nobody else wants the processor or the disk."""
_MEMORY = {Role.MARKET: 256, Role.ENGINE: 512, Role.SENTINEL: 128, Role.RECORDER: 384, Role.RESEARCHER: 2560}
"""Caps in MB, several times what was measured: they end a leak, not a busy day."""
_ABOUT = {
    Role.MARKET: "practice exchange",
    Role.ENGINE: "trading engine",
    Role.SENTINEL: "sentinel of the engine",
    Role.RECORDER: "recorder of market data",
    Role.RESEARCHER: "researcher: studies and schedule",
}
_AFTER: dict[Role, tuple[Role, ...]] = {
    Role.MARKET: (),
    Role.ENGINE: (Role.MARKET,),
    Role.SENTINEL: (Role.ENGINE,),
    Role.RECORDER: (Role.ENGINE,),
    Role.RESEARCHER: (Role.ENGINE,),
}
_NOTIFIES = frozenset({Role.ENGINE, Role.SENTINEL})
"""Roles that speak systemd's protocol: ready, alive, stopping."""
_BY_ROOT = (
    "ProtectHostname=yes",
    "ProtectClock=yes",
    "ProtectKernelModules=yes",
    "ProtectKernelLogs=yes",
    "CapabilityBoundingSet=",
)
"""What a user's own service manager has no right to set: there it would keep the unit from starting."""
_HARDENING = (
    "NoNewPrivileges=yes",
    "ProtectSystem=strict",
    "ProtectKernelTunables=yes",
    "ProtectControlGroups=yes",
    "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK",
    "RestrictNamespaces=yes",
    "RestrictSUIDSGID=yes",
    "RestrictRealtime=yes",
    "LockPersonality=yes",
    "SystemCallArchitectures=native",
    "UMask=0077",
    "LimitCORE=0",
)


class Unit(msgspec.Struct, frozen=True):
    """One unit file."""

    name: str
    text: str


def units(home: Home, scope: Scope, user: str, program: str | None = None) -> list[Unit]:
    """Return the units of a home; ``program`` is what runs tradedeck, by default the one that runs now."""
    start = program or _program()
    return [Unit(f"{PREFIX}-{role}.service", _unit(home, role, scope, user, start)) for role in Role]


def folder(scope: Scope) -> Path:
    """Return where systemd looks for units of a scope."""
    if scope == "system":
        return Path("/etc/systemd/system")
    base = os.environ.get("XDG_CONFIG_HOME", "")
    return (Path(base) if base.startswith("/") else Path.home() / ".config") / "systemd" / "user"


def _program() -> str:
    found = Path(sys.executable).with_name("tradedeck")
    return str(found) if found.exists() else f"{sys.executable} -P -m desk"


def _unit(home: Home, role: Role, scope: Scope, user: str, program: str) -> str:
    before = [f"{PREFIX}-{other}.service" for other in _AFTER[role]]
    lines = ["[Unit]", f"Description=tradedeck: {_ABOUT[role]}"]
    lines += [f"Wants={' '.join(before)}"] if before else []
    lines += [f"After={' '.join([*before, 'time-sync.target', 'network.target'])}"]
    lines += ["StartLimitIntervalSec=60", "StartLimitBurst=5", "", "[Service]"]
    lines += _starts(home, role, program)
    if scope == "system":
        lines += [f"User={user}"]
    lines += _keeps(home, role, scope)
    lines += ["", "[Install]", f"WantedBy={'multi-user' if scope == 'system' else 'default'}.target", ""]
    return "\n".join(lines)


def _starts(home: Home, role: Role, program: str) -> list[str]:
    lines = [
        f"Type={'notify' if role in _NOTIFIES else 'exec'}",
        f"ExecStart={program} {role}",
        f'Environment="TRADEDECK_HOME={home.root}"',
        "Restart=on-failure",
        "RestartSec=200ms",
        "TimeoutStartSec=120",
        "TimeoutStopSec=20",
    ]
    if role in _NOTIFIES:
        # Longer than the sentinel's own patience: it acts first, this is for when it cannot.
        lines += ["NotifyAccess=main", "WatchdogSec=10", "WatchdogSignal=SIGKILL"]
    return lines


def _keeps(home: Home, role: Role, scope: Scope) -> list[str]:
    lines = [*_HARDENING, *(_BY_ROOT if scope == "system" else ()), f'ReadWritePaths="{home.root}"']
    if home.reach == home.root:
        lines += ["PrivateTmp=yes"]
    else:
        lines += [f"# no PrivateTmp: the sockets of a home with so long a path are reached by {home.reach.parent}"]
    lines += [f"MemoryMax={_MEMORY[role]}M", "MemorySwapMax=0"]
    if role is Role.RESEARCHER:
        # A worker killed for its memory is not the researcher's end; numba and DuckDB bring threads of their own.
        lines += ["OOMPolicy=continue", "TasksMax=512", f'Environment="XDG_CACHE_HOME={home.root / "cache"}"']
    else:
        lines += ["OOMPolicy=stop", "TasksMax=64"]
    if role is Role.SENTINEL and scope == "system":
        lines += ["OOMScoreAdjust=-500"]
    if role in (Role.RECORDER, Role.RESEARCHER):
        lines += _IDLE
    return lines
