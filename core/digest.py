"""One number for all that an engine did: the same messages give the same digest, on every machine."""

import hashlib
from collections.abc import Iterable

from core import wire
from core.domain.approval import Approved
from core.outbox import Effect


class Digest:
    """Take effects in their order; ``hex`` is the SHA-256 of their encodings so far."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self.count = 0
        """Effects taken."""

    def update(self, effects: Iterable[Effect]) -> None:
        """Take what one message led to; an approved command counts as well, marked as sent."""
        for effect in effects:
            sent = isinstance(effect, Approved)
            body = wire.encode(effect.command if isinstance(effect, Approved) else effect)
            self._hash.update(len(body).to_bytes(4, "little") + (b"s" if sent else b"e") + body)
            self.count += 1

    def hex(self) -> str:
        """Return the digest of what was taken so far."""
        return self._hash.hexdigest()
