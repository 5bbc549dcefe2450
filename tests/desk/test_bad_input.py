"""Bad input, clear answer: the sentence, the exit code, and an engine that does not mind."""

import json
from pathlib import Path

import pytest

from tests.desk.conftest import Desk


@pytest.mark.parametrize("quantity", ["NaN", "0", "-1", "inf", "abc"])
def test_a_quantity_that_is_no_positive_number(running: Desk, quantity: str) -> None:
    done = running.run("order", "buy", "BTC-USDT.P", "--", quantity)
    assert done.returncode == 2
    assert done.stderr == f'tradedeck: quantity must be a number greater than 0 (got "{quantity}")\n'


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("-5",), 'tradedeck: quantity must be a number greater than 0 (got "-5")\n'),
        (("-.5", "--limit", "3"), 'tradedeck: quantity must be a number greater than 0 (got "-.5")\n'),
        (("5", "--limit", "-3"), 'tradedeck: --limit must be a number greater than 0 (got "-3")\n'),
        (("-5", "--lmit", "3"), "--lmit"),
        (("5", "--lmit", "3"), "No such option: --lmit"),
    ],
)
def test_a_number_below_zero_is_no_option(tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    done = Desk(tmp_path / "nobody").run("order", "buy", "BTC-USDT.P", *words)
    assert (done.returncode, said in done.stderr) == (2, True), done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("buy", "BTC-USDT.P", "0.01", "--limit", "93000.003"),
         "price 93000.003 is not a multiple of tick 0.10; nearest 93000.00 / 93000.10"),
        (("buy", "BTC-USDT.P", "0.01234"), "quantity 0.01234 is not a multiple of the step"),
        (("buy", "ETH-USDT", "0.0001"), "below the venue's minimum 5.00; smallest quantity here"),
        (("buy", "BTC-USDT.P", "5"), "refused: notional"),
        (("sell", "BTC-USDT.P", "0.01", "--reduce-only"), "nothing to reduce; nothing sent"),
        (("buy", "BTC-USDT.P", "0.01", "--limit", "150000"), "refused:"),
        (("buy", "BTC-USDT.P", "0.01", "--post-only"), "post-only goes with a resting LIMIT order"),
        (("buy", "DERIBIT:PERPETUAL:BTC-USD@INV", "1"), "is not known here; tradedeck instruments lists what is"),
    ],
)  # fmt: skip
def test_what_the_guardian_refuses(running: Desk, words: tuple[str, ...], said: str) -> None:
    done = running.run("order", *words)
    assert done.returncode == 3, done.stderr
    assert said in done.stderr


@pytest.mark.parametrize(
    ("instrument", "said"),
    [
        ("BTCUSD", "must be [ASSET_CLASS:]VENUE:TYPE:PAYLOAD[@SUFFIX] or a listed symbol"),
        ("binance:SPOT_PAIR:BTC-USDT", 'venue "binance" must be upper-case'),
        ("BINANCE-SPOT:SPOT_PIAR:BTC-USDT", 'type "SPOT_PIAR" must be one of'),
        ("BINANCE-FUTURES:PERPETUAL:BTC-USDT", "must be LIN or INV for a derivative"),
        ("BINANCE-SPOT:SPOT_PAIR:BTCUSDT", 'payload "BTCUSDT" does not fit SPOT_PAIR'),
    ],
)
def test_an_instrument_outside_the_grammar(running: Desk, instrument: str, said: str) -> None:
    done = running.run("order", "buy", instrument, "1")
    assert done.returncode == 2
    assert said in done.stderr
    assert "for example" in done.stderr


def test_what_the_venue_rejects_is_one_document(running: Desk) -> None:
    through = f"{running.bid('BTC-USDT.P') * 1.005:.1f}"
    answer = running.json("order", "buy", "BTC-USDT.P", "0.01", "--limit", through, "--post-only", code=1)
    assert answer["status"] == "REJECTED"
    assert answer["reason"]


def test_an_exit_larger_than_the_position(running: Desk) -> None:
    running.ok("order", "buy", "BTC-USDT.P", "0.02")
    try:
        done = running.run("order", "sell", "BTC-USDT.P", "0.03", "--reduce-only")
        assert done.returncode == 3
        assert "exit 0.03 is larger than position 0.02; nothing sent; use 0.02" in done.stderr
    finally:
        running.ok("flatten", "--all")


@pytest.mark.parametrize(
    "words",
    [
        ("order", "hold", "BTC-USDT.P", "1"),
        ("order", "buy", "BTC-USDT.P"),
        ("order", "buy", "BTC-USDT.P", "1", "--tif", "SOON"),
        ("order", "buy", "BTC-USDT.P", "1", "--wait", "-1"),
        ("cancel",),
        ("cancel", "t0r1n1", "--all"),
        ("flatten",),
        ("amend", "t0r1n1"),
        ("fills", "--since", "yesterday"),
        ("fills", "--csv", "--json"),
        ("stop", "--leave", "--flatten"),
        ("demo", "--tape", "no-such-file.xz"),
        ("demo", "--speed", "0"),
        ("demo", "--loop"),
        ("nonsense",),
        ("status", "--nonsense"),
    ],
)
def test_a_command_line_that_cannot_be_carried_out(tmp_path: Path, words: tuple[str, ...]) -> None:
    done = Desk(tmp_path / "home").run(*words)
    assert done.returncode == 2, done.stderr
    assert done.stderr.strip()
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("order", "buy"), "Missing argument 'instrument'."),
        (("halt", "--bogus"), "No such option: --bogus"),
        (("nosuch",), "No such command 'nosuch'."),
        (("journal", "nosuch"), "No such command 'nosuch'."),
    ],
)
def test_what_the_option_parser_refuses_is_one_document_too(tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    desk = Desk(tmp_path / "home")
    done = desk.run(*words, "--json")
    assert done.returncode == 2
    assert json.loads(done.stdout) == {"error": said}
    assert "Usage: " in done.stderr
    assert done.stderr.endswith(f"Error: {said}\n")
    assert desk.run(*words).stdout == ""


@pytest.mark.parametrize("words", [("cancel", "t9r9n9"), ("amend", "t9r9n9", "--limit", "1")])
def test_an_order_that_nobody_knows(running: Desk, words: tuple[str, ...]) -> None:
    done = running.run(*words)
    assert done.returncode == 1
    assert "order t9r9n9 is not known; tradedeck orders lists them" in done.stderr


def test_a_config_with_an_unknown_key_stops_every_role(desk: Desk) -> None:
    desk.home.root.mkdir()
    desk.home.config.write_text("[guardian]\nmax_gros_frac = 1.0\n")
    done = desk.run("demo", "--headless")
    assert done.returncode == 1
    said = 'config.toml:2 [guardian] has no key "max_gros_frac"; did you mean "max_gross_frac"?'
    assert done.stderr == f"tradedeck: {said}\n"
    assert desk.run("engine").stderr == f"tradedeck: {said}\n"


def test_a_config_without_a_limit_stops_the_engine(desk: Desk) -> None:
    desk.home.root.mkdir()
    desk.home.config.write_text("[account]\n")
    done = desk.run("engine")
    assert done.returncode == 1
    assert "guardian.max_position_frac missing: the engine does not start without it" in done.stderr


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the file is empty"),
        ("this is no tape\n", ":1:"),
        ('1723161255000000000 {"stream":"btcusdt@trade","data":{"e":"trade"\n', ":1:"),
    ],
)
def test_a_broken_tape_names_its_line_and_starts_nothing(desk: Desk, tmp_path: Path, text: str, said: str) -> None:
    tape = tmp_path / "usdm-broken.txt"
    tape.write_text(text)
    done = desk.run("replay", str(tape))
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    started = desk.run("demo", "--headless", "--tape", str(tape))
    assert started.returncode == 1
    assert said in started.stderr
    assert desk.run("status").returncode == 4


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "truncated"),
        ('{"ts_ns": 1, "action": "submit", "client_order_id": "a", "colour": "red"}', "unknown field `colour`"),
        ('{"ts_ns": 1, "action": "submit", "client_order_id": "a"}', "a submit needs instrument, side and quantity"),
        ('{"ts_ns": 1, "action": "buy", "client_order_id": "a"}', "Invalid enum value 'buy'"),
        ('{"ts_ns": 0, "action": "cancel", "client_order_id": "a"}', "is before the line above"),
    ],
)
def test_a_broken_file_of_orders_names_its_line(tmp_path: Path, line: str, said: str) -> None:
    from tests.generate.tapes import generate

    good = {"ts_ns": 1, "action": "cancel", "client_order_id": "z"}
    orders = tmp_path / "orders.jsonl"
    orders.write_text(json.dumps(good) + "\n" + line + "\n")
    tape = tmp_path / "usdm.txt"
    generate(steps=20).write(tape)
    done = Desk(tmp_path / "home").run("replay", str(tape), "--orders", str(orders))
    assert done.returncode == 2
    assert f"{orders}:2: " in done.stderr
    assert said in done.stderr


def test_the_engine_is_unharmed_by_all_of_this(running: Desk) -> None:
    answer = running.json("status")
    assert (answer["state"], answer["run"], answer["positions"], answer["orders"]) == ("ACTIVE", 1, [], [])
    assert running.json("order", "buy", "BTC-USDT.P", "0.01")["status"] == "FILLED"
    assert running.json("flatten", "--all")["flat"]
