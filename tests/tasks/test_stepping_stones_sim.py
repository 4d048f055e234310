"""The stepping stones, measured on the mesh. Needs Isaac Lab but starts no simulation."""

from itertools import pairwise

import numpy as np
import pytest

pytestmark = pytest.mark.sim

SIZE, PLATFORM = 8.0, (3.25, 4.75)
EXPECTED = {0.0: (1.0, 0.05), 0.5: (0.9, 0.125), 1.0: (0.8, 0.2)}
"""Difficulty -> width of stones and gaps [m]."""


@pytest.fixture(params=EXPECTED)
def difficulty(request):
    return request.param


def build(difficulty, **changes):
    """Boxes and origin of one tile."""
    from rlmpc.tasks.stepping_stones import SteppingStonesCfg, stepping_stones

    return stepping_stones(difficulty, SteppingStonesCfg(**{"size": (SIZE, SIZE), "seed": 3, **changes}))


@pytest.fixture
def mesh(difficulty):
    from trimesh.util import concatenate

    return concatenate(build(difficulty)[0])


def tops_along(mesh, axis, at):
    """(begin, end, height) of the ground above -1 m on a straight line along an axis (0: x, 1: y), in order [m]."""
    from trimesh.intersections import mesh_plane

    normal = np.eye(3)[1 - axis]
    segments = mesh_plane(mesh, normal, at * normal)
    segments = segments[(segments[..., 2] > -1.0).all(axis=1) & (np.ptp(segments[..., axis], axis=1) > 1e-9)]
    tops = []
    for begin, end, height in sorted((*sorted(s[:, axis]), s[0, 2]) for s in segments):
        # Two triangles make a top.
        if tops and abs(tops[-1][1] - begin) < 1e-9 and tops[-1][2] == height:
            begin = tops.pop()[0]
        tops.append((begin, end, height))
    return np.array(tops).reshape(-1, 3)


def bounds_of(boxes):
    """Lower and upper corners (B, 3) of all boxes but the floor."""
    low, high = np.array([box.bounds for box in boxes]).transpose(1, 0, 2)
    return low[high[:, 2] > -1.0], high[high[:, 2] > -1.0]


def test_rows_have_whole_stones_and_gaps_of_the_asked_width_from_border_to_border(mesh, difficulty) -> None:
    stone, gap = EXPECTED[difficulty]
    rows = [tops_along(mesh, 0, at) for at in np.linspace(0.013, SIZE - 0.013, 101)]
    num_platform = num_whole = 0
    # A line in the gap between two rows meets nothing, or the platform alone.
    for begin, end, height in (row.T for row in rows if len(row) > 1):
        np.testing.assert_allclose(begin[1:] - end[:-1], gap, atol=1e-9)
        np.testing.assert_allclose([begin[0], end[-1]], [0.0, SIZE], atol=1e-9)
        is_platform = np.isclose(begin, PLATFORM[0]) & np.isclose(end, PLATFORM[1]) & (height == 0.0)
        is_cut = is_platform | (begin == 0.0) | np.isclose(end, SIZE)
        is_cut |= np.isclose(end + gap, PLATFORM[0]) | np.isclose(begin - gap, PLATFORM[1])
        width = end - begin
        np.testing.assert_allclose(width[~is_cut], stone, atol=1e-9)
        assert (width[~is_platform] <= stone + 1e-9).all() and (width > 0.2 - 1e-9).all()
        num_platform += is_platform.sum()
        num_whole += (~is_cut).sum()
    assert num_platform > 15 and num_whole > 300


def test_rows_are_a_gap_apart(mesh, difficulty) -> None:
    stone, gap = EXPECTED[difficulty]
    # Lines that pass a gap of a row see a longer hole there; most do not.
    columns = [tops_along(mesh, 1, at) for at in np.linspace(0.013, SIZE - 0.013, 101)]
    gaps = np.concatenate([column[1:, 0] - column[:-1, 1] for column in columns])
    assert np.isclose(gaps, gap, atol=1e-9).mean() > 0.8 and gaps.min() > gap - 1e-9
    widths = np.concatenate([column[:, 1] - column[:, 0] for column in columns])
    assert np.isclose(widths, stone, atol=1e-9).mean() > 0.3
    assert (widths[~np.isclose(widths, PLATFORM[1] - PLATFORM[0])] <= stone + 1e-9).all()


def test_no_box_overlaps_another_and_no_hole_is_wider_than_a_crossing_of_gaps(difficulty) -> None:
    _, gap = EXPECTED[difficulty]
    low, high = bounds_of(build(difficulty)[0])
    distance = np.maximum(low[:, None] - high, low - high[:, None])[..., :2].max(axis=2)
    assert distance[~np.eye(len(low), dtype=bool)].min() > gap - 1e-9
    points = np.random.default_rng(0).uniform(0.0, SIZE, (4000, 1, 2))
    beside = np.maximum(np.maximum(low[:, :2] - points, points - high[:, :2]), 0.0)
    assert np.linalg.norm(beside, axis=2).min(axis=1).max() <= gap / np.sqrt(2.0) + 1e-9


def test_tops_lie_within_five_centimetres_around_the_platform(difficulty) -> None:
    boxes, origin = build(difficulty)
    low, high = bounds_of(boxes)
    assert origin.tolist() == [0.5 * SIZE, 0.5 * SIZE, 0.0]
    is_platform = (low[:, :2] == PLATFORM[0]).all(axis=1) & (high[:, :2] == PLATFORM[1]).all(axis=1)
    assert high[is_platform, 2].tolist() == [0.0]
    heights = high[~is_platform, 2]
    assert -0.05 <= heights.min() < -0.04 and 0.04 < heights.max() <= 0.05
    assert len(np.unique(heights)) == len(heights) > 60


def test_stones_of_neighbouring_rows_are_shifted_against_each_other(difficulty) -> None:
    _, gap = EXPECTED[difficulty]
    low, high = bounds_of(build(difficulty)[0])
    # From the lower border up: the y at which rows begin, and where the stones of each begin and end in x.
    y_begins = np.unique(low[low[:, 1] < PLATFORM[0] - 1e-9, 1])
    gaps = [np.sort(high[low[:, 1] == y, 0])[:-1] for y in y_begins if y < PLATFORM[0] - gap]
    assert len(gaps) >= 3
    for row, next_row in pairwise(gaps):
        assert np.abs(row[:, None] - next_row).min() > 1e-3


def test_walls_are_vertical_down_to_the_floor_and_the_mesh_ends_with_the_tile(mesh, difficulty) -> None:
    low, _ = bounds_of(build(difficulty)[0])
    assert (low[:, 2] == -8.0).all()
    np.testing.assert_allclose(np.abs(mesh.face_normals).max(axis=1), 1.0)
    np.testing.assert_array_equal(mesh.bounds[:, :2], [[0.0, 0.0], [SIZE, SIZE]])
    upward = mesh.triangles[mesh.face_normals[:, 2] > 0.5][..., 2]
    assert set(upward[upward < -0.05].tolist()) == {-8.0}
    assert mesh.is_watertight and len(mesh.faces) < 1500


def test_the_seed_changes_the_stones_at_the_same_difficulty() -> None:
    def corners(seed):
        return np.array([box.bounds for box in build(0.5, seed=seed)[0]])

    np.testing.assert_array_equal(corners(5), corners(5))
    other = corners(6)
    assert other.shape != corners(5).shape or np.abs(other - corners(5)).max() > 0.01


def test_the_seed_of_the_generator_or_else_the_global_one_reproduces_the_mesh() -> None:
    from isaaclab.terrains import TerrainGenerator
    from isaaclab.utils import clone

    from rlmpc.tasks.terrains import SCAN_TERRAIN_CFG

    def vertices(seed, global_seed):
        np.random.seed(global_seed)
        cfg = clone(SCAN_TERRAIN_CFG)
        cfg.sub_terrains = {"stepping_stones": cfg.sub_terrains["stepping_stones"]}
        cfg.num_rows, cfg.num_cols, cfg.seed = 3, 1, seed
        return TerrainGenerator(cfg).terrain_mesh.vertices

    for one, other in (((5, 0), (5, 1)), ((None, 2), (None, 2))):
        np.testing.assert_array_equal(vertices(*one), vertices(*other))
    for one, other in (((5, 0), (6, 0)), ((None, 2), (None, 3))):
        assert not np.array_equal(vertices(*one), vertices(*other))


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"gap_width": (0.05, 0.5)}, "too narrow for gaps"), ({"platform_width": 7.5}, "beside its platform")],
)
def test_a_tile_without_room_for_stones_is_refused(changes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build(1.0, **changes)
