"""Write only the cells and the colours that change: what a slow link feels is bytes.

Textual ends every run of text with a reset and begins the next with its whole style. Here the terminal's present style
is remembered, and between two runs only the difference is written.
"""

import codecs
import re
from collections.abc import Callable
from functools import partial
from typing import Any

from rich.console import Console, ConsoleOptions, RenderResult
from rich.control import Control
from textual._compositor import ChopsUpdate, CompositorUpdate
from textual.drivers import linux_driver
from textual.drivers.linux_driver import LinuxDriver

_SGR = re.compile(r"\x1b\[([\d;]*)m")
_OTHER = re.compile(r"(\x1b\[[0-9;?<>=]*[A-Za-ln-z])")
Look = tuple[str, str, frozenset[str]]
"""Foreground codes, background codes (empty for the terminal's own), attributes."""
PLAIN: Look = ("", "", frozenset())


def parse_sgr(codes: str, look: Look) -> Look:
    """Apply the codes of one SGR sequence to a look."""
    fore, back, marks = look
    parts = codes.split(";") if codes else ["0"]
    place = 0
    while place < len(parts):
        code = parts[place] or "0"
        length = 1
        if code == "0":
            fore, back, marks = PLAIN
        elif code in ("38", "48"):
            length = 5 if place + 1 < len(parts) and parts[place + 1] == "2" else 3
            text = ";".join(parts[place : place + length])
            fore, back = (text, back) if code == "38" else (fore, text)
        elif code == "39":
            fore = ""
        elif code == "49":
            back = ""
        elif len(code) == 2 and code[0] in "39":
            fore = code
        elif (code[0] == "4" and len(code) == 2) or (len(code) == 3 and code.startswith("10")):
            back = code
        else:
            marks |= {code}
        place += length
    return fore, back, marks


def difference(now: Look, wanted: Look) -> str:
    """Write the sequence that leads from one look to another; empty when they are alike."""
    if now == wanted:
        return ""
    codes: list[str] = []
    fore, back, marks = now
    if marks - wanted[2]:
        codes.append("0")
        fore, back, marks = PLAIN
    codes += sorted(wanted[2] - marks)
    if wanted[0] != fore:
        codes.append(wanted[0] or "39")
    if wanted[1] != back:
        codes.append(wanted[1] or "49")
    return f"\x1b[{';'.join(codes)}m"


class StyleSaver:
    """Rewrite a stream of terminal output so that no style is written twice."""

    def __init__(self) -> None:
        self._now: Look | None = None
        self._wanted: Look = PLAIN
        self._looks: dict[tuple[str, Look], Look] = {}

    def forget(self) -> None:
        """Assume nothing of the terminal's present style."""
        self._now, self._wanted = None, PLAIN

    def rewrite(self, data: str) -> str:
        """Give the same output with fewer bytes."""
        out: list[str] = []
        place = 0
        for found in _SGR.finditer(data):
            if found.start() > place:
                self._text(data[place : found.start()], out)
            self._style(found.group(1))
            place = found.end()
        if place < len(data):
            self._text(data[place:], out)
        return "".join(out)

    def _style(self, codes: str) -> None:
        key = (codes, self._wanted)
        look = self._looks.get(key)
        if look is None:
            if len(self._looks) > 4096:
                self._looks.clear()
            look = self._looks[key] = parse_sgr(codes, self._wanted)
        self._wanted = look

    def _text(self, text: str, out: list[str]) -> None:
        for part in _OTHER.split(text):
            if not part:
                continue
            if part[0] != "\x1b" and self._now != self._wanted:
                out.append("\x1b[0m" + difference(PLAIN, self._wanted) if self._now is None else self._step())
                self._now = self._wanted
            out.append(part)

    def _step(self) -> str:
        assert self._now is not None
        return difference(self._now, self._wanted)


class ExactUpdate(CompositorUpdate):
    """A partial update that writes the changed spans alone; Textual's own begins at the start of each widget's line."""

    def __init__(self, update: ChopsUpdate) -> None:
        self._update = update

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Give the segments as Textual would; used only where no terminal is written to."""
        return self._update.__rich_console__(console, options)

    def render_segments(self, console: Console) -> str:
        """Write each changed span at its place."""
        update = self._update
        out: list[str] = []
        for y, begin, stop in update.spans:
            for end, (x, strip) in zip(update.chop_ends[y], update.chops[y].items(), strict=False):
                if strip is None or x >= stop or end <= begin:
                    continue
                first, last = max(x, begin), min(end, stop)
                exact = strip if (first, last) == (x, end) else strip.crop(first - x, last - x)
                out += (Control.move_to(first, y).segment.text, exact.render(console))
        return "".join(out)


def forgiving(encoding: str) -> Callable[[], codecs.IncrementalDecoder]:
    """Return a decoder to which a byte that is no character is one that no key has."""
    return partial(codecs.getincrementaldecoder(encoding), errors="replace")


# Textual decodes what is typed strictly: one byte of line noise, of a paste or of another encoding ended the terminal.
linux_driver.getincrementaldecoder = forgiving  # type: ignore[assignment, attr-defined]


class LeanDriver(LinuxDriver):
    """The terminal driver, with styles written once."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._saver = StyleSaver()

    def start_application_mode(self) -> None:
        """Begin with an unknown style, as after a suspension."""
        self._saver.forget()
        super().start_application_mode()  # type: ignore[no-untyped-call]

    def stop_application_mode(self) -> None:
        """Leave the terminal in its own style."""
        if self._writer_thread is not None:
            self._writer_thread.write("\x1b[0m")
        self._saver.forget()
        super().stop_application_mode()

    def write(self, data: str) -> None:
        """Write a piece of output, without the styles that stand already."""
        super().write(self._saver.rewrite(data))
