from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from rlmpc.algorithms.student.teacher_check import check_teacher, roll
from rlmpc.checkpoint.file import Checkpoint
from rlmpc.envs.toy import ToyEnv, ToyEnvCfg
from rlmpc.envs.vec_env import Step
from rlmpc.rollout.interaction import Action


def checkpoint(level: int | None = None, **numbers: float) -> Checkpoint:
    state = None if level is None else {"levels": torch.full((4,), level), "kinds": torch.zeros(4, dtype=torch.long)}
    numbers = {f"episode/{name}": value for name, value in numbers.items()}
    ranks = [] if state is None else [{"curriculum": state}]
    return Checkpoint(Path("a.ckpt"), "", 7, {}, numbers, {}, {}, ranks, optimizer_states=[])


class Still:
    """Does nothing, or pushes with all its might, and counts how often it has acted in an episode."""

    def __init__(self, push: float = 0.0) -> None:
        self.push = push
        self.counts: list[torch.Tensor] = []

    def initial_memory(self, num_envs: int) -> dict[str, torch.Tensor]:
        return {"count": torch.zeros(num_envs, 1)}

    def act(self, obs: dict[str, torch.Tensor], memory: dict[str, torch.Tensor], deterministic: bool = False) -> Action:
        assert not deterministic
        self.counts.append(memory["count"].squeeze(1))
        return Action(torch.full((len(obs["policy"]), 2), self.push), {"count": memory["count"] + 1.0})


class Paying:
    """An environment that pays the same in every step."""

    def __init__(self, env: ToyEnv, reward: float) -> None:
        self.env, self.reward = env, reward

    def __getattr__(self, name: str) -> Any:
        return getattr(self.env, name)

    def step(self, actions: torch.Tensor) -> Step:
        step = self.env.step(actions)
        step.reward = torch.full_like(step.reward, self.reward)
        return step


@pytest.mark.parametrize(
    ("measured", "trained", "doubtful"),
    [
        *[(0.1, 0.1, False), (0.085, 0.1, False), (0.07, 0.1, True), (0.2, 0.1, False)],
        *[(-0.1, -0.1, False), (-0.115, -0.1, False), (-0.13, -0.1, True), (-0.1, 0.1, True), (0.1, -0.1, False)],
    ],
)
def test_a_teacher_that_earns_much_less_than_in_training_is_doubtful(toy_env, measured, trained, doubtful):
    lines: list[str] = []
    seen = checkpoint(reward_per_step=trained, falls_per_minute=2.0)
    numbers = check_teacher(Paying(toy_env, measured), Still(), seen, 10, lines.append)
    assert numbers == {"reward_per_step": pytest.approx(measured), "falls_per_minute": 0.0}
    assert lines[0] == (
        f"teacher of iteration 7, 10 steps x 16: reward per step {measured:.4f} ({trained:.4f} in its checkpoint), "
        "falls per minute 0.0000 (2.0000 in its checkpoint)"
    )
    assert [line.startswith("warning: the teacher earns much less here") for line in lines[1:]] == [True] * doubtful


def test_a_checkpoint_without_numbers_is_said_to_be_one(toy_env):
    lines: list[str] = []
    check_teacher(toy_env, Still(), checkpoint(), 5, lines.append)
    assert "(unknown in its checkpoint)" in lines[0]
    assert "nan" not in lines[0]
    assert [line.startswith("warning: the checkpoint does not say") for line in lines[1:]] == [True]


def test_falls_are_counted_a_minute_and_the_memory_is_lost_with_them():
    env = ToyEnv(ToyEnvCfg(max_wind=0.0, gain_range=(1.0, 1.0), drag_range=(0.0, 0.0)), 4, "cpu", 0)
    # Two steps of 0.05 s at 4 m/s^2 move 0.01 m and 0.03 m; the point is lost beyond 0.025 m, so in every second step.
    env.cfg.arena_half_size = 0.025
    pusher = Still(push=1.0)
    assert roll(env, pusher, 6)["falls_per_minute"] == pytest.approx(0.5 * 60.0 / 0.05)
    assert [count.tolist() for count in pusher.counts] == [[0.0] * 4, [1.0] * 4] * 3


def test_no_steps_check_nothing_but_the_curriculum_is_taken_over(toy_env):
    lines: list[str] = []
    assert check_teacher(toy_env, Still(), checkpoint(level=3), 0, lines.append) == {}
    assert lines == []
    assert toy_env.level.tolist() == [3] * 16


def test_the_curriculum_is_the_checkpoints_during_and_after_the_check(toy_env):
    toy_env.cfg.promote_error, toy_env.cfg.demote_error = 0.0, 0.0
    seen: list[int] = []

    class Watching(Still):
        def act(self, obs, memory, deterministic=False):
            seen.append(toy_env.level[0].item())
            return super().act(obs, memory, deterministic)

    check_teacher(toy_env, Watching(), checkpoint(level=3), toy_env.max_episode_length + 1, lambda line: None)
    assert seen[0] == 3
    assert seen[-1] == 2
    assert toy_env.level.tolist() == [3] * 16


def test_what_the_check_measured_does_not_show_in_the_first_numbers(toy_env):
    check_teacher(toy_env, Still(), checkpoint(), toy_env.max_episode_length + 1, lambda line: None)
    assert toy_env.pop_metrics()["termination/time_out"][1] == 0
