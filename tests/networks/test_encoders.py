import pytest
import torch
from torch import nn

from rlmpc.networks.encoders import HistoryEncoder, accepts_frames, frames_of


@pytest.fixture
def encoder() -> HistoryEncoder:
    torch.manual_seed(0)
    return HistoryEncoder(frame_dim=58, num_frames=10, latent_dim=32, activation="elu")


def test_the_layers_are_those_of_the_reference(encoder: HistoryEncoder):
    layers = [module for module in encoder.modules() if isinstance(module, nn.Linear | nn.Conv1d)]
    assert [tuple(layer.weight.shape) for layer in layers] == [(30, 58), (20, 30, 4), (10, 20, 2), (32, 30)]
    assert layers[1].stride == (2,)
    assert encoder(torch.randn(5, 10, 58)).shape == (5, 32)


def test_every_frame_reaches_the_latent_whatever_the_accepted_length():
    for num_frames in filter(accepts_frames, range(1, 15)):
        encoder = HistoryEncoder(3, num_frames, 4, "elu")
        frames = torch.randn(2, num_frames, 3, requires_grad=True)
        encoder(frames).sum().backward()
        assert (frames.grad.abs().sum(dim=-1) > 0.0).all(), num_frames


def test_histories_that_are_too_short_or_lose_their_newest_frame_are_not_accepted():
    assert [number for number in range(13) if accepts_frames(number)] == [6, 8, 10, 12]
    for number in (5, 7):
        with pytest.raises(ValueError, match=f"a history of {number} frames; accepted: an even number, at least 6"):
            HistoryEncoder(3, number, 4, "elu")


def test_a_batch_may_have_several_dimensions(encoder: HistoryEncoder):
    frames = torch.randn(4, 3, 10, 58)
    torch.testing.assert_close(encoder(frames)[2, 1], encoder(frames[2, 1:2])[0])


def test_frames_put_the_terms_of_one_moment_side_by_side():
    position = torch.tensor([[1.0, 2.0, 3.0, 4.0]])  # two frames of two joints
    velocity = torch.tensor([[10.0, 20.0, 30.0, 40.0]])
    assert frames_of([position, velocity], 2).tolist() == [[[1.0, 2.0, 10.0, 20.0], [3.0, 4.0, 30.0, 40.0]]]
