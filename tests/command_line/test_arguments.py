import pytest

from rlmpc.command_line.arguments import parse_value, split_override
from rlmpc.errors import UserError


def test_a_value_may_hold_equals_signs():
    assert split_override("ckpt=runs/epoch=10.ckpt") == ("ckpt", "runs/epoch=10.ckpt")
    assert parse_value("ckpt", "runs/epoch=10.ckpt") == "runs/epoch=10.ckpt"


@pytest.mark.parametrize(
    ("text", "value"),
    [("1e-3", 1e-3), ("3", 3), ("[1, 2.5]", [1, 2.5]), ("null", None), ("true", True), ("a b", "a b")],
)
def test_values_are_read_as_yaml(text: str, value):
    assert parse_value("key", text) == value


@pytest.mark.parametrize("argument", ["seed", "=3", "--seed 3"])
def test_an_argument_without_key_and_value_is_refused(argument: str):
    with pytest.raises(UserError, match="key=value"):
        split_override(argument)


def test_a_value_that_is_no_yaml_is_refused():
    with pytest.raises(UserError, match="'seed'"):
        parse_value("seed", "[1, 2")
