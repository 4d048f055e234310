"""The adapting teacher on the G1 with a height scan."""

from __future__ import annotations

import pytest
import torch

from rlmpc.algorithms.rma.learner import RmaLearner
from rlmpc.command_line.train import compose_train
from rlmpc.envs.vec_env import Obs, Step

pytestmark = pytest.mark.sim

NUM_ENVS = 8


class DoublePrecisionEnv:
    """Shows an environment's numbers in float64.

    In float32 the log-probability of 30 actions is known to 4e-6 only, so a ratio cannot be told from 1 to 1e-6.
    """

    def __init__(self, env) -> None:
        self._env = env

    def __getattr__(self, name: str):
        return getattr(self._env, name)

    def reset(self) -> Obs:
        return double(self._env.reset())

    def step(self, actions: torch.Tensor) -> Step:
        step = self._env.step(actions.float())
        ended = None if step.terminal_obs is None else double(step.terminal_obs)
        return Step(double(step.obs), step.reward.double(), step.terminated, step.truncated, step.faulty, ended)


def double(obs: Obs) -> Obs:
    return {group: values.double() for group, values in obs.items()}


@pytest.fixture(scope="module")
def env():
    from rlmpc.envs.isaaclab.env import IsaacLabEnv, load_env_cfg

    cfg = load_env_cfg("RLMPC-Phase1-Scan-G1-v0")
    cfg.scene.terrain.terrain_generator.num_rows = 2
    env = IsaacLabEnv(cfg, NUM_ENVS, torch.device("cpu"), seed=1)
    yield env
    env.close()


def new_learner(env, *arguments: str):
    torch.manual_seed(0)
    agent = compose_train(["task=phase_1_scan_rl", "agent.history_every=2", *arguments])[0].agent
    return RmaLearner.start(agent, env, None, print)


def test_on_the_first_minibatch_of_every_kind_of_iteration_the_ratio_is_one_and_kl_zero(env, fit, first_minibatches):
    learner = new_learner(env, "agent.regularizer_start=1", "agent.num_epochs=1").double()
    _, numbers = fit(learner, DoublePrecisionEnv(env), iterations=4)
    assert [on_history for on_history, _, _ in first_minibatches] == [False, True] * 2
    for _, ratio, kl in first_minibatches:
        assert ratio.dtype == torch.float64
        assert (ratio - 1.0).abs().max() < 1e-6
        assert kl.abs() < 1e-9
    assert ["loss/history" in one for one in numbers] == [False, True] * 2


def test_the_actor_takes_latents_and_one_frame_of_what_is_sensed(env):
    """Scan 32, velocity 3, latent 32, joints 58, other terms 39, phase 4; `test_policy.py` has the reference's."""
    policy = new_learner(env).policy
    assert policy.actor[0].in_features == 168
    assert policy.estimator[0].in_features == 58 + 6
    assert policy.privileged_encoder[0].in_features == 64
    obs = env.reset()
    torch.testing.assert_close(policy.true_velocity(obs), env.unwrapped.scene["robot"].data.root_lin_vel_b.torch)
