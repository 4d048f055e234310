import math

import pytest
import torch

from rlmpc.algorithms.ppo.policy import ActorCritic
from rlmpc.algorithms.ppo.settings import PpoCfg
from rlmpc.contract.contract import Contract
from rlmpc.contract.observations import ObsSchema, ObsTerm
from rlmpc.networks import policy as policy_module
from rlmpc.networks.distribution import GaussianHead
from rlmpc.networks.mlp import mlp
from rlmpc.networks.policy import NORMALIZED


def actor_critic(dims: dict[str, int], actor_group: str, critic_group: str) -> ActorCritic:
    torch.manual_seed(0)
    schema = ObsSchema({group: (ObsTerm("all", width),) for group, width in dims.items()})
    settings = PpoCfg(
        actor_group=actor_group, critic_group=critic_group, actor_hidden=[32], critic_hidden=[32, 16], init_std=0.5
    )  # fmt: skip
    return ActorCritic(settings, Contract(0.02, schema, ({"name": "push", "dim": 3},)))


@pytest.fixture
def policy() -> ActorCritic:
    return actor_critic({"teacher": 7, "critic": 9}, "teacher", "critic")


def test_act_records_how_it_acted(policy: ActorCritic):
    obs = {"teacher": torch.randn(5, 7), "critic": torch.randn(5, 9)}
    acted = policy.act(obs, {})
    assert (acted.inferred, acted.memory) == ({}, {})
    assert acted.action.shape == acted.mean.shape == acted.std.shape == (5, 3)
    by_hand = -0.5 * ((acted.action - acted.mean) / 0.5) ** 2 - math.log(0.5) - 0.5 * math.log(2.0 * math.pi)
    torch.testing.assert_close(acted.log_prob, by_hand.sum(dim=1))


def test_a_deterministic_action_is_the_mean(policy: ActorCritic):
    obs = {"teacher": torch.randn(5, 7), "critic": torch.randn(5, 9)}
    acted = policy.act(obs, {}, deterministic=True)
    assert torch.equal(acted.action, acted.mean)


def test_a_new_policy_acts_near_the_default_action(policy: ActorCritic):
    assert policy.distribution({"teacher": torch.randn(100, 7)}, {}).mean.abs().max() < 0.1


def test_actor_and_critic_see_only_their_groups(policy: ActorCritic):
    obs = {"teacher": torch.randn(4, 7), "critic": torch.randn(4, 9)}
    value = policy.value(obs)
    mean = policy.distribution(obs, {}).mean
    assert torch.equal(policy.value(obs | {"teacher": torch.randn(4, 7)}), value)
    assert torch.equal(policy.distribution(obs | {"critic": torch.randn(4, 9)}, {}).mean, mean)


def observed(policy: ActorCritic, seed: int, *shape: int) -> dict[str, torch.Tensor]:
    """Take samples into the normalizers and return others, (*shape, D_g) each."""
    torch.manual_seed(seed)
    for normalizer in policy.normalizers.values():
        normalizer.merge(normalizer.centred_sums(3.0 + 2.0 * torch.randn(50, normalizer.mean.numel())))
    return {group: 5.0 * torch.randn(*shape, n.mean.numel()) for group, n in policy.normalizers.items()}


def test_prepared_observations_give_the_same_actions_and_values(policy: ActorCritic):
    obs = observed(policy, 1, 4, 5)
    ready = policy.prepared(obs, {})
    assert torch.equal(policy.distribution(ready, {}).mean, policy.distribution(obs, {}).mean)
    assert torch.equal(policy.value(ready), policy.value(obs))


def test_rows_that_are_filled_up_for_a_gpu_give_the_same_actions_and_values(policy: ActorCritic, monkeypatch):
    monkeypatch.setattr(policy_module, "aligned_width", lambda num_columns, device: num_columns + -num_columns % 8)
    obs = observed(policy, 1, 4, 5)
    ready = policy.prepared(obs, {})
    assert [values.shape for values in ready.values()] == [(4, 5, 8), (4, 5, 16)]
    assert (ready[f"{NORMALIZED}critic"][..., 9:] == 0.0).all()
    torch.testing.assert_close(policy.distribution(ready, {}).mean, policy.distribution(obs, {}).mean)
    torch.testing.assert_close(policy.value(ready), policy.value(obs))


def test_observations_are_prepared_at_the_same_place_every_time(policy: ActorCritic):
    places: dict[str, torch.Tensor] = {}
    first = policy.prepared(observed(policy, 1, 4, 5), places)
    obs = observed(policy, 2, 4, 5)
    again = policy.prepared(obs, places)
    assert [values.data_ptr() for values in first.values()] == [values.data_ptr() for values in again.values()]
    assert torch.equal(policy.value(again), policy.value(obs))


def test_groups_that_are_one_tensor_are_prepared_once_if_their_statistics_are_equal():
    policy = actor_critic({"teacher": 7, "critic": 7}, "teacher", "critic")
    x = torch.randn(4, 5, 7)
    obs = {"teacher": x, "critic": x}
    policy.find_equal_groups(obs)
    ready = policy.prepared(obs, {})
    assert ready[f"{NORMALIZED}critic"] is ready[f"{NORMALIZED}teacher"]
    assert torch.equal(policy.value(ready), policy.value(obs))


@pytest.mark.parametrize("differs", ["tensor", "statistics"])
def test_groups_that_differ_are_prepared_apart(differs: str):
    policy = actor_critic({"teacher": 7, "critic": 7}, "teacher", "critic")
    x = torch.randn(4, 5, 7)
    obs = {"teacher": x, "critic": x.clone() if differs == "tensor" else x}
    if differs == "statistics":
        observed(policy, 1, 1)
    policy.find_equal_groups(obs)
    ready = policy.prepared(obs, {})
    assert torch.equal(policy.value(ready), policy.value(obs))
    assert torch.equal(policy.distribution(ready, {}).mean, policy.distribution(obs, {}).mean)
    assert ready[f"{NORMALIZED}critic"] is not ready[f"{NORMALIZED}teacher"]


def test_a_shared_group_has_one_normalizer():
    policy = actor_critic({"policy": 4}, "policy", "policy")
    assert policy.groups == ("policy",)
    assert list(policy.normalizers) == ["policy"]


def test_noise_comes_back_between_its_floor_and_ceiling_and_can_leave_them_again():
    head = GaussianHead(2, init_std=0.5, min_std=0.1, max_std=1.0)
    with torch.no_grad():
        head.log_std.copy_(torch.tensor([-9.0, 9.0]))
    head.project()
    torch.testing.assert_close(head.log_std.exp(), torch.tensor([0.1, 1.0]))
    head(torch.zeros(1, 2)).entropy().sum().backward()
    assert (head.log_std.grad != 0.0).all()


def test_an_unknown_activation_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="elu"):
        mlp(2, [4], 1, "swash")


def test_it_acts_alike_on_a_robot_and_in_simulation_and_is_deployed_without_its_critic(policy: ActorCritic):
    obs = {"teacher": torch.randn(4, 7), "critic": torch.randn(4, 9)}
    everywhere = [p.act(obs, {}, deterministic=True).action for p in (policy.on_robot(), policy.in_simulation())]
    copy = policy.deployed()
    assert all(torch.equal(action, copy.act(obs, {}, deterministic=True).action) for action in everywhere)
    assert (copy.critic, copy.training) == (None, False)
    assert policy.critic is not None and policy.training
    assert (policy.teachable, policy.teach(obs)) == ({}, {})
