"""The curriculum of penalties: while robots fall soon, they pay little, so that living pays from the first step."""

from typing import Any

import torch
from isaaclab.envs import ManagerBasedRLEnv
from isaaclab.managers import CurriculumTermCfg, ManagerTermBase

from rlmpc.tasks.mdp.selected import Selected, mask_of


class PenaltyScale(ManagerTermBase):
    """A curriculum that scales all rewards with a negative weight up to their weights while episodes become longer.

    The scale follows the mean length of ended episodes and never falls. It acts on what is learned from; the log shows
    the unscaled rewards. Holosoma (Amazon FAR, 2025) scales its penalties by episode length, too.
    """

    _env: ManagerBasedRLEnv

    def __init__(self, cfg: CurriculumTermCfg, env: ManagerBasedRLEnv) -> None:
        """Start with short episodes; the term's parameters are the arguments of `__call__`."""
        super().__init__(cfg, env)
        self._length = torch.zeros((), device=self.device)
        self._scale = torch.full((), cfg.params["start"], device=self.device)

    @property
    def scale(self) -> torch.Tensor:
        """Scale of all penalties, a scalar."""
        return self._scale

    def __call__(
        self, env: ManagerBasedRLEnv, env_ids: Selected, start: float, full_share: float
    ) -> dict[str, torch.Tensor]:
        """Follow the lengths of the episodes that just ended.

        Args:
            env: The environment.
            env_ids: Environments whose episodes ended.
            start: Scale while robots fall at once.
            full_share: Mean episode length, as a share of the longest, at which penalties reach their weights.

        Returns:
            The scale, for logging.
        """
        ended = mask_of(env, env_ids) & (env.episode_length_buf > 0)
        share = env.episode_length_buf / env.max_episode_length
        # Each episode counts 1 / N: the mean forgets what is older than about N episodes.
        self._length += (ended * (share - self._length)).sum() / env.num_envs
        scale = start + (1.0 - start) * (self._length / full_share).clamp(max=1.0)
        torch.maximum(self._scale, scale, out=self._scale)
        return {"scale": self._scale}

    def state_dict(self) -> dict[str, Any]:
        """Return mean length and scale, for a checkpoint."""
        return {"length": self._length.tolist(), "scale": self._scale.tolist()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self._length.fill_(state["length"])
        self._scale.fill_(state["scale"])
