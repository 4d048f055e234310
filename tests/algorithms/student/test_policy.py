import pytest
import torch

from rlmpc.algorithms.finetune.settings import FinetuneCfg
from rlmpc.algorithms.student.policy import StudentPolicy
from rlmpc.algorithms.student.settings import StudentCfg
from rlmpc.contract.contract import Contract
from rlmpc.contract.observations import ObsSchema, ObsTerm
from rlmpc.networks import policy as policy_module
from rlmpc.networks.memory import forget
from rlmpc.networks.policy import Acted

STEPS, ENVS, ACTIONS = 5, 4, 3
DIMS = {"policy": 6, "critic": 9}
SCHEMA = ObsSchema({group: (ObsTerm("all", width),) for group, width in DIMS.items()})
CONTRACT = Contract(0.02, SCHEMA, ({"name": "push", "dim": ACTIONS},))
KINDS = ("none", "gru", "lstm")


def student(memory: str, settings: type[StudentCfg | FinetuneCfg] = StudentCfg, **predictions: int) -> StudentPolicy:
    """A student in float64 whose actions are not tiny and whose normalizer has seen something."""
    torch.manual_seed(0)
    policy = StudentPolicy(settings(actor_hidden=[8, 7], memory=memory, memory_width=5), CONTRACT, predictions).double()
    policy.normalizers["policy"].mean.normal_()
    with torch.no_grad():
        policy.actor[-1].weight.mul_(100.0)
    return policy


def observations() -> dict[str, torch.Tensor]:
    return {group: torch.randn(STEPS, ENVS, width, dtype=torch.float64) for group, width in DIMS.items()}


def act(policy: StudentPolicy, obs: dict[str, torch.Tensor], restarts: torch.Tensor) -> list[Acted]:
    """What `act` gave in each step of T, from the start of an episode."""
    memory, acted = policy.initial_memory(ENVS), []
    for t in range(STEPS):
        acted.append(policy.act({"policy": obs["policy"][t]}, memory, deterministic=True))
        memory = forget(acted[-1].memory, restarts[t])
    return acted


@pytest.mark.parametrize("memory", KINDS)
def test_a_rollout_is_recalled_as_it_was_acted(memory: str):
    policy, obs, restarts = student(memory), observations(), torch.zeros(STEPS, ENVS, dtype=torch.bool)
    restarts[1, 0] = restarts[3, 2] = True
    acted = act(policy, obs, restarts)
    recalled = policy.recall(obs, policy.initial_memory(ENVS), restarts)
    distribution = policy.distribution(obs, recalled)
    assert distribution.mean.shape == (STEPS, ENVS, ACTIONS)
    for t in range(STEPS):
        torch.testing.assert_close(distribution.mean[t], acted[t].mean, rtol=0.0, atol=1e-13)
        log_prob = distribution.log_prob(torch.stack([a.action for a in acted]))[t].sum(dim=-1)
        torch.testing.assert_close(log_prob, acted[t].log_prob, rtol=0.0, atol=1e-11)


@pytest.mark.parametrize("memory", KINDS)
def test_prepared_observations_are_recalled_the_same_also_where_a_gpu_fills_rows_up(memory: str, monkeypatch):
    monkeypatch.setattr(policy_module, "aligned_width", lambda num_columns, device: num_columns + -num_columns % 8)
    policy, obs, never = student(memory), observations(), torch.zeros(STEPS, ENVS, dtype=torch.bool)
    ready = policy.prepared(obs, {})
    means = [
        policy.distribution(seen, policy.recall(seen, policy.initial_memory(ENVS), never)).mean for seen in (ready, obs)
    ]
    torch.testing.assert_close(*means)


@pytest.mark.parametrize("memory", ["gru", "lstm"])
def test_the_same_observation_is_answered_by_what_was_seen_before_it(memory: str):
    policy, obs = student(memory), observations()
    never = torch.zeros(STEPS, ENVS, dtype=torch.bool)
    first = act(policy, obs, never)[-1].mean
    obs["policy"][0, 1] += 1.0
    again = act(policy, obs, never)[-1].mean
    assert ((first - again).abs().amax(dim=-1) > 1e-9).tolist() == [False, True, False, False]


def test_without_a_memory_there_is_nothing_to_carry_or_recall():
    policy, obs = student("none"), observations()
    assert policy.memory is None
    assert policy.initial_memory(ENVS) == {}
    assert policy.recall(obs, {}, torch.zeros(STEPS, ENVS, dtype=torch.bool)) == {}
    acted = policy.act({"policy": obs["policy"][0]}, {})
    assert acted.memory == {}
    assert acted.inferred == {}


@pytest.mark.parametrize("memory", KINDS)
def test_the_whole_actor_stands_between_what_is_sensed_or_remembered_and_the_mean(memory: str):
    policy, obs = student(memory), observations()
    recalled = policy.recall(obs, policy.initial_memory(ENVS), torch.zeros(STEPS, ENVS, dtype=torch.bool))
    taken = recalled["recalled"] if recalled else policy.normalizers["policy"](obs["policy"])
    torch.testing.assert_close(policy.distribution(obs, recalled).mean, policy.actor(taken))


def test_a_student_senses_only_its_own_group():
    policy = student("gru")
    assert policy.groups == policy.acting_groups == ("policy",)
    assert list(policy.normalizers) == ["policy"]
    assert policy.critic is None


def test_with_a_critic_it_also_keeps_the_critics_group_but_acts_without_it():
    policy, obs = student("gru", FinetuneCfg), observations()
    assert policy.groups == ("policy", "critic")
    assert policy.acting_groups == ("policy",)
    assert policy.value(obs).shape == (STEPS, ENVS)
    policy.act({"policy": obs["policy"][0]}, policy.initial_memory(ENVS))


@pytest.mark.parametrize("memory", KINDS)
def test_predictions_come_from_the_last_hidden_layer_and_do_not_change_the_actions(memory: str):
    policy, obs = student(memory, latent=4, velocity=2), observations()
    recalled = policy.recall(obs, policy.initial_memory(ENVS), torch.zeros(STEPS, ENVS, dtype=torch.bool))
    predicted = policy.predict(obs, recalled)
    assert {name: values.shape for name, values in predicted.items()} == {
        "latent": (STEPS, ENVS, 4),
        "velocity": (STEPS, ENVS, 2),
    }
    (predicted["latent"].sum() + predicted["velocity"].sum()).backward()
    reached = {name for name, child in policy.named_children() if any(p.grad is not None for p in child.parameters())}
    assert reached == {"actor", "predictors"} | ({"memory"} if memory != "none" else set())
    assert policy.actor[-1].weight.grad is None
    plain = student(memory)
    kept = {name: v for name, v in policy.state_dict().items() if not name.startswith("predictors.")}
    plain.load_state_dict(kept)
    torch.testing.assert_close(plain.distribution(obs, recalled).mean, policy.distribution(obs, recalled).mean)


def test_without_a_hidden_layer_predictions_come_from_what_goes_in():
    settings = StudentCfg(actor_hidden=[], normalize_obs=False)
    policy = StudentPolicy(settings, CONTRACT, {"latent": 4})
    obs = {"policy": torch.randn(2, 6)}
    assert policy.predict(obs, {})["latent"].shape == (2, 4)
    assert policy.act(obs, {}).action.shape == (2, ACTIONS)
