"""From a trial to a config: what it runs by, and which trials are never let pass."""

from typing import Any

import pytest
from msgspec.structs import replace

from core.domain import studies as s
from core.errors import PromotionRefused
from research.promote import Candidate, config_of
from research.study.study import parse
from research.validation.gates import NO_LIQUIDATION
from store.config_hash import content_hash
from tests.store.configs import BTC, ETH

STUDY = """
[study]
name = "btc-1h"
strategy = "rsi_ema"
[data]
symbols = ["BTCUSDT"]
timeframe = "1h"
[account]
cash = 5000.0
max_position_size = 900.0
margin_mode = "cross"
[space]
fast = { low = 2, high = 9 }
"""
PASSED = s.Gate("trades", "40", "≥ 30", True)
FAILED = s.Gate("plateau", "0.10", "≥ 0.50", False)
LIQUIDATED = s.Gate(NO_LIQUIDATION, "liquidated", "none", False)
PARAMETERS: dict[str, s.Parameter] = {"fast": 9, "slow": 21, "leverage": 3.0, "fraction": 0.5, "slippage": 0.0002}


def report(*gates: s.Gate, **changes: Any) -> s.TrialReport:
    trial = s.Trial(7, 1.5, 2.0, 0.4, float("nan"), 3.0, 40, dsr=0.97, gates_passed=1, gates_total=len(gates))
    made = s.TrialReport(
        "btc-1h",
        "rsi_ema",
        trial,
        gates,
        dict(PARAMETERS),
        instruments=(BTC,),
        data_from=1,
        data_to=2,
        code_version="9",
    )
    return replace(made, **changes)


def test_capital_is_shared_by_the_instruments_and_bounds_in_money_grow_along() -> None:
    more = {**PARAMETERS, "max_size": 900.0}
    two = report(PASSED, parameters=more, instruments=(BTC, BTC))
    made = Candidate(config_of(parse(STUDY.replace('"cross"', '"isolated"')), two), two)
    found = made.funded(40_000.0).config
    assert (found.capital, found.max_position_size) == (20_000.0, 3_600.0)  # four times what the study had
    assert found.parameters == {**PARAMETERS, "max_size": 3_600.0}
    assert replace(found, capital=5_000.0, max_position_size=900.0, parameters=made.config.parameters) == made.config
    for capital in (0.0, -1.0, float("nan")):
        with pytest.raises(PromotionRefused, match="begins with capital above 0"):
            made.funded(capital)


def test_a_config_is_what_the_trial_ran_by() -> None:
    made = config_of(parse(STUDY), report(PASSED))
    assert made == s.Config(
        strategy_id="rsi_ema",
        version=0,
        status=s.ConfigStatus.ACTIVE,
        instruments=(BTC,),
        parameters=PARAMETERS,
        leverage=3.0,
        margin_mode="cross",
        max_position_size=900.0,
        score=1.5,
        study="btc-1h",
        trial=7,
        promoted_at=0,
        promoted_by="",
        metrics={  # no figure that is none
            "calmar": 2.0, "total_return": 0.4, "dsr": 0.97, "trades": 40.0, "gates_passed": 1.0, "gates_total": 1.0,
        },
        data_from=1,
        data_to=2,
        code_version="9",
        strategy="rsi_ema",
        interval="1h",
        capital=5000.0,
    )  # fmt: skip
    searched = config_of(parse(STUDY), report(PASSED, parameters={"fast": 9, "slow": 21, "max_size": 100.0}))
    assert (searched.leverage, searched.max_position_size) == (1.0, 100.0)


def test_a_config_runs_under_the_id_that_its_studys_file_gives() -> None:
    file = parse(STUDY.replace('"rsi_ema"', '"rsi_ema"\nstrategy_id = "rsi-btc"'))
    made = config_of(file, report(PASSED))
    assert (made.strategy_id, made.strategy) == ("rsi-btc", "rsi_ema")
    assert content_hash(made) != content_hash(config_of(parse(STUDY), report(PASSED)))


def test_a_trial_passes_by_its_gates_or_knowingly() -> None:
    made = config_of(parse(STUDY), report(PASSED))
    Candidate(made, report(PASSED)).allow()
    with pytest.raises(
        PromotionRefused, match=r"failed 1 of 2 gates: plateau 0\.10 \(needed ≥ 0\.50\).*--despite-gates"
    ):
        Candidate(made, report(PASSED, FAILED)).allow()
    Candidate(made, report(PASSED, FAILED)).allow(despite_gates=True)
    with pytest.raises(PromotionRefused, match="was not judged by any gate"):
        Candidate(made, report()).allow(despite_gates=True)


def test_a_liquidated_trial_is_never_promoted() -> None:
    made = config_of(parse(STUDY), report(PASSED))
    dead = report(PASSED)
    dead = replace(dead, trial=replace(dead.trial, liquidated=5))
    for one in (report(PASSED, LIQUIDATED), dead):
        with pytest.raises(PromotionRefused, match=r"trial 7 of btc-1h was liquidated: such a trial is never promoted"):
            Candidate(made, one).allow(despite_gates=True)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"rsi_ema"', '"crossing"', "the engine runs strategies of the library alone"),
        ('"rsi_ema"', '"rsi_ema"\nevaluator = "mine:evaluator"', "searches rsi_ema by mine:evaluator"),
    ],
)
def test_what_the_engine_could_not_run_is_refused(old: str, new: str, words: str) -> None:
    with pytest.raises(PromotionRefused, match=words):
        config_of(parse(STUDY.replace(old, new)), report(PASSED))


def test_a_shared_wallet_is_promoted_as_one() -> None:
    two = report(PASSED, instruments=(BTC, ETH))
    made = Candidate(config_of(parse(STUDY), two), two)
    assert made.config.shares_wallet
    found = made.funded(40_000.0).config
    assert (found.capital, found.max_position_size) == (40_000.0, 7_200.0)  # eight times what the study had


def test_a_set_that_is_none_is_refused() -> None:
    with pytest.raises(PromotionRefused, match=r"cannot be run: .*fast"):
        config_of(parse(STUDY), report(PASSED, parameters={"fast": 30, "slow": 20}))
