"""Write systemd's units and say what they do."""

import os
import pwd

from desk import output
from desk.exits import who
from desk.output import UsageFault
from desk.paths import Home, Role
from desk.research.summoning import can_research
from desk.roles.units import PREFIX, Scope, folder, units

EXPLAINED = (
    "engine and sentinel tell systemd that they are ready and that their loops go round (Type=notify, WatchdogSec)",
    "a role that fails is started again by systemd; engine and sentinel do not start each other then",
    "each may write its data directory alone, gains no privileges, and has a memory cap (MemoryMax)",
    "the recorder and the researcher run when nobody else wants the processor or the disk",
)


def install(home: Home, scope: Scope, run_as: str, *, print_only: bool) -> None:
    """Write the units of a home, or print them.

    Raises:
        UsageFault: a system unit without root, for root itself or for nobody who is known here, or a folder that cannot
            be written.
    """
    user = run_as or os.environ.get("SUDO_USER", "") or who()
    if scope == "user" and run_as:
        raise UsageFault("--run-as goes with --system; a user's units run as that user")
    if scope == "system" and not print_only and os.getuid() != 0:
        raise UsageFault("units of the whole machine take root: sudo tradedeck install-service --system, or --user")
    if scope == "system":
        _refuse_unknown(user)
    made = units(home, scope, user)
    if print_only:
        for unit in made:
            output.write(f"# {folder(scope) / unit.name}\n{unit.text}")
        return
    if scope == "system" and user == "root":
        raise UsageFault("name who the roles run as: --run-as USER; the engine needs no root and gets none")
    where = folder(scope)
    try:
        where.mkdir(parents=True, exist_ok=True)
        for unit in made:
            (where / unit.name).write_text(unit.text, encoding="utf-8")
            output.write(f"written {where / unit.name}")
    except OSError as error:
        raise UsageFault(f"{where} cannot be written: {error}") from error
    control = "systemctl" if scope == "system" else "systemctl --user"
    able = [unit.name.removesuffix(".service") for unit in made]
    if not can_research():
        able.remove(f"{PREFIX}-{Role.RESEARCHER}")  # its unit stands there for the day the extra is installed
    names = " ".join(able)
    for line in EXPLAINED:
        output.write(f"  {line}")
    output.write("now:")
    output.write(f"  {control} daemon-reload")
    output.write(f"  {control} enable --now {names}")
    if scope == "user":
        output.write(f"  loginctl enable-linger {user}   # or they end with your last logout")
    output.write(f"look: {control} status {PREFIX}-engine; tradedeck stop ends them in order, and asks about open risk")


def _refuse_unknown(user: str) -> None:
    try:
        pwd.getpwnam(user)
    except KeyError:
        raise UsageFault(f'there is no user "{user}" on this machine: no role can run as that one') from None
