"""The guardian acts by itself on real processes: a breach ends flat at the market, in the engine's own words."""

import asyncio
from decimal import Decimal
from pathlib import Path

from core.domain import events as e
from core.domain import watch as w
from core.domain.approval import TradingState
from core.domain.commands import SetTradingState, SubmitOrder
from core.domain.order import Order, OrderType, Side
from desk.paths import Role
from tests.scenarios.house import PERP, QUICK, House, agree

TIGHT = QUICK.replace("[guardian]", "[guardian]\nmax_daily_loss_frac = 0.00003")
"""The fee of one order is more than the day may lose: the breach is certain, whatever the market does."""


async def test_a_breach_ends_flat_and_halted_and_stays_so_over_a_kill(tmp_path: Path) -> None:
    house = House(tmp_path / "home", TIGHT)
    try:
        house.start(Role.MARKET, Role.ENGINE)
        async with house.auditor() as auditor:
            await house.ready()
            async with house.session() as client:
                market = client.state.markets[PERP]
                step = market.instrument.size_step
                size = step * int(9_000 / market.mark / float(step))
                low = market.instrument.quantise_price(Decimal(int(market.mark * 0.97)))
                rest = await client.send(SubmitOrder(Order(PERP, Side.BUY, step * 20, OrderType.LIMIT, low)))
                assert rest.ok, rest
                bought = await client.send(SubmitOrder(Order(PERP, Side.BUY, size)))
                assert bought.ok, bought
            async with asyncio.timeout(60):
                while True:
                    picture, said = await agree(house, auditor), house.json("status")
                    if said["state"] == "HALTED" and not (picture.positions or picture.orders or said["flattening"]):
                        break
            assert said["state_reason"].startswith("the day's loss is 0.0"), said["state_reason"]
            assert "config.toml:" in said["state_reason"], "and where the bound stands"
            house.kill(Role.ENGINE)
            house.start(Role.ENGINE)
            assert (await house.ready()).state == "HALTED"
            async with house.session() as client:
                refused = await client.send(SubmitOrder(Order(PERP, Side.BUY, size)))
                assert not refused.ok
                assert "trading is HALTED" in refused.reason
                assert not (await client.send(SetTradingState(TradingState.ACTIVE, who="me"))).ok, "without the word"
                assert (await client.send(SetTradingState(TradingState.ACTIVE, word="RESUME", who="me"))).ok
            assert (await house.ready()).state == "ACTIVE", "the loss that was is accepted"
        events = [event for _, event in house.events()]
    finally:
        house.end()
    assert [event.act for event in events if isinstance(event, w.GuardianActed)][:1] == ["halt"]
    ends = [event for event in events if isinstance(event, e.FlattenEnded)]
    assert ends
    assert all((event.flat, event.reason) == (True, "flat, confirmed by the venue") for event in ends)
    assert not [event for event in events if isinstance(event, w.ExitEscalated)]
