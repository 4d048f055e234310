"""The controller of one robot, as a contract describes it, for callers that know numpy alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np
import torch

from rlmpc.config.fill import fill
from rlmpc.config.setting import check_settings
from rlmpc.errors import UserError
from rlmpc.mpc.controller import Controller
from rlmpc.mpc.parameters import WIDTHS, Parameters
from rlmpc.mpc.robot import MpcRobot
from rlmpc.mpc.settings import MpcSettings
from rlmpc.mpc.state import RobotState
from rlmpc.mpc.walk_settings import WalkSettings
from rlmpc.robots.robot import Robot


class SingleController:
    """Plans and makes torques as `rlmpc.tasks.mdp.MpcAction` does, for one robot on the CPU.

    A state is a sequence of arrays, the fields of `RobotState` without their first dimension.

    Args:
        robot: which robot it moves.
        term: the action term in the contract: what actions do to which parameters, and all settings.

    Raises:
        UserError: if no controller can be made of these.
    """

    def __init__(self, robot: Robot, term: Mapping[str, Any]) -> None:
        model, walk = MpcSettings(), WalkSettings()
        for part, settings in (("model", model), ("walk", walk)):
            _read(settings, term, part)
        model.check()
        facts = MpcRobot.of(robot)
        self._make = lambda: Controller(facts, model, walk, 1, "cpu")
        self._names = tuple(dict.fromkeys(term["parameters"]))
        if list(term["parameters"]) != [name for name in self._names for _ in range(WIDTHS.get(name, 0))]:
            raise UserError(
                f"the parameters of the action '{term['name']}' are {term['parameters']}; accepted: "
                f"{', '.join(f'{name} ({width}x)' for name, width in WIDTHS.items())}"
            )
        self._offset, self._scale, self._low, self._high = (
            torch.tensor([term[key]], dtype=torch.float32) for key in ("offset", "scale", "low", "high")
        )
        self._parameters = Parameters.nominal(model, walk, 1)
        self.reset()

    @property
    def leg_phase(self) -> np.ndarray:
        """Phase of each leg in [0, 1), left then right, (2,)."""
        return self._controller.leg_phase[0].numpy()

    @property
    def planned_contacts(self) -> np.ndarray:
        """1 where a foot is planned to be down, else 0: left and right in each step of the horizon, (2 H,)."""
        return self._controller.contact_table[0].float().flatten().numpy()

    @property
    def deviations(self) -> np.ndarray:
        """Distances of the parameters that actions set from the nominal ones, by their scales, (A,)."""
        return ((self._values - self._offset) / self._scale)[0].numpy()

    def planned_wrench(self, yaw: float) -> np.ndarray:
        """Return `Controller.relative_wrench` in this heading [rad], (12,)."""
        return self._controller.relative_wrench(torch.tensor([yaw], dtype=torch.float32))[0].numpy()

    def reset(self) -> None:
        """Begin anew, standing, with nominal parameters; the first plan tells where."""
        self._controller, self._is_new, self._values = self._make(), True, self._offset.clone()

    def plan(self, state: Sequence[np.ndarray], command: np.ndarray, action: np.ndarray) -> None:
        """Plan the next control step, with parameters from raw actions (A,), for vx, vy [m/s] and yaw rate (3,)."""
        now = _row(state)
        if self._is_new:
            self._controller.reset(torch.ones(1, dtype=torch.bool), now)
            self._is_new = False
        raw = torch.as_tensor(action, dtype=torch.float32)[None]
        self._values = torch.addcmul(self._offset, self._scale, raw).clamp(self._low, self._high)
        self._parameters.set(self._names, self._values)
        self._controller.plan(now, torch.as_tensor(command, dtype=torch.float32)[None], self._parameters)

    def torques(self, state: Sequence[np.ndarray]) -> np.ndarray:
        """Return the efforts of the next physics step (J,) [N m], joints in the description's order."""
        return self._controller.torques(_row(state))[0].numpy()


def _read(settings: Any, term: Mapping[str, Any], part: str) -> None:
    """Take over all settings of a part of the controller, `<part>.<name>` in the term."""
    given = {name.removeprefix(f"{part}."): value for name, value in term.items() if name.startswith(f"{part}.")}
    if missing := [field.name for field in fields(settings) if field.name not in given]:
        raise UserError(f"the action '{term['name']}' of the policy lacks '{part}.{missing[0]}'")
    fill(settings, given, f"{part}.", is_typed=False)
    check_settings(settings, f"{part}.")


def _row(state: Sequence[np.ndarray]) -> RobotState:
    return RobotState(*(torch.as_tensor(values, dtype=torch.float32)[None] for values in state))
