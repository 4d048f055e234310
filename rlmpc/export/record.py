"""Observations from a policy's own world, on which its exported graph is compared."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import islice

import torch
from torch import Tensor

from rlmpc.envs.vec_env import VecEnv
from rlmpc.networks.normalizer import RunningNormalizer
from rlmpc.networks.policy import GaussianPolicy
from rlmpc.rollout.interaction import interact, noiseless

NUM_OBSERVATIONS = 1000
"""Default number of observations on which an export is compared."""

MIN_STEPS = 50
"""Shortest sequence, which gives a policy's memory time to matter."""


def record_observations(env: VecEnv, policy: GaussianPolicy, num: int) -> list[dict[str, Tensor]]:
    """Record what the policy sees while it acts as on a robot, without noise.

    Few environments are recorded for many steps, each in one unbroken sequence across the ends of its episodes.

    Args:
        env: the environments, which are reset.
        policy: the policy; it is not changed.
        num: rows wanted, over all steps.

    Returns:
        The acting groups of every step, (M, D_g) each, of the first M environments; at least `num` rows in total.
    """
    policy = policy.deployed(env.device)
    rows = min(env.num_envs, max(1, num // MIN_STEPS))
    steps = interact(env, noiseless(policy), env.reset(), policy.initial_memory(env.num_envs))
    return [
        {group: transition.obs[group][:rows].clone() for group in policy.acting_groups}
        for transition in islice(steps, math.ceil(num / rows))
    ]


def plausible_observations(policy: GaussianPolicy, dims: Mapping[str, int], num: int) -> list[dict[str, Tensor]]:
    """Draw observations like those in training, for use without an environment.

    Args:
        policy: the policy; the numbers have its running mean and variance, without these mean 0 and variance 1.
        dims: width D_g of each of its acting groups.
        num: rows wanted, over all steps.

    Returns:
        The acting groups of `MIN_STEPS` steps, (M, D_g) each, independent Gaussians.
    """
    policy = policy.deployed()
    rows = math.ceil(num / MIN_STEPS)
    generator = torch.Generator().manual_seed(0)

    def draw(group: str) -> Tensor:
        noise = torch.randn(rows, dims[group], generator=generator)
        if group not in policy.normalizers:
            return noise
        normalizer = policy.normalizers[group]
        assert isinstance(normalizer, RunningNormalizer)
        return normalizer.mean + noise * normalizer.var.sqrt()

    return [{group: draw(group) for group in policy.acting_groups} for _ in range(MIN_STEPS)]
