from __future__ import annotations

from dataclasses import asdict

import pytest

from rlmpc.contract.terms import TERMS
from rlmpc.envs.toy import toy_schema
from rlmpc.sim2sim.observer import SENSORS


@pytest.mark.parametrize("name", TERMS)
def test_a_term_says_unit_frame_meaning_and_order(name: str):
    assert all(text.strip() for text in asdict(TERMS[name]).values())


def test_what_the_toy_task_observes_is_described():
    observed = {term.name for terms in toy_schema(10).groups.values() for term in terms}
    assert observed - TERMS.keys() == set()


def test_what_mujoco_senses_is_described():
    assert SENSORS.keys() - TERMS.keys() == set()
