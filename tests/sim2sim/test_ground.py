"""The ground in MuJoCo: the stairs of the training, as boxes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rlmpc.contract.world import Terrain
from rlmpc.errors import UserError
from rlmpc.sim2sim.ground import Ground, make_ground, served_kinds, step_height

KINDS = ("flat", "stairs_up", "stairs_down")


@pytest.fixture
def terrain(contract) -> Terrain:
    return contract.world.terrain


def heights(ground: Ground, points: np.ndarray) -> np.ndarray:
    """Top of the ground at points (P, 2), (P,)."""
    centres, halves = (np.array([getattr(box, key) for box in ground.boxes]) for key in ("centre", "half_size"))
    inside = (np.abs(points[:, None] - centres[:, :2]) <= halves[:, :2]).all(axis=2)
    return np.where(inside, centres[:, 2] + halves[:, 2], -np.inf).max(axis=1)


def random_points(half_size: float, count: int = 500) -> np.ndarray:
    return np.random.default_rng(0).uniform(-half_size, half_size, (count, 2))


def test_flat_ground_and_the_stairs_of_the_training_are_served(terrain):
    assert served_kinds(terrain) == KINDS
    assert served_kinds(replace(terrain, kinds={"flat": {"shape": "flat_terrain"}})) == ("flat",)
    with_holes = {"steps": terrain.kinds["stairs_up"] | {"holes": True}}
    assert served_kinds(replace(terrain, kinds=with_holes)) == ("flat",)
    assert served_kinds(replace(terrain, kinds={"steps": {"shape": "pyramid_stairs_terrain"}})) == ("flat",)
    assert served_kinds(replace(terrain, tile_size_m=[8.0, 6.0])) == ("flat",)


def test_flat_ground_is_level_on_every_level(terrain):
    assert make_ground(terrain, "flat", 0) == make_ground(terrain, "flat", 9)
    assert (heights(make_ground(terrain, "flat", 0), random_points(11.9)) == 0.0).all()


def test_steps_of_the_easiest_and_the_hardest_level_have_the_heights_in_the_middle_of_their_intervals(terrain):
    assert step_height(terrain, "stairs_up", 0) == pytest.approx(0.018)
    assert step_height(terrain, "stairs_up", 9) == pytest.approx(0.162)
    harder = replace(terrain, num_levels=1, difficulty_range=[0.5, 1.0])
    assert step_height(harder, "stairs_up", 0) == pytest.approx(0.01 + 0.75 * 0.16)


@pytest.mark.parametrize(("kind", "num_rings", "sign"), [("stairs_up", 11, 1.0), ("stairs_down", 12, -1.0)])
def test_who_walks_outward_meets_equal_steps_every_thirty_centimetres(terrain, kind: str, num_rings: int, sign: float):
    ground = make_ground(terrain, kind, 9)
    edge = 4.0 - 0.3 * num_rings
    on_steps = np.array([[0.0, 0.0]] + [[edge + 0.3 * step + 0.15, 0.0] for step in range(num_rings + 1)])
    for path in (on_steps, -on_steps, on_steps[:, ::-1], -on_steps[:, ::-1]):
        climbed = np.diff(heights(ground, path))
        np.testing.assert_allclose(climbed, np.full(num_rings + 1, sign * 0.162), atol=1e-9)
    assert heights(ground, on_steps[:1])[0] == pytest.approx(ground.origin_height)
    assert heights(ground, on_steps[-1:])[0] == pytest.approx(0.0)


@pytest.mark.parametrize("kind", KINDS)
def test_every_point_of_the_ground_belongs_to_one_box(terrain, kind: str):
    boxes = make_ground(terrain, kind, 4).boxes
    for point in random_points(11.9, count=300):
        owners = [box for box in boxes if (np.abs(point - box.centre[:2]) < box.half_size[:2]).all()]
        assert len(owners) == 1


def test_unknown_terrains_and_levels_are_refused(terrain):
    with pytest.raises(UserError, match=r"'stairs_upp'.*accepted: flat, stairs_up.*did you mean 'stairs_up'"):
        make_ground(terrain, "stairs_upp", 0)
    for level in (-1, 10):
        with pytest.raises(UserError, match="accepted: 0 to 9"):
            make_ground(terrain, "flat", level)
