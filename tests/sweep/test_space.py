from __future__ import annotations

import optuna
import pytest

from rlmpc.errors import UserError
from rlmpc.sweep.space import read_space, suggested


def test_what_is_suggested_are_arguments():
    space = read_space(
        {
            "a": {"float": ["1e-4", "1e-2"], "log": True},
            "b": {"int": [2, 8]},
            "c": {"choice": [[64, 64], "elu", 0.5]},
        }
    )
    trial = optuna.trial.FixedTrial({"a": 0.0015, "b": 3, "c": "[64, 64]"})
    assert suggested(space, trial) == ["a=0.0015", "b=3", "c=[64, 64]"]
    assert [entry.ends for entry in space.values()] == [["0.0001", "0.01"], ["2", "8"], ["[64, 64]", "elu", "0.5"]]


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        ("0.1", "'space.x' cannot be '0.1'; write {float"),
        ({"foat": [1, 2]}, "unknown key 'space.x.foat'; accepted: float, int, choice, log; did you mean 'float'?"),
        ({"log": True}, "'space.x' has no kind; write"),
        ({"int": [1, 2], "float": [1, 2]}, "'space.x' has float and int; write"),
        ({"float": 3}, "'space.x.float' cannot be 3; write"),
        ({"float": [1, 2, 3]}, "it takes two numbers, the lowest and the highest"),
        ({"float": [2, 1]}, "the first number must be below the second"),
        ({"float": [0, "inf"]}, "the first number must be below the second, and both finite"),
        ({"float": [0, 1], "log": "true"}, "with log, the lowest number must be above 0"),
        ({"int": [1.5, 2]}, "it takes an integer in decimal digits"),
        ({"float": ["a", 2]}, "it takes a number in decimal digits"),
        ({"choice": ["a", "a"]}, "it has a value twice"),
        ({"choice": ["a", "b"], "log": "yes"}, "log is for numbers"),
        ({"int": [1, 2], "log": "maybe"}, "it takes true or false"),
    ],
)
def test_an_entry_that_is_no_range_and_no_choice_ends_with_one_sentence(entry, sentence: str):
    with pytest.raises(UserError) as caught:
        read_space({"x": entry})
    assert sentence in str(caught.value)


def test_an_empty_space_is_refused():
    with pytest.raises(UserError, match="'space' is empty; write"):
        read_space({})
