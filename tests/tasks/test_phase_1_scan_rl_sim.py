"""The phase_1_scan_rl environment in simulation: the scan against a ray cast of our own, and what else differs."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

pytestmark = pytest.mark.sim

NUM_ENVS = 16
NUM_ROWS = 3
"""Levels; the hardest tiles have a difficulty of 2/3 to 1."""
VX = torch.tensor([True, False, False])
"""The first of the command's axes."""
MAX_DISTANCE = 7.0
"""Further than the default, so that all but gaps is in reach."""
NUM_LINES, NUM_RAYS = 17, 459
EDGE = 1e-4
"""Rays closer than this to an edge of a triangle [m] may pass a wall on either side and are left out."""


@pytest.fixture(scope="module")
def adapter():
    from rlmpc.envs.isaaclab.env import IsaacLabEnv, load_env_cfg

    cfg = load_env_cfg("RLMPC-Phase1-Scan-G1-v0")
    cfg.scene.terrain.terrain_generator.num_rows = NUM_ROWS
    cfg.scene.height_scanner.max_distance = MAX_DISTANCE
    adapter = IsaacLabEnv(cfg, NUM_ENVS, torch.device("cpu"), seed=1)
    yield adapter
    adapter.close()


@pytest.fixture(scope="module")
def env(adapter):
    return adapter.unwrapped


@pytest.fixture(scope="module")
def ground(env):
    """Triangles of the ground on the USD stage, (T, 3, 3) [m], without the vertical ones that vertical rays pass by."""
    from pxr import Usd, UsdGeom

    meshes = [prim for prim in Usd.PrimRange(env.sim.stage.GetPrimAtPath("/World/ground")) if prim.IsA(UsdGeom.Mesh)]
    assert len(meshes) == 1
    mesh = UsdGeom.Mesh(meshes[0])
    assert (np.array(mesh.GetFaceVertexCountsAttr().Get()) == 3).all()
    to_world = np.array(UsdGeom.Xformable(mesh).ComputeLocalToWorldTransform(Usd.TimeCode.Default()))
    points = np.array(mesh.GetPointsAttr().Get(), dtype=float) @ to_world[:3, :3] + to_world[3, :3]
    triangles = points[np.array(mesh.GetFaceVertexIndicesAttr().Get()).reshape(-1, 3)]
    (ax, ay), (bx, by) = (triangles[:, 1] - triangles[:, 0])[:, :2].T, (triangles[:, 2] - triangles[:, 0])[:, :2].T
    return triangles[np.abs(ax * by - ay * bx) > 1e-12]


def cast_down(triangles, starts):
    """First hits below starts (R, 3) [m]: heights (R,), -inf for none, and whether a ray passes close to an edge."""
    low, high = starts[:, :2].min(axis=0), starts[:, :2].max(axis=0)
    xy = triangles[..., :2]
    a, b, c = triangles[((xy.max(axis=1) >= low) & (xy.min(axis=1) <= high)).all(axis=1)].transpose(1, 0, 2)
    # Barycentric coordinates of every ray (rows) in every triangle (columns), seen from above.
    ab, ac, ap = (b - a)[:, :2], (c - a)[:, :2], starts[:, None, :2] - a[:, :2]
    area = ab[:, 0] * ac[:, 1] - ab[:, 1] * ac[:, 0]
    v = (ap[..., 0] * ac[:, 1] - ap[..., 1] * ac[:, 0]) / area
    w = (ab[:, 0] * ap[..., 1] - ab[:, 1] * ap[..., 0]) / area
    inside = np.minimum(np.minimum(v, w), 1.0 - v - w)
    height = a[:, 2] + v * (b - a)[:, 2] + w * (c - a)[:, 2]
    hits = np.where((inside >= -1e-9) & (height <= starts[:, 2:]), height, -np.inf)
    # A coordinate of 0 is an edge and 1 the opposite corner, so the triangle's height turns it into a distance.
    longest = np.linalg.norm([ab, ac, (c - b)[:, :2]], axis=2).max(axis=0)
    is_near_edge = np.abs(inside) * np.abs(area) / longest < EDGE
    return hits.max(axis=1, initial=-np.inf), is_near_edge.any(axis=1)


def expected_starts(env, index):
    """Where the rays of one robot must start (459, 3) [m]: offset and grid turned by the torso's yaw alone."""
    robot = env.scene["robot"]
    torso = robot.body_names.index("torso_link")
    position = robot.data.body_pos_w.torch[index, torso].double().numpy()
    x, y, z, w = robot.data.body_quat_w.torch[index, torso].tolist()
    yaw = math.atan2(2.0 * (w * z + x * y), 1.0 - 2.0 * (y * y + z * z))
    forward, left = np.array([math.cos(yaw), math.sin(yaw), 0.0]), np.array([-math.sin(yaw), math.cos(yaw), 0.0])
    grid = [(0.2 - 0.65 + 0.05 * column, -0.4 + 0.05 * row) for row in range(NUM_LINES) for column in range(27)]
    return np.array([position + dx * forward + dy * left + np.array([0.0, 0.0, 0.43]) for dx, dy in grid])


def compare(env, ground, groups):
    """Asserts that all scans are right; returns the expected distances (N, 459) [m], infinite for a miss."""
    hits = env.scene.sensors["height_scanner"].data.ray_hits_w.torch.double().numpy()
    distances, num_doubtful = [], 0
    for index in range(NUM_ENVS):
        starts = expected_starts(env, index)
        height, is_doubtful = cast_down(ground, starts)
        distance = starts[:, 2] - height
        distance[distance > MAX_DISTANCE] = np.inf
        distances.append(distance)
        is_clear = ~is_doubtful
        num_doubtful += is_doubtful.sum()

        is_miss = np.isinf(distance)
        assert np.isinf(hits[index][is_clear & is_miss]).all()
        is_sure = is_clear & ~is_miss
        expected = np.column_stack([starts[:, :2], height])
        np.testing.assert_allclose(hits[index][is_sure], expected[is_sure], atol=1e-3, rtol=0)
        closeness = 1.0 - np.minimum(distance, MAX_DISTANCE) / MAX_DISTANCE
        for group in ("policy", "critic", "teacher"):
            seen = groups[group][index, :NUM_RAYS].double().numpy()
            np.testing.assert_allclose(seen[is_clear], closeness[is_clear], atol=1e-3 / MAX_DISTANCE, rtol=0)
    assert num_doubtful < 0.01 * NUM_ENVS * NUM_RAYS
    return np.array(distances)


def start_on_level(adapter, level):
    """Starts new episodes on one level; returns the observations."""
    terrain = adapter.unwrapped.scene.terrain
    terrain.terrain_levels[:] = level
    terrain.env_origins[:] = terrain.terrain_origins[level, terrain.terrain_types]
    return adapter.reset()


def place(env, ground, xy, roll, pitch, yaw):
    """Puts roots xy (N, 2) [m] from their tiles' centres, turned by angles (N,) [rad], 0.8 m above ground or centre."""
    from isaaclab.utils.math import quat_from_euler_xyz

    position = env.scene.env_origins.clone()
    position[:, :2] += xy
    above = position.double().numpy() + np.array([0.0, 0.0, 10.0])
    local = torch.tensor([cast_down(ground, start[None])[0][0] for start in above], dtype=torch.float)
    position[:, 2] = torch.maximum(position[:, 2], local) + 0.8
    pose = torch.cat([position, quat_from_euler_xyz(roll, pitch, yaw)], dim=1)
    env.scene["robot"].write_root_pose_to_sim_index(root_pose=pose, env_ids=None)
    env.scene["robot"].write_root_velocity_to_sim_index(root_velocity=torch.zeros(NUM_ENVS, 6), env_ids=None)


def uniform(low, high, *shape):
    return torch.empty(*shape).uniform_(low, high)


def zeros():
    return torch.zeros(NUM_ENVS, 30)


def of_kind(env, name):
    """Environments on one kind of terrain."""
    kinds = list(env.cfg.scene.terrain.terrain_generator.sub_terrains)
    return (env.scene.terrain.terrain_types == kinds.index(name)).numpy()


@pytest.mark.parametrize("level", [0, NUM_ROWS - 1])
def test_the_scan_is_an_independent_ray_cast_on_every_terrain(adapter, env, ground, level) -> None:
    start_on_level(adapter, level)
    scans = []
    for _ in range(3):
        yaw = uniform(-math.pi, math.pi, NUM_ENVS)
        place(env, ground, uniform(-2.8, 2.8, NUM_ENVS, 2), *uniform(-0.35, 0.35, 2, NUM_ENVS), yaw)
        step = adapter.step(zeros())
        assert not (step.terminated | step.truncated).any()
        scans.append(compare(env, ground, step.obs))
    distances = np.stack(scans)
    # What the poses were meant to show: gaps that swallow rays, and risers in view.
    assert np.isinf(distances[:, of_kind(env, "stepping_stones")]).any(axis=2).mean() > 0.5
    for kind in ("stairs_up", "stairs_down", "random_boxes"):
        spread = np.ptp(distances[:, of_kind(env, kind)], axis=2)
        assert np.isfinite(spread).all() and (spread > 0.005).all()


def test_the_scan_is_fresh_after_a_reset_of_all_and_of_some(adapter, env, ground) -> None:
    compare(env, ground, start_on_level(adapter, 1))
    env.episode_length_buf[::2] = adapter.max_episode_length - 1
    step = adapter.step(zeros())
    assert step.truncated[::2].all()
    compare(env, ground, step.obs)


def test_the_scan_is_fresh_when_the_clock_of_the_sensor_has_lost_precision(adapter, env) -> None:
    adapter.reset()
    scanner, robot = env.scene.sensors["height_scanner"], env.scene["robot"]
    torso = robot.body_names.index("torso_link")
    for _ in range(600):
        for _ in range(4):
            scanner.update(0.005)
        assert torch.equal(scanner.data.pos_w.torch, robot.data.body_pos_w.torch[:, torso])
    for _ in range(40):
        before = scanner.data.pos_w.torch.clone()
        adapter.step(zeros())
        assert torch.equal(scanner.data.pos_w.torch, robot.data.body_pos_w.torch[:, torso])
        assert not (scanner.data.pos_w.torch == before).all(dim=1).any()


@pytest.mark.parametrize("quarter_turns", range(4))
def test_rays_run_from_rear_to_front_then_from_right_to_left(adapter, env, ground, quarter_turns) -> None:
    """In the pit of the upward stairs the first step begins 0.75 m from the centre; the scan reaches 0.85 m ahead."""
    start_on_level(adapter, NUM_ROWS - 1)
    yaw = quarter_turns * math.pi / 2
    level, left = torch.zeros(NUM_ENVS), torch.tensor([-math.sin(yaw), math.cos(yaw)])

    place(env, ground, torch.zeros(NUM_ENVS, 2), level, level, level + yaw)
    ahead = adapter.step(zeros()).obs["policy"][of_kind(env, "stairs_up"), :NUM_RAYS].view(-1, NUM_LINES, 27)
    step_height = 0.1 / MAX_DISTANCE
    assert (ahead[:, :, 26] - ahead[:, :, 0] > step_height).all()
    assert ((ahead[:, :, :20] - ahead[:, :, :1]).abs() < 1e-4).all()

    place(env, ground, (0.62 * left).expand(NUM_ENVS, 2), level, level, level + yaw)
    beside = adapter.step(zeros()).obs["policy"][of_kind(env, "stairs_up"), :NUM_RAYS].view(-1, NUM_LINES, 27)
    assert ((beside[:, 16] - beside[:, 0])[:, :20] > step_height).all()
    assert ((beside[:, :10] - beside[:, :1])[..., :20].abs() < 1e-4).all()


def test_the_scan_is_one_minus_the_share_of_seven_metres_and_zero_for_a_miss() -> None:
    from rlmpc.tasks import mdp

    hit_z = torch.tensor([[0.0, -2.5, -6.9, math.inf], [math.nan, -math.inf, math.inf, 1.43]])
    hits = torch.stack([hit_z, hit_z, hit_z], dim=-1)
    starts = torch.tensor([0.2, 0.0, 0.43]).expand(2, 4, 3)
    data = SimpleNamespace(
        pos_w=SimpleNamespace(torch=torch.tensor([[0.0, 0.0, 1.0], [0.0, 0.0, 1.0]])),
        ray_hits_w=SimpleNamespace(torch=hits),
    )
    scanner = SimpleNamespace(
        data=data, ray_starts=SimpleNamespace(torch=starts), cfg=SimpleNamespace(max_distance=7.0)
    )
    env = SimpleNamespace(scene=SimpleNamespace(sensors={"scanner": scanner}))
    scan = mdp.height_scan(env, SimpleNamespace(name="scanner"))
    expected = torch.tensor([[5.57 / 7.0, 3.07 / 7.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]])
    torch.testing.assert_close(scan, expected)
    data.pos_w.torch[:] = math.nan
    assert torch.equal(mdp.height_scan(env, SimpleNamespace(name="scanner")), torch.zeros(2, 4))


def test_the_scan_stands_first_in_every_group(adapter, env) -> None:
    from rlmpc.tasks.observations_cfg import ObservationsCfg

    obs = adapter.reset()
    assert {group: values.shape[1] for group, values in obs.items()} == {
        "policy": 1082,
        "critic": 633,
        "teacher": 630,
    }
    manager = env.observation_manager
    blind = ObservationsCfg()
    for group, names in manager.active_terms.items():
        blind_terms = [name for name, term in vars(getattr(blind, group)).items() if hasattr(term, "history_length")]
        assert names == ["height_scan", *blind_terms]
        assert manager.group_obs_term_dim[group][0] == (NUM_RAYS,)


def expected_overhang(env, ground, index, sole, margin, depth):
    """The share of the soles of one robot over ground that is deeper than `depth` [m], from 400 points under each."""
    robot = env.scene["robot"]
    shares = []
    for foot in robot.find_bodies(".*_ankle_roll_link")[0]:
        x, y, z, w = robot.data.body_quat_w.torch[index, foot].tolist()
        forward = np.array([1.0 - 2.0 * (y * y + z * z), 2.0 * (x * y + w * z)])
        forward /= np.linalg.norm(forward)
        left = np.array([-forward[1], forward[0]])
        position = robot.data.body_pos_w.torch[index, foot].double().numpy()
        along = np.linspace(sole[0] - margin, sole[1] + margin, 20)
        across = np.linspace(sole[2] - margin, sole[3] + margin, 20)
        points = [position[:2] + a * forward + b * left for a in along for b in across]
        heights, _ = cast_down(ground, np.column_stack([points, np.full(len(points), position[2] + 0.2)]))
        shares.append((heights < position[2] - 0.035 - depth).mean())
    return sum(shares)


def test_soles_hang_over_gaps_as_far_as_the_ground_says(adapter, env, ground, monkeypatch) -> None:
    from rlmpc.tasks.mdp import overhang

    monkeypatch.setattr(overhang, "foot_contact", lambda env, sensor_cfg: torch.ones(NUM_ENVS, 2))
    start_on_level(adapter, NUM_ROWS - 1)
    params = env.reward_manager.get_term_cfg("sole_overhang").params
    seen, expected = [], []
    for _ in range(6):
        yaw = uniform(-math.pi, math.pi, NUM_ENVS)
        place(env, ground, uniform(-2.5, 2.5, NUM_ENVS, 2), torch.zeros(NUM_ENVS), torch.zeros(NUM_ENVS), yaw)
        adapter.step(zeros())
        seen.append(overhang.sole_overhang(env, **params).numpy())
        soles = {name: params[name] for name in ("sole", "margin", "depth")}
        expected.append([expected_overhang(env, ground, index, **soles) for index in range(NUM_ENVS)])
    seen, expected = np.array(seen), np.array(expected)
    is_partial = (expected > 0.0) & (expected < 2.0)
    assert is_partial.sum() > 10
    # Rays are 5 cm apart, so a sole has 6 to 15 of them.
    assert np.abs(seen - expected).max() < 0.5 and np.abs(seen - expected)[is_partial].mean() < 0.15
    assert np.abs(seen - expected)[~is_partial].mean() < 0.01


def test_fifty_random_steps_stay_finite_and_within_the_solver(adapter, env) -> None:
    start_on_level(adapter, NUM_ROWS - 1)
    adapter.pop_metrics()
    for _ in range(50):
        step = adapter.step(torch.randn(NUM_ENVS, 30))
        assert step.reward.isfinite().all()
        assert all(values.isfinite().all() for values in step.obs.values())
    peaks = adapter.pop_metrics()
    solver = env.cfg.sim.physics.solver_cfg
    assert 0.0 < peaks["sim/constraints_peak"][0] <= solver.njmax
    assert 0.0 < peaks["sim/contacts_peak"][0] <= solver.nconmax


def test_the_feet_have_at_most_the_friction_of_the_ground_in_the_reference(env, adapter) -> None:
    teacher = adapter.obs_schema.columns("teacher", "foot_friction")
    friction = adapter.reset()["teacher"][:, teacher]
    assert 0.3 <= friction.min() < 0.5 and 0.8 < friction.max() <= 1.0


def test_vx_is_drawn_from_above_half_a_metre_per_second_once_its_limit_is_reached(adapter, env, monkeypatch) -> None:
    command = env.command_manager.get_term("base_velocity")
    monkeypatch.setattr(command.cfg, "min_lin_vel_x_at_limit", 0.5)
    for kind in ("rel_sideways_envs", "rel_turning_envs"):
        monkeypatch.setattr(command.cfg, kind, 0.0)
    before = command.state_dict()
    narrow = {"lin_vel_x": [0.0, 0.1], "lin_vel_y": [-0.1, 0.1], "ang_vel_z": [-0.1, 0.1]}
    command.load_state_dict(narrow)
    for _ in range(8):
        command.widen(VX, 0.1)
    assert command.state_dict()["lin_vel_x"] == [0.0, 0.9]
    for _ in range(3):
        command.widen(VX, 0.1)
        assert command.state_dict()["lin_vel_x"] == [0.5, 1.0]
    saved = adapter.curriculum()
    command.load_state_dict(narrow)
    adapter.load_curriculum(saved)
    assert command.state_dict()["lin_vel_x"] == [0.5, 1.0]
    adapter.reset()
    drawn = command.command[~command.is_standing_env, 0]
    assert len(drawn) > 0 and drawn.min() >= 0.5 and drawn.max() <= 1.0
    command.load_state_dict(before)


def test_stones_are_the_fourth_kind_of_ground_beside_those_of_the_blind_task() -> None:
    from rlmpc.tasks.blind_rl.env_cfg import BlindEnvCfg
    from rlmpc.tasks.phase_1_scan_rl.env_cfg import ScanEnvCfg

    ours, blind = (cfg.scene.terrain.terrain_generator.sub_terrains for cfg in (ScanEnvCfg(), BlindEnvCfg()))
    assert list(ours) == [*blind, "stepping_stones"]
    assert all(ours[kind].to_dict() == blind[kind].to_dict() for kind in blind)


def test_a_lowest_vx_outside_the_limits_is_refused() -> None:
    from rlmpc.tasks.phase_1_scan_rl.env_cfg import ScanEnvCfg

    cfg = ScanEnvCfg()
    cfg.commands.base_velocity.min_lin_vel_x_at_limit = 1.2
    with pytest.raises(ValueError, match=r"min_lin_vel_x_at_limit 1\.2"):
        cfg.finalize()
