"""Generalized advantage estimation (Schulman et al., "High-dimensional continuous control using GAE", 2016)."""

from __future__ import annotations

import torch
from torch import Tensor


@torch.no_grad()
def gae(
    reward: Tensor,
    value: Tensor,
    last_value: Tensor,
    terminal_value: Tensor,
    terminated: Tensor,
    truncated: Tensor,
    gamma: float,
    lam: float,
) -> tuple[Tensor, Tensor]:
    """Estimate advantages and returns of T steps of N environments.

    After a terminated episode, the value is 0. After a truncated episode, it is the value of the observation that the
    episode ended with, not of the next episode's first observation. Where both are set, the episode terminated.

    It runs about 3 T small kernels; a GPU had better replay them as one recorded graph.

    Args:
        reward: (T, N).
        value: value of the observation acted upon, (T, N).
        last_value: value of the observation after the last step, (N,).
        terminal_value: value of the observation that an episode ended with, (T, N); used only where `truncated`.
        terminated: (T, N) bool.
        truncated: (T, N) bool.
        gamma: discount per step.
        lam: weight of longer estimates; 0 is one-step, 1 is Monte Carlo.

    Returns:
        Advantages and returns (advantage + value), each (T, N).
    """
    done = terminated | truncated
    following = torch.cat([value[1:], last_value.unsqueeze(0)])
    following = torch.where(done, torch.where(terminated, 0.0, terminal_value), following)
    delta = reward + gamma * following - value
    # Only this goes step by step.
    advantage = torch.empty_like(delta)
    running = torch.zeros_like(last_value)
    for t in reversed(range(reward.shape[0])):
        running = torch.add(delta[t], gamma * lam * torch.where(done[t], 0.0, running), out=advantage[t])
    return advantage, advantage + value
