"""Numbers of the first robot on the page: velocity as commanded and as measured, torques against their limits."""

from __future__ import annotations

from collections import deque

import numpy as np
import viser
from viser import uplot

from rlmpc.contract.contract import Contract
from rlmpc.contract.live import Snapshot

WINDOW_S = 10.0
"""How much of the past the plots show."""

AXES = ("forward [m/s]", "left [m/s]", "yaw rate [rad/s]")
COMMANDED, MEASURED = "#999999", "#1f77b4"


class Plots:
    """A plot for each number of the command, and one for the torques.

    Args:
        server: where they are shown.
        contract: names the joints, their limits and the control rate.
    """

    def __init__(self, server: viser.ViserServer, contract: Contract) -> None:
        self._dt = contract.control_dt
        self._names, self._limits = contract.joints["names"], np.array(contract.joints["effort_limit"])
        # Seconds, then three commanded and three measured numbers.
        self._rows: deque[np.ndarray] = deque(maxlen=round(WINDOW_S / self._dt))
        self._time_s = 0.0
        nothing = np.zeros(1)
        lines = (uplot.Series(label="commanded", stroke=COMMANDED), uplot.Series(label="measured", stroke=MEASURED))
        self.velocities = [
            server.gui.add_uplot(
                (nothing, nothing, nothing), (uplot.Series(label="s"), *lines), title=axis, aspect=2.5,
                scales={"x": uplot.Scale(time=False)},
            )
            for axis in AXES
        ]  # fmt: skip
        joints = np.arange(len(self._names), dtype=float)
        self.torques = server.gui.add_uplot(
            (joints, np.zeros_like(joints)),
            (uplot.Series(label="joint"), uplot.Series(label="torque / limit", stroke=MEASURED, width=2)),
            title="joint torques / limits",
            aspect=2.5,
            scales={"x": uplot.Scale(time=False), "y": uplot.Scale(auto=False, range=(-1.0, 1.0))},
        )
        self.hardest = server.gui.add_text("most loaded joint", "", disabled=True)

    def add(self, command: tuple[float, ...], snapshot: Snapshot) -> None:
        """Note a control step of the first robot."""
        self._time_s += self._dt
        self._rows.append(np.array([self._time_s, *command, *snapshot.velocity[0]]))

    def show(self, snapshot: Snapshot) -> None:
        """Draw what was noted, and the torques of now."""
        if not self._rows:
            return
        rows = np.stack(self._rows)
        for axis, plot in enumerate(self.velocities):
            plot.data = (rows[:, 0], rows[:, 1 + axis], rows[:, 4 + axis])
        shares = snapshot.joint_torque[0] / self._limits
        self.torques.data = (np.arange(len(shares), dtype=float), shares)
        worst = int(np.abs(shares).argmax())
        self.hardest.value = (
            f"{self._names[worst]}: {snapshot.joint_torque[0, worst]:.0f} of {self._limits[worst]:g} N m"
        )
