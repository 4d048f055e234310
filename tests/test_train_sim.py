"""Whole commands with the simulator."""

from __future__ import annotations

import csv

import pytest

import play
import train

pytestmark = pytest.mark.sim

SMALL = ["device=cpu", "num_envs=8", "env.scene.terrain.terrain_generator.num_rows=2"]


def test_the_teacher_trains_on_blind_rl(command, tmp_path):
    code, out, _ = command(train.main, "stage=teacher", "task=blind_rl", *SMALL, "trainer.max_epochs=3", "run.dir=run")
    assert code == 0
    assert "compiles kernels" in out and "simulator ready" in out and "3/3" in out
    with (tmp_path / "run/metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3
    assert {"reward/track_lin_vel_xy", "termination/bad_orientation", "curriculum/terrain_levels/mean"} <= set(rows[0])
    assert (tmp_path / "run/checkpoints/last.ckpt").exists()
    assert "Reward Manager" in (tmp_path / "run/simulator.log").read_text()
    assert "Reward Manager" not in out


@pytest.mark.parametrize(
    ("task", "agent", "columns"),
    [
        ("phase_1_scan_rl", None, {"estimator/rmse_z", "latent/cosine"}),
        ("phase_1_scan_rl", "ppo", {"train/kl"}),
        ("blind_rl", "rma", {"estimator/rmse_z", "latent/cosine"}),
    ],
)
def test_either_agent_trains_on_either_task(command, tmp_path, task, agent, columns):
    chosen = [f"agent={agent}"] if agent else []
    short = ["agent.num_steps=8", "trainer.max_epochs=2", "checkpoint.export=false", "run.dir=run"]
    code, _, _ = command(train.main, f"task={task}", *chosen, *SMALL, *short)
    assert code == 0
    with (tmp_path / "run/metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2
    assert columns <= set(rows[0])
    assert ("latent/cosine" in rows[0]) == ("latent/cosine" in columns)


@pytest.mark.parametrize(
    "switched_off", [(), ("env.curriculum=null", "env.events.push=null", "env.observations.critic=null")]
)
def test_zero_actions_step_the_play_variant_with_and_without_what_is_optional(command, switched_off):
    small = ("steps=80", "device=cpu", "num_envs=4")
    code, out, _ = command(play.main, "task=blind_rl_flat", "policy=zero", *small, *switched_off)
    assert code == 0
    assert "termination/bad_orientation" in out


@pytest.mark.parametrize(
    ("argument", "sentence"),
    [
        ("env.scene.num_env=8", "unknown key 'env.scene.num_env'; did you mean 'env.scene.num_envs'?"),
        ("env.rewards.alive.wieght=1", "did you mean 'env.rewards.alive.weight'?"),
        ("env.episode_length_s=long", "'env.episode_length_s' takes a float"),
        (
            "env.commands.base_velocity.ranges.ang_vel=[0,1]",
            "did you mean 'env.commands.base_velocity.ranges.ang_vel_z'",
        ),
        ("env.rewards.alive=1", "takes a section"),
        ("env.decimation=null", "'env.decimation' takes an int like 4, not null"),
        ("env.sim=null", "env.sim cannot be switched off"),
        ("env.sim.render_interval=9", "'env.sim.render_interval' is derived from other settings; it cannot be set"),
        ("env.scene.num_envs=8", "'env.scene.num_envs' is set by 'num_envs'"),
        ("env.episode_length_s=0", "episode_length_s must be above 0, not 0.0"),
        ("env.decimation=-1", "decimation must be above 0, not -1"),
        (
            "env.commands.base_velocity.ranges.lin_vel_x=[0,3]",
            "the command range lin_vel_x (0.0, 3.0) is not inside its limits (-0.5, 1.0)",
        ),
        ("agent.actor_group=student", "'student' (agent.actor_group), but task 'blind_rl' has policy, critic, teacher"),
    ],
)
def test_an_environment_key_that_does_not_fit_is_refused_before_anything_starts(command, tmp_path, argument, sentence):
    code, _, err = command(train.main, "task=blind_rl", "device=cpu", argument)
    assert code == 2
    assert sentence in err
    assert not list(tmp_path.iterdir())


def test_a_term_is_switched_off_and_a_number_changed_by_an_override():
    from rlmpc.command_line.train import compose_train
    from rlmpc.envs.make import env_config

    cfg = compose_train(
        [
            "task=blind_rl",
            "env.events.push=null",
            "env.rewards.alive.weight=1",
            "env.observations.policy.gait_phase=null",
            "env.commands.base_velocity.ranges.lin_vel_x=[0.0,0.2]",
            "env.sim.physics.solver_cfg.njmax=200",
        ]
    )[0]
    env_cfg = env_config(cfg.task, cfg.env)
    assert env_cfg.events.push is None
    assert env_cfg.rewards.alive.weight == 1.0
    assert env_cfg.observations.policy.gait_phase is None
    assert env_cfg.commands.base_velocity.ranges.lin_vel_x == (0.0, 0.2)
    assert env_cfg.sim.physics.solver_cfg.njmax == 200
