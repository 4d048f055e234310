"""The adapter over Isaac Lab's `ManagerBasedRLEnv`."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import Any, cast

import gymnasium as gym
import torch
import warp as wp
from isaaclab.envs import VecEnvObs
from isaaclab.managers import ObservationTermCfg
from isaaclab.terrains import TerrainImporter
from torch import Tensor

import rlmpc.tasks  # noqa: F401  registers the gymnasium ids
from rlmpc.checkpoint.arrays import misfits
from rlmpc.contract.episode import Motion, Trial
from rlmpc.envs.isaaclab.contract import ROBOT, contract_of
from rlmpc.envs.isaaclab.driving import Driving
from rlmpc.envs.isaaclab.episode_end import HeldOutEnvs
from rlmpc.envs.isaaclab.masked_env import MaskedEnv
from rlmpc.envs.isaaclab.measuring import Measuring
from rlmpc.envs.isaaclab.state import load_state, state_of
from rlmpc.envs.isaaclab.substeps import bounded
from rlmpc.envs.saved_levels import levels_for
from rlmpc.envs.vec_env import Obs, Step
from rlmpc.tasks import mdp
from rlmpc.tasks.camera import take_pictures
from rlmpc.tasks.solver_demand import DEMAND, NewtonDemandManager
from rlmpc.tasks.terrains import follow_levels


def load_env_cfg(env_id: str) -> Any:
    """Return a new env config object of a registered gymnasium id."""
    module, name = gym.spec(env_id).kwargs["env_cfg_entry_point"].split(":")
    return getattr(importlib.import_module(module), name)()


class IsaacLabEnv:
    """N environments of one Isaac Lab task; implements `rlmpc.envs.vec_env.MeasurableEnv`.

    Args:
        cfg: an env config with a `finalize()` method that derives fields from others.
        num_envs: N.
        device: where physics and tensors live.
        seed: of the environment's random numbers (torch, NumPy and Python are seeded by Isaac Lab).
        value_group: observation group that terminal observations contain.
    """

    def __init__(self, cfg: Any, num_envs: int, device: torch.device, seed: int, value_group: str = "critic") -> None:
        cfg.scene.num_envs = num_envs
        cfg.sim.device = str(device)
        cfg.seed = seed
        cfg.finalize()
        self._env = MaskedEnv(cfg)
        self.num_envs = num_envs
        self.device = torch.device(self._env.device)
        self.step_dt = self._env.step_dt
        self.max_episode_length = self._env.max_episode_length
        self.promoting_speed = promoting_speed(self._env)
        self.contract = contract_of(self._env, self._env.nominal_gains)
        self.num_actions = self.contract.num_actions
        self._action_limit: float = cfg.action_limit
        self.obs_schema = self.contract.observations
        self._env.value_group = value_group
        self._measuring = Measuring(self._env, seed)
        self.terrains = self._measuring.terrains
        self.num_levels = self._measuring.num_levels
        self.command_names = self._measuring.command_names
        self.reasons = self._measuring.reasons
        self._demand = wp.to_torch(NewtonDemandManager.demand)

    @property
    def unwrapped(self) -> MaskedEnv:
        """Isaac Lab's environment, for tests and tools that inspect the simulation."""
        return self._env

    def driving(self, body_names: Sequence[str], feet: Sequence[str]) -> Driving:
        """Return what drives the robots live and looks at these bodies of them, among which are both feet."""
        return Driving(self._env, self._measuring, body_names, feet)

    @property
    def by_masks(self) -> bool:
        """Whether steps are those of `MaskedEnv`, which a GPU replays, instead of Isaac Lab's own; may change.

        Their tensors are overwritten by the next step. `measure` needs Isaac Lab's.
        """
        return self._env.is_masked

    @by_masks.setter
    def by_masks(self, by_masks: bool) -> None:
        if by_masks:
            self._env.use_masks()
        else:
            self._env.leave_masks()

    def reset(self) -> Obs:
        """Start a new episode everywhere."""
        self._env.is_recording = False
        obs, _ = self._env.reset()
        self._env.is_recording = True
        obs = _concatenated(obs)
        return self._env.begin_masked(obs) if self.by_masks else obs

    def step(self, actions: Tensor) -> Step:
        """Advance by one control step with raw actions (N, A); non-finite entries become 0."""
        if self.by_masks:
            return self._env.masked_step(actions)
        self._env.terminal_obs = None
        self._measuring.begin_step()
        obs, reward, terminated, truncated, _ = self._env.step(bounded(actions, self._action_limit))
        faulty = self._env.faulty
        terminated = terminated & ~faulty
        truncated = truncated & ~terminated & ~faulty
        return Step(
            _concatenated(obs),
            reward.clone(),
            terminated,
            truncated,
            faulty,
            self._env.terminal_obs,
            self._env.motion(),
        )

    def restart(self, mask: Tensor) -> None:
        """Start a new episode in the masked environments within the next step; see the contract."""
        self._env.restart_asked |= mask

    def stagger_episodes(self) -> None:
        """Give every environment a random episode age."""
        self._env.episode_length_buf.random_(self.max_episode_length)

    def place(self, trials: list[Trial], round_number: int = 0) -> None:
        """Set up the next episodes; see the contract."""
        self.by_masks = False
        self._measuring.place(trials, round_number)

    def grounds(self) -> list[str]:
        """Return the kind of ground of every environment."""
        return self._measuring.grounds()

    def hold_out(self, trials: Mapping[int, Trial]) -> None:
        """Keep environments out of training; see the contract."""
        self._env.hold_out(HeldOutEnvs(self._measuring.hold_out(trials), self._measuring.motion))

    def measure(self) -> Motion[Tensor]:
        """Measure how the robots move; see the contract."""
        return self._measuring.measure()

    def ended_by(self) -> Tensor:
        """Return which of `reasons` ended episodes in the last step, (N, K) bool."""
        return self._measuring.ended_by()

    def pictures(self) -> Tensor:
        """Return a picture of every robot, (N, height, width, 3) uint8 on the host.

        Raises:
            UserError: if the config has no camera; `rlmpc.tasks.camera.with_camera` adds one.
        """
        return take_pictures(self._env.scene, ROBOT)

    def pop_metrics(self) -> dict[str, tuple[Tensor, Tensor]]:
        """Return the episode means since the last call, the current curricula and what the solver was to hold."""
        *sums, episodes = self._env.episode_sums.clone().unbind()
        metrics = {name: (total, episodes) for name, total in zip(self._env.episode_names, sums, strict=True)}
        one = torch.ones((), device=self.device)
        for name, value in self._curriculum().items():
            metrics[f"curriculum/{name}"] = (torch.as_tensor(value, dtype=torch.float, device=self.device), one)
        self._env.episode_sums.zero_()
        return metrics | {f"sim/{name}": (value, one) for name, value in self._pop_demand().items()}

    def curriculum(self) -> dict[str, Any]:
        """Return terrain levels, command ranges, the state of the curriculum terms, and the step counter."""
        state: dict[str, Any] = {"step_counter": self._env.common_step_counter}
        terms = {name: term.state_dict() for name, term in self._stateful_terms().items()}
        if self._terrain.terrain_origins is not None:
            state |= {"levels": self._terrain.terrain_levels.clone(), "kinds": self._terrain.terrain_types.clone()}
        return state | {"terms": terms}

    def load_curriculum(self, curriculum: dict[str, Any], counters: bool = True) -> None:
        """Take over levels, command ranges and, if asked, counters; robots move there with the next `reset`.

        Terms that it lacks begin anew: those of another task, or switched on since.

        Raises:
            ValueError: if the state of a term is of another kind.
        """
        terms = self._stateful_terms()
        for name in terms.keys() & curriculum["terms"].keys():
            if lines := misfits(curriculum["terms"][name], terms[name].state_dict(), f"curriculum.terms.{name}"):
                raise ValueError(f"the curriculum is of another kind (there | here): {lines[0]}")
        if counters:
            self._env.common_step_counter = curriculum["step_counter"]
        else:
            terms = {name: term for name, term in terms.items() if name in self._env.command_manager.active_terms}
        for name in terms.keys() & curriculum["terms"].keys():
            terms[name].load_state_dict(curriculum["terms"][name])
        self._load_levels(curriculum)

    def state(self) -> dict[str, Any]:
        """Return everything that determines the next steps, by path; see `rlmpc.envs.isaaclab.state`."""
        self._env.update_buffers()
        return state_of(self._env, self)

    def load_state(self, state: dict[str, Any]) -> None:
        """Continue from what `state` returned; at least one step must have been taken before.

        Raises:
            ValueError: if the state is of another environment; nothing has been written then.
        """
        load_state(self._env, self, state)
        if self.by_masks:
            self._env.use_masks()

    def _load_levels(self, state: dict[str, Any]) -> None:
        terrain = self._terrain
        if "levels" in state and terrain.terrain_origins is not None:
            levels = levels_for(state, self.num_envs)
            terrain.terrain_levels.copy_(levels.clamp(max=terrain.max_terrain_level - 1))
            follow_levels(terrain)

    def close(self) -> None:
        """Shut the simulation down."""
        self._env.close()

    @property
    def _terrain(self) -> TerrainImporter:
        """The ground, which every task has."""
        terrain = self._env.scene.terrain
        assert terrain is not None
        return terrain

    def _stateful_terms(self) -> dict[str, Any]:
        """Return the command and curriculum terms that keep state across episodes, by name."""
        commands, curriculum = self._env.command_manager, self._env.curriculum_manager
        terms = {name: commands.get_term(name) for name in commands.active_terms}
        terms |= {name: cfg.func for name, cfg in zip(curriculum.active_terms, curriculum._term_cfgs, strict=True)}
        return {name: term for name, term in terms.items() if hasattr(term, "state_dict")}

    def _curriculum(self) -> dict[str, Any]:
        """Return what the curriculum terms last reported, flattened to `<term>` or `<term>/<quantity>`."""
        flat: dict[str, Any] = {}
        for name, value in self._env.curriculum_manager._curriculum_state.items():
            flat |= {f"{name}/{key}": v for key, v in value.items()} if isinstance(value, dict) else {name: value}
        return flat

    def _pop_demand(self) -> dict[str, Tensor]:
        """Return the demand for the solver's buffers since the last call, scalars; see `NewtonDemandManager`.

        Peaks are constraint rows in one environment, for `njmax`, and contacts and triangles per environment, for
        `nconmax` and `triangle_pairs_per_env`.
        """
        rows = zip(DEMAND, self._demand, strict=True)
        demand = {name: (row.max() if name.endswith("peak") else row.sum()).float() for name, row in rows}
        for name in ("contacts_peak", "triangles_peak"):
            demand[name] /= self.num_envs
        self._demand.zero_()
        return demand


def promoting_speed(env: MaskedEnv) -> float | None:
    """Return the commanded speed [m/s] up to which a robot that follows is not promoted; see the contract.

    It neither crosses its tile in the longest episode, nor walks far enough to be promoted at a time-out.
    """
    terrain = env.scene.terrain
    generator = None if terrain is None else terrain.cfg.terrain_generator
    terms = (term for term in env.curriculum_manager._term_cfgs if isinstance(term.func, mdp.TerrainLevels))
    params: dict[str, Any] | None = next((cast(Any, term.params) for term in terms), None)
    if params is None or generator is None:
        return None
    length_s = env.max_episode_length_s
    at_time_out = max(params.get("min_speed", 0.0), params.get("min_distance", 0.0) / length_s)
    return min(at_time_out, 0.5 * min(generator.size) / length_s)


def _concatenated(obs: VecEnvObs) -> Obs:
    """Return `obs` with its actual type: our groups concatenate terms, which Isaac Lab's annotation leaves open."""
    return cast(Obs, obs)


def configured_terms(cfg: Any) -> dict[str, dict[str, int]]:
    """Return the observations that an env config switches on: group -> term -> frames of history.

    A group's own history length, if it has one, replaces those of its terms, as in Isaac Lab.
    """

    def frames(group: Any) -> dict[str, int]:
        terms = {name: term for name, term in vars(group).items() if isinstance(term, ObservationTermCfg)}
        return {
            name: max(term.history_length if group.history_length is None else group.history_length, 1)
            for name, term in terms.items()
        }

    return {name: frames(group) for name, group in vars(cfg.observations).items() if group is not None}
