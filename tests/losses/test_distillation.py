import math

import pytest
import torch
from torch.distributions import Normal

from rlmpc.losses.distillation import IMITATION_LOSSES, imitation_loss, leads_to_fall

STUDENT = Normal(torch.tensor([[1.0, 2.0]]), torch.tensor([[1.0, 2.0]]))
TEACHER = Normal(torch.tensor([[1.5, 0.0]]), torch.tensor([[0.5, 2.0]]))


@pytest.mark.parametrize(
    ("kind", "delta", "expected"),
    [
        ("mse", 1.0, (0.5**2 + 2.0**2) / 2),
        ("huber", 1.0, (0.5 * 0.5**2 + 1.0 * (2.0 - 0.5)) / 2),
        ("huber", 0.25, (0.25 * (0.5 - 0.125) + 0.25 * (2.0 - 0.125)) / 2),
        # log(student / teacher) + (teacher^2 + difference^2) / (2 student^2) - 1/2 for each action, added up.
        ("kl", 1.0, (math.log(2.0) + (0.25 + 0.25) / 2.0 - 0.5) + (0.0 + (4.0 + 4.0) / 8.0 - 0.5)),
    ],
)
def test_the_loss_is_the_one_done_by_hand(kind: str, delta: float, expected: float):
    torch.testing.assert_close(imitation_loss(kind, STUDENT, TEACHER, delta), torch.tensor([expected]))


@pytest.mark.parametrize("kind", IMITATION_LOSSES)
def test_every_sample_has_a_loss_and_it_is_zero_where_the_student_does_as_the_teacher(kind: str):
    mean, std = torch.randn(3, 5, 2), torch.rand(3, 5, 2) + 0.1
    other = mean.clone()
    other[1, 2] += 1.0
    loss = imitation_loss(kind, Normal(other, std), Normal(mean, std))
    assert loss.shape == (3, 5)
    assert loss[1, 2] > 0.1
    loss[1, 2] = 0.0
    assert loss.abs().max() < 1e-6


def test_only_kl_teaches_the_spread():
    for kind in IMITATION_LOSSES:
        mean, std = torch.zeros(1, 2, requires_grad=True), torch.ones(1, 2, requires_grad=True)
        imitation_loss(kind, Normal(mean, std), TEACHER).sum().backward()
        assert mean.grad is not None
        assert (std.grad is not None) == (kind == "kl")


def table(*columns: str) -> tuple[torch.Tensor, torch.Tensor]:
    """`terminated` and `ended` (T, N) of N environments, each a string of steps: F a fall, o a time-out, - neither."""
    steps = list(zip(*columns, strict=True))
    terminated = torch.tensor([[kind == "F" for kind in row] for row in steps])
    return terminated, terminated | torch.tensor([[kind == "o" for kind in row] for row in steps])


@pytest.mark.parametrize(
    ("num_steps", "episodes", "marked"),
    [
        (3, "-----F", "...xxx"),
        (3, "F-----", "x....."),
        (3, "-F--F-", "xxxxx."),
        (3, "---oF-", "....x."),
        (3, "---Fo-", ".xxx.."),
        (3, "-o--F-", "..xxx."),
        (3, "-----o", "......"),
        (1, "--F-F-", "..x.x."),
        (9, "-----F", "xxxxxx"),
        (0, "-F---F", "......"),
    ],
)
def test_the_steps_that_lead_to_a_fall_are_marked_within_their_episode(num_steps: int, episodes: str, marked: str):
    terminated, ended = table(episodes)
    found = leads_to_fall(terminated, ended, num_steps)[:, 0]
    assert "".join(".x"[mark] for mark in found.int().tolist()) == marked


def test_environments_do_not_mark_each_other():
    terminated, ended = table("----F", "-----", "-F---", "---oF")
    assert leads_to_fall(terminated, ended, 2).int().T.tolist() == [
        [0, 0, 0, 1, 1],
        [0, 0, 0, 0, 0],
        [1, 1, 0, 0, 0],
        [0, 0, 0, 0, 1],
    ]
