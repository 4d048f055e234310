"""Observations of a policy's own world, to compare its exported graph on."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from rlmpc.envs.vec_env import VecEnv
from rlmpc.export.graph import deployed
from rlmpc.networks.policy import GaussianPolicy
from rlmpc.rollout.collector import forget

MIN_STEPS = 50
"""Shortest sequence, so that what a policy remembers has had time to matter."""


@torch.no_grad()
def record_observations(env: VecEnv, policy: GaussianPolicy, num: int) -> list[dict[str, Tensor]]:
    """What the policy sees while it acts, without noise, as it would on a robot.

    Few environments are kept for many steps, each in one unbroken sequence over the ends of its episodes.

    Args:
        env: it starts new episodes.
        policy: it is not changed.
        num: rows wanted, over all steps.

    Returns:
        The acting groups of every step, (M, D_g) each, of the first M environments; at least `num` rows in total.
    """
    policy = deployed(policy, env.device)
    rows = min(env.num_envs, max(1, num // MIN_STEPS))
    obs, memory = env.reset(), policy.initial_memory(env.num_envs)
    recorded: list[dict[str, Tensor]] = []
    for _ in range(math.ceil(num / rows)):
        recorded.append({group: obs[group][:rows].clone() for group in policy.acting_groups})
        acted = policy.act(obs, memory, deterministic=True)
        step = env.step(acted["action"])
        obs, memory = step.obs, forget(acted["memory"], step.terminated | step.truncated)
    return recorded
