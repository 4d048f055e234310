"""Settings of the predictive controller."""

from __future__ import annotations

from dataclasses import dataclass

from rlmpc.config.installed import is_installed
from rlmpc.config.setting import setting
from rlmpc.errors import UserError


@dataclass
class MpcSettings:
    """Model, cost, constraints and solver of one prediction; weights are of squared errors, in order x, y, z."""

    horizon: int = setting(10, least=1, largest=40)
    """N, steps that are looked ahead."""
    step_s: float = setting(0.035, above=0, largest=0.2)
    """Duration of one of them."""
    com_height: float = setting(0.62, above=0, largest=5)
    """Of the centre of mass above the feet, m; low enough that a foot reaches behind."""
    orientation_weights: list[float] = setting([200.0, 200.0, 100.0], least=0, largest=1e6)
    """Of roll, pitch, yaw, per rad^2."""
    position_weights: list[float] = setting([30.0, 30.0, 400.0], least=0, largest=1e6)
    """Of the centre of mass, per m^2."""
    angular_velocity_weights: list[float] = setting([2.0, 2.0, 1.0], above=0, largest=1e6)
    """Per (rad/s)^2."""
    velocity_weights: list[float] = setting([10.0, 10.0, 10.0], above=0, largest=1e6)
    """Per (m/s)^2."""
    force_weight: float = setting(1.0e-5, above=0, largest=1e3)
    """Per N^2, about an equal share of the weight on each foot that is down."""
    moment_weight: float = setting(1.0e-4, above=0, largest=1e3)
    """Per (N m)^2."""
    friction: float = setting(0.3, above=0, largest=5)
    """Coefficient that the forces respect; below the floor's."""
    force_ceiling: float = setting(2.0, above=0.5, largest=20)
    """Largest normal force of a foot, in body weights."""
    sole_share: float = setting(0.85, above=0, most=1)
    """Part of the sole in which the centre of pressure may lie."""
    yaw_moment_m: float = setting(0.04, above=0, largest=1)
    """Largest moment about the vertical per normal force, N m/N."""
    solver: str = setting("admm", choices=("admm", "closed_form"))
    """A key of `rlmpc.mpc.solvers.SOLVERS`."""
    iterations: int = setting(100, least=1, largest=1000)
    """Of `admm`, always all of them."""
    fused: bool = True
    """Whether kernels of our own do it, where what compiles them is installed: legs, gait and torques as six of Warp;
    iterations as one of Warp on the CPU, and on a GPU, for horizons up to 10, they and the factorisation as one of
    Triton each."""
    penalty: float = setting(0.3, above=0, largest=1e3)
    """Of `admm`, relative to the one that its curvature suggests."""
    over_relaxation: float = setting(1.9, above=0, below=2)
    """Of `admm`; 1 is none."""
    residual_bound: float = setting(1.0, above=0, largest=100)
    """Largest residual of a solve that is applied, in body weights; see `Solution.residual`. Mostly below 0.001."""
    max_failures: int = setting(10, least=1, largest=10**6)
    """Solves in a row that may fail before the environment counts as broken."""

    @property
    def uses_warp(self) -> bool:
        """Whether kernels of Warp do what they can."""
        return self.fused and is_installed("warp")

    def check(self) -> None:
        """Refuse lists of weights that are not three numbers.

        Raises:
            UserError: if there is one.
        """
        for name in ("orientation_weights", "position_weights", "angular_velocity_weights", "velocity_weights"):
            if len(weights := getattr(self, name)) != 3:
                raise UserError(f"'{name}' must be three numbers, for x, y and z, not {weights}")
