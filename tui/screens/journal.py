"""The journal screen: the audit trail, newest first, searched by words."""

from textwrap import wrap
from typing import Any, ClassVar

import msgspec
from textual.app import ComposeResult
from textual.binding import BindingType

from core.domain.message import Message
from core.errors import ClientError
from core.session import protocol as p
from tui.actions import bindings
from tui.confirm import AskText
from tui.feed import ORDERS, Dirty, Feed
from tui.format import clock
from tui.grid import Cell, Column, Grid, Row
from tui.lines import Line, Pane
from tui.records import kind_of, style_of, subject_of, text_of
from tui.screens.base import DeckScreen

PAGE = 200
NOTHING_YET, NOTHING_HELD = "nothing is recorded yet", "no record holds these words"
COLUMNS = (
    Column("sequence", "record", 8, align="right", drop=3),
    Column("time", "time", 15),
    Column("kind", "what", 18, best=20),
    Column("subject", "of", 12, best=18, drop=1, tail=True),
    Column("text", "told", 20, flex=1),
)


def record_row(record: p.RecordView, *, local: bool) -> Row:
    """Build the row of one record."""
    event: Message = record.event
    ts = int(getattr(event, "ts", 0))
    return Row(
        str(record.sequence),
        (
            Cell(str(record.sequence), "dim", record.sequence),
            Cell(clock(ts, local=local, pattern="%d %b %H:%M:%S") if ts else "–", "", ts),
            kind_of(event),
            Cell(subject_of(event), "strong"),
            Cell(text_of(event), style_of(event)),
        ),
    )


def record_lines(record: p.RecordView, width: int, *, local: bool) -> list[Line]:
    """Write a record in full: what happened, and every field of it."""
    event: Message = record.event
    ts = int(getattr(event, "ts", 0))
    stamp = clock(ts, local=local, pattern="%Y-%m-%d %H:%M:%S")
    head: Line = ((f" {stamp}.{ts % 1_000_000_000:09d}  ", "dim"), (kind_of(event), "strong"))
    fields = msgspec.json.encode(event).decode()
    room = max(10, width - 2)
    told = [((f" {line}", style_of(event)),) for line in wrap(text_of(event), room)]
    return [head, *told, *(((f" {line}", "dim"),) for line in wrap(fields, room, break_on_hyphens=False))]


class JournalScreen(DeckScreen):
    """Show what was decided and what happened, record by record."""

    CSS_PATH = "journal.tcss"
    AUTO_FOCUS = "#records"
    NAME = "journal"
    TAB_ORDER = ("records",)
    SCOPES: ClassVar[dict[str, str]] = {"records": "journal"}
    BINDINGS: ClassVar[list[BindingType]] = bindings("journal")

    def __init__(self, feed: Feed, **options: Any) -> None:
        super().__init__(feed, **options)
        self._records: list[p.RecordView] = []
        self._reached = 0
        self._words = ""
        self._behind = False
        self._asking = False
        self._wanted: int | None = None

    def body(self) -> ComposeResult:
        """Place the list, and the chosen record in full below it."""
        self.records = Grid(
            COLUMNS, "journal", "{journal.search} search · {journal.older} older", empty=NOTHING_YET, id="records"
        )
        self.record = Pane("record", "{copy} copy", id="record")
        yield self.records
        yield self.record

    def ask(self) -> None:
        """Ask for the newest records."""
        self._behind = False
        self._load(0)

    def draw(self, dirty: Dirty, now: int, slow: bool) -> None:
        """Ask again where something was recorded, at most twice a second."""
        if ORDERS in dirty.topics or dirty.everything:
            self._behind = True
        if slow and self._behind and not self._asking:
            self.ask()

    def action_search(self) -> None:
        """Ask for the words that shown records must hold."""

        def answered(text: str | None) -> None:
            if text is not None:
                self._words, self._records = text.strip(), []
                self._load(0)

        hint = "every word must stand in the record: an id, an instrument, a kind · Esc leaves it as it is"
        _ = self.app.push_screen(AskText("show only records with", self._words, hint), answered)

    def action_older(self) -> None:
        """Show older records too."""
        if self._reached > 0:
            self._load(self._reached + 1)

    def on_grid_moved(self, event: Grid.Moved) -> None:
        """Show the record under the cursor in full."""
        self._draw_record()

    def _draw_record(self) -> None:
        chosen = next((record for record in self._records if str(record.sequence) == self.records.cursor), None)
        width, height = self.record.content_size
        lines: list[Line] = [] if chosen is None else record_lines(chosen, width, local=self.local_time)
        self.record.show(lines[:height])
        self.record.set_title("record" if chosen is None else f"record {chosen.sequence}")

    def _load(self, before: int) -> None:
        """Ask for records; while an answer is on its way the last wish waits for it."""
        self._wanted = before
        if not self._asking:
            self._asking = True
            _ = self.run_worker(self._ask_records, group="records")

    async def _ask_records(self) -> None:
        try:
            while self._wanted is not None:
                before, words, self._wanted = self._wanted, self._words, None
                found = await self.feed.ask(p.AskRecords(before, PAGE, words))
                if words == self._words:
                    self._take(found, before)
        except ClientError as error:
            self.records.set_title(f"journal  {error}")
        finally:
            self._asking = False

    def _take(self, found: p.Records, before: int) -> None:
        newest = {record.sequence: record for record in found.records}
        if before or (self._records and found.records and found.records[-1].sequence <= self._records[0].sequence):
            newest |= {record.sequence: record for record in self._records}
        else:
            self._reached = found.reached
        if before:
            self._reached = found.reached
        self._records = sorted(newest.values(), key=lambda record: -record.sequence)
        self.records.empty = NOTHING_HELD if self._words else NOTHING_YET
        self.records.set_rows(record_row(record, local=self.local_time) for record in self._records)
        words = f'  with "{self._words}"' if self._words else ""
        older = (
            "" if self._reached <= 0 else f"  down to record {self._reached + 1}, {{journal.older}} shows older ones"
        )
        self._draw_record()
        self.records.set_title(f"journal  {len(self._records)} records{words}{older}")
