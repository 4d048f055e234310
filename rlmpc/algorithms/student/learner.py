"""The distillation stage: a student imitates a teacher on the states that the student itself leads to."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.distributions import Normal
from torch.nn.functional import mse_loss

from rlmpc.algorithms.policies import make_policy, make_teacher
from rlmpc.algorithms.student.dagger import DaggerPolicy
from rlmpc.algorithms.student.policy import StudentPolicy
from rlmpc.algorithms.student.settings import StudentCfg
from rlmpc.contract.contract import Contract
from rlmpc.learners.base import OnPolicyLearner
from rlmpc.learners.metrics import Metrics, means_of_updates
from rlmpc.learners.schedules import ramp
from rlmpc.losses.distillation import imitation_loss, leads_to_fall
from rlmpc.losses.weighting import weighted_mean


class StudentLearner(OnPolicyLearner):
    """Trains a `StudentPolicy` on the labels of a frozen teacher (DAgger).

    Args:
        agent: fields of `StudentCfg` as a plain dict, so that a checkpoint can hold them.
        contract: what the policies and their environment agree upon, as `Contract.to_dict` gives it.
        teacher: where the teacher comes from: `agent` (its settings), `sha256`, `iteration`, `numbers` and
            `evaluation`. Its weights are part of this module, so a student's checkpoint needs no second file.
        predictions: quantities the student predicts beside its actions: name -> width.
    """

    # Only the KL loss reaches the spread of the student's actions.
    find_unused_parameters = True

    cfg: StudentCfg
    policy: StudentPolicy

    def __init__(
        self, agent: dict[str, Any], contract: dict[str, Any], teacher: dict[str, Any], predictions: dict[str, int]
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.cfg = StudentCfg(**agent)
        agreed = Contract.from_dict(contract)
        policy = make_policy(self.cfg, agreed, predictions)
        assert isinstance(policy, StudentPolicy)
        self.policy = policy
        # Frozen, and in evaluation mode for good: Lightning's own switch to training mode passes it by.
        self.teacher = make_teacher(teacher["agent"], agreed).requires_grad_(False)
        self.dagger = DaggerPolicy(self.policy, self.teacher, targets=bool(predictions))

    @property
    def rollout_policy(self) -> DaggerPolicy:
        """The student, with the teacher at its side."""
        return self.dagger

    def on_train_epoch_start(self) -> None:
        """Set the share of environments in which the teacher acts."""
        self.dagger.start_rollout(teacher_share(self.current_epoch, self.cfg.beta_iterations))

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        """One iteration on a whole rollout, (T, N, ...) as `Collector.collect` returns it."""
        metrics = batch.pop("metrics")
        batch.pop("mode")
        ended = batch["terminated"] | batch["truncated"]
        doomed = batch["teacher_acts"] & leads_to_fall(batch["terminated"], ended, self.cfg.leave_out_steps)
        valid = batch.pop("valid")
        batch["weight"] = (valid & ~doomed).to(batch["reward"].dtype)
        batch.pop("reward")
        # First, so that the very first update sees normalised observations; nothing here depends on what acted.
        self.update_normalizers(self.policy.normalizers, batch["obs"], valid)
        self.publish(metrics | self.update(self.samples(batch)))

    def update(self, samples: dict[str, Any]) -> Metrics:
        """All steps on the samples of a rollout; what they report."""
        cfg = self.cfg
        needed = ("obs", "memory", "ended", "weight", "teacher_mean", "teacher_std", *self.policy.predictors)
        learned = {name: samples[name] for name in needed if name in samples}
        names = ("loss/imitation", *(f"loss/{name}" for name in self.policy.predictors), "train/grad_norm")
        reported = []
        for minibatch in self.minibatches(learned, cfg.num_epochs, cfg.num_minibatches):
            loss, numbers = self.loss(minibatch)
            grad_norm = self.descend(loss)
            self.policy.noise.project()
            reported.append(torch.cat([numbers, grad_norm.view(1)]))
        one = torch.ones((), device=self.device)
        return {
            **means_of_updates(names, reported),
            "train/noise_std": (self.policy.noise.log_std.exp().mean().detach(), one),
            "dagger/teacher_share": (samples["teacher_acts"].float().mean(), one),
            "dagger/kept_share": (samples["weight"].mean(), one),
        }

    def loss(self, minibatch: dict[str, Any]) -> tuple[Tensor, Tensor]:
        """Loss of a minibatch, flat (B, ...) or in time (T, n, ...).

        Returns:
            The loss, and without gradient the imitation loss followed by that of each prediction.
        """
        cfg, obs, policy = self.cfg, minibatch["obs"], self.policy
        recalled = policy.recall(obs, minibatch["memory"], minibatch["ended"]) if "memory" in minibatch else {}
        student = policy.distribution(obs, recalled)
        teacher = Normal(minibatch["teacher_mean"], minibatch["teacher_std"], validate_args=False)
        imitation = weighted_mean(imitation_loss(cfg.loss, student, teacher, cfg.huber_delta), minibatch["weight"])
        loss, numbers = imitation, [imitation]
        # Without anything to predict, asking would run the actor's hidden layers a second time for nothing.
        predictions = policy.predict(obs, recalled) if policy.predictors else {}
        for name, prediction in predictions.items():
            error = mse_loss(prediction, minibatch[name], reduction="none").mean(dim=-1)
            numbers.append(weighted_mean(error, minibatch["weight"]))
            loss = loss + cfg.predictions[name] * numbers[-1]
        return loss, torch.stack(numbers).detach()

    def train(self, mode: bool = True) -> StudentLearner:
        """Switch the student only."""
        super().train(mode)
        self.teacher.eval()
        return self


def teacher_share(iteration: int, beta_iterations: int) -> float:
    """Beta of DAgger: 1 in iteration 0, falling linearly to 0 in iteration `beta_iterations`; always 0 if that is 0."""
    return 1.0 - ramp(iteration, 0, beta_iterations, 1.0)
