"""The ground in MuJoCo: the stairs of the training, as boxes."""

from __future__ import annotations

import numpy as np
import pytest

from rlmpc.errors import UserError
from rlmpc.sim2sim import ground as ground_module
from rlmpc.sim2sim.ground import NUM_LEVELS, TERRAINS, Ground, make_ground


def heights(ground: Ground, points: np.ndarray) -> np.ndarray:
    """Top of the ground at points (P, 2), (P,)."""
    centres, halves = (np.array([getattr(box, key) for box in ground.boxes]) for key in ("centre", "half_size"))
    inside = (np.abs(points[:, None] - centres[:, :2]) <= halves[:, :2]).all(axis=2)
    return np.where(inside, centres[:, 2] + halves[:, 2], -np.inf).max(axis=1)


def random_points(half_size: float, count: int = 500) -> np.ndarray:
    return np.random.default_rng(0).uniform(-half_size, half_size, (count, 2))


def test_flat_ground_is_level_on_every_level():
    assert make_ground("flat", 0) == make_ground("flat", 9)
    assert (heights(make_ground("flat", 0), random_points(11.9)) == 0.0).all()


def test_steps_of_the_easiest_and_the_hardest_level_have_the_heights_in_the_middle_of_their_intervals():
    assert ground_module.step_height(0) == pytest.approx(0.018)
    assert ground_module.step_height(9) == pytest.approx(0.162)


@pytest.mark.parametrize(("terrain", "num_rings", "sign"), [("stairs_up", 11, 1.0), ("stairs_down", 12, -1.0)])
def test_who_walks_outward_meets_equal_steps_every_thirty_centimetres(terrain: str, num_rings: int, sign: float):
    ground = make_ground(terrain, 9)
    edge = 4.0 - 0.3 * num_rings
    on_steps = np.array([[0.0, 0.0]] + [[edge + 0.3 * step + 0.15, 0.0] for step in range(num_rings + 1)])
    for path in (on_steps, -on_steps, on_steps[:, ::-1], -on_steps[:, ::-1]):
        climbed = np.diff(heights(ground, path))
        np.testing.assert_allclose(climbed, np.full(num_rings + 1, sign * 0.162), atol=1e-9)
    assert heights(ground, on_steps[:1])[0] == pytest.approx(ground.origin_height)
    assert heights(ground, on_steps[-1:])[0] == pytest.approx(0.0)


@pytest.mark.parametrize("terrain", TERRAINS)
def test_every_point_of_the_ground_belongs_to_one_box(terrain: str):
    boxes = make_ground(terrain, 4).boxes
    for point in random_points(11.9, count=300):
        owners = [box for box in boxes if (np.abs(point - box.centre[:2]) < box.half_size[:2]).all()]
        assert len(owners) == 1


def test_unknown_terrains_and_levels_are_refused():
    with pytest.raises(UserError, match=r"'stairs_upp'.*accepted: flat, stairs_up.*did you mean 'stairs_up'"):
        make_ground("stairs_upp", 0)
    for level in (-1, NUM_LEVELS):
        with pytest.raises(UserError, match="accepted: 0 to 9"):
            make_ground("flat", level)


@pytest.mark.sim
@pytest.mark.parametrize("terrain", ["stairs_up", "stairs_down"])
@pytest.mark.parametrize("level", [0, 5, 9])
def test_stairs_are_those_that_isaac_lab_generates(terrain: str, level: int):
    from rlmpc.tasks.terrains import BLIND_TERRAIN_CFG, TILE_SIZE_M

    assert TILE_SIZE_M[0] == 2.0 * ground_module.TILE_HALF_SIZE_M
    assert BLIND_TERRAIN_CFG.num_rows == NUM_LEVELS
    cfg = BLIND_TERRAIN_CFG.sub_terrains[terrain].copy()
    cfg.size = TILE_SIZE_M
    meshes, origin = cfg.function((level + 0.5) / NUM_LEVELS, cfg)
    ground, points = make_ground(terrain, level), random_points(3.99)
    generated = np.full(len(points), -np.inf)
    for mesh in meshes:
        low, high = mesh.bounds - [*origin[:2], 0.0]
        inside = ((points >= low[:2]) & (points <= high[:2])).all(axis=1)
        generated = np.where(inside, np.maximum(generated, high[2]), generated)
    np.testing.assert_allclose(heights(ground, points), generated, atol=1e-6)
    assert ground.origin_height == pytest.approx(origin[2])
