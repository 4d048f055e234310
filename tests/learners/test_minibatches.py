import pytest
import torch

from rlmpc.learners.minibatches import Samples, memory_of, minibatches, rows, single_steps, start_of


def numbered(steps: int, envs: int, memory: bool) -> Samples:
    """Samples whose every entry is 100 x environment + step."""
    number = torch.arange(steps).unsqueeze(1) + 100.0 * torch.arange(envs)
    start = {"hidden": 100.0 * torch.arange(envs).unsqueeze(1)} if memory else {}
    restarts = (number == 1.0) | (number == 102.0)
    return single_steps(Samples({"policy": number.unsqueeze(2)}, number.clone(), restarts, start_of(start)))


def cut(samples: Samples, num_epochs: int, num_minibatches: int) -> list[Samples]:
    return [rows(samples, order) for order in minibatches(samples, num_epochs, num_minibatches)]


def test_without_a_memory_single_steps_are_shuffled_and_each_is_used_once_an_epoch():
    samples = numbered(6, 4, memory=False)
    made = cut(samples, num_epochs=2, num_minibatches=3)
    assert [minibatch.weight.shape for minibatch in made] == [(8,)] * 6
    for epoch in (made[:3], made[3:]):
        weight = torch.cat([minibatch.weight for minibatch in epoch])
        assert sorted(weight.tolist()) == sorted(samples.weight.tolist())
        assert weight.tolist() != sorted(weight.tolist())
        assert torch.equal(weight, torch.cat([minibatch.obs["policy"] for minibatch in epoch]).flatten())
    assert len(set((made[0].weight // 100).tolist())) > 1


def test_each_epoch_has_an_order_of_its_own_as_the_generator_gives_them():
    torch.manual_seed(5)
    expected = [torch.randperm(24) for _ in range(3)]
    torch.manual_seed(5)
    made = list(minibatches(numbered(6, 4, memory=False), num_epochs=3, num_minibatches=2))
    after = torch.randperm(24)
    for epoch, order in enumerate(expected):
        assert torch.equal(torch.cat(made[2 * epoch : 2 * epoch + 2]), order)
    torch.manual_seed(5)
    assert torch.equal([torch.randperm(24) for _ in range(4)][-1], after)


def test_with_a_memory_whole_environments_are_shuffled_and_keep_their_order_in_time():
    samples = numbered(6, 8, memory=True)
    assert samples.restarts.nonzero().tolist() == [[1, 0], [2, 1]]
    made = cut(samples, num_epochs=2, num_minibatches=4)
    assert [minibatch.weight.shape for minibatch in made] == [(6, 2)] * 8
    for epoch in (made[:4], made[4:]):
        envs = torch.cat([memory_of(minibatch)["hidden"].flatten() for minibatch in epoch])
        assert sorted(envs.tolist()) == [100.0 * env for env in range(8)]
        assert envs.tolist() != sorted(envs.tolist())
        for minibatch in epoch:
            expected = memory_of(minibatch)["hidden"].T + torch.arange(6.0).unsqueeze(1)
            assert torch.equal(minibatch.weight, expected)
            assert torch.equal(minibatch.obs["policy"].squeeze(2), expected)
            assert torch.equal(minibatch.restarts, (expected == 1.0) | (expected == 102.0))


@pytest.mark.parametrize(("num_minibatches", "lengths"), [(3, [4, 4, 2]), (4, [3, 3, 3, 1]), (1, [10])])
def test_what_cannot_be_divided_evenly_leaves_a_shorter_last_minibatch(num_minibatches: int, lengths: list[int]):
    made = cut(numbered(5, 2, memory=False), 1, num_minibatches)
    assert [len(minibatch.weight) for minibatch in made] == lengths


def test_groups_that_are_one_tensor_stay_one():
    samples = numbered(6, 4, memory=False)
    same, other = samples.obs["policy"], samples.obs["policy"].clone()
    samples.obs = {"teacher": same, "critic": same, "policy": other}
    minibatch = rows(samples, torch.tensor([3, 1]))
    assert minibatch.obs["teacher"] is minibatch.obs["critic"]
    assert minibatch.obs["teacher"] is not minibatch.obs["policy"]
    assert torch.equal(minibatch.obs["critic"], other[[3, 1]])
