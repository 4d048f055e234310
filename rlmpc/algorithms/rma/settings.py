"""Settings of RMA."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rlmpc.algorithms.ppo.settings import PpoCfg
from rlmpc.config.agent import Terms
from rlmpc.config.setting import MAX_WIDTH, MISSING, setting
from rlmpc.errors import UserError, nearest


@dataclass
class RmaCfg(PpoCfg):
    """PPO with a privileged latent, a latent from history and a velocity estimator.

    The defaults are the reference system's. The task names the terms (`agents.rma` in its file), grouped by the network
    that takes them.
    """

    algorithm: str = "rma"
    actor_group: str = "policy"
    """Observation group of everything that the robot senses."""
    privileged_group: str = setting("critic", network=True)
    """Observation group of the privileged terms and the true velocity."""
    privileged_terms: list[str] = setting(MISSING, network=True)
    """Terms that the privileged encoder takes."""
    velocity_term: str = setting(MISSING, network=True)
    """Term that the estimator estimates."""
    history_terms: list[str] = setting(MISSING, network=True)
    """Sensed terms whose whole history the history encoder takes."""
    imu_terms: list[str] = setting(MISSING, network=True)
    """Further sensed terms that the estimator takes."""
    scan_terms: list[str] = setting([], network=True)
    """Terms that the scan encoder takes; if empty, there is no scan encoder and a scan reaches the actor unencoded."""
    recent_frames: int = setting(5, least=1, network=True)
    """Newest frames of the history terms that the actor sees directly."""
    estimator_frames: int = setting(1, least=1, network=True)
    """Newest frames that the estimator sees."""
    estimator_imu: bool = setting(True, network=True)
    """Whether the estimator sees the IMU terms. The reference's does not."""
    latent_dim: int = setting(32, least=1, largest=MAX_WIDTH, network=True)
    scan_latent_dim: int = setting(32, least=1, largest=MAX_WIDTH, network=True)
    privileged_hidden: list[int] = setting([128, 64], least=1, largest=MAX_WIDTH, network=True)
    scan_hidden: list[int] = setting([128, 64], least=1, largest=MAX_WIDTH, network=True)
    scan_bounded: bool = setting(True, network=True)
    """Whether the latent of the scan is bounded by tanh, which gaps in the ground drive to its ends."""
    estimator_hidden: list[int] = setting([128, 64], least=1, largest=MAX_WIDTH, network=True)
    estimator_lr: float = setting(1.0e-3, above=0)
    history_lr: float = setting(1.0e-3, above=0)
    # With 1, no iteration would act on the privileged latent, so PPO would not train its encoder.
    history_every: int = setting(20, least=2)
    """One in so many iterations acts on the history latent and then trains the history encoder."""
    regularizer_weight: float = setting(0.1, least=0)
    """Final weight in PPO's loss of the distance between the latents, which pulls the privileged one."""
    regularizer_start: int = setting(2000, least=0)
    """Iteration until which that weight is 0."""
    regularizer_ramp: int = setting(3000, least=0)
    """Iterations over which the weight then rises."""
    compat: str | None = setting(None, choices=("reference", None))
    """`reference` updates on the true velocity and the privileged latent whatever the rollout acted on, as the
    reference system does; null updates on what the rollout acted on."""

    def check_task(self, terms: Terms, task: str) -> None:
        """Refuse what every agent refuses, missing terms and histories, and an actor that sees hidden terms."""
        super().check_task(terms, task)
        for key in ("history_terms", "privileged_terms"):
            if not getattr(self, key):
                raise UserError(f"'agent.{key}' is empty; the encoder needs at least one term")
        self._check_terms(terms, task)
        self._check_history(terms[self.actor_group])

    def _check_terms(self, terms: Terms, task: str) -> None:
        """Refuse terms that are missing or named twice, and an actor that is shown what only the simulation knows.

        Each setting that names terms belongs to the group that must have them.
        """
        sensed = {"history_terms": self.history_terms, "imu_terms": self.imu_terms if self.estimator_imu else []}
        sensed["scan_terms"] = self.scan_terms
        hidden = {"privileged_terms": self.privileged_terms, "velocity_term": [self.velocity_term]}
        key_of: dict[str, str] = {}
        for group, keys in ((self.actor_group, sensed), (self.privileged_group, hidden)):
            for key, name in ((key, name) for key, names in keys.items() for name in names):
                if name not in terms[group]:
                    raise UserError(
                        f"agent '{self.algorithm}' needs the term '{name}' (agent.{key}) in the observation group "
                        f"'{group}', which in task '{task}' has {', '.join(terms[group])}{nearest(name, terms[group])}"
                    )
                if name in key_of:
                    raise UserError(f"the term '{name}' is named twice, in 'agent.{key_of[name]}' and 'agent.{key}'")
                if keys is hidden and name in terms[self.actor_group]:
                    raise UserError(
                        f"'agent.actor_group' is '{self.actor_group}', which shows the actor '{name}' (agent.{key}), "
                        "but a robot does not sense that"
                    )
                key_of[name] = key

    def _check_history(self, terms: Mapping[str, int]) -> None:
        # Imports torch, which takes seconds; once the task is known, torch has been imported anyway.
        from rlmpc.networks.encoders import MIN_FRAMES, accepts_frames

        frames = {name: terms[name] for name in self.history_terms}
        kept = ", ".join(f"'{name}' {number}" for name, number in frames.items())
        if len(set(frames.values())) > 1 or not accepts_frames(max(frames.values())):
            raise UserError(
                "the history encoder takes terms that keep equally many frames, an even number of at least "
                f"{MIN_FRAMES}; agent.history_terms keep: {kept}"
            )
        for key in ("recent_frames", "estimator_frames"):
            if getattr(self, key) > max(frames.values()):
                raise UserError(f"'agent.{key}' must not exceed the frames of agent.history_terms ({kept})")
