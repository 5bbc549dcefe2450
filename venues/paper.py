"""Paper trading: the market is someone else's live feed, the orders are matched here."""

from venues.matching.venue import MatchedVenue


class Paper(MatchedVenue):
    """A paper account on a live feed."""
