"""Recording observations of a policy's own world."""

from __future__ import annotations

import torch

from rlmpc.export.record import MIN_STEPS, record_observations
from rlmpc.networks.policy import GaussianPolicy


def test_few_environments_are_recorded_for_long(make_policy, toy):
    recorded = record_observations(toy(), make_policy("ppo"), 200)
    assert len(recorded) == MIN_STEPS
    assert {group: values.shape for group, values in recorded[0].items()} == {"teacher": (4, 48)}


def test_with_few_environments_the_sequence_is_longer(make_policy, toy):
    recorded = record_observations(toy(), make_policy("lstm"), 1000)
    assert (len(recorded), recorded[0]["policy"].shape) == (63, (16, 42))


def test_a_policy_with_two_latents_is_recorded_as_it_acts_on_a_robot(make_policy, toy):
    policy = make_policy("rma")
    recorded = record_observations(toy(), policy, 50)
    assert recorded[0].keys() == {"policy"}
    assert not policy.acts_on_history


def test_what_is_recorded_is_what_the_policy_saw_while_it_acted_without_noise(make_policy, toy):
    policy, env = make_policy("lstm"), toy()
    recorded = record_observations(toy(), policy, 800)
    obs, memory = env.reset(), policy.initial_memory(16)
    for t in range(5):
        assert torch.equal(recorded[t]["policy"], obs["policy"])
        with torch.no_grad():
            acted = policy.act(obs, memory, deterministic=True)
        obs, memory = env.step(acted.action).obs, acted.memory


def test_memory_starts_from_nothing_where_an_episode_ended(make_policy, toy, monkeypatch):
    memories = []
    original = GaussianPolicy.act

    def act(self, obs, memory, deterministic=False):
        memories.append(memory["hidden"])
        return original(self, obs, memory, deterministic)

    monkeypatch.setattr(GaussianPolicy, "act", act)
    record_observations(toy(episode_length_s=0.5), make_policy("gru"), 800)
    assert [bool((hidden == 0.0).all()) for hidden in memories[:21]] == [t % 10 == 0 for t in range(21)]
