"""Draws robots from the primitives of their description, and their ground."""

from __future__ import annotations

import numpy as np
import trimesh
import viser

from rlmpc.contract.live import Shape, Snapshot
from rlmpc.robots.description import CollisionShape, RobotDescription

ROBOT_COLOURS, GROUND_COLOUR = ((70, 90, 120), (190, 105, 45)), (150, 142, 132)


class Scene:
    """The robots and the ground on the page.

    Args:
        server: where they are drawn.
        description: the robot's; all robots are the same.
        num_policies: how many policies move them in turn; each has its colour.
    """

    def __init__(self, server: viser.ViserServer, description: RobotDescription, num_policies: int) -> None:
        self._server = server
        self.follows = True
        """Whether the picture moves with the first robot."""
        server.scene.set_up_direction("+z")
        # A browser without GPU takes ten seconds to prepare viser's surroundings, and shadows take most of a picture.
        server.scene.configure_environment_map(hdri=None)
        server.scene.configure_default_lights(cast_shadow=False)
        server.initial_camera.position, server.initial_camera.look_at = (2.5, -2.5, 1.2), (0.0, 0.0, 0.0)
        # Everything hangs below one frame, which moves against the robot: so the user's camera stays the user's.
        self._frame = server.scene.add_frame("/world", show_axes=False)
        self._colours = np.array(ROBOT_COLOURS[:num_policies], dtype=np.uint8)
        self._meshes = {
            index: (body.name, *_merged([_mesh_of(shape) for shape in body.collision]))
            for index, body in enumerate(description.bodies)
            if body.collision
        }
        self._bodies: dict[int, viser.BatchedMeshHandle] = {}

    def show_ground(self, ground: Shape) -> None:
        """Replace the ground."""
        self._server.scene.add_mesh_simple(
            "/world/ground", ground.vertices, ground.faces, color=GROUND_COLOUR, flat_shading=True, side="double"
        )

    def show_robots(self, snapshot: Snapshot) -> None:
        """Replace the robots by as many as there are now."""
        num_robots = len(snapshot.body_pos)
        self._bodies = {
            index: self._server.scene.add_batched_meshes_simple(
                f"/world/robots/{name}",
                vertices,
                faces,
                batched_wxyzs=snapshot.body_quat_wxyz[:, index],
                batched_positions=snapshot.body_pos[:, index],
                batched_colors=self._colours[np.arange(num_robots) % len(self._colours)],
                lod="off",
            )
            for index, (name, vertices, faces) in self._meshes.items()
        }

    def show(self, snapshot: Snapshot) -> None:
        """Move the robots."""
        with self._server.atomic():
            for index, handle in self._bodies.items():
                handle.batched_positions = snapshot.body_pos[:, index].astype(np.float32)
                handle.batched_wxyzs = snapshot.body_quat_wxyz[:, index].astype(np.float32)
            self._frame.position = -snapshot.body_pos[0, 0] if self.follows else np.zeros(3)


def _mesh_of(shape: CollisionShape) -> trimesh.Trimesh:
    """Return a primitive's triangles in the frame of its body."""
    if shape.kind == "box":
        mesh = trimesh.creation.box(2.0 * np.array(shape.size))
    elif shape.kind == "sphere":
        mesh = trimesh.creation.icosphere(subdivisions=2, radius=shape.size[0])
    else:
        radius, half_length = shape.size
        mesh = trimesh.creation.capsule(2.0 * half_length, radius, count=[16, 8])
        mesh.apply_translation(-mesh.bounds.mean(axis=0))
    pose = trimesh.transformations.quaternion_matrix(shape.quat_wxyz)
    pose[:3, 3] = shape.pos
    return mesh.apply_transform(pose)


def _merged(meshes: list[trimesh.Trimesh]) -> tuple[np.ndarray, np.ndarray]:
    """Return the vertices (V, 3) and triangles (F, 3) of several meshes as of one."""
    starts = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes)])
    faces = [mesh.faces + start for mesh, start in zip(meshes, starts, strict=False)]
    return np.concatenate([mesh.vertices for mesh in meshes]), np.concatenate(faces)
