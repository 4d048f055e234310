import json
import time
from typing import Any

import pytest

from rlmpc.config.reading import MAX_DEPTH, as_data, as_text, read_value, structure
from rlmpc.errors import UserError

TEXTS = [
    *("20241125_1", "1e5", "010", "1:30", "0x10", "null x", "yes", "~", "'quoted'", '"quoted"', "a: b", "# none"),
    *("[/x]", "${x}", "a=b", "&a", "*a", "!!int 3", "-", "", " ", "2024-11-25", "\n", "é 🦿"),
]


@pytest.mark.parametrize("text", TEXTS)
def test_a_string_takes_its_text_as_it_is(text: str):
    assert read_value(text, str) == text
    assert read_value(text, str | None) == text


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("010", int, 10),
        ("-3", int, -3),
        ("+3", int, 3),
        ("1e4", int, 10_000),
        ("1.5e3", int, 1500),
        ("-.5", float, -0.5),
        ("5.", float, 5.0),
        ("1e-4", float, 1e-4),
        ("010", float, 10.0),
        ("TRUE", bool, True),
        ("off", bool, False),
        ("null", int | None, None),
        ("3", int | None, 3),
        ("[-.5,1]", list[float], [-0.5, 1.0]),
        ("[010, 1e2]", list[int], [10, 100]),
        ("[1e5, yes, 010, ~, 'a, b']", list[str], ["1e5", "yes", "010", "~", "a, b"]),
        ("[]", list[str], []),
        ("{a: 010, b: .5}", dict[str, float], {"a": 10.0, "b": 0.5}),
        ("{a: {b: 010, c: [1, x]}}", dict[str, Any], {"a": {"b": "010", "c": [1, "x"]}}),
    ],
)
def test_text_is_read_as_the_type_of_its_setting(text: str, kind: Any, value: Any):
    assert read_value(text, kind) == value
    assert type(read_value(text, kind)) is type(value)
    assert read_value(read_value(text, kind), kind) == value


@pytest.mark.parametrize(
    "text", ["0x10", "1_000", "1:30", "1.0", "1e-1", "one", "", " 3", "true", "null", "٣", "1e400"]
)
def test_what_is_no_integer_in_decimal_digits_is_refused(text: str):
    with pytest.raises(UserError, match="it takes an integer"):
        read_value(text, int)


@pytest.mark.parametrize("number", [2**63, 10**30])
def test_an_integer_that_64_bits_do_not_hold_is_refused(number: int):
    assert read_value(str(2**63 - 1), int) == 2**63 - 1
    for text in (str(number), f"{number}e9999999999999999999", number):
        with pytest.raises(UserError, match="it takes an integer"):
            read_value(text, int)


@pytest.mark.parametrize("text", ["0x1p3", "1_0.5", "", "e5", ".", "true", "1e999", "null", "half", "[1]"])
def test_what_is_no_decimal_number_is_refused(text: str):
    with pytest.raises(UserError, match="it takes a number"):
        read_value(text, float)


@pytest.mark.parametrize(
    ("text", "kind", "sentence"),
    [
        ("1", bool, "it takes true or false"),
        ("arena", list[str], "it takes a list in brackets, such as [a, b]"),
        ("arena", list[str] | None, "it takes a list in brackets, such as [a, b], or null"),
        ("[a", list[str], "it is not valid YAML"),
        ("[[a]]", list[str], "it takes text"),
        ("[a]", dict[str, float], "it takes a mapping in braces"),
        ("{a: 1, a: 2}", dict[str, float], "it has the entry 'a' twice"),
        ("{[a]: 1}", dict[str, float], "it has an entry whose name is no text"),
        ("[&a 1, *a]", list[int], "it uses an anchor or alias"),
        ("[!!python/name:os.system x]", list[str], "it uses a tag of YAML"),
        ("[a]\n---\n[b]", list[str], "it holds several documents"),
        ("[a, \x07]", list[str], "it is not valid YAML"),
    ],
)
def test_what_does_not_fit_is_refused(text: str, kind: Any, sentence: str):
    with pytest.raises(UserError) as caught:
        read_value(text, kind)
    assert str(caught.value).startswith(sentence)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        *("[" * 100_000, "{a: " * 50_000, "[" * 100_000 + "]" * 100_000, "- " * 100_000),
        "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]",
    ],
)
def test_nesting_without_end_and_aliases_that_multiply_end_at_once(text: str):
    start = time.process_time()
    with pytest.raises(UserError):
        structure(text)
    assert as_data(text) == text
    assert time.process_time() - start < 1.0


def test_what_a_setting_may_need_is_not_too_deep():
    assert json.dumps(structure("[" * MAX_DEPTH + "]" * MAX_DEPTH)) == "[" * MAX_DEPTH + "]" * MAX_DEPTH


@pytest.mark.parametrize(
    "text", [*TEXTS, "3", "-0", "0.50", "true", "null", "[0, 1]", "[0,1]", "{a}", "{a: [", "{NS}/a", "NaN"]
)
def test_text_becomes_data_only_where_the_text_comes_back(text: str):
    assert as_text(as_data(text)) == text


def test_a_mapping_in_braces_becomes_one():
    assert as_data("{a: {b: .5, c: [1, x]}, d: 3}") == {"a": {"b": ".5", "c": [1, "x"]}, "d": 3}


def test_text_that_is_plainly_a_number_or_a_list_of_numbers_becomes_one():
    assert [as_data(text) for text in ("3", "-0.5", "true", "null", "[0, 1.5]")] == [3, -0.5, True, None, [0, 1.5]]
