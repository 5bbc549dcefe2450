"""Looser limits from the command line: what the settings file loosens, and the word for it."""

from core.config.file import load_or_create
from core.domain.commands import LoosenLimits
from core.guardian.guardian import LOOSEN
from core.guardian.loosening import in_force, written
from core.session.client import Client
from core.state.limits_in_force import change_words
from desk import output
from desk.exits import typed_word, who
from desk.output import Refused
from desk.paths import Home
from desk.session import ORIGIN, talk


def loosen(home: Home, word: str | None, as_json: bool) -> None:
    """Say which limits the settings file loosens, ask for the word, and have the engine record them.

    Raises:
        Refused: nothing is looser, or the word was not said.
    """

    async def read(client: Client) -> dict[str, str]:
        return dict(client.state.limits.settings)

    before = talk(home, read, stream=True)
    settings, _ = load_or_create(home.config)
    _, looser = in_force(before, settings.guardian)
    if not looser:
        reason = f"{home.config} loosens no limit that is in force"
        raise Refused(reason, {"loosened": [], "reason": reason})
    words = [change_words(one) for one in looser]
    if word is None:  # asked for between two sessions: whoever thinks holds up nobody
        output.say("\n".join(words))
        word = typed_word(LOOSEN, "to have these in force from the engine's next start")
    wanted = {key: text for key, text in written(settings.guardian).items() if key in {one.key for one in looser}}
    command = LoosenLimits(wanted, word, who(), ORIGIN)

    async def say(client: Client) -> None:
        outcome = await client.send(command)
        if not outcome.ok:
            raise Refused(outcome.reason, {"loosened": [], "reason": outcome.reason})

    talk(home, say)
    if as_json:
        output.write_json({"loosened": words, "reason": ""})
    else:
        output.write("\n".join([*words, "in force from the engine's next start"]))
