"""How much of a sole has no ground under it, by hand. Needs Isaac Lab but starts no simulation."""

import math
from collections import UserDict
from types import SimpleNamespace

import pytest
import torch

pytestmark = pytest.mark.sim

FEET = SimpleNamespace(name="robot", body_ids=[0, 1])
SOLE = (-0.06, 0.14, -0.04, 0.04)
"""Each sole covers four rays along x and two along y while its axes are those of the scanner."""
SCANNER_POS = torch.tensor([3.0, -2.0, 1.0])


def quat_of(yaw: float) -> list[float]:
    """The quaternion (x, y, z, w) of a turn about the vertical [rad]."""
    return [0.0, 0.0, math.sin(0.5 * yaw), math.cos(0.5 * yaw)]


def overhang(monkeypatch, ground, feet, *, turn=0.0, foot_turn=0.0, soles=(0.0, 0.0), contact=(1.0, 1.0)) -> float:
    """The overhang of a robot.

    Args:
        monkeypatch: Of pytest.
        ground: Gives the height of the ground [m] from x and y of rays in the frame of the scanner.
        feet: Left and right foot in the frame of the scanner, x and y [m].
        turn: Yaw of the scanner in the world.
        foot_turn: Yaw of the feet in the frame of the scanner.
        soles: Heights of the soles [m].
        contact: 1 for a foot that is in contact.
    """
    from rlmpc.tasks import mdp
    from rlmpc.tasks.mdp import overhang as module

    x, y = torch.meshgrid(0.05 * torch.arange(-9, 10), 0.05 * torch.arange(-9, 10), indexing="xy")
    starts = torch.stack([x.flatten(), y.flatten(), torch.full_like(x.flatten(), 0.4)], dim=1).unsqueeze(0)
    hits = torch.full_like(starts, math.inf)
    hits[..., 2] = ground(starts[..., 0], starts[..., 1])
    scanner = SimpleNamespace(
        ray_starts=SimpleNamespace(torch=starts),
        data=SimpleNamespace(
            pos_w=SimpleNamespace(torch=SCANNER_POS.unsqueeze(0)),
            quat_w=SimpleNamespace(torch=torch.tensor([quat_of(turn)])),
            ray_hits_w=SimpleNamespace(torch=hits),
        ),
    )
    turned = torch.tensor([[math.cos(turn), math.sin(turn)], [-math.sin(turn), math.cos(turn)]])
    pos = torch.zeros(1, 2, 3)
    pos[0, :, :2] = SCANNER_POS[:2] + torch.tensor(feet) @ turned
    data = SimpleNamespace(
        body_pos_w=SimpleNamespace(torch=pos),
        body_quat_w=SimpleNamespace(torch=torch.tensor([[quat_of(turn + foot_turn)] * 2])),
    )

    monkeypatch.setattr(module, "sole_heights", lambda env, asset_cfg, sole_offset: torch.tensor([soles]))
    monkeypatch.setattr(module, "foot_contact", lambda env, sensor_cfg: torch.tensor([contact]))
    scene = UserDict(robot=SimpleNamespace(data=data))
    scene.sensors = {"height_scanner": scanner}
    env = SimpleNamespace(scene=scene)
    entity = SimpleNamespace(name="height_scanner")
    (value,) = mdp.sole_overhang(env, FEET, entity, entity, 0.03, SOLE, margin=0.0, depth=0.3).tolist()
    return value


def flat(x, y):
    """Ground at height 0."""
    return torch.zeros_like(x)


def gap_ahead(x, y):
    """Ground that ends 5 cm ahead of the scanner's middle; rays beyond hit nothing."""
    return torch.where(x > 0.06, math.inf, 0.0)


STAND = ((0.0, 0.125), (0.0, -0.125))


def test_soles_on_the_ground_hang_over_nothing(monkeypatch):
    assert overhang(monkeypatch, flat, STAND) == 0.0


@pytest.mark.parametrize("turn", [0.0, 1.0, -2.5])
def test_the_share_of_the_rays_under_a_sole_that_hit_nothing_counts(monkeypatch, turn: float):
    # Of the rays at -0.05, 0, 0.05, 0.1 ahead of either foot, one is over the gap.
    assert overhang(monkeypatch, gap_ahead, STAND, turn=turn) == pytest.approx(2 * 1 / 4)
    assert overhang(monkeypatch, gap_ahead, ((0.1, 0.125), (-0.2, -0.125)), turn=turn) == pytest.approx(3 / 4)


def test_feet_turn_under_the_body(monkeypatch):
    # Turned by a right angle, the soles lie along y.
    sides = ((0.1, 0.2), (0.1, -0.2))
    assert overhang(monkeypatch, gap_ahead, sides, foot_turn=0.5 * math.pi) == pytest.approx(2.0)
    assert overhang(monkeypatch, gap_ahead, ((0.05, 0.2), (0.05, -0.2)), foot_turn=0.5 * math.pi) < 1.5


def test_a_foot_in_the_air_may_pass_over_gaps(monkeypatch):
    assert overhang(monkeypatch, gap_ahead, ((0.2, 0.125), (-0.2, -0.125)), contact=(0.0, 1.0)) == 0.0


def test_a_step_lower_than_the_depth_carries_and_a_deeper_one_does_not(monkeypatch):
    def step_of(height: float):
        return lambda x, y: torch.where(x > 0.06, -height, 0.0)

    assert overhang(monkeypatch, step_of(0.29), STAND) == 0.0
    assert overhang(monkeypatch, step_of(0.31), STAND) == pytest.approx(0.5)
    # What counts is the depth below the sole: a foot that is in the gap stands on nothing when the gap is deeper.
    assert overhang(monkeypatch, step_of(0.31), STAND, soles=(-0.1, 0.0)) == pytest.approx(0.25)


def test_a_foot_outside_the_scan_counts_as_standing(monkeypatch):
    assert overhang(monkeypatch, gap_ahead, ((3.0, 0.1), (-3.0, -0.1))) == 0.0
