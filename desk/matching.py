"""The practice exchange's rules out of config.toml."""

from collections.abc import Mapping, Sequence
from decimal import ROUND_DOWN, Decimal

from core.config.settings import Settings
from core.domain.identifiers import Asset, VenueId
from core.domain.instrument import Instrument
from desk.output import UsageFault
from venues.matching.settings import LatencySettings, MatchingSettings

MS_NS = 1_000_000
_CENT = Decimal("0.01")


def latency_settings(settings: Settings) -> LatencySettings:
    """Return how long requests and answers travel."""
    paper = settings.paper
    return LatencySettings(
        request_ns=int(paper.latency_request_ms * MS_NS),
        answer_ns=int(paper.latency_answer_ms * MS_NS),
        jitter_ns=int(paper.latency_jitter_ms * MS_NS),
        seed=paper.latency_seed,
    )


def matching_settings(settings: Settings) -> MatchingSettings:
    """Return what the matching of a replay is told."""
    return MatchingSettings(latency=latency_settings(settings))


def balances(settings: Settings) -> dict[VenueId, dict[Asset, Decimal]]:
    """Return the opening wallets of every venue."""
    return {
        VenueId(venue): {Asset(asset): amount for asset, amount in wallet.items()}
        for venue, wallet in settings.paper.balances.items()
    }


def replay_balances(
    settings: Settings, venues: Mapping[VenueId, Sequence[Instrument]], equity: Decimal
) -> dict[VenueId, dict[Asset, Decimal]]:
    """Return the wallets of a replay: ``equity`` in all, in equal parts; coin-margined accounts have their coin beside.

    Venues keep accounts apart, so that one account's money is not margin at another, as live.

    Raises:
        UsageFault: when ``equity`` is not a number above 0.
    """
    if not equity.is_finite() or equity <= 0:
        raise UsageFault(
            f'a replay starts with a number greater than 0 (got "{equity}"): --equity, paper.replay_equity'
        )
    coin = [venue for venue, listed in venues.items() if all(item.inverse for item in listed)]
    paid = [venue for venue in venues if venue not in coin]
    wallets = {venue: wallet for venue, wallet in balances(settings).items() if venue in coin}
    if paid:
        part = (equity / len(paid)).quantize(_CENT, ROUND_DOWN)
        part = part.to_integral_value() if part == part.to_integral_value() else part
        currency = Asset(settings.account.currency)
        wallets |= {venue: {currency: part} for venue in paid[1:]}
        wallets[paid[0]] = {currency: equity - part * (len(paid) - 1)}
    return wallets
