"""What the controller knows about a robot, computed from the robot's description."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rlmpc.errors import UserError
from rlmpc.robots.description import Body, CollisionShape, RobotDescription
from rlmpc.robots.quaternions import rotate
from rlmpc.robots.robot import Robot

NUM_LEG_JOINTS = 6
"""Joints that move a foot in all six directions."""

_WAIST_STIFFER = 10.0
"""The waist's drives hold the trunk this much stiffer than the project's; the damping ratio stays."""


@dataclass(frozen=True)
class MpcRobot:
    """A biped with two six-jointed legs; links (L) and joints (J) are in the order of its description."""

    name: str
    mass: float
    """[kg]"""
    inertia: np.ndarray
    """[kg m^2] of all links about the centre of mass in the default pose, root frame (3, 3)."""
    link_mass: np.ndarray
    """[kg] (L,)."""
    link_com: np.ndarray
    """[m] centres of mass in the link frames (L, 3)."""
    link_inertia: np.ndarray
    """[kg m^2] about the links' centres of mass, link frames, (L, 3, 3)."""
    joint_axis: np.ndarray
    """Unit vectors in the frames of the links that the joints move (J, 3)."""
    joint_link: np.ndarray
    """Index of the link that a joint moves (J,)."""
    carried: np.ndarray
    """Whether a joint carries a link: the link is behind it in the tree, (J, L) bool."""
    leg_joints: np.ndarray
    """Indices of the joints of the left and the right leg, from the root to the foot, (2, 6)."""
    sole: np.ndarray
    """[m] centres of the soles in the frames of the feet (2, 3)."""
    sole_half_size: np.ndarray
    """[m] forward and sideways half extent of a sole (2,)."""
    default_joint_pos: np.ndarray
    """[rad] (J,)."""
    armature: np.ndarray
    """[kg m^2] (J,)."""
    effort_limit: np.ndarray
    """[N m] (J,)."""
    stiffness: np.ndarray
    """[N m/rad] of the drives beside the controller; 0 in the legs, (J,)."""
    damping: np.ndarray
    """[N m s/rad] of the drives beside the controller; 0 in the legs, (J,)."""

    @property
    def leg_links(self) -> np.ndarray:
        """Indices of the links of the left and the right leg, from the root's neighbour to the foot, (2, 6)."""
        return self.joint_link[self.leg_joints]

    @classmethod
    def of(cls, robot: Robot) -> MpcRobot:
        """Compute the facts of a robot.

        Raises:
            UserError: If the controller cannot walk it.
        """
        description = robot.description
        bodies, names = description.bodies, description.body_names
        chains = np.array([_leg(robot, foot) for foot in robot.feet])
        joint_link = np.array([names.index(body.name) for body in bodies if body.joint is not None])
        soles = [_sole(robot, foot) for foot in robot.feet]
        drives = [description.actuator_by_joint[name] for name in description.joint_names]
        stiffer = np.array(
            [_WAIST_STIFFER if name in robot.joints["waist"] else 1.0 for name in description.joint_names]
        )
        leg_joints = np.searchsorted(joint_link, chains)
        stiffer[leg_joints.ravel()] = 0.0
        inertias = np.array([_inertia(body) for body in bodies])
        return cls(
            name=robot.name,
            mass=description.total_mass,
            inertia=_composite_inertia(description, inertias),
            link_mass=np.array([body.mass for body in bodies]),
            link_com=np.array([body.com for body in bodies]),
            link_inertia=inertias,
            joint_axis=np.array([joint.axis for joint in description.joints]),
            joint_link=joint_link,
            carried=_ancestry(description)[joint_link],
            leg_joints=leg_joints,
            sole=np.array([(*shape.pos[:2], shape.pos[2] - shape.size[2]) for shape in soles]),
            sole_half_size=np.min([shape.size[:2] for shape in soles], axis=0),
            default_joint_pos=np.array(list(description.default_joint_pos.values())),
            armature=np.array([drive.armature for drive in drives]),
            effort_limit=np.array([drive.effort_limit for drive in drives]),
            stiffness=stiffer * [drive.stiffness for drive in drives],
            damping=np.sqrt(stiffer) * [drive.damping for drive in drives],
        )


def _leg(robot: Robot, foot: str) -> list[int]:
    """Return the indices of the links from the root to a foot, without the root."""
    names = robot.description.body_names
    parents = {body.name: body.parent for body in robot.description.bodies}
    chain, name = [], foot
    while (parent := parents[name]) is not None:
        chain.insert(0, names.index(name))
        name = parent
    if len(chain) != NUM_LEG_JOINTS:
        raise UserError(
            f"the predictive controller walks robots whose legs have {NUM_LEG_JOINTS} joints each between root and "
            f"foot; {robot.name} has {len(chain)} to {foot}"
        )
    return chain


def _sole(robot: Robot, foot: str) -> CollisionShape:
    """Return the box under a foot."""
    shapes = robot.description.body(foot).collision
    if len(shapes) != 1 or shapes[0].kind != "box" or shapes[0].quat_wxyz != (1, 0, 0, 0):
        raise UserError(
            f"the predictive controller needs one upright box as the collision shape of each foot; {robot.name} has "
            f"{', '.join(shape.kind for shape in shapes) or 'none'} at {foot}"
        )
    return shapes[0]


def _inertia(body: Body) -> np.ndarray:
    """Return the inertia of a link about its centre of mass in its own frame (3, 3)."""
    axes = _matrix(body.inertia_quat_wxyz)
    return axes @ np.diag(body.diag_inertia) @ axes.T


def _composite_inertia(description: RobotDescription, inertias: np.ndarray) -> np.ndarray:
    """Return the inertia of all links about their common centre of mass in the default pose, root frame (3, 3)."""
    poses = description.body_poses(description.default_joint_pos)
    turns = np.array([_matrix(poses[body.name][1]) for body in description.bodies])
    coms = np.array(
        [pos + rotate(quat, b.com) for b, (pos, quat) in zip(description.bodies, poses.values(), strict=True)]
    )
    masses = np.array([body.mass for body in description.bodies])
    arms = coms - masses @ coms / masses.sum()
    squares = np.einsum("li,li,jk->ljk", arms, arms, np.eye(3)) - np.einsum("li,lj->lij", arms, arms)
    return np.einsum("l,lij->ij", masses, squares) + np.einsum("lij,ljk,lmk->im", turns, inertias, turns)


def _ancestry(description: RobotDescription) -> np.ndarray:
    """Return whether a link is another or carries it (L, L)."""
    names = description.body_names
    carries = np.eye(len(names), dtype=bool)
    for index, body in enumerate(description.bodies):
        if body.parent is not None:
            carries[:, index] |= carries[:, names.index(body.parent)]
    return carries


def _matrix(quat_wxyz: np.ndarray | tuple[float, ...]) -> np.ndarray:
    """Return the rotation matrix of a unit quaternion `(w, x, y, z)` (3, 3)."""
    return np.stack([rotate(quat_wxyz, axis) for axis in np.eye(3)], axis=1)
