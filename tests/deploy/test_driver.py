"""What drives a robot is what plays in MuJoCo."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from rlmpc.contract.episode import Trial
from rlmpc.deploy.driver import Driver
from rlmpc.deploy.robot import RobotState
from rlmpc.errors import UserError
from rlmpc.export.deployment import load_deployment
from rlmpc.sim2sim.walker import Walker
from tests.sim2sim.test_deploy_page import sensitive_graph


def test_a_driver_gives_the_targets_of_the_walker_in_mujoco_to_the_bit(export):
    deployment, command = load_deployment(export(sensitive_graph)), (0.5, -0.1, 0.3)
    walker, driver = Walker(deployment, Trial("flat", 0, command)), Driver(deployment)
    walker.start(np.random.default_rng(0))
    driver.reset(np.random.default_rng(1))
    simulation = walker.simulation
    driver._senses.actions.clock.phase = simulation.actions.clock.phase
    for _ in range(20):
        sensed = (simulation.joint_pos, simulation.joint_vel, simulation.joint_torque, simulation.root_quat_wxyz)
        state = RobotState(0.0, *(values.copy() for values in (*sensed, simulation.root_ang_vel_b)))
        walker.step()
        np.testing.assert_array_equal(driver.step(state, command).targets, simulation.data.ctrl)


def test_a_policy_that_needs_a_scan_is_refused(export, contract_data):
    contract_data["observations"]["policy"].append(
        {"name": "height_scan", "dim": 243, "history": 1, "scale": 1.0, "clip": None}
    )
    with pytest.raises(UserError, match="'height_scan' of group 'policy' cannot be sensed on a robot; it serves joint"):
        Driver(load_deployment(export(contract=contract_data)))


def test_the_loop_imports_neither_torch_nor_a_simulator(export):
    code = (
        "import sys, rlmpc.deploy.__main__, rlmpc.deploy.loop, rlmpc.deploy.g1, rlmpc.deploy.unitree\n"
        "from pathlib import Path\n"
        "from rlmpc.export.deployment import load_deployment\n"
        f"rlmpc.deploy.driver.Driver(load_deployment(Path({str(export())!r})))\n"
        "print(sorted({'torch', 'isaaclab', 'lightning', 'mujoco', 'warp', 'rich', 'omegaconf'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_policy_that_acts_through_a_predictive_controller_is_refused(export, controlled_data):
    path = export(contract=controlled_data)
    with pytest.raises(UserError, match="which needs the velocity of the root, and robots tell none here"):
        Driver(load_deployment(path))
