"""Say always where things stand: mode, trading state and arming in words, money, ages of everything, the time."""

from typing import Any

import msgspec
from textual.timer import Timer

from tui.format import age, arrow, fit, gain_class, milliseconds, number, percent, signed
from tui.lines import Line, LineView, Run, line_width

STALE_S = 1.0
MESSAGE_S = 6.0


class Standing(msgspec.Struct, frozen=True):
    """What the two header lines show. Ages in seconds; None where nothing is known yet."""

    mode: str = ""
    state: str = ""
    armed: bool = False
    equity: float | None = None
    day: float | None = None
    day_frac: float | None = None
    drawdown: float | None = None
    risk_frac: float | None = None
    """What is lost if every stop is met, as a part of equity; what has no stop counts in full."""
    heartbeat: float | None = None
    feeds_live: int = 0
    feeds: int = 0
    oldest: float | None = None
    link: float | None = None
    lost_for: float | None = None
    time: str = ""
    fees: float | None = None
    funding: float | None = None
    gross_frac: float | None = None
    viewers: int = 0
    """Other terminals at the same engine."""
    control: str = ""
    """Who holds control, in words."""
    elsewhere: bool = False
    """Whether another terminal holds it."""
    trouble: str = ""
    about: bool = False
    """Whether something has no price: equity is without it."""
    alerts: int = 0
    """Alerts that nobody has acknowledged; ``alarm`` where one of them is critical."""
    alarm: bool = False
    differences: int = 0
    studies: str = ""
    """How many studies run and how far they are, in words; empty while none does."""
    """Differences to the venues' records that wait for a word."""


def _state_style(state: str) -> str:
    return {"HALTED": "halted", "REDUCING": "reducing", "ACTIVE": "armed"}.get(state, "")


def first_line(now: Standing) -> Line:
    """Write mode, state and money."""
    lost = now.lost_for is not None
    money = " stale" if lost else ""
    runs: list[Run] = [
        (f" {now.mode.upper() or '–'} ", "live" if now.mode.lower() == "live" else "armed"),
        (f"{now.state or '–'} ", _state_style(now.state)),
        (" equity ", "dim"),
        (f"{'~' if lost or now.about else ''}{number(now.equity)}", f"strong{money}"),
        ("  day ", "dim"),
        (f"{arrow(now.day).strip()}{signed(now.day)} {percent(now.day_frac, sign=True)}", gain_class(now.day) + money),
        ("  dd ", "dim"),
        (percent(now.drawdown), money.strip()),
        ("  open risk ", "dim"),
        (percent(now.risk_frac, 1), money.strip()),
        ("        gross ", "dim"),
        (percent(now.gross_frac, 1), money.strip()),
        ("   fees ", "dim"),
        (number(now.fees), money.strip()),
        ("   funding ", "dim"),
        (signed(now.funding), money.strip()),
        *([("   studies ", "dim"), (now.studies, "")] if now.studies else []),
    ]
    return tuple(runs)


def _aged(seconds: float | None, text: str) -> Run:
    old = seconds is None or seconds > STALE_S
    return (f"~{text}" if old else text, "stale" if old else "")


def _arming(now: Standing) -> Run:
    """Write whether this terminal may send; where another has control, that it looks on."""
    if now.elsewhere:
        return " viewing ", "warn"
    return (" ARMED ", "halted") if now.armed else (" disarmed ", "dim")


def _differences(now: Standing) -> list[Run]:
    """Write how much waits for the trader's word; nothing while our record and the venues' agree."""
    count = now.differences
    return [(f" {count} difference{'' if count == 1 else 's'} ", "halted")] if count else []


def second_line(now: Standing) -> Line:
    """Write arming, ages and the time."""
    runs: list[Run] = [
        _arming(now),
        *([(f" !{now.alerts} ", "halted" if now.alarm else "warn")] if now.alerts else []),
        *_differences(now),
        *_trouble(now),
        (" guardian ", "dim"),
        _aged(now.heartbeat, f"♥{age(now.heartbeat)}"),
        ("  feeds ", "dim"),
        (f"{now.feeds_live}/{now.feeds}", "" if now.feeds_live == now.feeds else "warn"),
        (" oldest ", "dim"),
        _aged(now.oldest, age(now.oldest)),
    ]
    if now.lost_for is None:
        runs += [("  link ", "dim"), (milliseconds(now.link), "")]
    runs += [("  ", ""), (now.time, "")]
    if now.control:
        others = "" if not now.viewers else f"   {now.viewers} viewer{'' if now.viewers == 1 else 's'}"
        runs += [("        control: ", "dim"), (now.control + others, "warn" if now.elsewhere else "")]
    return tuple(runs)


def _trouble(now: Standing) -> list[Run]:
    """Write what is wrong; before all ages, so that a narrow line cuts those first."""
    lost = [f" link LOST {age(now.lost_for)}, reconnecting "] if now.lost_for is not None else []
    return [(words, "bad") for words in (*lost, *([f" {now.trouble} "] if now.trouble else []))]


def cut_line(line: Line, width: int) -> Line:
    """Leave out whole pairs of label and value at the end where the line is too long; trouble is cut, not left out."""
    runs = list(line)
    while runs and line_width(tuple(runs)) > width:
        text, style = runs.pop()
        room = width - line_width(tuple(runs))
        if style == "bad" and room > 0:
            runs.append((fit(text, room), style))
        if runs and runs[-1][1] == "dim":
            runs.pop()
    return tuple(runs)


class Header(LineView):
    """The two lines at the top of every screen."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._standing = Standing()

    def set_standing(self, standing: Standing) -> None:
        """Show how things stand."""
        self._standing = standing
        self._draw()

    def on_resize(self) -> None:
        """Fit the lines to the new width."""
        self._strips.clear()
        self._draw()

    def _draw(self) -> None:
        width = self.content_size.width
        if width > 0:
            self.show([cut_line(first_line(self._standing), width), cut_line(second_line(self._standing), width)])


class Hints(LineView):
    """The line at the bottom: the keys that matter here."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._hints: tuple[tuple[str, str], ...] = ()
        self._words: tuple[str, str] | None = None
        self._words_end: Timer | None = None

    def say(self, words: str, style: str = "") -> None:
        """Show a sentence instead of the keys for some seconds; `{id}` in it stands for the key of that action."""
        if self._words_end is not None:
            self._words_end.stop()
        self._words = (self.keyed(words), style)
        self._words_end = self.set_timer(MESSAGE_S, self._hush)
        self._draw()

    def correct(self, before: str, words: str, style: str = "") -> None:
        """Show a sentence in the place of one that holds no more; where that stands no longer, leave what does."""
        if self._words is not None and self._words[0] == self.keyed(before):
            self.say(words, style)

    def _hush(self) -> None:
        self._words = None
        self._draw()

    def set_hints(self, hints: tuple[tuple[str, str], ...]) -> None:
        """Show these keys and labels, the most needed first."""
        self._hints = hints
        self._draw()

    def on_resize(self) -> None:
        """Fit the line to the new width."""
        self._strips.clear()
        self._draw()

    def _draw(self) -> None:
        if self._words is not None:
            words, style = self._words
            self.show([((fit(f" {words}", self.content_size.width), style),)])
            return
        runs: list[Run] = [(" ", "")]
        used = 1
        for key, label in self._hints:
            piece = len(key) + len(label) + 3
            if used + piece - 2 > self.content_size.width:
                break
            runs += [(key, "key"), (f" {label}  ", "dim")]
            used += piece
        self.show([tuple(runs)])
