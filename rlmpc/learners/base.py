"""What every on-policy learner shares: one batch an epoch, manual optimization, numbers read once an iteration."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from typing import Any, Self

import lightning as L
import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from rlmpc.checkpoint.arrays import misfits
from rlmpc.checkpoint.file import RANKS, Checkpoint
from rlmpc.checkpoint.optimizer_state import check_optimizer
from rlmpc.checkpoint.weights import make_with_weights
from rlmpc.config.agent import AgentCfg
from rlmpc.contract.contract import Contract, check_contract
from rlmpc.envs.vec_env import VecEnv
from rlmpc.errors import UserError
from rlmpc.learners.metrics import IterationMeans, means_of_updates
from rlmpc.learners.minibatches import Samples, minibatches, rows
from rlmpc.learners.parallel import parallel
from rlmpc.learners.ranks import average_gradients, sum_over_ranks
from rlmpc.learners.recorder import Recorder
from rlmpc.learners.report import Report, ReportCallback
from rlmpc.learners.skipped import SkippedUpdates
from rlmpc.networks.normalizer import RunningNormalizer
from rlmpc.networks.policy import GaussianPolicy
from rlmpc.rollout.rollout import Metrics, Rollout
from rlmpc.rollout.rollout_policy import RolloutPolicy

SKIPPED = "skipped_updates"
"""Key in a checkpoint of `SkippedUpdates.state_dict`."""
GRAD_NORM = "train/grad_norm"
"""Name under which a step reports what `descend` returned."""


class OnPolicyLearner(L.LightningModule):
    """Base of the LightningModules; a subclass sets `cfg` and `policy` and has a `training_step`.

    The iteration is `current_epoch`. `publish` sends the numbers of an iteration to the host, and `deliver` gives them
    to the callbacks and loggers, once.

    Args:
        agent: the settings. Like all arguments of a learner they are plain data, so that a checkpoint can hold them.
        contract: what the policy and its environment agree upon, as `Contract.to_dict` gives it.
    """

    policy: GaussianPolicy
    cfg: AgentCfg

    def __init__(self, agent: dict[str, Any], contract: dict[str, Any]) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.automatic_optimization = False
        self._report: Report | None = None
        self._is_delivered = True
        self._knows_groups = False
        self._means: IterationMeans | None = None
        self._skipped = SkippedUpdates()
        self.recorder = Recorder(self._capturable)
        self.places: dict[str, Tensor] = {}
        """Buffers for `GaussianPolicy.prepared`."""

    @classmethod
    def start(cls, settings: AgentCfg, env: VecEnv, origin: Checkpoint | None, say: Callable[[str], None]) -> Self:
        """Make a learner for a new run.

        Args:
            settings: the agent's settings.
            env: the environment to learn in.
            origin: the checkpoint to build upon, if the algorithm `starts_from` something.
            say: prints a line.

        Raises:
            UserError: if `origin` does not fit the settings or the environment.
        """
        return cls(asdict(settings), env.contract.to_dict())

    @classmethod
    def resume(cls, settings: AgentCfg, contract: Contract, checkpoint: Checkpoint) -> Self:
        """Restore a saved learner with the current settings; Lightning restores its optimizer.

        Raises:
            UserError: if the contract is not the one that it learned with, or weights, optimizer or the policy's memory
                do not fit the settings.
        """
        saved = Contract.from_dict(checkpoint.hyperparameters["contract"])
        check_contract(saved, contract, saved.observations.groups, str(checkpoint.path))
        make = partial(cls, **{**checkpoint.hyperparameters, "agent": asdict(settings)})
        learner = make_with_weights(make, checkpoint.state_dict, str(checkpoint.path))
        check_optimizer(checkpoint.optimizer_states, learner.configure_optimizers(), checkpoint.path)
        learner._check_memory(checkpoint)
        # The bounds may have changed.
        learner.policy.noise.project()
        return learner

    def _check_memory(self, checkpoint: Checkpoint) -> None:
        """Refuse a checkpoint whose rollouts go on with another memory than this policy's."""
        for index, rank in enumerate(checkpoint.ranks):
            there = rank.get("rollout", {}).get("memory")
            if there is None:
                continue
            here = self.rollout_policy.initial_memory(1)
            field = f"{RANKS}.ranks.{index}.rollout.memory"
            if lines := misfits({name: values[:1] for name, values in there.items()}, here, field):
                raise UserError(f"the memory in '{checkpoint.path}' is not the policy's (there | here): {lines[0]}")

    @property
    def optimizer(self) -> torch.optim.Optimizer:
        """The only optimizer."""
        optimizer = self.optimizers(use_pl_optimizer=False)
        assert isinstance(optimizer, torch.optim.Optimizer)
        return optimizer

    @property
    def rollout_policy(self) -> RolloutPolicy:
        """The policy that acts in rollouts."""
        return self.policy

    def parameter_groups(self) -> dict[str, tuple[Iterable[torch.nn.Parameter], str]]:
        """Return name -> parameters and the name of the setting that is their learning rate."""
        return {"policy": (self.policy.parameters(), "learning_rate")}

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Make one fused Adam whose learning rates are tensors on the device, where a rule may change them."""
        groups = [
            {"params": list(parameters), "name": name, "lr": torch.tensor(getattr(self.cfg, rate), device=self.device)}
            for name, (parameters, rate) in self.parameter_groups().items()
        ]
        return torch.optim.Adam(groups, fused=True)

    def clipped_parts(self, parameters: list[torch.nn.Parameter]) -> list[list[torch.nn.Parameter]]:
        """Return the parts of a parameter group whose gradients are clipped as one vector each; here the whole."""
        return [parameters]

    def replay[R](self, name: str, function: Callable[..., R], *arguments: Tensor, variant: Hashable = None) -> R:
        """Call a function; a GPU records it and repeats what it did. See `Recorder.call`."""
        return self.recorder.call(name, variant, function, self.device, *arguments)

    def take_steps[S: Samples](
        self, step: Callable[[S], dict[str, Tensor]], samples: S, variant: Hashable = None
    ) -> Metrics:
        """Take an optimizer step on every shuffled minibatch of samples and return the means of what they report.

        Args:
            step: a method that calls `descend` with the loss of a minibatch and returns what to report, scalars by
                name, the norm under `GRAD_NORM` among it. It is replayed.
            samples: of the whole rollout, from `Recorder.place`.
            variant: everything else but tensors that `step` depends on in this iteration.
        """

        def on_rows(order: Tensor) -> tuple[list[str], Tensor]:
            numbers = step(rows(samples, order))
            return list(numbers), torch.stack(list(numbers.values())).detach()

        names: list[str] = []
        reported = []
        for order in minibatches(samples, self.cfg.num_epochs, self.cfg.num_minibatches):
            names, numbers = self.replay(step.__name__, on_rows, order, variant=variant)
            reported.append(numbers.clone())
            self._count_step()
        table = torch.stack(reported)
        self._skipped.add(table[:, names.index(GRAD_NORM)].isnan().float())
        return means_of_updates(names, table)

    def on_fit_start(self) -> None:
        """Forget what was recorded with another optimizer and found out about another environment."""
        self.recorder = Recorder(self._capturable)
        self._knows_groups = False

    def _count_step(self) -> None:
        """Count an optimizer step as Lightning does for its wrapped optimizers, in `trainer.global_step`."""
        progress = self.trainer.fit_loop.epoch_loop.manual_optimization.optim_step_progress
        progress.increment_ready()
        progress.increment_completed()

    @contextmanager
    def _capturable(self) -> Iterator[None]:
        """Tell the optimizer that its step is being recorded; checkpoints of all devices say that it is not."""
        groups = self.optimizer.param_groups
        for group in groups:
            group["capturable"] = True
        try:
            yield
        finally:
            for group in groups:
                group["capturable"] = False

    def descend(self, loss: Tensor, wait: Callable[[], None] = lambda: None) -> Tensor:
        """Take one optimizer step on all parameters that `loss` reaches, with gradients clipped to `max_grad_norm`.

        The gradient is the mean over ranks. One that is not finite leaves parameters and optimizer as they are. Every
        rank has the same gradient and decides the same, on the device.

        Args:
            loss: a scalar.
            wait: makes the step wait for what sets a learning rate meanwhile, from `parallel`.

        Returns:
            Norm of the first group's gradient before clipping; NaN if the step was skipped.
        """
        optimizer = self.optimizer
        optimizer.zero_grad()
        loss.backward()
        average_gradients(self.policy.parameters())
        norms = [self._clip(group["params"]) for group in optimizer.param_groups]
        total = sum(norms[1:], norms[0])
        nothing = total - total  # 0 or NaN
        # torch's gradient scaler sets this, too: with a 1 here, a fused Adam changes nothing, not even step counters.
        optimizer.found_inf = nothing.nan_to_num(nan=1.0).float()  # pyright: ignore[reportAttributeAccessIssue]
        wait()
        optimizer.step()
        return norms[0] + nothing

    def _clip(self, parameters: list[torch.nn.Parameter]) -> Tensor:
        """Clip the gradient of a parameter group and return its norm before, a scalar."""
        max_norm, (first, *others) = self.cfg.max_grad_norm, self.clipped_parts(parameters)
        with parallel(self.device) as wait:
            norms = [clip_grad_norm_(part, max_norm) for part in others]
        norms.insert(0, clip_grad_norm_(first, max_norm))
        wait()
        return norms[0] if len(norms) == 1 else sum(norm**2 for norm in norms) ** 0.5

    @property
    def numbers(self) -> dict[str, float]:
        """The numbers of the last finished iteration by name; waits for the device. Empty before the first."""
        return {} if self._report is None else self._report.numbers

    def deliver(self) -> None:
        """Give the numbers of the last finished iteration to callbacks and then to the loggers, if not yet done."""
        report = self._report
        if report is None or self._is_delivered:
            return
        self._is_delivered = True
        for callback in self.trainer.callbacks:  # pyright: ignore[reportAttributeAccessIssue]
            if isinstance(callback, ReportCallback):
                callback.on_report(self.trainer, report)
        for logger in self.loggers:
            logger.log_metrics(report.numbers, step=report.iteration)

    def on_train_batch_start(self, batch: Rollout, batch_idx: int) -> None:
        """Deliver the numbers of the iteration before: a GPU has begun with this one's rollout."""
        self.deliver()
        if not self._knows_groups:
            self.policy.find_equal_groups(batch.obs)
            self._knows_groups = True

    def on_train_epoch_end(self) -> None:
        """Deliver the numbers, unless a GPU would wait meanwhile."""
        if self.device.type == "cpu":
            self.deliver()

    def on_train_end(self) -> None:
        """Deliver what is left."""
        self.deliver()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the count of skipped updates, from which a resumed run goes on."""
        checkpoint[SKIPPED] = self._skipped.state_dict()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore the learning rates and the count of skipped updates, which older checkpoints lack.

        A rate whose setting has changed since starts from the new value.
        """
        before = checkpoint["hyper_parameters"]["agent"]
        rates = {name: rate for name, (_, rate) in self.parameter_groups().items()}
        for group in (group for state in checkpoint.get("optimizer_states", ()) for group in state["param_groups"]):
            # Lightning moves an optimizer's state to the device, but leaves learning rates on the CPU.
            group["lr"] = group["lr"].to(self.device)
            rate = rates[group["name"]]
            if before.get(rate) != getattr(self.cfg, rate):
                group["lr"].fill_(getattr(self.cfg, rate))
        self._skipped.load_state_dict(checkpoint.get(SKIPPED, {}))

    def publish(self, metrics: Metrics) -> None:
        """Send the iteration's numbers over all ranks to the host: name -> (weighted sum, weight), skipped updates."""
        metrics = metrics | self._skipped.pop_metrics()
        if self._means is None:
            self._means = IterationMeans(list(metrics)).to(self.device)
        self._means.update(metrics)
        self._report = Report(self.current_epoch, self._means.pop(), self._means.named)
        self._is_delivered = False

    @torch.no_grad()
    def update_normalizers(self, obs: Mapping[str, Tensor], valid: Tensor) -> None:
        """Merge the moments over all ranks of groups `obs` (..., D_g) into the policy's `RunningNormalizer`s.

        Where `valid` (...,) is 0, observations must be zeros and do not count.
        """
        num_invalid = valid.numel() - valid.sum()
        for group, normalizer in self.policy.normalizers.items():
            assert isinstance(normalizer, RunningNormalizer)
            first = self.policy.first_equal[group]
            if first == group:
                normalizer.merge(sum_over_ranks(normalizer.centred_sums(obs[group], num_invalid)))
            else:
                normalizer.load_state_dict(self.policy.normalizers[first].state_dict())
