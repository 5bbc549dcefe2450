"""What came of a command, read off the effects it had."""

from collections.abc import Sequence
from typing import Any

from core.domain import events as e
from core.domain.alerts import AlertRuleSet
from core.domain.approval import Approved
from core.domain.order import OrderStatus
from core.session.protocol import Outcome


def outcome_of(effects: Sequence[Any]) -> Outcome:
    """Return the outcome for the client that gave the command: refused when anything of it was."""
    denied = next((effect for effect in effects if isinstance(effect, e.OrderDenied)), None)
    if denied is not None:
        return Outcome(
            False,
            (denied.order.client_order_id,),
            OrderStatus.DENIED,
            denied.reason,
            denied.limit,
            denied.value,
            denied.bound,
            denied.setting,
        )
    change = next((effect for effect in effects if isinstance(effect, e.ChangeDenied)), None)
    if change is not None:
        about = (change.limit, change.value, change.bound, change.setting)
        return Outcome(False, (change.client_order_id,), None, change.reason, *about)
    refused = next((effect for effect in effects if isinstance(effect, e.CommandRefused)), None)
    if refused is not None:
        orders = (refused.client_order_id,) if refused.client_order_id else ()
        return Outcome(False, orders, None, refused.reason)
    submitted = tuple(
        effect.order.client_order_id for effect in effects if isinstance(effect, (e.OrderSubmitted, e.OrderApproved))
    )
    touched = tuple(
        effect.client_order_id for effect in effects if isinstance(effect, (e.CancelSubmitted, e.AmendSubmitted))
    )
    status = OrderStatus.SUBMITTED if submitted and any(isinstance(effect, Approved) for effect in effects) else None
    rule = next((effect.rule.id for effect in effects if isinstance(effect, AlertRuleSet)), "")
    return Outcome(True, submitted + touched, status, alert=rule)
