"""How the sentinel stands, as a part of the state."""

from core.domain.market import SentinelStatus


class Guard:
    """Keep what was told of the sentinel last; None where the engine runs without one, or has not looked yet."""

    def __init__(self) -> None:
        self.status: SentinelStatus | None = None

    def take(self, status: SentinelStatus) -> None:
        """The sentinel stands like this now."""
        self.status = status

    @property
    def holds(self) -> str:
        """Return why it holds the lease; empty while orders may be sent."""
        return self.status.holds if self.status is not None else ""
