"""Numbers of the first robot on the page, over the last seconds, and its torques against their limits."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from itertools import cycle

import numpy as np
import viser
from viser import uplot

from rlmpc.contract.contract import Contract
from rlmpc.contract.live import Snapshot

WINDOW_S = 10.0
"""How much of the past the plots show."""

AXES = ("forward [m/s]", "left [m/s]", "yaw rate [rad/s]")
COMMANDED, MEASURED, BESIDE = "#999999", "#1f77b4", "#e07b28"
COLOURS = ("#1f77b4", "#e07b28", "#2ca02c", "#d62728", "#9467bd", "#8c564b", "#e377c2", "#17becf", "#bcbd22", "#393b79")
ESTIMATED = {
    "x": "#1f77b4", "true x": "#9fc5e2", "y": "#e07b28", "true y": "#f2c9a5", "z": "#2ca02c", "true z": "#a6d9a6",
}  # fmt: skip
"""Lines of the estimated velocity: as estimated and as it is, axis by axis."""


class TimePlot:
    """Lines over the last seconds.

    Args:
        server: where it is shown.
        title: above it.
        lines: colour of each line, by name.
        length: number of moments that it keeps.
        aspect: width by height.
    """

    def __init__(
        self, server: viser.ViserServer, title: str, lines: Mapping[str, str], length: int, aspect: float = 2.5
    ) -> None:
        self._rows: deque[Sequence[float]] = deque(maxlen=length)
        self.handle = server.gui.add_uplot(
            (np.zeros(1),) * (1 + len(lines)),
            (uplot.Series(label="s"), *(uplot.Series(label=name, stroke=colour) for name, colour in lines.items())),
            title=title,
            aspect=aspect,
            scales={"x": uplot.Scale(time=False)},
        )

    def add(self, time_s: float, numbers: Sequence[float]) -> None:
        """Note a moment."""
        self._rows.append((time_s, *numbers))

    def show(self) -> None:
        """Draw what was noted."""
        if self._rows:
            self.handle.data = tuple(np.array(self._rows, dtype=float).T.copy())


class Plots:
    """What is plotted of a world.

    Args:
        server: where.
        contract: names the joints, their limits and the control rate.
        snapshot: says which numbers there are.
        is_compared: whether the second robot is another policy's, whose velocity is shown too.
    """

    def __init__(self, server: viser.ViserServer, contract: Contract, snapshot: Snapshot, is_compared: bool) -> None:
        self._server, self._dt, self._time_s, self._is_compared = server, contract.control_dt, 0.0, is_compared
        self._length = round(WINDOW_S / self._dt)
        self._names, self._limits = contract.joints["names"], np.array(contract.joints["effort_limit"])
        lines = {"commanded": COMMANDED, "measured": MEASURED} | ({"beside": BESIDE} if is_compared else {})
        gui = server.gui
        with gui.add_folder("velocity"):
            self.velocities = [TimePlot(server, axis, lines, self._length) for axis in AXES]
        self.estimate: TimePlot | None = None
        self._estimate_folder = gui.add_folder("estimated velocity", visible=False)
        with gui.add_folder("torques"):
            self.torques = self._add_torques()
            self.hardest = gui.add_text("most loaded joint", "", disabled=True)
        with gui.add_folder("contact"):
            feet = {"left": MEASURED, "right": BESIDE}
            self.feet = TimePlot(server, "normal force on the feet [N]", feet, self._length)
        self.rewards: TimePlot | None = None
        if snapshot.rewards:
            with gui.add_folder("rewards"):
                terms = dict(zip(snapshot.rewards, cycle(COLOURS), strict=False))
                self.rewards = TimePlot(server, "weighted reward terms [1/s]", terms, self._length, aspect=1.2)

    def add(self, command: Sequence[float], snapshot: Snapshot) -> None:
        """Note a control step."""
        self._time_s += self._dt
        robots = snapshot.velocity[: 2 if self._is_compared else 1]
        for axis, plot in enumerate(self.velocities):
            plot.add(self._time_s, (command[axis], *robots[:, axis]))
        self.feet.add(self._time_s, snapshot.foot_force[0].tolist())
        if self.rewards is not None:
            self.rewards.add(self._time_s, list(snapshot.rewards.values()))
        if snapshot.estimated_velocity is not None:
            self._add_estimate(snapshot.estimated_velocity, snapshot.true_velocity[0])

    def show(self, snapshot: Snapshot) -> None:
        """Draw what was noted, and the torques of now."""
        for plot in (*self.velocities, self.feet, self.rewards, self.estimate):
            if plot is not None:
                plot.show()
        shares = snapshot.joint_torque[0] / self._limits
        self.torques.data = (np.arange(len(shares), dtype=float), shares)
        worst = int(np.abs(shares).argmax())
        torque, limit = snapshot.joint_torque[0, worst], self._limits[worst]
        self.hardest.value = f"{self._names[worst]}: {torque:.0f} of {limit:g} N m"

    def _add_estimate(self, estimated: np.ndarray, true: np.ndarray) -> None:
        """Note the velocity that the policy takes for the true one; the first policy that does so gets a plot."""
        if self.estimate is None:
            with self._estimate_folder:
                title = "velocity in the root's frame [m/s]"
                self.estimate = TimePlot(self._server, title, ESTIMATED, self._length, aspect=1.6)
            self._estimate_folder.visible = True
        self.estimate.add(self._time_s, np.stack([estimated, true], axis=1).ravel().tolist())

    def _add_torques(self) -> viser.GuiUplotHandle:
        joints = np.arange(len(self._names), dtype=float)
        return self._server.gui.add_uplot(
            (joints, np.zeros_like(joints)),
            (uplot.Series(label="joint"), uplot.Series(label="torque / limit", stroke=MEASURED, width=2)),
            title="joint torques / limits",
            aspect=2.5,
            scales={"x": uplot.Scale(time=False), "y": uplot.Scale(auto=False, range=(-1.0, 1.0))},
        )
