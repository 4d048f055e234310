"""The solvers of the controller's quadratic programmes, by name."""

from __future__ import annotations

from rlmpc.mpc.admm import Admm
from rlmpc.mpc.closed_form import ClosedForm

SOLVERS = {"admm": Admm, "closed_form": ClosedForm}
"""Value of `MpcSettings.solver` -> its class, made of model, cone and settings, called with `Problem` and `Iterate`."""
