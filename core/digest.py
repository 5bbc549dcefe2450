"""One number for all that an engine did: the same messages give the same digest, on every machine."""

import hashlib
from collections.abc import Iterable

from core.domain.approval import Approved
from core.domain.message import Message
from core.outbox import Effect
from core.session import wire


class Digest:
    """Take messages and effects in their order; ``hex`` is the SHA-256 of their encodings so far."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self.count = 0
        """Effects taken."""

    def update(self, effects: Iterable[Effect]) -> None:
        """Take what one message led to; an approved command counts as well, marked as sent."""
        for effect in effects:
            if isinstance(effect, Approved):
                self._take(b"s", effect.command)
            else:
                self._take(b"e", effect)
            self.count += 1

    def message(self, message: Message) -> None:
        """Take what the engine is given."""
        self._take(b"m", message)

    def answer(self, value: object) -> None:
        """Take what was left in the end."""
        self._take(b"a", value)

    def _take(self, mark: bytes, value: object) -> None:
        body = wire.encode(value)
        self._hash.update(len(body).to_bytes(4, "little") + mark + body)

    def hex(self) -> str:
        """Return the digest of what was taken so far."""
        return self._hash.hexdigest()
