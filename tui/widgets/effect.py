"""What an order would do, written for a ticket: money, position, and every limit, the broken ones first. Pure."""

import textwrap
from decimal import Decimal

from core.domain.instrument import Instrument
from core.session.protocol import LimitChange, PreviewView
from tui.format import fit, number, percent, signed
from tui.lines import Line
from tui.widgets.draft import Context, Draft, Unit, entry_price, quantity_of, unit_worth

WIDE = 46
"""From this width on, two facts stand on a line and a limit shows where it comes from."""
_NAMES = {
    "max_position": "position",
    "max_sector": "sector",
    "max_leverage": "leverage",
    "max_gross": "gross",
    "max_order_notional": "order",
    "max_order_quantity": "quantity",
    "max_open_orders": "orders",
    "max_orders_per_second": "orders/s",
}
_GLYPHS = {"0.5": "½", "0.25": "¼", "0.75": "¾", "0.3333": "⅓", "0.3334": "⅓", "0.333333": "⅓", "0.2": "⅕"}


def fraction_words(fraction: Decimal) -> str:
    """Write a part of a whole in one sign where there is one."""
    plain = f"{fraction.normalize():f}"
    return _GLYPHS.get(plain, "all" if fraction == 1 else percent(fraction, 0))


def effect_lines(found: PreviewView, instrument: Instrument, width: int) -> list[Line]:
    """Write what an order would cost and lead to."""
    digits = instrument.price_precision
    fee = f"{number(found.fee)} {'maker' if found.maker else 'taker'}"
    after = signed(found.position_after, instrument.size_precision)
    facts = [
        ("notional", number(found.notional)),
        ("fee", fee),
        ("position", f"{after}  {percent(found.position_frac, 1)}"),
        ("margin", number(found.margin)),
    ]
    if instrument.is_derivative and found.position_after:
        leverage = f" {found.leverage:.2f}×" if found.leverage is not None else ""
        facts.append(("liq", f"{number(found.liquidation, digits) if found.liquidation else 'none'}{leverage}"))
    if found.risk is not None and width >= WIDE:
        facts.append(("risk", f"{number(found.risk)}  {percent(found.risk_frac)}"))
    if found.scaled is not None:
        facts.insert(0, ("by vol", f"{number(found.scaled, instrument.size_precision)} by target"))
    if width < WIDE:  # what the ticket does not say elsewhere stands first
        facts = [*facts[1:], facts[0]]
        return [((f"  {name:<9}", "dim"), (fit(text, max(0, width - 11)), "")) for name, text in facts]
    half = (width - 2) // 2
    lines: list[Line] = []
    for place in range(0, len(facts), 2):
        line: Line = (("  ", ""),)
        for name, text in facts[place : place + 2]:
            line = (*line, (f"{name:<9}", "dim"), (fit(text, half - 10) + " ", ""))
        lines.append(line)
    return lines


def limit_lines(limits: tuple[LimitChange, ...], width: int) -> list[Line]:
    """Write every limit before and after the order, the broken first, then the most used."""
    ordered = sorted(limits, key=lambda limit: (limit.ok, -(limit.used or 0.0)))
    return [_limit_line(limit, width) for limit in ordered]


def _limit_line(limit: LimitChange, width: int) -> Line:
    name = _NAMES.get(limit.name, limit.name.replace("_", " ").removeprefix("max "))
    style, sign = ("", "✓") if limit.ok else ("bad", "✗")
    relation = "of" if limit.ok else "over"
    if width < WIDE:
        values = f"{limit.after:>8} {relation} {limit.bound}"
    else:
        values = f"{limit.before:>8} → {limit.after:>8}  {relation} {limit.bound}"
    return (
        (f"{sign} ", "ok" if limit.ok else "bad strong"),
        (f"{name:<9}", "dim" if limit.ok else style),
        (fit(values, max(0, width - 11)), style),
    )


def wrapped(words: str, width: int, style: str) -> list[Line]:
    """Write words over as many lines as they need."""
    return [((f" {part}", style),) for part in textwrap.wrap(words, max(8, width - 2))]


def quantity_words(draft: Draft, instrument: Instrument, context: Context, width: int) -> str:
    """Say the quantity of a draft in the other units; empty where it cannot be worked out."""
    unit = draft.unit.value if draft.unit is not Unit.NOTIONAL else context.currency
    try:
        quantity = quantity_of(draft, instrument, context)
    except ValueError:
        return unit if draft.unit is not Unit.AMOUNT else ""
    worth = float(quantity) * unit_worth(instrument, entry_price(draft, context), context)
    share = f" = {percent(worth / context.equity, 1)}" if context.equity > 0.0 else ""
    if draft.unit is Unit.AMOUNT:
        return f"= {number(worth)}{share}{' of equity' if width >= WIDE else ''}"
    amount = f"= {number(quantity, instrument.size_precision)}"
    return f"{unit} {amount} = {number(worth)}" if width >= WIDE else f"{unit} {amount}"
