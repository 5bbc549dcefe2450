"""A settings file that loosens a limit, and engines that are killed and started again by themselves."""

import asyncio
import json
import os
import re
import signal
from collections.abc import Sequence

from core.session.client import Client
from core.session.protocol import AskLimits
from desk.paths import Role
from desk.roles import services
from tests.desk.conftest import Desk


def edit(desk: Desk, **values: str) -> None:
    """Write settings into the file, as a person would."""
    text = desk.home.config.read_text()
    for key, value in values.items():
        text, found = re.subn(rf"^{key} = .*$", f"{key} = {value}", text, flags=re.MULTILINE)
        assert found == 1
    desk.home.config.write_text(text)


def restart(desk: Desk) -> None:
    """Kill the engine and start another, as a sentinel would in the middle of somebody's edit."""
    os.kill(desk.pid(Role.ENGINE), signal.SIGKILL)
    desk.wait(lambda: services.running(desk.home, Role.ENGINE) is None, "the engine is gone")
    desk.spawn("engine")
    desk.wait(desk.ready, "the venues are reconciled")


def limits(desk: Desk) -> Sequence[Sequence[str]]:
    status = desk.json("status")
    return status["loosened"], status["held_back"]


def looked(desk: Desk) -> Sequence[str]:
    """Return what the doctor says of limits; how well the feeds stand is no matter here."""
    return [found["detail"] for found in json.loads(desk.run("doctor", "--json").stdout) if found["name"] == "limits"]


def bounds(desk: Desk) -> dict[str, str]:
    """Return the bounds by which the engine judges."""

    async def ask() -> dict[str, str]:
        client = await Client.connect(desk.home.engine_socket, "test")
        try:
            return {view.name: view.bound for view in await client.ask(AskLimits())}
        finally:
            await client.close()

    return asyncio.run(ask())


def test_a_looser_limit_is_in_force_behind_the_word_and_a_restart_alone(desk: Desk) -> None:
    desk.demo()
    assert desk.json("loosen", "--word", "LOOSEN", code=3)["reason"].endswith("loosens no limit that is in force")
    edit(desk, max_gross_frac="4.0", max_position_frac="0.1")
    restart(desk)
    assert limits(desk) == ([], ["max_gross_frac 2.0 → 4.0"])
    before = bounds(desk)
    desk.wait(lambda: "NOT in force" in desk.ok("alerts"), "the alert is raised")
    assert "looser limits NOT in force: max_gross_frac 2.0 → 4.0" in desk.ok("status")
    assert looked(desk) == ["looser limits NOT in force: max_gross_frac 2.0 → 4.0"]
    done = desk.run("loosen", stdin="loosen\n")
    assert done.returncode == 3
    assert done.stderr.splitlines() == [
        "max_gross_frac 2.0 → 4.0",
        "tradedeck: loosening a limit takes the typed word LOOSEN",
    ]
    assert limits(desk)[1]
    done = desk.run("loosen", stdin="LOOSEN\n")
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1] == "in force from the engine's next start"
    assert limits(desk) == (["max_gross_frac 2.0 → 4.0 (from the next start)"], [])
    restart(desk)
    assert limits(desk) == (["max_gross_frac 2.0 → 4.0"], [])
    assert looked(desk) == ["loosened by a change of the settings: max_gross_frac 2.0 → 4.0"]
    after = bounds(desk)
    assert before["max_position"] == after["max_position"] == "10.0%"
    assert (before["max_gross"], after["max_gross"]) == ("200.0%", "400.0%")
