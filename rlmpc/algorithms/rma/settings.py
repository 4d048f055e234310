"""Settings of the agent that adapts."""

from __future__ import annotations

from dataclasses import dataclass, field

from rlmpc.algorithms.ppo.settings import PpoCfg


@dataclass
class RmaCfg(PpoCfg):
    """PPO with a privileged latent, a latent from history and a velocity estimator.

    Names of terms, and numbers, are those of the reference system; terms are grouped by what the networks do with them.
    """

    algorithm: str = "rma"
    actor_group: str = "policy"
    """Group of everything that the robot senses."""
    privileged_group: str = "critic"
    """Group of the privileged terms and the true velocity."""
    privileged_terms: list[str] = field(
        default_factory=lambda: ["joint_stiffness", "joint_damping", "torso_mass", "torso_com", "foot_friction"]
    )
    velocity_term: str = "base_lin_vel"
    history_terms: list[str] = field(default_factory=lambda: ["joint_pos", "joint_vel"])
    """Sensed terms whose whole histories the history encoder takes."""
    imu_terms: list[str] = field(default_factory=lambda: ["base_ang_vel", "projected_gravity"])
    scan_terms: list[str] = field(default_factory=list)
    """What the scan encoder takes; without any there is none, and a scan reaches the actor as it is."""
    recent_frames: int = 5
    """Newest frames of the history terms that the actor sees directly."""
    estimator_frames: int = 1
    """Newest frames that the estimator sees."""
    estimator_imu: bool = True
    """Whether the estimator sees the IMU terms. The reference's does not."""
    latent_dim: int = 32
    scan_latent_dim: int = 32
    privileged_hidden: list[int] = field(default_factory=lambda: [128, 64])
    scan_hidden: list[int] = field(default_factory=lambda: [128, 64])
    estimator_hidden: list[int] = field(default_factory=lambda: [128, 64])
    estimator_lr: float = 1.0e-3
    history_lr: float = 1.0e-3
    history_every: int = 20
    """Every so many iterations one acts on the history latent and then trains the history encoder."""
    regularizer_weight: float = 0.1
    """Final weight of the distance between the latents in PPO's loss, which pulls the privileged one."""
    regularizer_start: int = 2000
    """Iteration until which that weight is 0."""
    regularizer_ramp: int = 3000
    """Iterations over which it then rises."""
    compat: str | None = None
    """`reference` updates on the true velocity and the privileged latent whatever the rollout consumed, as the
    reference system does; null updates on what was consumed."""
