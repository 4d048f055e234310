"""An actor that adapts: a privileged latent in training, a history latent on the robot, and an estimated velocity.

After Kumar et al., "RMA: Rapid motor adaptation for legged robots" (2021), with the velocity estimator of Ji et al.,
"Concurrent training of a control policy and a state estimator for dynamic and robust legged locomotion" (2022), in the
composition of the reference system.
"""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor, nn
from torch.distributions import Normal

from rlmpc.algorithms.rma.settings import RmaCfg
from rlmpc.contract.contract import Contract
from rlmpc.networks.encoders import HistoryEncoder, frames_of
from rlmpc.networks.mlp import mlp
from rlmpc.networks.policy import GaussianPolicy, Inferred, Memory, Obs
from rlmpc.networks.selection import width

VELOCITY = "true velocity"
"""Name of what `RmaActorCritic.true_velocity` returns among observations that `prepared` gave."""


class RmaActorCritic(GaussianPolicy):
    """The actor takes [scan latent | estimated velocity | latent | recent proprioception | all other terms].

    `acts_on_history` says whether the latent comes from the history of what the robot senses or from the privileged
    terms. The velocity is always the estimator's. Everything but the privileged terms is read from the actor's group,
    so with the history latent the actor needs only what a robot senses. Without scan terms there is no scan encoder;
    a scan then reaches the actor unencoded, like all other terms.

    Args:
        settings: the agent's settings.
        contract: what the policy and its environment agree upon.

    Raises:
        KeyError: if a group or term does not exist.
        ValueError: if the history encoder cannot take the history.
    """

    def __init__(self, settings: RmaCfg, contract: Contract) -> None:
        schema, sensed, privileged = contract.observations, settings.actor_group, settings.privileged_group
        encoded = (*settings.history_terms, *settings.scan_terms)
        others = [term.name for term in schema.groups[sensed] if term.name not in encoded]
        scan = schema.selection(sensed, settings.scan_terms)
        recent = schema.selection(sensed, settings.history_terms, settings.recent_frames)
        direct = recent + schema.selection(sensed, others)
        velocity = schema.columns(privileged, settings.velocity_term)
        latents = settings.latent_dim + (settings.scan_latent_dim if scan else 0)
        super().__init__(settings, contract, latents + width([velocity]) + width(direct), [privileged])
        self.acts_on_history = False
        self.privileged_group = privileged
        self._scan, self._direct, self._velocity = scan, direct, velocity
        self._privileged = schema.selection(privileged, settings.privileged_terms)
        self._history = schema.selection(sensed, settings.history_terms)
        estimated_from = (*settings.history_terms, *(settings.imu_terms if settings.estimator_imu else ()))
        self._estimated_from = schema.selection(sensed, estimated_from, settings.estimator_frames)
        self.num_frames = schema.term(sensed, settings.history_terms[0]).history

        latent_dim, activation = settings.latent_dim, settings.activation
        self.teachable = {"latent": latent_dim, "velocity": width([velocity])}
        frame_dim = width(self._history) // self.num_frames
        self.history_encoder = HistoryEncoder(frame_dim, self.num_frames, latent_dim, activation)
        self.privileged_encoder = mlp(width(self._privileged), settings.privileged_hidden, latent_dim, activation)
        self.estimator = mlp(width(self._estimated_from), settings.estimator_hidden, width([velocity]), activation)
        self.scan_encoder = None
        if scan:
            encoder = mlp(width(scan), settings.scan_hidden, settings.scan_latent_dim, activation)
            self.scan_encoder = nn.Sequential(encoder, nn.Tanh() if settings.scan_bounded else nn.Identity())

    @property
    def acting_groups(self) -> tuple[str, ...]:
        """The actor's group and, for the privileged latent, the privileged group."""
        return (self.actor_group,) if self.acts_on_history else (self.actor_group, self.privileged_group)

    def on_robot(self) -> Self:
        """Act on the history latent."""
        self.acts_on_history = True
        return self

    def in_simulation(self) -> Self:
        """Act on the privileged latent."""
        self.acts_on_history = False
        return self

    def teach(self, obs: Obs) -> dict[str, Tensor]:
        """Return the privileged `latent` (N, latent_dim) and the true `velocity` (N, 3)."""
        return {"latent": self.privileged_latent(obs), "velocity": self.true_velocity(obs)}

    def infer(self, obs: Obs, memory: Memory) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Return the estimated `velocity` (N, 3) and `history_latent` (N, latent_dim), and the memory unchanged."""
        return {"velocity": self.estimate_velocity(obs), "history_latent": self.history_latent(obs)}, dict(memory)

    def distribution(self, obs: Obs, inferred: Inferred) -> Normal:
        """Return the action distribution for groups `obs` (..., D_g), `velocity` and, on a robot, `history_latent`."""
        latent = inferred["history_latent"] if self.acts_on_history else self.privileged_latent(obs)
        return self.distribution_given(obs, inferred["velocity"], latent)

    def distribution_given(self, obs: Obs, velocity: Tensor, latent: Tensor) -> Normal:
        """Return the action distribution for `obs`, a base velocity (..., 3) [m/s] and a latent (..., latent_dim)."""
        parts = [velocity, latent, self.normalized(obs, self.actor_group, self._direct)]
        if self.scan_encoder is not None:
            parts.insert(0, self.scan_encoder(self.normalized(obs, self.actor_group, self._scan)))
        return self.noise(self.actor(torch.cat(parts, dim=-1)))

    def estimate_velocity(self, obs: Obs) -> Tensor:
        """Estimate the base linear velocity (..., 3) [m/s] from what the robot senses."""
        return self.estimator(self.normalized(obs, self.actor_group, self._estimated_from))

    def true_velocity(self, obs: Obs) -> Tensor:
        """Return the true base linear velocity (..., 3) [m/s], which only the simulation knows."""
        return obs[VELOCITY] if VELOCITY in obs else obs[self.privileged_group][..., self._velocity]

    def prepared(self, obs: Obs, places: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return `obs` (..., D_g) as every policy does, and the true velocity as it is, (..., 3)."""
        return super().prepared(obs, places) | {VELOCITY: self.true_velocity(obs)}

    def privileged_latent(self, obs: Obs) -> Tensor:
        """Encode the privileged terms to a latent (..., latent_dim)."""
        return self.privileged_encoder(self.normalized(obs, self.privileged_group, self._privileged))

    def history_latent(self, obs: Obs) -> Tensor:
        """Encode the history of the sensed terms to a latent (..., latent_dim)."""
        sensed = self.normalized(obs, self.actor_group, self._history)
        widths = [width([columns]) for columns in self._history]
        return self.history_encoder(frames_of(sensed.split(widths, dim=-1), self.num_frames))
