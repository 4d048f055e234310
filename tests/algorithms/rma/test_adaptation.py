"""What adaptation is for: once trained, the actor does without the privileged parameters.

One seed; `pytest tests/algorithms/rma/test_adaptation.py --all-seeds` trains three.
"""

from __future__ import annotations

import pytest
import torch

from rlmpc.algorithms.rma.policy import RmaActorCritic
from rlmpc.envs.toy import ToyEnv, ToyEnvCfg

MAX_RMSE = 0.12
"""Bound on the estimated velocity's error [m/s]; an untrained estimator is off by 0.5."""

SOONER = {"history_every": 2, "regularizer_start": 35, "regularizer_ramp": 60}
"""The history latent takes over sooner than by default, so that 50 iterations are enough."""


@torch.no_grad()
def mean_return(policy: RmaActorCritic, latent_from: str) -> float:
    """Mean return of 512 episodes of the hardest level, with mean actions, on one of several latents."""
    env = ToyEnv(ToyEnvCfg(), 512, "cpu", seed=99)
    env.level.fill_(env.cfg.num_levels - 1)
    strangers = torch.randperm(512, generator=torch.Generator().manual_seed(0))
    obs = env.reset()
    total = 0.0
    for _ in range(env.max_episode_length):
        latent = policy.history_latent(obs) if latent_from == "history" else policy.privileged_latent(obs)
        if latent_from == "another environment":
            latent = latent[strangers]
        action = policy.distribution_given(obs, policy.estimate_velocity(obs), latent).mean
        step = env.step(action)
        total += step.reward.mean().item()
        obs = step.obs
    return total


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    metafunc.parametrize("seed", [1, 2, 3] if metafunc.config.getoption("--all-seeds") else [1])


@pytest.mark.slow
def test_the_history_latent_stands_in_for_the_privileged_one_and_the_velocity_is_estimated(run_toy, seed: int):
    learner, _, numbers = run_toy(50, seed=seed, num_envs=128, agent="rma", **SOONER)
    privileged, history, wrong = (
        mean_return(learner.policy, latent) for latent in ("privileged", "history", "another environment")
    )
    early, late = numbers[3], numbers[-1]
    # Were the latent ignored, any latent would do.
    assert wrong < 0.95 * privileged
    assert history >= 0.95 * privileged
    assert late["latent/cosine"] > max(0.8, early["latent/cosine"])
    assert late["latent/distance"] < 0.5 * early["latent/distance"]
    assert max(late["estimator/rmse_x"], late["estimator/rmse_y"]) < MAX_RMSE
