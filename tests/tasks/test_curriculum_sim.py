"""Curricula, pushes and rewards of blind_rl, with states forced on a real environment."""

import math
from types import SimpleNamespace

import pytest
import torch

pytestmark = pytest.mark.sim

NUM_ENVS = 12
ALL = torch.arange(NUM_ENVS)
VX = torch.tensor([True, False, False])
"""The first of the command's axes."""


@pytest.fixture(scope="module")
def shared_env(make_env):
    from rlmpc.tasks.blind_rl.env_cfg import BlindEnvCfg

    return make_env(BlindEnvCfg(), NUM_ENVS, num_rows=3)


@pytest.fixture
def env(shared_env):
    """The environment after a reset, on level 1, with narrow ranges and no episode seen by the curriculum."""
    shared_env.reset()
    shared_env.scene.terrain.terrain_levels[:] = 1
    command = shared_env.command_manager.get_term("base_velocity")
    command.load_state_dict({axis: [-0.1, 0.1] for axis in ("lin_vel_x", "lin_vel_y", "ang_vel_z")})
    term_of(shared_env, "terrain_levels")._outcome[:] = 0
    widening(shared_env).load_state_dict({"tracked": [0.0, 0.0], "num_episodes": 0.0, "last_check_step": 0})
    shared_env.common_step_counter = 0
    return shared_env


def term_of(env, name: str):
    """A term of the curriculum."""
    manager = env.curriculum_manager
    return manager._term_cfgs[manager.active_terms.index(name)].func


def widening(env):
    """The curriculum term that widens command ranges."""
    return term_of(env, "command_ranges")


def end_episodes(
    env, *reasons: str, distance: float = 0.0, speed: float = 1.0, length: int = 100, share: float = 1.0, asked=5.0
) -> list[int]:
    """Forces how all episodes ended, applies the terrain curriculum and returns the terrain levels.

    The robots are `distance` [m] away from their origins, and followed a share of the distance that was asked for [m].
    """
    terminations = env.termination_manager
    for index, name in enumerate(terminations.active_terms):
        terminations._term_dones[:, index] = name in reasons
    env.episode_length_buf[:] = length
    env.command_manager.get_command("base_velocity")[:] = torch.tensor([speed, 0.0, 0.0])
    robot = env.scene["robot"]
    pose = robot.data.root_pose_w.torch.clone()
    pose[:, :2] = env.scene.env_origins[:, :2] + torch.tensor([0.0, distance])
    robot.write_root_pose_to_sim_index(root_pose=pose, env_ids=None)
    progress = env.command_manager.get_term("base_velocity").progress
    progress.commanded_m[:], progress.followed_m[:] = asked, share * asked
    report(env)
    return env.scene.terrain.terrain_levels.unique().tolist()


def report(env, episodes: torch.Tensor = ALL) -> dict[str, float]:
    """Applies the terrain curriculum to some episodes and returns what it reports."""
    reported = term_of(env, "terrain_levels")(env, episodes, **env.cfg.curriculum.terrain_levels.params)
    return {name: value.item() for name, value in reported.items()}


def outcomes(env) -> dict[str, float]:
    """The shares of all outcomes, without new episodes."""
    reported = report(env, ALL[:0])
    return {name: reported[name] for name in ("kept", "arrived", "lasted", "fell", "stood")}


def check_ranges(env, lin_share: float, ang_share: float, episodes: torch.Tensor = ALL) -> dict[str, float]:
    """Forces the tracking of ended episodes (share of the best reward over 12 s) and runs the curriculum."""
    env.episode_length_buf[:] = env.max_episode_length
    sums = env.reward_manager._episode_sums
    sums["velocity_along_command"][episodes] = lin_share * 6.0 * 12.0
    sums["track_ang_vel_z"][episodes] = ang_share * 2.5 * 12.0
    return widening(env)(env, episodes, **env.cfg.curriculum.command_ranges.params)


def test_leaving_the_tile_raises_the_level(env) -> None:
    assert end_episodes(env, "left_tile") == [2]
    torch.testing.assert_close(
        env.scene.env_origins, env.scene.terrain.terrain_origins[2, env.scene.terrain.terrain_types]
    )


def test_a_time_out_raises_the_level_only_after_walking_on_command(env) -> None:
    assert end_episodes(env, "time_out", distance=1.9) == [1]
    assert end_episodes(env, "time_out", distance=2.1, speed=0.1) == [1]
    assert end_episodes(env, "time_out", distance=2.1, speed=0.3) == [2]


def test_falling_lowers_the_level(env) -> None:
    assert end_episodes(env, "bad_orientation") == [0]
    assert end_episodes(env, "bad_orientation") == [0]


@pytest.mark.parametrize(
    ("outcome", "ending", "level"),
    [
        ("arrived", {"reason": "left_tile", "share": 0.8}, 2),
        ("kept", {"reason": "left_tile", "share": 0.79}, 1),
        # Pushed or thrown over the edge of the tile, say.
        ("stood", {"reason": "left_tile", "share": 0.49}, 0),
        ("lasted", {"reason": "time_out", "share": 0.8, "distance": 2.1}, 2),
        ("kept", {"reason": "time_out", "share": 0.5, "distance": 2.1}, 1),
        ("stood", {"reason": "time_out", "share": 0.0}, 0),
        ("kept", {"reason": "time_out", "share": 0.0, "asked": 1.9}, 1),
        ("kept", {"reason": "time_out", "share": 0.0, "asked": 0.0, "distance": 2.1, "speed": 0.0}, 1),
        ("fell", {"reason": "bad_orientation", "share": 1.0}, 0),
        ("fell", {"reason": "bad_orientation", "share": 0.0}, 0),
    ],
)
def test_the_level_follows_what_an_episode_came_to(env, outcome: str, ending: dict, level: int) -> None:
    reason = ending.pop("reason")
    assert end_episodes(env, reason, **ending) == [level]
    assert outcomes(env) == {name: float(name == outcome) for name in outcomes(env)}


def test_outcomes_are_shares_and_levels_are_told_for_every_kind_of_ground(env) -> None:
    end_episodes(env, "left_tile")
    env.termination_manager._term_dones[:] = False
    fell = env.termination_manager.active_terms.index("bad_orientation")
    env.termination_manager._term_dones[:3, fell] = True
    report(env, ALL[:3])
    assert outcomes(env) == {"kept": 0.0, "arrived": 0.75, "lasted": 0.0, "fell": 0.25, "stood": 0.0}
    terrain = env.scene.terrain
    terrain.terrain_levels[:] = torch.tensor([0, 1, 2])[terrain.terrain_types]
    levels = report(env, ALL[:0])
    assert (levels["on_stairs_up"], levels["on_stairs_down"], levels["on_random_boxes"]) == (0.0, 1.0, 2.0)
    assert levels["mean"] == pytest.approx(1.0)


def test_an_episode_without_a_step_leaves_the_last_outcome(env) -> None:
    end_episodes(env, "left_tile")
    assert end_episodes(env, "bad_orientation", length=0) == [2]
    assert outcomes(env)["arrived"] == 1.0


@pytest.mark.parametrize("distance", [0.0, 3.0], ids=["near", "far"])
@pytest.mark.parametrize(
    "reasons", [("bad_orientation", "left_tile"), ("time_out", "bad_orientation"), ("non_finite",), ("fell_below",), ()]
)
def test_mixed_or_other_endings_leave_the_level(env, reasons: tuple[str, ...], distance: float) -> None:
    """Far from the centre a time-out alone raises the level, which would hide that a fall lowered it."""
    assert end_episodes(env, *reasons, distance=distance) == [1]


def test_a_reset_before_the_first_step_leaves_the_level(env) -> None:
    assert end_episodes(env, "left_tile", length=0) == [1]


def test_ranges_widen_once_an_episode_length_and_only_for_what_is_tracked(env) -> None:
    env.common_step_counter = 599
    assert check_ranges(env, 0.9, 0.9) == {"lin_vel_x": 0.1, "lin_vel_y": 0.1, "ang_vel_z": 0.1}
    env.common_step_counter = 601
    assert check_ranges(env, 0.9, 0.4) == {"lin_vel_x": 0.2, "lin_vel_y": 0.2, "ang_vel_z": 0.1}
    env.common_step_counter = 1200
    assert check_ranges(env, 0.9, 0.9) == {"lin_vel_x": 0.2, "lin_vel_y": 0.2, "ang_vel_z": 0.1}
    env.common_step_counter = 1201
    assert check_ranges(env, 0.1, 0.9) == {"lin_vel_x": 0.2, "lin_vel_y": 0.2, "ang_vel_z": 0.2}


def test_the_share_is_a_mean_over_all_episodes_since_the_last_check(env) -> None:
    check_ranges(env, 0.99, 0.99, episodes=ALL[:4])
    env.common_step_counter = 600
    ranges = check_ranges(env, 0.5, 0.4, episodes=ALL[4:8])
    # Means: (0.99 + 0.5) / 2 = 0.745 and (0.99 + 0.4) / 2 = 0.695.
    assert ranges == {"lin_vel_x": 0.2, "lin_vel_y": 0.2, "ang_vel_z": 0.1}


def test_an_episode_without_a_step_and_one_that_became_non_finite_do_not_count_as_tracked(env) -> None:
    env.common_step_counter = 600
    assert check_ranges(env, math.nan, 0.9)["lin_vel_x"] == 0.1
    env.episode_length_buf[:] = 0
    env.reward_manager._episode_sums["velocity_along_command"][:] = 72.0
    term = widening(env)
    term(env, ALL, **env.cfg.curriculum.command_ranges.params)
    assert term.state_dict()["num_episodes"] == 0.0


@pytest.mark.parametrize(
    ("ending", "by_own_length", "high"),
    [("left_tile", True, 0.2), ("left_tile", False, 0.1), ("bad_orientation", True, 0.1)],
)
def test_a_crossed_tile_counts_by_its_own_length_and_a_fall_never_does(env, ending, by_own_length, high) -> None:
    """Nine tenths of the best reward in episodes of 2 s, of 12 s at most."""
    env.common_step_counter = 600
    env.episode_length_buf[:] = 100
    env.reward_manager._episode_sums["velocity_along_command"][:] = 0.9 * 6.0 * 2.0
    env.reward_manager._episode_sums["track_ang_vel_z"][:] = 0.0
    env.termination_manager._terminated_buf[:] = ending == "bad_orientation"
    params = env.cfg.curriculum.command_ranges.params | {"by_own_length": by_own_length}
    assert widening(env)(env, ALL, **params)["lin_vel_x"] == high


@pytest.mark.parametrize(("mastered_level", "levels"), [(0, [0, 1, 2]), (2, [2]), (9, [2])])
def test_who_has_mastered_the_hardest_level_goes_on_above_a_level(env, monkeypatch, mastered_level, levels) -> None:
    monkeypatch.setitem(env.cfg.curriculum.terrain_levels.params, "mastered_level", mastered_level)
    seen = set()
    for _ in range(5):
        env.scene.terrain.terrain_levels[:] = 2
        seen |= set(end_episodes(env, "left_tile"))
    assert sorted(seen) == levels


def test_ranges_stop_at_their_limits(env) -> None:
    for check in range(1, 25):
        env.common_step_counter = 600 * check
        check_ranges(env, 0.9, 0.9)
    state = env.command_manager.get_term("base_velocity").state_dict()
    assert state == {"lin_vel_x": [-0.5, 1.0], "lin_vel_y": [-0.5, 0.5], "ang_vel_z": [-1.0, 1.0]}


def test_commands_are_drawn_from_the_current_ranges(env, monkeypatch) -> None:
    command = env.command_manager.get_term("base_velocity")
    monkeypatch.setattr(command.cfg, "heading_command", False)
    for kind in ("rel_forward_envs", "rel_sideways_envs", "rel_turning_envs"):
        monkeypatch.setattr(command.cfg, kind, 0.0)
    command.load_state_dict({"lin_vel_x": [0.8, 0.9], "lin_vel_y": [0.3, 0.4], "ang_vel_z": [-0.9, -0.8]})
    env.reset()
    moving = command.command[~command.is_standing_env]
    low, high = torch.tensor([0.8, 0.3, -0.9]), torch.tensor([0.9, 0.4, -0.8])
    assert len(moving) > 0 and ((moving >= low) & (moving <= high)).all()


def test_a_start_range_outside_its_limits_is_refused(env) -> None:
    cfg = env.cfg.commands.base_velocity.copy()
    cfg.check_ranges()
    cfg.ranges.lin_vel_y = (-0.6, 0.1)
    with pytest.raises(ValueError, match="lin_vel_y"):
        cfg.check_ranges()


def test_turns_towards_a_heading_follow_the_range_as_it_widens(env) -> None:
    command = env.command_manager.get_term("base_velocity")
    command.is_heading_env[:], command.is_standing_env[:] = True, False
    command.heading_target[:] = command.robot.data.heading_w.torch + 1.5
    for high in (0.1, 0.3):
        command._update_command()
        torch.testing.assert_close(command.command[:, 2], torch.full((NUM_ENVS,), high))
        command.widen(torch.tensor([False, False, True]), 0.2)
    command.is_heading_env[:] = False


def test_pushes_begin_when_the_speed_range_is_wide_enough(env) -> None:
    from rlmpc.tasks import mdp

    params = env.cfg.events.push.params
    velocity = env.scene["robot"].data.root_vel_w.torch
    before = velocity.clone()
    mdp.push_at_speed(env, ALL, **params)
    assert torch.equal(env.scene["robot"].data.root_vel_w.torch, before)
    command = env.command_manager.get_term("base_velocity")
    for _ in range(9):
        command.widen(VX, 0.1)
    mdp.push_at_speed(env, ALL, **params)
    change = env.scene["robot"].data.root_vel_w.torch - before
    assert 0.0 < change[:, :2].abs().max() <= 0.5
    assert change[:, 2:].abs().max() < 1e-6


def test_gait_phase_reward_counts_the_feet_that_agree() -> None:
    from rlmpc.tasks import mdp

    # Left in stance below 0.55; forces in N, order left, right.
    leg_phase = torch.tensor([[0.1, 0.6], [0.1, 0.6], [0.5, 0.54], [0.1, 0.6], [0.1, 0.6]])
    force_z = torch.tensor([[200.0, 0.0], [0.0, 200.0], [200.0, 0.5], [200.0, 0.0], [200.0, 0.0]])
    command = torch.tensor([[0.3, 0, 0], [0.3, 0, 0], [0.3, 0, 0], [0.06, 0.06, 0.0], [0.06, 0.06, 0.06]])
    force = torch.zeros(5, 2, 3)
    force[..., 2] = force_z
    sensor = SimpleNamespace(data=SimpleNamespace(net_normal_forces_w=SimpleNamespace(torch=force)))
    env = SimpleNamespace(
        action_manager=SimpleNamespace(get_term=lambda name: SimpleNamespace(leg_phase=leg_phase)),
        command_manager=SimpleNamespace(get_command=lambda name: command),
        scene=SimpleNamespace(sensors={"contact_forces": sensor}),
    )
    reward = mdp.gait_phase_agreement(
        env,
        action_name="gait_cycle",
        command_name="base_velocity",
        sensor_cfg=SimpleNamespace(name="contact_forces", body_ids=[0, 1]),
        stance_share=0.55,
        min_command=0.1,
    )
    assert reward.tolist() == [2.0, 0.0, 1.0, 0.0, 2.0]


def test_rewards_equal_hand_computed_values(env) -> None:
    from rlmpc.tasks import mdp

    clock = env.action_manager.get_term("gait_cycle")
    clock.process_actions(torch.full((NUM_ENVS, 1), 2.0))
    period_reward = mdp.gait_period_exp(env, action_name="gait_cycle", period_s=0.7, rate=4.6)
    torch.testing.assert_close(period_reward, torch.full((NUM_ENVS,), math.exp(-0.92)))

    velocity = torch.zeros(NUM_ENVS, 6)
    velocity[:, 2] = torch.linspace(-1.1, 1.1, NUM_ENVS)
    env.scene["robot"].write_root_velocity_to_sim_index(root_velocity=velocity, env_ids=None)
    falling = velocity[:, 2].clamp(max=0.0) ** 2
    torch.testing.assert_close(mdp.downward_velocity_l2(env), falling, atol=1e-5, rtol=1e-4)


def test_the_reward_counts_contacts_of_every_body_but_the_ankles(env) -> None:
    term = env.reward_manager.get_term_cfg("undesired_contacts")
    names = env.scene["contact_forces"].sensor_names
    ids = term.params["sensor_cfg"].body_ids
    assert {name for name in names if "ankle" in name} == set(names) - {names[i] for i in ids}
    assert len(names) == 30
