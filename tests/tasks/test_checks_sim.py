"""Overrides that make no environment are refused in one sentence. Needs Isaac Lab but starts no simulation."""

import inspect

import pytest

from rlmpc.config.overrides import value_at
from rlmpc.config.train import TaskCfg
from rlmpc.errors import UserError

pytestmark = pytest.mark.sim

TASK = TaskCfg(name="phase_1_scan_rl", simulator="isaaclab", env_id="RLMPC-Phase1-Scan-G1-v0")
GENERATOR = "scene.terrain.terrain_generator"
STONES = f"{GENERATOR}.sub_terrains.stepping_stones"
LEVELS = "curriculum.terrain_levels.params"
COLLISION = "sim.physics.collision_cfg"


def configure(**overrides):
    """The configuration with overrides, given as `path=value` with paths below `env`."""
    from rlmpc.envs.make import env_config

    return env_config(TASK, overrides)


def refusal(overrides: dict) -> str:
    with pytest.raises(UserError) as caught:
        configure(**overrides)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    "path",
    [
        *("sim", "sim.physics", "sim.physics.solver_cfg", "scene", "scene.terrain", GENERATOR, "scene.robot"),
        *("scene.height_scanner.pattern_cfg", "commands.base_velocity.ranges", "events", "events.reset_root"),
        *("observations", "actions", "actions.joint_pos", "rewards", "terminations"),
    ],
)
def test_a_section_that_the_simulation_needs_cannot_be_switched_off(path: str) -> None:
    assert f"env.{path} cannot be switched off" in refusal({path: None})


def test_optional_sections_are_switched_off() -> None:
    cfg = configure(curriculum=None, **{"events.push": None, "scene.light": None, "observations.teacher": None})
    assert (cfg.curriculum, cfg.events.push, cfg.scene.light, cfg.observations.teacher) == (None,) * 4


def test_switching_off_all_terms_of_a_section_is_refused() -> None:
    overrides = {f"observations.{name}": None for name in ("policy", "critic", "teacher")}
    assert "env.observations needs at least one group" in refusal(overrides)
    names = ("time_out", "left_tile", "fell_below", "bad_orientation", "non_finite")
    overrides = {"curriculum": None, **{f"terminations.{name}": None for name in names}}
    assert "env.terminations needs at least one term" in refusal(overrides)


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("decimation", "an int like 4"),
        ("episode_length_s", "a float like 12.0"),
        ("observations.policy.joint_pos.history_length", "an int like 10"),
        ("commands.base_velocity.ranges.lin_vel_x", "2 numbers like [0.3, 0.8]"),
    ],
)
def test_null_is_refused_where_a_value_is_needed(path: str, kind: str) -> None:
    assert f"'env.{path}' takes {kind}, not null" in refusal({path: None})


def test_null_is_taken_where_isaac_lab_takes_none() -> None:
    cfg = configure(**{"scene.terrain.max_init_terrain_level": None, "sim.physics.solver_cfg.nconmax": None})
    assert cfg.scene.terrain.max_init_terrain_level is None and cfg.sim.physics.solver_cfg.nconmax is None


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("scene.height_scanner.update_period", 0.1),
        ("scene.contact_forces.update_period", 0.1),
        ("sim.render_interval", 7),
        (f"{COLLISION}.max_triangle_pairs", 7),
        (f"{STONES}.size", [4.0, 4.0]),
        (f"{STONES}.seed", 5),
        ("sim.physics.class_type", "isaaclab_newton.physics:NewtonMJWarpManager"),
    ],
)
def test_a_derived_field_cannot_be_set(path: str, value) -> None:
    assert refusal({path: value}) == f"'env.{path}' is derived from other settings; it cannot be set"


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        ({"sim.dt": 0}, "sim.dt must be above 0, not 0.0"),
        ({"sim.dt": float("nan")}, "'env.sim.dt' takes a float like 0.005, not nan"),
        ({"episode_length_s": float("inf")}, "episode_length_s must be above 0, not inf"),
        ({"sim.physics.solver_cfg.njmax": 0}, "sim.physics.solver_cfg.njmax must be above 0, not 0"),
        ({f"{GENERATOR}.num_rows": 0}, "num_rows must be above 0, not 0"),
        ({f"{GENERATOR}.size": [8, -8]}, "size must be above 0, not (8.0, -8.0)"),
        ({"scene.terrain.max_init_terrain_level": -1}, "max_init_terrain_level must be at least 0, not -1"),
        ({"scene.height_scanner.max_distance": 0}, "max_distance must be above 0, not 0.0"),
        ({"scene.height_scanner.pattern_cfg.resolution": 0}, "resolution must be above 0, not 0.0"),
        (
            {"events.friction.params.static_friction_range": [1.0, 0.3]},
            "the range events.friction.params.static_friction_range must not end before it begins: (1.0, 0.3)",
        ),
        ({"events.push.params.velocity_range.x": [0.5, -0.5]}, "velocity_range.x must not end before it begins"),
        ({"events.torso_mass.params.mass_distribution_params": [1.2, 0.8]}, "must not end before it begins"),
        ({"commands.base_velocity.resampling_time_range": [12, 2]}, "must not end before it begins"),
        (
            {"events.reset_root.params.forward_velocity": [0.8, 0.2]},
            "the range events.reset_root.params.forward_velocity must not end before it begins: (0.8, 0.2)",
        ),
        ({"commands.base_velocity.averaging_time_s": 0}, "averaging_time_s must be above 0, not 0.0"),
        ({"commands.base_velocity.rel_turning_envs": 1.5}, "rel_turning_envs must be from 0 to 1, not 1.5"),
        ({"commands.base_velocity.rel_standing_envs": -0.1}, "rel_standing_envs must be from 0 to 1, not -0.1"),
        (
            {"commands.base_velocity.rel_sideways_envs": 0.5, "commands.base_velocity.rel_turning_envs": 0.4},
            "rel_forward_envs, rel_sideways_envs, rel_turning_envs must add up to at most 1, not 1.2",
        ),
        ({f"{LEVELS}.up_share": 0.2}, "terrain_levels.params.down_share must be at most 0.2, not 0.5"),
        ({f"{LEVELS}.down_share": -0.1}, "terrain_levels.params.down_share must be at least 0, not -0.1"),
        ({f"{LEVELS}.up_share": None}, "terrain_levels.params.down_share must be at most None, not 0.5"),
        ({"curriculum.penalty_scale.params.start": 1.1}, "penalty_scale.params.start must be at most 1.0, not 1.1"),
        ({"curriculum.penalty_scale.params.full_share": 0}, "full_share must be above 0, not 0.0"),
        ({"curriculum.command_ranges.params.step": -0.1}, "command_ranges.params.step must be at least 0, not -0.1"),
        ({"rewards.velocity_along_command.params.stand_speed": 0}, "stand_speed must be above 0, not 0.0"),
        ({"rewards.sole_overhang.params.depth": 0}, "sole_overhang.params.depth must be above 0, not 0.0"),
        ({"rewards.sole_overhang.params.margin": -0.1}, "sole_overhang.params.margin must be at least 0, not -0.1"),
        ({f"{COLLISION}.triangle_pairs_per_env": -1}, "triangle_pairs_per_env must be above 0, not -1"),
        ({"observations.policy.concatenate_terms": False}, "policy.concatenate_terms must be True, not False"),
        ({"observations.policy.flatten_history_dim": False}, "policy.flatten_history_dim must be True, not False"),
        ({"observations.critic.joint_pos.flatten_history_dim": False}, "critic.joint_pos.flatten_history_dim must be"),
        ({"observations.policy.history_order": "time"}, "observations.policy.history_order must be term, not time"),
        ({"observations.policy.history_length": -1}, "policy.history_length must be at least 0, not -1"),
    ],
)
def test_numbers_and_layouts_that_make_no_environment_are_refused(overrides: dict, sentence: str) -> None:
    assert sentence in refusal(overrides)


def test_room_for_triangles_grows_with_the_number_of_environments_from_newtons_own() -> None:
    cfg = configure(**{f"{COLLISION}.triangle_pairs_per_env": 100})
    least = type(cfg.sim.physics.collision_cfg).__mro__[1]().max_triangle_pairs
    for num_envs, pairs in ((1, least), (10 * least, 1000 * least)):
        cfg.scene.num_envs = num_envs
        cfg.finalize()
        assert cfg.sim.physics.collision_cfg.max_triangle_pairs == pairs
    assert not {"triangle_pairs_per_env", "ground_cell"} & cfg.sim.physics.collision_cfg.to_pipeline_args().keys()


@pytest.mark.parametrize("name", ["terrain_levels", "penalty_scale", "command_ranges"])
def test_every_parameter_of_a_curriculum_can_be_overridden(name: str) -> None:
    term = getattr(configure().curriculum, name)
    taken = set(inspect.signature(term.func.__call__).parameters) - {"self", "env", "env_ids", "asset_cfg"}
    assert term.params.keys() == taken
    numbers = {f"curriculum.{name}.params.{key}": 0.5 for key, value in term.params.items() if type(value) is float}
    assert numbers
    cfg = configure(**numbers)
    assert {path: value_at(cfg, path, "env") for path in numbers} == numbers


def test_the_scale_of_yaw_joints_follows_its_setting_but_for_a_joint_that_has_its_own() -> None:
    def scales(**overrides) -> list[float]:
        scale = configure(**overrides).actions.joint_pos.scale
        return [round(scale[joint], 3) for joint in ("left_hip_yaw_joint", "waist_yaw_joint", "left_knee_joint")]

    hip, waist, knee = scales(yaw_action_scale=None)
    assert scales() == [0.25, 0.25, knee] and hip != 0.25
    assert scales(yaw_action_scale=0.4) == [0.4, 0.4, knee]
    own = {"actions.joint_pos.scale.left_hip_yaw_joint": 0.1}
    assert scales(yaw_action_scale=0.4, **own) == [0.1, 0.4, knee]
    assert scales(yaw_action_scale=None, **own) == [0.1, waist, knee]


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        ({f"{STONES}.gap_width": [0.05, 0.9]}, "stones of 0.8 m are too narrow for gaps of 0.9 m"),
        ({f"{STONES}.gap_width": [-0.1, 0.2]}, "must be at least 0 m wide, not -0.1"),
        ({f"{STONES}.platform_width": 7.5}, "for stones beside its platform"),
        ({f"{GENERATOR}.size": [8, 1.5]}, "for stones beside its platform"),
        ({f"{STONES}.platform_width": 0.0}, "the platform of stepping stones must be at least 0.2 m, not 0.0"),
        ({f"{STONES}.depth": 0.0}, "max_height of stepping stones must lie in [0, depth), not 0.05"),
        ({f"{STONES}.stone_width": [0.1]}, "takes 2 numbers like [1.0, 0.8], not [0.1]"),
        ({STONES: None}, "the terrain stepping_stones needs a proportion of at least 0"),
        ({f"{STONES}.proportion": -1.0}, "the terrain stepping_stones needs a proportion of at least 0"),
        ({"scene.terrain.terrain_type": "plane"}, "scene.terrain.terrain_type must be generator, not plane"),
        ({f"{GENERATOR}.num_cols": 3}, "num_cols of 3 leaves no column for the terrain random_boxes"),
        ({f"{STONES}.proportion": 0.1}, "num_cols of 5 leaves no column for the terrain stepping_stones"),
    ],
)
def test_terrain_that_cannot_be_built_or_has_no_place_is_refused(overrides: dict, sentence: str) -> None:
    assert sentence in refusal(overrides)


def test_columns_that_are_accepted_are_those_that_isaac_lab_builds() -> None:
    """Columns by share, in order; and a kind with a proportion of 0 needs none."""
    from isaaclab.terrains import TerrainGenerator

    def kinds_built(**overrides) -> list[str]:
        generator = configure(**{f"{GENERATOR}.num_rows": 1, **overrides}).scene.terrain.terrain_generator
        names = []
        for name, kind in generator.sub_terrains.items():
            build = kind.function
            kind.function = lambda difficulty, cfg, name=name, build=build: names.append(name) or build(difficulty, cfg)
        TerrainGenerator(generator)
        return names

    assert kinds_built() == ["stairs_up", "stairs_down", "random_boxes", "stepping_stones", "stepping_stones"]
    without_stones = kinds_built(**{f"{STONES}.proportion": 0.0, f"{GENERATOR}.num_cols": 3})
    assert without_stones == ["stairs_up", "stairs_down", "random_boxes"]


@pytest.fixture
def cfg():
    from rlmpc.tasks.phase_1_scan_rl.env_cfg import ScanEnvCfg

    return ScanEnvCfg()


def switch_off(cfg, path: str) -> None:
    """Sets a field of a configuration to None, as an override does; the path starts with "env."."""
    *parents, name = path.removeprefix("env.").split(".")
    for parent in parents:
        cfg = getattr(cfg, parent)
    setattr(cfg, name, None)


@pytest.mark.parametrize(
    ("path", "num_readers"),
    [
        ("env.terminations.left_tile", 1),
        ("env.terminations.time_out", 1),
        ("env.terminations.bad_orientation", 1),
        ("env.rewards.velocity_along_command", 1),
        ("env.rewards.track_ang_vel_z", 1),
        # The phase in three groups of observations and two rewards.
        ("env.actions.gait_cycle", 5),
        # The command in three groups of observations, the critic's average errors, four rewards, pushes and all three
        # curricula.
        ("env.commands.base_velocity", 12),
        # The scan in three groups of observations and one reward.
        ("env.scene.height_scanner", 4),
        # Contacts in two groups of observations and four rewards.
        ("env.scene.contact_forces", 6),
    ],
)
def test_what_others_read_is_switched_off_only_with_its_readers(cfg, path: str, num_readers: int) -> None:
    switch_off(cfg, path)
    with pytest.raises(ValueError, match=rf"^{path} is switched off .*=null$") as refusal:
        cfg.finalize()
    overrides = [word.removesuffix("=null") for word in str(refusal.value).split() if word.endswith("=null")]
    assert len(overrides) == num_readers
    for reader in overrides:
        switch_off(cfg, reader)
    cfg.finalize()


@pytest.mark.parametrize("reward", ["velocity_along_command", "track_ang_vel_z"])
def test_a_reward_without_weight_tells_a_curriculum_nothing(cfg, reward: str) -> None:
    getattr(cfg.rewards, reward).weight = 0.0
    with pytest.raises(ValueError, match=rf"{reward} is switched off .* env\.curriculum\.command_ranges=null$"):
        cfg.finalize()
    cfg.curriculum.command_ranges = None
    cfg.finalize()


def test_what_nobody_reads_is_switched_off_freely(cfg) -> None:
    for path in (
        "env.terminations.fell_below",
        "env.rewards.energy",
        "env.rewards.track_lin_vel_xy",
        "env.events.push",
        "env.observations.policy",
    ):
        switch_off(cfg, path)
    cfg.finalize()
    assert cfg.rewards.energy is None and cfg.observations.policy is None
