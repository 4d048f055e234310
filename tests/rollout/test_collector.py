import torch

from rlmpc.envs.toy import ToyEnv
from rlmpc.envs.vec_env import Obs
from rlmpc.rollout.buffer import RolloutBuffer
from rlmpc.rollout.collector import Collector


class Pusher:
    """Pushes every point one way; its value of an observation is the speed it shows."""

    groups = ("teacher",)
    mode = "direct"

    def __init__(self, env: ToyEnv) -> None:
        self.velocity = env.obs_schema.columns("critic", "velocity")

    def act(self, obs: Obs) -> dict[str, torch.Tensor]:
        return {"action": torch.full((obs["critic"].shape[0], 2), 0.03), "value": self.value(obs)}

    def value(self, obs: Obs) -> torch.Tensor:
        return obs["critic"][:, self.velocity].norm(dim=1)


def collector(env: ToyEnv, num_steps: int = 8) -> Collector:
    return Collector(env, num_steps, gamma=0.99, lam=0.95, stagger_episodes=False)


def test_rows_follow_each_other_and_the_next_rollout_goes_on_where_the_last_stopped(toy_env: ToyEnv):
    collect = collector(toy_env)
    columns = toy_env.obs_schema.columns("teacher", "position")
    first = collect.collect(Pusher(toy_env))["obs"]["teacher"][..., columns].clone()
    second = collect.collect(Pusher(toy_env))["obs"]["teacher"][..., columns]
    positions = torch.cat([first, second])
    assert first.shape == (8, 16, 2)
    assert (positions[0] == 0.0).all()
    assert (positions[1:] > positions[:-1] - 1e-9).all()
    assert (positions[8] > positions[7]).all()


def test_only_the_groups_of_the_policy_are_kept(toy_env: ToyEnv):
    assert list(collector(toy_env).collect(Pusher(toy_env))["obs"]) == ["teacher"]


def test_a_time_out_is_followed_by_the_value_of_its_terminal_observation(toy_env: ToyEnv):
    collect = Collector(toy_env, toy_env.max_episode_length, gamma=1.0, lam=0.0, stagger_episodes=False)
    batch = collect.collect(Pusher(toy_env))
    reward_and_next = batch["return"][-1]
    speed = batch["value"][-1]
    # One step at constant push changes the speed little; the next episode's first observation would be worth 0.
    assert (reward_and_next > 0.9 * speed).all()
    assert (speed > 0.1).all()


def test_episode_metrics_count_each_ended_episode_once(toy_env: ToyEnv):
    collect = collector(toy_env, num_steps=toy_env.max_episode_length)
    metrics = collect.collect(Pusher(toy_env))["metrics"]
    total, count = metrics["episode/length"]
    assert (total / count, count) == (toy_env.max_episode_length, 16)
    assert metrics["episode/fall_rate"][0] == 0
    again = collect.collect(Pusher(toy_env))["metrics"]
    assert again["episode/length"][1] == 16


def test_staggered_episodes_end_at_different_steps(toy_env: ToyEnv):
    collect = Collector(toy_env, 50, gamma=0.99, lam=0.95, stagger_episodes=True)
    ended = collect.collect(Pusher(toy_env))["metrics"]["episode/length"][1]
    assert 1 <= ended < 16


def test_the_buffer_keeps_its_addresses_over_rollouts():
    buffer = RolloutBuffer(2)
    buffer.write(0, {"obs": {"policy": torch.ones(3, 4)}, "done": torch.ones(3, dtype=torch.bool)})
    before = buffer.views()["obs"]["policy"].data_ptr()
    buffer.write(1, {"obs": {"policy": torch.full((3, 4), 2.0)}, "done": torch.zeros(3, dtype=torch.bool)})
    views = buffer.views()
    assert views["obs"]["policy"].data_ptr() == before
    assert views["obs"]["policy"][:, 0, 0].tolist() == [1.0, 2.0]
    assert views["done"].dtype == torch.bool
