"""What the simulator compiles, in processes that have compiled nothing yet."""

from __future__ import annotations

import sys

import pytest

pytestmark = pytest.mark.sim

MAKE_CONFIG = """
from rlmpc.config.train import TaskCfg
from rlmpc.envs.make import env_config
env_config(TaskCfg(name="blind_rl", simulator="isaaclab", env_id="RLMPC-Blind-Flat-G1-v0"), {})
import warp as wp
from rlmpc.envs.isaaclab import kernels
import importlib
for name in kernels._LARGE_MODULES:
    importlib.import_module(name)
print([name for name in kernels._LARGE_MODULES if wp.get_module(name).options["enable_backward"]])
"""


def test_kernels_of_derivatives_are_not_compiled(warm):
    done = warm.run([sys.executable, "-c", MAKE_CONFIG], timeout=300)
    assert (done.returncode, done.stdout.splitlines()[-1:]) == (0, ["[]"]), done.stderr


def test_large_modules_are_there_and_have_kernels():
    import importlib

    import warp as wp

    from rlmpc.envs.isaaclab import kernels

    for name in kernels._LARGE_MODULES:
        importlib.import_module(name)
        assert wp.get_module(name).kernels, name
