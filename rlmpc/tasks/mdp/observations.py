"""Observations that Isaac Lab does not have: randomised physics, gait phase, height, contact and height scan.

The physics parameters change only at start-up, so they are read from the simulation once per reset of the whole
environment and served from memory in between.
"""

from abc import abstractmethod
from typing import Any, cast

import torch
import warp as wp
from isaaclab.envs import ManagerBasedEnv
from isaaclab.managers import ManagerTermBase, ObservationTermCfg, SceneEntityCfg
from isaaclab.sensors import ContactSensor
from isaaclab.sensors.ray_caster.base_ray_caster import BaseRayCaster

from rlmpc.tasks.mdp.commands import WideningVelocityCommand
from rlmpc.tasks.mdp.gait_cycle_action import GaitCycleAction


class PhysicsParameter(ManagerTermBase):
    """A parameter of the robot that is randomised at start-up and constant from then on.

    The manager creates its terms before it randomises, so the value at creation is the default. Code that changes
    physics later, for example when a checkpoint is loaded, must call `reset` without arguments.
    """

    def __init__(self, cfg: ObservationTermCfg, env: ManagerBasedEnv) -> None:
        """Read the default values of the joints or bodies that the parameter `asset_cfg` selects."""
        super().__init__(cfg, env)
        self._asset_cfg: SceneEntityCfg = cfg.params["asset_cfg"]
        self._asset = env.scene[self._asset_cfg.name]
        self._default = self.read().clone()
        self._value = self.encode(self._default)

    @abstractmethod
    def read(self) -> torch.Tensor:
        """Return the current values in the simulation, (N, D)."""

    def encode(self, value: torch.Tensor) -> torch.Tensor:
        """Turn what `read` returned into an observation (N, D); unchanged unless a subclass overrides this."""
        return value.clone()

    def reset(self, env_ids: torch.Tensor | slice | None = None) -> None:
        """Read the simulation again if all environments are reset; `env_ids` is then None or a slice."""
        if env_ids is None or isinstance(env_ids, slice):
            # In place: a recorded step refers to it.
            self._value.copy_(self.encode(self.read()))

    def __call__(self, env: ManagerBasedEnv, asset_cfg: SceneEntityCfg = SceneEntityCfg("robot")) -> torch.Tensor:
        """Return the observation (N, D)."""
        return self._value


class _RelativeParameter(PhysicsParameter):
    """A parameter observed as (value - default) / (0.2 default): within +-1 for a randomisation of 0.8 to 1.2.

    Where the default is 0, so is the observation.
    """

    def encode(self, value: torch.Tensor) -> torch.Tensor:
        relative = (value - self._default) / (0.2 * self._default)
        return torch.where(self._default == 0.0, 0.0, relative)


class JointStiffness(_RelativeParameter):
    """Position gain of each joint, relative to its default. Shape is (N, J)."""

    def read(self) -> torch.Tensor:
        """Return the position gains [N m/rad]. Shape is (N, J)."""
        return self._asset.data.joint_stiffness.torch[:, self._asset_cfg.joint_ids]


class JointDamping(_RelativeParameter):
    """Velocity gain of each joint, relative to its default. Shape is (N, J)."""

    def read(self) -> torch.Tensor:
        """Return the velocity gains [N m s/rad]. Shape is (N, J)."""
        return self._asset.data.joint_damping.torch[:, self._asset_cfg.joint_ids]


class BodyMass(_RelativeParameter):
    """Mass of each selected body, relative to its default. Shape is (N, B)."""

    def read(self) -> torch.Tensor:
        """Return the masses [kg]. Shape is (N, B)."""
        return self._asset.data.body_mass.torch[:, self._asset_cfg.body_ids]


class BodyComOffset(PhysicsParameter):
    """Displacement of the centre of mass of each selected body from its default, body frame [m]. Shape is (N, 3 B)."""

    def read(self) -> torch.Tensor:
        """Return the centres of mass in their body frames [m]. Shape is (N, 3 B)."""
        return self._asset.data.body_com_pos_b.torch[:, self._asset_cfg.body_ids].flatten(1)

    def encode(self, value: torch.Tensor) -> torch.Tensor:
        """Return the displacement from the default [m]. Shape is (N, 3 B)."""
        return value - self._default


class FrictionCoefficient(PhysicsParameter):
    """Friction coefficient of each selected body, which must have one collision shape each. Shape is (N, B).

    MuJoCo has a single tangential coefficient per shape: static and dynamic friction are the same.
    """

    def __init__(self, cfg: ObservationTermCfg, env: ManagerBasedEnv) -> None:
        """Find the collision shape of each body.

        Raises:
            ValueError: If a body does not have exactly one collision shape.
        """
        asset_cfg: SceneEntityCfg = cfg.params["asset_cfg"]
        asset = env.scene[asset_cfg.name]
        shapes = [asset.root_view.body_shapes[body] for body in asset.map_body_ids_to_backend(asset_cfg.body_ids)]
        if any(len(shapes_of_body) != 1 for shapes_of_body in shapes):
            raise ValueError(f"Bodies {asset_cfg.body_names} must have one collision shape each, not {shapes}.")
        self._shape_ids = [shape for (shape,) in shapes]
        super().__init__(cfg, env)

    def read(self) -> torch.Tensor:
        """Return the coefficients [-]. Shape is (N, B)."""
        # Specific to Newton's manager.
        model = cast(Any, self._env.sim.physics_manager).get_model()
        friction = wp.to_torch(self._asset.root_view.get_attribute("shape_material_mu", model))
        return friction[:, 0, self._shape_ids]


def gait_phase(env: ManagerBasedEnv, action_name: str) -> torch.Tensor:
    """Return (sin left, sin right, cos left, cos right) of the legs' gait phases, (N, 4)."""
    clock = cast(GaitCycleAction, env.action_manager.get_term(action_name))
    angle = 2.0 * torch.pi * clock.leg_phase
    return torch.cat([angle.sin(), angle.cos()], dim=1)


def velocity_error(env: ManagerBasedEnv, command_name: str) -> torch.Tensor:
    """Return the average error of vx, vy [m/s] and yaw rate [rad/s], (N, 3)."""
    return cast(WideningVelocityCommand, cast(Any, env).command_manager.get_term(command_name)).velocity_error


def base_height(env: ManagerBasedEnv, asset_cfg: SceneEntityCfg, sole_offset: float) -> torch.Tensor:
    """Return the height of the root above the lower sole [m], (N, 1).

    Args:
        env: The environment.
        asset_cfg: Robot, with the foot bodies selected.
        sole_offset: Distance of the sole below the foot body's origin, along the foot's own z axis [m].
    """
    root_height = env.scene[asset_cfg.name].data.root_pos_w.torch[:, 2:3]
    return root_height - sole_heights(env, asset_cfg, sole_offset).amin(dim=1, keepdim=True)


def sole_heights(env: ManagerBasedEnv, asset_cfg: SceneEntityCfg, sole_offset: float) -> torch.Tensor:
    """Return the height of each sole in the world [m], (N, F); the arguments are those of `base_height`."""
    data = env.scene[asset_cfg.name].data
    quat = data.body_quat_w.torch[:, asset_cfg.body_ids]
    # Vertical component of the foot's z axis, from the quaternion (XYZW).
    upright = 1.0 - 2.0 * quat[..., :2].square().sum(dim=-1)
    return data.body_pos_w.torch[:, asset_cfg.body_ids, 2] - sole_offset * upright


def foot_contact(env: ManagerBasedEnv, sensor_cfg: SceneEntityCfg, threshold: float = 1.0) -> torch.Tensor:
    """Return 1 for each selected body that presses on something at the end of the step, else 0, (N, F).

    Args:
        env: The environment.
        sensor_cfg: Contact sensor, with the foot bodies selected.
        threshold: Normal force above which a body is in contact [N].
    """
    sensor = cast(ContactSensor, env.scene.sensors[sensor_cfg.name])
    forces = sensor.data.net_normal_forces_w
    assert forces is not None
    force = forces.torch[:, sensor_cfg.body_ids]
    return (force.norm(dim=-1) > threshold).float()


def height_scan(env: ManagerBasedEnv, sensor_cfg: SceneEntityCfg) -> torch.Tensor:
    """Return the closeness of the ground below each ray of a yaw-aligned scanner: 1 - min(d, d_max) / d_max.

    d is the distance [m] from the ray's start straight down to the ground and d_max the scanner's `max_distance`. A
    ray that hits nothing within d_max reads 0, and so do all rays of a robot whose pose is not finite.

    Isaac Lab turns the scanner's offset and grid by the yaw of the body it is mounted on, never by roll or pitch: all
    rays of a robot start at one height, the body's plus the z of the offset. The order of rays is the pattern's. In a
    `GridPatternCfg` x (forward) runs fastest, then y (left), both rising: of 27 x 17 rays, 0 is rear right, 26
    front right, 432 rear left and 458 front left.

    Args:
        env: The environment.
        sensor_cfg: A ray caster with rays pointing down and `ray_alignment` "yaw".

    Returns:
        Values in [0, 1], shape (N, R).
    """
    scanner = cast(BaseRayCaster, env.scene.sensors[sensor_cfg.name])
    # A miss is reported at infinity. The sensor's own position omits its offset; the rays' starts contain it.
    start_z = scanner.data.pos_w.torch[:, 2:3] + scanner.ray_starts.torch[..., 2]
    distance = start_z - scanner.data.ray_hits_w.torch[..., 2]
    far = scanner.cfg.max_distance
    return 1.0 - distance.nan_to_num(far, far, far).clamp(0.0, far) / far
