"""Multi-layer perceptrons."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, device, nn

ALIGNED = 8
"""Columns, of 4 bytes each, to whose multiple a matrix is filled up for tensor cores."""

ACTIVATIONS: dict[str, type[nn.Module]] = {"elu": nn.ELU, "relu": nn.ReLU, "tanh": nn.Tanh, "silu": nn.SiLU}


def aligned_width(num_columns: int, device: device) -> int:
    """Return to how many columns a matrix is filled up with zeros for fast products; only on a GPU to more."""
    return num_columns + (-num_columns % ALIGNED if device.type == "cuda" else 0)


class AlignedLinear(nn.Linear):
    """A linear layer whose input a GPU fills up with zeros to a multiple of `ALIGNED` columns.

    Tensor cores read 16 bytes at once: without them, products with rows of 849 floats take twice as long on an H200.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Return the product of the weights with `input` (..., D), which may be filled up already, plus the bias."""
        missing = -self.in_features % ALIGNED
        is_filled = missing > 0 and input.shape[-1] == self.in_features + missing
        if not is_filled:
            if aligned_width(self.in_features, input.device) == self.in_features:
                return super().forward(input)
            input = F.pad(input, (0, missing))
        return F.linear(input, F.pad(self.weight, (0, missing)), self.bias)


def mlp(
    num_inputs: int, hidden: Sequence[int], num_outputs: int, activation: str, output_gain: float = 1.0
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
    layers: list[nn.Module] = []
    for index, fan_out in enumerate(widths[1:]):
        is_last = index == len(widths) - 2
        linear = AlignedLinear(widths[index], fan_out)
        nn.init.orthogonal_(linear.weight, output_gain if is_last else 2.0**0.5)
        nn.init.zeros_(linear.bias)
        layers.append(linear)
        if not is_last:
            layers.append(ACTIVATIONS[activation]())
    return nn.Sequential(*layers)
