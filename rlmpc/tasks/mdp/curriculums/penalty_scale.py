"""The curriculum of penalties: until robots walk, they pay little, so that living pays from the first step."""

from typing import Any, cast

import torch
from isaaclab.envs import ManagerBasedRLEnv
from isaaclab.managers import CurriculumTermCfg, ManagerTermBase

from rlmpc.tasks.mdp.commands import WideningVelocityCommand
from rlmpc.tasks.mdp.selected import Selected, mask_of


class PenaltyScale(ManagerTermBase):
    """A curriculum that scales all rewards with a negative weight up to their weights while robots learn to walk.

    The scale follows the mean of ended episodes' lengths, times the share of the commanded distance that was walked,
    and never falls; episodes in which nobody was to walk do not count. It acts on what is learned from; the log shows
    the unscaled rewards. Holosoma (Amazon FAR, 2025) scales its penalties by the length of episodes alone; then they
    are whole before robots that stand learn to walk.
    """

    _env: ManagerBasedRLEnv

    def __init__(self, cfg: CurriculumTermCfg, env: ManagerBasedRLEnv) -> None:
        """Start with robots that fall at once; the term's parameters are the arguments of `__call__`."""
        super().__init__(cfg, env)
        self._walked = torch.zeros((), device=self.device)
        self._scale = torch.tensor(cfg.params["start"], device=self.device)

    @property
    def scale(self) -> torch.Tensor:
        """Scale of all penalties, a scalar."""
        return self._scale

    def __call__(
        self, env: ManagerBasedRLEnv, env_ids: Selected, command_name: str, start: float, full_share: float
    ) -> dict[str, torch.Tensor]:
        """Follow the episodes that just ended.

        Args:
            env: The environment.
            env_ids: Environments whose episodes ended.
            command_name: Name of the velocity command.
            start: Scale while robots fall at once or stand.
            full_share: Mean, of length as a share of the longest times walked share, at which penalties reach their
                weights.

        Returns:
            The scale, for logging.
        """
        progress = cast(WideningVelocityCommand, env.command_manager.get_term(command_name)).progress
        counts = mask_of(env, env_ids) & (env.episode_length_buf > 0) & progress.was_to_walk
        # An episode that crossed its tile is as good as a long one.
        length = (env.episode_length_buf / env.max_episode_length).masked_fill(~env.termination_manager.terminated, 1.0)
        # One that ended with a non-finite state walked nowhere.
        walked = length * progress.followed_share.clamp(max=1.0).nan_to_num(0.0)
        # Each episode counts 1 / N: the mean forgets what is older than about N episodes.
        self._walked += (counts * (walked - self._walked)).sum() / env.num_envs
        scale = start + (1.0 - start) * (self._walked / full_share).clamp(max=1.0)
        torch.maximum(self._scale, scale, out=self._scale)
        return {"scale": self._scale}

    def state_dict(self) -> dict[str, Any]:
        """Return the mean and the scale, for a checkpoint."""
        return {"walked": self._walked.tolist(), "scale": self._scale.tolist()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self._walked.fill_(state["walked"])
        self._scale.fill_(state["scale"])
