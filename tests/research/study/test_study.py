"""A study's file: what is taken, and what is refused with file and line."""

import pytest

from core.errors import ResearchError
from core.strategy.library import MODELS
from research.study.evaluator import factory
from research.study.study import Range, example, nanoseconds, parse

SMALL = """\
[study]
name = "s1"
strategy = "crossing"

[space]
fast = { low = 2, high = 30 }
mode = { choices = ["a", "b"] }
"""


def test_a_small_file_takes_the_defaults() -> None:
    made = parse(SMALL)
    assert made.study.trials == 200
    assert made.space == {"fast": Range(low=2, high=30), "mode": Range(choices=["a", "b"])}
    assert made.windows.train_days == 365.0
    assert made.gates.most_pbo == 0.2


@pytest.mark.parametrize("strategy", sorted(MODELS))
def test_the_example_is_a_whole_file_for_every_strategy(strategy: str) -> None:
    made = parse(example("one", strategy))
    assert made.study.name == "one"
    assert made.space["leverage"] == Range(low=1, high=10, step=1)
    assert "# the folder of imported candles; empty: data/ of the home" in example("one", strategy)
    assert set(made.space) == {"leverage", *(one.name for one in MODELS[strategy].parameters)}


def test_no_example_of_a_strategy_that_is_not_there() -> None:
    with pytest.raises(ResearchError, match='no strategy "emacross" in the library; it has bollinger'):
        example("one", "emacross")


@pytest.mark.parametrize(
    ("before", "after", "wanted"),
    [
        ('name = "s1"', 'nmae = "s1"', r"s\.toml:2 \[study\] no key nmae; did you mean name\?"),
        ("[space]", "[windos]\n[space]", r"s\.toml:5 no section \[windos\]; did you mean windows\?"),
        ('strategy = "crossing"\n', "", r"s\.toml:1 \[study\] strategy is missing"),
        ('name = "s1"', 'name = "S 1"', r"s\.toml:2 \[study\] name: .*fitting"),
        ("[space]", "[windows]\ntrain_days = true\n[space]", r"s\.toml:6 \[windows\] train_days: .*got true"),
        (
            'strategy = "crossing"',
            'strategy = "x"\ntrials = 0',
            r"s\.toml:4 \[study\] trials: must be a whole number >= 1",
        ),
        (
            "[space]",
            "[objective]\nleast_drawdown = 0\n[space]",
            r"s\.toml:6 \[objective\] least_drawdown: must be a number > 0 \(got 0\)",
        ),
        ("[space]", "[account]\nslippage = 2\n[space]", r"s\.toml:6 \[account\] slippage: must be a number < 0\.5 "),
        ("[space]", "[objective]\nleast_trades = -1\n[space]", r"s\.toml:6 \[objective\] least_trades: .* >= 0"),
        ("low = 2, high = 30", "low = 30, high = 2", r"s\.toml:6 \[space\] fast: low must be below high"),
        ("low = 2, high = 30", "low = 2, high = 30, stpe = 2", r"s\.toml:6 \[space\] fast: .*stpe"),
        ("high = 30", "high = 30, choices = [1]", r"s\.toml:6 \[space\] fast: choices stand alone"),
        ("{ low = 2, high = 30 }", "3", r"s\.toml:6 \[space\] fast: expected .*belongs into \[fixed\]"),
        ("[space]", "[fixed]\nfast = 3\n[space]", r"s\.toml:6 fast is searched in \[space\]"),
        ("low = 2, high", "low = 0, log = true, high", r"low must be above 0 where log is true"),
        ("low = 2, high", "low = 2, step = 0, high", r"step must be above 0"),
        ("[space]", "[space", r"s\.toml: .*expected TOML"),
    ],
)
def test_what_is_wrong_is_refused_with_its_line(before: str, after: str, wanted: str) -> None:
    assert before in SMALL
    with pytest.raises(ResearchError, match=wanted):
        parse(SMALL.replace(before, after, 1), "s.toml")


def test_numbers_without_end_are_refused() -> None:
    for section, key, value in (("windows", "train_days", "nan"), ("account", "cash", "inf"), ("fixed", "x", "-inf")):
        with pytest.raises(ResearchError, match=rf"s\.toml:\d+ {section}\.{key}: must be a number"):
            parse(f"{SMALL}[{section}]\n{key} = {value}\n", "s.toml")
    with pytest.raises(ResearchError, match=r"s\.toml:6 space\.fast\.low: must be a number \(got nan\)"):
        parse(SMALL.replace("low = 2", "low = nan"), "s.toml")


def test_days_that_are_none_are_refused() -> None:
    with pytest.raises(ResearchError, match=r's\.toml:\d+ \[data\] start: "2024-02-31" is no day'):
        parse(f'{SMALL}[data]\nstart = "2024-02-31"\n', "s.toml")
    with pytest.raises(ResearchError, match=r"s\.toml:\d+ \[data\] end: 2024-01-05 is not after start 2024-01-05"):
        parse(f'{SMALL}[data]\nstart = "2024-01-05"\nend = "2024-01-05"\n', "s.toml")


def test_nothing_to_search_is_refused() -> None:
    with pytest.raises(ResearchError, match="nothing to search"):
        parse(SMALL.partition("[space]")[0])


def test_the_digest_changes_with_what_trials_depend_on() -> None:
    base = parse(SMALL).digest
    assert parse(SMALL.replace("high = 30", "high = 31")).digest != base
    assert parse(SMALL + "[account]\nfee = 0.001\n").digest != base
    assert parse(SMALL.replace('name = "s1"', 'name = "s1"\ntrials = 7\nworkers = 1')).digest == base
    assert parse(SMALL + "[gates]\nleast_dsr = 0.5\n").digest == base
    assert base == "8bdee5b0eaec0220", "studies that were begun before a key was added are refused"
    assert parse(SMALL + "[data]\nfunding = true\nmarks = true\n").digest == base
    assert parse(SMALL + '[data]\nvenue = ""\n').digest == base
    assert parse(SMALL + '[data]\nvenue = "BINANCE-SPOT"\n').digest != base
    without = {parse(SMALL + f"[data]\n{key} = false\n").digest for key in ("funding", "marks")}
    assert len(without - {base}) == 2


def test_an_id_of_its_own_is_what_a_trial_runs_under() -> None:
    assert parse(SMALL).strategy_id == "crossing"
    named = parse(SMALL.replace('"crossing"', '"crossing"\nstrategy_id = "crossing-btc"'))
    assert (named.strategy_id, named.study.strategy) == ("crossing-btc", "crossing")
    assert named.digest == parse(SMALL).digest  # a study that has its trials can be given one
    own = parse(SMALL.replace('"crossing"', '"donchian"\nstrategy_id = "donchian"'))
    assert own.strategy_id == "donchian"


@pytest.mark.parametrize(
    ("id_", "wanted"),
    [
        ("a:b", r"s\.toml:4 \[study\] strategy_id: .*fitting"),
        ("../x", r"s\.toml:4 \[study\] strategy_id: .*fitting"),
        ("Btc", r"s\.toml:4 \[study\] strategy_id: .*fitting"),
        ("a b", r"s\.toml:4 \[study\] strategy_id: .*fitting"),
        ("rsi_ema", r"s\.toml:4 .* rsi_ema is another strategy of the library.*such as crossing-btc"),
    ],
)
def test_an_id_that_is_none_or_another_strategys_is_refused(id_: str, wanted: str) -> None:
    with pytest.raises(ResearchError, match=wanted):
        parse(SMALL.replace('"crossing"', f'"crossing"\nstrategy_id = "{id_}"'), "s.toml")


def test_days_are_utc() -> None:
    assert nanoseconds("1970-01-02") == 86_400_000_000_000
    assert nanoseconds("") is None


def test_an_evaluator_that_is_not_there_is_refused() -> None:
    for name in ("research.nowhere:x", "research.study.study:nothing", "plain"):
        with pytest.raises(ResearchError, match="cannot be loaded"):
            factory(name)
