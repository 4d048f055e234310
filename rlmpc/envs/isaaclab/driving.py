"""What live play does to a running Isaac Lab environment, and sees of it, between two steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from isaaclab.envs import ManagerBasedRLEnv
from isaaclab.sim.utils import get_current_stage
from isaaclab.utils.math import quat_apply, yaw_quat
from isaaclab.utils.mesh import create_trimesh_from_geom_mesh

from rlmpc.contract.live import Shape, Snapshot
from rlmpc.envs.isaaclab.contract import ROBOT
from rlmpc.envs.isaaclab.measuring import Measuring

AROUND_M = 12.0
"""Half the side of the square of ground around the first robot's start that is shown."""

ROW_M = 0.9
"""Distance between the first and the last robot in the row in which they start; the middle of a tile is wider."""


class Driving:
    """Commands and pushes robots and looks at them.

    Args:
        env: the environment.
        measuring: how its robots are measured.
        body_names: the bodies to look at, in this order.
        feet: the left and the right foot among them.
    """

    def __init__(
        self, env: ManagerBasedRLEnv, measuring: Measuring, body_names: Sequence[str], feet: Sequence[str]
    ) -> None:
        self._env, self._measuring = env, measuring
        self._robot: Any = env.scene[ROBOT]
        self._body_ids = [self._robot.body_names.index(name) for name in body_names]
        self._contacts: Any = env.scene.sensors.get("contact_forces")
        self._feet = feet
        self._places = torch.linspace(0.5, -0.5, env.num_envs, device=env.device) * ROW_M
        self._mesh: Shape | None = None

    def command(self, command: tuple[float, float, float]) -> None:
        """Command vx, vy [m/s] and yaw rate [rad/s] everywhere, from now on."""
        self._measuring.command_now(torch.tensor([command] * self._env.num_envs))

    def push(self, change: tuple[float, float]) -> None:
        """Change the horizontal velocity of all roots by (x, y) [m/s] in the frame of the heading."""
        data = self._robot.data
        velocity = data.root_vel_w.torch.clone()
        in_heading = torch.tensor([[*change, 0.0]], device=velocity.device).expand(len(velocity), 3)
        velocity[:, :3] += quat_apply(yaw_quat(data.root_quat_w.torch), in_heading)
        self._robot.write_root_velocity_to_sim_index(root_velocity=velocity)

    def line_up(self, starting: torch.Tensor) -> None:
        """Put robots (N,) bool at the start of an episode in a row with the others, all facing as the first did.

        Their next observations are still those of the middle of the tile.
        """
        if self._env.num_envs == 1 or not bool(starting.any()):
            return
        pose = self._robot.data.root_link_pose_w.torch.clone()
        if bool(starting.all()):
            self._facing = pose[:1, 3:].clone()
        pose[:, 3:] = self._facing
        aside = torch.zeros_like(pose[:, :3])
        aside[:, 1] = self._places
        pose[:, :3] += quat_apply(pose[:, 3:], aside)
        ids = starting.nonzero().squeeze(-1)
        self._robot.write_root_link_pose_to_sim_index(root_pose=pose[ids], env_ids=ids)

    def snapshot(self) -> Snapshot:
        """Return how the robots are now."""
        data = self._robot.data
        pose = data.body_link_pose_w.torch[:, self._body_ids]
        return Snapshot(
            pose[..., :3].cpu().numpy().copy(),
            # Isaac Lab's quaternions are (x, y, z, w).
            pose[..., [6, 3, 4, 5]].cpu().numpy(),
            self._measuring.motion()["velocity"].cpu().numpy(),
            self._robot.actuators.applied_effort.torch.cpu().numpy().copy(),
            self._foot_force(),
            data.root_lin_vel_b.torch.cpu().numpy().copy(),
            rewards={name: values[0] for name, values in self._env.reward_manager.get_active_iterable_terms(0)},
        )

    def _foot_force(self) -> np.ndarray:
        """Return the size of the normal force on both feet (N, 2) [N]; zeros without the sensor."""
        if self._contacts is None:
            return np.zeros((self._env.num_envs, len(self._feet)))
        ids, _ = self._contacts.find_sensors(self._feet, preserve_order=True)
        return self._contacts.data.net_normal_forces_w.torch[:, ids].norm(dim=-1).cpu().numpy()

    def ground(self) -> Shape:
        """Return the ground around the start of the first environment's robot."""
        if self._mesh is None:
            self._mesh = self._read_ground()
        vertices, faces = self._mesh.vertices, self._mesh.faces
        origin = self._env.scene.env_origins[0, :2].cpu().numpy()
        distance = vertices[:, :2] - origin
        corners = distance[faces]
        # Triangles that overlap the square; a large one may have all its corners outside.
        is_near = ((corners.min(axis=1) < AROUND_M) & (corners.max(axis=1) > -AROUND_M)).all(axis=1)
        used, near = np.unique(faces[is_near], return_inverse=True)
        return Shape(vertices[used], near.reshape(-1, 3))

    def _read_ground(self) -> Shape:
        terrain = self._env.scene.terrain
        assert terrain is not None
        if terrain.cfg.terrain_type == "plane":
            side = 100.0
            corners = np.array([(-side, -side, 0), (side, -side, 0), (side, side, 0), (-side, side, 0)], dtype=float)
            return Shape(corners, np.array([(0, 1, 2), (0, 2, 3)]))
        # pyright takes the calls of USD's stage to return None.
        stage: Any = get_current_stage()
        prim = stage.GetPrimAtPath(f"{terrain.terrain_prim_paths[0]}/mesh")
        mesh = create_trimesh_from_geom_mesh(prim)
        return Shape(np.asarray(mesh.vertices), np.asarray(mesh.faces))
