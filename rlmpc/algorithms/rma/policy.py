"""The actor that adapts: a privileged latent in training, a latent from history on the robot, an estimated velocity.

After Kumar et al., "RMA: Rapid motor adaptation for legged robots" (2021), with the velocity estimator of Ji et al.,
"Concurrent training of a control policy and a state estimator for dynamic and robust legged locomotion" (2022), in the
composition of the reference system.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.distributions import Normal

from rlmpc.contract.observations import ObsSchema
from rlmpc.networks.encoders import HistoryEncoder, frames_of
from rlmpc.networks.mlp import mlp
from rlmpc.networks.policy import GaussianPolicy, Inferred, Memory, Obs
from rlmpc.networks.selection import width

LatentSource = Literal["privileged", "history"]


class RmaActorCritic(GaussianPolicy):
    """The actor takes [scan latent | estimated velocity | latent | recent proprioception | all other terms].

    The latent comes from the privileged terms, or from the history of what the robot senses: `mode` says which. The
    velocity is always the estimator's. All but the privileged terms is read from `actor_group`, so that with
    `mode = "history"` the actor needs nothing that a robot does not have.

    Args:
        schema: layout of the environment's observation groups.
        num_actions: A.
        actor_group: group with everything that the robot senses.
        critic_group: group that the critic sees.
        privileged_group: group with the privileged terms and the true velocity.
        privileged_terms: terms that the privileged encoder takes.
        velocity_term: term that the estimator estimates.
        history_terms: terms whose histories the history encoder takes; all keep H frames.
        imu_terms: further terms that the estimator takes.
        scan_terms: terms that the scan encoder takes; without any there is no scan encoder, and a scan reaches the
            actor as it is, like all other terms of `actor_group`.
        recent_frames: newest frames of the history terms that the actor sees directly.
        estimator_frames: newest frames that the estimator takes.
        latent_dim: width of both latents.
        scan_latent_dim: width of the scan's latent.
        actor_hidden: widths of the actor's hidden layers.
        privileged_hidden: of the privileged encoder's.
        scan_hidden: of the scan encoder's.
        estimator_hidden: of the estimator's.
        activation: a key of `rlmpc.networks.mlp.ACTIVATIONS`.
        others: as in `GaussianPolicy`.

    Raises:
        KeyError: if a group or term does not exist.
        ValueError: if the history encoder cannot take the history.
    """

    mode: LatentSource

    def __init__(
        self,
        schema: ObsSchema,
        num_actions: int,
        *,
        actor_group: str,
        critic_group: str,
        privileged_group: str,
        privileged_terms: Sequence[str],
        velocity_term: str,
        history_terms: Sequence[str],
        imu_terms: Sequence[str],
        scan_terms: Sequence[str],
        recent_frames: int,
        estimator_frames: int,
        latent_dim: int,
        scan_latent_dim: int,
        actor_hidden: Sequence[int],
        privileged_hidden: Sequence[int],
        scan_hidden: Sequence[int],
        estimator_hidden: Sequence[int],
        activation: str,
        **others: Any,
    ) -> None:
        direct_terms = [t.name for t in schema.groups[actor_group] if t.name not in (*history_terms, *scan_terms)]
        scan = schema.selection(actor_group, scan_terms)
        direct = schema.selection(actor_group, history_terms, recent_frames)
        direct += schema.selection(actor_group, direct_terms)
        velocity = schema.columns(privileged_group, velocity_term)
        num_inputs = (scan_latent_dim if scan else 0) + width([velocity]) + latent_dim + width(direct)
        dims = schema.dims()
        super().__init__(
            mlp(num_inputs, actor_hidden, num_actions, activation, output_gain=0.01),
            {group: dims[group] for group in (actor_group, critic_group, privileged_group)},
            num_actions,
            critic_group=critic_group,
            activation=activation,
            **others,
        )
        self.mode = "privileged"
        self.latent_dim = latent_dim
        self.velocity_dim = width([velocity])
        self.actor_group = actor_group
        self.privileged_group = privileged_group
        self._scan, self._direct, self._velocity = scan, direct, velocity
        self._privileged = schema.selection(privileged_group, privileged_terms)
        self._history = schema.selection(actor_group, history_terms)
        self._estimated_from = schema.selection(actor_group, (*history_terms, *imu_terms), estimator_frames)
        self.num_frames = schema.term(actor_group, history_terms[0]).history

        frame_dim = width(self._history) // self.num_frames
        self.history_encoder = HistoryEncoder(frame_dim, self.num_frames, latent_dim, activation)
        self.privileged_encoder = mlp(width(self._privileged), privileged_hidden, latent_dim, activation)
        self.estimator = mlp(width(self._estimated_from), estimator_hidden, width([velocity]), activation)
        self.scan_encoder = (
            nn.Sequential(mlp(width(scan), scan_hidden, scan_latent_dim, activation), nn.Tanh()) if scan else None
        )

    @property
    def acting_groups(self) -> tuple[str, ...]:
        """The actor's group and, for the privileged latent, that of the privileged terms."""
        return (self.actor_group,) if self.mode == "history" else (self.actor_group, self.privileged_group)

    def infer(self, obs: Obs, memory: Memory) -> tuple[dict[str, Tensor], Memory]:
        """`velocity` (N, 3), estimated, and `history_latent` (N, latent_dim)."""
        return {"velocity": self.estimate_velocity(obs), "history_latent": self.history_latent(obs)}, memory

    def distribution(self, obs: Obs, inferred: Inferred) -> Normal:
        """Action distribution for `obs` of groups (..., D_g), given `velocity` and, in that mode, `history_latent`."""
        latent = inferred["history_latent"] if self.mode == "history" else self.privileged_latent(obs)
        return self.distribution_given(obs, inferred["velocity"], latent)

    def distribution_given(self, obs: Obs, velocity: Tensor, latent: Tensor) -> Normal:
        """Action distribution for `obs`, a base velocity (..., 3) [m/s] and a latent (..., latent_dim)."""
        parts = [velocity, latent, self.normalized(obs, self.actor_group, self._direct)]
        if self.scan_encoder is not None:
            parts.insert(0, self.scan_encoder(self.normalized(obs, self.actor_group, self._scan)))
        return self.noise(self.actor(torch.cat(parts, dim=-1)))

    def estimate_velocity(self, obs: Obs) -> Tensor:
        """Base linear velocity (..., 3) [m/s], as far as what the robot senses tells it."""
        return self.estimator(self.normalized(obs, self.actor_group, self._estimated_from))

    def true_velocity(self, obs: Obs) -> Tensor:
        """Base linear velocity (..., 3) [m/s] that only the simulation knows."""
        return obs[self.privileged_group][..., self._velocity]

    def privileged_latent(self, obs: Obs) -> Tensor:
        """Latent (..., latent_dim) of the privileged terms."""
        return self.privileged_encoder(self.normalized(obs, self.privileged_group, self._privileged))

    def history_latent(self, obs: Obs) -> Tensor:
        """Latent (..., latent_dim) of the history of the sensed terms."""
        sensed = self.normalized(obs, self.actor_group, self._history)
        widths = [width([columns]) for columns in self._history]
        return self.history_encoder(frames_of(sensed.split(widths, dim=-1), self.num_frames))
