"""What observation terms mean: unit, frame and order of the entries, by the name of the term.

Names are what a contract knows of a term, and a policy is exported where no simulator is installed, from old
checkpoints too. So the meanings stand here, once, and not beside the functions that compute them. The tests refuse a
task with a term that is missing here.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Meaning:
    """What one frame of an observation term holds, before clip and scale."""

    unit: str
    """`1` if it has none."""
    frame: str
    """That of vectors; `none` for what is no vector in space."""
    meaning: str
    order: str
    """Order of the entries of one frame."""


ROOT = "root: fixed to the floating body, x forward, y left, z up"
HEADING = "heading: the root's, turned by its yaw only, so that z is vertical"
WORLD = "world: z up"
JOINTS = "one entry for each of contract.joints.names, in that order"
XYZ = "x, y, z"
_AXES = "x, y"
_RANDOMISED = "(value - nominal) / (0.2 nominal) of what is randomised in simulation: "

TERMS: dict[str, Meaning] = {
    "joint_pos": Meaning("rad", "none", "joint positions minus contract.joints.default_pos", JOINTS),
    "joint_vel": Meaning("rad/s", "none", "joint velocities", JOINTS),
    "base_ang_vel": Meaning("rad/s", ROOT, "angular velocity of the root body, as its gyroscope measures it", XYZ),
    "projected_gravity": Meaning(
        "1", ROOT, "direction of gravity, of length 1: (0, 0, -1) for a root that stands upright", XYZ
    ),
    "velocity_command": Meaning(
        "m/s, m/s, rad/s", HEADING, "commanded velocity of the root", "forward, left, yaw rate (positive to the left)"
    ),
    "last_action": Meaning(
        "1",
        "none",
        "action of the step before, as the graph gave it and then clipped, before scale and offset; zeros at the start",
        "as the output `action`",
    ),
    "gait_phase": Meaning(
        "1", "none", "sine and cosine of 2 pi x phase of each leg", "sin left, sin right, cos left, cos right"
    ),
    "height_scan": Meaning(
        "1",
        HEADING,
        "1 - min(d, far) / far, where d is the distance from a ray's start straight down to the ground and far is "
        "contract.world.height_scanner.max_distance_m; 0 where nothing is hit. All rays start at the height of the "
        "body that carries the scanner plus the z of its offset.",
        "one entry for each ray of the grid contract.world.height_scanner: x (forward) runs fastest, then y (left), "
        "both rising, so the first ray is rear right",
    ),
    "base_lin_vel": Meaning("m/s", ROOT, "linear velocity of the root's centre of mass", XYZ),
    "joint_stiffness": Meaning("1", "none", f"{_RANDOMISED}the drives' stiffness", JOINTS),
    "joint_damping": Meaning("1", "none", f"{_RANDOMISED}the drives' damping", JOINTS),
    "torso_mass": Meaning("1", "none", f"{_RANDOMISED}the mass of the torso", "one entry"),
    "torso_com": Meaning("m", "torso body", "displacement of the torso's centre of mass from its nominal place", XYZ),
    "foot_friction": Meaning("1", "none", "coefficient of friction of each foot", "left, right"),
    "base_height": Meaning("m", WORLD, "height of the root's origin above the lower sole", "one entry"),
    "foot_contact": Meaning(
        "1", "none", "1 where a foot presses on the ground with more than 1 N, else 0", "left, right"
    ),
    "velocity_error": Meaning(
        "m/s, m/s, rad/s",
        HEADING,
        "average of measured minus commanded velocity of the root, by a first-order low-pass filter that starts at 0",
        "forward, left, yaw rate (positive to the left)",
    ),
    "planned_contacts": Meaning(
        "1", "none", "1 where the controller plans a foot to be down, else 0", "left, right of each step of the horizon"
    ),
    "mpc_parameters": Meaning(
        "1",
        "none",
        "(value - nominal) / scale of the parameters of the controller that the last actions have set, after clipping",
        "as the output `action`",
    ),
    "planned_wrench": Meaning(
        "1",
        HEADING,
        "planned force and moment of the ground on each sole: forces by the robot's weight, moments by its weight at "
        "0.1 m",
        "left force x, y, z, left moment x, y, z, then right",
    ),
    "mpc_cost": Meaning("1", "none", "sign(c) log(1 + |c|) of the cost c of the controller's last solve", "one entry"),
    "mpc_residual": Meaning(
        "1", "none", "residual of the controller's last solve by the largest accepted one, at most 10", "one entry"
    ),
    "target_error": Meaning("m", WORLD, "target minus position of the point (toy)", _AXES),
    "position": Meaning("m", WORLD, "position of the point (toy)", _AXES),
    "velocity": Meaning("m/s", WORLD, "velocity of the point (toy)", _AXES),
    "gain": Meaning("1", "none", "gain of the point's motor minus 1 (toy)", "one entry"),
    "drag": Meaning("1/s", "none", "deceleration of the point per unit of velocity (toy)", "one entry"),
    "wind": Meaning("m/s^2", WORLD, "constant acceleration of the point (toy)", _AXES),
}
"""By the name of the term in an observation group; a name means the same in all tasks."""
