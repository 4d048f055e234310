"""The base task with a robot of other names and fewer parts; `docs/add-a-robot.md` step by step."""

from pathlib import Path

import pytest
import torch

from rlmpc.config.train import TaskCfg
from rlmpc.errors import UserError

pytestmark = pytest.mark.sim

TASK = TaskCfg(name="phase_1_scan_rl", simulator="isaaclab", env_id="RLMPC-Phase1-Scan-G1-v0")
NUM_ENVS = 8
OFF = {"arm_deviation", "waist_deviation", "hip_deviation"}
"""Rewards about parts that the biped does not have."""


def configure(**overrides):
    """The configuration with overrides, given as `path=value` with paths below `env`."""
    from rlmpc.envs.make import env_config

    return env_config(TASK, overrides)


def rewards_of(cfg) -> set[str]:
    return {name for name, term in vars(cfg.rewards).items() if term is not None}


@pytest.fixture(scope="module")
def adapter(biped):
    from rlmpc.envs.isaaclab.env import IsaacLabEnv

    cfg = configure(robot="biped", **{"scene.terrain.terrain_generator.num_rows": 2})
    adapter = IsaacLabEnv(cfg, NUM_ENVS, torch.device("cpu"), seed=1)
    yield adapter
    adapter.close()


def test_the_guide_shows_the_config_that_is_tested_here(biped) -> None:
    root = Path(__file__).parents[2]
    config = (root / "tests/robots/biped/config.py").read_text()
    lines = config[config.index("BIPED =") :].splitlines()
    guide = (root / "docs/add-a-robot.md").read_text()
    assert "\n".join(f"        {line}" for line in lines) in guide


def test_terms_of_parts_that_the_robot_lacks_are_off_and_all_others_on(biped) -> None:
    assert rewards_of(configure()) - rewards_of(configure(robot="biped")) == OFF
    assert rewards_of(configure(robot="biped")) < rewards_of(configure())


def test_terms_name_the_parts_of_the_robot(biped) -> None:
    cfg = configure(robot="biped")
    assert cfg.rewards.ankle_torque.params["asset_cfg"].joint_names == ["ankle_left", "ankle_right"]
    assert cfg.rewards.gait_phase.params["sensor_cfg"].body_names == ["foot_left", "foot_right"]
    grounded = cfg.rewards.undesired_contacts.params["sensor_cfg"].body_names
    assert grounded == ["trunk", "thigh_left", "shank_left", "thigh_right", "shank_right"]
    assert cfg.events.torso_mass.params["asset_cfg"].body_names == ["trunk"]
    assert cfg.observations.critic.base_height.params["sole_offset"] == 0.04
    assert cfg.actions.joint_pos.scale["knee_left"] == pytest.approx(0.25 * 60.0 / 40.0)
    assert cfg.scene.robot.init_state.pos[2] == 0.6
    assert cfg.scene.height_scanner.prim_path.endswith("/trunk")


def test_overrides_of_the_robot_and_of_terms_survive(biped) -> None:
    overrides = {"scene.robot.soft_joint_pos_limit_factor": 0.8, "actions.joint_pos.scale.left_knee_joint": 0.1}
    cfg = configure(**overrides)
    assert cfg.scene.robot.soft_joint_pos_limit_factor == 0.8
    assert cfg.actions.joint_pos.scale["left_knee_joint"] == 0.1
    assert configure(robot="biped", **{"rewards.ankle_torque.weight": -1.0}).rewards.ankle_torque.weight == -1.0


def test_unknown_robots_and_parts_are_refused(biped) -> None:
    from rlmpc.tasks.blind_rl.env_cfg import BlindEnvCfg
    from rlmpc.tasks.robot_parts import use_parts

    with pytest.raises(UserError, match="unknown robot 'bipedd'; known: g1_29dof, biped; did you mean 'biped'"):
        configure(robot="bipedd")
    cfg = BlindEnvCfg()
    cfg.rewards.arm_deviation.params["asset_cfg"].part = "arm"
    with pytest.raises(ValueError, match=r"no part 'arm'; its parts are arms, waist, .*; did you mean 'arms'"):
        use_parts(cfg, biped)


def test_a_robot_with_more_parts_is_no_override_of_one_with_fewer(biped) -> None:
    cfg = configure(robot="biped")
    cfg.robot = "g1_29dof"
    with pytest.raises(ValueError, match="g1_29dof has arms, waist, hip_roll_yaw, yaw, which biped"):
        cfg.finalize()


def test_random_steps_stay_finite(adapter) -> None:
    assert adapter.num_actions == 7
    obs = adapter.reset()
    # The scan; 6 joints x 10 frames twice, 7 actions, 13 others. Without frames of before: 6 joints twice, 7 actions,
    # 13 others; of the privileged ones 2 x 6 and 12 others.
    assert {group: values.shape[1] for group, values in obs.items()} == {"policy": 599, "critic": 518, "teacher": 515}
    for _ in range(50):
        step = adapter.step(torch.randn(NUM_ENVS, 7))
        assert step.reward.isfinite().all()
        assert all(values.isfinite().all() for values in step.obs.values())
        assert not step.faulty.any()


def test_the_biped_stands_on_its_soles(adapter) -> None:
    adapter.reset()
    for _ in range(15):
        obs = adapter.step(torch.zeros(NUM_ENVS, 7)).obs["critic"]
    height = obs[:, adapter.obs_schema.columns("critic", "base_height")]
    assert ((height > 0.5) & (height < 0.65)).all()
    assert obs[:, adapter.obs_schema.columns("critic", "foot_contact")].all(dim=1).float().mean() > 0.5


def test_the_contract_names_the_robot_and_its_scanner(adapter) -> None:
    assert adapter.contract.robot == "biped"
    assert adapter.contract.world.height_scanner.body == "trunk"
    assert adapter.contract.joints["names"] == list(adapter.unwrapped.scene["robot"].joint_names)
