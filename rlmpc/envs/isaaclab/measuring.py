"""Sets up and measures episodes in a running Isaac Lab environment."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from isaaclab.envs import ManagerBasedRLEnv
from isaaclab.utils.math import quat_apply_inverse, yaw_quat
from torch import Tensor

from rlmpc.contract.episode import Motion, Trial
from rlmpc.envs.isaaclab.contract import ROBOT
from rlmpc.envs.vec_env import round_seed
from rlmpc.tasks.mdp import WideningVelocityCommand, joint_power
from rlmpc.tasks.mdp.commands import AXES
from rlmpc.tasks.terrains import columns_of_kinds, follow_levels


class Measuring:
    """The part of `rlmpc.envs.vec_env.MeasurableEnv` that a `VecEnv` lacks.

    Args:
        env: an environment with a grid of terrain tiles and a velocity command.
        seed: the environment's own.
    """

    command_names: tuple[str, ...] = AXES

    def __init__(self, env: ManagerBasedRLEnv, seed: int) -> None:
        self._env = env
        self._seed = seed
        terrain = env.scene.terrain
        assert terrain is not None
        self._terrain = terrain
        generator = terrain.cfg.terrain_generator
        self._columns = {terrain.cfg.terrain_type: [0]} if generator is None else columns_of_kinds(generator)
        self.terrains = tuple(self._columns)
        self.num_levels = 1 if generator is None else generator.num_rows
        manager = env.termination_manager
        self.reasons = tuple(manager.active_terms)
        is_fall = [not manager.get_term_cfg(name).time_out for name in self.reasons]
        self._is_fall = torch.tensor(is_fall, device=env.device)
        self._powers: list[Tensor] = []
        self._is_watching = False

    def place(self, trials: list[Trial], round_number: int) -> None:
        """Move every environment to its trial's tile and hold its command, from the next reset on, with new physics."""
        assert len(trials) == self._env.num_envs
        self._command.hold(torch.tensor([trial.command for trial in trials]))
        terrain = self._terrain
        if terrain.terrain_origins is not None:
            # If a kind has several columns, neighbouring trials take different ones: each tile is generated separately.
            columns = [self._columns[trial.terrain] for trial in trials]
            terrain.terrain_types.copy_(torch.tensor([kind[i % len(kind)] for i, kind in enumerate(columns)]))
            terrain.terrain_levels.copy_(torch.tensor([trial.level for trial in trials]))
            follow_levels(terrain)
        # Isaac Lab draws from the global generators.
        self._env.seed(round_seed(self._seed, round_number))
        # Isaac Lab's randomisation starts from the default values whenever it is called, and the next reset lets the
        # privileged observations read the new ones.
        self._env.event_manager.apply(mode="startup")
        self._watch_power()

    def grounds(self) -> list[str]:
        """Return the kind of ground of every environment."""
        kinds = {column: kind for kind, columns in self._columns.items() for column in columns}
        if self._terrain.terrain_origins is None:
            return [kinds[0]] * self._env.num_envs
        return [kinds[column] for column in self._terrain.terrain_types.tolist()]

    def hold_out(self, trials: Mapping[int, Trial]) -> Tensor:
        """Move some environments to their trials' levels and hold their commands; return their mask (N,)."""
        mask, commands = torch.zeros(self._env.num_envs, dtype=torch.bool), torch.zeros(self._env.num_envs, len(AXES))
        for index, trial in trials.items():
            mask[index], commands[index] = True, torch.tensor(trial.command)
        mask = mask.to(self._env.device)
        self._command.hold(commands, mask)
        terrain = self._terrain
        if terrain.terrain_origins is not None:
            for index, trial in trials.items():
                terrain.terrain_levels[index] = trial.level
            follow_levels(terrain)
        return mask

    def command_now(self, commands: Tensor) -> None:
        """Hold commands (N, 3) in the episodes that run and in all that follow."""
        self._command.hold_now(commands)

    def motion(self) -> dict[str, Tensor]:
        """Measure how the robots move, as in `Step.motion`."""
        data = self._env.scene[ROBOT].data
        velocity = quat_apply_inverse(yaw_quat(data.root_quat_w.torch), data.root_lin_vel_w.torch)
        velocity[:, 2] = data.root_ang_vel_w.torch[:, 2]
        return {"velocity": velocity, "position": data.root_pos_w.torch[:, :2].clone()}

    def begin_step(self) -> None:
        """Forget the powers of the last step."""
        self._powers.clear()

    def measure(self) -> Motion[Tensor]:
        """Measure as in `MeasurableEnv.measure`; errors are those of the tracking rewards."""
        motion = self.motion()
        return Motion(
            **motion,
            error=motion["velocity"] - self._command.command,
            power=torch.stack(self._powers).mean(dim=0),
        )

    def ended_by(self) -> Tensor:
        """Return which of `reasons` ended episodes in the last step, (N, K) bool; after a fall, only the fall."""
        manager = self._env.termination_manager
        flags = torch.stack([manager.get_term(name) for name in self.reasons], dim=1)
        return flags & (self._is_fall | ~manager.terminated.unsqueeze(1))

    def _watch_power(self) -> None:
        """Note the joints' power after every physics step from now on; training never comes here."""
        if self._is_watching:
            return
        self._is_watching = True
        update = self._env.scene.update

        def update_and_note(dt: float) -> None:
            update(dt)
            self._powers.append(joint_power(self._env))

        # Isaac Lab calls this once after every physics step, and offers nothing else that it calls there.
        self._env.scene.update = update_and_note

    @property
    def _command(self) -> WideningVelocityCommand:
        manager = self._env.command_manager
        terms = (manager.get_term(name) for name in manager.active_terms)
        return next(term for term in terms if isinstance(term, WideningVelocityCommand))
