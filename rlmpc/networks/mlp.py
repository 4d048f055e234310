"""Multi-layer perceptrons."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, device, nn

from rlmpc.config.installed import compiles_kernels

ALIGNED = 8
"""Columns, of 4 bytes each, to whose multiple a matrix is filled up for tensor cores."""

ACTIVATIONS: dict[str, type[nn.Module]] = {"elu": nn.ELU, "relu": nn.ReLU, "tanh": nn.Tanh, "silu": nn.SiLU}


def aligned_width(num_columns: int, device: device) -> int:
    """Return to how many columns a matrix is filled up with zeros for fast products; only on a GPU to more."""
    return num_columns + (-num_columns % ALIGNED if device.type == "cuda" else 0)


def filled_up(input: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Return an input (..., D) and weights (C, D) with as many columns of zeros as make their product fast.

    The input may be filled up already.
    """
    num_columns = weight.shape[-1]
    missing = -num_columns % ALIGNED
    is_filled = missing > 0 and input.shape[-1] == num_columns + missing
    if not is_filled:
        if aligned_width(num_columns, input.device) == num_columns:
            return input, weight
        input = F.pad(input, (0, missing))
    return input, F.pad(weight, (0, missing))


class AlignedLinear(nn.Linear):
    """A linear layer whose input a GPU fills up with zeros to a multiple of `ALIGNED` columns.

    Tensor cores read 16 bytes at once: without them, products with rows of 849 floats take twice as long on an H200.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Return the product of the weights with `input` (..., D), which may be filled up already, plus the bias."""
        return self.product(input, self.bias)

    def product(self, input: Tensor, bias: Tensor | None = None) -> Tensor:
        """Return what `forward` does, with another bias or none."""
        return F.linear(*filled_up(input, self.weight), bias)


class HiddenLayer(AlignedLinear):
    """A linear layer with an activation.

    Args:
        num_inputs: D.
        num_outputs: width of the output.
        activation: a key of `ACTIVATIONS`.
        fused: whether a GPU adds the bias and takes the activation in one kernel, if it can compile that.
    """

    def __init__(self, num_inputs: int, num_outputs: int, activation: str, fused: bool) -> None:
        super().__init__(num_inputs, num_outputs)
        self.activation = ACTIVATIONS[activation]()
        self._is_fused = fused and activation == "elu"

    def forward(self, input: Tensor) -> Tensor:
        """Return the activations (..., num_outputs) of `input` (..., D)."""
        if self._is_fused and input.is_cuda and compiles_kernels():
            # Here, because it is compiled at run time.
            from rlmpc.networks.fused import biased_elu

            product = self.product(input.flatten(0, -2))
            return biased_elu(product, self.bias).view(*input.shape[:-1], -1)
        return self.activation(super().forward(input))


def mlp(
    num_inputs: int,
    hidden: Sequence[int],
    num_outputs: int,
    activation: str,
    output_gain: float = 1.0,
    fused: bool = False,
) -> nn.Sequential:
    """Make fully connected layers with an activation between them and none at the end.

    Weights are orthogonal with gain sqrt(2), biases zero. `output_gain` is the gain of the last layer; a small one
    starts a policy near its default action (Andrychowicz et al., "What matters for on-policy deep actor-critic
    methods", 2021).

    Raises:
        ValueError: if `activation` is not one of `ACTIVATIONS`.
    """
    if activation not in ACTIVATIONS:
        raise ValueError(f"unknown activation '{activation}'; accepted: {', '.join(ACTIVATIONS)}")
    widths = [num_inputs, *hidden, num_outputs]
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for index, both in enumerate(pairwise(widths)):
        is_last = index == len(hidden)
        layer = AlignedLinear(*both) if is_last else HiddenLayer(*both, activation, fused)
        nn.init.orthogonal_(layer.weight, output_gain if is_last else 2.0**0.5)
        nn.init.zeros_(layer.bias)
        # As if activations were numbered, too: so checkpoints have it.
        layers[str(2 * index)] = layer
    return nn.Sequential(layers)
