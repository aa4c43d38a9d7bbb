"""Decimals that no float is equal to: read, compared and written with all of their digits."""

from __future__ import annotations

import pytest

from tidegate.cli.json_text import json_text, read_json, typed
from tidegate.core.model import Origin
from tidegate.receive.samples import Made
from tidegate.rules.language.numbers import ExactFloat, encode_json, read_exact, read_float
from tidegate.rules.language.numbers import json_text as one_line
from tidegate.rules.sync.canonical import canonical, parse_json
from tidegate.rules.sync.changes import differing, make_copy, same_value

LONG = "12345678901234567890.123456789012345678"


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("0.1", "0.1"),
        ("10.50", "10.5"),
        ("1E22", "10000000000000000000000"),
        ("0.30000000000000004", "0.30000000000000004"),
        ("0.1000000000000000055511151231257827", "0.1"),  # the expansion of the float 0.1
        ("52.520006599999998", "52.520006599999995"),  # 17 digits: a float as C writes it
        (LONG, LONG),
        (LONG + "000", LONG),
        ("1234567890123456789012345678901234567.8012345678e-17", "12345678901234567890.123456789012345678012345678"),
        ("12345678901234567890.000", "12345678901234567890"),
        ("-12345678901234567890.5", "-12345678901234567890.5"),
        ("0.12345678901234567890123456789", "0.12345678901234567890123456789"),
        ("1e400", "1E+400"),
        ("1e99999999999999999999", "1e99999999999999999999"),
        ("123456789123456789.123456789e500", "1.23456789123456789123456789E+517"),
    ],
)
def test_canonical_json_has_one_text_for_each_number_and_loses_no_digit(text: str, written: str) -> None:
    assert canonical(parse_json(f'{{"a":{text}}}'.encode())) == f'{{"a":{written}}}'.encode()
    again = parse_json(f'{{"a":{written}}}'.encode())
    assert again == parse_json(f'{{"a":{text}}}'.encode())


def test_long_decimals_are_equal_when_their_digits_are() -> None:
    one, other = read_exact(LONG), read_exact(LONG[:-1] + "9")
    assert isinstance(one, ExactFloat) and float(LONG) == float(LONG[:-1] + "9")
    assert one == read_exact(LONG + "0") and hash(one) == hash(read_exact(LONG + "0"))
    assert one == read_float(LONG + "0")
    assert one != other and one != float(LONG) and float(LONG) != one
    assert not same_value(one, other) and same_value(one, LONG)
    assert differing({"a": one, "b": 1}, {"a": other, "b": 1}) == ("a",)


def test_two_copies_that_differ_in_the_last_digit_are_two() -> None:
    copies = [
        make_copy("1", parse_json(f'{{"a":{text}}}'.encode()), ignore=(), version=None, origin=Origin.POLL,
                  asked_at_us=0, answered_at_us=0)
        for text in (LONG, LONG + "0", LONG[:-1] + "9")
    ]  # fmt: skip
    assert copies[0].hash == copies[1].hash != copies[2].hash


def test_the_command_line_prints_and_sends_what_was_written() -> None:
    raw = f'{{"data": {{"amount": {LONG}, "price": 10.50}}, "took": 1.0e-05}}'
    value = read_json(raw)
    assert json_text(value) == raw == one_line(value)
    assert json_text(value, indent=2).splitlines()[2] == f'    "amount": {LONG},'
    assert encode_json(typed(value, dict[str, object])) == raw.replace(" ", "").encode()
    assert typed(value["took"], float) == 0.00001
    assert json_text("\ud83d") == '"\\ud83d"'


@pytest.mark.parametrize("form", [False, True])
def test_a_sample_of_trigger_has_the_digits_that_were_set(form: bool) -> None:
    made = Made({}, [], b"", read_json(f'{{"a":{LONG},"b":10.50}}'), form)
    assert made.content().decode() == (f"a={LONG}&b=10.50" if form else f'{{"a":{LONG},"b":10.50}}')
