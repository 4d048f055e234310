"""The physics steps of an environment's step, and what Isaac Lab does before and between them, which a GPU replays."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import torch
import warp as wp
from isaaclab.envs import ManagerBasedRLEnv
from isaaclab.scene import InteractiveScene
from torch import Tensor

from rlmpc.graphs import Replayed
from rlmpc.tasks import mdp

HOLDING_ACTIONS = (mdp.JointPositionAction, mdp.JointVelocityAction, mdp.JointEffortAction, mdp.GaitCycleAction)
"""Kinds of actions, no subclasses, that ask for the same in all physics steps of a step; applied once, they hold."""


class Substeps:
    """Advances physics by one step of an environment; `update_scene` must follow, as part of what a GPU records next.

    What keeps no number on the host is recorded: actions that hold, and drives that Isaac Lab computes in one kernel or
    leaves to the simulator. Others take Isaac Lab's way.

    Args:
        env: the environment, whose scene has no `unfit_entities`.
    """

    def __init__(self, env: ManagerBasedRLEnv) -> None:
        self._env = env
        self._device = torch.device(env.device)
        self._steps_per_call = env.cfg.decimation if env._physics_handles_decimation else 1
        self._dt = env.physics_dt * self._steps_per_call
        terms = [env.action_manager.get_term(name) for name in env.action_manager.active_terms]
        self._holds = all(type(term) in HOLDING_ACTIONS for term in terms)
        self._before: Callable[[Tensor], None] = self._before_physics
        self._between: Callable[[], None] = self._between_substeps
        if self._holds and not any(_computes_in_python(robot) for robot in env.scene.articulations.values()):
            launched = on_torch_stream(self._device)
            self._before = Replayed(launched(self._before_physics), self._device)
            self._between = Replayed(launched(self._between_substeps), self._device, at_replay=self.pass_time)

    def advance(self, action: Tensor) -> None:
        """Do all that comes before the last update of the scene, with an `action` (N, A), finite or not."""
        self._before(action)
        for step in range(0, self._env.cfg.decimation, self._steps_per_call):
            if step > 0:
                self._between()
            self._env._sim_step_counter += self._steps_per_call
            self._env.sim.step(render=False)

    def update_scene(self) -> None:
        """Let the robots and sensors take over the result of physics; whoever records this needs `pass_time`."""
        self._env.scene.update(dt=self._dt)

    def pass_time(self) -> None:
        """Change what `update_scene` changes on the host: what it launches is replayed."""
        for robot in self._env.scene.articulations.values():
            data = cast(Any, robot.data)
            data._sim_timestamp += self._dt
            data._joint_acc.timestamp = data._body_com_acc_w.timestamp = data._sim_timestamp
        for sensor in self._env.scene.sensors.values():
            sensor._data_dirty = True

    def _before_physics(self, action: Tensor) -> None:
        """Tell the simulator what is asked for."""
        self._env.action_manager.process_action(bounded(action, cast(Any, self._env.cfg).action_limit))
        self._env.action_manager.apply_action()
        self._env.scene.write_data_to_sim()

    def _between_substeps(self) -> None:
        """Let drives follow what physics has made."""
        self.update_scene()
        if not self._holds:
            self._env.action_manager.apply_action()
        self._env.scene.write_data_to_sim()


def bounded(action: Tensor, limit: float) -> Tensor:
    """Return an action (N, A) between -`limit` and `limit`; entries that are not finite become 0."""
    return action.nan_to_num(0.0, 0.0, 0.0).clamp(-limit, limit)


def unfit_entities(scene: InteractiveScene) -> list[str]:
    """Return what `Substeps.pass_time` passes over, as paths of the config: not robots and sensors read on demand."""
    kinds = ("cable_objects", "deformable_objects", "rigid_objects", "rigid_object_collections", "surface_grippers")
    entities = [f"scene.{name}" for kind in kinds for name in getattr(scene, kind)]
    return entities if scene.cfg.lazy_sensor_update else [*entities, "scene.lazy_sensor_update"]


def _computes_in_python(robot: Any) -> bool:
    """Return whether drives of a robot are torch code of Isaac Lab's, which may keep numbers on the host."""
    return bool(robot.actuators._execution_actuators)


@contextmanager
def on_torch_stream(device: torch.device) -> Iterator[None]:
    """Have Warp launch its kernels on torch's current stream, and take part in what torch records there."""
    if device.type != "cuda":
        yield
        return
    stream = wp.stream_from_torch(torch.cuda.current_stream(device))
    # Isaac Lab refuses to compute values on demand while Warp's default device records, because a replay would not see
    # that they are old. A recorded step computes them anew; every launch here names its device.
    with wp.ScopedStream(stream, sync_enter=False), wp.ScopedDevice("cpu"):
        if not stream.is_capturing:
            yield
            return
        wp.capture_begin(stream=stream, external=True)
        try:
            yield
        finally:
            wp.capture_end(stream=stream)
