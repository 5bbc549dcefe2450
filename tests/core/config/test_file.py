"""The settings file: complete when written, and every complaint says where, what and what was expected."""

from decimal import Decimal
from pathlib import Path

import pytest

from core.config.file import line_numbers, load, load_or_create, parse
from core.config.settings import (
    AlertSettings,
    GuardianSettings,
    RiskSettings,
    ScenarioSettings,
    Settings,
    TargetSettings,
)
from core.config.writing import descriptions, render, sections
from core.errors import ConfigError

WHOLE = render(Settings())


def complaint(old: str, new: str) -> str:
    """Return what is said of the whole file with one piece replaced."""
    assert WHOLE.count(old) == 1, old
    with pytest.raises(ConfigError) as error:
        parse(WHOLE.replace(old, new))
    return str(error.value)


def line_of(text: str) -> int:
    return next(number for number, line in enumerate(WHOLE.splitlines(), 1) if line.startswith(text))


def test_the_written_file_is_complete_and_reads_back_as_the_defaults() -> None:
    settings, places = parse(WHOLE)
    assert settings == Settings()
    for name, section in sections().items():
        for key in section.__struct_fields__:
            assert places.of(name, key).startswith("config.toml:"), f"{name}.{key} is not in the file"


def test_every_key_is_described() -> None:
    for name, section in sections().items():
        for key, text in descriptions(section).items():
            assert text, f"{name}.{key} has no description"
            assert f"# {text}" in WHOLE


def test_changed_values_survive_a_round_trip() -> None:
    guardian = GuardianSettings(
        max_gross_frac=1.5, max_order_quantity={"BINANCE-SPOT:SPOT_PAIR:BTC-USDT": Decimal("0.5")}
    )
    settings = Settings(guardian=guardian)
    assert parse(render(settings))[0] == settings


def test_places_name_the_line_of_a_setting() -> None:
    _, places = parse(WHOLE)
    assert places.of("guardian", "max_gross_frac") == f"config.toml:{line_of('max_gross_frac')}"


def test_lines_behind_lists_over_several_lines_and_comments_are_right() -> None:
    text = '[a]\nx = [\n  "[b]",  # [c]\n  "y = 1",\n]\nz = """\n[d]\nq = 1\n"""\n"k.l" = 1\n[e]\nm = 2\n'
    assert line_numbers(text) == {"a": 1, "a.x": 2, "a.z": 6, "a.k.l": 10, "e": 11, "e.m": 12}


def test_an_unknown_key_names_its_line_and_the_nearest_key() -> None:
    at = line_of("max_gross_frac")
    said = complaint("max_gross_frac =", "max_gros_frac =")
    assert said == f'config.toml:{at} [guardian] has no key "max_gros_frac"; did you mean "max_gross_frac"?'


@pytest.mark.parametrize(
    ("old", "new", "where", "said"),
    [
        ("instruments = []", 'instruments = ["BTCUSDT.BINANCE"]', "[engine] instruments", "the form must be"),
        ("max_order_quantity = {}", 'max_order_quantity = { "BTC" = 1 }', "[guardian] max_order_quantity", "the form"),
        (
            "instruments = []",
            'instruments = ["BETFAIR:TOTAL_GOALS:GER-BUNDESLIGA:20250316T1430:A-B@2.5"]',
            "[engine] instruments",
            'as "BETFAIR:TOTAL_GOALS_OU_2_5:GER-BUNDESLIGA:20250316T1430:A-B@2.5"',
        ),
    ],
)
def test_an_instrument_that_is_none_is_refused(old: str, new: str, where: str, said: str) -> None:
    told = complaint(old, new)
    assert told.startswith(f"config.toml:{line_of(old)} {where}: ")
    assert said in told


def test_an_unknown_key_without_a_near_one_lists_the_keys() -> None:
    assert "its keys: currency, day_start" in complaint("currency =", "zzz =")


def test_an_unknown_section_names_the_nearest() -> None:
    assert complaint("[journal]", "[jurnal]").endswith('no section [jurnal]; did you mean "journal"?')


@pytest.mark.parametrize("key", [key for key in GuardianSettings.__struct_fields__ if key != "max_order_quantity"])
def test_a_missing_limit_is_refused(key: str) -> None:
    lines = [line for line in WHOLE.splitlines() if not line.startswith(f"{key} =")]
    with pytest.raises(ConfigError, match=rf"^guardian\.{key} missing: the engine does not start without it"):
        parse("\n".join(lines))


def test_a_missing_guardian_section_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"guardian\.max_position_frac missing"):
        parse("[account]\n")


def test_a_file_from_before_the_watch_is_told_every_line_at_once() -> None:
    keys = ("max_daily_loss_frac", "drawdown_steps", "max_age_s")
    lines = [line for line in WHOLE.splitlines() if not line.startswith(keys)]
    with pytest.raises(ConfigError) as caught:
        parse("\n".join(lines))
    first, *others, remedy = str(caught.value).splitlines()
    assert remedy.startswith("tradedeck config upgrade adds what is missing")
    assert first.startswith(
        "guardian.max_daily_loss_frac missing: the engine does not start without it; the default is"
    )
    assert parse(
        "\n".join(lines).replace("[guardian]", "\n".join(["[guardian]", "max_daily_loss_frac = 0.05", *others]))
    )
    assert others == ["drawdown_steps = [[0.05, 0.5], [0.08, 0.25], [0.1, 0.0]]", "max_age_s = { scalp = 300.0 }"]


@pytest.mark.parametrize(
    ("steps", "fits"),
    [
        ("[]", True),
        ("[[0.05, 0.5]]", True),
        ("[[0.05, 0]]", True),
        ("[[0.05, 0.5], [0.05, 0.25]]", False),
        ("[[0.05, 0.5], [0.08, 0.5]]", False),
        ("[[0.05, 1.0]]", False),
        ("[[0.0, 0.5]]", False),
        ("[[1.0, 0.5]]", False),
        ("[[0.05, -0.1]]", False),
        ("[[nan, 0.5]]", False),
        ("[[0.05, nan]]", False),
        ("[[0.05]]", False),
        ("[[true, 0.5]]", False),
    ],
)
def test_a_ladder_only_ever_lets_less_be_held(steps: str, fits: bool) -> None:
    old = next(line for line in WHOLE.splitlines() if line.startswith("drawdown_steps ="))
    if fits:
        assert parse(WHOLE.replace(old, f"drawdown_steps = {steps}"))
    else:
        said = complaint(old, f"drawdown_steps = {steps}")
        assert said.startswith(
            f"config.toml:{line_of('drawdown_steps =')} [guardian] drawdown_steps: must be [drawdown, "
        )


@pytest.mark.parametrize("age", ["0", "-1", "nan", '"5"', "true"])
def test_an_age_is_seconds(age: str) -> None:
    said = complaint("max_age_s = { scalp = 300.0 }", f"max_age_s = {{ scalp = {age} }}")
    assert "[guardian] max_age_s" in said


def test_other_sections_may_be_left_out() -> None:
    start, end = WHOLE.index("# The practice"), WHOLE.index("# The built-in")
    assert parse(WHOLE[:start] + WHOLE[end:])[0] == Settings()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("max_gross_frac = 2.0", 'max_gross_frac = "2"', '[guardian] max_gross_frac: must be a number (got "2")'),
        ("max_gross_frac = 2.0", "max_gross_frac = -1", "[guardian] max_gross_frac: must be a number >= 0 (got -1)"),
        (
            "engine_silent_after_ms = 2000",
            "engine_silent_after_ms = 999999999999",
            "[guardian] engine_silent_after_ms: must be a whole number <= 30000 (got 999999999999)",
        ),
        ("sentinel_grace_ms = 3000", "sentinel_grace_ms = 60001", "must be a whole number <= 60000 (got 60001)"),
        ("max_gross_frac = 2.0", "max_gross_frac = nan", "[guardian] max_gross_frac: must be a number (got nan)"),
        ("max_net_frac = 1.0", "max_net_frac = inf", "[guardian] max_net_frac: must be a number (got inf)"),
        ("max_open_orders = 200", "max_open_orders = 2.5", "must be a whole number (got 2.5)"),
        ("record = true", "record = 1", "[ticks] record: must be true or false (got 1)"),
        ('theme = "dark"', 'theme = "drk"', 'must be one of dark, light, contrast, ansi (got "drk")'),
        ('day_start = "00:00"', 'day_start = "0"', "[account] day_start: must be a time of day in quotes"),
        ("every_s = 30.0", "every_s = 601", "[reconcile] every_s: must be a number <= 600 (got 601)"),
        ("rate = 200.0", "rate = 0", "[market] rate: must be a number > 0 (got 0)"),
    ],
)
def test_a_wrong_value_names_line_key_and_what_was_expected(old: str, new: str, said: str) -> None:
    message = complaint(old, new)
    assert message.startswith(f"config.toml:{line_of(old.partition(' ')[0] + ' =')} ")
    assert said in message


def test_text_that_is_not_toml_says_where() -> None:
    assert "line" in complaint("record = true", "record =")


def test_keys_may_be_written_with_and_without_quotes() -> None:
    quoted, _ = parse(WHOLE + '"ticket.buy" = ["b", "B"]\n')
    bare, _ = parse(WHOLE + 'ticket.buy = ["b", "B"]\n')
    assert quoted.terminal.keys == bare.terminal.keys == {"ticket.buy": ("b", "B")}


def test_the_first_start_writes_the_file_and_later_ones_read_it(tmp_path: Path) -> None:
    path = tmp_path / "home" / "config.toml"
    assert load_or_create(path)[0] == Settings()
    path.write_text(path.read_text().replace("max_gross_frac = 2.0", "max_gross_frac = 1.0"))
    assert load_or_create(path)[0].guardian.max_gross_frac == 1.0


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path / "none.toml")


def test_alert_targets_survive_a_round_trip_and_stand_below_their_table() -> None:
    phone = TargetSettings(kind="ntfy", url="https://ntfy.sh/x", second="mail", least="warning")
    settings = Settings(alerts=AlertSettings(targets={"phone": phone, "mail": TargetSettings(kind="webhook")}))
    assert parse(render(settings))[0] == settings
    assert parse(WHOLE + '[alerts.targets.phone]\nkind = "ntfy"\n')[0].alerts.targets["phone"].kind == "ntfy"


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ('kind = "ntfy"\nulr = "x"', '[alerts.targets.phone] has no key "ulr"; did you mean "url"?'),
        ('kind = "nfty"', 'kind: must be one of webhook, ntfy, telegram (got "nfty")'),
        ('url = "x"', "kind: object missing required field `kind`"),
        ('kind = "ntfy"\nkinds = ["fil"]', "kinds: invalid enum value 'fil' (got [\"fil\"])"),
        ('kind = "ntfy"\nurl = 3', "url: must be text in quotes (got 3)"),
    ],
)
def test_a_wrong_target_is_named_with_its_line(lines: str, words: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse(f"{WHOLE}[alerts.targets.phone]\n{lines}\n")
    place = len(WHOLE.splitlines()) + 1 + (0 if "missing" in words else lines.count("\n") + 1)
    assert str(error.value).startswith(f"config.toml:{place} ")
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (
            '[alerts.targets.x]\nkind = "ntfy"\ntoken = "tk_cAnArY7f3a"',
            '[alerts.targets.x] "token" looks like a secret',
        ),
        ('[alerts.targets.x]\napi_key = "cAnArY7f3a"', '"api_key" looks like a secret'),
        ('[alerts.targets.x]\nurl = "https://ann:cAnArY7f3a@x.example/"', '"url" holds what looks like a secret'),
        ('[alerts.targets.x]\nurl = "https://t.example/bot12345:cAnArY7f3a-cAnArY7f3a/send"', "write {secret} in its"),
        ('[alerts.targets.x]\nurl = "https://x.example/?token=cAnArY7f3a"', "write {secret} in its place"),
        ('[alerts.targets.x]\nsecret = "cAnArY7f3a.cAnArY7f3a.cAnArY7f3a"', "names a secret of secrets.toml"),
        ('[binance]\napiKey = "cAnArY7f3a"', '[binance] "apiKey" looks like a secret'),
        ('[binance]\npassword = "cAnArY7f3a"', '[binance] "password" looks like a secret'),
    ],
)
def test_a_secret_in_the_file_is_refused_and_never_quoted(lines: str, words: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse(f"{WHOLE}\n{lines}\n")
    assert words in str(error.value)
    assert "config.toml:" in str(error.value)
    assert "cAnArY" not in str(error.value)
    assert "secrets.toml" in str(error.value)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (
            'dsn = "postgresql://deck:cAnArY7f3a@db/deck"',
            '"dsn" holds a password: leave it out and name it under secret',
        ),
        ('dsn = "host=db password=cAnArY7f3a"', '"dsn" holds a password: leave it out and name it under secret'),
        (
            'secret = "cAnArY7f3a.cAnArY7f3a.cAnArY7f3a"',
            '"secret" names a secret of secrets.toml, and is not the secret',
        ),
    ],
)
def test_a_password_of_the_configs_is_refused_and_never_quoted(line: str, words: str) -> None:
    key = line.partition(" ")[0]
    section = WHOLE.index("[configs]")
    before = WHOLE.index(f"\n{key} = ", section)
    with pytest.raises(ConfigError) as error:
        parse(WHOLE[: before + 1] + line + WHOLE[WHOLE.index("\n", before + 1) :])
    assert f"[configs] {words}" in str(error.value)
    assert "cAnArY" not in str(error.value)
    sound = WHOLE[: before + 1] + f'{key} = "{"postgresql://deck@db/deck" if key == "dsn" else "postgres"}"'
    assert parse(sound + WHOLE[WHOLE.index("\n", before + 1) :])


def test_names_of_secrets_and_of_coins_are_none() -> None:
    target = (
        '[alerts.targets.phone]\nkind = "ntfy"\nurl = "https://x.example/{secret}?token={secret}"\nsecret = "phone"\n'
    )
    assert parse(f"{WHOLE}\n{target}")[0].alerts.targets["phone"].secret == "phone"
    moves = "[risk.scenarios.x]\nmoves = { TOKEN = -0.5 }\n"
    assert parse(f"{WHOLE}\n{moves}")[0].risk.scenarios["x"].moves == {"TOKEN": -0.5}


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("spraeds = 1", '[risk.scenarios.crash] has no key "spraeds"; did you mean "spreads"?'),
        ('moves = { BTC = "x" }', "[risk.scenarios.crash] moves: must be a number"),
        ("correlation = 2", "[risk.scenarios.crash] correlation: must be a number <= 1 (got 2)"),
    ],
)
def test_a_scenario_is_checked_by_itself(lines: str, words: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse(f"{WHOLE}[risk.scenarios.crash]\n{lines}\n")
    assert words in str(error.value)


def test_scenarios_survive_a_round_trip() -> None:
    own = ScenarioSettings(moves={"BTC": -0.4, "all": -0.5}, spreads=5.0)
    settings = Settings(risk=RiskSettings(scenarios={"crash": own}))
    assert parse(render(settings))[0].risk == settings.risk
