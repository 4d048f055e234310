"""A fault on the robot, written down by a run and gone through again, as whole commands."""

from __future__ import annotations

from itertools import count

import pytest
import torch

import play
import train
from rlmpc.algorithms.ppo.policy import ActorCritic
from tests.same_run import curve

pytestmark = pytest.mark.sim

SMALL = ["device=cpu", "num_envs=16", "env.scene.terrain.terrain_generator.num_rows=2", "checkpoint.export=false"]
NUM_STEPS, BROKEN = 8, 3
STEP = 6
"""Of the second of two rollouts, counted from 0."""


def test_an_action_that_is_not_a_number_restarts_its_robot_alone_and_is_found_again(command, tmp_path, monkeypatch):
    act, calls = ActorCritic.act, count()

    def act_once_without_a_number(policy, *arguments, **settings):
        acted = act(policy, *arguments, **settings)
        if next(calls) == NUM_STEPS + STEP:
            acted.action[BROKEN] = torch.nan
        return acted

    monkeypatch.setattr(ActorCritic, "act", act_once_without_a_number)
    short = [f"agent.num_steps={NUM_STEPS}", "trainer.max_epochs=3", "run.dir=run"]
    assert command(train.main, "task=blind_rl", *SMALL, *short)[0] == 0
    rows = curve(tmp_path / "run")
    assert [float(row["fault/envs"]) for row in rows] == [0.0, 1 / 16, 0.0]
    assert [float(row["fault/samples"]) for row in rows] == pytest.approx([0.0, 1 / (16 * NUM_STEPS), 0.0])
    code, out, _ = command(play.main, "replay=run/faults/iteration=2.pt")
    assert (code, f"environment {BROKEN} is not finite in step {STEP + 1}" in out) == (0, True), out
