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
    """Advantages and returns of T steps of N environments.

    An episode that terminated is followed by nothing; one that was truncated is followed by the value of the
    observation that it ended with, not by the value of the next episode's first observation. Where both are set, it
    terminated.

    Args:
        reward: (T, N).
        value: of the observation acted upon, (T, N).
        last_value: of the observation after the last step, (N,).
        terminal_value: of the observation an episode ended with, (T, N); read only where `truncated`.
        terminated: (T, N) bool.
        truncated: (T, N) bool.
        gamma: discount of a step.
        lam: weight of longer estimates; 0 is one-step, 1 is Monte Carlo.

    Returns:
        Advantages and returns (advantage + value), each (T, N).
    """
    advantage = torch.zeros_like(reward)
    running = torch.zeros_like(last_value)
    following = last_value
    for t in reversed(range(reward.shape[0])):
        done = terminated[t] | truncated[t]
        following = torch.where(done, torch.where(terminated[t], 0.0, terminal_value[t]), following)
        delta = reward[t] + gamma * following - value[t]
        running = delta + gamma * lam * torch.where(done, 0.0, running)
        advantage[t] = running
        following = value[t]
    return advantage, advantage + value
