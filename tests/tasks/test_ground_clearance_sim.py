"""The broad phase that leaves out shapes above the ground, against the stock one on the same states."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch

pytestmark = pytest.mark.sim

STEP_M, GAP_M = 0.3, 0.01


def ground(**_):
    """A flat square of 4 m, and a step up where x > 0."""
    import newton
    import trimesh

    boxes = [
        trimesh.creation.box(bounds=[[-2.0, -2.0, -1.0], [0.0, 2.0, 0.0]]),
        trimesh.creation.box(bounds=[[0.0, -2.0, -1.0], [2.0, 2.0, STEP_M]]),
    ]
    mesh = trimesh.util.concatenate(boxes)
    return newton.Mesh(np.asarray(mesh.vertices), np.asarray(mesh.faces).ravel())


def candidates(positions, add_ground, cell: float | None = 0.1) -> list[int]:
    """Which of some balls of radius 0.1 m the broad phase lets through to the search in the ground."""
    import newton
    import warp as wp

    from rlmpc.tasks.ground_clearance import BroadPhaseAboveGround

    builder = newton.ModelBuilder()
    builder.default_shape_cfg.gap = GAP_M
    shapes = []
    for position in positions:
        body = builder.add_body(xform=wp.transform(position, wp.quat_identity()))
        shapes.append(builder.add_shape_sphere(body, radius=0.1))
    # Balls do not touch each other.
    builder.shape_collision_filter_pairs += [(a, b) for a in shapes for b in shapes if a < b]
    add_ground(builder)
    model = builder.finalize(device="cpu")
    pipeline = newton.CollisionPipeline(model, broad_phase="explicit")
    if cell is not None:
        pipeline.broad_phase = BroadPhaseAboveGround(model, pipeline.shape_pairs_filtered, cell)
    pipeline.collide(model.state(), pipeline.contacts())
    count = pipeline.broad_phase_pair_count.numpy()[0]
    return sorted(int(min(pair)) for pair in pipeline.broad_phase_shape_pairs.numpy()[:count])


def add_mesh(builder) -> None:
    import warp as wp

    # Turned by 90 degrees about z and moved, the step is where y > 5.
    turn = wp.quat_from_axis_angle(wp.vec3(0.0, 0.0, 1.0), 0.5 * np.pi)
    builder.add_shape_mesh(-1, xform=wp.transform((5.0, 5.0, 1.0), turn), mesh=ground())


def test_only_shapes_that_come_near_the_ground_under_them_are_candidates():
    reach = 0.1 + 2 * GAP_M
    positions = [
        (5.0, 4.0, 1.0 + reach - 0.002),  # touches the lower ground
        (5.0, 4.0, 1.0 + reach + 0.002),
        (5.0, 6.0, 1.0 + STEP_M + reach - 0.002),  # touches the step
        (5.0, 6.0, 1.0 + STEP_M + reach + 0.002),
        (5.0, 5.0 - reach + 0.002, 1.0 + reach + 0.05),  # above the lower ground, touches the wall
        (5.0, 5.0 - reach - 0.102, 1.0 + reach + 0.05),  # more than a cell away from the wall
        (5.0, 4.0, 0.5),  # inside the ground
        (5.0, 8.0, 1.0),  # beside the ground
    ]
    assert candidates(positions, add_mesh) == [0, 2, 4, 6]
    assert candidates(positions, add_mesh, cell=None) == [0, 1, 2, 4, 5, 6]


def test_states_that_are_not_finite_are_left_to_the_stock_broad_phase():
    positions = [(5.0, 4.0, 1.0)] * 13
    for i, (bad, axis) in enumerate(product([np.nan, np.inf, -np.inf, 1e30], range(3))):
        positions[i] = tuple(bad if a == axis else value for a, value in enumerate(positions[i]))
    assert candidates(positions, add_mesh) == candidates(positions, add_mesh, cell=None)


def test_ground_that_is_no_mesh_is_left_to_the_stock_broad_phase():
    def add_plane(builder) -> None:
        builder.add_ground_plane()

    positions = [(0.0, 0.0, 0.05), (0.0, 0.0, 3.0)]
    assert candidates(positions, add_plane) == candidates(positions, add_plane, cell=None) == [0]


def contacts_of(pipeline, broad_phase, state) -> np.ndarray:
    """Contacts in a state, in their order, (C, 11)."""
    pipeline.broad_phase = broad_phase
    contacts = pipeline.contacts()
    pipeline.collide(state, contacts)
    count = contacts.rigid_contact_count.numpy()[0]
    names = ("shape0", "shape1", "point0", "point1", "normal")
    columns = [getattr(contacts, f"rigid_contact_{name}").numpy()[:count].reshape(count, -1) for name in names]
    return np.concatenate(columns, axis=1)


@pytest.mark.parametrize("task", ["RLMPC-Blind-G1-v0", "RLMPC-Phase1-Scan-G1-v0"])
def test_contacts_of_walking_and_falling_robots_are_to_the_bit_those_of_the_stock_broad_phase(task: str):
    from isaaclab_newton.physics import NewtonManager
    from newton.geometry import BroadPhaseExplicit

    from rlmpc.envs.isaaclab.env import IsaacLabEnv, load_env_cfg
    from rlmpc.tasks.ground_clearance import BroadPhaseAboveGround

    cfg = load_env_cfg(task)
    cfg.scene.terrain.max_init_terrain_level = None
    # Robots fall and lie on the ground until they leave their tile or time is up.
    cfg.terminations.bad_orientation.params["limit_angle"] = 4.0
    # On the CPU, Newton handles every 256th pair one after another; fewer pairs than that have one order.
    num_envs = 12
    env = IsaacLabEnv(cfg, num_envs, torch.device("cpu"), seed=1)
    env.reset()
    pipeline, state = NewtonManager._collision_pipeline, NewtonManager.backend.state_0
    ours, stock = pipeline.broad_phase, BroadPhaseExplicit()
    assert isinstance(ours, BroadPhaseAboveGround)
    torch.manual_seed(0)
    num_contacts, num_pairs = [], []
    for _ in range(120):
        env.step(torch.randn(num_envs, 30) * 0.6)
        expected = contacts_of(pipeline, stock, state)
        found = contacts_of(pipeline, ours, state)
        num_pairs.append(pipeline.broad_phase_pair_count.numpy()[0])
        num_contacts.append(len(found))
        np.testing.assert_array_equal(found, expected)
    env.close()
    assert max(num_contacts) > 12 * num_envs, "no robot lay on the ground"
    assert np.mean(num_pairs) < 8 * num_envs
