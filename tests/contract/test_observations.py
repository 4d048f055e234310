import pytest

from rlmpc.contract.observations import ObsSchema, ObsTerm
from rlmpc.contract.schema import checked

SCHEMA = ObsSchema({"policy": (ObsTerm("gravity", 3, 5), ObsTerm("command", 3), ObsTerm("joint_pos", 29, 10))})


def test_a_group_is_as_wide_as_its_terms_with_their_histories():
    assert SCHEMA.dims() == {"policy": 15 + 3 + 290}


def test_columns_of_a_term_follow_those_of_the_terms_before_it():
    assert SCHEMA.columns("policy", "command") == slice(15, 18)
    assert SCHEMA.columns("policy", "joint_pos") == slice(18, 308)


def test_an_unknown_term_is_refused_with_the_known_ones():
    with pytest.raises(KeyError, match="gravity"):
        SCHEMA.columns("policy", "height")


def test_the_newest_frames_are_the_last_columns_of_a_term():
    assert SCHEMA.columns("policy", "gravity", frames=2) == slice(9, 15)
    assert SCHEMA.selection("policy", ["joint_pos", "command"], frames=2) == [slice(250, 308), slice(15, 18)]
    assert SCHEMA.selection("policy", ["gravity"]) == [slice(0, 15)]


def test_a_schema_survives_as_plain_data():
    assert checked(ObsSchema, SCHEMA.to_dict(), "a file").groups == SCHEMA.groups
    assert SCHEMA.to_dict()["policy"][1] == {"name": "command", "dim": 3, "history": 1, "scale": 1.0, "clip": None}
