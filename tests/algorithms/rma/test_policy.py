"""The adapting actor on the G1's groups of observations, as the tasks and the reference lay them out."""

from typing import Any

import pytest
import torch

from rlmpc.algorithms.rma.policy import RmaActorCritic
from rlmpc.algorithms.rma.settings import RmaCfg
from rlmpc.command_line.train import compose_train
from rlmpc.contract.contract import Contract
from rlmpc.contract.observations import ObsSchema, ObsTerm
from rlmpc.networks import policy as policy_module

JOINTS = (ObsTerm("joint_pos", 29, 10), ObsTerm("joint_vel", 29, 10))
FIVE_FRAMES = (
    *(ObsTerm("base_ang_vel", 3, 5), ObsTerm("projected_gravity", 3, 5), ObsTerm("velocity_command", 3, 5)),
    ObsTerm("last_action", 30, 5),
)
PHASE = (ObsTerm("gait_phase", 4),)
SCAN = (ObsTerm("height_scan", 243),)
GAINS = (ObsTerm("base_lin_vel", 3), ObsTerm("joint_stiffness", 29), ObsTerm("joint_damping", 29))
TORSO = (ObsTerm("torso_mass", 1), ObsTerm("torso_com", 3))


def policy(task: str, with_phase: bool, num_frictions: int = 2, **settings: Any) -> RmaActorCritic:
    """The policy of `agent=rma` on a task's groups."""
    scan = SCAN if task == "phase_1_scan_rl_reference" else ()
    sensed = scan + JOINTS + FIVE_FRAMES + (PHASE if with_phase else ())
    privileged = (*GAINS, *TORSO, ObsTerm("foot_friction", num_frictions))
    schema = ObsSchema({"policy": sensed, "critic": sensed + privileged})
    overrides = [f"agent.{name}={value}" for name, value in settings.items()]
    torch.manual_seed(0)
    contract = Contract(0.02, schema, ({"name": "joint_pos", "dim": 30},))
    cfg = compose_train([f"task={task}", "agent=rma", *overrides])[0].agent
    assert isinstance(cfg, RmaCfg)
    return RmaActorCritic(cfg, contract)


def observe(policy: RmaActorCritic, num_envs: int = 3) -> dict[str, torch.Tensor]:
    return {group: torch.randn(num_envs, normalizer.mean.numel()) for group, normalizer in policy.normalizers.items()}


@pytest.mark.parametrize(
    ("task", "with_phase", "num_inputs"),
    [
        ("blind_rl", False, 520),
        ("phase_1_scan_rl_reference", False, 552),
        # Ours observes the gait phase as well: 4 inputs more.
        ("blind_rl", True, 524),
        ("phase_1_scan_rl_reference", True, 556),
    ],
)
def test_the_actor_is_as_wide_as_the_references_and_by_the_phase_wider(task: str, with_phase: bool, num_inputs: int):
    rma = policy(task, with_phase)
    assert [layer.in_features for layer in rma.actor if hasattr(layer, "in_features")] == [num_inputs, 512, 256, 128]
    obs = observe(rma)
    assert rma.history_latent(obs).shape == rma.privileged_latent(obs).shape == (3, 32)
    acted = rma.act(obs, {})
    assert acted.action.shape == (3, 30)
    assert {name: tuple(value.shape) for name, value in acted.inferred.items()} == {
        "velocity": (3, 3),
        "history_latent": (3, 32),
    }


def test_the_encoders_have_the_references_widths():
    """Ours has two frictions where the reference has four, so its privileged encoder takes 66 and ours 64."""
    rma = policy("phase_1_scan_rl_reference", with_phase=False, num_frictions=4, estimator_imu=False)

    def widths(network: torch.nn.Module) -> list[int]:
        layers = [module for module in network.modules() if isinstance(module, torch.nn.Linear)]
        return [layers[0].in_features, *(layer.out_features for layer in layers)]

    assert widths(rma.privileged_encoder) == [66, 128, 64, 32]
    assert widths(rma.estimator) == [58, 128, 64, 3]
    assert widths(rma.scan_encoder) == [243, 128, 64, 32]
    assert widths(policy("blind_rl", True).privileged_encoder) == [64, 128, 64, 32]


def test_the_estimator_sees_the_newest_frame_and_the_imu_unless_told_otherwise():
    assert policy("blind_rl", True).estimator[0].in_features == 58 + 6
    assert policy("blind_rl", True, estimator_imu="false").estimator[0].in_features == 58
    assert policy("blind_rl", True, estimator_frames=5).estimator[0].in_features == 5 * (58 + 6)


def test_a_task_without_a_scan_has_no_scan_encoder():
    assert policy("blind_rl", True).scan_encoder is None
    assert policy("phase_1_scan_rl_reference", True).scan_encoder is not None


def test_on_the_history_latent_the_actor_needs_nothing_that_a_robot_does_not_sense():
    rma = policy("phase_1_scan_rl_reference", True)
    obs = observe(rma)
    other = obs | {"critic": torch.randn_like(obs["critic"])}
    rma.on_robot()
    assert torch.equal(rma.act(obs, {}).mean, rma.act(other, {}).mean)
    assert rma.acting_groups == ("policy",)
    rma.in_simulation()
    assert not torch.equal(rma.act(obs, {}).mean, rma.act(other, {}).mean)
    assert rma.acting_groups == ("policy", "critic")


def test_a_deployed_copy_acts_on_the_history_latent_and_leaves_the_policy_as_it_is():
    rma = policy("blind_rl", True)
    obs = observe(rma)
    copy = rma.deployed()
    assert copy.acts_on_history and not rma.acts_on_history
    assert torch.equal(copy.act(obs, {}).mean, rma.on_robot().act(obs, {}).mean)


def test_it_teaches_its_privileged_latent_and_the_true_velocity():
    rma = policy("blind_rl", True)
    obs = observe(rma)
    taught = rma.teach(obs)
    assert {name: values.shape[1] for name, values in taught.items()} == rma.teachable == {"latent": 32, "velocity": 3}
    assert torch.equal(taught["latent"], rma.privileged_latent(obs))
    assert torch.equal(taught["velocity"], rma.true_velocity(obs))


def test_each_part_reads_its_own_terms():
    rma = policy("phase_1_scan_rl_reference", True)
    obs = observe(rma)
    obs["critic"].requires_grad_()
    obs["policy"].requires_grad_()

    def read(output: torch.Tensor, group: str) -> int:
        (grad,) = torch.autograd.grad(output.square().sum(), obs[group])
        return int((grad.abs().sum(dim=0) > 0.0).sum())

    assert read(rma.privileged_latent(obs), "critic") == 64
    assert read(rma.history_latent(obs), "policy") == 580
    assert read(rma.estimate_velocity(obs), "policy") == 64
    given = rma.distribution_given(obs, torch.zeros(3, 3), torch.zeros(3, 32)).mean
    assert read(given, "policy") == 243 + 290 + 195 + 4
    assert torch.equal(rma.true_velocity(obs), obs["critic"][:, 1022:1025])


def test_the_actor_takes_scan_velocity_latent_recent_frames_and_the_rest_in_this_order():
    rma = policy("phase_1_scan_rl_reference", True)
    obs = observe(rma)
    taken = []
    rma.actor.register_forward_pre_hook(lambda _, inputs: taken.append(inputs[0]))
    rma.distribution_given(obs, torch.full((3, 3), 7.0), torch.full((3, 32), 9.0))
    scan, velocity, latent, joints, rest = taken[0].split([32, 3, 32, 290, 199], dim=1)
    sensed = rma.normalized(obs, "policy")
    torch.testing.assert_close(scan, rma.scan_encoder(sensed[:, :243]))
    assert (velocity == 7.0).all() and (latent == 9.0).all()
    newest = torch.cat([sensed[:, 243 + 145 : 243 + 290], sensed[:, 243 + 435 : 243 + 580]], dim=1)
    assert torch.equal(joints, newest)
    assert torch.equal(rest, sensed[:, 243 + 580 :])


def test_every_part_sees_its_group_normalized():
    rma = policy("phase_1_scan_rl_reference", True)
    obs = observe(rma)
    before = {name: output.detach() for name, output in outputs(rma, obs).items()}
    for normalizer in rma.normalizers.values():
        normalizer.mean.fill_(0.5)
        normalizer.var.fill_(4.0 * (1.0 + normalizer.eps) - normalizer.eps)
    shifted = {group: 0.5 + 2.0 * values for group, values in obs.items()}
    for name, output in outputs(rma, shifted).items():
        torch.testing.assert_close(output, before[name], rtol=1e-4, atol=1e-5)


def outputs(rma: RmaActorCritic, obs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {
        "privileged latent": rma.privileged_latent(obs),
        "history latent": rma.history_latent(obs),
        "velocity": rma.estimate_velocity(obs),
        "action": rma.distribution_given(obs, torch.zeros(3, 3), torch.zeros(3, 32)).mean,
        "value": rma.value(obs),
    }


def test_every_part_sees_the_same_of_prepared_observations_also_where_a_gpu_fills_rows_up(monkeypatch):
    monkeypatch.setattr(policy_module, "aligned_width", lambda num_columns, device: num_columns + -num_columns % 8)
    rma = policy("phase_1_scan_rl_reference", True)
    for normalizer in rma.normalizers.values():
        normalizer.mean.fill_(0.5)
    obs = observe(rma)
    ready = rma.prepared(obs, {})
    assert torch.equal(rma.true_velocity(ready), rma.true_velocity(obs))
    torch.testing.assert_close(outputs(rma, ready), outputs(rma, obs))


@pytest.mark.parametrize("bounded", [True, False])
def test_a_scans_latent_is_bounded_in_the_reference_and_learns_from_gaps_where_it_is_not(bounded: bool):
    rma = policy("phase_1_scan_rl_reference", True, scan_bounded=bounded)
    deep = (1e3 * torch.randn(50, 243)).requires_grad_()
    latent = rma.scan_encoder(deep)
    latent.sum().backward()
    assert (latent.abs().max() <= 1.0) == bounded
    assert (deep.grad.abs().mean() < 0.01) == bounded


def test_the_history_is_read_with_its_oldest_frame_first():
    rma = policy("blind_rl", True)
    obs = observe(rma)
    taken = []
    rma.history_encoder.register_forward_pre_hook(lambda _, inputs: taken.append(inputs[0]))
    rma.history_latent(obs)
    sensed = rma.normalized(obs, "policy")
    oldest = torch.cat([sensed[:, :29], sensed[:, 290:319]], dim=1)
    newest = torch.cat([sensed[:, 261:290], sensed[:, 551:580]], dim=1)
    assert torch.equal(taken[0][:, 0], oldest) and torch.equal(taken[0][:, 9], newest)
