"""Base environment of the locomotion tasks: a robot that tracks a velocity command on a grid of terrain tiles.

A task derives from `LocomotionEnvCfg`, sets a terrain and overrides what differs.
"""

from collections.abc import Callable

from isaaclab.envs import ManagerBasedRLEnvCfg
from isaaclab.sim import SimulationCfg
from isaaclab.terrains import TerrainGeneratorCfg
from isaaclab.utils import clone, configclass
from isaaclab_newton.physics import NewtonCfg

from rlmpc.robots.articulation import DescribedRobotCfg, articulation_cfg
from rlmpc.robots.robot import Robot
from rlmpc.robots.table import robot_named
from rlmpc.tasks import mdp
from rlmpc.tasks.actions_cfg import ActionsCfg
from rlmpc.tasks.checks.numbers import check_numbers
from rlmpc.tasks.checks.observations import check_observations
from rlmpc.tasks.checks.references import check_references
from rlmpc.tasks.checks.sections import check_sections
from rlmpc.tasks.checks.terrain import check_terrain
from rlmpc.tasks.commands_cfg import CommandsCfg
from rlmpc.tasks.curriculum_cfg import CurriculumCfg
from rlmpc.tasks.events_cfg import EventsCfg
from rlmpc.tasks.observations_cfg import ObservationsCfg
from rlmpc.tasks.physics import PHYSICS_CFG, CollisionCfg, select_manager
from rlmpc.tasks.rewards_cfg import RewardsCfg
from rlmpc.tasks.robot_parts import check_exchange, use_parts
from rlmpc.tasks.scene_cfg import LocomotionSceneCfg
from rlmpc.tasks.stepping_stones import SteppingStonesCfg
from rlmpc.tasks.terminations_cfg import TerminationsCfg


@configclass
class LocomotionEnvCfg(ManagerBasedRLEnvCfg):
    """The whole MDP except the terrain: 50 Hz control over 200 Hz physics, episodes of 12 s."""

    robot: str = "g1_29dof"
    """Name of the robot in `rlmpc.robots.table`. Its parts, pose and scales in the terms are derived from it."""

    action_limit: float = 100.0
    """Bound of raw actions: far beyond those of a trained policy, it keeps a diverging one from overflowing."""

    yaw_action_scale: float | None = 0.25
    """Change of the target of yaw joints per unit of action [rad]; None: as of every joint, by its effort limit.

    Exploration that twists legs and waist is the first reason for falls. A joint's own scale may be set beside it.
    """

    _yaw_action_scale: float | None = None
    """The one that the scales of the yaw joints follow now."""

    cpu_graph: bool = True
    """Whether physics on the CPU is replayed as a recorded graph. No effect on CUDA, where Isaac Lab does it."""

    sim: SimulationCfg = SimulationCfg(dt=0.005, physics=PHYSICS_CFG)
    decimation: int = 4
    episode_length_s: float = 12.0

    scene: LocomotionSceneCfg = LocomotionSceneCfg(num_envs=4096, env_spacing=2.5)
    observations: ObservationsCfg = ObservationsCfg()
    actions: ActionsCfg = ActionsCfg()
    commands: CommandsCfg = CommandsCfg()
    rewards: RewardsCfg = RewardsCfg()
    terminations: TerminationsCfg = TerminationsCfg()
    events: EventsCfg = EventsCfg()
    curriculum: CurriculumCfg = CurriculumCfg()

    def __post_init__(self) -> None:
        """Derive the dependent fields of the default configuration."""
        self.use_robot(robot_named(self.robot))
        self.finalize()

    def use_robot(self, robot: Robot) -> None:
        """Put a robot into the scene and point all terms at its parts; terms about parts it lacks are switched off.

        Called once when the configuration is made, and again by `finalize` if `robot` was overridden.
        """
        self.scene.robot = articulation_cfg(robot)
        self.start_actions(robot)
        use_parts(self, robot)

    def start_actions(self, robot: Robot) -> None:
        """Derive from a robot how actions move it."""
        self._targets().scale = dict(robot.description.action_scale)
        self._yaw_action_scale = None
        self.derive_actions(robot)

    def derive_actions(self, robot: Robot) -> None:
        """Derive the fields of actions that depend on others: yaw joints follow `yaw_action_scale`.

        Joints whose own scale was set keep it.

        Raises:
            ValueError: If nothing moves the joints.
        """
        own, scale = robot.description.action_scale, self._targets().scale
        before, now = self._yaw_action_scale, self.yaw_action_scale
        assert isinstance(scale, dict)
        for joint in robot.joints["yaw"]:
            if scale[joint] == (own[joint] if before is None else before):
                scale[joint] = own[joint] if now is None else now
        self._yaw_action_scale = now

    def _targets(self) -> mdp.JointPositionActionCfg:
        """Return the action that sets the targets of the joints, which a task with other actions may lack."""
        if self.actions.joint_pos is None:
            raise ValueError("env.actions.joint_pos cannot be switched off")
        return self.actions.joint_pos

    def finalize(self) -> None:
        """Derive the fields that depend on others. Idempotent; call it again after overriding fields.

        Raises:
            ValueError: If sections are missing, numbers make no simulation, or terms are switched off while others read
                them; with what is accepted.
        """
        check_sections(self)
        self._exchange_robot()
        check_numbers(self)
        self.derive_actions(robot_named(self.robot))
        check_observations(self.observations)
        check_references(self)
        if self.commands is not None and self.commands.base_velocity is not None:
            self.commands.base_velocity.check_ranges()
        generator = self.scene.terrain.terrain_generator
        # A task sets its terrain after this class has been initialised.
        if isinstance(generator, TerrainGeneratorCfg):
            for kind in filter(None, generator.sub_terrains.values()):
                kind.size = generator.size
                if isinstance(kind, SteppingStonesCfg):
                    kind.seed = generator.seed
            check_terrain(generator)
        self.sim.render_interval = self.decimation
        if self.scene.contact_forces is not None:
            self.scene.contact_forces.update_period = self.sim.dt
        assert isinstance(self.sim.physics, NewtonCfg)
        if isinstance(self.sim.physics.collision_cfg, CollisionCfg):
            self.sim.physics.collision_cfg.make_room(self.scene.num_envs)
        select_manager(self.sim.physics, self.cpu_graph)

    def acts_at_start(self, path: str) -> bool:
        """Return whether a setting has an effect at the start of a run only, so that a resumed run cannot change it."""
        return path == "scene.terrain.max_init_terrain_level"

    def acts_at_once(self, path: str) -> bool:
        """Return whether a changed setting acts in episodes that go on.

        Managers read these in every step. Anything else is drawn or built when the environments are made, and belongs
        to their state.
        """
        section, _, rest = path.partition(".")
        if section == "events":
            term = getattr(self.events, rest.partition(".")[0])
            return term.mode != "startup" and not path.endswith(".mode")
        if section == "commands":
            return ".ranges." not in path
        return section in ("rewards", "terminations", "curriculum", "observations", "episode_length_s")

    def play_mode(self, disturbed: bool = False) -> None:
        """Switch to play mode: no noise, pushes, pace at the start or curricula, all commands and levels, 50 robots.

        Noise and pushes stay if it is to be `disturbed`.
        """
        groups = [group for group in vars(self.observations).values() if group is not None]
        noisy = [group for group in groups if group.enable_corruption]
        super().play_mode()
        if disturbed:
            for group in noisy:
                group.enable_corruption = True
        else:
            self.events.push = None
        if "forward_velocity" in self.events.reset_root.params:
            self.events.reset_root.params["forward_velocity"] = (0.0, 0.0)
        self.curriculum = CurriculumCfg(terrain_levels=None, penalty_scale=None, command_ranges=None)
        self.scene.terrain.max_init_terrain_level = None
        self.commands.base_velocity.ranges = clone(self.commands.base_velocity.limits)

    def _exchange_robot(self) -> None:
        """Exchange the robot if `robot` names another one than before."""
        spawn = self.scene.robot.spawn
        assert isinstance(spawn, DescribedRobotCfg)
        if spawn.robot != self.robot:
            robot = robot_named(self.robot)
            check_exchange(robot_named(spawn.robot), robot)
            self.use_robot(robot)


def in_play_mode[Task: LocomotionEnvCfg](task: type[Task]) -> Callable[[], Task]:
    """Return a function that makes the play-mode configuration of a task, for the gymnasium id of its play variant."""

    def make() -> Task:
        cfg = task()
        cfg.play_mode()
        return cfg

    return make
