"""The practice exchange's rules out of config.toml."""

from decimal import Decimal

from core.config import Settings
from core.domain.identifiers import Asset, VenueId
from venues.matching.settings import LatencySettings, MatchingSettings

MS_NS = 1_000_000


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
