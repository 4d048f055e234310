"""The distillation stage: a student imitates a teacher in the states that the student itself reaches."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

import torch
from torch import Tensor
from torch.distributions import Normal
from torch.nn.functional import mse_loss

from rlmpc.algorithms.restore import check_checkpoint, restore_policy, restore_settings, weights_of
from rlmpc.algorithms.student.dagger import DaggerPolicy
from rlmpc.algorithms.student.policy import StudentPolicy
from rlmpc.algorithms.student.settings import StudentCfg
from rlmpc.algorithms.student.teacher_check import check_teacher
from rlmpc.algorithms.table import ALGORITHMS
from rlmpc.checkpoint.file import Checkpoint
from rlmpc.checkpoint.weights import load_weights
from rlmpc.contract.contract import Contract
from rlmpc.envs.vec_env import VecEnv
from rlmpc.errors import UserError, nearest
from rlmpc.learners.base import GRAD_NORM, OnPolicyLearner
from rlmpc.learners.minibatches import Samples, memory_of, single_steps, start_of
from rlmpc.learners.schedules import ramp
from rlmpc.losses.distillation import imitation_loss, leads_to_fall
from rlmpc.losses.weighting import FILL_STD, filled, weighted_mean
from rlmpc.networks.policy import GaussianPolicy
from rlmpc.rollout.rollout import Metrics, Rollout


@dataclass
class StudentSamples(Samples):
    """Samples that a student learns from."""

    teacher_mean: Tensor
    """Mean of the teacher's actions, (..., A)."""
    teacher_std: Tensor
    """Standard deviation of the teacher's actions, (..., A)."""
    targets: dict[str, Tensor]
    """Targets of the predictions besides the actions, (..., width) each."""


class StudentLearner(OnPolicyLearner):
    """Trains a `StudentPolicy` on the labels of a frozen teacher (DAgger).

    Args:
        agent: fields of `StudentCfg` as a plain dict, so that a checkpoint can hold them.
        contract: what the policies and their environment agree upon, as `Contract.to_dict` gives it.
        teacher: where the teacher comes from: `agent` (its settings), `sha256`, `iteration`, `numbers` and
            `evaluation`. Its weights are part of this module, so a student's checkpoint needs no second file.
        predictions: quantities that the student predicts besides its actions, name -> width.
    """

    cfg: StudentCfg
    policy: StudentPolicy

    def __init__(
        self, agent: dict[str, Any], contract: dict[str, Any], teacher: dict[str, Any], predictions: dict[str, int]
    ) -> None:
        super().__init__(agent, contract)
        self.cfg = StudentCfg(**agent)
        agreed = Contract.from_dict(contract)
        self.policy = StudentPolicy(self.cfg, agreed, predictions)
        # Frozen, and always in evaluation mode, also when Lightning switches to training mode.
        algorithm = ALGORITHMS[teacher["agent"]["algorithm"]]
        policy = algorithm.policy()(algorithm.settings(**teacher["agent"]), agreed)
        self.teacher = policy.in_simulation().eval().requires_grad_(False)
        self.dagger = DaggerPolicy(self.policy, self.teacher, tuple(predictions))

    @classmethod
    def start(cls, settings: StudentCfg, env: VecEnv, origin: Checkpoint | None, say: Callable[[str], None]) -> Self:
        """Check the teacher in the environment, then make a learner that starts in the teacher's curriculum.

        Raises:
            UserError: if the teacher does not fit the environment or its settings, or cannot teach a prediction.
        """
        assert origin is not None
        teacher = restore_policy(origin).in_simulation()
        check_checkpoint(origin, env.contract, (*teacher.acting_groups, settings.actor_group))
        predictions = widths(settings.predictions, teacher, str(origin.path))
        evaluation = check_teacher(env, teacher.to(env.device), origin, settings.teacher_check_steps, say)
        described = {
            "agent": origin.hyperparameters["agent"],
            "sha256": origin.sha256,
            "iteration": origin.iteration,
            "numbers": origin.numbers,
            "evaluation": evaluation,
        }
        learner = cls(asdict(settings), env.contract.to_dict(), described, predictions)
        load_weights(learner.teacher, weights_of(origin, "policy"), str(origin.path))
        return learner

    @classmethod
    def resume(cls, settings: StudentCfg, contract: Contract, checkpoint: Checkpoint) -> Self:
        """Restore a saved learner; the teacher's settings are checked, too.

        Raises:
            UserError: as every learner, and if this version does not accept the teacher's settings.
        """
        if "teacher" in checkpoint.hyperparameters:
            saved = checkpoint.hyperparameters["teacher"]["agent"]
            restore_settings(saved, checkpoint.path, "hyper_parameters.teacher.agent")
        return super().resume(settings, contract, checkpoint)

    @property
    def rollout_policy(self) -> DaggerPolicy:
        """The student together with the teacher."""
        return self.dagger

    def on_train_epoch_start(self) -> None:
        """Set the share of environments in which the teacher acts."""
        self.dagger.start_rollout(teacher_share(self.current_epoch, self.cfg.beta_iterations))

    def training_step(self, rollout: Rollout, batch_idx: int) -> None:
        """Run one iteration."""
        placed = self.recorder.place("rollout", replace(rollout, metrics={}))
        samples, shares = self.replay("prepare", lambda: self._prepare(placed))
        samples = self.recorder.place("samples", samples)
        self.publish(rollout.metrics | self.update(samples) | shares)

    def _prepare(self, rollout: Rollout) -> tuple[StudentSamples, Metrics]:
        """Take the observations into the normalizers and return the samples, and which share of them is what."""
        # First, so that the very first update sees normalised observations; the loss does not depend on how the student
        # acted.
        self.update_normalizers(rollout.obs, rollout.valid)
        samples = self.samples(rollout)
        one = torch.ones((), device=self.device)
        return samples, {
            "dagger/teacher_share": (rollout.acted.teacher_acts.float().mean(), one),
            "dagger/kept_share": (samples.weight.mean(), one),
        }

    def samples(self, rollout: Rollout) -> StudentSamples:
        """Turn a rollout into samples: single steps, or sequences for a student with a memory."""
        acted, done = rollout.acted, rollout.terminated | rollout.truncated
        doomed = acted.teacher_acts & leads_to_fall(rollout.terminated, done, self.cfg.leave_out_steps)
        weight = (rollout.valid & ~doomed).to(rollout.reward.dtype)
        std = filled(acted.teacher_std, weight, FILL_STD)
        memory = start_of(rollout.memory)
        obs = self.policy.prepared(rollout.obs, self.places)
        return single_steps(StudentSamples(obs, weight, done, memory, acted.teacher_mean, std, acted.targets))

    def update(self, samples: StudentSamples) -> Metrics:
        """Take all optimizer steps on the samples of a rollout and return their metrics."""
        reported = self.take_steps(self.step, samples)
        noise_std = self.policy.noise.log_std.exp().mean().detach()
        return {**reported, "train/noise_std": (noise_std, torch.ones((), device=self.device))}

    def step(self, minibatch: StudentSamples) -> dict[str, Tensor]:
        """Take one optimizer step and return what to report."""
        cfg, policy, obs, weight = self.cfg, self.policy, minibatch.obs, minibatch.weight
        recalled = policy.recall(obs, memory_of(minibatch), minibatch.restarts)
        student = policy.distribution(obs, recalled)
        teacher = Normal(minibatch.teacher_mean, minibatch.teacher_std, validate_args=False)
        loss = weighted_mean(imitation_loss(cfg.loss, student, teacher, cfg.huber_delta), weight)
        numbers = {"loss/imitation": loss}
        # `predict` runs the actor's hidden layers a second time, which is needless without predictors.
        predicted = policy.predict(obs, recalled) if policy.predictors else {}
        for name, prediction in predicted.items():
            error = mse_loss(prediction, minibatch.targets[name], reduction="none").mean(dim=-1)
            numbers[f"loss/{name}"] = weighted_mean(error, weight)
            loss = loss + cfg.predictions[name] * numbers[f"loss/{name}"]
        numbers[GRAD_NORM] = self.descend(loss)
        policy.noise.project()
        return numbers

    def train(self, mode: bool = True) -> StudentLearner:
        """Switch only the student to training mode, or back."""
        super().train(mode)
        self.teacher.eval()
        return self


def teacher_share(iteration: int, beta_iterations: int) -> float:
    """Return DAgger's beta: falls linearly from 1 in iteration 0 to 0 in `beta_iterations`; always 0 if that is 0."""
    return 1.0 - ramp(iteration, 0, beta_iterations, 1.0)


def widths(predictions: Collection[str], teacher: GaussianPolicy, source: str) -> dict[str, int]:
    """Return name -> width of what a student is to predict.

    Raises:
        UserError: if the teacher, called `source` in the message, cannot teach one of them.
    """
    known = teacher.teachable
    for name in predictions:
        if name not in known:
            raise UserError(
                f"'agent.predictions' names '{name}', but the teacher in '{source}' can teach "
                f"{', '.join(known) or 'nothing beside its actions'}{nearest(name, known)}"
            )
    return {name: width for name, width in known.items() if name in predictions}
