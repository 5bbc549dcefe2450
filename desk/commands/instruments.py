"""``tradedeck instruments``: what can be traded."""

from desk.options import HomeOption, JsonOption


def instruments(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """List the instruments that the engine trades, with their contract data."""
    from core.domain.identifiers import symbol_of
    from core.domain.instrument import Instrument
    from core.domain.numbers import plain
    from core.session.client import Client
    from desk import answers, output
    from desk.paths import home_at
    from desk.session import known_instruments, talk

    async def ask(client: Client) -> list[Instrument]:
        return known_instruments(client.state)

    found = talk(home_at(home), ask, stream=True)
    if as_json:
        output.write_json([answers.instrument(item) for item in found])
        return
    output.table(
        ("symbol", "instrument", "tick", "step", "min size", "min notional", "maker", "taker"),
        (
            (
                symbol_of(item.id),
                item.id,
                plain(item.tick_size),
                plain(item.size_step),
                plain(item.min_size),
                plain(item.min_notional),
                f"{item.maker_fee:.4%}",
                f"{item.taker_fee:.4%}",
            )
            for item in found
        ),
        left=2,
    )
