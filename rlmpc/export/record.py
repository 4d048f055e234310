"""Observations of a policy's own world, to compare its exported graph on."""

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
"""How many an export is compared on, if nothing else is said."""

MIN_STEPS = 50
"""Shortest sequence, so that what a policy remembers has had time to matter."""


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
    policy = policy.deployed(env.device)
    rows = min(env.num_envs, max(1, num // MIN_STEPS))
    steps = interact(env, noiseless(policy), env.reset(), policy.initial_memory(env.num_envs))
    return [
        {group: transition.obs[group][:rows].clone() for group in policy.acting_groups}
        for transition in islice(steps, math.ceil(num / rows))
    ]


def plausible_observations(policy: GaussianPolicy, dims: Mapping[str, int], num: int) -> list[dict[str, Tensor]]:
    """Observations like those in training, drawn by themselves, for where there is no environment to record any.

    Args:
        policy: whose running statistics say what is likely; without any, numbers of standard deviation 1 are.
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
