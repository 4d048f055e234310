"""Recurrent cells that remember what a policy has seen in an episode."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from rlmpc.networks.mlp import filled_up
from rlmpc.networks.tree import like_rows

CELLS: dict[str, type[nn.GRUCell] | type[nn.LSTMCell]] = {"gru": nn.GRUCell, "lstm": nn.LSTMCell}
"""Kinds of memory by name."""


class RecurrentMemory(nn.Module):
    """One recurrent cell; its state is `hidden`, and `cell` for an LSTM, (N, width) each, zeros at an episode's start.

    Args:
        kind: a key of `CELLS`.
        num_inputs: D, number of input features.
        width: number of remembered features, which are also the output.
    """

    def __init__(self, kind: str, num_inputs: int, width: int) -> None:
        super().__init__()
        self.width = width
        self.cell = CELLS[kind](num_inputs, width)
        self.names: tuple[str, ...] = ("hidden", "cell") if kind == "lstm" else ("hidden",)

    def initial(self, num_envs: int) -> dict[str, Tensor]:
        """Return the state at the start of an episode."""
        return {name: self.cell.weight_hh.new_zeros(num_envs, self.width) for name in self.names}

    def forward(self, x: Tensor, state: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the output (N, width) and the next state for one step of inputs (N, D), which may be filled up."""
        x, weight = filled_up(x, self.cell.weight_ih)
        before = [state[name] for name in self.names]
        weights = (weight, self.cell.weight_hh, self.cell.bias_ih, self.cell.bias_hh)
        if isinstance(self.cell, nn.LSTMCell):
            after = torch.lstm_cell(x, before, *weights)
        else:
            after = (torch.gru_cell(x, before[0], *weights),)
        following = dict(zip(self.names, after, strict=True))
        return following["hidden"], following

    def unroll(self, x: Tensor, state: Mapping[str, Tensor], restarts: Tensor) -> Tensor:
        """Return the outputs (T, N, width) of T steps of inputs (T, N, D).

        The gradient goes back through all T steps and no further: truncated backpropagation through time.

        Args:
            x: inputs, which may be filled up (see `filled_up`).
            state: state before the first step.
            restarts: (T, N) bool, whether the next input belongs to another episode, which starts from zeros.
        """
        outputs = []
        keep = (~restarts).unsqueeze(-1).to(x.dtype)
        for x_t, keep_t in zip(x, keep, strict=True):
            output, state = self(x_t, state)
            outputs.append(output)
            state = {name: values * keep_t for name, values in state.items()}
        return torch.stack(outputs)


def forget(memory: Mapping[str, Tensor], restarts: Tensor) -> dict[str, Tensor]:
    """Set `memory` (N, ...) to zeros where another episode starts: `restarts` (N,) bool."""
    return {name: values.masked_fill(like_rows(restarts, values), 0.0) for name, values in memory.items()}
