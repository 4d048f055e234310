"""The stairs in MuJoCo against those that Isaac Lab generates."""

from __future__ import annotations

import numpy as np
import pytest

from rlmpc.sim2sim.ground import make_ground
from tests.sim2sim.test_ground import heights, random_points

pytestmark = pytest.mark.sim


@pytest.mark.parametrize("kind", ["stairs_up", "stairs_down"])
@pytest.mark.parametrize("level", [0, 5, 9])
def test_stairs_are_those_that_isaac_lab_generates(kind: str, level: int):
    from rlmpc.envs.isaaclab.contract import terrain_of
    from rlmpc.tasks.blind_rl.env_cfg import BlindEnvCfg

    cfg = BlindEnvCfg()
    cfg.finalize()
    generator = cfg.scene.terrain.terrain_generator
    stairs = generator.sub_terrains[kind]
    meshes, origin = stairs.function((level + 0.5) / generator.num_rows, stairs)
    ground, points = make_ground(terrain_of(generator), kind, level), random_points(3.99)
    generated = np.full(len(points), -np.inf)
    for mesh in meshes:
        low, high = mesh.bounds - [*origin[:2], 0.0]
        inside = ((points >= low[:2]) & (points <= high[:2])).all(axis=1)
        generated = np.where(inside, np.maximum(generated, high[2]), generated)
    np.testing.assert_allclose(heights(ground, points), generated, atol=1e-6)
    assert ground.origin_height == pytest.approx(origin[2])
