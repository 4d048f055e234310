"""Multi-layer perceptrons."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

ACTIVATIONS: dict[str, type[nn.Module]] = {"elu": nn.ELU, "relu": nn.ReLU, "tanh": nn.Tanh, "silu": nn.SiLU}


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
        linear = nn.Linear(widths[index], fan_out)
        nn.init.orthogonal_(linear.weight, output_gain if is_last else 2.0**0.5)
        nn.init.zeros_(linear.bias)
        layers.append(linear)
        if not is_last:
            layers.append(ACTIVATIONS[activation]())
    return nn.Sequential(*layers)
