"""Actor and critic on named observation groups."""

from __future__ import annotations

from torch.distributions import Normal

from rlmpc.algorithms.ppo.settings import PpoCfg
from rlmpc.contract.contract import Contract
from rlmpc.networks.policy import GaussianPolicy, Inferred, Obs


class ActorCritic(GaussianPolicy):
    """Multi-layer perceptrons for actor and critic, on one observation group each, which may be the same.

    Args:
        settings: the agent's settings.
        contract: what the policy and its environment agree upon.
    """

    def __init__(self, settings: PpoCfg, contract: Contract) -> None:
        super().__init__(settings, contract, contract.observations.dims()[settings.actor_group])

    def distribution(self, obs: Obs, inferred: Inferred) -> Normal:
        """Return the action distribution for groups `obs` (..., D_g); mean and spread are (..., A)."""
        return self.noise(self.actor(self.normalized(obs, self.actor_group)))
