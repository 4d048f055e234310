"""A broad phase that knows how high the ground is, and leaves out shapes that are above it.

The ground is one mesh under all environments, so the bounding box of every robot's every shape overlaps its bounding
box, and the stock broad phase lets all of them through to search the mesh for triangles. Most find none.
"""

# Warp compiles its kernels from the source; as Python, their types do not fit.
# pyright: reportArgumentType=false, reportCallIssue=false, reportGeneralTypeIssues=false, reportIndexIssue=false
# pyright: reportOperatorIssue=false

from typing import Any

import numpy as np
import warp as wp
from newton import GeoType, Model
from newton.geometry import BroadPhaseExplicit

_ROUNDING_M = 1e-3
"""Added to the ground on all sides: the boxes of the broad phase and of the search in the mesh differ by rounding."""

_MAX_FOOTPRINT_M = wp.constant(3.0)
"""Shapes that are wider count as near the ground, so that one that diverges does not read the whole grid."""


@wp.struct
class _Grid:
    """The height of the highest triangle over each cell of a horizontal grid."""

    origin: wp.vec2
    cell: float
    height: wp.array2d[float]


@wp.func
def _cell_of(position: float, origin: float, cell: float, number: int) -> int:
    return int(wp.clamp(wp.floor((position - origin) / cell), 0.0, float(number - 1)))


@wp.kernel(enable_backward=False)
def _raise_grid(points: wp.array[wp.vec3], indices: wp.array2d[int], slack: float, grid: _Grid):
    """Raise all cells under a triangle's bounding box, larger by `slack` [m], to the top of that box."""
    triangle = wp.tid()
    a, b, c = points[indices[triangle, 0]], points[indices[triangle, 1]], points[indices[triangle, 2]]
    lower, upper = wp.min(wp.min(a, b), c), wp.max(wp.max(a, b), c)
    first_x = _cell_of(lower[0] - slack, grid.origin[0], grid.cell, grid.height.shape[0])
    first_y = _cell_of(lower[1] - slack, grid.origin[1], grid.cell, grid.height.shape[1])
    last_x = _cell_of(upper[0] + slack, grid.origin[0], grid.cell, grid.height.shape[0])
    last_y = _cell_of(upper[1] + slack, grid.origin[1], grid.cell, grid.height.shape[1])
    for x in range(first_x, last_x + 1):
        for y in range(first_y, last_y + 1):
            wp.atomic_max(grid.height, x, y, upper[2] + slack)


@wp.func
def _is_above(lower: wp.vec3, upper: wp.vec3, grid: _Grid) -> bool:
    """Return whether a bounding box is above all ground under it; false if a bound is not finite."""
    if not (upper[0] - lower[0] < _MAX_FOOTPRINT_M and upper[1] - lower[1] < _MAX_FOOTPRINT_M):
        return False
    first_y = _cell_of(lower[1], grid.origin[1], grid.cell, grid.height.shape[1])
    last_y = _cell_of(upper[1], grid.origin[1], grid.cell, grid.height.shape[1])
    last_x = _cell_of(upper[0], grid.origin[0], grid.cell, grid.height.shape[0])
    for x in range(_cell_of(lower[0], grid.origin[0], grid.cell, grid.height.shape[0]), last_x + 1):
        for y in range(first_y, last_y + 1):
            if not lower[2] > grid.height[x, y]:
                return False
    return True


@wp.kernel(enable_backward=False)
def _void_pairs_above_ground(
    places: wp.array[int],
    shapes: wp.array[int],
    shape_lower: wp.array[wp.vec3],
    shape_upper: wp.array[wp.vec3],
    grid: _Grid,
    pairs: wp.array[wp.vec2i],
    near: wp.array[wp.vec2i],
):
    """Pair shapes above the ground with themselves instead, which the stock broad phase drops as of the same body."""
    i = wp.tid()
    place, shape = places[i], shapes[i]
    if _is_above(shape_lower[shape], shape_upper[shape], grid):
        near[place] = wp.vec2i(shape, shape)
    else:
        near[place] = pairs[place]


class BroadPhaseAboveGround(BroadPhaseExplicit):
    """The stock broad phase of explicit pairs, without pairs of a moving shape and ground far below it.

    It leaves out only shapes whose bounding box overlaps the bounding box of no triangle, for which the search in the
    mesh finds nothing: contacts are the same. Ground is all meshes that are fixed to the world; without any, it is the
    stock broad phase.

    Args:
        model: the shapes.
        pairs: those that may touch, (P) pairs of indices of shapes.
        cell: width of the grid's cells [m].
    """

    def __init__(self, model: Model, pairs: wp.array, cell: float) -> None:
        assert model.shape_body is not None and model.shape_type is not None
        is_fixed, is_mesh = model.shape_body.numpy() < 0, model.shape_type.numpy() == GeoType.MESH
        is_ground, can_fly = is_fixed & is_mesh, ~is_fixed & ~is_mesh
        first, second = pairs.numpy().reshape(-1, 2).T
        places = np.flatnonzero((is_ground[first] & can_fly[second]) | (is_ground[second] & can_fly[first]))
        shapes = np.where(is_ground[first], second, first)[places]
        device = model.device
        self._places = wp.array(places, dtype=int, device=device)
        self._shapes = wp.array(shapes, dtype=int, device=device)
        self._near = wp.clone(pairs)
        if len(places):
            self._grid = _grid_over(model, np.flatnonzero(is_ground), cell)

    def launch(
        self,
        shape_lower: wp.array,
        shape_upper: wp.array,
        shape_gap: wp.array | None,
        shape_pairs: wp.array,
        *arguments: Any,
        **options: Any,
    ) -> None:
        """Write the pairs whose bounding boxes overlap, as the stock broad phase does with the same arguments."""
        # Gaps that the bounding boxes do not contain yet, and motion ahead, are not known to the grid.
        if self._places.size and shape_gap is None and options.get("shape_displacement") is None:
            inputs = [self._places, self._shapes, shape_lower, shape_upper, self._grid, shape_pairs]
            wp.launch(
                _void_pairs_above_ground,
                dim=self._places.size,
                inputs=inputs,
                outputs=[self._near],
                device=shape_lower.device,
                record_tape=False,
            )
            shape_pairs = self._near
        super().launch(shape_lower, shape_upper, shape_gap, shape_pairs, *arguments, **options)


def _grid_over(model: Model, meshes: np.ndarray, cell: float) -> _Grid:
    """Return the grid over some meshes, enlarged by the largest of their margins and gaps."""
    assert model.shape_margin is not None and model.shape_gap is not None
    slack = float((model.shape_margin.numpy() + model.shape_gap.numpy())[meshes].max()) + _ROUNDING_M
    corners = [_corners(model, mesh) for mesh in meshes]
    points = np.concatenate([points for points, _ in corners])
    lower, upper = points[:, :2].min(axis=0) - slack, points[:, :2].max(axis=0) + slack
    grid = _Grid()
    grid.origin, grid.cell = wp.vec2(*lower), cell
    numbers = np.ceil((upper - lower) / cell).astype(int)
    grid.height = wp.full(tuple(numbers), -np.inf, dtype=float, device=model.device)
    for points, triangles in corners:
        device_points = wp.array(points, dtype=wp.vec3, device=model.device)
        device_triangles = wp.array(triangles, dtype=int, device=model.device)
        inputs = [device_points, device_triangles, slack]
        wp.launch(_raise_grid, dim=len(triangles), inputs=inputs, outputs=[grid], device=model.device)
    return grid


def _corners(model: Model, mesh: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the points of a mesh in the world, (P, 3) [m], and the indices of its triangles, (T, 3)."""
    assert model.shape_transform is not None and model.shape_scale is not None
    source: Any = model.shape_source[mesh]
    position, quaternion = np.split(model.shape_transform.numpy()[mesh], [3])
    rotation = np.array(wp.quat_to_matrix(wp.quat(*quaternion))).reshape(3, 3)
    points = (source.vertices * model.shape_scale.numpy()[mesh]) @ rotation.T + position
    return points.astype(np.float32), np.asarray(source.indices).reshape(-1, 3).astype(np.int32)
