"""Observations without history buffers: each is made from the one before and a new frame of every term."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import torch
from isaaclab.envs import ManagerBasedEnv
from isaaclab.managers import ManagerTermBase, ObservationTermCfg, SceneEntityCfg
from isaaclab.utils.noise import NoiseCfg
from torch import Tensor

from rlmpc.envs.vec_env import Obs
from rlmpc.graphs import at_once
from rlmpc.tasks.mdp.observations import PhysicsParameter


@dataclass
class _Group:
    """An observation group, in the order of its terms."""

    terms: list[ObservationTermCfg]
    widths: list[int]
    """Of one frame of each term."""
    read: list[int]
    """For each term, which of the distinct readings it takes."""
    last: Tensor
    """The observation before, (N, D)."""
    shift: Tensor
    """Columns of (observation before, new frames) that make the next observation, (D,)."""
    first: Tensor
    """Columns of the new frames that make the first observation of an episode: every frame is the new one, (D,)."""


def unfit_terms(env: ManagerBasedEnv) -> list[str]:
    """Return the observation terms that keep more than a history of frames, as paths of the config."""
    manager = env.observation_manager
    return [
        f"observations.{group}.{name}"
        for group, names in manager.active_terms.items()
        for name, term in zip(names, manager._group_obs_term_cfgs[group], strict=True)
        if term.modifiers or name in manager._group_obs_term_delay_buffer[group] or _is_stateful(term)
    ]


def _is_stateful(term: ObservationTermCfg) -> bool:
    has_memory = isinstance(term.func, ManagerTermBase) and not isinstance(term.func, PhysicsParameter)
    return has_memory or not (term.noise is None or isinstance(term.noise, NoiseCfg))


class FrameObserver:
    """Computes what Isaac Lab's observation manager does, in few kernels and without Python branches on data.

    A reading that several terms share is taken once, and groups that hold the same are one tensor. The observations are
    overwritten by the next `observe`. Isaac Lab's history buffers are not kept up; see `to_buffers`.

    Args:
        env: an environment that has been reset, without `unfit_terms`.
    """

    def __init__(self, env: ManagerBasedEnv) -> None:
        self._env = env
        self._manager = env.observation_manager
        self._readings: list[ObservationTermCfg] = []
        self._groups: dict[str, _Group] = {}
        self._same_as: dict[str, str] = {}
        for name, terms in self._manager._group_obs_term_cfgs.items():
            twin = next((other for other, group in self._groups.items() if _same(group.terms, terms)), None)
            if twin is None:
                self._groups[name] = self._group(name, terms)
            self._same_as[name] = twin or name
        self.from_buffers()

    def begin(self, obs: Obs) -> Obs:
        """Go on from observations that Isaac Lab's own way has computed; return them as one tensor for equal groups."""
        for name, group in self._groups.items():
            group.last.copy_(obs[name])
        return self._current()

    def observe(self, starts: Tensor) -> Obs:
        """Return every group, (N, D_g); where an episode `starts`, (N,) bool, all frames are the new one."""
        readings = [self._read(term) for term in self._readings]
        device, groups = torch.device(self._env.device), list(self._groups.values())
        frames = [[readings[index] for index in group.read] for group in groups]
        noisy = [(i, j) for i, group in enumerate(groups) for j, term in enumerate(group.terms) if term.noise]
        add = [partial(_with_noise, groups[i].terms[j], frames[i][j]) for i, j in noisy]
        for (i, j), frame in zip(noisy, at_once(device, add), strict=True):
            frames[i][j] = frame
        at_once(device, [partial(self._advance, g, new, starts) for g, new in zip(groups, frames, strict=True)])
        return self._current()

    def terminal(self, name: str) -> Tensor:
        """Return one group (N, D_g) as it is before any environment is reset; nothing changes."""
        group = self._groups[self._same_as[name]]
        readings = {index: self._read(self._readings[index]) for index in sorted(set(group.read))}
        frames = [_with_noise(term, readings[index]) for term, index in zip(group.terms, group.read, strict=True)]
        return torch.cat([group.last, _as_seen(group, frames)], dim=1).index_select(1, group.shift)

    def from_buffers(self) -> None:
        """Go on from the histories in Isaac Lab's buffers."""
        for name, group in self._groups.items():
            for buffer, columns in self._histories(name):
                group.last[:, columns] = buffer.buffer.reshape(len(group.last), -1)

    def to_buffers(self) -> None:
        """Bring Isaac Lab's history buffers up to date, for whoever reads the environment's state."""
        for name, same in self._same_as.items():
            for buffer, columns in self._histories(name):
                frames = self._groups[same].last[:, columns].view(buffer.batch_size, buffer.max_length, -1)
                buffer.buffer.copy_(frames.view_as(buffer.buffer))
                buffer._num_pushes.fill_(buffer.max_length)
                buffer._need_reset = False

    def _current(self) -> Obs:
        return {name: self._groups[same].last for name, same in self._same_as.items()}

    def _group(self, name: str, terms: list[ObservationTermCfg]) -> _Group:
        read, shift, first = [], [], []
        widths = [self._read(term).shape[1] for term in terms]
        dim = sum(width * max(term.history_length, 1) for width, term in zip(widths, terms, strict=True))
        column = frame = 0
        for term, width in zip(terms, widths, strict=True):
            known = (i for i, other in enumerate(self._readings) if _same_reading(other, term))
            read.append(next(known, len(self._readings)))
            if read[-1] == len(self._readings):
                self._readings.append(term)
            length = max(term.history_length, 1)
            newest = range(frame, frame + width)
            shift += [*range(column + width, column + width * length), *(dim + i for i in newest)]
            first += [*newest] * length
            column, frame = column + width * length, frame + width
        device = self._env.device
        last = torch.zeros(self._env.num_envs, dim, device=device)
        columns = (torch.tensor(numbers, device=device) for numbers in (shift, first))
        return _Group(terms, widths, read, last, *columns)

    def _advance(self, group: _Group, frames: list[Tensor], starts: Tensor) -> None:
        """Make the next observation of a group from new frames of its terms."""
        new = _as_seen(group, frames)
        shifted = torch.cat([group.last, new], dim=1).index_select(1, group.shift)
        torch.where(starts.unsqueeze(1), new.index_select(1, group.first), shifted, out=group.last)

    def _read(self, term: ObservationTermCfg) -> Tensor:
        return cast(Tensor, term.func(self._env, **term.params))

    def _histories(self, name: str) -> Iterable[tuple[Any, slice]]:
        """Yield the history buffers of a group that hold something, and the columns that they make."""
        column = 0
        buffers, group = self._manager._group_obs_term_history_buffer[name], self._groups[self._same_as[name]]
        for term_name, term, width in zip(self._manager.active_terms[name], group.terms, group.widths, strict=True):
            width *= max(term.history_length, 1)
            if term.history_length > 0 and buffers[term_name]._buffer is not None:
                yield buffers[term_name], slice(column, column + width)
            column += width


def _with_noise(term: ObservationTermCfg, frame: Tensor) -> Tensor:
    """Return a frame (N, D) with the noise of its term, if it has any."""
    return term.noise.func(frame, term.noise) if isinstance(term.noise, NoiseCfg) else frame


def _as_seen(group: _Group, frames: Iterable[Tensor]) -> Tensor:
    """Return frames of a group's terms clipped and scaled, one after the other."""
    seen = []
    for term, frame in zip(group.terms, frames, strict=True):
        if term.clip:
            frame = frame.clip(*term.clip)
        if term.scale is not None:
            frame = frame * term.scale
        seen.append(frame)
    return torch.cat(seen, dim=1)


def _same(terms: list[ObservationTermCfg], others: list[ObservationTermCfg]) -> bool:
    """Return whether two groups always hold the same numbers."""
    return len(terms) == len(others) and all(
        _same_reading(term, other)
        and term.noise is None
        and other.noise is None
        and _plain([term.clip, term.scale, term.history_length])
        == _plain([other.clip, other.scale, other.history_length])
        for term, other in zip(terms, others, strict=True)
    )


def _same_reading(term: ObservationTermCfg, other: ObservationTermCfg) -> bool:
    """Return whether two terms call the same function with the same parameters."""
    functions = [type(t.func) if isinstance(t.func, ManagerTermBase) else t.func for t in (term, other)]
    return functions[0] is functions[1] and _plain(term.params) == _plain(other.params)


def _plain(value: Any) -> Any:
    """Return parameters in a form that can be compared: tensors as lists, what selects parts of a robot as a dict."""
    if isinstance(value, Tensor):
        return value.tolist()
    if isinstance(value, SceneEntityCfg):
        return _plain(vars(value))
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, list) else value
