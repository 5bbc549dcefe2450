"""Show public trades as they print, the newest first."""

from collections.abc import Iterable
from typing import Any

import msgspec

from tui.format import clock, fit, number, width_of
from tui.lines import Line, Pane


class Print(msgspec.Struct, frozen=True, gc=False):
    """One public trade: time in nanoseconds UTC, price, quantity, and whether the buyer was the aggressor."""

    ts_ns: int
    price: float
    quantity: float
    buy: bool


class Tape(Pane, can_focus=True):
    """A framed tape."""

    def __init__(self, title: str = "tape", corner: str = "", **options: Any) -> None:
        super().__init__(title, corner, **options)
        self._prints: list[Print] = []
        self._decimals = (2, 3)
        self.local_time = False

    def set_prints(self, prints: Iterable[Print], price_decimals: int, size_decimals: int) -> None:
        """Show these trades, the oldest first in the input."""
        self._prints = list(prints)
        self._decimals = (price_decimals, size_decimals)
        self.repaint()

    def repaint(self) -> None:
        """Write the newest trades from the top down."""
        width, height = self.content_size
        if width <= 0 or height <= 0:
            return
        if not self._prints:
            self.show([((fit(" no trades yet", width), "dim"),)])
            return
        shown = self._prints[-height - 1 :]
        price_width = max(width_of(number(p.price, self._decimals[0])) for p in shown)
        size_width = max(6, *(width_of(number(p.quantity, self._decimals[1])) for p in shown))
        lines = []
        for place in range(len(shown) - 1, -1, -1):
            before = shown[place - 1] if place else None
            lines.append(self._line(shown[place], before, price_width, size_width))
        self.show(lines[:height])

    def _line(self, trade: Print, before: Print | None, price_width: int, size_width: int) -> Line:
        style = "gain" if trade.buy else "loss"
        arrow = " "
        if before is not None and trade.price != before.price:
            arrow = "▲" if trade.price > before.price else "▼"
        price = fit(number(trade.price, self._decimals[0]), price_width, "right")
        size = fit(number(trade.quantity, self._decimals[1]), size_width, "right")
        return (
            (clock(trade.ts_ns, local=self.local_time), "dim"),
            (f"  {price} {arrow} {size}  {'buy ' if trade.buy else 'sell'}", style),  # one run: the tape is what moves
        )
