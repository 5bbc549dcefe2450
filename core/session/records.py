"""Read the journal backwards for a reader: the newest records that contain a text, a bounded stretch at a time."""

from collections import deque

import msgspec

from core.ports import Journal
from core.session import wire
from core.session.protocol import AskRecords, Records, RecordView

WINDOW = 2_000
"""Records read at a time."""
SCAN = 50_000
"""Records looked at for one question at most; the answer says where the next may go on."""
MOST = 1_000


def records_of(journal: Journal, question: AskRecords) -> Records:
    """Return the newest records before a sequence that contain every word of a text, newest first.

    Raises:
        JournalDamaged: naming the first record that cannot be trusted.
    """
    words = tuple(question.text.casefold().split())
    limit = max(1, min(question.limit, MOST))
    end = journal.last if question.before <= 0 else min(question.before - 1, journal.last)
    stop = max(0, end - SCAN)
    found: list[RecordView] = []
    while end > stop and len(found) < limit:
        start = max(stop, end - WINDOW)
        matching: deque[RecordView] = deque(maxlen=limit - len(found))
        for record in journal.read(start):
            if record.sequence > end:
                break
            event = wire.recorded(record)
            if _contains(event, words):
                matching.append(RecordView(record.sequence, event))
        found.extend(reversed(matching))
        end = start if len(matching) < (matching.maxlen or 0) else matching[0].sequence - 1
    return Records(tuple(found), end)


def _contains(event: object, words: tuple[str, ...]) -> bool:
    if not words:
        return True
    text = f"{type(event).__name__} {msgspec.json.encode(event).decode()}".casefold()
    return all(word in text for word in words)
