"""Environments of `phase_1_scan_rl`: training and playing."""

from dataclasses import MISSING

from isaaclab.managers import RewardTermCfg, SceneEntityCfg
from isaaclab.sensors import RayCasterCfg, patterns
from isaaclab.utils import clone, configclass

from rlmpc.robots.robot import Robot
from rlmpc.tasks import mdp
from rlmpc.tasks.locomotion_env_cfg import LocomotionEnvCfg, in_play_mode
from rlmpc.tasks.observations_cfg import CriticCfg, PolicyCfg, PrivilegedCfg, ScanTermsCfg
from rlmpc.tasks.rewards_cfg import RewardsCfg
from rlmpc.tasks.robot_parts import RobotPartCfg
from rlmpc.tasks.scene_cfg import LocomotionSceneCfg
from rlmpc.tasks.terrains import SCAN_TERRAIN_CFG


@configclass
class ScanSceneCfg(LocomotionSceneCfg):
    """The scene of the locomotion tasks with a height scanner above the torso."""

    height_scanner = RayCasterCfg(
        class_type="rlmpc.tasks.height_scanner:HeightScanner",
        prim_path=MISSING,  # pyright: ignore[reportArgumentType]  # the torso, see `ScanEnvCfg.use_robot`
        mesh_prim_paths=["/World/ground"],
        # Forward of the torso and above the head [m]; turns only with the torso's yaw, like the grid.
        offset=RayCasterCfg.OffsetCfg(pos=(0.2, 0.0, 0.43)),
        ray_alignment="yaw",
        # 27 rays along x, 17 along y [m]: a foot that steps sideways lands inside.
        pattern_cfg=patterns.GridPatternCfg(resolution=0.05, size=(1.3, 0.8)),
        # The ground is 1.26 m away while the G1 stands. Normalised, steps vanish in a scan that reaches far into gaps.
        max_distance=1.85,
    )


@configclass
class ScanPolicyCfg(PolicyCfg, ScanTermsCfg):
    """The height scan, then the observations of the blind task's policy. 1082 values for the G1.

    Of what no history encoder reads, this moment alone: frames of before slow learning down, as in `PrivilegedCfg`.
    """

    def __post_init__(self) -> None:
        """Leave out frames of before."""
        super().__post_init__()
        self.keep_frames(1)

    def keep_frames(self, number: int) -> None:
        """Keep so many frames of each term that no history encoder reads."""
        for term in (self.base_ang_vel, self.projected_gravity, self.velocity_command, self.last_action):
            term.history_length = number


@configclass
class ScanPrivilegedCfg(PrivilegedCfg, ScanTermsCfg):
    """The height scan, then everything else, without noise. 630 values for the G1."""


@configclass
class ScanCriticCfg(CriticCfg, ScanTermsCfg):
    """The height scan, then everything that the critic of the blind task sees. 633 values for the G1."""


@configclass
class ScanObservationsCfg:
    """Observation groups: the deployed policy's, the critic's and the teacher's."""

    policy: ScanPolicyCfg = ScanPolicyCfg()
    critic: ScanCriticCfg = ScanCriticCfg()
    teacher: ScanPrivilegedCfg = ScanPrivilegedCfg()


@configclass
class ScanRewardsCfg(RewardsCfg):
    """The rewards of the blind task, and that soles stand on ground."""

    sole_overhang: RewardTermCfg | None = RewardTermCfg(
        func=mdp.sole_overhang,
        weight=-10.0,
        params={
            "asset_cfg": RobotPartCfg(part="feet"),
            "sensor_cfg": RobotPartCfg(name="contact_forces", part="feet"),
            "scanner_cfg": SceneEntityCfg("height_scanner"),
            "sole_offset": MISSING,
            "sole": MISSING,
            "margin": 0.02,  # m
            "depth": 0.3,  # m
        },
    )


@configclass
class ScanEnvCfg(LocomotionEnvCfg):
    """Stairs, boxes and stepping stones, seen from above; no commands backwards, where the scanner sees nothing."""

    scene: ScanSceneCfg = ScanSceneCfg(num_envs=4096, env_spacing=2.5)
    observations: ScanObservationsCfg = ScanObservationsCfg()
    rewards: ScanRewardsCfg = ScanRewardsCfg()

    def __post_init__(self) -> None:
        """Set what differs from the blind task."""
        super().__post_init__()
        self.scene.terrain.terrain_generator = clone(SCAN_TERRAIN_CFG)

        self.commands.base_velocity.limits.lin_vel_x = (0.0, 1.0)
        for friction in ("static_friction_range", "dynamic_friction_range"):
            self.events.friction.params[friction] = (0.3, 1.0)

    def use_robot(self, robot: Robot) -> None:
        """Put a robot into the scene; the scanner is mounted on its torso."""
        super().use_robot(robot)
        if self.scene.height_scanner is not None:
            self.scene.height_scanner.prim_path = f"{self.scene.robot.prim_path}/{robot.torso}"

    def finalize(self) -> None:
        """Derive the dependent fields, and set the scanner to one scan per environment step."""
        super().finalize()
        if self.scene.height_scanner is not None:
            # Half a physics step early: clocks add up in single precision and would skip a scan if rounded down.
            self.scene.height_scanner.update_period = (self.decimation - 0.5) * self.sim.dt


ScanPlayEnvCfg = in_play_mode(ScanEnvCfg)
