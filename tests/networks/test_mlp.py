import pytest
import torch

from rlmpc.networks.mlp import AlignedLinear, aligned_width, mlp

CPU, GPU = torch.device("cpu"), torch.device("cuda")


def test_only_a_gpu_fills_rows_up():
    assert [aligned_width(width, GPU) for width in (1, 8, 849, 856)] == [8, 8, 856, 856]
    assert aligned_width(849, CPU) == 849


def test_rows_that_are_filled_up_already_give_the_same_product():
    linear = AlignedLinear(13, 4)
    x = torch.randn(6, 13)
    filled = torch.nn.functional.pad(x, (0, 3))
    torch.testing.assert_close(linear(filled), linear(x))
    linear(filled).sum().backward()
    assert linear.weight.grad is not None
    assert linear.weight.grad.shape == (4, 13)


@pytest.mark.parametrize("width", [12, 14, 24])
def test_rows_of_any_other_width_are_refused(width: int):
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        AlignedLinear(13, 4)(torch.randn(6, width))


def test_layers_are_numbered_as_if_activations_were_layers():
    assert list(mlp(3, [4, 5], 2, "elu").state_dict()) == [
        f"{n}.{part}" for n in (0, 2, 4) for part in ("weight", "bias")
    ]


def test_hidden_layers_have_an_activation_and_the_last_one_has_none():
    layers = mlp(3, [4, 5], 2, "elu", fused=True)
    x = torch.randn(6, 3)
    by_hand = x
    for layer in layers:
        by_hand = torch.nn.functional.linear(by_hand, layer.weight, layer.bias)
        by_hand = by_hand if layer is layers[-1] else torch.nn.functional.elu(by_hand)
    assert torch.equal(layers(x), by_hand)
