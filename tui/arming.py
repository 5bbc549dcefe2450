"""Keep the safety catch: sending what adds risk works only while armed."""

IDLE_SECONDS = 300.0
SETTLE_SECONDS = 0.300


class Arming:
    """Armed by a key, disarmed by a key, by five idle minutes and by a reconnect. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._armed_at: float | None = None
        self._touched = 0.0

    @property
    def armed(self) -> bool:
        """Tell whether sending is allowed."""
        return self._armed_at is not None

    def toggle(self, now: float) -> bool:
        """Arm or disarm; tell which it is now."""
        if self.armed:
            self.disarm()
        else:
            self._armed_at = self._touched = now
        return self.armed

    def disarm(self) -> bool:
        """Disarm; tell whether it was armed."""
        was = self.armed
        self._armed_at = None
        return was

    def touch(self, now: float) -> None:
        """Note that a key was pressed."""
        self._touched = now

    def expire(self, now: float) -> bool:
        """Disarm after five minutes without a key; tell whether that happened."""
        return self.armed and now - self._touched >= IDLE_SECONDS and self.disarm()

    def settled(self, now: float) -> bool:
        """Tell whether it has been armed long enough that the arming key cannot also send."""
        return self._armed_at is not None and now - self._armed_at >= SETTLE_SECONDS

    def left(self, now: float) -> float:
        """Give the seconds until it disarms itself."""
        return max(0.0, IDLE_SECONDS - (now - self._touched)) if self.armed else 0.0
