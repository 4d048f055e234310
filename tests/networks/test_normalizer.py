import pytest
import torch
from torch import Tensor

from rlmpc.networks.normalizer import RunningNormalizer, moments_about, sums_about


def test_merged_batches_have_the_moments_of_all_samples_together():
    torch.manual_seed(0)
    batches = [3.0 + 2.0 * torch.randn(4, 25, 6), -1.0 + 0.1 * torch.randn(4, 50, 6)]
    normalizer = RunningNormalizer(6)
    for batch in batches:
        normalizer.merge(normalizer.centred_sums(batch))
    samples = torch.cat([batch.reshape(-1, 6) for batch in batches])
    torch.testing.assert_close(normalizer.mean, samples.mean(dim=0), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(normalizer.var, samples.var(dim=0, unbiased=False), rtol=1e-5, atol=1e-6)
    assert normalizer.count == samples.shape[0]


def test_sums_of_two_ranks_added_give_what_one_rank_with_both_gives():
    torch.manual_seed(0)
    left, right = torch.randn(30, 3), 5.0 + torch.randn(70, 3)
    together, apart = RunningNormalizer(3), RunningNormalizer(3)
    together.merge(together.centred_sums(torch.cat([left, right])))
    apart.merge(apart.centred_sums(left) + apart.centred_sums(right))
    torch.testing.assert_close(apart.mean, together.mean)
    torch.testing.assert_close(apart.var, together.var)


def test_more_samples_than_are_summed_at_once_give_the_same(monkeypatch):
    samples = 3.0 + torch.randn(10, 7, 3, generator=torch.Generator().manual_seed(0))
    normalizer = RunningNormalizer(3)
    at_once = normalizer.centred_sums(samples, num_invalid=2.0)
    monkeypatch.setattr("rlmpc.networks.normalizer.MAX_ROWS", 16)
    torch.testing.assert_close(normalizer.centred_sums(samples, num_invalid=2.0), at_once)


@pytest.mark.parametrize("offset", [0.0, 3.0, 1000.0])
def test_sums_from_mean_and_variance_are_those_that_are_added_up(offset: float):
    rows = offset + 0.1 * torch.randn(30000, 5, generator=torch.Generator().manual_seed(0))
    centre = torch.full((5,), offset + 0.02)
    num_rows = rows.shape[0]
    for ours, added in zip(moments_about(rows, centre), sums_about(rows, centre), strict=True):
        torch.testing.assert_close(ours / num_rows, added / num_rows, rtol=1e-3, atol=1e-4)
    assert moments_about(rows, centre)[0].dtype == torch.float64


def test_small_variance_around_a_large_mean_is_not_lost():
    torch.manual_seed(0)
    normalizer = RunningNormalizer(1)
    for _ in range(3):
        normalizer.merge(normalizer.centred_sums(1000.0 + 0.1 * torch.randn(20000, 1)))
    assert abs(normalizer.var.sqrt().item() - 0.1) < 0.002


def test_forward_centres_scales_and_clips():
    normalizer = RunningNormalizer(1, clip=5.0, eps=0.0)
    normalizer.mean.fill_(2.0)
    normalizer.var.fill_(4.0)
    assert normalizer(torch.tensor([[4.0], [1000.0]])).flatten().tolist() == [1.0, 5.0]


def test_forward_changes_no_statistics():
    normalizer = RunningNormalizer(2)
    normalizer(torch.randn(8, 2))
    assert normalizer.count == 0


def test_some_columns_are_normalized_as_they_are_among_all():
    normalizer = RunningNormalizer(6)
    normalizer.merge(normalizer.centred_sums(3.0 + 2.0 * torch.randn(50, 6)))
    x = torch.randn(4, 6)
    chosen = normalizer(x, [slice(4, 6), slice(0, 1)])
    assert torch.equal(chosen, normalizer(x)[:, [4, 5, 0]])


def test_what_is_written_to_a_place_is_what_is_returned_otherwise():
    normalizer, x = trained(6), torch.randn(4, 6)
    place = torch.full((4, 8), 7.0)
    assert torch.equal(normalizer(x, out=place[:, :6]), normalizer(x))
    assert torch.equal(place[:, :6], normalizer(x))
    assert (place[:, 6:] == 7.0).all()


def trained(num_features: int) -> RunningNormalizer:
    normalizer = RunningNormalizer(num_features)
    normalizer.merge(normalizer.centred_sums(3.0 + 2.0 * torch.randn(50, num_features)))
    return normalizer


def statistics(normalizer: RunningNormalizer) -> Tensor:
    return torch.cat([normalizer.mean, normalizer.var, normalizer.count.view(1)])


def test_rows_left_out_change_nothing():
    torch.manual_seed(0)
    with_rows, without = trained(6), RunningNormalizer(6)
    without.load_state_dict(with_rows.state_dict())
    x, valid = 40.0 + torch.randn(20, 10, 6), torch.rand(20, 10) < 0.7
    with_rows.merge(with_rows.centred_sums(x * valid.unsqueeze(2), (~valid).sum()))
    without.merge(without.centred_sums(x[valid]))
    assert with_rows.count == without.count == 50 + valid.sum()
    torch.testing.assert_close(statistics(with_rows), statistics(without), rtol=1e-6, atol=1e-6)


def test_with_no_row_left_out_the_sums_are_the_same_bits():
    torch.manual_seed(0)
    normalizer, x = trained(6), torch.randn(20, 10, 6)
    assert torch.equal(normalizer.centred_sums(x, torch.tensor(0)), normalizer.centred_sums(x))


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf"), 1e30])
@pytest.mark.parametrize("is_new", [True, False])
def test_sums_that_would_spoil_the_statistics_are_not_merged(bad: float, is_new: bool):
    normalizer = RunningNormalizer(3) if is_new else trained(3)
    before = statistics(normalizer)
    x = torch.randn(8, 3)
    x[4, 1] = bad
    normalizer.merge(normalizer.centred_sums(x))
    assert torch.equal(statistics(normalizer), before)


@pytest.mark.parametrize("is_new", [True, False])
def test_a_batch_of_which_all_is_left_out_changes_nothing(is_new: bool):
    normalizer = RunningNormalizer(3) if is_new else trained(3)
    before = statistics(normalizer)
    normalizer.merge(normalizer.centred_sums(torch.zeros(8, 3), torch.tensor(8)))
    assert torch.equal(statistics(normalizer), before)
