"""Gives our environments to rsl_rl, through an adapter of ours or as Isaac Lab does."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from rsl_rl.env import VecEnv as RslRlVecEnv
from tensordict import TensorDict
from torch import Tensor

from rlmpc.envs.vec_env import Obs, VecEnv
from rlmpc.errors import UserError

RslRlStep = tuple[TensorDict, Tensor, Tensor, dict[str, Any]]
"""Observations, reward (N,), done (N,) and `extras`."""


@contextmanager
def outside_inference() -> Iterator[None]:
    """Leave inference mode, in which rsl_rl steps its environment; gradients stay off.

    Tensors that an environment made in inference mode could not be changed in place by our learner afterwards.
    """
    with torch.inference_mode(False), torch.no_grad():
        yield


class AdaptedEnv(RslRlVecEnv):
    """One of our environments as rsl_rl takes it: a faulty step ends an episode, and there is no log of episodes.

    Args:
        env: the environment; it is reset.
        groups: the observation groups that the networks see; no other is stored.
        stagger_episodes: whether the first episodes start with random ages.
    """

    def __init__(self, env: VecEnv, groups: Iterable[str], stagger_episodes: bool) -> None:
        self.env = env
        self.groups = set(groups)
        self.num_envs, self.num_actions, self.device = env.num_envs, env.num_actions, env.device
        self.max_episode_length = env.max_episode_length
        self.cfg = {}
        self._obs = self._copied(env.reset())
        if stagger_episodes:
            env.stagger_episodes()

    def get_observations(self) -> TensorDict:
        """Return the current observations."""
        return self._obs

    @outside_inference()
    def step(self, actions: Tensor) -> RslRlStep:
        """Advance by one step with `actions` (N, A)."""
        step = self.env.step(actions)
        self._obs = self._copied(step.obs)
        return self._obs, step.reward, step.restarts, {"time_outs": step.truncated}

    def _copied(self, obs: Obs) -> TensorDict:
        """Copy an observation: rsl_rl stores it after the next step, when the environment may have overwritten it."""
        return TensorDict({group: obs[group].clone() for group in self.groups}, [self.num_envs])


@contextmanager
def stepped_by_managers(env: VecEnv) -> Iterator[None]:
    """Step the environment of a task of Isaac Lab by Isaac Lab's managers, even where it can do it by masks."""
    by_masks = getattr(env, "by_masks", False)
    if by_masks:
        setattr(env, "by_masks", False)  # noqa: B010
    try:
        yield
    finally:
        if by_masks:
            setattr(env, "by_masks", True)  # noqa: B010


@contextmanager
def stock_env(env: VecEnv, stagger_episodes: bool) -> Iterator[RslRlVecEnv]:
    """Turn an environment of an Isaac Lab task into Isaac Lab's own, wrapped for rsl_rl as Isaac Lab does it.

    The simulation, the managers and their terms stay the same objects; all that our subclass overrides is Isaac Lab's
    again. It gives all observation groups and the log of episodes. Everything is undone afterwards.

    Raises:
        UserError: if the environment is not of an Isaac Lab task.
    """
    inner: Any = getattr(env, "unwrapped", None)
    if inner is None:
        raise UserError("only a task of Isaac Lab has a stock environment")
    from isaaclab.envs import ManagerBasedRLEnv
    from isaaclab_rl.rsl_rl import RslRlVecEnvWrapper

    ours, rewards = inner.__class__, vars(inner.reward_manager)
    with stepped_by_managers(env):
        compute = rewards.pop("compute", None)
        inner.__class__ = ManagerBasedRLEnv
        try:
            wrapper = RslRlVecEnvWrapper(inner)
            wrapper.step = outside_inference()(wrapper.step)
            if stagger_episodes:
                env.stagger_episodes()
            yield wrapper
        finally:
            inner.__class__ = ours
            if compute is not None:
                rewards["compute"] = compute
