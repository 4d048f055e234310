"""A point mass that follows a target: the whole contract in a few tensors, without a simulator.

The point (2 position, 2 velocity) moves in a square arena, pushed by the action. Its motor gain, its drag and the
wind are drawn per environment and hidden from the `policy` group, as friction and masses are on a robot; its velocity
is not measured either. All can be inferred from the histories of positions and actions. The target jumps to a new
place when an episode starts; a curriculum moves it farther away as the point learns. Leaving the arena ends the
episode; staying long enough times it out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from rlmpc.checkpoint.arrays import misfits
from rlmpc.config.setting import check_settings, setting
from rlmpc.contract.contract import Contract
from rlmpc.contract.episode import Motion, Trial
from rlmpc.contract.observations import ObsSchema, ObsTerm
from rlmpc.envs.saved_levels import levels_for
from rlmpc.envs.vec_env import Obs, Step, round_seed
from rlmpc.errors import UserError


@dataclass
class ToyEnvCfg:
    """Numbers of the toy task; positions in m, times in s."""

    step_dt: float = setting(0.05, above=0)
    episode_length_s: float = setting(5.0, above=0, largest=1e6)
    arena_half_size: float = setting(2.0, above=0)
    """Distance from the centre at which the point is lost (a true end of the episode)."""
    max_accel: float = 4.0
    gain_range: tuple[float, float] = setting((0.7, 1.3), least=0)
    drag_range: tuple[float, float] = setting((0.1, 0.6), least=0)
    max_wind: float = setting(2.5, least=0, below="max_accel")
    """Largest component of the constant acceleration drawn for each environment, m/s^2."""
    position_noise: float = setting(0.01, least=0)
    history: int = setting(10, least=1, largest=1000)
    """Frames of position and action in every group."""
    num_levels: int = setting(5, least=1, largest=1000)
    """The target of level k lies within (k + 1) / num_levels of the reachable square."""
    promote_error: float = 0.15
    """Mean distance to the target over an episode's second half below which an environment moves up a level."""
    demote_error: float = 0.6

    def acts_at_start(self, path: str) -> bool:
        """Return whether a setting has an effect at the start of a run only; none has."""
        return False

    def acts_at_once(self, path: str) -> bool:
        """Return whether a changed setting acts in episodes that go on; others are drawn when the points are made."""
        return path not in ("gain_range", "drag_range", "max_wind", "num_levels", "history")

    def play_mode(self, disturbed: bool = False) -> None:
        """Switch from training to play mode: no noise, unless it is to be disturbed."""
        if not disturbed:
            self.position_noise = 0.0

    def finalize(self) -> None:
        """Refuse numbers from which no environment can be made.

        Raises:
            UserError: if there are any, with what is accepted.
        """
        check_settings(self, "env.")
        for name in ("gain_range", "drag_range"):
            low, high = getattr(self, name)
            if low > high:
                raise UserError(f"'env.{name}' must be two rising numbers, not {(low, high)}")


def toy_schema(frames: int) -> ObsSchema:
    """Return the layout of the observations with so many frames of history."""
    sensed = (ObsTerm("target_error", 2, frames), ObsTerm("last_action", 2, frames), ObsTerm("position", 2))
    hidden = (ObsTerm("velocity", 2), ObsTerm("gain", 1), ObsTerm("drag", 1), ObsTerm("wind", 2))
    return ObsSchema({"policy": sensed, "critic": hidden + sensed, "teacher": hidden + sensed})


class ToyEnv:
    """N independent point masses; implements `rlmpc.envs.vec_env.MeasurableEnv`."""

    terrains: tuple[str, ...] = ("arena",)
    command_names: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ("time_out", "left_arena")
    promoting_speed: float | None = None

    def __init__(self, cfg: ToyEnvCfg, num_envs: int, device: str | torch.device, seed: int) -> None:
        self.cfg = cfg
        self.num_envs = num_envs
        self.device = torch.device(device)
        self.step_dt = cfg.step_dt
        self.max_episode_length = round(cfg.episode_length_s / cfg.step_dt)
        frames = cfg.history
        self.obs_schema = toy_schema(frames)
        push = {"name": "push", "dim": 2, "scale": cfg.max_accel}
        self.contract = Contract(cfg.step_dt, self.obs_schema, (push,))
        self.num_actions = self.contract.num_actions
        self.num_levels = cfg.num_levels
        self._seed = seed
        self._rng = torch.Generator(device=self.device).manual_seed(seed)

        def zeros(*shape: int) -> Tensor:
            return torch.zeros(num_envs, *shape, device=self.device)

        self.position, self.velocity, self.target = zeros(2), zeros(2), zeros(2)
        self._draw_hidden()
        self.level = zeros().long()
        # In a tuple, because it is no state.
        self._held_out: tuple[Tensor, ...] = ()
        self.episode_length = zeros().long()
        self._ended_by = zeros(2).bool()
        self._restart_asked = zeros().bool()
        self._error_sum, self._error_count = zeros(), zeros()
        self._error_history, self._noisy_history = zeros(frames, 2), zeros(frames, 2)
        self._action_history = zeros(frames, 2)
        self._reward_terms = {"track_target": zeros(), "action_size": zeros()}
        self._metrics = self._empty_metrics()

    def reset(self) -> Obs:
        """Start a new episode everywhere, at the current curriculum levels."""
        self._begin_episodes(torch.ones(self.num_envs, dtype=torch.bool, device=self.device))
        return self._observe()

    def step(self, actions: Tensor) -> Step:
        """Push every point by `actions` (N, 2), in units of `max_accel`, clipped to [-1, 1]."""
        cfg = self.cfg
        action = torch.nan_to_num(actions).clamp(-1.0, 1.0)
        accel = cfg.max_accel * self.gain * action - self.drag * self.velocity + self.wind
        self.velocity += cfg.step_dt * accel
        self.position += cfg.step_dt * self.velocity
        self.episode_length += 1

        error = (self.target - self.position).norm(dim=1)
        tracking = torch.exp(-(error**2) / 0.25) * cfg.step_dt
        effort = -0.05 * (action**2).sum(dim=1) * cfg.step_dt
        self._reward_terms["track_target"] += tracking
        self._reward_terms["action_size"] += effort
        late = self.episode_length > self.max_episode_length // 2
        self._error_sum += error * late
        self._error_count += late

        reward = tracking + effort
        faulty = self._restart_asked | ~torch.isfinite(reward + (self.position + self.velocity).sum(dim=1))
        self._restart_asked.zero_()
        terminated = (self.position.abs().amax(dim=1) > cfg.arena_half_size) & ~faulty
        truncated = (self.episode_length >= self.max_episode_length) & ~terminated & ~faulty
        self._remember(action)
        self._ended_by = torch.stack([truncated, terminated], dim=1)
        terminal_obs = self._observe()
        self._end_episodes(*self._learning(terminated | truncated, terminated, truncated))
        self._begin_episodes(terminated | truncated | faulty)
        return Step(self._observe(), reward.masked_fill(faulty, 0.0), terminated, truncated, faulty, terminal_obs)

    def _learning(self, *masks: Tensor) -> list[Tensor]:
        """Return masks (N,) without the environments that are held out."""
        return [mask & ~held_out for mask in masks for held_out in self._held_out] or list(masks)

    def restart(self, mask: Tensor) -> None:
        """Start a new episode in the masked environments within the next step; see the contract."""
        self._restart_asked |= mask

    def stagger_episodes(self) -> None:
        """Give every environment a random episode age."""
        ages = self._uniform(0.0, float(self.max_episode_length), self.num_envs)
        self.episode_length.copy_(ages.long())

    def place(self, trials: list[Trial], round_number: int = 0) -> None:
        """Set the levels of the next episodes; see the contract. Hidden parameters and targets are drawn anew."""
        assert len(trials) == self.num_envs
        self.level.copy_(torch.tensor([trial.level for trial in trials]))
        self._rng.manual_seed(round_seed(self._seed, round_number))
        self._draw_hidden()

    def grounds(self) -> list[str]:
        """Return the only kind of ground for every environment."""
        return list(self.terrains) * self.num_envs

    def hold_out(self, trials: Mapping[int, Trial]) -> None:
        """Keep environments out of training, at their trials' levels; see the contract."""
        self._held_out = (torch.tensor([i in trials for i in range(self.num_envs)], device=self.device),)
        for index, trial in trials.items():
            self.level[index] = trial.level

    def measure(self) -> Motion[Tensor]:
        """Measure as in the contract, but the error is the way to the target [m], and the mass 1 kg."""
        force = self.cfg.max_accel * self.gain * self._action_history[:, -1]
        no_turn = torch.zeros(self.num_envs, 1, device=self.device)
        return Motion(
            velocity=torch.cat([self.velocity, no_turn], dim=1),
            error=torch.cat([self.position - self.target, no_turn], dim=1),
            position=self.position,
            power=(force * self.velocity).abs().sum(dim=1),
        )

    def ended_by(self) -> Tensor:
        """Return which of `reasons` ended episodes in the last step, (N, 2) bool."""
        return self._ended_by

    def pictures(self) -> Tensor:
        """Refuse: there is nothing to see.

        Raises:
            UserError: always.
        """
        raise UserError("task 'toy' has nothing to film")

    def pop_metrics(self) -> dict[str, tuple[Tensor, Tensor]]:
        """Return the episode means since the last call and the current curriculum; see the contract."""
        popped, self._metrics = self._metrics, self._empty_metrics()
        (learning,) = self._learning(torch.ones_like(self.level, dtype=torch.bool))
        means = {name: (numbers[0], numbers[1]) for name, numbers in popped.items()}
        return means | {"curriculum/level": ((self.level * learning).sum().float(), learning.sum().float())}

    def curriculum(self) -> dict[str, Any]:
        """Return the levels, on the only kind of ground."""
        return {"levels": self.level.clone(), "kinds": torch.zeros_like(self.level)}

    def load_curriculum(self, curriculum: dict[str, Any], counters: bool = True) -> None:
        """Take over the levels of any number of environments, from the next episode on; there are no counters."""
        self.level.copy_(levels_for(curriculum, self.num_envs).clamp(max=self.cfg.num_levels - 1))

    def state(self) -> dict[str, Any]:
        """Return every tensor of this object, those in dicts by `<dict>/<key>`, and the random stream."""
        return {path: tensor.clone() for path, tensor in self._tensors().items()} | {"rng": self._rng.get_state()}

    def load_state(self, state: dict[str, Any]) -> None:
        """Restore what `state` returned; see the contract."""
        tensors = self._tensors()
        lines = misfits(state, tensors | {"rng": self._rng.get_state()}, "state")
        if lines:
            raise ValueError("it is of other environments (there | here):\n  " + "\n  ".join(lines))
        if not bool(((state["level"] >= 0) & (state["level"] < self.num_levels)).all()):
            raise ValueError(f"it is of other environments: a level is not one of {self.num_levels}")
        try:
            torch.Generator(device=self.device).set_state(state["rng"].cpu())
        except RuntimeError as error:
            raise ValueError(f"the state of its generator is damaged: {str(error).splitlines()[0]}") from error
        for path, tensor in tensors.items():
            tensor.copy_(state[path])
        self._rng.set_state(state["rng"].cpu())

    def _tensors(self) -> dict[str, Tensor]:
        nested = [(name, value) for name, value in vars(self).items() if isinstance(value, dict)]
        parts = {f"{name}/{key}": part for name, values in nested for key, part in values.items()}
        return {path: value for path, value in (vars(self) | parts).items() if isinstance(value, Tensor)}

    def close(self) -> None:
        """Do nothing: there is nothing to release."""

    def _uniform(self, low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(*shape, generator=self._rng, device=self.device)

    def _draw_hidden(self) -> None:
        """Draw the parameters that only privileged observations show."""
        self.gain = self._uniform(*self.cfg.gain_range, self.num_envs, 1)
        self.drag = self._uniform(*self.cfg.drag_range, self.num_envs, 1)
        self.wind = self._uniform(-self.cfg.max_wind, self.cfg.max_wind, self.num_envs, 2)

    def _empty_metrics(self) -> dict[str, Tensor]:
        """Return zeros: name -> weighted sum and weight, (2,)."""
        keys = [f"reward/{name}" for name in self._reward_terms]
        keys += ["termination/time_out", "termination/left_arena", "command/target_error"]
        return {key: torch.zeros(2, device=self.device) for key in keys}

    def _count(self, name: str, values: Tensor, mask: Tensor) -> None:
        self._metrics[name] += torch.stack([torch.where(mask, values, 0.0).sum(), mask.sum()])

    def _end_episodes(self, ended: Tensor, terminated: Tensor, truncated: Tensor) -> None:
        mean_error = self._error_sum / self._error_count.clamp(min=1.0)
        for name, total in self._reward_terms.items():
            self._count(f"reward/{name}", total / self.cfg.episode_length_s, ended)
        self._count("termination/time_out", truncated.float(), ended)
        self._count("termination/left_arena", terminated.float(), ended)
        self._count("command/target_error", mean_error, truncated)
        up = truncated & (self._error_count > 0) & (mean_error < self.cfg.promote_error)
        down = terminated | (truncated & (mean_error > self.cfg.demote_error))
        self.level += up.long() - down.long()
        self.level.clamp_(0, self.cfg.num_levels - 1)

    def _begin_episodes(self, mask: Tensor) -> None:
        """Put the points of the masked environments (N,) at rest in the middle, with a new target."""
        column = mask.unsqueeze(1)
        reach = 0.8 * self.cfg.arena_half_size * (self.level + 1).unsqueeze(1) / self.cfg.num_levels
        self.target = torch.where(column, self._uniform(-1.0, 1.0, self.num_envs, 2) * reach, self.target)
        # Filled, not multiplied: 0 x NaN is NaN.
        for state in (self.position, self.velocity, self._action_history):
            state.masked_fill_(mask.view(-1, *[1] * (state.dim() - 1)), 0.0)
        for total in (self.episode_length, self._error_sum, self._error_count, *self._reward_terms.values()):
            total.masked_fill_(mask, 0)
        first = self._noisy_error().unsqueeze(1)
        frames = mask.view(-1, 1, 1)
        self._noisy_history = torch.where(frames, first, self._noisy_history)
        self._error_history = torch.where(frames, (self.target - self.position).unsqueeze(1), self._error_history)

    def _noisy_error(self) -> Tensor:
        """Return the noisy offset to the target, (N, 2)."""
        noise = torch.randn(self.num_envs, 2, generator=self._rng, device=self.device)
        return self.target - self.position + self.cfg.position_noise * noise

    def _remember(self, action: Tensor) -> None:
        def push(history: Tensor, newest: Tensor) -> Tensor:
            return torch.cat([history[:, 1:], newest.unsqueeze(1)], dim=1)

        self._noisy_history = push(self._noisy_history, self._noisy_error())
        self._error_history = push(self._error_history, self.target - self.position)
        self._action_history = push(self._action_history, action)

    def _observe(self) -> Obs:
        actions = self._action_history.flatten(1)
        measured_position = self.target - self._noisy_history[:, -1]
        policy = torch.cat([self._noisy_history.flatten(1), actions, measured_position], dim=1)
        hidden = [self.velocity, self.gain - 1.0, self.drag, self.wind]
        full = torch.cat([*hidden, self._error_history.flatten(1), actions, self.position], dim=1)
        return {"policy": policy, "critic": full, "teacher": full.clone()}
