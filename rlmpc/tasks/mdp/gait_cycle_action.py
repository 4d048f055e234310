"""The gait-cycle action, which sets the length of a gait cycle."""

import torch
from isaaclab.envs import ManagerBasedEnv
from isaaclab.managers import ActionTerm, ActionTermCfg
from isaaclab.utils import configclass

from rlmpc.tasks.mdp.selected import Selected, uniform, write


class GaitCycleAction(ActionTerm):
    """One action that sets the period of a gait clock; it moves no joint.

    The clock's phase runs through [0, 1) once per period. It advances by one environment step when actions are
    processed, so rewards and observations of the step see the advanced phase. Each leg reads the clock with its own
    offset, in the order left, right. A reset draws a random phase.
    """

    cfg: "GaitCycleActionCfg"

    def __init__(self, cfg: "GaitCycleActionCfg", env: ManagerBasedEnv) -> None:
        """Start all clocks at phase 0 with the neutral period."""
        super().__init__(cfg, env)
        self._raw_actions = torch.zeros(self.num_envs, 1, device=self.device)
        self._period_s = torch.full((self.num_envs, 1), cfg.offset_s, device=self.device)
        self._phase = torch.zeros(self.num_envs, 1, device=self.device)
        self._leg_offsets = torch.tensor(cfg.leg_offsets, device=self.device)

    @property
    def action_dim(self) -> int:
        """Number of actions: 1."""
        return 1

    @property
    def raw_actions(self) -> torch.Tensor:
        """Actions as the policy gave them. Shape is (N, 1)."""
        return self._raw_actions

    @property
    def processed_actions(self) -> torch.Tensor:
        """Gait period [s]. Shape is (N, 1)."""
        return self._period_s

    @property
    def period_s(self) -> torch.Tensor:
        """Gait period [s]. Shape is (N,)."""
        return self._period_s.squeeze(1)

    @property
    def leg_phase(self) -> torch.Tensor:
        """Phase of each leg in [0, 1), left then right. Shape is (N, 2)."""
        return (self._phase + self._leg_offsets) % 1.0

    def process_actions(self, actions: torch.Tensor) -> None:
        """Set the period from raw actions (N, 1) and advance the clock by one environment step."""
        self._raw_actions[:] = actions
        torch.clamp(self.cfg.offset_s + self.cfg.scale_s * actions, *self.cfg.period_range_s, out=self._period_s)
        self._phase.add_(self._env.step_dt / self._period_s).remainder_(1.0)

    def apply_actions(self) -> None:
        """Do nothing: the clock drives no actuator."""

    def reset(self, env_ids: Selected = None) -> None:
        """Restore the neutral period and draw a random phase in the selected environments."""
        write(self._raw_actions, env_ids, 0.0)
        write(self._period_s, env_ids, self.cfg.offset_s)
        write(self._phase, env_ids, uniform(self._env, env_ids, 0.0, 1.0, 1))


@configclass
class GaitCycleActionCfg(ActionTermCfg):
    """Configuration of the gait-cycle action: period = clip(offset + scale * action, range)."""

    class_type: type = GaitCycleAction

    asset_name: str = "robot"
    """Required by Isaac Lab of every action term; the clock reads nothing from the asset."""

    offset_s: float = 0.5
    """Period [s] at action 0, where the gait-period reward peaks."""

    scale_s: float = 0.25
    """Change of the period [s] per unit of action."""

    period_range_s: tuple[float, float] = (0.3, 2.0)
    """Shortest and longest period [s]."""

    leg_offsets: tuple[float, float] = (0.0, 0.5)
    """Phase offsets of the left and the right leg: half a cycle apart, a walk."""
