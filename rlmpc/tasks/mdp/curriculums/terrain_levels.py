"""The curriculum of terrain: robots move to harder tiles if they walk where they are told to, easier if they fail."""

from typing import cast

import torch
from isaaclab.envs import ManagerBasedRLEnv
from isaaclab.managers import CurriculumTermCfg, ManagerTermBase, SceneEntityCfg
from isaaclab.terrains import TerrainGeneratorCfg, TerrainImporter

from rlmpc.tasks.mdp.commands import WideningVelocityCommand
from rlmpc.tasks.mdp.selected import Selected, mask_of, uniform, write
from rlmpc.tasks.terrains import columns_of_kinds

OUTCOMES = ("kept", "arrived", "lasted", "fell", "stood")
"""What an episode meant for the level: unchanged; up by crossing the tile, or by a time-out after walking; down by a
fall, or for not following the command."""


class TerrainLevels(ManagerTermBase):
    """A curriculum that moves robots to harder or easier tiles according to how their episode ended.

    They move up if it ended only by arrival, or only by a time-out while commanded to walk and after walking, and if
    they walked enough of the commanded distance; down if it ended only by a fall, or if they walked too little of it.
    Anything else, and a reset before the first step, changes nothing.
    """

    _env: ManagerBasedRLEnv

    def __init__(self, cfg: CurriculumTermCfg, env: ManagerBasedRLEnv) -> None:
        """Start without outcomes; the term's parameters are the arguments of `__call__`."""
        super().__init__(cfg, env)
        self._outcome = torch.zeros(env.num_envs, dtype=torch.long, device=self.device)
        terrain = self._terrain
        generator = terrain.cfg.terrain_generator
        assert isinstance(generator, TerrainGeneratorCfg)
        self._kinds = columns_of_kinds(generator)
        kind_of_column = torch.empty(generator.num_cols, dtype=torch.long)
        for index, columns in enumerate(self._kinds.values()):
            kind_of_column[columns] = index
        self._kind_of_column = kind_of_column.to(self.device)

    def __call__(
        self,
        env: ManagerBasedRLEnv,
        env_ids: Selected,
        command_name: str,
        arrival_termination: str,
        time_out_termination: str,
        fall_termination: str,
        min_speed: float = 0.5,
        min_distance: float = 2.0,
        up_share: float = 0.0,
        down_share: float = 0.0,
        mastered_level: int = 0,
        asset_cfg: SceneEntityCfg = SceneEntityCfg("robot"),
    ) -> dict[str, torch.Tensor]:
        """Move robots and report levels and outcomes.

        Args:
            env: The environment.
            env_ids: Environments whose episodes ended.
            command_name: Name of the velocity command.
            arrival_termination: Name of the termination that means the robot has crossed its tile.
            time_out_termination: Name of the time-out.
            fall_termination: Name of the termination that means the robot has fallen.
            min_speed: A time-out counts only above this commanded xy speed [m/s].
            min_distance: A time-out counts only this far from the tile's centre, in the plane; not following the
                command only if at least this distance was commanded [m].
            up_share: Least share of the commanded distance that moves up.
            down_share: A smaller share of the commanded distance moves down.
            mastered_level: A robot that has mastered the hardest tile goes on at any level from this one.
            asset_cfg: Robot.

        Returns:
            Of robots that are not held out of training: mean level as `mean`, of every kind of ground as `on_<kind>`,
            and the share whose last episode had each outcome of `OUTCOMES`, scalars.
        """
        mask = mask_of(env, env_ids)
        terminations = env.termination_manager
        reasons = torch.stack([terminations.get_term(name) for name in terminations.active_terms])
        # The flags of the last step outlive the reset; an environment that is reset twice in a row must not move twice.
        has_run = mask & (env.episode_length_buf > 0)
        ended_once = has_run & (reasons.sum(dim=0) == 1)
        command = cast(WideningVelocityCommand, env.command_manager.get_term(command_name))
        progress = command.progress
        offset = env.scene[asset_cfg.name].data.root_pos_w.torch[:, :2] - env.scene.env_origins[:, :2]
        has_walked = offset.norm(dim=1) >= min_distance
        is_commanded = command.command[:, :2].norm(dim=1) > min_speed
        followed = progress.followed_share
        has_followed = followed >= up_share
        arrived = terminations.get_term(arrival_termination) & has_followed
        lasted = terminations.get_term(time_out_termination) & is_commanded & has_walked & has_followed
        fell = terminations.get_term(fall_termination)
        stood = (progress.commanded_m >= min_distance) & (followed < down_share)
        outcome = torch.zeros_like(self._outcome)
        for index, happened in enumerate((arrived, lasted, fell, stood & ~fell), start=1):
            outcome = outcome.masked_fill(ended_once & happened, index)
        write(self._outcome, has_run, outcome)
        up, down = (outcome == 1) | (outcome == 2), (outcome == 3) | (outcome == 4)
        self._move(mask, up.long() - down.long(), mastered_level)
        return self._report(self._terrain.terrain_levels.float())

    @property
    def _terrain(self) -> TerrainImporter:
        terrain = self._env.scene.terrain
        assert terrain is not None
        return terrain

    def _move(self, mask: torch.Tensor, change: torch.Tensor, mastered_level: int) -> None:
        """Change the levels of a mask (N,) of environments by `change` (N,); above the top, draw new ones."""
        terrain = self._terrain
        assert terrain.terrain_origins is not None and terrain.env_origins is not None
        levels = (terrain.terrain_levels + change).clamp(min=0)
        top = terrain.max_terrain_level - 1
        anywhere = uniform(self._env, mask, float(min(mastered_level, top)), float(top + 1)).long().clamp(max=top)
        levels = torch.where(levels > top, anywhere, levels)
        write(terrain.terrain_levels, mask, levels)
        write(terrain.env_origins, mask, terrain.terrain_origins[terrain.terrain_levels, terrain.terrain_types])

    def _report(self, levels: torch.Tensor) -> dict[str, torch.Tensor]:
        held_out = getattr(self._env, "held_out", None)
        counts = (torch.ones_like(levels) if held_out is None else (~held_out.mask).float()).unsqueeze(1)
        levels = levels.unsqueeze(1)
        kinds = counts * _one_hot(self._kind_of_column[self._terrain.terrain_types], len(self._kinds))
        of_kinds = (kinds * levels).sum(dim=0) / kinds.sum(dim=0).clamp(min=1.0)
        outcomes = (counts * _one_hot(self._outcome, len(OUTCOMES))).sum(dim=0) / counts.sum()
        return {
            "mean": (counts * levels).sum() / counts.sum(),
            **{f"on_{kind}": level for kind, level in zip(self._kinds, of_kinds, strict=True)},
            **dict(zip(OUTCOMES, outcomes, strict=True)),
        }


def _one_hot(index: torch.Tensor, size: int) -> torch.Tensor:
    """Return rows with a 1 at `index` (N,), (N, size); torch's own waits for the device to check its argument."""
    return (index.unsqueeze(1) == torch.arange(size, device=index.device)).float()
