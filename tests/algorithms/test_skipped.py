from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from rlmpc.algorithms.ppo.learner import PpoLearner
from rlmpc.learners.base import OnPolicyLearner
from rlmpc.learners.metrics import means_of_updates
from rlmpc.learners.skipped import SkippedUpdates

pytestmark = pytest.mark.slow

UPDATES = 5 * 4
"""Updates an iteration of the toy task's agents: epochs times minibatches."""


def counted(iterations: list[str], in_a_row: float = 0.0) -> list[tuple[float, float]]:
    """Number and longest run of each iteration, a string of updates: x a skipped one, . one that was taken."""
    updates = SkippedUpdates()
    updates.in_a_row = torch.tensor(in_a_row)
    counts = []
    for iteration in iterations:
        updates.add(torch.tensor([float(update == "x") for update in iteration]))
        metrics = updates.pop_metrics()
        assert all(weight == 1.0 for _, weight in metrics.values())
        counts.append((metrics["fault/skipped_updates"][0].item(), metrics["fault/skipped_in_a_row"][0].item()))
    return counts


@pytest.mark.parametrize(
    ("iterations", "expected"),
    [
        (["...."], [(0, 0)]),
        (["x..."], [(1, 1)]),
        (["xx.x"], [(3, 2)]),
        ([".xxx"], [(3, 3)]),
        (["x.xx", "x...", "...."], [(3, 2), (1, 3), (0, 0)]),
        (["xxxx", "xxxx", "x.xx", "...."], [(4, 4), (4, 8), (3, 9), (0, 0)]),
    ],
)
def test_the_longest_run_of_skipped_updates_goes_on_from_one_iteration_to_the_next(iterations, expected):
    assert counted(iterations) == expected


def test_the_run_that_a_checkpoint_holds_goes_on():
    assert counted(["xx.."], in_a_row=7.0) == [(2, 9)]


def test_the_share_of_the_latest_updates_forgets_what_is_older():
    updates, shares = SkippedUpdates(), []
    for iteration in ("x." * 20, "x." * 20, "x." * 20, "." * 20, "xxx." * 25):
        updates.add(torch.tensor([float(update == "x") for update in iteration]))
        shares.append(updates.pop_metrics()["fault/skipped_share"][0].item())
    # Of 100: 20 in the first 40, 40 in the first 80, then 50, 40 once 20 more are taken, 75.
    assert shares == pytest.approx([0.2, 0.4, 0.5, 0.4, 0.75])


def test_an_update_with_a_number_that_is_not_finite_is_left_out_of_the_means():
    rows = torch.tensor([[1.0, 2.0], [math.nan, 5.0], [3.0, math.inf], [5.0, 4.0]])
    metrics = means_of_updates(("a", "b"), rows)
    assert {name: (total.item(), weight.item()) for name, (total, weight) in metrics.items()} == {
        "a": (6.0, 2.0),
        "b": (6.0, 2.0),
    }


def state_of(learner: OnPolicyLearner) -> list[Tensor]:
    """Parameters, Adam's moments and its step counters, copied."""
    optimizer = learner.optimizers().optimizer
    adam = [value for state in optimizer.state.values() for value in state.values()]
    return [value.detach().clone() for value in (*learner.parameters(), *adam)]


def spoil(parameter: torch.nn.Parameter, value: float, calls: range | None = None):
    """Put `value` into a parameter's gradient, in all backward passes or in those with these numbers."""
    count = 0

    def hook(gradient: Tensor) -> Tensor:
        nonlocal count
        count += 1
        spoilt = gradient.clone()
        spoilt.view(-1)[0] = value
        return spoilt if calls is None or count - 1 in calls else gradient

    return parameter.register_hook(hook)


def loss_of(learner: PpoLearner, datamodule) -> Callable[[], Tensor]:
    """Gives a loss of a fresh rollout that reaches the actor, its noise, the critic and what is trained beside them."""
    samples = learner.samples(datamodule.collect())

    def loss() -> Tensor:
        entropy, value = learner.distribution(samples).entropy().mean(), learner.policy.value(samples.obs).mean()
        mean = learner.distribution(samples).mean.square().mean()
        return sum(learner.losses_beside(samples).values(), mean + value - entropy)

    return loss


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize(("agent", "part"), [("ppo", "critic"), ("ppo", "noise"), ("rma", "estimator")])
def test_a_gradient_that_is_not_finite_moves_nothing_and_the_next_step_works(
    run_toy, agent: str, part: str, bad: float
):
    learner, datamodule, _ = run_toy(1, num_envs=16, agent=agent)
    loss, before = loss_of(learner, datamodule), state_of(learner)
    hook = spoil(next(getattr(learner.policy, part).parameters()), bad)
    assert learner.descend(loss()).isnan()
    learner.policy.noise.project()
    assert all(torch.equal(now, then) for now, then in zip(state_of(learner), before, strict=True))

    hook.remove()
    assert learner.descend(loss()).isfinite()
    moved = [not torch.equal(now, then) for now, then in zip(state_of(learner), before, strict=True)]
    num_trained = sum(p.grad is not None and bool(p.grad.any()) for p in learner.parameters())
    assert sum(moved) >= 3 * num_trained > 0


@pytest.mark.parametrize("agent", ["ppo", "rma"])
def test_skipped_updates_are_counted_and_spoil_no_other_number(run_toy, monkeypatch, agent: str):
    armed = PpoLearner.on_train_start

    def on_train_start(self: PpoLearner) -> None:
        armed(self)
        # The last three updates of the first iteration and the first two of the second.
        spoil(self.policy.critic[0].weight, math.nan, range(UPDATES - 3, UPDATES + 2))

    monkeypatch.setattr(PpoLearner, "on_train_start", on_train_start)
    learner, _, numbers = run_toy(4, num_envs=16, agent=agent)
    assert [one["fault/skipped_updates"] for one in numbers] == [3.0, 2.0, 0.0, 0.0]
    assert [one["fault/skipped_in_a_row"] for one in numbers] == [3.0, 5.0, 0.0, 0.0]
    names = {"train/kl", "loss/surrogate", "loss/value", "train/entropy", "train/grad_norm", "train/learning_rate"}
    assert all(names <= one.keys() for one in numbers)
    assert all(math.isfinite(value) for one in numbers for value in one.values())
    assert all(value.isfinite().all() for value in state_of(learner))


def test_an_iteration_of_skipped_updates_alone_reports_no_losses_and_leaves_the_parameters(run_toy, parameters):
    learner, datamodule, _ = run_toy(1, num_envs=16)
    spoil(learner.policy.critic[0].weight, math.nan)
    before = parameters(learner)
    learner.training_step(datamodule.collect(), 0)
    assert torch.equal(parameters(learner), before)
    assert "loss/value" not in learner.numbers
    assert learner.numbers["fault/skipped_updates"] == learner.numbers["fault/skipped_in_a_row"] == UPDATES
    assert math.isfinite(learner.numbers["train/learning_rate"])


def test_a_skipped_step_of_the_history_encoder_leaves_its_loss_out(run_toy):
    learner, datamodule, _ = run_toy(1, num_envs=16, agent="rma")
    learner.policy.on_robot()
    samples = learner.samples(datamodule.collect())
    spoil(next(learner.policy.history_encoder.parameters()), math.nan, range(0, 1))
    total, count = learner._adapt_history(samples)["loss/history"]
    assert count == UPDATES - 1
    assert total.isfinite()


def test_a_checkpoint_holds_the_run_of_skipped_updates_and_one_without_it_still_loads(run_toy):
    learner, _, _ = run_toy(1, num_envs=16)
    learner._skipped.in_a_row, learner._skipped.latest[:6] = torch.tensor(6.0), 1.0
    # Lightning adds these.
    settings = {"hyper_parameters": dict(learner.hparams)}
    checkpoint: dict = dict(settings)
    learner.on_save_checkpoint(checkpoint)
    learner._skipped = SkippedUpdates()
    learner.on_load_checkpoint(checkpoint)
    assert learner._skipped.in_a_row == learner._skipped.latest.sum() == 6.0
    learner.on_load_checkpoint(settings)
    assert learner._skipped.in_a_row == learner._skipped.latest.sum() == 0.0
