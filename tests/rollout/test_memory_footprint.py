import pytest
import torch

from rlmpc.algorithms.ppo.settings import PpoCfg
from rlmpc.algorithms.student.settings import StudentCfg
from rlmpc.errors import UserError
from rlmpc.rollout import memory_footprint
from rlmpc.rollout.memory_footprint import check_memory, memory_of

TERMS = {group: {"position": 2, "velocity": 1} for group in ("teacher", "critic", "policy")}
CPU = torch.device("cpu")


def test_a_rollout_and_networks_that_fit_are_accepted():
    check_memory(PpoCfg(), TERMS, 4096, CPU)


@pytest.mark.parametrize(
    ("agent", "num_envs"),
    [
        (PpoCfg(num_steps=10**6), 10**6),
        (PpoCfg(actor_hidden=[2**16] * 20), 1),
        (StudentCfg(memory="gru", memory_width=10**6), 1),
    ],
)
def test_what_no_machine_holds_is_refused_with_the_numbers(agent, num_envs):
    with pytest.raises(UserError) as caught:
        check_memory(agent, TERMS, num_envs, CPU)
    assert f"num_envs x agent.num_steps = {num_envs} x {agent.num_steps}, agent.actor_hidden" in str(caught.value)
    assert f"but 'cpu' has {memory_of(CPU) / 1e9:.0f} GB; choose smaller ones" in str(caught.value)


def test_processes_on_the_cpu_share_its_memory(monkeypatch):
    # Two groups of three numbers in single precision, as rollout and shuffled.
    monkeypatch.setattr(memory_footprint, "memory_of", lambda device: 3 * 100 * 24 * 6 * 4 * 2)
    small = PpoCfg(actor_hidden=[1], critic_hidden=[1])
    check_memory(small, TERMS, 100, CPU, num_processes=3)
    with pytest.raises(UserError, match="take at least"):
        check_memory(small, TERMS, 100, CPU, num_processes=4)
